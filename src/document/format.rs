//! The formats, and what each of them can do.

use zeroize::Zeroizing;

use super::{Node, SyntaxError, json, lisp, toml, yaml};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON as RFC 8259 has it.
    Json,
    /// JSON with what JSON5 and JSONC allow besides: comments, single quotes, trailing commas.
    Json5,
    /// TOML 1.1.
    Toml,
    /// YAML, one document.
    Yaml,
    /// Lisp as Emacs prints it; the root is the list of its expressions.
    Lisp,
}

impl Format {
    /// Reads a text. A byte order mark and CRLF are fine everywhere.
    ///
    /// # Errors
    /// [`SyntaxError`] when it is not of the format, or nested too deeply.
    pub fn parse(self, bytes: &[u8]) -> Result<Node, SyntaxError> {
        match self {
            Self::Json => json::parse(bytes, true),
            Self::Json5 => json::parse(bytes, false),
            Self::Toml => toml::parse(bytes),
            Self::Yaml => yaml::parse(bytes),
            Self::Lisp => lisp::parse(bytes),
        }
    }

    /// Spells a string in the style of the one that `former` spells: the same quotes where they can hold it.
    pub fn literal(self, former: &[u8], text: &str) -> Zeroizing<String> {
        match self {
            Self::Json | Self::Json5 => json::literal(former, text),
            Self::Toml => toml::literal(former, text),
            Self::Yaml => yaml::literal(former, text),
            Self::Lisp => lisp::literal(text),
        }
    }
}

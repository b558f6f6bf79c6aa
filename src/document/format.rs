//! The formats, and what each of them can do.

use super::{Node, SyntaxError, json};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON as RFC 8259 has it.
    Json,
    /// JSON with what JSON5 and JSONC allow besides: comments, single quotes, trailing commas.
    Json5,
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
        }
    }
}

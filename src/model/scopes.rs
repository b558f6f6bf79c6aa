//! OAuth scopes.

use std::fmt;

/// The scopes of a token or app, in the order of the source (RFC 6749 section 3.3: names joined by single spaces).
///
/// Unknown names are kept as they are: Mastodon adds and removes scopes between releases.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Scopes(Box<str>);

impl Scopes {
    /// Splits at white space and keeps the order.
    pub fn parse(text: &str) -> Self {
        Self::from_names(text.split_whitespace())
    }

    /// Joins the names, each of which must hold no white space (it would split there).
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(
            names
                .into_iter()
                .collect::<Vec<_>>()
                .join(" ")
                .into_boxed_str(),
        )
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_whitespace()
    }

    /// The names joined by single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

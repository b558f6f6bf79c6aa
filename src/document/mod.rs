//! Text formats, read so that every value knows where it stands, and written by replacing nothing else.
//!
//! JSON (strict, or with what JSON5 and JSONC allow), TOML, YAML and Lisp become one kind of tree, [`Node`]. Spans are
//! byte offsets into the text as given, byte order mark included. Promises that nesting is bounded before anything recurses
//! into it, that no error shows any of the text, and that a [`Splice`] is written only if reading it again gives what
//! was meant and leaves all else equal. Knows no token and no client.

mod edits;
pub mod env;
mod format;
pub mod ini;
pub mod json;
mod lisp;
mod splice;
mod syntax;
#[cfg(test)]
mod tests;
mod toml;
mod tree;
mod yaml;

pub use edits::Edits;
pub use format::Format;
pub use splice::{Splice, SpliceError};
pub use syntax::{Lines, SyntaxError};
pub use tree::{Kind, Member, Node};

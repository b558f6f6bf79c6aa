//! Text formats, read so that every value knows where it stands, and written by replacing nothing else.
//!
//! JSON, strict or with what JSON5 and JSONC allow, becomes a tree, [`Node`]. Spans are byte offsets into the text as
//! given, byte order mark included. Promises that nesting is bounded before anything recurses into it, and that no
//! error shows any of the text. Knows no token and no client.

mod edits;
pub mod env;
mod format;
pub mod json;
mod syntax;
mod tree;

pub use edits::Edits;
pub use format::Format;
pub use syntax::SyntaxError;
pub use tree::{Kind, Member, Node};

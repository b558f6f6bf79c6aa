//! Environment files (`.env`) with `MASTODON_…` assignments.

mod export;

pub use export::{Exported, export};

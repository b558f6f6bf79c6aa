//! Files: the only door to the file system.

mod staged;

pub use staged::{Staged, sync_folder};

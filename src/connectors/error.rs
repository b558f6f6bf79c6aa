//! What can go wrong between a client's store and us.

use std::path::PathBuf;

/// Reading or writing a client's store failed; it is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file, or no store in that folder.
    #[error("{} holds nothing that {connector} reads", path.display())]
    NotFound {
        /// The connector.
        connector: &'static str,
        /// What was asked for.
        path: PathBuf,
    },
    /// The file is not of the expected shape.
    #[error("cannot read {}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what, without any of the file's contents.
        detail: String,
    },
}

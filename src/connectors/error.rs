//! What can go wrong between a client's store and us.

use std::path::{Path, PathBuf};

use crate::document::SyntaxError;

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
    /// The file can be read, but not written as asked.
    #[error("cannot write {}: {detail}", path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// Why not, and what to do.
        detail: String,
    },
    /// Somebody wrote to the file after it was read for the plan.
    #[error("{} changed since it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// More than one connector reads this.
    #[error("{} could be for {}", path.display(), connectors.join(" or "))]
    Ambiguous {
        /// What was asked for.
        path: PathBuf,
        /// The connectors that fit equally well.
        connectors: Vec<&'static str>,
    },
    /// This connector reads files only, nothing that comes through a pipe.
    #[error("{connector} can't be read from standard input")]
    NeedsFile {
        /// The connector.
        connector: &'static str,
    },
    /// The file system said no.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
}

/// Why a text is not of the expected shape: where and what, never any of its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(pub(crate) String);

impl Problem {
    /// The problem of this line, counted from 1.
    pub(crate) fn line(line: u64, what: impl AsRef<str>) -> Self {
        Self(format!("line {line}: {}", what.as_ref()))
    }

    /// Names the file.
    pub(crate) fn at(self, path: &Path) -> Error {
        Error::Malformed {
            path: path.to_owned(),
            detail: self.0,
        }
    }
}

impl From<SyntaxError> for Problem {
    fn from(error: SyntaxError) -> Self {
        Self(error.to_string())
    }
}

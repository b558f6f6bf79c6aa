//! What can go wrong in a vault.

use crate::{crypto::RandomError, storage};

/// A vault can't answer or can't be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file below.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The database below.
    #[error("the vault's database refused")]
    Database(#[source] Box<redb::Error>),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A commit failed, and whether it took effect is not known.
    #[error("the change may or may not have been saved")]
    Unsure(#[source] Box<Error>),
    /// Authentic, but not what this program writes: a flaw of a program that wrote it.
    #[error("the vault is inconsistent: {what} can't be read")]
    Inconsistent {
        /// What.
        what: &'static str,
    },
    /// The vault was written by a later version of the program.
    #[error("the vault's contents have version {found}, which this program doesn't know")]
    NewerContents {
        /// Their version.
        found: u32,
    },
    /// A value is larger than a vault takes.
    #[error("a value is larger than a vault takes (1 MiB)")]
    TooLarge,
    /// Rows of a run came out of order, or twice.
    #[error("the source's rows came out of order")]
    OutOfOrder,
    /// There is no such run.
    #[error("there is no run {number} in this vault")]
    NoSuchRun {
        /// The number asked for.
        number: u64,
    },
    /// Opened for reading.
    #[error("the vault was opened for reading only")]
    ReadOnly,
    /// The new file of a rewrite does not hold what the old one does.
    #[error("the rewritten vault differs from the old one; the old one stays")]
    RewriteDiffers,
}

impl Error {
    /// What the file below told redb, or what redb itself says.
    pub(super) fn of_redb(error: redb::Error) -> Self {
        storage::Error::behind(error)
            .map_or_else(|own| Self::Database(Box::new(own)), Self::Storage)
    }
}

macro_rules! from_redb {
    ($($error:ty),+) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::of_redb(error.into())
            }
        })+
    };
}

from_redb!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::DatabaseError,
    redb::CompactionError,
    redb::CommitError
);

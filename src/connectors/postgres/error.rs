//! What can go wrong between the server's database and us.

use std::path::PathBuf;

/// Reading or writing the server's database failed; it is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What says where the database is can't be used.
    #[error("{detail}")]
    Settings {
        /// The file, if it stands in one.
        path: Option<PathBuf>,
        /// What is wrong; never a value that may be secret.
        detail: String,
    },
    /// No connection, or one that was refused.
    #[error("cannot connect to {location}")]
    Connect {
        /// Host, port and database.
        location: String,
        /// Why.
        source: postgres::Error,
    },
    /// The server said no to a statement, or went away.
    #[error("{location}: {doing}")]
    Database {
        /// Host, port and database.
        location: String,
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: postgres::Error,
    },
}

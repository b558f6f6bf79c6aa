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
    /// The database is not Mastodon's, or not one that this program knows.
    #[error("{location} is no database of Mastodon's: {missing}")]
    NotMastodon {
        /// Host, port and database.
        location: String,
        /// What is not there.
        missing: String,
    },
    /// The role may not read what is needed.
    #[error("{location}: the role may not read {table} ({columns})")]
    Denied {
        /// Host, port and database.
        location: String,
        /// The table.
        table: &'static str,
        /// Its columns.
        columns: String,
    },
    /// Nothing says which instance the database is of.
    #[error("{location}: which instance it is of is not known")]
    NoInstance {
        /// Host, port and database.
        location: String,
    },
    /// There is no such local user.
    #[error("{location} knows no local user {name:?}")]
    NoUser {
        /// Host, port and database.
        location: String,
        /// Who was asked for.
        name: String,
    },
    /// The server sent what it must not.
    #[error("{location}: {doing}: the server sent something that is no COPY data")]
    Malformed {
        /// Host, port and database.
        location: String,
        /// What was being done.
        doing: &'static str,
    },
}

/// The server's error while something was being done.
pub(super) fn doing(location: &str, doing: &'static str, source: postgres::Error) -> Error {
    Error::Database {
        location: location.to_owned(),
        doing,
        source,
    }
}

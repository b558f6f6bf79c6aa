//! What can stop a restore. The database is then as it was.

use std::error::Error as _;

use postgres::error::SqlState;

/// Why nothing was restored. Never holds a value of a row: what PostgreSQL says beside its message quotes tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A table or column that every Mastodon has is not there.
    #[error("this is no Mastodon's database: there is no {missing} in it")]
    NotMastodon {
        /// The table, or `table.column`.
        missing: String,
    },
    /// Nothing says which instance the database is of: a token of another one could get into it.
    #[error("which instance the database is of is not known")]
    NoInstance,
    /// The role may not do what is needed.
    #[error("the role {role} may not do that")]
    Denied {
        /// The role.
        role: String,
        /// The statements that would allow it.
        grants: Vec<String>,
    },
    /// A replica, or a connection that only reads.
    #[error("the database takes no writes here: {why}")]
    ReadOnly {
        /// What says so.
        why: &'static str,
    },
    /// Indexes can only be dropped by who owns the table.
    #[error("only the owner of oauth_access_tokens can rebuild its indexes, and {role} is not")]
    NotOwner {
        /// The role.
        role: String,
    },
    /// Indexes are rebuilt only around an empty table.
    #[error("oauth_access_tokens is not empty")]
    NotEmpty,
    /// Somebody else holds a lock.
    #[error("somebody else held {doing} up for too long")]
    Locked {
        /// What was being done.
        doing: &'static str,
    },
    /// The server wrote the same rows again and again while they were being restored.
    #[error("the server keeps writing the same rows")]
    Contended,
    /// The connection broke before the end.
    #[error("the connection broke during {doing}: {said}")]
    Gone {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        said: String,
    },
    /// The connection broke while the end was being confirmed: it may have been done, or not.
    #[error(
        "the connection broke while the restore was being committed: whether it was done is not known"
    )]
    Unsure,
    /// The server said no.
    #[error("the database said no to {doing}: {said}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// Its message, without the details that quote rows.
        said: String,
    },
}

/// Turns what PostgreSQL says into an [`Error`], with what was being done.
pub(super) fn during(doing: &'static str) -> impl Fn(postgres::Error) -> Error {
    move |error| {
        let Some(said) = error.as_db_error() else {
            let why = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            return Error::Gone { doing, said: why };
        };
        let code = said.code();
        if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
            return Error::ReadOnly {
                why: "the connection only reads",
            };
        }
        if *code == SqlState::LOCK_NOT_AVAILABLE {
            return Error::Locked { doing };
        }
        if [&SqlState::ADMIN_SHUTDOWN, &SqlState::CRASH_SHUTDOWN].contains(&code) {
            return Error::Gone {
                doing,
                said: said.message().to_owned(),
            };
        }
        Error::Refused {
            doing,
            said: said.message().to_owned(),
        }
    }
}

/// Whether a row was written by somebody else, or a user or app went, between looking and writing.
pub(super) fn is_race(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        [
            &SqlState::UNIQUE_VIOLATION,
            &SqlState::FOREIGN_KEY_VIOLATION,
        ]
        .contains(&code)
    })
}

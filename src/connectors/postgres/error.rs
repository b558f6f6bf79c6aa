//! What can go wrong between the server's database and us.

use std::{fmt, io, path::PathBuf, time::Duration};

use postgres::error::DbError;

use super::{CertificateFault, PasswordNote};

/// Reading or writing the server's database failed; it is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was typed, or stands in libpq's variables, can't be used.
    #[error("{detail}")]
    Typed {
        /// What is wrong; never a value that may be secret.
        detail: String,
    },
    /// A password stands in a connection string that was typed.
    #[error("the connection string holds a password")]
    PasswordTyped,
    /// What a file says of the database can't be used.
    #[error("cannot use {}: {detail}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong; never a value that may be secret.
        detail: String,
    },
    /// A file that belongs to the settings can't be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The host's name leads nowhere.
    #[error("there is no host {host:?}")]
    NoSuchHost {
        /// The name.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody answers at the address, or there is no socket.
    #[error("cannot reach {location}")]
    Unreachable {
        /// Host, port and database.
        location: String,
        /// The file of the unix socket, where it is one.
        socket: Option<PathBuf>,
        /// What the system said.
        source: io::Error,
    },
    /// The server did not let us in in time.
    #[error("{location} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// Host, port and database.
        location: String,
        /// How long it had.
        after: Duration,
    },
    /// The server asks for a password, and none is known.
    #[error("{location} asks for the password of {user:?}")]
    PasswordMissing {
        /// Host, port and database.
        location: String,
        /// The role.
        user: String,
    },
    /// The password is not the role's (or there is no such role: the server does not tell).
    #[error("{location} refuses the password of {user:?}")]
    PasswordRefused {
        /// Host, port and database.
        location: String,
        /// The role.
        user: String,
        /// Why the password may be another for Mastodon.
        note: Option<PasswordNote>,
        /// What the server said.
        source: Said,
    },
    /// The server does not let this role in from here: `pg_hba.conf`, the system's user (peer), no such role.
    #[error("{location} does not let {user:?} in")]
    NotAdmitted {
        /// Host, port and database.
        location: String,
        /// The role.
        user: String,
        /// Whether the server compared the role with the user that the system knows (peer authentication).
        is_peer: bool,
        /// What the server said.
        source: Said,
    },
    /// There is no such database.
    #[error("cannot open {location}")]
    NoSuchDatabase {
        /// Host, port and database.
        location: String,
        /// What the server said.
        source: Said,
    },
    /// All connections are taken.
    #[error("{location} takes no more connections")]
    Busy {
        /// Host, port and database.
        location: String,
        /// What the server said.
        source: Said,
    },
    /// The server is starting up, shutting down, or recovering.
    #[error("{location} is not ready")]
    NotReady {
        /// Host, port and database.
        location: String,
        /// What the server said.
        source: Said,
    },
    /// The server, or a pooler before it, let nobody in for another reason.
    #[error("{location} refuses the connection")]
    Refused {
        /// Host, port and database.
        location: String,
        /// What it said.
        source: Said,
    },
    /// Encryption is demanded, and the server has none.
    #[error("{location} offers no encryption (TLS)")]
    NoTls {
        /// Host, port and database.
        location: String,
    },
    /// Nobody trusted vouches for the server's certificate.
    #[error("the certificate of {location} is not trusted")]
    Untrusted {
        /// Host, port and database.
        location: String,
        /// What is wrong with it.
        source: CertificateFault,
    },
    /// The server's certificate is another host's.
    #[error("the certificate of {location} is not {host:?}'s")]
    WrongName {
        /// Host, port and database.
        location: String,
        /// The name that was expected.
        host: String,
    },
    /// No encrypted connection came about, for another reason.
    #[error("no encrypted connection to {location}")]
    Tls {
        /// Host, port and database.
        location: String,
        /// Why.
        source: io::Error,
    },
    /// No connection, for another reason.
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

/// What a server said when it refused something.
#[derive(Debug)]
pub struct Said(pub Box<DbError>);

impl fmt::Display for Said {
    /// The message alone, in one line: it comes from outside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.0.message().chars().take(MAX_SHOWN);
        let shown: String = letters
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        f.write_str(&shown)
    }
}

impl std::error::Error for Said {}

const MAX_SHOWN: usize = 500;

//! What can go wrong between a dump and us.

use std::{io, path::PathBuf};

/// Reading a dump failed. No message holds anything of its rows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is no dump that pg_dump wrote", path.display())]
    NotADump {
        /// The file.
        path: PathBuf,
    },
    /// It is compressed in a way that is not read here.
    #[error("{} is compressed with {with}", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// The program.
        with: &'static str,
    },
    /// Rows come as INSERT statements.
    #[error("{} holds INSERT statements (pg_dump --inserts); only COPY is read", path.display())]
    Inserts {
        /// The file.
        path: PathBuf,
    },
    /// Texts are not in UTF-8.
    #[error("{} is in another encoding than UTF8", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
    },
    /// The same table comes twice: there are several databases in it.
    #[error("{} holds several tables {table}: it is of more than one database", path.display())]
    Several {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
    },
    /// It is whole, and of no database of Mastodon's, or not of all that is needed of it.
    #[error("{} is no dump of Mastodon's database: {missing}", path.display())]
    NotMastodon {
        /// The file.
        path: PathBuf,
        /// What is not there.
        missing: String,
    },
    /// A row is none.
    #[error("cannot read {}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what.
        detail: String,
    },
    /// It ends before anything came that is wanted.
    #[error("{} ends before the first application and token: {why}", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// How it ends.
        why: String,
    },
    /// Its rows take more memory than they may.
    #[error("{} holds more rows than fit into 4 GiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The archive formats are read by PostgreSQL's own program.
    #[error("{} is in an archive format, and pg_restore, which reads those, cannot be run", path.display())]
    NoPgRestore {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// That program is older than what it is asked.
    #[error("{} is in an archive format, and pg_restore here is of version {version}", path.display())]
    OldPgRestore {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        version: String,
    },
    /// There is no such local user.
    #[error("{} knows no local user {name:?}", path.display())]
    NoUser {
        /// The file.
        path: PathBuf,
        /// Who was asked for.
        name: String,
    },
}

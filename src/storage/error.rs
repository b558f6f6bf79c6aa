//! What can go wrong with a vault file.

use std::{io, path::PathBuf};

use crate::crypto::{KdfError, RandomError, SlotKind, UnlockError};

/// A vault file can't be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file.
    #[error("there is no vault at {}", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Something is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done: "read", "write", …
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file does not begin as a vault.
    #[error("{} is not a tuskvault vault", path.display())]
    NotAVault {
        /// The path.
        path: PathBuf,
    },
    /// The vault was written by a later version of the format.
    #[error("{} has format version {found}; this program knows version {}", path.display(), super::FORMAT_VERSION)]
    NewerVersion {
        /// The path.
        path: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// Something in the file is not authentic.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// What, and where.
        what: String,
    },
    /// No slot opens with these credentials.
    #[error("wrong {} for {}", SlotKind::of_given(*.given), path.display())]
    WrongCredentials {
        /// The path.
        path: PathBuf,
        /// The kind that the credentials at hand make.
        given: SlotKind,
        /// The kinds of slot that the vault has.
        slots: Vec<SlotKind>,
    },
    /// The header asks for a key derivation that is not accepted, or that there is no memory for.
    #[error("cannot derive the key for {}", path.display())]
    Kdf {
        /// The path.
        path: PathBuf,
        /// Why.
        source: KdfError,
    },
    /// Neither a passphrase nor a key file was given.
    #[error("{} needs a passphrase or a key file", path.display())]
    NoCredentials {
        /// The path.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{} is in use by another process{}; waited {waited_secs} s", path.display(), holder(*.pid))]
    InUse {
        /// The path.
        path: PathBuf,
        /// Its process id, where the system tells.
        pid: Option<u32>,
        /// How long was waited for it.
        waited_secs: u64,
    },
    /// All key slots are taken.
    #[error("all {} key slots of {} are taken", super::header::SLOTS, path.display())]
    NoFreeSlot {
        /// The path.
        path: PathBuf,
    },
    /// There is no such key slot.
    #[error("{} has no key slot {slot}", path.display())]
    NoSuchSlot {
        /// The path.
        path: PathBuf,
        /// The number asked for.
        slot: u8,
    },
    /// The last slot can't be removed.
    #[error("slot {slot} is the last way into {}; it is not removed", path.display())]
    LastSlot {
        /// The path.
        path: PathBuf,
        /// The number asked for.
        slot: u8,
    },
    /// The vault has reached the size that its format allows.
    #[error("{} has reached the {} GB that a vault can hold", path.display(), super::MAX_BYTES / 1_000_000_000)]
    Full {
        /// The path.
        path: PathBuf,
    },
    /// Writing failed; what was done may have reached the file all the same. Nothing more is written with this handle:
    /// opening the file again tells.
    #[error("cannot write {}: what was done may or may not have been saved", path.display())]
    Unsure {
        /// The path.
        path: PathBuf,
        /// The reason; `None` when writing failed earlier.
        source: Option<io::Error>,
    },
    /// It was opened for reading only.
    #[error("{} was opened for reading only", path.display())]
    ReadOnly {
        /// The path.
        path: PathBuf,
    },
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// redb refused.
    #[error("the database in {} can't be used", path.display())]
    Database {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: Box<redb::Error>,
    },
}

impl Error {
    pub(super) fn io(doing: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    /// The error that redb was told and passes on; what redb itself has to say comes back.
    pub(crate) fn behind(error: redb::Error) -> Result<Self, redb::Error> {
        match error {
            redb::Error::Io(source) => source.downcast().map_err(redb::Error::Io),
            other => Err(other),
        }
    }

    /// The same once more, for when redb only remembers that there was an error.
    pub(super) fn again(&self) -> Option<Self> {
        let path = |path: &PathBuf| path.clone();
        match self {
            Self::Io {
                doing,
                path: at,
                source,
            } => Some(Self::Io {
                doing,
                path: path(at),
                source: again(source),
            }),
            Self::Damaged { path: at, what } => Some(Self::Damaged {
                path: path(at),
                what: what.clone(),
            }),
            Self::Unsure { path: at, source } => Some(Self::Unsure {
                path: path(at),
                source: source.as_ref().map(again),
            }),
            Self::Full { path: at } => Some(Self::Full { path: path(at) }),
            Self::ReadOnly { path: at } => Some(Self::ReadOnly { path: path(at) }),
            _ => None,
        }
    }

    pub(super) fn unlock(path: &std::path::Path, error: UnlockError) -> Self {
        let path = path.to_owned();
        match error {
            UnlockError::NoCredentials => Self::NoCredentials { path },
            UnlockError::Kdf(source) => Self::Kdf { path, source },
            UnlockError::Random(source) => Self::Random(source),
        }
    }
}

impl SlotKind {
    fn of_given(given: Self) -> &'static str {
        match given {
            Self::Passphrase => "passphrase",
            Self::KeyFile => "key file",
            Self::Both => "passphrase or key file",
        }
    }
}

fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

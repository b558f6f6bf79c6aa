//! A database's files as they stand beside each other, taken at one moment.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    connectors::{
        Error,
        error::Problem,
        place::{self, Loaded},
    },
    files::{self, Private},
};

/// The main file with its write-ahead log and its rollback journal. The `-shm` beside them is none of the contents:
/// SQLite makes it anew.
pub(super) struct Files {
    pub(super) main: Loaded,
    pub(super) wal: Option<Loaded>,
    pub(super) journal: Option<Loaded>,
    /// The main file itself, where the path is a symbolic link: SQLite keeps the others beside it.
    real: PathBuf,
}

impl Files {
    /// Reads them, until none changed meanwhile.
    pub(super) fn read(connector: &'static str, path: &Path) -> Result<Self, Error> {
        for _ in 0..ATTEMPTS {
            let main = place::load(connector, path, MAX_FILE)?;
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let files = Self {
                main,
                wal: beside(connector, &real, "-wal")?,
                journal: beside(connector, &real, "-journal")?,
                real,
            };
            if files.are_unchanged()? {
                return Ok(files);
            }
        }
        Err(Error::Changed {
            path: path.to_owned(),
        })
    }

    /// Whether all of them are as they were read, and none was added.
    pub(super) fn are_unchanged(&self) -> Result<bool, Error> {
        if !place::is_unchanged(&self.main)? {
            return Ok(false);
        }
        for (file, suffix) in [(&self.wal, "-wal"), (&self.journal, "-journal")] {
            let same = match file {
                Some(file) => place::is_unchanged(file)?,
                None => !suffixed(&self.real, suffix).exists(),
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether something is in the write-ahead log.
    pub(super) fn has_wal(&self) -> bool {
        let wal = self.wal.as_ref();
        wal.is_some_and(|file| !file.bytes().is_empty())
    }

    /// Whether a transaction was interrupted and has to be rolled back ("hot"). A journal that is empty or begins with
    /// zeros is what ended ones leave in the modes TRUNCATE and PERSIST (SQLite, "Atomic commit", section 4.4).
    pub(super) fn has_hot_journal(&self) -> bool {
        let journal = self.journal.as_ref().map(Loaded::bytes);
        journal.is_some_and(|bytes| bytes.first().is_some_and(|&byte| byte != 0))
    }

    /// A private copy of them.
    pub(super) fn copy(&self) -> Result<Private, Error> {
        let mut files = vec![(MAIN, self.main.bytes())];
        files.extend(self.wal.as_ref().map(|file| (WAL, file.bytes())));
        if let Some(journal) = self.journal.as_ref().filter(|_| self.has_hot_journal()) {
            // The journal may name another file, which SQLite would open, and delete once it needs it no more.
            if journal.bytes().ends_with(&SUPER_JOURNAL) {
                let what =
                    "it belongs to a transaction over several databases: open it with its app once";
                return Err(Problem(what.to_owned()).at(journal.path()));
            }
            files.push((JOURNAL, journal.bytes()));
        }
        copy_of(&files, self.main.path())
    }

    /// Why the database must not be written now: another program has it open.
    ///
    /// SQLite's POSIX locks: in the main file from `PENDING_BYTE` on; in the `-shm` those of write-ahead mode, the last
    /// of which everybody holds who has it open (SQLite, `os_unix.c`, `UNIX_SHM_BASE` and `UNIX_SHM_DMS`). Outside of
    /// write-ahead mode a program that only keeps it open holds none.
    pub(super) fn in_use(&self) -> Result<Option<String>, Error> {
        let shm = suffixed(&self.real, "-shm");
        for (path, bytes) in [(&self.real, MAIN_LOCKS), (&shm, SHM_LOCKS)] {
            let holder = match files::lock_holder(path, bytes) {
                Ok(holder) => holder,
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(source) => {
                    let path = path.clone();
                    return Err(Error::Io { path, source });
                }
            };
            if let Some(holder) = holder {
                let who = match holder.process {
                    Some(number) => format!("process {number}"),
                    None => "another process".to_owned(),
                };
                return Ok(Some(format!("it is in use by {who}: close the app first")));
            }
        }
        Ok(None)
    }
}

/// A private copy of these files; `path` is the one that the person knows.
pub(super) fn copy_of(files: &[(&str, &[u8])], path: &Path) -> Result<Private, Error> {
    Private::holding(files).map_err(|error| {
        let what = format!("a private copy of it can't be made: {error}");
        Error::Io {
            path: path.to_owned(),
            source: io::Error::new(error.kind(), what),
        }
    })
}

fn beside(connector: &'static str, real: &Path, suffix: &str) -> Result<Option<Loaded>, Error> {
    let path = suffixed(real, suffix);
    if path.exists() && !path.is_file() {
        return Err(Problem("it is no file".to_owned()).at(&path));
    }
    match place::load(connector, &path, MAX_FILE) {
        Ok(file) => Ok(Some(file)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Names in the private folder.
pub(super) const MAIN: &str = "db";
pub(super) const WAL: &str = "db-wal";
const JOURNAL: &str = "db-journal";

/// Caches and all, clients' databases have tens of megabytes.
const MAX_FILE: u64 = 512 << 20;

/// A store that changes each time is in use.
const ATTEMPTS: u32 = 3;

/// The last bytes of a journal that names a super-journal (SQLite, "Database file format", section 3).
pub(super) const SUPER_JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

const MAIN_LOCKS: std::ops::Range<u64> = 0x4000_0000..0x4000_0200;
const SHM_LOCKS: std::ops::Range<u64> = 120..129;

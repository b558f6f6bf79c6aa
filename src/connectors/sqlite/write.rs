//! Changes to a client's database: made in the copy, carried out by replacing one file.
//!
//! A rename replaces one file in one step, and no system does that for two. So exactly one file of the person's changes,
//! which makes every moment of it one at which a power failure leaves a whole database, the former or the new one:
//! - With something in the write-ahead log, the change is appended to the log (no checkpoint, neither by itself nor on
//!   closing), and only the `-wal` is replaced: the main file stays as it is, to the byte. A new log with an old main file is
//!   what every transaction of the app leaves, too.
//! - Without, the change is written through into the main file (a checkpoint that empties the log, where the database has
//!   that mode), and only that is replaced. An empty `-wal` beside it says nothing about it.
//! - With a hot journal nothing is written: it belongs to the main file as it is.
//!
//! The `-shm` is an index of the log. The first program that opens the database makes it anew, whatever is in it
//! (SQLite, `os_unix.c`, `unixLockSharedMemory`); while another has it open, nothing is written at all.

use std::{collections::BTreeSet, path::PathBuf};

use rusqlite::{
    config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, params_from_iter, types::Value,
};
use zeroize::Zeroizing;

use crate::{
    connectors::{
        Error, Prepared, WriteRequest,
        error::Problem,
        place::{self, Loaded},
        rewrite::target,
    },
    files,
    model::{Outcome, Plan, PlannedChange},
};

use super::{
    Database, Row,
    copy::{Files, MAIN, WAL},
    problem,
};

/// A transaction on the copy.
pub(crate) struct Writer {
    pub(super) database: Database,
    written: BTreeSet<&'static str>,
}

impl Database {
    /// Begins to change the copy.
    ///
    /// # Errors
    /// [`Error::NotWritable`] when a transaction of the app was interrupted.
    pub(crate) fn writer(self) -> Result<Writer, Error> {
        if self.files.as_ref().is_some_and(Files::has_hot_journal) {
            return Err(Error::NotWritable {
                path: self.path,
                detail: "the app was interrupted while it wrote (there is a -journal beside it): open and close the app once"
                    .to_owned(),
            });
        }
        let has_wal = self.files.as_ref().is_some_and(Files::has_wal);
        let begin = || {
            let connection = &self.connection;
            connection.set_db_config(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_wal)?;
            if !has_wal && !self.is_wal {
                // The copy needs none that could be replayed.
                connection.execute_batch("PRAGMA journal_mode = memory")?;
            }
            connection.execute_batch("BEGIN IMMEDIATE")
        };
        begin().map_err(|error| self.malformed(&error))?;
        Ok(Writer {
            database: self,
            written: BTreeSet::new(),
        })
    }
}

impl Writer {
    /// Puts texts into those of a row's columns that hold another. Returns whether any does.
    ///
    /// # Errors
    /// Why it can't be done. Nothing has changed then.
    pub(crate) fn update(
        &mut self,
        table: &'static str,
        row: &Row,
        texts: &[(&'static str, &str)],
    ) -> Result<bool, String> {
        let differs = |(column, text): &&(&'static str, &str)| {
            row.text(column).map(|held| held.as_str()) != Some(*text)
        };
        let texts: Vec<_> = texts.iter().filter(differs).collect();
        if texts.is_empty() {
            return Ok(false);
        }
        if let Some((column, _)) = texts.iter().find(|(column, _)| !row.has(column)) {
            return Err(format!("its table has no column \"{column}\""));
        }
        let set: Vec<_> = texts
            .iter()
            .map(|(column, _)| format!("\"{column}\" = ?"))
            .collect();
        let set = set.join(", ");
        let sql = format!("UPDATE \"{table}\" SET {set} WHERE rowid = {}", row.number);
        let texts = params_from_iter(texts.iter().map(|(_, text)| *text));
        self.execute(table, &sql, texts)?;
        Ok(true)
    }

    /// Adds a row and returns its rowid.
    ///
    /// # Errors
    /// Why it can't be done. Nothing has changed then.
    pub(crate) fn insert(
        &mut self,
        table: &'static str,
        values: &[(&'static str, Value)],
    ) -> Result<i64, String> {
        let names: Vec<_> = values
            .iter()
            .map(|(column, _)| format!("\"{column}\""))
            .collect();
        let places = vec!["?"; values.len()].join(", ");
        let names = names.join(", ");
        let sql = format!("INSERT INTO \"{table}\" ({names}) VALUES ({places})");
        self.execute(
            table,
            &sql,
            params_from_iter(values.iter().map(|(_, value)| value)),
        )?;
        Ok(self.database.connection.last_insert_rowid())
    }

    /// Whether anything changed so far.
    pub(crate) fn has_changes(&self) -> bool {
        !self.written.is_empty()
    }

    fn execute(
        &mut self,
        table: &'static str,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<(), String> {
        let connection = &self.database.connection;
        let told = |error: rusqlite::Error| problem(&error).0;
        connection.execute_batch("SAVEPOINT change").map_err(told)?;
        let changed = connection.execute(sql, values);
        if changed != Ok(1) {
            let taken_back = connection.execute_batch("ROLLBACK TO change; RELEASE change");
            taken_back.map_err(told)?;
            changed.map_err(told)?;
            return Err("its row can't be found again".to_owned());
        }
        connection.execute_batch("RELEASE change").map_err(told)?;
        self.written.insert(table);
        Ok(())
    }

    /// The plan to put what changed into the person's file.
    ///
    /// # Errors
    /// [`Error`] when the change can't be made to the copy.
    pub(crate) fn prepared(
        self,
        connector: &'static str,
        changes: Vec<PlannedChange>,
        mut notes: Vec<String>,
        request: &WriteRequest,
    ) -> Result<Box<dyn Prepared>, Error> {
        let (path, written, files) = self.finish()?;
        let plan = |notes| Plan {
            target: target(connector, &path),
            changes,
            notes,
        };
        let replacement = match (files, written) {
            (Some(files), Some(written)) => {
                notes.extend(files.in_use()?);
                let replacement = written.in_place_of(files)?;
                if replacement.is_wal {
                    notes.push(WAL_BACKUP.to_owned());
                }
                Some(replacement)
            }
            _ => None,
        };
        Ok(Box::new(Replacing {
            plan: plan(notes),
            replacement,
            now: request.now,
        }))
    }

    /// The changed database, for where it came from; `None` if nothing changed.
    ///
    /// # Errors
    /// [`Error`] when the change can't be made to the copy.
    pub(crate) fn into_bytes(self) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let (_, written, _) = self.finish()?;
        Ok(written.map(|written| written.main))
    }

    /// Ends the transaction and returns what the copy's files are then.
    fn finish(self) -> Result<(PathBuf, Option<Written>, Option<Files>), Error> {
        let Self { database, written } = self;
        let path = database.path;
        if written.is_empty() {
            return Ok((path, None, database.files));
        }
        let connection = database.connection;
        let has_wal = database.files.as_ref().is_some_and(Files::has_wal);
        let end = || -> rusqlite::Result<bool> {
            connection.execute_batch("COMMIT")?;
            let mut is_sound = true;
            for table in written {
                let sql = format!("PRAGMA quick_check(\"{table}\")");
                is_sound &=
                    connection.query_row(&sql, (), |row| Ok(row.get_ref(0)?.as_str()? == "ok"))?;
            }
            if !has_wal {
                connection.query_row("PRAGMA wal_checkpoint(truncate)", (), |_| Ok(()))?;
            }
            Ok(is_sound)
        };
        let at = |what: String| Problem(what).at(&path);
        if !end().map_err(|error| problem(&error).at(&path))? {
            return Err(at("the database is damaged".to_owned()));
        }
        connection
            .close()
            .map_err(|(_, error)| problem(&error).at(&path))?;
        let read = |name: &str| {
            let file = database.copy.file(name);
            files::read_bounded(&file, u64::MAX - 1).map_err(|source| Error::Io {
                path: path.clone(),
                source,
            })
        };
        let wal = if database.copy.file(WAL).exists() {
            read(WAL)?
        } else {
            Zeroizing::default()
        };
        let written = Written {
            main: read(MAIN)?,
            wal,
        };
        Ok((path, Some(written), database.files))
    }
}

/// The files of the copy, once it is closed.
struct Written {
    main: Zeroizing<Vec<u8>>,
    wal: Zeroizing<Vec<u8>>,
}

impl Written {
    /// Makes sure that one file changed, and only one.
    fn in_place_of(self, files: Files) -> Result<Replacement, Error> {
        let main_is_same = self.main.as_slice() == files.main.bytes();
        let former_wal = files.wal.as_ref().map_or(&[][..], Loaded::bytes);
        let wal_is_same = self.wal.as_slice() == former_wal;
        let (contents, is_wal) = match (main_is_same, wal_is_same) {
            (false, true) => (self.main, false),
            (true, false) if files.has_wal() => (self.wal, true),
            _ => {
                return Err(Error::NotWritable {
                    path: files.main.path().to_owned(),
                    detail: "more than one of its files would change: open and close the app once"
                        .to_owned(),
                });
            }
        };
        Ok(Replacement {
            files,
            contents,
            is_wal,
        })
    }
}

/// What takes the place of which file.
struct Replacement {
    files: Files,
    contents: Zeroizing<Vec<u8>>,
    /// The `-wal`, else the main file.
    is_wal: bool,
}

struct Replacing {
    plan: Plan,
    replacement: Option<Replacement>,
    now: jiff::Timestamp,
}

impl Prepared for Replacing {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn apply(self: Box<Self>) -> Result<Outcome, Error> {
        let backup = match &self.replacement {
            Some(replacement) => Some(replacement.carry_out(self.now)?),
            None => None,
        };
        Ok(Outcome {
            plan: self.plan,
            backup,
        })
    }
}

impl Replacement {
    fn carry_out(&self, now: jiff::Timestamp) -> Result<PathBuf, Error> {
        let path = self.files.main.path();
        if let Some(detail) = self.files.in_use()? {
            let path = path.to_owned();
            return Err(Error::NotWritable { path, detail });
        }
        if !self.files.are_unchanged()? {
            return Err(Error::Changed {
                path: path.to_owned(),
            });
        }
        match &self.files.wal {
            Some(wal) if self.is_wal => place::replace(wal, &self.contents, now),
            _ => place::replace(&self.files.main, &self.contents, now),
        }
    }
}

/// What a backup of the log alone is good for.
const WAL_BACKUP: &str = "the change is in the -wal file, and so is the backup: it can be put back until the app is opened \
                          again, not later";

//! Reading a dump from its beginning to its end.

use std::{
    io::BufRead,
    path::{Path, PathBuf},
};

use crate::{
    connectors::mastodon::{
        APPS, APPS_TABLE, Column, Names, STEP, TABLES, TOKENS, TOKENS_TABLE, USERS, USERS_TABLE,
        text,
    },
    model::Domain,
    progress::{Progress, Silent},
};

use super::{
    Error, Started,
    header::{Bodies, Copy},
    kept::Kept,
    lines::{Came, END_OF_ROWS, Lines},
    text::{fields, id, int},
};

/// What a dump holds of tokens and what belongs to them.
pub struct Dump {
    pub(super) path: PathBuf,
    pub(super) started: Option<Started>,
    pub(super) instance: Option<Domain>,
    pub(super) apps: Kept<12>,
    pub(super) users: Kept<3>,
    pub(super) tokens: Kept<9>,
    pub(super) names: Names,
    /// How it ends, if too early.
    pub(super) cut: Option<String>,
    /// The tables that came whole.
    whole: [bool; 4],
}

impl Dump {
    /// When it was begun, where it says so.
    pub fn started(&self) -> Option<&Started> {
        self.started.as_ref()
    }

    /// The instance that it is of, where it says so: from Mastodon 3.2 the server's own actor is the account -99, whose
    /// name is the LOCAL_DOMAIN.
    pub fn instance(&self) -> Option<&Domain> {
        self.instance.as_ref()
    }

    /// How it ends, where it ends too early.
    pub fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }

    /// How many apps, accounts and tokens came.
    #[cfg(test)]
    pub(super) fn counts(&self) -> [u64; 3] {
        [self.apps.len(), self.users.len(), self.tokens.len()].map(|count| count as u64)
    }

    /// Some of the tokens with their row keys, spread over all of them.
    pub fn sample(&self, most: usize) -> impl Iterator<Item = (u64, &str)> {
        let step = self.tokens.len().div_ceil(most.max(1)).max(1);
        let rows = self.tokens.rows().step_by(step);
        rows.filter_map(|(key, fields)| Some((key, text(fields[TOKEN_FIELD])?)))
    }

    /// Whether all rows of the table came.
    pub(super) fn has_whole(&self, table: &str) -> bool {
        let mut tables = TABLES.iter().zip(self.whole);
        tables.any(|((name, _), is_whole)| *name == table && is_whole)
    }

    /// Whether all rows that are wanted came.
    pub(super) fn is_whole(&self) -> bool {
        self.whole == [true; 4]
    }

    /// Reads the text of a dump. What comes after an early end is not there; the rows before it are.
    ///
    /// # Errors
    /// [`Error`] when it is no dump, of something else, malformed, or ends before anything that is wanted.
    pub(super) fn read(
        path: &Path,
        reader: impl BufRead,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let mut reading = Reading {
            lines: Lines::new(reader),
            dump: Self {
                path: path.to_owned(),
                started: None,
                instance: None,
                apps: Kept::default(),
                users: Kept::default(),
                tokens: Kept::default(),
                names: Names::default(),
                cut: None,
                whole: [false; 4],
            },
            schema: None,
            lacking: None,
            bodies: Bodies::default(),
            is_dump: false,
            progress,
            rows: 0,
        };
        progress.start("reading the dump", None);
        let ended = reading.run();
        progress.finish();
        ended?;
        reading.finish()
    }
}

struct Reading<'p, R> {
    lines: Lines<R>,
    dump: Dump,
    /// The schema whose tables are taken.
    schema: Option<String>,
    /// Why a table of the right name was not taken.
    lacking: Option<String>,
    bodies: Bodies,
    is_dump: bool,
    progress: &'p dyn Progress,
    rows: u64,
}

/// Why reading stops.
enum Stop {
    /// Nothing more comes.
    Cut(String),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Cut(error.to_string())
    }
}

impl<R: BufRead> Reading<'_, R> {
    fn run(&mut self) -> Result<(), Error> {
        match self.statements() {
            Ok(()) => Ok(()),
            Err(Stop::Cut(why)) => {
                self.dump.cut = Some(why);
                Ok(())
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// What stands between rows, up to the end.
    fn statements(&mut self) -> Result<(), Stop> {
        let mut is_complete = false;
        loop {
            match self.lines.next()? {
                Came::Line => {}
                Came::TooLong => self.lines.skip()?,
                Came::End if is_complete => return Ok(()),
                Came::End => return Err(Stop::Cut(NO_LAST_LINE.to_owned())),
            }
            if !self.is_dump && self.lines.number() > MAX_LINES_BEFORE {
                return Err(Error::NotADump { path: self.path() }.into());
            }
            let line = self.lines.line();
            if self.bodies.take(line) {
                continue;
            }
            if line.starts_with(b"COPY ") && line.ends_with(b" FROM stdin;") {
                self.is_dump = true;
                let copy = Copy::parse(line);
                self.table(copy)?;
            } else if line.starts_with(b"INSERT INTO ") {
                // What people wrote may stand in lines of its own there, and look like anything.
                return Err(Error::Inserts { path: self.path() }.into());
            } else if let Some(comment) = line.strip_prefix(b"-- ") {
                is_complete |= comment == b"PostgreSQL database dump complete";
                // pg_dumpall writes one behind the other.
                is_complete &= comment != b"PostgreSQL database dump";
                self.is_dump |= comment.starts_with(b"PostgreSQL database ");
                if let Some(started) = comment.strip_prefix(b"Started on ")
                    && self.dump.started.is_none()
                {
                    let started = std::str::from_utf8(started).unwrap_or_default();
                    self.dump.started = Started::parse(started);
                }
            } else if let Some(encoding) = line.strip_prefix(b"SET client_encoding = ")
                && !ENCODINGS.contains(&encoding)
            {
                return Err(Error::Encoding { path: self.path() }.into());
            }
        }
    }

    /// The rows of one table.
    fn table(&mut self, copy: Option<Copy>) -> Result<(), Stop> {
        let Some((at, copy)) = self.wanted(copy)? else {
            if self.lines.skip_rows()? {
                return Ok(());
            }
            return Err(self.within_rows());
        };
        match copy.table.as_str() {
            APPS_TABLE => self.rows(&copy, &names(&APPS), |dump, row: [_; 12]| {
                dump.apps.push(id(row[0])?, row);
                Some(())
            })?,
            USERS_TABLE => self.rows(&copy, &names(&USERS), |dump, row: [_; 3]| {
                dump.users.push(id(row[0])?, row);
                Some(())
            })?,
            TOKENS_TABLE => self.rows(&copy, &names(&TOKENS), |dump, row: [_; 9]| {
                dump.tokens.push(id(row[0])?, row);
                Some(())
            })?,
            _ => self.rows(&copy, &ACCOUNTS, |dump, [key, name, domain]| {
                dump.account(int(key)?, name, domain.is_some());
                Some(())
            })?,
        }
        if let Some(whole) = self.dump.whole.get_mut(at) {
            *whole = true;
        }
        Ok(())
    }

    /// Which of the four tables this is, if any; rows of one in another schema give way to those in `public`.
    fn wanted(&mut self, copy: Option<Copy>) -> Result<Option<(usize, Copy)>, Error> {
        let Some(copy) = copy else { return Ok(None) };
        let mut tables = TABLES.iter().enumerate();
        let Some((at, (table, needed))) = tables.find(|(_, (name, _))| *name == copy.table) else {
            return Ok(None);
        };
        let is_there = |column: &str| copy.columns.iter().any(|there| there == column);
        if let Some(column) = needed.iter().find(|column| !is_there(column)) {
            self.lacking = Some(format!("no column {table}.{column}"));
            return Ok(None);
        }
        match &self.schema {
            None => self.schema = Some(copy.schema.clone()),
            Some(known) if *known == copy.schema => {
                if self.dump.has_whole(table) {
                    return Err(Error::Several {
                        path: self.path(),
                        table,
                    });
                }
            }
            Some(known) if known == PUBLIC => return Ok(None),
            Some(_) if copy.schema == PUBLIC => {
                self.schema = Some(copy.schema.clone());
                self.dump.forget_rows();
            }
            Some(_) => {
                return Err(Error::Several {
                    path: self.path(),
                    table,
                });
            }
        }
        Ok(Some((at, copy)))
    }

    /// Gives each row's wanted fields to `take`, up to the end of the table.
    fn rows<const N: usize>(
        &mut self,
        copy: &Copy,
        wanted: &[&str; N],
        mut take: impl FnMut(&mut Dump, [Option<&[u8]>; N]) -> Option<()>,
    ) -> Result<(), Stop> {
        let slots: Vec<Option<usize>> = copy
            .columns
            .iter()
            .map(|column| wanted.iter().position(|wanted| wanted == column))
            .collect();
        let malformed = |number: u64, path: PathBuf, what: &str| {
            Stop::Failed(Error::Malformed {
                path,
                detail: format!("line {number}: {what} {}", copy.table),
            })
        };
        loop {
            match self.lines.next()? {
                Came::Line => {}
                Came::TooLong => {
                    let number = self.lines.number();
                    return Err(malformed(
                        number,
                        self.path(),
                        "this is too long for a row of",
                    ));
                }
                Came::End => return Err(self.within_rows()),
            }
            let number = self.lines.number();
            let line = self.lines.line();
            if line == END_OF_ROWS {
                break;
            }
            let taken = fields::<N>(line, &slots).and_then(|row| take(&mut self.dump, row));
            if taken.is_none() {
                return Err(malformed(number, self.path(), "this is no row of"));
            }
            self.rows += 1;
            if self.rows.is_multiple_of(64) {
                self.dump.check_size()?;
            }
            if self.rows.is_multiple_of(STEP) {
                self.progress.at(self.rows);
                self.dump.check_size()?;
            }
        }
        Ok(())
    }

    fn within_rows(&self) -> Stop {
        Stop::Cut("it ends within the rows of a table".to_owned())
    }

    fn path(&self) -> PathBuf {
        self.dump.path.clone()
    }

    /// Everything has come.
    fn finish(self) -> Result<Dump, Error> {
        let path = self.path();
        let mut dump = self.dump;
        if !self.is_dump {
            return Err(match dump.cut {
                // What can't be unpacked is told as it is.
                Some(why) if why != NO_LAST_LINE => Error::Cut { path, why },
                _ => Error::NotADump { path },
            });
        }
        if !dump.is_whole() {
            if let Some(why) = dump.cut.clone() {
                if dump.apps.len() + dump.tokens.len() == 0 {
                    return Err(Error::Cut { path, why });
                }
            } else {
                let missing = TABLES.iter().find(|(table, _)| !dump.has_whole(table));
                let missing = missing.map(|(table, _)| format!("no rows of a table {table}"));
                let missing = self.lacking.or(missing).unwrap_or_default();
                return Err(Error::NotMastodon { path, missing });
            }
        }
        let twice = [
            (APPS_TABLE, dump.apps.sort()),
            (USERS_TABLE, dump.users.sort()),
            (TOKENS_TABLE, dump.tokens.sort()),
        ];
        if let Some((table, Some(key))) = twice.iter().find(|(_, twice)| twice.is_some()) {
            let key = key.cast_signed();
            return Err(Error::Malformed {
                path,
                detail: format!("row {key} of {table} comes twice"),
            });
        }
        dump.names = dump.names.sorted();
        Ok(dump)
    }
}

impl Dump {
    /// A row of `accounts`. Only those of this server have users; the others are the larger part by far.
    fn account(&mut self, key: i64, name: Option<&[u8]>, is_remote: bool) {
        let name = text(name).filter(|name| !name.is_empty() && !is_remote);
        let Some(name) = name else { return };
        if key == INSTANCE_ACTOR && name.contains('.') {
            self.instance = Domain::parse(name).ok();
        }
        self.names.push(key, name);
    }

    /// What came so far is of another schema.
    fn forget_rows(&mut self) {
        self.apps = Kept::default();
        self.users = Kept::default();
        self.tokens = Kept::default();
        self.names = Names::default();
        self.instance = None;
        self.whole = [false; 4];
    }

    fn check_size(&self) -> Result<(), Error> {
        let rows = self.apps.bytes() + self.users.bytes() + self.tokens.bytes();
        let bytes = rows + self.names.bytes() as u64;
        if bytes <= MAX_BYTES {
            return Ok(());
        }
        Err(Error::TooLarge {
            path: self.path.clone(),
        })
    }
}

/// Reads bytes as a dump and lets it go: what a hostile file may hold.
#[doc(hidden)]
pub fn read_as_dump(bytes: &[u8]) {
    drop(Dump::read(Path::new("-"), bytes, &Silent));
}

fn names<const N: usize>(columns: &[Column; N]) -> [&'static str; N] {
    columns.map(|(name, _)| name)
}

/// Why a text that simply ends counts as cut.
pub(super) const NO_LAST_LINE: &str = "its last line is missing";
/// What is read of an account.
const ACCOUNTS: [&str; 3] = ["id", "username", "domain"];
/// The account that is the server's own.
const INSTANCE_ACTOR: i64 = -99;
/// Where the text of a token stands among its fields.
const TOKEN_FIELD: usize = 3;
/// The schema that Mastodon's tables are in, unless somebody moved them.
const PUBLIC: &str = "public";
/// Encodings whose texts are read as UTF-8; what is none in them is told.
const ENCODINGS: [&[u8]; 2] = [b"'UTF8';", b"'SQL_ASCII';"];
/// A dump says within so many lines that it is one.
const MAX_LINES_BEFORE: u64 = 1_000;
/// Thirty million tokens.
const MAX_BYTES: u64 = 4 << 30;

#[cfg(test)]
mod tests;

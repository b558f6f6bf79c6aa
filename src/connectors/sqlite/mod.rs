//! The one door to clients' SQLite databases: rows out of a private copy, and changes back into the person's file.
//!
//! A database that belongs to an app is never opened, not even for reading: SQLite would make files beside it, replay a
//! journal, or empty the write-ahead log. All its files are copied together to a private folder, and the copy is opened.
//!
//! The database may be hostile. Its header is checked before SQLite sees it; its schema is not trusted, has no triggers
//! and views, and only real tables are read, by the names of their columns; the number of rows and the length of values
//! are bounded. SQLite's own messages may quote what is in a database: none is shown, only what its codes mean.

mod copy;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    config::DbConfig::{
        self, SQLITE_DBCONFIG_DEFENSIVE, SQLITE_DBCONFIG_DQS_DDL, SQLITE_DBCONFIG_DQS_DML,
        SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_ENABLE_VIEW,
        SQLITE_DBCONFIG_TRUSTED_SCHEMA,
    },
    limits::Limit,
    types::ValueRef,
};
use zeroize::Zeroizing;

use crate::{
    connectors::{Error, error::Problem, store::Text},
    files::Private,
    model::{Completeness, Snapshot},
};

use copy::{Files, MAIN, copy_of};

pub(crate) use rusqlite::types::Value;
pub(crate) use write::Writer;

/// A copy of a client's database, open.
pub(crate) struct Database {
    // Closed before the folder is wiped: fields are dropped in this order.
    connection: Connection,
    copy: Private,
    path: PathBuf,
    /// The person's files; `None` for what came out of another file.
    files: Option<Files>,
    is_wal: bool,
}

impl Database {
    /// Opens a copy of the database at `path`, with what stands in its write-ahead log; a transaction that was
    /// interrupted is rolled back in the copy.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no file, [`Error::Malformed`] for what is no intact SQLite database.
    pub(crate) fn open(connector: &'static str, path: &Path) -> Result<Self, Error> {
        let files = Files::read(connector, path)?;
        let is_wal = check(files.main.bytes()).map_err(|problem| problem.at(path))?;
        let copy = files.copy()?;
        Self::opened(copy, path, Some(files), is_wal)
    }

    /// Opens a copy of a database that was inside another file, `path`.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub(crate) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let is_wal = check(bytes).map_err(|problem| problem.at(path))?;
        let copy = copy_of(&[(MAIN, bytes)], path)?;
        Self::opened(copy, path, None, is_wal)
    }

    fn opened(
        copy: Private,
        path: &Path,
        files: Option<Files>,
        is_wal: bool,
    ) -> Result<Self, Error> {
        let connection = connected(&copy.file(MAIN)).map_err(|error| problem(&error).at(path))?;
        Ok(Self {
            connection,
            copy,
            path: path.to_owned(),
            files,
            is_wal,
        })
    }

    /// Says so where newer contents may be missing: the database is in write-ahead mode, and there is no log with it. So
    /// it is after its app was closed properly, too; but what is missing then ends nothing.
    pub(crate) fn tell_age(&self, snapshot: &mut Snapshot) {
        if self.may_be_older() {
            snapshot.completeness = Completeness::Partial;
            snapshot.warn(
                "its write-ahead log is missing: unless the app was closed, what it wrote last is not in there; copy the \
                 database together with the file of the same name that ends in -wal",
            );
        }
    }

    /// Whether the database is in write-ahead mode and has no log with it.
    pub(crate) fn may_be_older(&self) -> bool {
        self.is_wal && self.files.as_ref().is_none_or(|files| files.wal.is_none())
    }

    /// Whether it has a table of this name, no view and no virtual table.
    pub(crate) fn has_table(&self, name: &str) -> Result<bool, Error> {
        let sql = "SELECT count(*), min(type = 'table' AND rootpage > 0 AND sql LIKE 'CREATE TABLE%') \
                   FROM sqlite_schema WHERE lower(name) = lower(?1) AND type IN ('table', 'view')";
        let found = self.connection.query_row(sql, [name], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<bool>>(1)?))
        });
        let found = found.map_err(|error| self.malformed(&error))?;
        Ok(found == (1, Some(true)))
    }

    /// The columns of a table as they are spelled; none where there is no such table. Computed ones are left out.
    pub(crate) fn columns(&self, table: &str) -> Result<Vec<String>, Error> {
        if !self.has_table(table)? {
            return Ok(Vec::new());
        }
        let columns = || -> rusqlite::Result<Vec<String>> {
            let sql = "SELECT name FROM pragma_table_info(?1) LIMIT ?2";
            let mut statement = self.connection.prepare(sql)?;
            let names = statement.query_map((table, MAX_COLUMNS), |row| {
                Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned())
            })?;
            names.collect()
        };
        columns().map_err(|error| self.malformed(&error))
    }

    /// Makes sure that it has this table with these columns: that it is the database of the client that is meant.
    ///
    /// # Errors
    /// [`Error::Malformed`] when one is missing.
    pub(crate) fn require(&self, table: &str, columns: &[&str]) -> Result<(), Error> {
        let there = self.columns(table)?;
        if there.is_empty() {
            return Err(Problem(format!("it has no table \"{table}\"")).at(&self.path));
        }
        if ["rowid", "oid", "_rowid_"]
            .iter()
            .any(|name| has_column(&there, name))
        {
            // Its rows could not be told apart by their numbers.
            let what = format!("its table \"{table}\" has a column with the name of SQLite's own");
            return Err(Problem(what).at(&self.path));
        }
        let missing = columns.iter().find(|column| !has_column(&there, column));
        match missing {
            Some(column) => {
                let what = format!("its table \"{table}\" has no column \"{column}\"");
                Err(Problem(what).at(&self.path))
            }
            None => Ok(()),
        }
    }

    /// The rows of a table in the order of their numbers, with those of these columns that it has.
    ///
    /// # Errors
    /// [`Error::Malformed`] when there is no such table, when a page of it is damaged, when it holds more than anybody
    /// has accounts.
    pub(crate) fn rows(
        &self,
        table: &'static str,
        columns: &[&'static str],
    ) -> Result<Vec<Row>, Error> {
        self.require(table, &[])?;
        let there = self.columns(table)?;
        let columns = columns.iter().copied();
        let columns: Vec<_> = columns
            .filter(|column| has_column(&there, column))
            .collect();
        let rows = self.select(table, &columns);
        let rows = rows.map_err(|error| self.malformed(&error))?;
        if rows.len() > MAX_ROWS {
            let what = format!("its table \"{table}\" has more than {MAX_ROWS} rows");
            return Err(Problem(what).at(&self.path));
        }
        Ok(rows)
    }

    fn select(&self, table: &str, columns: &[&'static str]) -> rusqlite::Result<Vec<Row>> {
        let quoted = columns.iter().map(|name| format!("\"{name}\""));
        let names: Vec<_> = std::iter::once("rowid".to_owned()).chain(quoted).collect();
        let (names, limit) = (names.join(", "), MAX_ROWS + 1);
        let sql = format!("SELECT {names} FROM \"{table}\" ORDER BY rowid LIMIT {limit}");
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map((), |row| {
            let number = row.get(0)?;
            let values = columns.iter().zip(1..).map(|(column, at)| {
                let value = Cell::of(row.get_ref(at)?);
                Ok((*column, value))
            });
            let values = values.collect::<rusqlite::Result<_>>()?;
            Ok(Row { number, values })
        })?;
        rows.collect()
    }

    fn malformed(&self, error: &rusqlite::Error) -> Error {
        problem(error).at(&self.path)
    }
}

/// A row of a table.
pub(crate) struct Row {
    /// Its rowid.
    number: i64,
    values: Vec<(&'static str, Cell)>,
}

/// A value of a row.
enum Cell {
    Null,
    Integer(i64),
    Text(Text),
    /// A number that is not whole, a blob, or text that is no UTF-8.
    Other,
}

impl Cell {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(Zeroizing::new(text.to_owned())),
                Err(_) => Self::Other,
            },
            ValueRef::Real(_) | ValueRef::Blob(_) => Self::Other,
        }
    }
}

impl Row {
    /// Whether the table has this column.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.cell(column).is_some()
    }

    /// The text of a column; `None` where there is none.
    pub(crate) fn text(&self, column: &str) -> Option<&Text> {
        match self.cell(column)? {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number of a column.
    pub(crate) fn integer(&self, column: &str) -> Option<i64> {
        match self.cell(column)? {
            Cell::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The first of these columns that holds something, but no text.
    pub(crate) fn not_text(&self, columns: &[&'static str]) -> Option<&'static str> {
        let is_wrong = |column: &&&str| {
            let cell = self.cell(column);
            cell.is_some_and(|cell| !matches!(cell, Cell::Text(_) | Cell::Null))
        };
        columns.iter().find(is_wrong).copied()
    }

    fn cell(&self, column: &str) -> Option<&Cell> {
        let values = &mut self.values.iter();
        values
            .find(|(name, _)| *name == column)
            .map(|(_, cell)| cell)
    }
}

fn has_column(there: &[String], column: &str) -> bool {
    there.iter().any(|name| name.eq_ignore_ascii_case(column))
}

/// Makes sure that these are the first pages of a SQLite database (SQLite, "Database file format", section 1.3), and
/// returns whether it is in write-ahead mode.
fn check(bytes: &[u8]) -> Result<bool, Problem> {
    let no = |what: &str| Err(Problem(what.to_owned()));
    if bytes.is_empty() {
        return no("it is empty");
    }
    if !bytes.starts_with(MAGIC) {
        return no("it is no SQLite database, or an encrypted one");
    }
    let Some(header) = bytes.first_chunk::<100>() else {
        return no("it ends within the header of a SQLite database");
    };
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        high,
        low,
        write,
        read,
        _,
        most,
        least,
        leaf,
        ..,
    ] = *header;
    let page = match u16::from_be_bytes([high, low]) {
        1 => 1 << 16,
        size => usize::from(size),
    };
    let is_sound = page.is_power_of_two()
        && page >= 512
        && (1..=2).contains(&write)
        && (1..=2).contains(&read)
        && (most, least, leaf) == (64, 32, 32);
    if !is_sound {
        return no("its header is not that of a SQLite database");
    }
    if bytes.len() < page {
        return no("it ends within its first page");
    }
    Ok(read == 2)
}

/// Opens the copy as what it is: somebody else's.
fn connected(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    for (setting, value) in SETTINGS {
        connection.set_db_config(*setting, *value)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    // Locked for ourselves, a log is read without a `-shm`; nothing is spilled to other files. Only the person's file
    // has to be durable. What is deleted is not to be found again.
    connection.execute_batch(
        "PRAGMA locking_mode = exclusive; PRAGMA temp_store = memory; PRAGMA cell_size_check = on; \
         PRAGMA synchronous = off; PRAGMA secure_delete = on; PRAGMA wal_autocheckpoint = 0",
    )?;
    Ok(connection)
}

/// What an error means, without what it quotes.
fn problem(error: &rusqlite::Error) -> Problem {
    Problem(match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the database is damaged".to_owned()
        }
        Some(ErrorCode::TooBig) => format!("it holds a value of more than {MAX_VALUE} bytes"),
        Some(ErrorCode::DiskFull) => "there is no room for a private copy of it".to_owned(),
        _ => match error.sqlite_extended_error_code() {
            Some(code) => format!("SQLite says: {}", rusqlite::ffi::code_to_str(code)),
            None => "it is not what its schema says".to_owned(),
        },
    })
}

const SETTINGS: &[(DbConfig, bool)] = &[
    (SQLITE_DBCONFIG_DEFENSIVE, true),
    (SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    (SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
    (SQLITE_DBCONFIG_ENABLE_VIEW, false),
    (SQLITE_DBCONFIG_DQS_DML, false),
    (SQLITE_DBCONFIG_DQS_DDL, false),
];

/// How every SQLite database begins.
pub(crate) const MAGIC: &[u8] = b"SQLite format 3\0";

/// An account with all its custom emoji has some hundred kilobytes.
const MAX_VALUE: i32 = 8 << 20;

/// Nobody has as many accounts.
const MAX_ROWS: usize = 10_000;

/// SQLite's own bound.
const MAX_COLUMNS: i64 = 2_000;

//! Chromium's local storage on disk: a LevelDB, read without touching it.
//!
//! Evidence: Chromium, `components/services/storage/dom_storage/local_storage_impl.cc` (keys `VERSION`, `META:…`,
//! `METAACCESS:…`, and `_<origin>` NUL `<key>`; a string is one byte, 0 for UTF-16 in little-endian order, 1 for Latin-1,
//! and then its units), and Google's LevelDB for the files.
//!
//! A LevelDB rewrites its files even when it is only read, and locks them: its files are read into memory, and the database
//! is opened there. Nothing is written to any disk.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    rc::Rc,
};

use rusty_leveldb::{DB, LdbIterator, MemEnv, Options, env::Env};
use zeroize::Zeroizing;

use crate::{
    connectors::{Error, error::Problem, place, store::Text},
    files,
};

/// The keys and texts of each origin.
pub(super) type Origins = BTreeMap<String, BTreeMap<String, Text>>;

/// Reads what every origin keeps.
///
/// # Errors
/// [`Error::NotFound`] when there is no database in the folder, [`Error::Malformed`] for a damaged one.
pub(super) fn read(connector: &'static str, folder: &Path) -> Result<Origins, Error> {
    let options = in_memory(connector, folder)?;
    // The package asserts what a damaged block makes untrue.
    let read = catch_unwind(AssertUnwindSafe(|| origins(options)));
    let damaged = || Problem("the LevelDB is damaged, or not one of Chromium's".to_owned());
    read.ok().flatten().ok_or_else(|| damaged().at(folder))
}

/// Whether a program has the database open.
pub(super) fn is_open(folder: &Path) -> bool {
    files::lock_holder(&folder.join("LOCK"), 0..u64::MAX).is_ok_and(|holder| holder.is_some())
}

/// The files of the database, in memory.
fn in_memory(connector: &'static str, folder: &Path) -> Result<Options, Error> {
    let memory = MemEnv::new();
    let mut left = MAX_BYTES;
    let mut has_current = false;
    for path in place::entries(folder)? {
        let name = place::file_name(&path);
        let is_log = name.starts_with("LOG");
        if name == "LOCK" || is_log || !path.is_file() {
            continue;
        }
        let file = place::load(connector, &path, left)?;
        left = left.saturating_sub(file.bytes().len() as u64);
        has_current |= name == "CURRENT";
        let written = memory
            .open_writable_file(&Path::new(NAME).join(name))
            .map_err(|_| ())
            .and_then(|mut to| to.write_all(file.bytes()).map_err(|_| ()));
        if written.is_err() {
            return Err(Problem("it can't be held in memory".to_owned()).at(folder));
        }
    }
    if !has_current {
        return Err(Error::NotFound {
            connector,
            path: folder.to_owned(),
        });
    }
    Ok(Options {
        env: Rc::new(Box::new(memory)),
        create_if_missing: false,
        paranoid_checks: true,
        ..Options::default()
    })
}

fn origins(options: Options) -> Option<Origins> {
    let mut database = DB::open(NAME, options).ok()?;
    let mut rows = database.new_iter().ok()?;
    let mut origins = Origins::new();
    let mut version = None;
    while rows.advance() {
        let (key, value) = rows.current()?;
        if *key == *b"VERSION" {
            version = Some(value.to_vec());
        }
        let Some(key) = key.strip_prefix(b"_") else {
            continue;
        };
        let Some(end) = key.iter().position(|byte| *byte == 0) else {
            continue;
        };
        let (origin, key) = key.split_at(end);
        let (Ok(origin), Some(key)) = (str::from_utf8(origin), text(key.get(1..)?)) else {
            continue;
        };
        // A key with a value that is no string is of no client known here.
        if let Some(value) = text(&value) {
            let keys = origins.entry(origin.to_owned()).or_default();
            keys.insert(key.as_str().to_owned(), value);
        }
    }
    (version? == b"1").then_some(origins)
}

/// A string as Chromium stores it.
fn text(bytes: &[u8]) -> Option<Text> {
    let (kind, bytes) = bytes.split_first()?;
    let text = match kind {
        0 => {
            if bytes.len() % 2 != 0 {
                return None;
            }
            let units = bytes.chunks_exact(2).map(|unit| {
                let unit = [0, 1].map(|at| unit.get(at).copied().unwrap_or_default());
                u16::from_le_bytes(unit)
            });
            char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
        _ => return None,
    };
    Some(Zeroizing::new(text))
}

/// What the database is called in memory.
const NAME: &str = "db";

/// A local storage holds at most 10 MB an origin.
const MAX_BYTES: u64 = 256 << 20;

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

use super::table;
use crate::{
    connectors::{Error, error::Problem, place, store::Text},
    files,
};

/// What every origin keeps.
pub(super) struct Storage {
    /// The keys and texts of each.
    pub(super) origins: BTreeMap<String, BTreeMap<String, Text>>,
    /// Whether nothing in the logs is damaged. The package reads one up to the damage, without a word.
    pub(super) is_whole: bool,
}

/// Reads what every origin keeps.
///
/// # Errors
/// [`Error::NotFound`] when there is no database in the folder, [`Error::Malformed`] for a damaged one.
pub(super) fn read(connector: &'static str, folder: &Path) -> Result<Storage, Error> {
    let (options, is_whole) = in_memory(connector, folder)?;
    // The package asserts what a damaged block makes untrue.
    let read = catch_unwind(AssertUnwindSafe(|| origins(options)));
    let damaged = || Problem("the LevelDB is damaged, or not one of Chromium's".to_owned());
    let origins = read.ok().flatten();
    let origins = origins.ok_or_else(|| damaged().at(folder))?;
    Ok(Storage { origins, is_whole })
}

/// Whether a program has the database open.
pub(super) fn is_open(folder: &Path) -> bool {
    files::lock_holder(&folder.join("LOCK"), 0..u64::MAX).is_ok_and(|holder| holder.is_some())
}

/// The files of the database, in memory, and whether its logs are whole.
fn in_memory(connector: &'static str, folder: &Path) -> Result<(Options, bool), Error> {
    let memory = MemEnv::new();
    let mut left = MAX_BYTES;
    let mut has_current = false;
    let mut all_whole = true;
    for path in place::entries(folder)? {
        let name = place::file_name(&path);
        let is_log = name.starts_with("LOG");
        if name == "LOCK" || is_log || !path.is_file() {
            continue;
        }
        let file = place::load(connector, &path, left)?;
        left = left.saturating_sub(file.bytes().len() as u64);
        let is_table = path
            .extension()
            .is_some_and(|end| end == "ldb" || end == "sst");
        if is_table && !table::is_sound(file.bytes()) {
            // A table that the database is made of is then missing; another, what a crash left, is not needed.
            continue;
        }
        has_current |= name == "CURRENT";
        if path.extension().is_some_and(|end| end == "log") || name.starts_with("MANIFEST") {
            all_whole &= is_whole(file.bytes());
        }
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
    let options = Options {
        env: Rc::new(Box::new(memory)),
        create_if_missing: false,
        ..Options::default()
    };
    Ok((options, all_whole))
}

/// Whether a log can be read to its end (LevelDB, `doc/log_format.md`: blocks of 32 KiB; a record has a checksum, a
/// length of two bytes, a type, and never leaves its block, whose last six bytes may be unused).
fn is_whole(log: &[u8]) -> bool {
    log.chunks(BLOCK).all(|mut block| {
        while let Some((header, rest)) = block.split_at_checked(HEADER) {
            let &[c0, c1, c2, c3, low, high, kind] = header else {
                return false;
            };
            let length = usize::from(u16::from_le_bytes([low, high]));
            let Some((data, rest)) = rest.split_at_checked(length) else {
                return false;
            };
            if header.iter().all(|byte| *byte == 0) {
                // Room that was set aside and not used.
                return rest.iter().all(|byte| *byte == 0);
            }
            if checksum(&[&[kind], data]) != [c0, c1, c2, c3] {
                return false;
            }
            block = rest;
        }
        block.iter().all(|byte| *byte == 0)
    })
}

/// The checksum of these parts, as it is stored.
pub(super) fn checksum(parts: &[&[u8]]) -> [u8; 4] {
    let parts = parts.iter();
    let checksum = parts.fold(0, |sum, part| crc32c::crc32c_append(sum, part));
    checksum.rotate_right(15).wrapping_add(MASK).to_le_bytes()
}

fn origins(options: Options) -> Option<BTreeMap<String, BTreeMap<String, Text>>> {
    let mut database = DB::open(NAME, options).ok()?;
    let mut rows = database.new_iter().ok()?;
    let mut origins: BTreeMap<String, BTreeMap<String, Text>> = BTreeMap::new();
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

/// The unit of a log, the length of a record's header, and what is added to checksums (LevelDB, `util/crc32c.h`).
const BLOCK: usize = 32 << 10;
const HEADER: usize = 7;
const MASK: u32 = 0xa282_ead8;

/// What the database is called in memory.
const NAME: &str = "db";

/// A local storage holds at most 10 MB an origin.
const MAX_BYTES: u64 = 256 << 20;

//! The zip that Fedilab exports: its settings, then its database. The app imports one with the settings first, and stops
//! at an entry of any other name. What of it doesn't change is copied as it is, compressed.

use std::io::{Cursor, Read, Write};

use zeroize::Zeroizing;
use zip::{ZipArchive, ZipWriter, read::ZipFile, result::ZipError, write::SimpleFileOptions};

use crate::connectors::error::Problem;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// An export, and which of its entries is what.
pub(super) struct Export<'a> {
    archive: Archive<'a>,
    /// The bytes of the whole.
    length: usize,
    database: usize,
    settings: Option<usize>,
}

impl<'a> Export<'a> {
    /// Whether this begins as a zip does.
    pub(super) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(END)
    }

    /// Finds the entries.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Problem> {
        // Before anything is made for each entry.
        if declared_entries(bytes).is_none_or(|count| count > MAX_ENTRIES) {
            return no("it is no zip, or one with far more in it than an export of Fedilab");
        }
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| problem(&error))?;
        if archive.len() > usize::from(MAX_ENTRIES) {
            return no("it holds far more than an export of Fedilab");
        }
        if archive.has_duplicate_names()
            || archive
                .has_overlapping_entries()
                .map_err(|error| problem(&error))?
        {
            return no("two of its entries have the same name or place: no program wrote it so");
        }
        let (mut databases, mut settings) = (Vec::new(), Vec::new());
        for at in 0..archive.len() {
            let entry = archive.by_index_raw(at).map_err(|error| problem(&error))?;
            let name = entry.name_raw().to_ascii_lowercase();
            let holds = |word: &[u8]| name.windows(word.len()).any(|part| part == word);
            // In the order in which the app asks.
            if holds(b"settings") {
                settings.push(at);
            } else if holds(b"database") {
                databases.push(at);
            }
        }
        match (databases.as_slice(), settings.as_slice()) {
            ([database], [] | [_]) => Ok(Self {
                archive,
                length: bytes.len(),
                database: *database,
                settings: settings.first().copied(),
            }),
            ([], _) => no("it is no export of Fedilab: none of its entries is a database"),
            _ => no("it has more than one entry for the database or the settings"),
        }
    }

    /// The database.
    pub(super) fn database(&mut self) -> Result<Zeroizing<Vec<u8>>, Problem> {
        self.contents(self.database, MAX_DATABASE)
    }

    /// The settings, if there are any.
    pub(super) fn settings(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
        let settings = self.settings;
        settings
            .map(|at| self.contents(at, MAX_SETTINGS))
            .transpose()
    }

    fn contents(&mut self, at: usize, max: u64) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let entry = self.archive.by_index(at).map_err(|error| problem(&error))?;
        let (size, compressed) = (entry.size(), entry.compressed_size());
        if size > max {
            return no("its database or its settings are larger than any that Fedilab has");
        }
        if size > ANY_RATIO && size / MAX_RATIO > compressed {
            return no("it is compressed so much that it is no real export");
        }
        let capacity = usize::try_from(size).unwrap_or_default() + 1;
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        // The reader checks the sum at the end; more than was declared is never kept.
        match entry.take(size + 1).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 == size => Ok(bytes),
            _ => no("it is damaged: an entry is not what the zip says of it"),
        }
    }

    /// The zip with another database, and with other settings where there are some.
    pub(super) fn with(
        mut self,
        database: &[u8],
        settings: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let capacity = self.length + database.len();
        let mut writer = ZipWriter::new(Cursor::new(Vec::with_capacity(capacity)));
        let mut order: Vec<_> = (0..self.archive.len()).collect();
        order.sort_by_key(|at| (Some(*at) != self.settings, *at));
        let write = || -> Result<Cursor<Vec<u8>>, ZipError> {
            writer.set_raw_comment(self.archive.comment().into())?;
            for at in order {
                let new = match (at == self.database, Some(at) == self.settings) {
                    (true, _) => Some(database),
                    (_, true) => settings,
                    _ => None,
                };
                let entry = self.archive.by_index_raw(at)?;
                match new {
                    Some(bytes) => {
                        writer.start_file(entry.name()?, options_of(&entry))?;
                        writer.write_all(bytes)?;
                    }
                    None => writer.raw_copy_file(entry)?,
                }
            }
            writer.finish()
        };
        let written = write().map_err(|error| problem(&error))?;
        Ok(Zeroizing::new(written.into_inner()))
    }
}

/// What else stays of an entry whose contents change.
fn options_of<R: Read>(entry: &ZipFile<'_, R>) -> SimpleFileOptions {
    let options = SimpleFileOptions::default()
        .compression_method(entry.compression())
        .last_modified_time(entry.last_modified().unwrap_or_default());
    match entry.unix_mode() {
        Some(mode) => options.unix_permissions(mode),
        None => options,
    }
}

/// How many entries the last record of a zip declares (APPNOTE 4.3.16).
fn declared_entries(bytes: &[u8]) -> Option<u16> {
    let at = bytes.windows(4).rposition(|window| window == END)?;
    let count = bytes.get(at + 10..at + 12)?;
    Some(u16::from_le_bytes(count.try_into().ok()?))
}

fn no<T>(what: &str) -> Result<T, Problem> {
    Err(Problem(what.to_owned()))
}

/// What an error means, without the names that it may quote.
fn problem(error: &ZipError) -> Problem {
    let what = match error {
        ZipError::UnsupportedArchive(why) if *why == ZipError::PASSWORD_REQUIRED => {
            "it is encrypted, which Fedilab's exports are not: decrypt it first"
        }
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            "it is compressed in a way that Fedilab doesn't use"
        }
        _ => "it is no intact zip",
    };
    Problem(what.to_owned())
}

/// The first bytes of the last record of a zip.
const END: &[u8] = b"PK\x05\x06";

/// An export has two.
const MAX_ENTRIES: u16 = 16;

/// Caches and all, clients' databases have tens of megabytes.
const MAX_DATABASE: u64 = 256 << 20;

/// Settings have kilobytes.
const MAX_SETTINGS: u64 = 16 << 20;

/// A small file may be empty pages for the most part.
const ANY_RATIO: u64 = 16 << 20;

/// Text in pages shrinks to a tenth; nothing real to a two-hundredth.
const MAX_RATIO: u64 = 200;

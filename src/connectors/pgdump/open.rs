//! From a file, a folder or a pipe to the text of a dump: what it is, its contents say and not its name.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{connectors::mastodon::reading_ahead, progress::Progress};

use super::{
    Dump, Error, Started,
    archive::{self, From},
};

/// Where a dump is.
pub enum Input<'a> {
    /// A file, or the folder of the directory format.
    Path(&'a Path),
    /// What comes through a pipe; called `-`.
    Pipe(Box<dyn Read + Send>),
}

/// What the first bytes are those of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gzip,
    Zstd,
    /// Formats of archives, for pg_restore.
    Archive,
    Packed(&'static str),
    Text,
}

/// Reads a dump. `pg_restore` is the program for archives: a name that is looked for, or its path.
///
/// # Errors
/// [`Error`].
pub fn open(input: Input<'_>, pg_restore: &Path, progress: &dyn Progress) -> Result<Dump, Error> {
    let (path, file): (&Path, Box<dyn Read + Send>) = match input {
        Input::Path(path) if path.is_dir() => {
            if !path.join(archive::CONTENTS).is_file() {
                return Err(Error::NotADump {
                    path: path.to_owned(),
                });
            }
            return from_archive(path, From::Path, pg_restore, progress);
        }
        Input::Path(path) => (path, Box::new(file(path)?)),
        Input::Pipe(pipe) => (Path::new("-"), pipe),
    };
    // What a pipe has given is given once.
    let is_pipe = path == Path::new("-") || !path.is_file();
    let failed = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let (kind, reader) = peeked(file).map_err(failed)?;
    let unpacked: Box<dyn Read + Send> = match kind {
        Kind::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(reader))),
        Kind::Zstd => Box::new(zstd::Decoder::new(reader).map_err(failed)?),
        Kind::Archive if is_pipe => {
            return from_archive(path, From::Pipe(reader), pg_restore, progress);
        }
        Kind::Archive => return from_archive(path, From::Path, pg_restore, progress),
        Kind::Packed(with) => {
            return Err(Error::Packed {
                path: path.to_owned(),
                with,
            });
        }
        Kind::Text => return text(path, reader, progress),
    };
    let cut = |error: io::Error| Error::Cut {
        path: path.to_owned(),
        why: error.to_string(),
    };
    match peeked(unpacked).map_err(cut)? {
        (Kind::Archive, reader) => from_archive(path, From::Pipe(reader), pg_restore, progress),
        (_, reader) => text(path, reader, progress),
    }
}

/// Whether the contents of a file or folder are a dump's, as far as its beginning tells.
pub fn is_dump(path: &Path) -> bool {
    if path.is_dir() {
        return path.join(archive::CONTENTS).is_file();
    }
    let is_text = |reader: &mut dyn Read| {
        let mut head = Vec::new();
        let read = reader.take(HEAD_BYTES as u64).read_to_end(&mut head);
        // What is cut off was read as far as it goes.
        drop(read);
        let says_so = |line: &[u8]| line.starts_with(b"-- PostgreSQL database ");
        head.split(|byte| *byte == b'\n').any(says_so)
    };
    let Ok((kind, mut reader)) = file(path).and_then(|file| {
        peeked(Box::new(file)).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
    }) else {
        return false;
    };
    match kind {
        Kind::Archive => true,
        Kind::Text => is_text(&mut reader),
        Kind::Gzip => is_text(&mut flate2::read::MultiGzDecoder::new(reader)),
        Kind::Zstd => zstd::Decoder::new(reader).is_ok_and(|mut reader| is_text(&mut reader)),
        Kind::Packed(_) => false,
    }
}

fn file(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

fn from_archive(
    path: &Path,
    from: From,
    pg_restore: &Path,
    progress: &dyn Progress,
) -> Result<Dump, Error> {
    let is_path = matches!(from, From::Path);
    let restored = archive::restore(path, from, pg_restore)?;
    let mut dump = text(path, restored, progress)?;
    if is_path && dump.started.is_none() {
        dump.started = archive::created(path, pg_restore).map(Started::Local);
    }
    Ok(dump)
}

fn text(path: &Path, reader: impl Read + Send, progress: &dyn Progress) -> Result<Dump, Error> {
    reading_ahead(Wiped::new(reader), |ahead| {
        Dump::read(path, ahead, progress)
    })
}

/// What a file or pipe begins with, and all of it.
fn peeked(mut reader: Box<dyn Read + Send>) -> io::Result<(Kind, Box<dyn Read + Send>)> {
    let mut head = Zeroizing::new(Vec::with_capacity(HEAD_BYTES));
    (&mut reader)
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    let is_tar =
        || head.get(257..262) == Some(b"ustar") && head.starts_with(archive::CONTENTS.as_bytes());
    let kind = if head.starts_with(b"PGDMP") || is_tar() {
        Kind::Archive
    } else {
        let known = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
        known.map_or(Kind::Text, |(_, kind)| *kind)
    };
    let whole = Head { head, at: 0 }.chain(reader);
    Ok((kind, Box::new(whole)))
}

/// What was looked at.
struct Head {
    head: Zeroizing<Vec<u8>>,
    at: usize,
}

impl Read for Head {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.head.get(self.at..).unwrap_or_default().read(to)?;
        self.at += read;
        Ok(read)
    }
}

/// A buffer that is wiped.
struct Wiped<R> {
    reader: R,
    buffer: Zeroizing<Vec<u8>>,
    at: usize,
    end: usize,
}

impl<R: Read> Wiped<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Zeroizing::new(vec![0; BUFFER_BYTES]),
            at: 0,
            end: 0,
        }
    }
}

impl<R: Read> BufRead for Wiped<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.end {
            (self.at, self.end) = (0, 0);
            self.end = loop {
                match self.reader.read(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
        }
        Ok(self.buffer.get(self.at..self.end).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl<R: Read> Read for Wiped<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(to)?;
        self.consume(read);
        Ok(read)
    }
}

const MAGIC: [(&[u8], Kind); 5] = [
    (b"\x1f\x8b", Kind::Gzip),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"\x04\x22\x4d\x18", Kind::Packed("lz4")),
    (b"\xfd7zXZ\0", Kind::Packed("xz")),
    (b"BZh", Kind::Packed("bzip2")),
];
/// As far as the name of the format stands in a tar file, and a dump's first comment in any.
const HEAD_BYTES: usize = 512;
/// As much as one batch that is read ahead.
const BUFFER_BYTES: usize = 64 << 10;

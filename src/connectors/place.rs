//! Files as connectors meet them: the folder or the file was given, the size is bounded, the source gets its name.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::model::SourceKey;

use super::{Error, ReadRequest};

/// A file's contents.
pub(crate) struct Loaded {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
}

impl Loaded {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a file of at most `max` bytes.
pub(crate) fn load(connector: &'static str, path: &Path, max: u64) -> Result<Loaded, Error> {
    let not_found = || Error::NotFound {
        connector,
        path: path.to_owned(),
    };
    let io = |source: std::io::Error| {
        if source.kind() == std::io::ErrorKind::NotFound {
            not_found()
        } else {
            Error::Io {
                path: path.to_owned(),
                source,
            }
        }
    };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 << 16));
    file.take(max + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > max {
        return Err(Error::Malformed {
            path: path.to_owned(),
            detail: format!("larger than {} MiB", max >> 20),
        });
    }
    Ok(Loaded {
        path: path.to_owned(),
        bytes,
    })
}

/// Replaces a file that was read, and returns where the former one is.
pub(crate) fn replace(
    file: &Loaded,
    contents: &[u8],
    _now: jiff::Timestamp,
) -> Result<Option<PathBuf>, Error> {
    std::fs::write(&file.path, contents).map_err(|source| Error::Io {
        path: file.path.clone(),
        source,
    })?;
    Ok(None)
}

/// The entries of a folder, sorted by name.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let io = |source| Error::Io {
        path: folder.to_owned(),
        source,
    };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)?.take(MAX_ENTRIES) {
        entries.push(entry.map_err(io)?.path());
    }
    entries.sort();
    Ok(entries)
}

/// The identity of what is read from this path.
pub(crate) fn source_key(connector: &'static str, path: &Path, request: &ReadRequest) -> SourceKey {
    SourceKey {
        connector: connector.to_owned(),
        location: location(path),
        host: request.host.clone(),
    }
}

/// The absolute path; `-` stays `-`. A path with `..` in it is resolved as far as its folder, so that it names the
/// same source from everywhere; symbolic links else stay as the person knows them.
fn location(path: &Path) -> String {
    if path == Path::new("-") {
        return "-".to_owned();
    }
    let mut whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if whole
        .components()
        .any(|part| part == std::path::Component::ParentDir)
        && let (Some(folder), Some(name)) = (whole.parent(), whole.file_name())
        && let Ok(folder) = folder.canonicalize()
    {
        whole = folder.join(name);
    }
    whole.display().to_string()
}

/// The first of these names that exists in the folder; the path itself when it is no folder.
pub(crate) fn file_in(path: &Path, names: &[&str]) -> Option<PathBuf> {
    if !path.is_dir() {
        return Some(path.to_owned());
    }
    names
        .iter()
        .map(|name| path.join(name))
        .find(|file| file.is_file())
}

/// Client files are small; what is larger is none (the bound is that of every text file read here).
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// A folder with more in it is no folder of secrets.
const MAX_ENTRIES: usize = 10_000;

//! Files as connectors meet them: the folder or the file was given, the size is bounded, the source gets its name.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    files::{self, Original, ReplaceError},
    model::SourceKey,
};

use super::{Error, ReadRequest};

/// A file's contents.
pub(crate) struct Loaded(Original);

impl Loaded {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// Reads a file of at most `max_bytes`.
pub(crate) fn load(connector: &'static str, path: &Path, max_bytes: u64) -> Result<Loaded, Error> {
    let path = path.to_owned();
    match Original::read(&path, max_bytes) {
        Ok(original) => Ok(Loaded(original)),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound { connector, path },
            io::ErrorKind::FileTooLarge => Error::Malformed {
                path,
                detail: error.to_string(),
            },
            _ => Error::Io {
                path,
                source: error,
            },
        }),
    }
}

/// Whether a file that was read still holds the same.
#[cfg(feature = "sqlite")]
pub(crate) fn is_unchanged(file: &Loaded) -> Result<bool, Error> {
    file.0.is_unchanged().map_err(|source| Error::Io {
        path: file.path().to_owned(),
        source,
    })
}

/// Replaces a file that was read, and returns where the former one is.
pub(crate) fn replace(
    file: &Loaded,
    contents: &[u8],
    now: jiff::Timestamp,
) -> Result<PathBuf, Error> {
    let path = file.path().to_owned();
    file.0.replace(contents, now).map_err(|error| match error {
        ReplaceError::Changed => Error::Changed { path },
        ReplaceError::NotDurable { ref source, .. } => Error::NotWritable {
            path,
            detail: format!("{error}: {source}"),
        },
        error => Error::NotWritable {
            path,
            detail: error.to_string(),
        },
    })
}

/// Makes a file where nothing may be, mode 0600.
pub(crate) fn create(path: &Path, contents: &[u8]) -> Result<(), Error> {
    let path = path.to_owned();
    files::write_new(&path, contents).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Changed { path },
        _ => Error::NotWritable {
            path,
            detail: error.to_string(),
        },
    })
}

/// Removes a file that [`create`] made, where the rest of a plan failed.
pub(crate) fn take_back(path: &Path) {
    // The failure that led here is the one to tell.
    files::remove(path).unwrap_or_default();
}

/// The entries of a folder, sorted by name.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    files::entries(folder, MAX_ENTRIES).map_err(|source| Error::Io {
        path: folder.to_owned(),
        source,
    })
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

/// The name of a file or folder; what is no UTF-8 in it is replaced.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Client files are small; what is larger is none (the bound is that of every text file read here).
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// A folder with more in it is no folder of secrets.
const MAX_ENTRIES: usize = 10_000;

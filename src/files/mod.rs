//! Files: the only door to the file system for everything but the vault file.
//!
//! Promises that reading is bounded, that a new file is private from its first byte, that a file is there as a whole
//! or not at all, that somebody else's file is replaced only as it was read, with a backup, and that a copy which has to
//! be on a disk is private and is wiped.

mod locks;
mod private;
mod replace;
mod staged;

use std::{
    fs::{DirBuilder, File, Metadata},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

pub use locks::{Holder, lock_holder};
pub use private::Private;
pub use replace::{Original, ReplaceError};
pub use staged::{Staged, sync_folder};

/// Reads a file of at most `max_bytes`.
///
/// # Errors
/// `FileTooLarge` when it is larger, `IsADirectory` for a folder; those of the system.
pub fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    read_opened(file, &metadata, max_bytes)
}

fn read_opened(file: File, metadata: &Metadata, max_bytes: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let too_large = || {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {max_bytes} bytes"),
        )
    };
    if metadata.len() > max_bytes {
        return Err(too_large());
    }
    // The capacity comes first: a buffer that grows leaves copies of secrets behind. A pipe has no length of its own.
    let expected = usize::try_from(metadata.len()).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected.max(LEAST_BUFFER) + 1));
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large());
    }
    Ok(bytes)
}

/// The paths of what is in a folder, sorted; of a folder with more than `max` entries, some `max` of them.
///
/// # Errors
/// Those of the system.
pub fn entries(folder: &Path, max: usize) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(max) {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Writes a new file, mode 0600, where nothing may be; it is there once it is complete and durable.
///
/// # Errors
/// `AlreadyExists`, or those of the system. Nothing has changed then.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let staged = Staged::beside(path)?;
    staged.file().write_all(bytes)?;
    staged.publish_new()
}

/// Removes a file.
///
/// # Errors
/// Those of the system.
pub fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

/// Makes a folder and those above it, mode 0700, where they are missing.
///
/// # Errors
/// Those of the system.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Small files and pipes are read without growing the buffer.
const LEAST_BUFFER: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn reading_is_bounded_and_writing_new_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        write_new(&path, b"12345").unwrap();
        assert_eq!(read_bounded(&path, 5).unwrap().as_slice(), b"12345");
        let error = read_bounded(&path, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let error = read_bounded(folder.path(), 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        let error = write_new(&path, b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read_bounded(&path, 5).unwrap().as_slice(), b"12345");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // A link that leads nowhere is something, too.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
        assert!(write_new(&link, b"x").is_err());
        assert!(!folder.path().join("nowhere").exists());
    }

    #[test]
    fn new_folders_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        create_private_folder(&path).unwrap();
        create_private_folder(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

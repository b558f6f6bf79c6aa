//! A private folder for what a library can only open by its name.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::{Builder, TempDir};

/// A folder of mode 0700 with files of mode 0600, in memory where the system has a place for that (`/dev/shm`), else in
/// its temporary folder. Dropping it overwrites every file in it with zeros and removes it. What is killed leaves it
/// behind.
#[derive(Debug)]
pub struct Private {
    folder: TempDir,
    /// What was put there, to be wiped also if somebody removed its name.
    files: Vec<File>,
}

impl Private {
    /// Makes a folder with these files in it; the names must be plain.
    ///
    /// # Errors
    /// Those of the system.
    pub fn holding(files: &[(&str, &[u8])]) -> io::Result<Self> {
        let memory = Path::new(IN_MEMORY);
        if memory.is_dir()
            && let Ok(private) = Self::made_in(memory, files)
        {
            return Ok(private);
        }
        // None there, not ours to write in, or too small.
        Self::made_in(&tempfile::env::temp_dir(), files)
    }

    fn made_in(above: &Path, files: &[(&str, &[u8])]) -> io::Result<Self> {
        let folder = Builder::new()
            .prefix("tuskvault-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(above)?;
        let mut private = Self {
            folder,
            files: Vec::new(),
        };
        for (name, bytes) in files {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(0o600);
            let file = options.open(private.file(name))?;
            private.files.push(file.try_clone()?);
            (&file).write_all(bytes)?;
        }
        Ok(private)
    }

    /// The path of a file in it, whether there is one or not.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.folder.path()).into_iter().flatten() {
            let Ok(path) = entry.map(|entry| entry.path()) else {
                continue;
            };
            if path.is_file()
                && let Ok(file) = OpenOptions::new().write(true).open(path)
            {
                wipe(&file);
            }
        }
        self.files.iter().for_each(wipe);
    }
}

/// Overwrites a file, as far as that works: it is removed in any case.
fn wipe(mut file: &File) {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    if file.rewind().is_ok() && io::copy(&mut io::repeat(0).take(length), &mut file).is_ok() {
        file.sync_data().unwrap_or_default();
    }
}

/// Where Linux has a file system in memory for everybody.
const IN_MEMORY: &str = "/dev/shm";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_and_its_files_are_private_and_leave_nothing() {
        let private = Private::holding(&[("db", b"secret"), ("gone", b"secret, too")]).unwrap();
        let folder = private.folder.path().to_owned();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&private.file("db")), 0o600);
        assert_eq!(folder.starts_with(IN_MEMORY), Path::new(IN_MEMORY).is_dir());
        // Somebody else's handles tell what is left of the contents.
        let mut db = File::open(private.file("db")).unwrap();
        let mut gone = File::open(private.file("gone")).unwrap();
        fs::remove_file(private.file("gone")).unwrap();
        fs::write(private.file("made-later"), b"secret").unwrap();
        let mut later = File::open(private.file("made-later")).unwrap();
        drop(private);
        assert!(!folder.exists());
        for (file, length) in [(&mut db, 6), (&mut gone, 11), (&mut later, 6)] {
            let mut left = Vec::new();
            file.read_to_end(&mut left).unwrap();
            assert_eq!(left, vec![0; length]);
        }
    }

    #[test]
    fn a_folder_that_could_not_be_filled_is_removed() {
        let above = tempfile::tempdir().unwrap();
        let error = Private::made_in(above.path(), &[("a", b"1"), ("no/such/folder", b"2")]);
        assert!(error.is_err());
        assert_eq!(fs::read_dir(above.path()).unwrap().count(), 0);
    }
}

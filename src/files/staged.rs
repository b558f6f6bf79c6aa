//! A file in the making: private, beside its target, there as a whole or not at all.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

use super::folder_of;

/// A new file beside its target, mode 0600, that takes the target's place only when it is complete. Dropping it removes
/// it.
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
    target: PathBuf,
}

impl Staged {
    /// Makes an empty file in the folder of `target`. Where `target` is a symbolic link, the file that it leads to is
    /// meant.
    ///
    /// # Errors
    /// Those of the system.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let target = match std::fs::canonicalize(target) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => target.to_owned(),
            Err(error) => return Err(error),
        };
        // tempfile opens with O_EXCL and mode 0600: a link at that name is never followed.
        let file = Builder::new()
            .prefix(&prefix(&target))
            .suffix(SUFFIX)
            .tempfile_in(folder_of(&target))?;
        Ok(Self { file, target })
    }

    /// Removes what processes that were killed left of this file in the making. For files that whoever makes them keeps
    /// locked, and makes only while nobody else may: what is not locked then is nobody's. What can't be removed stays.
    pub fn remove_leftovers(target: &Path) {
        let Ok(target) = std::fs::canonicalize(target) else {
            return;
        };
        let prefix = prefix(&target);
        let is_one = |name: &str| {
            let middle = name.strip_prefix(&prefix);
            let middle = middle.and_then(|rest| rest.strip_suffix(SUFFIX));
            middle.is_some_and(|random| random.bytes().all(|b| b.is_ascii_alphanumeric()))
        };
        let entries = std::fs::read_dir(folder_of(&target)).into_iter().flatten();
        for entry in entries.flatten() {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if !is_file || !entry.file_name().to_str().is_some_and(is_one) {
                continue;
            }
            let path = entry.path();
            if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
                drop(std::fs::remove_file(path));
            }
        }
    }

    /// The file.
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Where it will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Puts it in place, durably; fails when something is there already.
    ///
    /// # Errors
    /// `AlreadyExists`, or those of the system. Nothing has changed then.
    pub fn publish_new(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file
            .persist_noclobber(&self.target)
            .map_err(|error| error.error)?;
        sync_folder(&self.target)
    }

    /// Puts it in the place of what is there, durably and in one step.
    ///
    /// # Errors
    /// Those of the system. Nothing has changed then, unless only the folder could not be synced.
    pub fn replace(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file
            .persist(&self.target)
            .map_err(|error| error.error)?;
        sync_folder(&self.target)
    }
}

/// How the names of files in the making of `target` begin; random characters follow.
fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default();
    format!(".{}.", name.to_string_lossy())
}

const SUFFIX: &str = ".tmp";

/// Makes the names in the folder of `path` durable.
///
/// # Errors
/// Those of the system.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

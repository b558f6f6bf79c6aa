//! Replacing a file that belongs to the person and to another program: only as it was read, with a backup, whole.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tempfile::{Builder, NamedTempFile};
use zeroize::Zeroizing;

use super::{Staged, folder_of, read_bounded, read_opened, sync_folder};

/// A file as it was read, with what it takes to put another in its place.
pub struct Original {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    /// `None` for what can be read but not replaced: a pipe, a device.
    place: Option<Place>,
}

/// Why a file was not replaced. It is as it was, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplaceError {
    /// Its contents, or the file that the path leads to, are not those that were read.
    #[error("it changed since it was read")]
    Changed,
    /// It is a pipe or a device.
    #[error("it is no regular file")]
    NotRegular,
    /// Only one of its names would get the new contents.
    #[error(
        "it has {names} names (hard links), of which only one would change: use symbolic links"
    )]
    HardLinks {
        /// How many.
        names: u64,
    },
    /// It was replaced, but the folder could not be synced.
    #[error("it was replaced, but that may not survive a power failure; the former one is {}", backup.display())]
    NotDurable {
        /// The former file.
        backup: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Original {
    /// Reads a file, or what a pipe gives, of at most `max_bytes`.
    ///
    /// # Errors
    /// `FileTooLarge` when it is larger, `IsADirectory` for a folder; those of the system.
    pub fn read(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let bytes = read_opened(file, &metadata, max_bytes)?;
        let place = metadata.is_file().then(|| Place::of(path, &metadata));
        Ok(Self {
            path: path.to_owned(),
            bytes,
            place: place.transpose()?,
        })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file held.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the path still leads to this file, with the same contents. What came through a pipe can't be read again.
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        match self.place.as_ref().map(|place| place.unchanged(self)) {
            None | Some(Ok(_)) => Ok(true),
            Some(Err(ReplaceError::Io(error))) => Err(error),
            Some(Err(_)) => Ok(false),
        }
    }

    /// Puts `contents` in its place, durably and in one step, and returns where the former file is now:
    /// `<name>.tuskvault-<now>.bak` beside it, mode 0600. Mode, extended attributes (access control lists among them)
    /// and, as far as this user may, the owner stay; a symbolic link keeps leading to the file.
    ///
    /// A program that writes to the file between the last look at it and the rename, microseconds later, would lose
    /// what it wrote: no system has a rename on condition.
    ///
    /// # Errors
    /// [`ReplaceError`]. No backup is left behind where nothing was replaced.
    pub fn replace(&self, contents: &[u8], now: Timestamp) -> Result<PathBuf, ReplaceError> {
        self.prepare(contents, now)?.carry_out()
    }

    fn prepare(&self, contents: &[u8], now: Timestamp) -> Result<Ready<'_>, ReplaceError> {
        let place = self.place.as_ref().ok_or(ReplaceError::NotRegular)?;
        let metadata = place.unchanged(self)?;
        if metadata.nlink() > 1 {
            let names = metadata.nlink();
            return Err(ReplaceError::HardLinks { names });
        }
        // Renaming needs the folder alone; a file that this user may not write is not replaced for that.
        let former = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&place.real)?;
        let staged = Staged::beside(&place.real)?;
        fill(staged.file(), contents)?;
        let backup = backup(&place.real, &self.bytes, now)?;
        take_over_owner(backup.as_file(), &metadata);
        take_over(staged.file(), &former, &metadata)?;
        Ok(Ready {
            original: self,
            place,
            staged,
            backup,
        })
    }
}

/// Where a regular file really is, and which one it was.
struct Place {
    real: PathBuf,
    identity: (u64, u64),
}

impl Place {
    fn of(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            real: fs::canonicalize(path)?,
            identity: identity(metadata),
        })
    }

    /// Looks at the file again.
    fn unchanged(&self, original: &Original) -> Result<Metadata, ReplaceError> {
        let gone = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge => ReplaceError::Changed,
            _ => ReplaceError::Io(error),
        };
        let real = fs::canonicalize(&original.path).map_err(gone)?;
        let metadata = fs::symlink_metadata(&real).map_err(gone)?;
        // Before it is opened: opening a pipe that took its place would wait.
        if real != self.real || identity(&metadata) != self.identity || !metadata.is_file() {
            return Err(ReplaceError::Changed);
        }
        let bytes = read_bounded(&real, original.bytes.len() as u64).map_err(gone)?;
        if bytes == original.bytes {
            Ok(metadata)
        } else {
            Err(ReplaceError::Changed)
        }
    }
}

/// Everything but the last step. Dropping it removes what was made for it.
struct Ready<'a> {
    original: &'a Original,
    place: &'a Place,
    staged: Staged,
    backup: NamedTempFile,
}

impl Ready<'_> {
    fn carry_out(self) -> Result<PathBuf, ReplaceError> {
        let real = &self.place.real;
        let new = identity(&self.staged.file().metadata()?);
        // The former contents are safe before anything takes their place.
        self.backup.as_file().sync_all()?;
        sync_folder(real)?;
        self.place.unchanged(self.original)?;
        match self.staged.replace() {
            Ok(()) => Ok(keep(self.backup)?),
            Err(source) if fs::metadata(real).is_ok_and(|now| identity(&now) == new) => {
                let backup = keep(self.backup)?;
                Err(ReplaceError::NotDurable { backup, source })
            }
            Err(source) => Err(source.into()),
        }
    }
}

/// Writes the contents and reads them back: a short write must not take the place of a good file.
fn fill(mut file: &File, contents: &[u8]) -> io::Result<()> {
    file.write_all(contents)?;
    file.sync_all()?;
    file.rewind()?;
    let metadata = file.metadata()?;
    let mut written = Zeroizing::new(Vec::with_capacity(contents.len() + 1));
    file.take(contents.len() as u64 + 1)
        .read_to_end(&mut written)?;
    if metadata.len() == contents.len() as u64 && written.as_slice() == contents {
        Ok(())
    } else {
        Err(io::Error::other(
            "the file system did not keep what was written",
        ))
    }
}

/// Gives a new file the owner, attributes and mode of the former one, as far as this user may.
fn take_over(file: &File, former: &File, metadata: &Metadata) -> io::Result<()> {
    let mut mode = metadata.mode() & 0o7777;
    if !take_over_owner(file, metadata) {
        // The bits speak of another group now.
        mode &= !0o070;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    copy_attributes(former, file);
    Ok(())
}

/// Gives a file the owner and group of another; whether at least the group is the same now.
fn take_over_owner(file: &File, like: &Metadata) -> bool {
    let (user, group) = (like.uid(), like.gid());
    let is_like = |own: Metadata| (own.uid(), own.gid()) == (user, group);
    file.metadata().is_ok_and(is_like)
        || fchown(file, Some(user), Some(group)).is_ok()
        || fchown(file, None, Some(group)).is_ok()
}

/// Copies extended attributes; what this user or the file system doesn't allow stays behind.
fn copy_attributes(from: &File, to: &File) {
    let mut names = vec![0; MAX_ATTRIBUTES];
    let Ok(length) = rustix::fs::flistxattr(from, &mut names) else {
        return;
    };
    names.truncate(length);
    let mut value = vec![0; MAX_ATTRIBUTES];
    for name in names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        if let Ok(length) = rustix::fs::fgetxattr(from, name, &mut value)
            && let Some(value) = value.get(..length)
        {
            let _ = rustix::fs::fsetxattr(to, name, value, rustix::fs::XattrFlags::empty());
        }
    }
}

/// Writes a backup beside the file, mode 0600 from its first byte, under a name that nothing has.
fn backup(real: &Path, bytes: &[u8], now: Timestamp) -> io::Result<NamedTempFile> {
    let mut prefix = real.file_name().unwrap_or_default().to_owned();
    prefix.push(format!(".tuskvault-{}", now.strftime("%Y%m%dT%H%M%SZ")));
    for number in 1..=MAX_BACKUPS {
        let suffix = match number {
            1 => ".bak".to_owned(),
            _ => format!("-{number}.bak"),
        };
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(&suffix).rand_bytes(0);
        match builder.tempfile_in(folder_of(real)) {
            Ok(mut file) => {
                file.write_all(bytes)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn keep(backup: NamedTempFile) -> io::Result<PathBuf> {
    let (_file, path) = backup.keep().map_err(|error| error.error)?;
    Ok(path)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Backups of one file in one second.
const MAX_BACKUPS: u32 = 1_000;

/// Linux bounds the list of names, and each value, by this (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const MAX_ATTRIBUTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder_with(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn read(path: &Path) -> Original {
        Original::read(path, 1 << 10).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    /// Nothing but the file, with these bytes.
    fn assert_untouched(folder: &Path, bytes: &[u8]) {
        assert_eq!(names(folder), ["config.json"]);
        assert_eq!(fs::read(folder.join("config.json")).unwrap(), bytes);
    }

    #[test]
    fn the_mode_stays_and_the_backup_is_private() {
        for kept in [0o644, 0o600, 0o640, 0o4711] {
            let (folder, path) = folder_with(b"old");
            fs::set_permissions(&path, Permissions::from_mode(kept)).unwrap();
            let backup = read(&path).replace(b"new and longer", now()).unwrap();
            assert_eq!(
                names(folder.path()),
                ["config.json", "config.json.tuskvault-20260301T120000Z.bak"]
            );
            assert_eq!(fs::read(&path).unwrap(), b"new and longer");
            assert_eq!(fs::read(&backup).unwrap(), b"old");
            assert_eq!((mode(&path), mode(&backup)), (kept, 0o600));
        }
    }

    #[test]
    fn a_backup_never_takes_the_place_of_another() {
        let (_folder, path) = folder_with(b"1");
        let first = read(&path).replace(b"2", now()).unwrap();
        let second = read(&path).replace(b"3", now()).unwrap();
        assert!(second.to_str().unwrap().ends_with("T120000Z-2.bak"));
        assert_eq!(fs::read(first).unwrap(), b"1");
        assert_eq!(fs::read(second).unwrap(), b"2");
    }

    #[test]
    fn a_symbolic_link_keeps_leading_to_the_file() {
        let (folder, path) = folder_with(b"old");
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link");
        symlink(&path, elsewhere.path().join("between")).unwrap();
        symlink("between", &link).unwrap();
        let original = read(&link);
        assert_eq!(original.path(), link);
        let backup = original.replace(b"new", now()).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("between"));
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            backup.parent().unwrap(),
            folder.path().canonicalize().unwrap()
        );
        assert_eq!(names(elsewhere.path()), ["between", "link"]);
    }

    #[test]
    fn a_file_that_changed_since_it_was_read_stays() {
        let in_place: &[fn(&Path)] = &[
            |path| fs::write(path, b"odd").unwrap(),
            |path| fs::write(path, b"longer").unwrap(),
            |path| fs::write(path, b"").unwrap(),
            |path| {
                fs::write(path.with_extension("new"), b"old").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            },
            |path| fs::remove_file(path).unwrap(),
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            |path| {
                fs::rename(path, path.with_extension("moved")).unwrap();
                symlink("config.moved", path).unwrap();
            },
        ];
        for change in in_place {
            let (folder, path) = folder_with(b"old");
            let original = read(&path);
            change(&path);
            let before = names(folder.path());
            let error = original.replace(b"new", now()).unwrap_err();
            assert!(matches!(error, ReplaceError::Changed), "{error:?}");
            assert_eq!(names(folder.path()), before);

            let (folder, path) = folder_with(b"old");
            let original = read(&path);
            let ready = original.prepare(b"new", now()).unwrap();
            assert_eq!(names(folder.path()).len(), 3, "staged and backup");
            change(&path);
            let error = ready.carry_out().err().unwrap();
            assert!(matches!(error, ReplaceError::Changed), "{error:?}");
            assert_eq!(names(folder.path()), before, "the last look is the one");
        }
    }

    #[test]
    fn dropping_what_is_ready_leaves_no_trace() {
        let (folder, path) = folder_with(b"old");
        let original = read(&path);
        drop(original.prepare(b"new", now()).unwrap());
        assert_untouched(folder.path(), b"old");
    }

    #[test]
    fn a_file_with_two_names_stays() {
        let (folder, path) = folder_with(b"old");
        let other = tempfile::tempdir_in(folder.path().parent().unwrap()).unwrap();
        fs::hard_link(&path, other.path().join("other")).unwrap();
        let error = read(&path).replace(b"new", now()).unwrap_err();
        assert!(error.to_string().starts_with("it has 2 names"), "{error}");
        assert_untouched(folder.path(), b"old");
    }

    #[test]
    fn pipes_are_read_and_devices_never_replaced() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"through a pipe").unwrap();
        drop(writer);
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let original = read(Path::new(&format!("/dev/fd/{fd}")));
        assert_eq!(original.bytes(), b"through a pipe");
        let error = original.replace(b"new", now()).unwrap_err();
        assert!(matches!(error, ReplaceError::NotRegular));
        let error = Original::read(Path::new("/dev/zero"), 1 << 10).err();
        assert_eq!(error.unwrap().kind(), io::ErrorKind::FileTooLarge);
        let error = read(Path::new("/dev/null")).replace(b"new", now());
        assert!(matches!(error, Err(ReplaceError::NotRegular)));
    }

    #[test]
    fn where_nothing_may_be_written_nothing_changes() {
        let (folder, path) = folder_with(b"old");
        let may_write = || OpenOptions::new().write(true).open(&path).is_ok();
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        if may_write() {
            println!("skipped: for this user (root) nothing is read-only");
            return;
        }
        let denied = |original: &Original| {
            let error = original.replace(b"new", now()).unwrap_err();
            let ReplaceError::Io(error) = error else {
                panic!("{error:?}");
            };
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        };
        denied(&read(&path));
        assert_untouched(folder.path(), b"old");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).unwrap();
        denied(&read(&path));
        assert_untouched(folder.path(), b"old");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn a_full_disk_leaves_everything_as_it_was() {
        if let Some(disk) = std::env::var_os("TEST_SMALL_DISK") {
            return on_a_small_disk(Path::new(&disk));
        }
        // A disk of 64 KiB in a mount namespace of its own, where this test runs once more.
        let mount_point = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o size=64k none \"$0\" || exit 77
            TEST_SMALL_DISK=\"$0\" exec \"$1\" --exact \"$2\"";
        let output = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(mount_point.path())
            .arg(std::env::current_exe().unwrap())
            .arg("files::replace::tests::a_full_disk_leaves_everything_as_it_was")
            .output();
        match output {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(text.contains("1 passed"), "{text}");
            }
            Ok(output) if output.status.code() == Some(101) => {
                panic!("{}", String::from_utf8_lossy(&output.stdout))
            }
            _ => println!("skipped: this system mounts no disk for us"),
        }
    }

    fn on_a_small_disk(disk: &Path) {
        let path = disk.join("config.json");
        let old = vec![b'o'; 20 << 10];
        fs::write(&path, &old).unwrap();
        let original = Original::read(&path, 64 << 10).unwrap();
        // No room for the new file; room for that, but not for the backup.
        for length in [60 << 10, 28 << 10] {
            let error = original.replace(&vec![b'n'; length], now()).unwrap_err();
            assert!(
                matches!(&error, ReplaceError::Io(error) if error.kind() == io::ErrorKind::StorageFull),
                "{error:?}"
            );
            assert_untouched(disk, &old);
        }
        original.replace(b"new", now()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn extended_attributes_stay() {
        let (_folder, path) = folder_with(b"old");
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(&path, "user.mark", b"kept", flags).is_err() {
            println!("skipped: this file system has no extended attributes");
            return;
        }
        read(&path).replace(b"new", now()).unwrap();
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(&path, "user.mark", &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"kept");
    }

    #[test]
    fn the_owner_stays_where_root_restores() {
        let (_folder, path) = folder_with(b"old");
        if std::os::unix::fs::chown(&path, Some(1234), Some(4321)).is_err() {
            println!("skipped: only root gives files away");
            return;
        }
        let backup = read(&path).replace(b"new", now()).unwrap();
        for file in [path, backup] {
            let metadata = fs::metadata(file).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (1234, 4321));
        }
    }
}

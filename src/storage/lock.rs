//! Locks on the vault file itself: exclusive for writers, shared for readers, gone with the process.

use std::{
    fs::{File, TryLockError},
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{Access, Error};

/// Opens the file, locks it and makes sure that the path still names it: a file that was replaced while we waited for
/// its lock is not the vault any more.
pub(super) fn open_locked(path: &Path, access: Access, wait: Duration) -> Result<File, Error> {
    let start = Instant::now();
    loop {
        let file = open(path, access)?;
        let result = match access {
            Access::Read => file.try_lock_shared(),
            Access::Write => file.try_lock(),
        };
        match result {
            Ok(()) if is_at(&file, path)? => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", path, source)),
            Err(TryLockError::WouldBlock) if start.elapsed() >= wait => {
                let pid = holder(&file);
                return Err(Error::InUse {
                    path: path.to_owned(),
                    pid,
                    waited_secs: wait.as_secs(),
                });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(POLL),
        }
    }
}

fn open(path: &Path, access: Access) -> Result<File, Error> {
    let mut options = File::options();
    options.read(true).write(access == Access::Write);
    let file = options.open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::Missing {
            path: path.to_owned(),
        },
        std::io::ErrorKind::IsADirectory => Error::NotAVault {
            path: path.to_owned(),
        },
        _ => Error::io("open", path, source),
    })?;
    let metadata = file
        .metadata()
        .map_err(|source| Error::io("open", path, source))?;
    if metadata.is_file() {
        Ok(file)
    } else {
        Err(Error::NotAVault {
            path: path.to_owned(),
        })
    }
}

fn is_at(file: &File, path: &Path) -> Result<bool, Error> {
    let ours = file
        .metadata()
        .map_err(|source| Error::io("open", path, source))?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::io("open", path, source)),
    }
}

/// The process that holds a lock on the file, where Linux tells. Other locks that come and go while the list is read can
/// hide ours from it: then it is read again.
fn holder(file: &File) -> Option<u32> {
    let inode = format!(":{}", file.metadata().ok()?.ino());
    (0..LOOKS).find_map(|_| {
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        holder_in(&locks, &inode)
    })
}

/// Finds it in `/proc/locks`: number, class, mode, access, pid, device:inode, range; a waiter has `->` before its class.
fn holder_in(locks: &str, inode: &str) -> Option<u32> {
    let line = locks.lines().find(|line| {
        line.split_whitespace()
            .nth(5)
            .is_some_and(|place| place.ends_with(inode))
            && !line.contains("->")
    })?;
    line.split_whitespace().nth(4)?.parse().ok()
}

const LOOKS: usize = 10;
const POLL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_is_not_the_vault_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v");
        std::fs::write(&path, "old").unwrap();
        let old = open(&path, Access::Write).unwrap();
        assert!(is_at(&old, &path).unwrap());
        std::fs::write(folder.path().join("new"), "new").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert!(!is_at(&old, &path).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!is_at(&old, &path).unwrap());
    }
}

//! Who holds a lock on somebody else's file.

use std::{fs::File, io, ops::Range, path::Path};

use rustix::process::{Flock, FlockType, fcntl_getlk};

/// A process that holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its number; `None` where the system doesn't tell.
    pub process: Option<u32>,
}

/// The first other process that holds a POSIX lock on any of these bytes of a file, which may end beyond it. Takes none. Must not be asked of a file on
/// which this process holds such locks: the system drops them when it closes any handle of that file.
///
/// # Errors
/// Those of the system.
pub fn lock_holder(path: &Path, bytes: Range<u64>) -> io::Result<Option<Holder>> {
    let file = File::open(path)?;
    let asked = Flock {
        start: bytes.start,
        // The system's offsets have a sign.
        length: bytes
            .end
            .min(i64::MAX.unsigned_abs())
            .saturating_sub(bytes.start),
        ..Flock::from(FlockType::WriteLock)
    };
    let held = fcntl_getlk(&file, &asked)?;
    Ok(held.map(|lock| Holder {
        process: lock
            .pid
            .and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok()),
    }))
}

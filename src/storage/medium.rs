//! The bytes below a vault: a file, or what the crash tests put in its place.

use std::{fs::File, io, os::unix::fs::FileExt};

/// Bytes at offsets, as a file has them. Writes may be lost or torn until [`Medium::sync`] returns.
pub trait Medium: Send + Sync + std::fmt::Debug {
    /// Length in bytes.
    ///
    /// # Errors
    /// Those of the system.
    fn len(&self) -> io::Result<u64>;

    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// Those of the system.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Fills `bytes` from `offset`.
    ///
    /// # Errors
    /// Those of the system; `UnexpectedEof` behind the end.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`; a gap is filled with zeroes.
    ///
    /// # Errors
    /// Those of the system.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts or extends.
    ///
    /// # Errors
    /// Those of the system.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// Those of the system; what was written since the last sync may or may not be durable then.
    fn sync(&self) -> io::Result<()>;
}

impl Medium for File {
    fn len(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

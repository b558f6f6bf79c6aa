//! Bytes in place of a vault file.

use std::{io, sync::Mutex};

use tuskvault::storage::Medium;

#[derive(Debug)]
pub(crate) struct Bytes(Mutex<Vec<u8>>);

impl Bytes {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(Mutex::new(bytes.to_vec()))
    }
}

impl Medium for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(to.len());
        let from = bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn write(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        panic!("opening for reading must not write")
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        panic!("opening for reading must not resize")
    }

    fn sync(&self) -> io::Result<()> {
        panic!("opening for reading must not sync")
    }
}

//! The header: what can be read without a key, in two equal copies.
//!
//! An unkeyed checksum tells a torn copy from a whole one before the key is known; a keyed MAC, checked after unlocking,
//! tells that nobody altered it. After every change both copies are the same again: a lost copy never brings a removed
//! key slot back.

use std::path::Path;

use crate::crypto::{Credentials, KeySlot, MasterKey, SLOT_BYTES, SlotKind};

use super::{
    Error, FORMAT_VERSION, Medium, VaultId,
    layout::{HEADERS, UNIT, UNIT_U64},
};

/// Key slots in a header.
pub(super) const SLOTS: usize = 8;

/// The header of a vault.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) vault_id: VaultId,
    pub(super) sequence: u64,
    pub(super) created_at: i64,
    slots: [[u8; SLOT_BYTES]; SLOTS],
    /// The copy as read, for the MAC.
    raw: Box<[u8; UNIT]>,
    /// Where the copies stand: first the one that is not this header, or is it too.
    places: [u64; 2],
    /// Whether both copies are this header.
    doubled: bool,
}

impl Header {
    pub(super) fn new(vault_id: VaultId, created_at: i64) -> Self {
        let slots = [[0; SLOT_BYTES]; SLOTS];
        Self {
            vault_id,
            sequence: 0,
            created_at,
            slots,
            raw: Box::new([0; UNIT]),
            places: HEADERS,
            doubled: false,
        }
    }

    /// Reads both copies and takes the newer of those that are whole.
    pub(super) fn read(medium: &dyn Medium, path: &Path) -> Result<Self, Error> {
        let len = medium
            .len()
            .map_err(|source| Error::io("read", path, source))?;
        let mut best: Option<Self> = None;
        let mut refused = None;
        let [a, b] = HEADERS;
        for places in [[b, a], [a, b]] {
            let [_, unit] = places;
            let mut raw = Box::new([0; UNIT]);
            let offset = unit * UNIT_U64;
            if len >= offset + UNIT_U64 {
                medium
                    .read(offset, raw.as_mut_slice())
                    .map_err(|source| Error::io("read", path, source))?;
            } else if len > offset {
                let rest = usize::try_from(len - offset).unwrap_or(UNIT).min(UNIT);
                let part = raw.get_mut(..rest).unwrap_or_default();
                medium
                    .read(offset, part)
                    .map_err(|source| Error::io("read", path, source))?;
            }
            match Self::parse(raw, path) {
                Ok(mut header) => {
                    header.places = places;
                    match &mut best {
                        Some(best) if best.raw == header.raw => best.doubled = true,
                        Some(best) if best.sequence >= header.sequence => {}
                        _ => best = Some(header),
                    }
                }
                // What the first copy says of itself counts, unless only the second looks like a vault.
                Err(error @ (Error::Damaged { .. } | Error::NewerVersion { .. })) => {
                    refused = Some(error);
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match (best, refused) {
            (Some(header), _) => Ok(header),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Error::NotAVault {
                path: path.to_owned(),
            }),
        }
    }

    fn parse(raw: Box<[u8; UNIT]>, path: &Path) -> Result<Self, Error> {
        let not = || Error::NotAVault {
            path: path.to_owned(),
        };
        let damaged = |what: &str| Error::Damaged {
            path: path.to_owned(),
            what: what.to_owned(),
        };
        let field = |at: usize| raw.get(at..).unwrap_or_default();
        let u32_at = |at| {
            field(at)
                .first_chunk()
                .map(|bytes| u32::from_le_bytes(*bytes))
                .ok_or_else(not)
        };
        let u64_at = |at| {
            field(at)
                .first_chunk()
                .map(|bytes| u64::from_le_bytes(*bytes))
                .ok_or_else(not)
        };
        if !raw.starts_with(MAGIC) {
            return Err(not());
        }
        let version = u32_at(AT_VERSION)?;
        let (body, checksum) = raw.split_at(AT_CHECKSUM);
        let whole = blake3::hash(body).as_bytes() == checksum;
        if version > FORMAT_VERSION {
            return Err(Error::NewerVersion {
                path: path.to_owned(),
                found: version,
            });
        }
        if !whole {
            return Err(damaged("both copies of its header are torn or altered"));
        }
        if version != FORMAT_VERSION || u32_at(AT_GEOMETRY)? != GEOMETRY {
            return Err(damaged("its header names a geometry that never was"));
        }
        let mut slots = [[0; SLOT_BYTES]; SLOTS];
        for (slot, bytes) in slots
            .iter_mut()
            .zip(field(AT_SLOTS).chunks_exact(SLOT_BYTES))
        {
            slot.copy_from_slice(bytes);
        }
        Ok(Self {
            vault_id: VaultId(*field(AT_VAULT_ID).first_chunk().ok_or_else(not)?),
            sequence: u64_at(AT_SEQUENCE)?,
            created_at: i64::from_le_bytes(u64_at(AT_CREATED)?.to_le_bytes()),
            slots,
            raw,
            places: HEADERS,
            doubled: false,
        })
    }

    /// The slots in use, with their numbers.
    pub(super) fn slots(&self) -> impl Iterator<Item = (u8, KeySlot)> {
        (0u8..)
            .zip(&self.slots)
            .filter_map(|(number, bytes)| Some((number, KeySlot::from_bytes(bytes)?)))
    }

    /// A slot that is free, if there is one.
    pub(super) fn free_slot(&self) -> Option<u8> {
        (0u8..)
            .zip(&self.slots)
            .find(|(_, bytes)| bytes.iter().all(|byte| *byte == 0))
            .map(|(number, _)| number)
    }

    /// Puts a slot in its place, or empties the place.
    pub(super) fn set_slot(&mut self, number: u8, slot: Option<&KeySlot>) {
        if let Some(bytes) = self.slots.get_mut(usize::from(number)) {
            *bytes = slot.map_or([0; SLOT_BYTES], KeySlot::to_bytes);
        }
    }

    /// Tries the slots that these credentials fit, the most demanding kind first. Derives one key per try.
    pub(super) fn unlock(
        &self,
        credentials: &Credentials,
        path: &Path,
    ) -> Result<(u8, MasterKey), Error> {
        let Some(given) = SlotKind::of(credentials) else {
            return Err(Error::NoCredentials {
                path: path.to_owned(),
            });
        };
        let mut slots: Vec<(u8, KeySlot)> = self.slots().collect();
        slots.sort_by_key(|(_, slot)| slot.kind != SlotKind::Both);
        for (number, slot) in &slots {
            let opened = slot.unwrap(credentials, (&self.vault_id.0, *number));
            let Some(master) = opened.map_err(|error| Error::unlock(path, error))? else {
                continue;
            };
            if !self.is_authentic(&master) {
                let what = "its header was altered".to_owned();
                return Err(Error::Damaged {
                    path: path.to_owned(),
                    what,
                });
            }
            return Ok((*number, master));
        }
        let mut kinds: Vec<SlotKind> = slots.iter().map(|(_, slot)| slot.kind).collect();
        kinds.dedup();
        Err(Error::WrongCredentials {
            path: path.to_owned(),
            given,
            slots: kinds,
        })
    }

    pub(super) fn is_authentic(&self, master: &MasterKey) -> bool {
        let mac = master
            .header_key()
            .mac(self.raw.get(..AT_MAC).unwrap_or_default());
        subtle::ConstantTimeEq::ct_eq(
            &mac[..],
            self.raw.get(AT_MAC..AT_CHECKSUM).unwrap_or_default(),
        )
        .into()
    }

    /// Writes both copies, one after the other, each durable before the next: first the one that [`Header::read`] would
    /// not take, so that a torn one leaves the last change whole.
    ///
    /// After an error the header in the file is the former one or this one.
    pub(super) fn write(&mut self, medium: &dyn Medium, master: &MasterKey) -> std::io::Result<()> {
        self.sequence += 1;
        self.raw = self.bytes(master);
        self.doubled = false;
        let [first, second] = self.places;
        medium.write(first * UNIT_U64, self.raw.as_slice())?;
        medium.sync()?;
        self.places = [second, first];
        self.double(medium)
    }

    /// Makes both copies the same, where a crash between them left two: a former one must not come back when the newer
    /// one is damaged.
    pub(super) fn double(&mut self, medium: &dyn Medium) -> std::io::Result<()> {
        if !self.doubled {
            let [other, _] = self.places;
            medium.write(other * UNIT_U64, self.raw.as_slice())?;
            medium.sync()?;
            self.doubled = true;
        }
        Ok(())
    }

    fn bytes(&self, master: &MasterKey) -> Box<[u8; UNIT]> {
        let mut raw = Box::new([0; UNIT]);
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(to) = raw.get_mut(at..at + bytes.len()) {
                to.copy_from_slice(bytes);
            }
        };
        put(0, MAGIC);
        put(AT_VERSION, &FORMAT_VERSION.to_le_bytes());
        put(AT_GEOMETRY, &GEOMETRY.to_le_bytes());
        put(AT_VAULT_ID, &self.vault_id.0);
        put(AT_SEQUENCE, &self.sequence.to_le_bytes());
        put(AT_CREATED, &self.created_at.to_le_bytes());
        for (number, slot) in self.slots.iter().enumerate() {
            put(AT_SLOTS + number * SLOT_BYTES, slot);
        }
        let mac = master
            .header_key()
            .mac(raw.get(..AT_MAC).unwrap_or_default());
        if let Some(to) = raw.get_mut(AT_MAC..AT_CHECKSUM) {
            to.copy_from_slice(&mac);
        }
        let checksum = blake3::hash(raw.get(..AT_CHECKSUM).unwrap_or_default());
        if let Some(to) = raw.get_mut(AT_CHECKSUM..) {
            to.copy_from_slice(checksum.as_bytes());
        }
        raw
    }
}

const MAGIC: &[u8; 8] = b"TUSKVLT\0";
/// XChaCha20-Poly1305 over 4 KiB blocks, leaves of 102, mids of 99, 65 mids.
const GEOMETRY: u32 = 1;
const AT_VERSION: usize = 8;
const AT_GEOMETRY: usize = 12;
const AT_VAULT_ID: usize = 16;
const AT_SEQUENCE: usize = 32;
const AT_CREATED: usize = 40;
const AT_SLOTS: usize = 64;
const AT_MAC: usize = UNIT - 64;
const AT_CHECKSUM: usize = UNIT - 32;

#[cfg(test)]
mod tests {
    use std::{io, sync::Mutex};

    use super::*;

    /// Bytes in memory whose writes fail, torn in the middle, once so many have succeeded.
    #[derive(Debug)]
    struct Torn {
        bytes: Mutex<Vec<u8>>,
        writes_left: Mutex<usize>,
    }

    impl Torn {
        fn holding(bytes: Vec<u8>, writes_left: usize) -> Self {
            Self {
                bytes: Mutex::new(bytes),
                writes_left: Mutex::new(writes_left),
            }
        }

        fn into_bytes(self) -> Vec<u8> {
            self.bytes.into_inner().unwrap()
        }
    }

    impl Medium for Torn {
        fn len(&self) -> io::Result<u64> {
            Ok(self.bytes.lock().unwrap().len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let at = usize::try_from(offset).unwrap();
            out.copy_from_slice(&self.bytes.lock().unwrap()[at..at + out.len()]);
            Ok(())
        }

        fn write(&self, offset: u64, new: &[u8]) -> io::Result<()> {
            let at = usize::try_from(offset).unwrap();
            let mut left = self.writes_left.lock().unwrap();
            let written = if *left == 0 { new.len() / 2 } else { new.len() };
            let mut bytes = self.bytes.lock().unwrap();
            let len = bytes.len().max(at + written);
            bytes.resize(len, 0);
            bytes[at..at + written].copy_from_slice(&new[..written]);
            *left = left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            Ok(())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            let len = usize::try_from(len).unwrap();
            self.bytes.lock().unwrap().resize(len, 0);
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn read(bytes: &[u8]) -> Header {
        let medium = Torn::holding(bytes.to_vec(), 0);
        Header::read(&medium, Path::new("v")).unwrap()
    }

    /// The bytes after a change that broke off after so many whole writes.
    fn changed(bytes: Vec<u8>, writes: usize, master: &MasterKey, created_at: i64) -> Vec<u8> {
        let mut header = read(&bytes);
        header.created_at = created_at;
        let medium = Torn::holding(bytes, writes);
        assert_eq!(header.write(&medium, master).is_ok(), writes > 1);
        medium.into_bytes()
    }

    #[test]
    fn a_torn_header_write_keeps_the_last_change() {
        let master = MasterKey::from_bytes([1; 32]);
        let medium = Torn::holding(Vec::new(), 2);
        Header::new(VaultId([2; 16]), 10)
            .write(&medium, &master)
            .unwrap();
        let fresh = medium.into_bytes();
        // Every history of four changes, each whole or broken off at either copy.
        for history in 0..3usize.pow(4) {
            let (mut bytes, mut expected) = (fresh.clone(), 10);
            for change in 0..4 {
                let writes = history / 3usize.pow(change) % 3;
                let date = 11 + i64::from(change);
                bytes = changed(bytes, writes, &master, date);
                let header = read(&bytes);
                assert!(header.is_authentic(&master));
                if writes > 0 {
                    expected = date;
                }
                assert_eq!(
                    header.created_at, expected,
                    "history {history}, change {change}"
                );
            }
        }
    }
}

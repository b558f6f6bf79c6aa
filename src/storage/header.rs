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
        }
    }

    /// Reads both copies and takes the newer of those that are whole.
    pub(super) fn read(medium: &dyn Medium, path: &Path) -> Result<Self, Error> {
        let len = medium
            .len()
            .map_err(|source| Error::io("read", path, source))?;
        let mut best: Option<Self> = None;
        let mut refused = None;
        for unit in HEADERS {
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
                Ok(header) => {
                    if best
                        .as_ref()
                        .is_none_or(|best| best.sequence < header.sequence)
                    {
                        best = Some(header);
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

    /// Writes both copies, one after the other, each durable before the next: the one that `read` would not take first.
    pub(super) fn write(&mut self, medium: &dyn Medium, master: &MasterKey) -> std::io::Result<()> {
        self.sequence += 1;
        self.raw = self.bytes(master);
        for unit in HEADERS {
            medium.write(unit * UNIT_U64, self.raw.as_slice())?;
            medium.sync()?;
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
/// XChaCha20-Poly1305 over 4 KiB blocks, leaves of 102, mids of 99, 90 mids.
const GEOMETRY: u32 = 1;
const AT_VERSION: usize = 8;
const AT_GEOMETRY: usize = 12;
const AT_VAULT_ID: usize = 16;
const AT_SEQUENCE: usize = 32;
const AT_CREATED: usize = 40;
const AT_SLOTS: usize = 64;
const AT_MAC: usize = UNIT - 64;
const AT_CHECKSUM: usize = UNIT - 32;

//! The vault file: sealed 4 KiB blocks under redb.
//!
//! Promises that a block is read as it was last written or not at all, that a crash at any moment leaves the last
//! commit whole, and that nothing but sizes and key derivation parameters stands outside of sealed blocks.
//! `docs/format.md` describes every byte, in the words used here.

mod check;
mod dense;
mod error;
mod file;
mod header;
mod layout;
mod lock;
mod medium;
mod open;
mod slots;
mod tree;

use std::fmt;

use crate::crypto::{KdfParams, KeySlot, SlotKind};

pub use error::Error;
pub use file::EncryptedFile;
pub use medium::Medium;
pub use open::{LockedVault, Redb, StagedVault, open_redb};

/// The version of the file format that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The most bytes that redb may keep in a vault.
pub const MAX_BYTES: u64 = layout::MAX_BLOCKS * layout::UNIT_U64;

/// Identifies a vault for its life; random, not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VaultId(pub [u8; 16]);

impl fmt::Display for VaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for VaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a vault is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading, beside other readers.
    Read,
    /// Writing, alone.
    Write,
}

/// A key slot as shown: nothing in it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotInfo {
    /// Its number, from 0.
    pub number: u8,
    /// What it asks for.
    pub kind: SlotKind,
    /// The cost of its key derivation.
    pub kdf: KdfParams,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub created_at: i64,
}

impl SlotInfo {
    fn new(number: u8, slot: &KeySlot) -> Self {
        Self {
            number,
            kind: slot.kind,
            kdf: slot.kdf,
            created_at: slot.created_at,
        }
    }
}

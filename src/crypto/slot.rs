//! Key slots: the ways into a vault.
//!
//! A slot wraps the master key under a key derived from a passphrase, a key file, or both. Promises that a slot opens
//! only in the vault and at the number that it was made for, with the parameters that it was made with, and that
//! hostile parameters cost nothing. Where slots are kept is `storage::header`'s business.

use zeroize::Zeroizing;

use super::{Credentials, KdfError, KdfParams, MasterKey, PageKey, RandomError, Seal, random};

/// Bytes of a slot in the file.
pub const SLOT_BYTES: usize = 128;

/// What a slot asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// A passphrase.
    Passphrase,
    /// A key file.
    KeyFile,
    /// A passphrase and a key file together.
    Both,
}

impl SlotKind {
    /// The kind that these credentials make; `None` when there are none.
    pub fn of(credentials: &Credentials) -> Option<Self> {
        match (&credentials.passphrase, &credentials.key_file) {
            (Some(_), Some(_)) => Some(Self::Both),
            (Some(_), None) => Some(Self::Passphrase),
            (None, Some(_)) => Some(Self::KeyFile),
            (None, None) => None,
        }
    }

    /// The words shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::KeyFile => "key file",
            Self::Both => "passphrase and key file",
        }
    }
}

/// One way into a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySlot {
    /// What it asks for.
    pub kind: SlotKind,
    /// The cost of its key derivation.
    pub kdf: KdfParams,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub created_at: i64,
    salt: [u8; 32],
    seal: Seal,
    wrapped: [u8; 32],
}

impl KeySlot {
    /// Makes a slot of the kind that the credentials are.
    ///
    /// # Errors
    /// [`UnlockError`]: no credentials, parameters out of bounds, no memory, no random bytes.
    pub fn wrap(
        master: &MasterKey,
        credentials: &Credentials,
        kdf: KdfParams,
        place: (&[u8; 16], u8),
        created_at: i64,
    ) -> Result<Self, UnlockError> {
        let kind = SlotKind::of(credentials).ok_or(UnlockError::NoCredentials)?;
        let salt = random()?;
        let secret = secret_of(kind, credentials).ok_or(UnlockError::NoCredentials)?;
        let key = PageKey::for_wrapping(&*kdf.derive(&secret, &salt)?);
        let seal = Seal {
            nonce: [0; 24],
            tag: [0; 16],
        };
        let mut slot = Self {
            kind,
            kdf,
            created_at,
            salt,
            seal,
            wrapped: *master.bytes(),
        };
        let associated = slot.associated(place);
        slot.seal = key.seal(&associated, &mut slot.wrapped)?;
        Ok(slot)
    }

    /// The master key, or `None` when these credentials don't open the slot or are not of its kind.
    ///
    /// # Errors
    /// [`UnlockError`]: parameters out of bounds, no memory.
    pub fn unwrap(
        &self,
        credentials: &Credentials,
        place: (&[u8; 16], u8),
    ) -> Result<Option<MasterKey>, UnlockError> {
        let Some(secret) = secret_of(self.kind, credentials) else {
            return Ok(None);
        };
        let key = PageKey::for_wrapping(&*self.kdf.derive(&secret, &self.salt)?);
        let mut master = Zeroizing::new(self.wrapped);
        let opened = key.open(&self.seal, &self.associated(place), &mut *master);
        Ok(opened.then(|| MasterKey::from_bytes(*master)))
    }

    /// The slot as it stands in the file.
    pub fn to_bytes(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        let mut rest = bytes.as_mut_slice();
        for part in [
            self.head().as_slice(),
            &self.salt,
            &self.seal.nonce,
            &self.wrapped,
            &self.seal.tag,
        ] {
            let (to, after) = rest.split_at_mut(part.len());
            to.copy_from_slice(part);
            rest = after;
        }
        bytes
    }

    /// Reads a slot; `None` for an empty one, or for a kind that this version doesn't know (it is then left alone).
    pub fn from_bytes(bytes: &[u8; SLOT_BYTES]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let (salt, rest) = rest.split_first_chunk::<32>()?;
        let (nonce, rest) = rest.split_first_chunk::<24>()?;
        let (wrapped, rest) = rest.split_first_chunk::<32>()?;
        let (tag, _) = rest.split_first_chunk::<16>()?;
        let (kind, rest) = head.split_first_chunk::<4>()?;
        let (memory, rest) = rest.split_first_chunk::<4>()?;
        let (iterations, rest) = rest.split_first_chunk::<4>()?;
        let (parallelism, rest) = rest.split_first_chunk::<4>()?;
        let (created_at, _) = rest.split_first_chunk::<8>()?;
        let kind = match u32::from_le_bytes(*kind) {
            1 => SlotKind::Passphrase,
            2 => SlotKind::KeyFile,
            3 => SlotKind::Both,
            _ => return None,
        };
        Some(Self {
            kind,
            kdf: KdfParams {
                memory_kib: u32::from_le_bytes(*memory),
                iterations: u32::from_le_bytes(*iterations),
                parallelism: u32::from_le_bytes(*parallelism),
            },
            created_at: i64::from_le_bytes(*created_at),
            salt: *salt,
            seal: Seal {
                nonce: *nonce,
                tag: *tag,
            },
            wrapped: *wrapped,
        })
    }

    /// Kind, parameters and date: the first 24 bytes of the slot.
    fn head(&self) -> [u8; HEAD_BYTES] {
        let kind: u32 = match self.kind {
            SlotKind::Passphrase => 1,
            SlotKind::KeyFile => 2,
            SlotKind::Both => 3,
        };
        let mut head = [0; HEAD_BYTES];
        let (numbers, date) = head.split_at_mut(16);
        let fields = [
            kind,
            self.kdf.memory_kib,
            self.kdf.iterations,
            self.kdf.parallelism,
        ];
        for (to, field) in numbers.chunks_exact_mut(4).zip(fields) {
            to.copy_from_slice(&field.to_le_bytes());
        }
        date.copy_from_slice(&self.created_at.to_le_bytes());
        head
    }

    fn associated(&self, (vault, number): (&[u8; 16], u8)) -> Vec<u8> {
        [
            b"tuskvault slot v1".as_slice(),
            vault,
            &[number],
            &self.head(),
            &self.salt,
        ]
        .concat()
    }
}

/// A vault's key can't be wrapped or unwrapped, for a reason other than wrong credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// Neither a passphrase nor a key file is at hand.
    #[error("neither a passphrase nor a key file was given")]
    NoCredentials,
    /// The key can't be derived.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

fn secret_of(kind: SlotKind, credentials: &Credentials) -> Option<Zeroizing<Vec<u8>>> {
    let passphrase = credentials
        .passphrase
        .as_ref()
        .map(super::Passphrase::bytes);
    let key_file = credentials.key_file.as_ref().map(super::KeyFile::bytes);
    match kind {
        SlotKind::Passphrase => passphrase.map(|bytes| Zeroizing::new(bytes.to_vec())),
        SlotKind::KeyFile => key_file.map(|bytes| Zeroizing::new(bytes.to_vec())),
        SlotKind::Both => {
            let (passphrase, key_file) = (passphrase?, key_file?);
            let both = Zeroizing::new([key_file, passphrase].concat());
            let secret = blake3::derive_key("tuskvault 2026-11 passphrase and key file v1", &both);
            Some(Zeroizing::new(secret.to_vec()))
        }
    }
}

const HEAD_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{KeyFile, Passphrase};

    const VAULT: [u8; 16] = [9; 16];

    fn passphrase(text: &str) -> Credentials {
        Credentials {
            passphrase: Some(Passphrase::new(text.to_owned())),
            key_file: None,
        }
    }

    #[test]
    fn a_slot_opens_with_what_it_was_made_with_and_nothing_else() {
        let master = MasterKey::generate().unwrap();
        let key_file = Some(KeyFile::generate().unwrap());
        let both = Credentials {
            key_file: key_file.clone(),
            ..passphrase("a")
        };
        let key_only = Credentials {
            passphrase: None,
            key_file,
        };
        for credentials in [&passphrase("a"), &both, &key_only] {
            let slot =
                KeySlot::wrap(&master, credentials, KdfParams::LEAST, (&VAULT, 0), 5).unwrap();
            let slot = KeySlot::from_bytes(&slot.to_bytes()).unwrap();
            let opened = slot.unwrap(credentials, (&VAULT, 0)).unwrap().unwrap();
            assert_eq!(opened.bytes(), master.bytes());
            let other = Credentials {
                passphrase: Some(Passphrase::new("b".to_owned())),
                key_file: Some(KeyFile::generate().unwrap()),
            };
            assert!(slot.unwrap(&other, (&VAULT, 0)).unwrap().is_none());
            assert!(slot.unwrap(credentials, (&VAULT, 1)).unwrap().is_none());
            assert!(slot.unwrap(credentials, (&[8; 16], 0)).unwrap().is_none());
        }
    }

    #[test]
    fn a_slot_that_others_computed_opens() {
        // Computed with argon2-cffi 25.1 and PyNaCl 1.6.2: passphrase "correct horse", 8 MiB in one pass, date 5, salt
        // of ones, nonce 100, 101, …; it wraps 0, 1, 2, … in slot 3 of vault 9, 9, …
        let hex = "0100000000200000010000000100000005000000000000000101010101010101010101010101010101010101010101010101\
                   0101010101016465666768696a6b6c6d6e6f707172737475767778797a7b221b0bdd3dc5964d8060fddaec531954a90b3952ab\
                   23c44a7aa9c86af448bfb42ad651112d363ce7a29ad6c9cdf2d485";
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        let slot = KeySlot::from_bytes(bytes.as_slice().try_into().unwrap()).unwrap();
        let master = slot
            .unwrap(&passphrase("correct horse"), (&VAULT, 3))
            .unwrap()
            .unwrap();
        assert!(master.bytes().iter().copied().eq(0..32));
        assert_eq!(slot.to_bytes().as_slice(), bytes);
    }

    #[test]
    fn every_byte_of_a_slot_counts() {
        let master = MasterKey::generate().unwrap();
        let slot =
            KeySlot::wrap(&master, &passphrase("a"), KdfParams::LEAST, (&VAULT, 0), 5).unwrap();
        let bytes = slot.to_bytes();
        for at in 0..SLOT_BYTES {
            let mut altered = bytes;
            altered[at] ^= 1;
            let Some(slot) = KeySlot::from_bytes(&altered) else {
                continue;
            };
            assert!(
                !matches!(slot.unwrap(&passphrase("a"), (&VAULT, 0)), Ok(Some(_))),
                "byte {at}"
            );
        }
    }
}

//! The master key, its subkeys, and sealing with one of them.

use std::fmt;

use chacha20poly1305::{
    KeyInit, Tag, XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, inout::InOutBuf},
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{RandomError, random};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 24;
/// Bytes of an authentication tag.
pub const TAG_BYTES: usize = 16;

/// The random 256-bit key that everything in a vault hangs on.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// [`RandomError`] when the system has no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        random().map(Self)
    }

    /// Takes 32 bytes over.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key that seals pages, tag pages and the superblock.
    pub fn page_key(&self) -> PageKey {
        let key = self.derive("tuskvault 2026-11 pages v1");
        PageKey(XChaCha20Poly1305::new((&*key).into()))
    }

    /// The key of the header's MAC.
    pub fn header_key(&self) -> SubKey {
        SubKey(self.derive("tuskvault 2026-11 header v1"))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn derive(&self, context: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, &self.0))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// A key for keyed hashes, of one purpose.
#[derive(Clone)]
pub struct SubKey(Zeroizing<[u8; 32]>);

impl SubKey {
    /// Takes 32 bytes over.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Keyed BLAKE3 of the parts, each preceded by its length (u64, little-endian), so that no two lists of parts meet.
    pub fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let hash = *hasher.finalize().as_bytes();
        hasher.zeroize();
        hash
    }

    /// Keyed BLAKE3 of the bytes as they are.
    pub fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, bytes).as_bytes()
    }
}

impl fmt::Debug for SubKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubKey(…)")
    }
}

/// What opens a sealed block again: its nonce and its tag. Neither is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The nonce.
    pub nonce: [u8; NONCE_BYTES],
    /// The authentication tag.
    pub tag: [u8; TAG_BYTES],
}

/// The key that seals blocks.
#[derive(Clone)]
pub struct PageKey(XChaCha20Poly1305);

impl PageKey {
    /// A key that wraps the master key: the derived key-encryption key, used as it is.
    pub(super) fn for_wrapping(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    /// Seals the block in place under a nonce, which must never have been used with this key before.
    pub fn seal_with(&self, nonce: [u8; NONCE_BYTES], associated: &[u8], block: &mut [u8]) -> Seal {
        let tag = self
            .0
            .encrypt_inout_detached(&XNonce::from(nonce), associated, InOutBuf::from(block))
            .map(Into::into)
            .unwrap_or_default();
        Seal { nonce, tag }
    }

    /// Seals the block in place under a fresh random nonce.
    ///
    /// # Errors
    /// [`RandomError`] when the system has no random bytes; the block is then as it was.
    pub fn seal(&self, associated: &[u8], block: &mut [u8]) -> Result<Seal, RandomError> {
        Ok(self.seal_with(random()?, associated, block))
    }

    /// Opens the block in place. Answers whether it is authentic; if it is not, it must not be used.
    #[must_use]
    pub fn open(&self, seal: &Seal, associated: &[u8], block: &mut [u8]) -> bool {
        let (nonce, tag) = (XNonce::from(seal.nonce), Tag::from(seal.tag));
        self.0
            .decrypt_inout_detached(&nonce, associated, InOutBuf::from(block), &tag)
            .is_ok()
    }
}

impl fmt::Debug for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// 0, 1, 2, … from `first` on, wrapping.
    fn counting<const N: usize>(first: u8) -> [u8; N] {
        std::array::from_fn(|n| first.wrapping_add(n.to_le_bytes()[0]))
    }

    #[test]
    fn subkeys_are_those_of_an_independent_blake3() {
        // Computed with the PyPI package blake3 1.0.11.
        let master = MasterKey::from_bytes(counting(0));
        let hex = |context| HEXLOWER.encode(&*master.derive(context));
        assert_eq!(
            hex("tuskvault 2026-11 pages v1"),
            "927074f79acb3324245c0173119fcf0b56a977497f28f755c4d47dfa86f55821"
        );
        assert_eq!(
            hex("tuskvault 2026-11 header v1"),
            "a45d4d3ca4bb1ab7227bd63f1365c523f02a149d427747b82fbd69c6bc3ffd60"
        );
        let key = master.header_key();
        assert_eq!(
            HEXLOWER.encode(&key.mac(b"header")),
            "fd85866fc1f4ee823a48f675c47402ed49972f48f8be9995b4905c564c0590a4"
        );
        assert_eq!(
            HEXLOWER.encode(&key.hash(&[b"token id", b"m.example"])),
            "dae7ba6c7cc798b6712b306c266c6af9171bbf300bdf8c46a92a5a5e88b2a484"
        );
    }

    #[test]
    fn sealing_is_that_of_libsodium() {
        // Computed with libsodium (PyNaCl 1.6.2, `crypto_aead_xchacha20poly1305_ietf_encrypt`) under the page key of the
        // master key 0, 1, 2, …
        let key = MasterKey::from_bytes(counting(0)).page_key();
        let mut block: [u8; 4096] = counting(0);
        let seal = key.seal_with(counting(100), b"associated", &mut block);
        assert_eq!(
            HEXLOWER.encode(&seal.tag),
            "bceb7ebc6ab14cbba4852e5605cfd1ec"
        );
        assert_eq!(
            HEXLOWER.encode(blake3::hash(&block).as_bytes()),
            "5001aea8772c945c9163adc856624b794cc779f811b22c92d0c559f84422e096"
        );
        let mut short = *b"tuskvault";
        let seal = key.seal_with(counting(100), b"associated", &mut short);
        assert_eq!(
            HEXLOWER.encode(&[short.as_slice(), &seal.tag].concat()),
            "b641014e1be705f352aa88b9751e6325146369cdbda9d2a73c"
        );
    }

    #[test]
    fn a_block_opens_only_as_it_was_sealed() {
        let key = MasterKey::from_bytes([1; 32]).page_key();
        let mut block = [42; 4096];
        let seal = key.seal(b"here", &mut block).unwrap();
        assert_ne!(block, [42; 4096]);
        let sealed = block;
        assert!(!key.open(&seal, b"there", &mut block.clone()));
        let other = MasterKey::from_bytes([2; 32]).page_key();
        assert!(!other.open(&seal, b"here", &mut block.clone()));
        for at in [0, 1000, 4095] {
            let mut altered = sealed;
            altered[at] ^= 1;
            assert!(!key.open(&seal, b"here", &mut altered));
        }
        assert!(key.open(&seal, b"here", &mut block));
        assert_eq!(block, [42; 4096]);
    }
}

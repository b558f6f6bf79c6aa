//! What opens a vault: a passphrase, a key file, or both.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{RandomError, random};

/// A passphrase. Zeroised on drop, never shown.
#[derive(Clone)]
pub struct Passphrase(SecretString);

impl Passphrase {
    /// Takes the text over; the bytes of its UTF-8 form count, nothing is normalised.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// Whether it has no character at all.
    pub fn is_empty(&self) -> bool {
        self.0.expose_secret().is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().ct_eq(other.bytes()).into()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// The contents of a key file: 256 random bits.
///
/// Its text form is one line, `tuskvault-key-1:` and 64 characters of base32 (32 bytes of key, 8 bytes of checksum), so
/// that a damaged key file is not taken for a wrong one.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeyFile([u8; KEY_BYTES]);

impl KeyFile {
    /// Makes a new one.
    ///
    /// # Errors
    /// [`RandomError`] when the system has no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        random().map(Self)
    }

    /// The text form, with a final newline.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES + CHECK_BYTES]);
        let (key, check) = bytes.split_at_mut(KEY_BYTES);
        key.copy_from_slice(&self.0);
        check.copy_from_slice(&checksum(&self.0));
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 66));
        text.push_str(PREFIX);
        BASE32_NOPAD.encode_append(&*bytes, &mut text);
        text.push('\n');
        text
    }

    /// Reads the text form; white space around it is ignored.
    ///
    /// # Errors
    /// [`KeyFileError`]: it is no key file, of a later version, or damaged.
    pub fn parse(text: &[u8]) -> Result<Self, KeyFileError> {
        let text = text.trim_ascii();
        let Some(encoded) = text.strip_prefix(PREFIX.as_bytes()) else {
            let later = text.starts_with(FAMILY.as_bytes());
            return Err(if later {
                KeyFileError::Version
            } else {
                KeyFileError::NotAKeyFile
            });
        };
        let mut bytes = Zeroizing::new([0; KEY_BYTES + CHECK_BYTES]);
        if BASE32_NOPAD.decode_len(encoded.len()) != Ok(bytes.len()) {
            return Err(KeyFileError::Damaged);
        }
        BASE32_NOPAD
            .decode_mut(encoded, &mut *bytes)
            .map_err(|_| KeyFileError::Damaged)?;
        let mut key = Self([0; KEY_BYTES]);
        let (secret, check) = bytes.split_at(KEY_BYTES);
        key.0.copy_from_slice(secret);
        if bool::from(checksum(&key.0).ct_eq(check)) {
            Ok(key)
        } else {
            Err(KeyFileError::Damaged)
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFile(…)")
    }
}

/// Why some bytes are no key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It does not begin as one.
    #[error("this is no tuskvault key file")]
    NotAKeyFile,
    /// It was made by a later version.
    #[error("this key file is of a later version than this program knows")]
    Version,
    /// Its checksum is wrong.
    #[error("this key file is damaged: its checksum is wrong")]
    Damaged,
}

/// Everything at hand to open a vault with.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// A passphrase.
    pub passphrase: Option<Passphrase>,
    /// A key file.
    pub key_file: Option<KeyFile>,
}

fn checksum(key: &[u8; KEY_BYTES]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    let hash = blake3::derive_key("tuskvault 2026-11 key file checksum v1", key);
    check.copy_from_slice(hash.split_at(CHECK_BYTES).0);
    check
}

const KEY_BYTES: usize = 32;
const CHECK_BYTES: usize = 8;
const FAMILY: &str = "tuskvault-key-";
const PREFIX: &str = "tuskvault-key-1:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_survives_its_text_form_and_a_damaged_one_is_noticed() {
        let key = KeyFile::generate().unwrap();
        let text = key.to_text();
        assert_eq!(KeyFile::parse(text.as_bytes()).unwrap().0, key.0);
        for at in PREFIX.len()..text.len() - 1 {
            let mut damaged = text.as_bytes().to_vec();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                KeyFile::parse(&damaged).unwrap_err(),
                KeyFileError::Damaged,
                "{at}"
            );
        }
        assert_eq!(
            KeyFile::parse(&text.as_bytes()[..40]).unwrap_err(),
            KeyFileError::Damaged
        );
        assert_eq!(
            KeyFile::parse(b"tuskvault-key-2:AA").unwrap_err(),
            KeyFileError::Version
        );
        assert_eq!(
            KeyFile::parse(b"hello").unwrap_err(),
            KeyFileError::NotAKeyFile
        );
    }

    #[test]
    fn debug_shows_nothing() {
        let credentials = Credentials {
            passphrase: Some(Passphrase::new("hunter2".to_owned())),
            key_file: Some(KeyFile([7; 32])),
        };
        let shown = format!("{credentials:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains('7'),
            "{shown}"
        );
    }
}

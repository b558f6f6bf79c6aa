//! Keys: from a passphrase or key file to the master key, from there to one subkey per purpose, and sealing with them.
//!
//! Slices in, slices out: knows no file and no offset. Everything secret is zeroised on drop and never shown by
//! `Debug`. The constructions are those of `docs/format.md`.

mod credentials;
mod kdf;
mod keys;
mod slot;

pub use credentials::{Credentials, KeyFile, KeyFileError, Passphrase};
pub use kdf::{KdfError, KdfParams};
pub use keys::{MasterKey, NONCE_BYTES, PageKey, Seal, SubKey, TAG_BYTES};
pub use slot::{KeySlot, SLOT_BYTES, SlotKind, UnlockError};

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct RandomError(#[source] getrandom::Error);

/// Fresh random bytes from the system.
///
/// # Errors
/// [`RandomError`] when the system has none.
pub fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RandomError)?;
    Ok(bytes)
}

//! The key slots of an open vault: listed, added, changed, removed, but never the last.

use crate::crypto::{Credentials, KdfParams, KeySlot};

use super::{EncryptedFile, Error, SlotInfo};

impl EncryptedFile {
    /// The key slots in use. Nothing in them is secret.
    pub fn slots(&self) -> Vec<SlotInfo> {
        self.header()
            .slots()
            .map(|(number, slot)| SlotInfo::new(number, &slot))
            .collect()
    }

    /// Adds a key slot for these credentials and answers its number.
    ///
    /// # Errors
    /// [`Error::NoFreeSlot`], [`Error::Kdf`], [`Error::ReadOnly`]; [`Error::Unsure`] when it may or may not have been saved.
    pub fn add_slot(
        &self,
        credentials: &Credentials,
        kdf: KdfParams,
        now: i64,
    ) -> Result<u8, Error> {
        let number = self.header().free_slot();
        let number = number.ok_or_else(|| Error::NoFreeSlot {
            path: self.path().to_owned(),
        })?;
        self.write_slot(number, credentials, kdf, now)?;
        Ok(number)
    }

    /// Replaces what opens a key slot.
    ///
    /// # Errors
    /// [`Error::NoSuchSlot`], [`Error::Kdf`], [`Error::ReadOnly`]; [`Error::Unsure`] when it may or may not have been saved.
    pub fn change_slot(
        &self,
        number: u8,
        credentials: &Credentials,
        kdf: KdfParams,
        now: i64,
    ) -> Result<(), Error> {
        self.find_slot(number)?;
        self.write_slot(number, credentials, kdf, now)
    }

    /// Removes a key slot, but never the last one.
    ///
    /// # Errors
    /// [`Error::NoSuchSlot`], [`Error::LastSlot`], [`Error::ReadOnly`]; [`Error::Unsure`] when it may or may not have been saved.
    pub fn remove_slot(&self, number: u8) -> Result<(), Error> {
        self.find_slot(number)?;
        if self.slots().len() < 2 {
            return Err(Error::LastSlot {
                path: self.path().to_owned(),
                slot: number,
            });
        }
        self.update_header(|header| header.set_slot(number, None))
    }

    fn find_slot(&self, number: u8) -> Result<(), Error> {
        if self.header().slots().any(|(known, _)| known == number) {
            return Ok(());
        }
        Err(Error::NoSuchSlot {
            path: self.path().to_owned(),
            slot: number,
        })
    }

    fn write_slot(
        &self,
        number: u8,
        credentials: &Credentials,
        kdf: KdfParams,
        now: i64,
    ) -> Result<(), Error> {
        let slot = KeySlot::wrap(
            self.master(),
            credentials,
            kdf,
            (&self.vault_id().0, number),
            now,
        )
        .map_err(|error| Error::unlock(self.path(), error))?;
        self.update_header(|header| header.set_slot(number, Some(&slot)))
    }
}

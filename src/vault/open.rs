//! Creating and opening vaults, and writing them anew.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use redb::{Database, ReadableTable};

use crate::{
    crypto::{Credentials, KdfParams},
    model::Actor,
    progress::Progress,
    storage::{Access, EncryptedFile, LockedVault, Redb, StagedVault, open_redb},
};

use super::{AuditEvent, Error, Opened, Vault, audit, store::TABLE};

impl Vault {
    /// Creates a vault at `path`, where nothing may be. It is there once it is complete.
    ///
    /// # Errors
    /// [`crate::storage::Error::Exists`], [`crate::storage::Error::NoCredentials`], [`crate::storage::Error::Kdf`], [`crate::storage::Error::Io`].
    pub fn create(
        path: &Path,
        credentials: &Credentials,
        kdf: KdfParams,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let staged = StagedVault::create(path, credentials, kdf, now.as_second())?;
        // Closing redb before the file is published makes it whole at its first sight.
        drop(Self::create_in(staged.file(), actor, now)?);
        Self::over_opened(staged.publish()?)
    }

    /// Makes an empty vault in a file without contents.
    ///
    /// # Errors
    /// [`Error`] when the file can't be written.
    pub fn create_in(file: &EncryptedFile, actor: &Actor, now: Timestamp) -> Result<Self, Error> {
        let Redb::Write(database) = open_redb(file, CACHE_BYTES)? else {
            return Err(Error::ReadOnly);
        };
        let vault = Self::new(database, Some(file.clone()))?;
        let transaction = vault.begin_write()?;
        let event = &AuditEvent::Created;
        audit::append(&transaction, &vault.keys.audit, event, actor, now)?;
        vault.commit(transaction)?;
        Ok(vault)
    }

    /// Opens the vault at `path`, waiting up to `wait` for another process that has it.
    ///
    /// # Errors
    /// Those of [`LockedVault::open`] and [`LockedVault::unlock`]; [`Error::NewerContents`].
    pub fn open(
        path: &Path,
        credentials: &Credentials,
        access: Access,
        wait: Duration,
    ) -> Result<Self, Error> {
        Self::unlock(LockedVault::open(path, access, wait)?, credentials)
    }

    /// Opens a vault that is locked already: for a caller that asks for the passphrase only once it knows that the file
    /// is a vault and that nobody else has it.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn unlock(locked: LockedVault, credentials: &Credentials) -> Result<Self, Error> {
        Self::over_opened(locked.unlock(credentials)?)
    }

    /// The vault in a file that is open.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn over_opened(file: EncryptedFile) -> Result<Self, Error> {
        let redb = open_redb(&file, CACHE_BYTES)?;
        Self::over_file(file, redb)
    }

    /// Writes everything into a file without contents, in its smallest form, reads it back, and notes the event in the
    /// audit log there.
    ///
    /// # Errors
    /// [`Error::RewriteDiffers`], or when a file can't be read or written.
    pub fn copy_into(
        &self,
        new: &EncryptedFile,
        (event, actor, now): (&AuditEvent, &Actor, Timestamp),
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let Redb::Write(database) = open_redb(new, CACHE_BYTES)? else {
            return Err(Error::ReadOnly);
        };
        progress.start("copying", None);
        let copied = copy(self, &database, progress)?;
        let new = Self::over_file(new.clone(), Redb::Write(database))?;
        if digest(&new)? != copied {
            return Err(Error::RewriteDiffers);
        }
        let transaction = new.begin_write()?;
        audit::append(&transaction, &new.keys.audit, event, actor, now)?;
        new.commit(transaction)?;
        progress.finish();
        Ok(())
    }
}

/// What a rewrite did.
#[derive(Debug, Clone)]
pub struct Rewritten {
    /// The new file, in its place.
    pub file: EncryptedFile,
    /// Length of the file before, in bytes.
    pub before_bytes: u64,
    /// Length of the file after, in bytes.
    pub after_bytes: u64,
    /// Where the former file is, if it was kept.
    pub previous: Option<PathBuf>,
}

/// Rewrites the vault in its smallest form. The former file stays as `.prev` with `keep`. A vault that would not get
/// smaller by it stays as it is.
///
/// # Errors
/// [`Error::RewriteDiffers`], or when a file can't be read or written; the vault is as it was then.
pub fn compact(
    vault: Vault,
    keep: bool,
    actor: &Actor,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<Rewritten, Error> {
    let Some(old) = vault.file.clone() else {
        return Err(Error::ReadOnly);
    };
    let staged = StagedVault::like(&old, 0)?;
    rewrite(
        vault,
        &old,
        staged,
        keep,
        (&AuditEvent::Compacted, actor, now),
        progress,
    )
}

/// Encrypts the vault anew under a new master key, with one key slot. The former file, which the former key opens, stays
/// as `.prev` with `keep`.
///
/// # Errors
/// As [`compact`], and those of making a key slot.
pub fn rekey(
    vault: Vault,
    (credentials, kdf): (&Credentials, KdfParams),
    keep: bool,
    actor: &Actor,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<Rewritten, Error> {
    let Some(old) = vault.file.clone() else {
        return Err(Error::ReadOnly);
    };
    let staged = StagedVault::rekeyed(&old, credentials, kdf, now.as_second())?;
    rewrite(
        vault,
        &old,
        staged,
        keep,
        (&AuditEvent::Rekeyed, actor, now),
        progress,
    )
}

fn rewrite(
    vault: Vault,
    old: &EncryptedFile,
    staged: StagedVault,
    keep: bool,
    event: (&AuditEvent, &Actor, Timestamp),
    progress: &dyn Progress,
) -> Result<Rewritten, Error> {
    vault.copy_into(staged.file(), event, progress)?;
    // Closed, the former file is as short as it gets; its lock stays.
    drop(vault);
    let before_bytes = old.file_len()?;
    let is_worth_it = staged.file().file_len()? <= before_bytes;
    let (file, previous) = match event.0 {
        // As small as it gets already.
        AuditEvent::Compacted if !is_worth_it => (old.clone(), None),
        _ => staged.replace(keep)?,
    };
    Ok(Rewritten {
        before_bytes,
        after_bytes: file.file_len()?,
        file,
        previous,
    })
}

/// Writes a vault's contents anew by `write`, with a commit counter that is past `seen`, checks them, and puts them in
/// its place. The former file stays as `.prev` with `keep`.
pub(super) fn write_anew<T>(
    vault: Vault,
    keep: bool,
    seen: u64,
    progress: &dyn Progress,
    write: impl FnOnce(&Vault, &Database) -> Result<T, Error>,
) -> Result<(T, Rewritten), Error> {
    let old = vault.file.clone().ok_or(Error::ReadOnly)?;
    if matches!(vault.database, Opened::Read(_)) {
        return Err(Error::ReadOnly);
    }
    let staged = StagedVault::like(&old, seen)?;
    let Redb::Write(database) = open_redb(staged.file(), CACHE_BYTES)? else {
        return Err(Error::ReadOnly);
    };
    progress.start("writing the vault anew", None);
    let written = write(&vault, &database)?;
    progress.finish();
    let mut new = Vault::over_file(staged.file().clone(), Redb::Write(database))?;
    // An audit log that is broken is taken over as it is: that it is broken must stay to be seen.
    let known = vault.log_problems()?;
    let problems = new.check(progress)?.problems;
    if problems.iter().any(|problem| !known.contains(problem)) {
        return Err(Error::RewriteDiffers);
    }
    drop(new);
    drop(vault);
    let before_bytes = old.file_len()?;
    let (file, previous) = staged.replace(keep)?;
    let rewritten = Rewritten {
        before_bytes,
        after_bytes: file.file_len()?,
        file,
        previous,
    };
    Ok((written, rewritten))
}

/// Copies every entry and answers the digest of what was read.
fn copy(vault: &Vault, to: &Database, progress: &dyn Progress) -> Result<[u8; 32], Error> {
    let reader = vault.reader()?;
    let mut hasher = blake3::Hasher::new();
    let mut transaction = to.begin_write()?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(TABLE)?;
        for (done, entry) in (0..).zip(reader.table.iter()?) {
            let (key, value) = entry?;
            add(&mut hasher, key.value(), value.value());
            table.insert(key.value(), value.value())?;
            if done % 1_000 == 0 {
                progress.at(done);
            }
        }
    }
    transaction.commit()?;
    Ok(*hasher.finalize().as_bytes())
}

fn digest(vault: &Vault) -> Result<[u8; 32], Error> {
    let reader = vault.reader()?;
    let mut hasher = blake3::Hasher::new();
    for entry in reader.table.iter()? {
        let (key, value) = entry?;
        add(&mut hasher, key.value(), value.value());
    }
    Ok(*hasher.finalize().as_bytes())
}

fn add(hasher: &mut blake3::Hasher, key: &[u8], value: &[u8]) {
    for part in [key, value] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
}

/// redb's page cache, which holds plaintext; its default is 1 GiB.
pub(super) const CACHE_BYTES: usize = 64 << 20;

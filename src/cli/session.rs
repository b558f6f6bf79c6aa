//! What every command needs: options, output, the vault.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use tuskvault::{
    crypto::{Credentials, KdfParams, KeyFile, SlotKind},
    files,
    model::{Actor, Moment, Record, Run, Selector, When, WhenError},
    storage::{self, Access, EncryptedFile, LockedVault},
    vault::{AuditEvent, Choice, ImportContext, Query, Vault},
};

use super::{
    args::{Global, Kdf, NewKey, RunOptions},
    conflicts,
    error::{Exit, Failure, NO_PASSWORD},
    machine,
    output::Output,
    password, report,
    state::State,
};

/// One run of the program.
pub(crate) struct Session<'o> {
    pub(crate) global: Global,
    pub(crate) output: &'o Output,
    pub(crate) now: Timestamp,
    pub(crate) actor: Actor,
}

impl<'o> Session<'o> {
    pub(crate) fn new(global: Global, output: &'o Output) -> Self {
        Self {
            global,
            output,
            now: machine::now(),
            actor: machine::actor(),
        }
    }

    /// Where the vault is.
    pub(crate) fn vault_path(&self) -> Result<PathBuf, Failure> {
        let path = self.global.vault.clone().or_else(machine::default_vault);
        path.ok_or_else(|| {
            Failure::usage("there is no home folder to look for the vault in")
                .hint("give `--vault PATH`")
        })
    }

    /// How a command that writes opens the vault: a dry run writes nothing.
    pub(crate) fn access(&self) -> Access {
        if self.global.dry_run {
            Access::Read
        } else {
            Access::Write
        }
    }

    /// Opens the vault; asks for the passphrase only once the file is known to be a vault that nobody else has.
    pub(crate) fn open(&self, access: Access) -> Result<Vault, Failure> {
        self.open_with_credentials(access).map(|(vault, _)| vault)
    }

    /// The same, with what opened it.
    pub(crate) fn open_with_credentials(
        &self,
        access: Access,
    ) -> Result<(Vault, Credentials), Failure> {
        let path = self.vault_path()?;
        self.offer_conflict_copies(&path);
        self.unlock(self.lock(&path, access)?, &path)
    }

    /// The same for a command that merges.
    pub(crate) fn open_without_offers(
        &self,
        access: Access,
    ) -> Result<(Vault, Credentials), Failure> {
        let path = self.vault_path()?;
        self.unlock(self.lock(&path, access)?, &path)
    }

    /// Says in one line what a program that syncs folders left beside the vault.
    pub(crate) fn offer_conflict_copies(&self, path: &Path) {
        let copies = conflicts::beside(path);
        let Some(first) = copies.first() else { return };
        let more = match copies.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        self.output.warn(&format!(
            "a conflict copy of the vault lies beside it: {}{more}; `tuskvault merge` brings in what it holds",
            first.display()
        ));
    }

    /// Opens the vault for writing to its audit log; where it can't be written, for reading, with a word.
    pub(crate) fn open_to_reveal(&self) -> Result<Vault, Failure> {
        let path = self.vault_path()?;
        self.offer_conflict_copies(&path);
        let locked = match self.lock(&path, self.access()) {
            Err(error) if is_read_only(&error) => {
                self.output.warn(
                    "the vault can't be written: that secrets were shown is not in its audit log",
                );
                self.lock(&path, Access::Read)?
            }
            other => other?,
        };
        self.unlock(locked, &path).map(|(vault, _)| vault)
    }

    /// Opens the vault for writing once more, with what has opened it before; `None` where it can only be read.
    #[cfg(feature = "online")]
    pub(crate) fn reopen_to_write(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<Vault>, Failure> {
        match self.lock(&self.vault_path()?, Access::Write) {
            Ok(locked) => Ok(Some(Vault::unlock(locked, credentials)?)),
            Err(error) if is_read_only(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the vault for writing; where there is none yet, makes one if the person agrees.
    pub(crate) fn open_or_create(&self) -> Result<Vault, Failure> {
        let path = self.vault_path()?;
        if std::fs::symlink_metadata(&path).is_ok() {
            return self.open(Access::Write);
        }
        if !password::can_be_had(&self.global) {
            return Err(Failure::usage(format!(
                "there is no vault at {} yet, and no way to ask for its passphrase",
                path.display()
            ))
            .path(path)
            .hint(NO_PASSWORD));
        }
        if !self.global.yes && password::can_ask() {
            self.confirm(&format!(
                "There is no vault at {} yet. Create it?",
                path.display()
            ))?;
        }
        let no_passphrase = false;
        super::init::create(self, no_passphrase, self.kdf(Kdf::default())?)
    }

    fn lock(&self, path: &Path, access: Access) -> Result<LockedVault, storage::Error> {
        LockedVault::open(path, access, Duration::from_secs(self.global.lock_timeout))
    }

    fn unlock(&self, locked: LockedVault, path: &Path) -> Result<(Vault, Credentials), Failure> {
        let credentials = self.credentials(&locked, path)?;
        let vault = Vault::unlock(locked, &credentials)?;
        if let Some(file) = vault.file() {
            let commit = file.commit_counter();
            self.output
                .detail(&format!("opened {} at commit {commit}", path.display()));
        }
        self.watch_for_older(&vault);
        Ok((vault, credentials))
    }

    /// Makes the folder that a new vault will be in.
    pub(crate) fn make_folder_of(&self, path: &Path) -> Result<(), Failure> {
        match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => files::create_private_folder(folder)
                .map_err(|error| Failure::file("create the folder", folder, &error)),
            _ => Ok(()),
        }
    }

    /// The records that a query names, sorted; with `~N` the one.
    pub(crate) fn records(&self, vault: &Vault, query: &Query<'_>) -> Result<Vec<Record>, Failure> {
        if query.selector.back == 0 {
            return Ok(vault.records_sorted(query)?);
        }
        let selector = query.selector.to_string();
        Ok(vec![report::chosen(vault.choose(query)?, &selector)?])
    }

    /// The failure of a selector that names nothing active, or nothing at all.
    pub(crate) fn no_match(
        &self,
        vault: &Vault,
        selector: &Selector,
        query: &Query<'_>,
    ) -> Result<Failure, Failure> {
        let text = selector.to_string();
        Ok(match vault.choose(query)? {
            Choice::Nothing {
                suggestions,
                earlier,
            } => report::nothing(&text, &suggestions, earlier),
            _ => Failure::new(Exit::NoMatch, format!("no active token matches \"{text}\""))
                .hint("`--all` takes revoked, expired and gone ones too"),
        })
    }

    /// Notes something in the audit log, where the vault can be written.
    pub(crate) fn audit(&self, vault: &mut Vault, event: &AuditEvent) -> Result<(), Failure> {
        match vault.audit_append(event, &self.actor, self.now) {
            Ok(()) => {
                self.remember(vault, None);
                Ok(())
            }
            Err(tuskvault::vault::Error::ReadOnly) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers on this machine how far the vault has come.
    pub(crate) fn remember(&self, vault: &Vault, run: Option<&Run>) {
        if let Some(file) = vault.file() {
            State::update(|state| {
                state.remember(file.vault_id(), file.commit_counter(), file.path(), run);
            });
        }
    }

    /// Remembers that a source of this machine could not be read, so that `status` tells.
    pub(crate) fn remember_unread(&self, vault: &Vault, connector: &str, path: &Path) {
        if let Some(file) = vault.file() {
            let host = &self.actor.host;
            State::update(|state| state.remember_unread(file.vault_id(), connector, host, path));
        }
    }

    /// Remembers that a database could not be read, so that `status` tells.
    #[cfg(feature = "postgres")]
    pub(crate) fn remember_unreached(&self, vault: &Vault, connector: &str, location: &str) {
        if let Some(file) = vault.file() {
            let host = &self.actor.host;
            State::update(|state| {
                state.remember_unreached(file.vault_id(), connector, host, location);
            });
        }
    }

    /// Remembers how a database was reached.
    #[cfg(feature = "postgres")]
    pub(crate) fn remember_reach(&self, vault: &Vault, run: &Run, reach: &super::state::Reach) {
        if let Some(file) = vault.file() {
            State::update(|state| state.remember_reach(file.vault_id(), run, reach));
        }
    }

    /// Databases that were backed up into this vault before, from this machine, and how they were reached.
    #[cfg(feature = "postgres")]
    pub(crate) fn reaches(&self) -> Vec<(String, super::state::Reach)> {
        let Ok(path) = self.vault_path() else {
            return Vec::new();
        };
        let path = std::path::absolute(&path).unwrap_or(path);
        let sources = State::read().sources_of(&path).into_iter();
        let here = sources.filter(|source| source.host == self.actor.host);
        here.filter_map(|source| Some((source.location, source.reach?)))
            .collect()
    }

    /// The same after a rewrite.
    pub(crate) fn remember_rewritten(&self, file: &EncryptedFile) {
        State::update(|state| {
            state.remember(file.vault_id(), file.commit_counter(), file.path(), None);
        });
    }

    /// Removes what a rewrite kept of the vault as it was before: a backup has succeeded since.
    pub(crate) fn drop_previous(&self, vault: &Vault) {
        if let Some(file) = vault.file()
            && let Ok(Some(previous)) = file.remove_previous()
        {
            self.output.note(&format!(
                "removed {}: a backup has succeeded since",
                previous.display()
            ));
        }
    }

    fn watch_for_older(&self, vault: &Vault) {
        let Some(file) = vault.file() else { return };
        let (seen, now) = (
            State::read().commits(file.vault_id()),
            file.found_commit_counter(),
        );
        if now > seen {
            self.remember(vault, None);
        } else if now < seen && self.global.accept_older {
            State::update(|state| state.accept(file.vault_id(), now));
        } else if now < seen {
            self.output.warn(&format!(
                "this vault is older than what this machine has seen of it (commit {now} of {seen}): an old copy was put in \
                 its place; `--accept-older` acknowledges that once"
            ));
        }
    }

    fn credentials(&self, locked: &LockedVault, path: &Path) -> Result<Credentials, Failure> {
        let key_file = self
            .global
            .key_file
            .as_deref()
            .map(password::key_file)
            .transpose()?;
        let passphrase = match password::given(&self.global, self.output)? {
            Some(passphrase) => Some(passphrase),
            // A key file alone is enough where a slot says so.
            None if key_file.is_some()
                && locked
                    .slots()
                    .iter()
                    .any(|slot| slot.kind == SlotKind::KeyFile) =>
            {
                None
            }
            None => Some(password::ask(path)?),
        };
        Ok(Credentials {
            passphrase,
            key_file,
        })
    }

    /// What a new vault is opened with. A key file that is not there is made.
    pub(crate) fn new_credentials(&self, no_passphrase: bool) -> Result<Credentials, Failure> {
        let passphrase = match (no_passphrase, password::given(&self.global, self.output)?) {
            (true, _) => None,
            (false, Some(passphrase)) => Some(passphrase),
            (false, None) => Some(password::ask_for_vault()?),
        };
        let key_file = match self.global.key_file.as_deref() {
            Some(path) if path.exists() => Some(password::key_file(path)?),
            Some(path) => {
                let key = password::new_key_file(path)?;
                self.output.note(&format!(
                    "made the key file {}: keep a copy of it apart from the vault",
                    path.display()
                ));
                Some(key)
            }
            None => None,
        };
        Ok(Credentials {
            passphrase,
            key_file,
        })
    }

    /// What a new key slot is opened with; `kept` is a key file that it asks for unless another is given.
    pub(crate) fn slot_credentials(
        &self,
        new: &NewKey,
        kept: Option<KeyFile>,
    ) -> Result<Credentials, Failure> {
        let key_file = new
            .new_key_file
            .as_deref()
            .map(password::key_file)
            .transpose()?
            .or(kept);
        let passphrase = match (&new.new_password_file, new.no_passphrase) {
            (_, true) => None,
            (Some(path), false) => Some(password::from_file(path, self.output)?),
            (None, false) => Some(password::ask_for_slot()?),
        };
        Ok(Credentials {
            passphrase,
            key_file,
        })
    }

    /// The cost of a key derivation: as given, else measured here.
    pub(crate) fn kdf(&self, kdf: Kdf) -> Result<KdfParams, Failure> {
        // Who names any of the cost has decided; the rest is then RFC 9106's recommendation.
        let chosen = match kdf.kdf_memory.or(kdf
            .is_given()
            .then_some(KdfParams::RECOMMENDED.memory_kib / 1024))
        {
            Some(mib) => KdfParams {
                memory_kib: mib.saturating_mul(1024),
                ..KdfParams::RECOMMENDED
            },
            None => KdfParams::calibrate()
                .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?,
        };
        let params = KdfParams {
            memory_kib: chosen.memory_kib,
            iterations: kdf.kdf_iterations.unwrap_or(chosen.iterations),
            parallelism: kdf.kdf_parallelism.unwrap_or(chosen.parallelism),
        };
        params
            .check()
            .map_err(|error| Failure::usage(error.to_string()))?;
        if params.is_weak() {
            self.output
                .warn("this key derivation is weaker than RFC 9106 recommends (64 MiB, 3 passes)");
        }
        Ok(params)
    }

    /// The moment that a person names; now without one.
    pub(crate) fn moment(&self, when: Option<&String>, vault: &Vault) -> Result<Moment, Failure> {
        match when {
            Some(text) => self.named(When::parse(text, &self.now_here()), vault),
            None => Ok(Moment::from(self.now)),
        }
    }

    /// The moment that a person names as the beginning of a time.
    pub(crate) fn since(&self, when: &str, vault: &Vault) -> Result<Moment, Failure> {
        self.named(When::parse_since(when, &self.now_here()), vault)
    }

    fn named(&self, when: Result<When, WhenError>, vault: &Vault) -> Result<Moment, Failure> {
        match when.map_err(|error| Failure::usage(error.to_string()))? {
            When::At(time) => Ok(Moment::from(time)),
            When::Run(number) => match vault.run(number)? {
                Some(run) => Ok(Moment::from(run.effective_at)),
                None => Err(tuskvault::vault::Error::NoSuchRun { number }.into()),
            },
        }
    }

    /// The time now, with the local time zone.
    pub(crate) fn now_here(&self) -> ZonedDateTime {
        self.now.to_zoned_datetime(TimeZone::system())
    }

    /// How a snapshot is recorded.
    pub(crate) fn context(&self, options: &RunOptions) -> ImportContext {
        ImportContext {
            now: self.now,
            actor: self.actor.clone(),
            note: options.note.clone(),
            accept_shrink: options.accept_shrink,
            origin: None,
        }
    }

    /// Asks, unless every answer is yes.
    pub(crate) fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.global.yes || password::confirm(question)? {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, "nothing was changed"))
    }
}

/// Whether a file can be read, at most.
fn is_read_only(error: &storage::Error) -> bool {
    matches!(
        error,
        storage::Error::Io { source, .. }
            if matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
    )
}

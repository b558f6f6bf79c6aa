//! History: what every source held, at every moment that was recorded.
//!
//! A vault is a set of runs; a run is what one source held at one moment. Each source has three relations (apps,
//! accounts, tokens); each relation is a temporal table: rows that the source still has, and rows as they once were, with
//! the times in which they were so (since ≤ t < until). Recording a run is a merge join of what comes in with what is
//! known, in one transaction; nothing that was recorded is ever changed by it.
//!
//! ```no_run
//! # use std::{path::Path, time::Duration};
//! # use tuskvault::{crypto::{Credentials, Passphrase}, model::{Moment, Selector}, storage::Access, vault::{Query, Vault}};
//! let credentials = Credentials { passphrase: Some(Passphrase::new("…".to_owned())), key_file: None };
//! let vault = Vault::open(Path::new("vault.tusk"), &credentials, Access::Read, Duration::from_secs(10))?;
//! let selector: Selector = "alice@m.example/toot".parse()?;
//! for record in vault.records_sorted(&Query { selector: &selector, at: Moment::MAX, all: false })? {
//!     println!("{} {}", record.short_id(), record.key());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod anew;
mod audit;
mod between;
mod bodies;
mod check;
mod codec;
mod error;
mod facts;
mod fold;
mod forget;
#[doc(hidden)]
pub mod fuzzing;
mod ids;
mod import;
mod index;
mod mark;
mod merge;
mod open;
mod packed;
mod present;
mod query;
mod reader;
mod relation;
mod rows;
mod run;
mod store;
mod story;
mod verified;
mod writer;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use redb::{Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, WriteTransaction};

use zeroize::Zeroizing;

use crate::{
    crypto::{SubKey, random},
    model::{Actor, Domain, Run, Source, TokenId},
    storage::{EncryptedFile, Redb},
};

pub use audit::{AuditEntry, AuditEvent, AuditLink, TakenOver};
pub use check::CheckReport;
pub use error::Error;
pub use forget::{ForgetPlan, Forgotten, PlannedRun, Reason, Retention, forget};
pub use import::{ImportContext, Origin};
pub use index::ChangeKind;
pub use merge::{Merged, MergedSource, Other, merge};
pub use open::{Rewritten, compact, rekey};
pub use query::{
    AppDifference, AuditQuery, Choice, Coverage, Difference, DifferenceKind, Differences, Event,
    EventKind, FieldChange, Finding, FromTo, Kept, KeyHistory, Lone, Met, Query, RunChange, RunRow,
    SourceCoverage, TokenCoverage, TokenHistory,
};
pub use writer::{Bookmark, RunStart, RunWriter};

use ids::TokenIds;
use reader::{Change, Ever, Found, Place, Reader, Version};
use run::RunFacts;
use store::{TABLE, tag};

/// An open vault.
pub struct Vault {
    database: Opened,
    file: Option<EncryptedFile>,
    keys: VaultKeys,
}

enum Opened {
    Write(Database),
    Read(ReadOnlyDatabase),
}

/// The keys of a vault's contents. They are kept inside it, so that a new master key changes no id.
struct VaultKeys {
    /// For token ids and row keys.
    digest: SubKey,
    /// For the audit log's chain.
    audit: SubKey,
}

impl VaultKeys {
    fn new(bytes: &[u8; 2 * KEY_BYTES]) -> Self {
        let (digest, audit) = bytes.split_at(KEY_BYTES);
        let key =
            |bytes: &[u8]| SubKey::from_bytes(*bytes.first_chunk().unwrap_or(&[0; KEY_BYTES]));
        Self {
            digest: key(digest),
            audit: key(audit),
        }
    }
}

impl Vault {
    /// An empty vault in an empty redb database, for tests and measurements of what lies above the file.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn in_database(database: Database) -> Result<Self, Error> {
        Self::new(database, None)
    }

    /// An empty vault: its version and the keys of its contents.
    fn new(database: Database, file: Option<EncryptedFile>) -> Result<Self, Error> {
        let keys: [u8; 2 * KEY_BYTES] = random()?;
        let keys = Zeroizing::new(keys);
        let vault = Self {
            database: Opened::Write(database),
            file,
            keys: VaultKeys::new(&keys),
        };
        let transaction = vault.begin_write()?;
        let format = Zeroizing::new([CONTENTS_VERSION.to_le_bytes().as_slice(), &*keys].concat());
        store::put(&transaction, &[tag::FORMAT], &format)?;
        vault.commit(transaction)?;
        Ok(vault)
    }

    fn over_file(file: EncryptedFile, redb: Redb) -> Result<Self, Error> {
        let database = match redb {
            Redb::Write(database) => Opened::Write(database),
            Redb::Read(database) => Opened::Read(database),
        };
        let keys = VaultKeys::new(&[0; 2 * KEY_BYTES]);
        let mut vault = Self {
            database,
            file: Some(file),
            keys,
        };
        let format = vault
            .reader()?
            .store()
            .get(&[tag::FORMAT])?
            .map(Zeroizing::new);
        let damaged = Error::Inconsistent {
            what: "the version of its contents",
        };
        let Some((version, keys)) = format
            .as_deref()
            .and_then(|bytes| bytes.split_first_chunk::<4>())
        else {
            return Err(damaged);
        };
        match (u32::from_le_bytes(*version), keys.first_chunk()) {
            (CONTENTS_VERSION, Some(keys)) => vault.keys = VaultKeys::new(keys),
            (found, _) if found > CONTENTS_VERSION => return Err(Error::NewerContents { found }),
            _ => return Err(damaged),
        }
        Ok(vault)
    }

    /// The file below; `None` for a vault made by [`Vault::in_database`].
    pub fn file(&self) -> Option<&EncryptedFile> {
        self.file.as_ref()
    }

    /// Every source, by number.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn sources(&self) -> Result<Vec<Source>, Error> {
        self.reader()?.sources()
    }

    /// Every run, by number.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn runs(&self) -> Result<Vec<Run>, Error> {
        run::runs(self.reader()?.store())
    }

    /// The run of this number.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn run(&self, number: u64) -> Result<Option<Run>, Error> {
        let reader = self.reader()?;
        run::run(reader.store(), &reader.sources()?, number)
    }

    /// The audit log, oldest entry first.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn audit(&self) -> Result<Vec<AuditEntry>, Error> {
        audit::entries(self.reader()?.store(), &self.keys.audit)
    }

    /// Calls `each` with what stands at every place of the audit log, oldest first and one at a time, also where it
    /// can't be read.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read, or the one that `each` returns.
    pub fn audit_links<E: From<Error>>(
        &self,
        mut each: impl FnMut(AuditLink) -> Result<(), E>,
    ) -> Result<(), E> {
        let reader = self.reader()?;
        audit::links(reader.store(), &self.keys.audit).try_for_each(|link| each(link?))
    }

    /// Appends to the audit log, durably.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], or when the vault can't be written.
    pub fn audit_append(
        &mut self,
        event: &AuditEvent,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), Error> {
        let transaction = self.begin_write()?;
        audit::append(&transaction, &self.keys.audit, event, actor, now)?;
        self.commit(transaction)
    }

    /// The id of a token in this vault.
    pub fn token_id(&self, instance: &Domain, access_token: &str) -> TokenId {
        TokenIds::new(&self.keys.digest).id(instance, access_token)
    }

    fn begin_write(&self) -> Result<WriteTransaction, Error> {
        let Opened::Write(database) = &self.database else {
            return Err(Error::ReadOnly);
        };
        let mut transaction = database
            .begin_write()
            .map_err(|error| self.told(error.into()))?;
        // After a crash, redb must neither compare checksums of torn pages nor read the whole file.
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    fn commit(&self, transaction: WriteTransaction) -> Result<(), Error> {
        transaction
            .commit()
            .map_err(|error| Error::Unsure(Box::new(self.told(error.into()))))
    }

    fn reader(&self) -> Result<Reader<'_>, Error> {
        let begin = || -> Result<ReadTransaction, redb::TransactionError> {
            match &self.database {
                Opened::Write(database) => database.begin_read(),
                Opened::Read(database) => database.begin_read(),
            }
        };
        let transaction = begin().map_err(|error| self.told(error.into()))?;
        let table = transaction
            .open_table(TABLE)
            .map_err(|error| self.told(error.into()))?;
        Ok(Reader {
            table,
            ids: TokenIds::new(&self.keys.digest),
        })
    }

    /// What is wrong below the table.
    fn check_database(&mut self) -> Result<Vec<String>, Error> {
        if let Some(file) = &self.file {
            return Ok(file.check(open::CACHE_BYTES)?);
        }
        let Opened::Write(database) = &mut self.database else {
            return Ok(Vec::new());
        };
        match database.check_integrity() {
            Ok(true) => Ok(Vec::new()),
            Ok(false) => Ok(vec!["redb finds its own structure inconsistent".to_owned()]),
            Err(error) => Err(error.into()),
        }
    }

    /// The file's own error in place of what redb made of it.
    fn told(&self, error: redb::Error) -> Error {
        match Error::of_redb(error) {
            Error::Database(error) => {
                let failure = self.file.as_ref().and_then(EncryptedFile::take_failure);
                failure.map_or(Error::Database(error), Error::Storage)
            }
            told => told,
        }
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// The version of what stands in the database: tags, blocks and rows.
const CONTENTS_VERSION: u32 = 1;
const KEY_BYTES: usize = 32;

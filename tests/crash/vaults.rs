//! Vaults on a recording disk, and everything that can be seen of one.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use tuskvault::{
    crypto::{Credentials, KdfParams, KeySlot, MasterKey, Passphrase, SLOT_BYTES},
    model::{
        Account, Actor, App, Completeness, Domain, Keys, Moment, Record, Row, RowSink, Run, Scope,
        Scopes, Secret, Selector, Snapshot, SourceKey, Token,
    },
    progress::Silent,
    storage::{self, Access, EncryptedFile, LockedVault, SlotInfo},
    vault::{AuditEntry, AuditEvent, Error, ImportContext, KeyHistory, Query, Vault},
};

use crate::disk::{Disk, Op};

/// Everything that a vault says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) slots: Vec<SlotInfo>,
    pub(crate) runs: Vec<Run>,
    pub(crate) records: Vec<Record>,
    pub(crate) audit: Vec<AuditEntry>,
}

impl Seen {
    pub(crate) fn of(vault: &Vault) -> Result<Self, Error> {
        let query = Query {
            selector: &Selector::all(),
            at: Moment::MAX,
            all: true,
        };
        Ok(Self {
            slots: vault.file().map(EncryptedFile::slots).unwrap_or_default(),
            runs: vault.runs()?,
            records: vault.records_sorted(&query)?,
            audit: vault.audit()?,
        })
    }

    /// In one line, for the report of a failure.
    pub(crate) fn in_short(&self) -> String {
        format!(
            "{} slots, {} runs, {} records, {} audit entries",
            self.slots.len(),
            self.runs.len(),
            self.records.len(),
            self.audit.len()
        )
    }
}

/// What was done to one disk, and what it must hold at each point of that.
pub(crate) struct Recording {
    pub(crate) master: MasterKey,
    /// What was durable before.
    pub(crate) base: Vec<u8>,
    pub(crate) log: Vec<Op>,
    /// From this position of the log on, one of these is what must be seen after a crash; `None` = nothing is promised.
    pub(crate) phases: Vec<(usize, Option<Vec<Arc<Seen>>>)>,
}

impl Recording {
    /// What must be seen after a crash at this position.
    pub(crate) fn expected(&self, at: usize) -> Option<&[Arc<Seen>]> {
        let phase = self.phases.iter().rev().find(|(start, _)| *start <= at);
        phase.and_then(|(_, seen)| seen.as_deref())
    }
}

/// A vault on a disk while it is worked with.
pub(crate) struct Session {
    pub(crate) disk: Disk,
    pub(crate) master: MasterKey,
    base: Vec<u8>,
    /// Position of the log at each acknowledgement, and what was seen then.
    acknowledged: Vec<(usize, Arc<Seen>)>,
    pub(crate) vault: Option<Vault>,
    clock: i64,
}

impl Session {
    pub(crate) fn create() -> Self {
        let disk = Disk::holding(Vec::new());
        let file = EncryptedFile::create(
            Path::new("vault"),
            disk.medium(),
            &passphrase(FIRST),
            KdfParams::LEAST,
            1,
        )
        .unwrap();
        let master = master_key(&disk.bytes(), &passphrase(FIRST));
        drop(Vault::create_in(&file, &actor(), at(1)).unwrap());
        // As publishing a staged file does.
        storage::Medium::sync(&disk).unwrap();
        let published = disk.position();
        let vault = Vault::over_opened(file).unwrap();
        Self::over((disk, published), master, Vec::new(), vault, 2)
    }

    fn over(
        (disk, published): (Disk, usize),
        master: MasterKey,
        base: Vec<u8>,
        vault: Vault,
        clock: i64,
    ) -> Self {
        let seen = Arc::new(Seen::of(&vault).unwrap());
        Self {
            disk,
            master,
            base,
            acknowledged: vec![(published, seen)],
            vault: Some(vault),
            clock,
        }
    }

    pub(crate) fn now(&mut self) -> i64 {
        self.clock += 10;
        self.clock
    }

    pub(crate) fn vault(&mut self) -> &mut Vault {
        self.vault.as_mut().unwrap()
    }

    /// Does one thing, which is then promised.
    pub(crate) fn step(&mut self, step: &Step) {
        let now = self.now();
        step.run(self.vault(), now).unwrap();
        let seen = Arc::new(Seen::of(self.vault()).unwrap());
        self.acknowledged.push((self.disk.position(), seen));
    }

    pub(crate) fn close(&mut self) {
        self.vault = None;
    }

    pub(crate) fn reopen(&mut self) {
        self.close();
        self.vault = Some(open(&self.disk, &self.master, Access::Write).unwrap());
    }

    /// Writes the vault anew onto another disk, with which the session goes on. The recordings of this disk and of the
    /// staged one are added to `recordings`.
    pub(crate) fn rewrite(mut self, rekey: bool, recordings: &mut Vec<Recording>) -> Self {
        let now = self.now();
        let staged = Disk::holding(Vec::new());
        let position = self.disk.position();
        let old = self.vault().file().unwrap().clone();
        let (new, event) = if rekey {
            let new = old.rekeyed(staged.medium(), &passphrase(SECOND), KdfParams::LEAST, now);
            (new, AuditEvent::Rekeyed)
        } else {
            (old.like(staged.medium(), 0), AuditEvent::Compacted)
        };
        let new = new.unwrap();
        self.vault()
            .copy_into(&new, (&event, &actor(), at(now)), &Silent)
            .unwrap();
        assert_eq!(self.disk.position(), position, "the old file was touched");
        drop((old, new));
        // As replacing a file by a staged one does.
        storage::Medium::sync(&staged).unwrap();
        let bytes = staged.bytes();
        let master = if rekey {
            master_key(&bytes, &passphrase(SECOND))
        } else {
            self.master.clone()
        };
        recordings.push(Recording {
            master: master.clone(),
            base: Vec::new(),
            log: staged.log(),
            phases: vec![(0, None)],
        });
        let disk = Disk::holding(bytes.clone());
        let clock = self.clock;
        recordings.push(self.finish());
        let vault = open(&disk, &master, Access::Write).unwrap();
        Self::over((disk, 0), master, bytes, vault, clock)
    }

    /// Closes the vault; what was done to its disk.
    pub(crate) fn finish(mut self) -> Recording {
        self.close();
        let mut phases = vec![(0, None)];
        for (number, (position, seen)) in self.acknowledged.iter().enumerate() {
            let next = self.acknowledged.get(number + 1);
            let either = [seen].into_iter().chain(next.map(|(_, seen)| seen));
            phases.push((*position, Some(either.cloned().collect())));
        }
        Recording {
            master: self.master,
            base: self.base,
            log: self.disk.log(),
            phases,
        }
    }
}

/// Something that is done to a vault.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A source says that it has the tokens of these numbers, in the state of this number.
    Import {
        source: u8,
        tokens: std::ops::Range<u32>,
        state: u8,
        note_bytes: usize,
    },
    /// A run is begun and dropped.
    Abandon,
    Audit(u8),
    AddSlot,
    ChangeSlot(u8),
    RemoveSlot(u8),
}

impl Step {
    pub(crate) fn run(&self, vault: &mut Vault, now: i64) -> Result<(), Error> {
        match self {
            Self::Import {
                source,
                tokens,
                state,
                note_bytes,
            } => {
                let snapshot = snapshot(*source, tokens.clone(), *state);
                vault
                    .import(&snapshot, &context(now, *note_bytes))
                    .map(drop)
            }
            Self::Abandon => {
                let start = tuskvault::vault::RunStart {
                    source: source_key(0),
                    instance: None,
                    scope: Scope::All,
                    keys: Keys::Server,
                    effective_at: None,
                    now: at(now),
                    actor: actor(),
                    note: None,
                    accept_shrink: false,
                    origin: None,
                };
                let mut run = vault.begin_run(start)?;
                for key in 0..40 {
                    run.app(key, &app(0))?;
                }
                Ok(())
            }
            Self::Audit(records) => {
                let event = AuditEvent::Revealed {
                    selector: "alice@m.example".to_owned(),
                    records: u64::from(*records),
                };
                vault.audit_append(&event, &actor(), at(now))
            }
            Self::AddSlot => {
                let file = vault.file().unwrap();
                file.add_slot(&passphrase("third"), KdfParams::LEAST, now)?;
                Ok(())
            }
            Self::ChangeSlot(slot) => {
                let file = vault.file().unwrap();
                file.change_slot(*slot, &passphrase("fourth"), KdfParams::LEAST, now)?;
                Ok(())
            }
            Self::RemoveSlot(slot) => Ok(vault.file().unwrap().remove_slot(*slot)?),
        }
    }
}

/// Opens the vault on a disk without deriving a key.
pub(crate) fn open(disk: &Disk, master: &MasterKey, access: Access) -> Result<Vault, Error> {
    let locked = LockedVault::over(Path::new("vault"), disk.medium(), access)?;
    Vault::over_opened(locked.unlock_with(master.clone())?)
}

/// The master key in the first slot of a header: where slots stand is told by docs/format.md.
pub(crate) fn master_key(bytes: &[u8], credentials: &Credentials) -> MasterKey {
    let slot: &[u8; SLOT_BYTES] = bytes[64..64 + SLOT_BYTES].try_into().unwrap();
    let vault_id = bytes[16..32].try_into().unwrap();
    let slot = KeySlot::from_bytes(slot).unwrap();
    slot.unwrap(credentials, (vault_id, 0)).unwrap().unwrap()
}

pub(crate) fn passphrase(text: &str) -> Credentials {
    Credentials {
        passphrase: Some(Passphrase::new(text.to_owned())),
        key_file: None,
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn actor() -> Actor {
    Actor {
        user: "alice".to_owned(),
        host: "laptop.example".to_owned(),
    }
}

pub(crate) fn context(now: i64, note_bytes: usize) -> ImportContext {
    ImportContext {
        now: at(now),
        actor: actor(),
        note: (note_bytes > 0).then(|| "n".repeat(note_bytes)),
        accept_shrink: true,
        origin: None,
    }
}

pub(crate) fn source_key(number: u8) -> SourceKey {
    SourceKey {
        connector: "toot".to_owned(),
        location: format!("/home/alice/{number}/config.json"),
        host: "laptop.example".to_owned(),
    }
}

pub(crate) fn app(number: u32) -> App {
    App {
        name: Some(format!("app {number}")),
        client_id: Some(format!("client-id-{number}")),
        client_secret: Some(Secret::new(format!("client-secret-{number}"))),
        redirect_uris: vec!["urn:ietf:wg:oauth:2.0:oob".to_owned()],
        scopes: Some(Scopes::parse("read write")),
        ..App::unknown(Domain::parse("m.example").unwrap())
    }
}

/// What a server with this many tokens says. The keys are the server's, so that every recording has the same shape.
pub(crate) fn snapshot(source: u8, tokens: std::ops::Range<u32>, state: u8) -> Snapshot {
    let mut snapshot = Snapshot::of_client(source_key(source));
    snapshot.keys = Keys::Server;
    snapshot.completeness = Completeness::Complete;
    let instance = Domain::parse("m.example").unwrap();
    for number in 0..3 {
        let key = u64::from(number);
        let body = app(number);
        snapshot.apps.push(Row { key, body });
        let body = Account {
            instance: instance.clone(),
            username: Some(format!("user{number}")),
            created_at: None,
        };
        snapshot.accounts.push(Row { key, body });
    }
    for number in tokens {
        let body = Token {
            scopes: Some(Scopes::parse(
                ["read", "read write", "follow"][usize::from(state % 3)],
            )),
            created_at: Some(at(i64::from(number))),
            app: Some(u64::from(number % 3)),
            account: (number % 5 > 0).then_some(u64::from(number % 3)),
            ..Token::new(instance.clone(), Secret::new(token_text(source, number)))
        };
        snapshot.tokens.push(Row {
            key: u64::from(number),
            body,
        });
    }
    snapshot
}

/// 43 characters of base64url, as servers issue them.
fn token_text(source: u8, number: u32) -> String {
    let hash = blake3::hash(&[number.to_le_bytes().as_slice(), &[source / 2]].concat());
    data_encoding::BASE64URL_NOPAD.encode(hash.as_bytes())
}

pub(crate) fn histories(vault: &Vault) -> Result<Vec<KeyHistory>, Error> {
    vault.history(&Selector::all(), Moment::MAX)
}

/// Those that any slot is ever made with.
pub(crate) const PASSPHRASES: [&str; 4] = [FIRST, SECOND, "third", "fourth"];
const FIRST: &str = "first";
const SECOND: &str = "second";

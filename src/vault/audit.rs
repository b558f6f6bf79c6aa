//! The audit log: append-only, each entry chained to the one before by a keyed hash.

use bincode::{
    Decode, Encode, config,
    de::Decoder,
    enc::Encoder,
    error::{DecodeError, EncodeError},
};
use jiff::Timestamp;
use redb::WriteTransaction;

use crate::{
    crypto::SubKey,
    model::{Actor, Moment},
};

use super::{
    Error, codec,
    store::{self, Store, number_key, number_of, tag},
};

/// Something that was done with the vault.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum AuditEvent {
    /// The vault was created.
    Created,
    /// A run was recorded.
    Imported {
        /// Its number.
        run: u64,
    },
    /// Records were restored.
    Restored {
        /// Connector and location.
        target: String,
        /// Ids of the tokens, in full.
        ids: Vec<String>,
    },
    /// Secrets were shown.
    Revealed {
        /// The selector.
        selector: String,
        /// How many records.
        records: u64,
    },
    /// Secrets were exported.
    Exported {
        /// The format.
        format: String,
        /// The selector.
        selector: String,
        /// How many records.
        records: u64,
    },
    /// A key slot was added.
    KeyAdded {
        /// Its number.
        slot: u8,
    },
    /// What opens a key slot was changed.
    KeyChanged {
        /// Its number.
        slot: u8,
    },
    /// A key slot was removed.
    KeyRemoved {
        /// Its number.
        slot: u8,
    },
    /// The vault was encrypted anew under a new master key.
    Rekeyed,
    /// The vault was rewritten in its smallest form.
    Compacted,
    /// So many records were restored that their ids are not listed, or apps by themselves.
    RestoredMany {
        /// Connector and location.
        target: String,
        /// The selector.
        selector: String,
        /// How many tokens.
        tokens: u64,
        /// How many apps were made.
        apps: u64,
    },
    /// Other vaults' runs were brought in.
    Merged {
        /// The files, as they were named.
        files: Vec<String>,
        /// How many runs came.
        runs: u64,
    },
    /// An entry of the audit log of a vault that was merged into this one; its time and actor are that entry's.
    FromMerged {
        /// Its link there, which tells it from all others.
        link: [u8; 32],
        /// Whether it was linked there to the entry before.
        linked: bool,
        /// What was done. Runs have the numbers of this vault; 0 = none that is here.
        event: TakenOver,
    },
    /// Runs or tokens were removed for good.
    Forgot {
        /// Numbers of the runs.
        runs: Vec<u64>,
        /// The selector of the tokens, if there was one.
        selector: Option<String>,
        /// How many tokens.
        tokens: u64,
    },
    /// Instances were asked whether tokens work.
    Verified {
        /// The selector; `None` = every token.
        selector: Option<String>,
        /// How many work.
        good: u64,
        /// How many don't, or as somebody else.
        bad: u64,
        /// About how many there was no answer.
        unanswered: u64,
    },
}

impl AuditEvent {
    /// Whether a run was recorded, in this vault or in one that was merged into it.
    pub fn is_of_a_run(&self) -> bool {
        match self {
            Self::FromMerged { event, .. } => event.is_of_a_run(),
            event => matches!(event, Self::Imported { .. }),
        }
    }

    /// The word used in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Imported { .. } => "imported",
            Self::Restored { .. } | Self::RestoredMany { .. } => "restored",
            Self::Revealed { .. } => "revealed",
            Self::Exported { .. } => "exported",
            Self::KeyAdded { .. } => "key_added",
            Self::KeyChanged { .. } => "key_changed",
            Self::KeyRemoved { .. } => "key_removed",
            Self::Rekeyed => "rekeyed",
            Self::Compacted => "compacted",
            Self::Merged { .. } => "merged",
            Self::FromMerged { event, .. } => event.as_str(),
            Self::Forgot { .. } => "forgot",
            Self::Verified { .. } => "verified",
        }
    }
}

/// An event of another vault. It stands as a value in the value, and never one in another: hostile ones could be nested
/// more deeply than a stack bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver(Box<AuditEvent>);

impl TakenOver {
    pub(super) fn new(event: AuditEvent) -> Self {
        Self(Box::new(event))
    }
}

impl std::ops::Deref for TakenOver {
    type Target = AuditEvent;

    fn deref(&self) -> &AuditEvent {
        &self.0
    }
}

impl Encode for TakenOver {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        bincode::encode_to_vec(&*self.0, config::standard())?.encode(encoder)
    }
}

impl<C> Decode<C> for TakenOver {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let bytes = Vec::<u8>::decode(decoder)?;
        if bytes.first() == Some(&FROM_MERGED) {
            return Err(DecodeError::Other("an event taken over twice"));
        }
        let (event, read) = bincode::decode_from_slice(&bytes, config::standard())?;
        if read != bytes.len() {
            return Err(DecodeError::Other("something follows an event"));
        }
        Ok(Self(Box::new(event)))
    }
}

bincode::impl_borrow_decode!(TakenOver);

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, counted from 1.
    pub number: u64,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it, and where.
    pub actor: Actor,
    /// What was done.
    pub event: AuditEvent,
    /// Whether its link to the entry before holds.
    pub linked: bool,
    /// Its own link.
    pub(super) link: [u8; LINK_BYTES],
}

/// A place of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLink {
    /// Its number, counted from 1.
    pub number: u64,
    /// Whether it follows the place before: neither was altered, and none between them is missing.
    pub holds: bool,
    /// The entry; `None` where it can't be read.
    pub entry: Option<AuditEntry>,
}

#[derive(Encode, Decode)]
pub(super) struct AuditRow {
    at: i64,
    user: String,
    host: String,
    event: AuditEvent,
}

/// Appends an entry.
pub(super) fn append(
    transaction: &WriteTransaction,
    key: &SubKey,
    event: &AuditEvent,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), Error> {
    let store = Store::Write(transaction);
    let last = store.last(
        &number_key(tag::AUDIT, 0),
        &number_key(tag::AUDIT, u64::MAX),
    )?;
    let (number, before) = match &last {
        Some((key, value)) => (number_of(key).ok_or(BROKEN)? + 1, link_of(value)),
        None => (1, [0; LINK_BYTES].as_slice()),
    };
    let row = codec::encode(&AuditRow {
        at: Moment::from(now).0,
        user: actor.user.clone(),
        host: actor.host.clone(),
        event: event.clone(),
    })?;
    let value = [link(key, number, before, &row).as_slice(), &row].concat();
    store::put(transaction, &number_key(tag::AUDIT, number), &value)
}

/// Every entry, oldest first, each with the verdict on its link.
pub(super) fn entries(store: Store<'_>, key: &SubKey) -> Result<Vec<AuditEntry>, Error> {
    let entries = links(store, key).map(|link| link?.entry.ok_or(BROKEN));
    entries.collect()
}

/// What stands at every place of the log, oldest first, also where it can't be read.
pub(super) fn links(
    store: Store<'_>,
    key: &SubKey,
) -> impl Iterator<Item = Result<AuditLink, Error>> {
    let mut before = vec![0; LINK_BYTES];
    let mut expected = 1;
    let mut last = vec![tag::AUDIT];
    std::iter::from_fn(move || {
        let (at, value) = match store.after(&last, &[tag::AUDIT]) {
            Ok(entry) => entry?,
            Err(error) => return Some(Err(error)),
        };
        let numbered = number_of(&at);
        let number = numbered.unwrap_or(expected);
        let (found, row) = value
            .split_at_checked(LINK_BYTES)
            .unwrap_or((value.as_slice(), &[]));
        let holds = numbered == Some(expected) && link(key, number, &before, row) == found;
        let entry = codec::decode(row, "an entry of the audit log").ok();
        let entry = entry.filter(|_| numbered.is_some());
        before = found.to_vec();
        last = at;
        expected = number.saturating_add(1);
        Some(Ok(AuditLink {
            number,
            holds,
            entry: entry.map(|row: AuditRow| AuditEntry {
                number,
                at: Moment(row.at).timestamp(),
                actor: Actor {
                    user: row.user,
                    host: row.host,
                },
                event: row.event,
                linked: holds,
                link: found.try_into().unwrap_or_default(),
            }),
        }))
    })
}

fn link(key: &SubKey, number: u64, before: &[u8], row: &[u8]) -> [u8; LINK_BYTES] {
    key.hash(&[&number.to_le_bytes(), before, row])
}

fn link_of(value: &[u8]) -> &[u8] {
    value.get(..LINK_BYTES).unwrap_or_default()
}

/// With which [`AuditEvent::FromMerged`] begins.
const FROM_MERGED: u8 = 12;
const LINK_BYTES: usize = 32;
const BROKEN: Error = Error::Inconsistent {
    what: "an entry of the audit log",
};

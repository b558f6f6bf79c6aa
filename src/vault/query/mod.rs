//! Questions: which records there are at a moment, which one a selector names, what happened to them.
//!
//! A record is joined over all sources, so a question first finds token ids and then reads what every source says
//! of each. Questions about one user, or one id, go through the indexes; all others stream through the largest
//! source and look up only what other sources hold too.

mod apps;
mod changes;
mod coverage;
mod fields;
mod history;
mod join;
mod lone;
mod resolve;
mod rows;

use std::collections::{BTreeSet, HashSet};

use crate::model::{Domain, Moment, Record, Selector, SourceId, Status, Target, TokenId};
use crate::vault::{Error, Ever, Found, Reader, Vault, rows::Body, verified};

pub use changes::{AppDifference, Difference, DifferenceKind, Differences, RunChange};
pub use coverage::{AuditQuery, Coverage, Finding, SourceCoverage, TokenCoverage};
pub use fields::{FieldChange, FromTo};
pub use history::{Event, EventKind, Kept, KeyHistory, TokenHistory};
pub use lone::{Lone, Met};
pub use resolve::Choice;
pub use rows::RunRow;

use join::{Sources, join, observe};
use lone::Shared;

/// Which records are asked for.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// Which.
    pub selector: &'a Selector,
    /// The moment of the question.
    pub at: Moment,
    /// Revoked, expired and gone ones too.
    pub all: bool,
}

impl Vault {
    /// Calls `each` with every record that the query names; `~N` is ignored here. Records come in no particular
    /// order, and one at a time: a million of them need no memory.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read, or the one that `each` returns.
    pub fn records<E: From<Error>>(
        &self,
        query: &Query<'_>,
        mut each: impl FnMut(Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let reader = self.reader()?;
        let questioner = Questioner::new(&reader, query.at)?;
        questioner.matching(query.selector, &mut |record| {
            if query.all || record.status == Status::Active {
                each(record)
            } else {
                Ok(())
            }
        })
    }

    /// Every record that the query names, sorted by key and first sight.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn records_sorted(&self, query: &Query<'_>) -> Result<Vec<Record>, Error> {
        let mut records = Vec::new();
        self.records::<Error>(query, |record| {
            records.push(record);
            Ok(())
        })?;
        records.sort_by_cached_key(|record| {
            (
                record.key(),
                record.first_seen(),
                record.created_at,
                record.id,
            )
        });
        Ok(records)
    }

    /// The record of this token at this moment, `None` when the vault did not know it yet.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn record(&self, id: TokenId, at: Moment) -> Result<Option<Record>, Error> {
        let reader = self.reader()?;
        Questioner::new(&reader, at)?.record(id)
    }
}

/// One question at one moment over one read snapshot.
pub(super) struct Questioner<'r, 'v> {
    pub(super) reader: &'r Reader<'v>,
    pub(super) sources: Sources,
    pub(super) at: Moment,
}

impl<'r, 'v> Questioner<'r, 'v> {
    pub(super) fn new(reader: &'r Reader<'v>, at: Moment) -> Result<Self, Error> {
        Ok(Self {
            reader,
            sources: Sources::read(reader)?,
            at,
        })
    }

    pub(super) fn record(&self, id: TokenId) -> Result<Option<Record>, Error> {
        let Found { places, digits } = self.reader.find(id)?;
        let mut observations = Vec::new();
        for place in places {
            observations.extend(observe(self.reader, place, self.at)?);
        }
        let answers = verified::known(self.reader.store(), id, self.at)?;
        let named = (id, digits);
        Ok(join(&self.sources, named, observations, answers, self.at))
    }

    /// Calls `each` with every record that the selector names, whatever its status.
    pub(super) fn matching<E: From<Error>>(
        &self,
        selector: &Selector,
        each: &mut dyn FnMut(Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut filter = |record: Record| {
            let named = selector.matches_id(record.id)
                && selector.matches_instance(&record.instance)
                && selector.matches_user(&record.user)
                && selector.matches_app(&record.app);
            if named { each(record) } else { Ok(()) }
        };
        match self.candidates(selector)? {
            Some(ids) => {
                for id in ids {
                    if let Some(record) = self.record(id)? {
                        filter(record)?;
                    }
                }
                Ok(())
            }
            None => self.everything(&mut |met| match met {
                Met::Joined(record) => filter(record),
                Met::Lone(lone) if !selector.matches_instance(&lone.token().instance) => Ok(()),
                Met::Lone(lone) => lone.record()?.map_or(Ok(()), &mut filter),
            }),
        }
    }

    /// The ids that the indexes find for a selector; `None` when only reading everything will do.
    fn candidates(&self, selector: &Selector) -> Result<Option<BTreeSet<TokenId>>, Error> {
        match &selector.target {
            Target::Id(prefix) => Ok(Some(self.reader.token_ids_with_prefix(prefix)?)),
            Target::Key {
                user: Some(user),
                instance,
                ..
            } => {
                let Some(name) = user.literal().filter(|name| *name != "?") else {
                    return Ok(None);
                };
                let instance = instance.literal().and_then(|name| Domain::parse(name).ok());
                let mut ids = BTreeSet::new();
                for (source, account) in self.reader.accounts_named(name, instance.as_ref())? {
                    for row in self.reader.tokens_of_account(source, account)? {
                        ids.extend(self.reader.token_ids(source, row)?);
                    }
                }
                ids.extend(verified::ids_of_user(self.reader.store(), name)?);
                Ok(Some(ids))
            }
            Target::Key { user: None, .. } => Ok(None),
        }
    }

    /// Streams through every source; what several sources hold is joined once.
    fn everything<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(Met<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut order: Vec<(u64, SourceId)> = Vec::new();
        for source in self.sources.by_id.keys() {
            order.push((self.reader.token_rows(*source)?, *source));
        }
        order.sort_unstable();
        let Some((_, largest)) = order.pop() else {
            return Ok(());
        };
        let mut joined: HashSet<TokenId> = HashSet::new();
        for (_, source) in order {
            for ever in self.reader.tokens_ever(source, self.at) {
                let id = self.reader.id_of(&ever?.version.body);
                if joined.insert(id)
                    && let Some(record) = self.record(id)?
                {
                    each(Met::Joined(record))?;
                }
            }
        }
        self.stream(largest, joined, each)
    }

    /// Streams through one source whose other tokens no other source holds.
    fn stream<E: From<Error>>(
        &self,
        source: SourceId,
        mut joined: HashSet<TokenId>,
        each: &mut dyn FnMut(Met<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Apps and accounts are read once, and kept as small as they stand in blocks.
        let shared = Shared {
            sources: &self.sources,
            source,
            at: self.at,
            apps: ByKey::read(self.reader.ever(source, self.at))?,
            accounts: ByKey::read(self.reader.ever(source, self.at))?,
        };
        let crowded = self.reader.crowded_ids()?;
        let verified = verified::ids(self.reader.store())?;
        for ever in self.reader.tokens_ever(source, self.at) {
            let ever = ever?;
            let id = self.reader.id_of(&ever.version.body);
            if joined.contains(&id) {
                continue;
            }
            // What is gone is joined with the rows of its own last moment, not with those of now.
            let is_gone = ever.version.until.is_some_and(|until| until <= self.at);
            if is_gone || crowded.is_in_several_rows(id) || verified.contains(&id) {
                joined.insert(id);
                if let Some(record) = self.record(id)? {
                    each(Met::Joined(record))?;
                }
                continue;
            }
            each(Met::Lone(Lone {
                id,
                digits: crowded.digits(id),
                ever,
                shared: &shared,
            }))?;
        }
        Ok(())
    }
}

/// Rows of a relation in memory. Keys stand apart from what is theirs: a search then meets few lines of the cache.
struct ByKey<B> {
    keys: Vec<u64>,
    bodies: Vec<B>,
}

impl<B: Body> ByKey<B> {
    fn read(rows: impl Iterator<Item = Result<Ever<B>, Error>>) -> Result<Self, Error> {
        let (mut keys, mut bodies) = (Vec::new(), Vec::new());
        for row in rows {
            let Ever { version, .. } = row?;
            keys.push(version.key);
            bodies.push(version.body);
        }
        Ok(Self { keys, bodies })
    }

    fn get(&self, key: Option<u64>) -> Result<Option<B::Model>, Error> {
        let found = key.and_then(|key| self.keys.binary_search(&key).ok());
        let Some(body) = found.and_then(|at| self.bodies.get(at)) else {
            return Ok(None);
        };
        let inconsistent = Error::Inconsistent { what: B::WHAT };
        body.model().map(Some).ok_or(inconsistent)
    }
}

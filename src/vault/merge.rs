//! Several vaults become one: the union of their runs.
//!
//! Runs are facts, so nothing can conflict: a run that two vaults have is one run, and any other lies where its mark
//! puts it. What the sources held at every moment is then told anew. It makes no difference which vault is merged into
//! which, in what order, or how often; only numbers and ids are those of the vault that the others come into.

use std::collections::{BTreeMap, HashMap, HashSet, btree_map::Entry};

use jiff::Timestamp;
use redb::Database;

use crate::{
    model::{Actor, Domain, Moment, Run, Selector, Source, SourceId, SourceKey, TokenId},
    progress::Progress,
    storage::EncryptedFile,
};

use super::{
    AuditEvent, AuditLink, Error, Rewritten, Vault,
    anew::{self, Beside, Erased, NewRun, NewSource},
    audit::{self, TakenOver},
    bodies::{AccountBody, AppBody, TokenBody},
    facts::{AccountScope, tells_everything},
    fold::{NewKeys, Side, Telling},
    index::Touched,
    mark::{Mark, RunId, places},
    open::write_anew,
    query::Query,
    reader::Reader,
    rows::Body,
    run,
    store::Store,
    story::Stories,
    verified,
};

/// What a merge brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// The sources of which runs come.
    pub sources: Vec<MergedSource>,
    /// Entries of the other vaults' audit logs that come.
    pub audit_entries: u64,
    /// Answers of instances about tokens that come.
    pub answers: u64,
    /// Tokens that come back, since they were forgotten here and not there.
    pub returned: u64,
    /// Files whose audit log has a broken link, and the first entry that does not follow.
    pub broken_logs: Vec<(String, u64)>,
}

/// What a merge brings of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedSource {
    /// The source.
    pub source: Source,
    /// The runs that come, with their new numbers, in time order.
    pub runs: Vec<Run>,
    /// How many runs the vaults have in common.
    pub shared: u64,
    /// How many of those that come are dated before a run that was here.
    pub between: u64,
}

impl Merged {
    /// How many runs come.
    pub fn runs(&self) -> u64 {
        self.sources
            .iter()
            .map(|source| source.runs.len() as u64)
            .sum()
    }

    /// Whether nothing comes that is not here.
    pub fn is_nothing(&self) -> bool {
        self.runs() == 0 && self.audit_entries == 0 && self.answers == 0 && self.returned == 0
    }
}

/// A vault that is merged into another.
#[derive(Debug)]
pub struct Other {
    /// What it is called in reports and in the audit log.
    pub name: String,
    /// It.
    pub vault: Vault,
}

/// The union of the runs of several vaults, before it is written. Holds on to them.
pub(super) struct Union<'v> {
    pub(super) sources: Vec<NewSource<'v>>,
    pub(super) report: Merged,
    /// Entries of other audit logs to be taken over.
    entries: Vec<(Timestamp, Actor, AuditEvent)>,
    /// Answers of instances to be taken over.
    answers: Vec<verified::Row>,
    links: HashSet<[u8; 32]>,
    taken: HashSet<(TokenId, i64)>,
}

/// A run on its way.
struct Coming {
    run: Run,
    mark: Mark,
    /// The sides of its source that have it, and when it is true there.
    known: Vec<(usize, Moment)>,
    /// The vaults that have it, and its number there.
    numbers: Vec<(usize, u64)>,
    /// Rows that it saw; `None` = it tells everything.
    seen: Option<Vec<Touched>>,
}

impl Coming {
    fn is_new(&self) -> bool {
        self.numbers.iter().all(|(vault, _)| *vault != BASE)
    }
}

#[derive(Default)]
struct OfSource<'v> {
    sides: Vec<Side<'v>>,
    runs: BTreeMap<RunId, Coming>,
}

type BySource<'v> = BTreeMap<(SourceKey, Option<Domain>), OfSource<'v>>;

impl<'v> Union<'v> {
    /// Of several vaults; the others come into the first.
    pub(super) fn of(
        vaults: &[&Vault],
        readers: &'v [Reader<'_>],
        names: &[&str],
    ) -> Result<Self, Error> {
        let mut by_source = BySource::new();
        for (vault, reader) in readers.iter().enumerate() {
            let store = reader.store();
            let mut runs = run::runs(store)?;
            for source in run::sources(store)? {
                let of = by_source.entry((source.key.clone(), source.instance.clone()));
                let of = of.or_default();
                of.sides.push(Side {
                    store,
                    source: source.id,
                    // A server's keys are its own in every vault.
                    new_keys: match (vaults.get(BASE), vaults.get(vault)) {
                        (Some(base), Some(other)) if source.instance.is_none() => {
                            new_keys(base, other, store, source.id)?
                        }
                        _ => NewKeys::default(),
                    },
                });
                for run in runs.extract_if(.., |run| run.source.id == source.id) {
                    of.add(vault, run)?;
                }
            }
        }
        let mut union = Self {
            sources: Vec::new(),
            report: Merged::default(),
            entries: Vec::new(),
            answers: Vec::new(),
            links: HashSet::new(),
            taken: HashSet::new(),
        };
        let numbers = numbered(&mut by_source);
        let shared = shared(&by_source);
        let mut has_forgotten = false;
        union.take_runs(by_source);
        for (vault, (of, reader)) in vaults.iter().zip(readers).enumerate() {
            let Some(name) = names.get(vault) else { break };
            let log = audit::links(reader.store(), &of.keys.audit);
            let log = log.collect::<Result<Vec<_>, Error>>()?;
            has_forgotten |= vault == BASE && self::has_forgotten(&log);
            union.take_entries(vault, name, &log, &numbers);
            if let (Some(base), Some(here)) = (vaults.get(BASE), readers.get(BASE))
                && vault != BASE
            {
                union.take_answers(base, here, reader)?;
            }
        }
        // Otherwise there is none, and reading every token would take long.
        if let (Some(here), true) = (readers.get(BASE), has_forgotten) {
            union.report.returned = returned(vaults, here, &shared)?;
        }
        Ok(union)
    }

    /// Puts every run in its place and tells what comes.
    fn take_runs(&mut self, by_source: BySource<'v>) {
        let base = |of: &OfSource<'_>| {
            of.runs
                .values()
                .find(|run| !run.is_new())
                .map(|run| run.run.source.id)
        };
        let mut next = by_source
            .values()
            .filter_map(base)
            .max()
            .map_or(1, |last| last.0 + 1);
        for ((key, instance), of) in by_source {
            let id = base(&of).unwrap_or_else(|| {
                next += 1;
                SourceId(next - 1)
            });
            let source = Source { id, key, instance };
            let marks: Vec<Mark> = of.runs.values().map(|run| run.mark).collect();
            let mut runs: Vec<(Moment, Coming)> = places(&marks)
                .into_iter()
                .zip(of.runs.into_values())
                .collect();
            runs.sort_by_key(|(at, _)| *at);
            let last_here = runs
                .iter()
                .filter(|(_, run)| !run.is_new())
                .map(|(at, _)| *at)
                .max();
            let mut came = MergedSource {
                source: source.clone(),
                runs: Vec::new(),
                shared: 0,
                between: 0,
            };
            let mut new = NewSource {
                source,
                sides: of.sides,
                runs: Vec::new(),
            };
            for (at, coming) in runs {
                let is_new = coming.is_new();
                let run = Run {
                    source: new.source.clone(),
                    effective_at: at.timestamp(),
                    ..coming.run
                };
                came.shared += u64::from(coming.numbers.len() > 1);
                if is_new {
                    came.between += u64::from(last_here.is_some_and(|last| at < last));
                    came.runs.push(run.clone());
                }
                new.runs.push(NewRun {
                    telling: Telling {
                        at,
                        number: run.id,
                        known: coming.known,
                        seen: coming.seen,
                        ends: AccountScope::ended_by(&run),
                    },
                    run,
                    mark: coming.mark,
                });
            }
            if !came.runs.is_empty() {
                self.report.sources.push(came);
            }
            self.sources.push(new);
        }
    }

    /// Takes over what instances answered about tokens of another vault.
    fn take_answers(
        &mut self,
        base: &Vault,
        here: &Reader<'_>,
        there: &Reader<'_>,
    ) -> Result<(), Error> {
        let mut known: Option<(TokenId, Option<TokenId>)> = None;
        for row in verified::space().scan(there.store()) {
            let row = row?;
            let new = match known {
                Some((id, new)) if id == row.id => new,
                // An id says nothing outside its vault; the token does.
                _ => there
                    .token(row.id)?
                    .map(|token| base.token_id(&token.instance, token.access_token.expose())),
            };
            known = Some((row.id, new));
            let Some(new) = new else { continue };
            let row = row.about(new);
            if !verified::holds(here.store(), &row)? && self.taken.insert((row.id, row.at)) {
                self.report.answers += 1;
            }
            self.answers.push(row);
        }
        Ok(())
    }

    /// Takes over the entries of a vault's audit log that are in none before it, as far as they can be read.
    fn take_entries(
        &mut self,
        vault: usize,
        name: &str,
        log: &[AuditLink],
        numbers: &HashMap<(usize, u64), u64>,
    ) {
        for entry in log.iter().filter_map(|link| link.entry.as_ref()) {
            let (link, linked, event) = match &entry.event {
                AuditEvent::FromMerged {
                    link,
                    linked,
                    event,
                } => (*link, *linked, &**event),
                event => (entry.link, entry.linked, event),
            };
            if !self.links.insert(link) || vault == BASE {
                continue;
            }
            let number = |run: &u64| numbers.get(&(vault, *run)).copied().unwrap_or(0);
            let mut event = event.clone();
            match &mut event {
                AuditEvent::Imported { run } => *run = number(run),
                AuditEvent::Forgot { runs, .. } => {
                    for run in runs {
                        *run = number(run);
                    }
                }
                _ => {}
            }
            self.report.audit_entries += 1;
            let event = AuditEvent::FromMerged {
                link,
                linked,
                event: TakenOver::new(event),
            };
            self.entries.push((entry.at, entry.actor.clone(), event));
        }
        let broken = log.iter().find(|link| !link.holds || link.entry.is_none());
        self.report
            .broken_logs
            .extend(broken.map(|link| (name.to_owned(), link.number)));
    }
}

/// Runs of the others that the first vault knows: the vault, its source, and when the run is true there.
type Shared = HashSet<(usize, SourceId, Moment)>;

fn shared(by_source: &BySource<'_>) -> Shared {
    let mut shared = Shared::new();
    for of in by_source.values() {
        for run in of.runs.values().filter(|run| !run.is_new()) {
            for ((side, at), (vault, _)) in run.known.iter().zip(&run.numbers) {
                let source = of.sides.get(*side).map(|side| side.source);
                shared.extend(source.map(|source| (*vault, source, *at)));
            }
        }
    }
    shared
}

/// How many tokens were forgotten in the first vault and not in the others: runs that it knows tell of them there, so
/// that there is something that comes even where no run does.
fn returned(vaults: &[&Vault], here: &Reader<'_>, shared: &Shared) -> Result<u64, Error> {
    let mut returned = HashSet::new();
    let everything = Query {
        selector: &Selector::all(),
        at: Moment::MAX,
        all: true,
    };
    let Some(base) = vaults.get(BASE) else {
        return Ok(0);
    };
    for (vault, other) in vaults
        .iter()
        .enumerate()
        .filter(|(vault, _)| *vault != BASE)
    {
        other.records::<Error>(&everything, |record| {
            let is_shared = record.sightings.iter().any(|sighting| {
                let first_seen = Moment::from(sighting.first_seen);
                shared.contains(&(vault, sighting.source.id, first_seen))
            });
            let id = base.token_id(&record.instance, record.access_token.expose());
            if is_shared && here.token(id)?.is_none() {
                returned.insert(id);
            }
            Ok(())
        })?;
    }
    Ok(returned.len() as u64)
}

/// Whether tokens were ever forgotten here, or in a vault that came in.
fn has_forgotten(log: &[AuditLink]) -> bool {
    let events = log.iter().filter_map(|link| link.entry.as_ref());
    let mut events = events.map(|entry| match &entry.event {
        AuditEvent::FromMerged { event, .. } => &**event,
        event => event,
    });
    events.any(|event| {
        matches!(
            event,
            AuditEvent::Forgot {
                selector: Some(_),
                ..
            }
        )
    })
}

impl OfSource<'_> {
    /// Adds a run of the side that was added last.
    fn add(&mut self, vault: usize, run: Run) -> Result<(), Error> {
        let index = self.sides.len() - 1;
        let Some(side) = self.sides.last() else {
            return Ok(());
        };
        let mark = Mark::of(side.store, &run)?;
        let seen = if tells_everything(&run.scope, run.outcome) {
            None
        } else {
            Some(side.seen(run.id)?)
        };
        let (at, number) = (Moment::from(run.effective_at), run.id);
        match self.runs.entry(mark.id) {
            Entry::Vacant(entry) => {
                entry.insert(Coming {
                    run,
                    mark,
                    known: vec![(index, at)],
                    numbers: vec![(vault, number)],
                    seen,
                });
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.known.push((index, at));
                known.numbers.push((vault, number));
                if let Some((known, seen)) = known.seen.as_mut().zip(seen) {
                    unite(known, seen);
                }
            }
        }
        Ok(())
    }
}

/// Gives the runs that come the numbers after those which are here, as they were recorded. Answers the numbers that the
/// runs of each vault have now.
fn numbered(by_source: &mut BySource<'_>) -> HashMap<(usize, u64), u64> {
    let mut runs: Vec<&mut Coming> = by_source
        .values_mut()
        .flat_map(|of| of.runs.values_mut())
        .collect();
    let here = |run: &&mut Coming| {
        run.numbers
            .iter()
            .find(|(vault, _)| *vault == BASE)
            .map(|(_, number)| *number)
    };
    let last = runs.iter().filter_map(here).max().unwrap_or(0);
    runs.sort_by_key(|run| (run.run.recorded_at, run.mark.id));
    let mut next = last + 1;
    let mut numbers = HashMap::new();
    for run in runs {
        run.run.id = here(&run).unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        numbers.extend(run.numbers.iter().map(|known| (*known, run.run.id)));
    }
    numbers
}

/// Adds ranges of rows to others; both in order.
fn unite(ranges: &mut Vec<Touched>, more: Vec<Touched>) {
    ranges.extend(more);
    ranges.sort_by_key(|range| (range.relation, range.first));
    ranges.dedup_by(|next, range| {
        let touches = next.relation == range.relation && next.first <= range.last.saturating_add(1);
        if touches {
            range.last = range.last.max(next.last);
        }
        touches
    });
}

/// The keys that a client's rows have in another vault: they are keyed hashes of what the rows are about.
fn new_keys(
    base: &Vault,
    other: &Vault,
    store: Store<'_>,
    source: SourceId,
) -> Result<NewKeys, Error> {
    let mut new = NewKeys::default();
    if base.keys.digest.hash(&[]) == other.keys.digest.hash(&[]) {
        return Ok(new);
    }
    each_model::<AppBody>(store, source, &mut |key, app| {
        rekey(&mut new.apps, key, other.app_key(app), base.app_key(app));
    })?;
    each_model::<AccountBody>(store, source, &mut |key, account| {
        rekey(
            &mut new.accounts,
            key,
            other.account_key(account),
            base.account_key(account),
        );
    })?;
    each_model::<TokenBody>(store, source, &mut |key, token| {
        rekey(
            &mut new.tokens,
            key,
            other.token_key(token),
            base.token_key(token),
        );
    })?;
    Ok(new)
}

/// A key that is not such a hash is the source's own, and stays.
fn rekey(keys: &mut BTreeMap<u64, u64>, key: u64, hash: u64, new: u64) {
    if key == hash {
        keys.insert(key, new);
    }
}

fn each_model<B: Body>(
    store: Store<'_>,
    source: SourceId,
    show: &mut dyn FnMut(u64, &B::Model),
) -> Result<(), Error> {
    for told in Stories::<B>::of(store, source) {
        let (key, story) = told?;
        let first = story.first().and_then(|step| step.body.as_ref());
        if let Some(model) = first.and_then(Body::model) {
            show(key, &model);
        }
    }
    Ok(())
}

impl Vault {
    /// What merging these vaults into this one would bring. Writes nothing.
    ///
    /// # Errors
    /// [`Error`] when a vault can't be read.
    pub fn would_merge(&self, others: &[Other]) -> Result<Merged, Error> {
        let vaults = all(self, others);
        let readers = readers(&vaults)?;
        Ok(Union::of(&vaults, &readers, &names(others))?.report)
    }

    /// Writes this vault's contents and those of the others, as one, into an empty database.
    pub(super) fn merge_into(
        &self,
        others: &[Other],
        database: &Database,
        (actor, now): (&Actor, Timestamp),
        progress: &dyn Progress,
    ) -> Result<Merged, Error> {
        let vaults = all(self, others);
        let readers = readers(&vaults)?;
        let union = Union::of(&vaults, &readers, &names(others))?;
        let base = readers.first().map(Reader::store).ok_or(Error::ReadOnly)?;
        let (mut entries, answers, report) = (union.entries, union.answers, union.report);
        let event = AuditEvent::Merged {
            files: others.iter().map(|other| other.name.clone()).collect(),
            runs: report.runs(),
        };
        entries.push((now, actor.clone(), event));
        anew::write(
            database,
            (base, &self.keys),
            union.sources,
            &Erased::default(),
            Beside { answers, entries },
            progress,
        )?;
        Ok(report)
    }
}

/// Brings the runs of other vaults into one. The former file stays as `.prev` with `keep`.
///
/// # Errors
/// [`Error::RewriteDiffers`], or when a file can't be read or written; the vault is as it was then.
pub fn merge(
    vault: Vault,
    others: &[Other],
    keep: bool,
    (actor, now): (&Actor, Timestamp),
    progress: &dyn Progress,
) -> Result<(Merged, Rewritten), Error> {
    // On the machine that has seen the other copy, the united vault must not look older than that one.
    let files = others.iter().filter_map(|other| other.vault.file());
    let own = vault.file().map(EncryptedFile::vault_id);
    let copies = files.filter(|file| Some(file.vault_id()) == own);
    let seen = copies.map(EncryptedFile::commit_counter).max();
    write_anew(
        vault,
        keep,
        seen.unwrap_or(0),
        progress,
        |vault, database| vault.merge_into(others, database, (actor, now), progress),
    )
}

fn all<'v>(base: &'v Vault, others: &'v [Other]) -> Vec<&'v Vault> {
    std::iter::once(base)
        .chain(others.iter().map(|other| &other.vault))
        .collect()
}

fn readers<'v>(vaults: &[&'v Vault]) -> Result<Vec<Reader<'v>>, Error> {
    vaults.iter().map(|vault| vault.reader()).collect()
}

fn names(others: &[Other]) -> Vec<&str> {
    std::iter::once("")
        .chain(others.iter().map(|other| &*other.name))
        .collect()
}

/// The vault that the others come into.
const BASE: usize = 0;

//! Sources and runs as they are kept: one entry each.

use bincode::{Decode, Encode};

use crate::model::{
    Actor, Counts, Domain, Moment, Run, RunCounts, RunOutcome, Scope, Source, SourceId, SourceKey,
};

use super::{
    Error, codec,
    store::{self, Store, number_key, number_of, tag},
};

#[derive(Encode, Decode)]
pub(super) struct SourceRow {
    connector: String,
    location: String,
    host: String,
    instance: Option<String>,
}

#[derive(Encode, Decode)]
pub(super) struct RunRow {
    source: u32,
    effective_at: i64,
    recorded_at: i64,
    user: String,
    host: String,
    tool_version: String,
    scoped_to: Option<String>,
    /// 0 complete, 1 partial, 2 shrunk.
    outcome: u8,
    from_the_future: bool,
    note: Option<String>,
    /// Tokens, apps, accounts; each seen, added, changed, gone, unchanged.
    counts: [[u64; 5]; 3],
    warnings: Vec<String>,
}

/// What queries need to know of every run.
#[derive(Debug, Clone)]
pub(super) struct RunFacts {
    pub(super) number: u64,
    pub(super) source: SourceId,
    pub(super) effective_at: Moment,
    pub(super) outcome: RunOutcome,
    pub(super) scope: Scope,
}

/// What a connector left for the next run of a source.
#[derive(Encode, Decode)]
struct BookmarkRow {
    run: u64,
    bytes: Vec<u8>,
}

/// The bookmark of a source, and the run that left it.
pub(super) fn bookmark(
    store: Store<'_>,
    source: SourceId,
) -> Result<Option<(u64, Vec<u8>)>, Error> {
    let Some(value) = store.get(&number_key(tag::BOOKMARKS, u64::from(source.0)))? else {
        return Ok(None);
    };
    let row: BookmarkRow = codec::decode(&value, "a bookmark")?;
    Ok(Some((row.run, row.bytes)))
}

/// Keeps a bookmark; the one before goes.
pub(super) fn put_bookmark(
    transaction: &redb::WriteTransaction,
    source: SourceId,
    run: u64,
    bytes: Vec<u8>,
) -> Result<(), Error> {
    store::put(
        transaction,
        &number_key(tag::BOOKMARKS, u64::from(source.0)),
        &codec::encode(&BookmarkRow { run, bytes })?,
    )
}

/// Every source, by number.
pub(super) fn sources(store: Store<'_>) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for entry in store.all(&[tag::SOURCES]) {
        let (key, value) = entry?;
        let row: SourceRow = codec::decode(&value, SOURCE)?;
        let number = number_of(&key)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or(SOURCE_ERROR)?;
        let instance = row
            .instance
            .map(|name| Domain::parse(&name))
            .transpose()
            .map_err(|_| SOURCE_ERROR)?;
        sources.push(Source {
            id: SourceId(number),
            key: SourceKey {
                connector: row.connector,
                location: row.location,
                host: row.host,
            },
            instance,
        });
    }
    Ok(sources)
}

/// Finds the source, or adds it.
pub(super) fn find_or_add_source(
    transaction: &redb::WriteTransaction,
    key: &SourceKey,
    instance: Option<&Domain>,
) -> Result<Source, Error> {
    let known = sources(Store::Write(transaction))?;
    if let Some(source) = known
        .iter()
        .find(|source| source.key == *key && source.instance.as_ref() == instance)
    {
        return Ok(source.clone());
    }
    let source = Source {
        id: SourceId(known.last().map_or(1, |source| source.id.0 + 1)),
        key: key.clone(),
        instance: instance.cloned(),
    };
    put_source(transaction, &source)?;
    Ok(source)
}

/// Keeps a source under its number.
pub(super) fn put_source(
    transaction: &redb::WriteTransaction,
    source: &Source,
) -> Result<(), Error> {
    let instance = source.instance.as_ref();
    let row = SourceRow {
        connector: source.key.connector.clone(),
        location: source.key.location.clone(),
        host: source.key.host.clone(),
        instance: instance.map(|instance| instance.as_str().to_owned()),
    };
    store::put(
        transaction,
        &number_key(tag::SOURCES, u64::from(source.id.0)),
        &codec::encode(&row)?,
    )
}

/// The number that the next run gets.
pub(super) fn next_number(store: Store<'_>) -> Result<u64, Error> {
    let last = store.last(&number_key(tag::RUNS, 0), &number_key(tag::RUNS, u64::MAX))?;
    Ok(last.and_then(|(key, _)| number_of(&key)).unwrap_or(0) + 1)
}

/// The run of this number.
pub(super) fn run(store: Store<'_>, sources: &[Source], number: u64) -> Result<Option<Run>, Error> {
    let value = store.get(&number_key(tag::RUNS, number))?;
    value
        .map(|value| decode(number, &value, sources))
        .transpose()
}

/// Every run, by number.
pub(super) fn runs(store: Store<'_>) -> Result<Vec<Run>, Error> {
    let sources = sources(store)?;
    let decoded = store.all(&[tag::RUNS]).map(|entry| {
        let (key, value) = entry?;
        decode(number_of(&key).ok_or(RUN_ERROR)?, &value, &sources)
    });
    decoded.collect()
}

/// The same in short.
pub(super) fn facts(store: Store<'_>) -> Result<Vec<RunFacts>, Error> {
    let facts = runs(store)?.into_iter().map(|run| RunFacts {
        number: run.id,
        source: run.source.id,
        effective_at: run.effective_at.into(),
        outcome: run.outcome,
        scope: run.scope,
    });
    Ok(facts.collect())
}

/// Keeps a run.
pub(super) fn put(transaction: &redb::WriteTransaction, run: &Run) -> Result<(), Error> {
    let counts = |counts: Counts| {
        [
            counts.seen,
            counts.added,
            counts.changed,
            counts.gone,
            counts.unchanged,
        ]
    };
    let row = RunRow {
        source: run.source.id.0,
        effective_at: Moment::from(run.effective_at).0,
        recorded_at: Moment::from(run.recorded_at).0,
        user: run.actor.user.clone(),
        host: run.actor.host.clone(),
        tool_version: run.tool_version.clone(),
        scoped_to: match &run.scope {
            Scope::All => None,
            Scope::User(name) => Some(name.clone()),
        },
        outcome: match run.outcome {
            RunOutcome::Complete => 0,
            RunOutcome::Partial => 1,
            RunOutcome::Shrunk => 2,
        },
        from_the_future: run.from_the_future,
        note: run.note.clone(),
        counts: [
            counts(run.counts.tokens),
            counts(run.counts.apps),
            counts(run.counts.accounts),
        ],
        warnings: run.warnings.clone(),
    };
    store::put(
        transaction,
        &number_key(tag::RUNS, run.id),
        &codec::encode(&row)?,
    )
}

fn decode(number: u64, value: &[u8], sources: &[Source]) -> Result<Run, Error> {
    let row: RunRow = codec::decode(value, RUN)?;
    let source = sources
        .iter()
        .find(|source| source.id.0 == row.source)
        .ok_or(RUN_ERROR)?;
    let counts = |[seen, added, changed, gone, unchanged]: [u64; 5]| Counts {
        seen,
        added,
        changed,
        gone,
        unchanged,
    };
    let [tokens, apps, accounts] = row.counts;
    Ok(Run {
        id: number,
        source: source.clone(),
        effective_at: Moment(row.effective_at).timestamp(),
        recorded_at: Moment(row.recorded_at).timestamp(),
        actor: Actor {
            user: row.user,
            host: row.host,
        },
        tool_version: row.tool_version,
        scope: row.scoped_to.map_or(Scope::All, Scope::User),
        outcome: match row.outcome {
            0 => RunOutcome::Complete,
            1 => RunOutcome::Partial,
            2 => RunOutcome::Shrunk,
            _ => return Err(RUN_ERROR),
        },
        from_the_future: row.from_the_future,
        note: row.note,
        counts: RunCounts {
            tokens: counts(tokens),
            apps: counts(apps),
            accounts: counts(accounts),
        },
        warnings: row.warnings,
    })
}

const SOURCE: &str = "a source";
const SOURCE_ERROR: Error = Error::Inconsistent { what: SOURCE };
const RUN: &str = "a run";
const RUN_ERROR: Error = Error::Inconsistent { what: RUN };

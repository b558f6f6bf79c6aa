//! One key across all runs: every state that it had.

use std::collections::{BTreeMap, HashMap};

use crate::model::{
    Moment, Record, RecordKey, Run, Selector, Source, SourceId, TokenId, Verification,
};
use crate::vault::{Error, Reader, Vault, Version, verified};

use super::{FieldChange, Query, Questioner, fields::Fields};

/// Everything that a key went through.
#[derive(Debug, Clone)]
pub struct KeyHistory {
    /// The key.
    pub key: RecordKey,
    /// Its tokens in the order of first sight.
    pub tokens: Vec<TokenHistory>,
}

/// Everything that a token went through.
#[derive(Debug, Clone)]
pub struct TokenHistory {
    /// The token as it stood at the moment asked for.
    pub record: Record,
    /// What happened to it, in time order.
    pub events: Vec<Event>,
    /// The sources that hold it still, by when they were first seen to.
    pub kept: Vec<Kept>,
    /// What its instance answered when it was asked, in time order.
    pub answers: Vec<Verification>,
}

/// A source that still holds a token.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The source.
    pub source: Source,
    /// Effective time of the last run that held the token.
    pub last_seen: Moment,
    /// The number of that run.
    pub run: Option<u64>,
}

/// Something that a run of a source found out about a token.
#[derive(Debug, Clone)]
pub struct Event {
    /// Effective time of the run.
    pub at: Moment,
    /// Number of the run.
    pub run: Option<u64>,
    /// The source.
    pub source: Source,
    /// What it found.
    pub kind: EventKind,
}

/// What a run found out about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// It is in this source for the first time.
    Appeared,
    /// It is in this source again; with what is different from when it was there last.
    Returned(Vec<FieldChange>),
    /// Something about it, its app or its account changed.
    Changed(Vec<FieldChange>),
    /// It is in this source no more.
    Vanished,
}

impl EventKind {
    /// The word used in JSON and tables.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Returned(_) => "returned",
            Self::Changed(_) => "changed",
            Self::Vanished => "vanished",
        }
    }

    /// What changed with it.
    pub fn changes(&self) -> &[FieldChange] {
        match self {
            Self::Changed(changes) | Self::Returned(changes) => changes,
            Self::Appeared | Self::Vanished => &[],
        }
    }
}

impl Vault {
    /// The histories of every key that the selector names, up to `at`; `~N` is ignored.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn history(&self, selector: &Selector, at: Moment) -> Result<Vec<KeyHistory>, Error> {
        let records = self.records_sorted(&Query {
            selector,
            at,
            all: true,
        })?;
        let reader = self.reader()?;
        let questioner = Questioner::new(&reader, at)?;
        let runs = RunNumbers::new(self.runs()?);
        let mut keys: BTreeMap<RecordKey, Vec<TokenHistory>> = BTreeMap::new();
        for record in records {
            let events = events(&questioner, &runs, record.id)?;
            let kept = kept(&record, &runs);
            let answers = verified::of_token(reader.store(), record.id, at)?;
            keys.entry(record.key()).or_default().push(TokenHistory {
                record,
                events,
                kept,
                answers,
            });
        }
        Ok(keys
            .into_iter()
            .map(|(key, tokens)| KeyHistory { key, tokens })
            .collect())
    }
}

impl Vault {
    /// When no source held a token, between times when one did: from the run that found it gone to the one that found
    /// it again, up to `at`, in time order.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn absences(
        &self,
        ids: impl IntoIterator<Item = TokenId>,
        at: Moment,
    ) -> Result<HashMap<TokenId, Vec<(Moment, Moment)>>, Error> {
        let reader = self.reader()?;
        let mut absences = HashMap::new();
        for id in ids {
            let places = reader.find(id)?.places.into_iter();
            let versions = places.flat_map(|place| place.versions);
            let mut spans: Vec<(Moment, Moment)> = versions
                .filter(|version| version.since <= at)
                .map(|version| (version.since, version.until.unwrap_or(Moment::MAX)))
                .collect();
            spans.sort_unstable();
            let mut away = Vec::new();
            let mut reach = spans.first().map_or(Moment::MAX, |(since, _)| *since);
            for (since, until) in spans {
                if reach < since {
                    away.push((reach, since));
                }
                reach = reach.max(until);
            }
            if !away.is_empty() {
                absences.insert(id, away);
            }
        }
        Ok(absences)
    }
}

fn kept(record: &Record, runs: &RunNumbers) -> Vec<Kept> {
    let there = record.sightings.iter();
    let there = there.filter(|sighting| sighting.gone_at.is_none());
    there
        .map(|sighting| {
            let last_seen = Moment::from(sighting.last_seen);
            Kept {
                source: sighting.source.clone(),
                last_seen,
                run: runs.number(sighting.source.id, last_seen),
            }
        })
        .collect()
}

fn events(q: &Questioner<'_, '_>, runs: &RunNumbers, id: TokenId) -> Result<Vec<Event>, Error> {
    // A restored token has a new row, but it is not new in its source.
    let mut of_source: BTreeMap<SourceId, Vec<Version<State>>> = BTreeMap::new();
    for place in q.reader.find(id)?.places {
        let states = states(q.reader, place.source, &place.versions, q.at)?;
        of_source.entry(place.source).or_default().extend(states);
    }
    let mut events = Vec::new();
    for (id, mut states) in of_source {
        let Some(source) = q.sources.by_id.get(&id) else {
            continue;
        };
        states.sort_by_key(|state| state.since);
        let found = found_out(&states, q.at).into_iter();
        events.extend(found.map(|(at, kind)| Event {
            at,
            run: runs.number(id, at),
            source: source.clone(),
            kind,
        }));
    }
    events.sort_by(|a, b| {
        a.at.cmp(&b.at)
            .then_with(|| a.source.key.cmp(&b.source.key))
    });
    Ok(events)
}

/// What runs of one source found out, in time order; `states` are in the order of their beginnings.
fn found_out(states: &[Version<State>], at: Moment) -> Vec<(Moment, EventKind)> {
    let mut found = Vec::new();
    let mut before: Option<&Version<State>> = None;
    // Until when it was there, without a gap.
    let mut reach = Moment::MIN;
    for state in states {
        match before.map(|before| state.body.fields().since(&before.body.fields())) {
            None => found.push((state.since, EventKind::Appeared)),
            Some(changes) if reach < state.since => {
                found.push((reach, EventKind::Vanished));
                found.push((state.since, EventKind::Returned(changes)));
            }
            Some(changes) if changes.is_empty() => {}
            Some(changes) => found.push((state.since, EventKind::Changed(changes))),
        }
        reach = reach.max(state.until.unwrap_or(Moment::MAX));
        before = Some(state);
    }
    if before.is_some() && reach <= at {
        found.push((reach, EventKind::Vanished));
    }
    found
}

/// The parts of a token, its app and its account in which a change is news.
#[derive(Clone, PartialEq)]
struct State {
    token: crate::model::Token,
    app: Option<crate::model::App>,
    account: Option<crate::model::Account>,
}

impl State {
    fn fields(&self) -> Fields<'_> {
        Fields::of_row(&self.token, self.app.as_ref(), self.account.as_ref())
    }
}

/// The token's versions, cut further where its app's or account's row changed while the token was there.
fn states(
    reader: &Reader<'_>,
    source: SourceId,
    versions: &[Version<crate::model::Token>],
    at: Moment,
) -> Result<Vec<Version<State>>, Error> {
    let mut states = Vec::new();
    for token in versions {
        if token.since > at {
            break;
        }
        let end = token.until.unwrap_or(Moment::MAX);
        let apps = match token.body.app {
            Some(app) => reader.app_versions(source, app)?,
            None => Vec::new(),
        };
        let accounts = match token.body.account {
            Some(account) => reader.account_versions(source, account)?,
            None => Vec::new(),
        };
        let inside = |since: &Moment| *since > token.since && *since < end && *since <= at;
        let mut cuts: Vec<Moment> = vec![token.since];
        cuts.extend(apps.iter().map(|app| app.since).filter(inside));
        cuts.extend(accounts.iter().map(|account| account.since).filter(inside));
        cuts.sort_unstable();
        cuts.dedup();
        for (position, since) in cuts.iter().enumerate() {
            let until = cuts.get(position + 1).copied().or(token.until);
            let body = State {
                token: token.body.clone(),
                app: apps
                    .iter()
                    .rfind(|app| app.since <= *since)
                    .map(|app| app.body.clone()),
                account: accounts
                    .iter()
                    .rfind(|account| account.since <= *since)
                    .map(|account| account.body.clone()),
            };
            states.push(Version {
                key: token.key,
                since: *since,
                until,
                body,
            });
        }
    }
    Ok(states)
}

/// Finds a run by its source and effective time.
pub(super) struct RunNumbers(BTreeMap<(SourceId, Moment), u64>);

impl RunNumbers {
    pub(super) fn new(runs: Vec<Run>) -> Self {
        Self(
            runs.into_iter()
                .map(|run| ((run.source.id, run.effective_at.into()), run.id))
                .collect(),
        )
    }

    fn number(&self, source: SourceId, at: Moment) -> Option<u64> {
        self.0.get(&(source, at)).copied()
    }
}

//! One key across all runs: every state that it had.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Moment, Record, RecordKey, Run, Selector, Source, SourceId, TokenId};
use crate::vault::{Error, Reader, Vault, Version};

use super::{Query, Questioner};

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
    /// It is in this source again.
    Returned,
    /// Something about it, its app or its account changed: one sentence each, without secrets.
    Changed(Vec<String>),
    /// It is in this source no more.
    Vanished,
}

impl EventKind {
    /// The word used in JSON and tables.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Returned => "returned",
            Self::Changed(_) => "changed",
            Self::Vanished => "vanished",
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
            keys.entry(record.key())
                .or_default()
                .push(TokenHistory { record, events });
        }
        Ok(keys
            .into_iter()
            .map(|(key, tokens)| KeyHistory { key, tokens })
            .collect())
    }
}

fn events(q: &Questioner<'_, '_>, runs: &RunNumbers, id: TokenId) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    for place in q.reader.find(id)?.places {
        let source_id = place.source;
        let Some(source) = q.sources.by_id.get(&source_id) else {
            continue;
        };
        let mut push = |at: Moment, kind| {
            let run = runs.number(source_id, at);
            events.push(Event {
                at,
                run,
                source: source.clone(),
                kind,
            });
        };
        let states = states(q.reader, source_id, &place.versions, q.at)?;
        let begins: BTreeSet<Moment> = states.iter().map(|state| state.since).collect();
        let mut before: Option<Version<State>> = None;
        for version in states {
            match &before {
                None => push(version.since, EventKind::Appeared),
                Some(before) if before.until == Some(version.since) => {
                    let changes = version.body.differs_from(&before.body);
                    if !changes.is_empty() {
                        push(version.since, EventKind::Changed(changes));
                    }
                }
                Some(_) => push(version.since, EventKind::Returned),
            }
            let ends = version.until.filter(|until| *until <= q.at);
            before = Some(version);
            if let Some(until) = ends
                && !begins.contains(&until)
            {
                push(until, EventKind::Vanished);
            }
        }
    }
    events.sort_by(|a, b| a.at.cmp(&b.at).then(a.source.id.cmp(&b.source.id)));
    // A restored token has a new row, but it is not new in its source.
    let mut known = BTreeSet::new();
    for event in &mut events {
        if event.kind == EventKind::Appeared && !known.insert(event.source.id) {
            event.kind = EventKind::Returned;
        }
    }
    Ok(events)
}

/// The parts of a token, its app and its account in which a change is news.
#[derive(Clone, PartialEq)]
struct State {
    token: crate::model::Token,
    app: Option<crate::model::App>,
    account: Option<crate::model::Account>,
}

impl State {
    fn differs_from(&self, before: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let scopes = |scopes: &Option<crate::model::Scopes>| match scopes {
            Some(scopes) => format!("\"{scopes}\""),
            None => "unknown".to_owned(),
        };
        let (old, new) = (&before.token, &self.token);
        if old.scopes != new.scopes {
            lines.push(format!(
                "scopes {} → {}",
                scopes(&old.scopes),
                scopes(&new.scopes)
            ));
        }
        match (old.revoked_at, new.revoked_at) {
            (old, Some(at)) if old != Some(at) => lines.push(format!("revoked at {at}")),
            (Some(_), None) => lines.push("revocation taken back".to_owned()),
            _ => {}
        }
        if old.expires_at != new.expires_at {
            lines.push(match new.expires_at {
                Some(at) => format!("expires at {at}"),
                None => "expires no more".to_owned(),
            });
        }
        if old.refresh_token != new.refresh_token {
            lines.push("refresh token changed".to_owned());
        }
        if old.created_at != new.created_at {
            lines.push("time of issue changed".to_owned());
        }
        if old.token_type != new.token_type {
            lines.push("token type changed".to_owned());
        }
        lines.extend(app_changes(before.app.as_ref(), self.app.as_ref()));
        let name = |account: &Option<crate::model::Account>| {
            account
                .as_ref()
                .and_then(|account| account.username.clone())
                .unwrap_or_else(|| "?".to_owned())
        };
        if name(&before.account) != name(&self.account) {
            lines.push(format!(
                "user {} → {}",
                name(&before.account),
                name(&self.account)
            ));
        }
        lines
    }
}

fn app_changes(before: Option<&crate::model::App>, now: Option<&crate::model::App>) -> Vec<String> {
    let (Some(before), Some(now)) = (before, now) else {
        return match (before, now) {
            (Some(_), None) => vec!["app is unknown now".to_owned()],
            (None, Some(_)) => vec!["app is known now".to_owned()],
            _ => Vec::new(),
        };
    };
    let mut lines = Vec::new();
    let name = |app: &crate::model::App| app.name.clone().unwrap_or_else(|| "?".to_owned());
    if before.name != now.name {
        lines.push(format!("app renamed: {} → {}", name(before), name(now)));
    }
    if before.client_id != now.client_id {
        lines.push("client_id of the app changed".to_owned());
    }
    if before.client_secret != now.client_secret {
        lines.push("client_secret of the app changed".to_owned());
    }
    if before.redirect_uris != now.redirect_uris {
        lines.push("redirect URIs of the app changed".to_owned());
    }
    if before.scopes != now.scopes {
        lines.push("scopes of the app changed".to_owned());
    }
    if before.website != now.website || before.base_url != now.base_url {
        lines.push("address of the app changed".to_owned());
    }
    lines
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

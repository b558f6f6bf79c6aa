//! Joins what every source says of a token into the record that a person sees.

use std::collections::BTreeMap;

use crate::model::{
    Account, App, AppView, Moment, Record, RunOutcome, Scope, Sighting, Source, SourceId, Status,
    Token, TokenId, User,
};
use crate::vault::{Error, Place, Reader, RunFacts, Version, verified::Known};

/// What one source says of one token at a moment: its last version at or before it, and the rows that it names.
pub(super) struct Observation {
    pub(super) source: SourceId,
    pub(super) first_seen: Moment,
    pub(super) version: Version<Token>,
    pub(super) app: Option<App>,
    pub(super) app_owner: Option<Account>,
    pub(super) account: Option<Account>,
}

/// The sources and the times of their runs, read once per query.
pub(in crate::vault) struct Sources {
    pub(in crate::vault) by_id: BTreeMap<SourceId, Source>,
    runs: BTreeMap<SourceId, Vec<RunFacts>>,
}

impl Sources {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, Error> {
        let mut runs: BTreeMap<SourceId, Vec<RunFacts>> = BTreeMap::new();
        for run in reader.run_facts()? {
            runs.entry(run.source).or_default().push(run);
        }
        for runs in runs.values_mut() {
            runs.sort_by_key(|run| run.effective_at);
        }
        let by_id = reader
            .sources()?
            .into_iter()
            .map(|source| (source.id, source))
            .collect();
        Ok(Self { by_id, runs })
    }

    /// The last run of `source` before `end` that would have noticed a row of this account missing; at least `since`.
    fn last_seen(
        &self,
        source: SourceId,
        since: Moment,
        end: Moment,
        user: Option<&str>,
    ) -> Moment {
        let runs = self
            .runs
            .get(&source)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let before = runs.partition_point(|run| run.effective_at < end);
        let seen = runs.get(..before).unwrap_or_default().iter().rev();
        let mut seen = seen.take_while(|run| run.effective_at > since);
        let last = seen.find(|run| {
            run.outcome == RunOutcome::Complete
                && match &run.scope {
                    Scope::All => true,
                    Scope::User(name) => user.is_some_and(|user| user.eq_ignore_ascii_case(name)),
                }
        });
        last.map_or(since, |run| run.effective_at)
    }

    fn sighting(&self, seen: &Observation, at: Moment) -> Option<Sighting> {
        let source = self.by_id.get(&seen.source)?.clone();
        let gone = seen.version.until.filter(|until| *until <= at);
        let end = gone.unwrap_or(Moment(at.0.saturating_add(1)));
        let user = seen
            .account
            .as_ref()
            .and_then(|account| account.username.as_deref());
        let last_seen = self.last_seen(seen.source, seen.version.since, end, user);
        Some(Sighting {
            source,
            first_seen: seen.first_seen.timestamp(),
            last_seen: last_seen.timestamp(),
            gone_at: gone.map(Moment::timestamp),
        })
    }
}

/// Joins the observations of one token. Where sources disagree, the one that saw it last is believed and the
/// disagreement is noted; what no source says, an answer of the instance may. `None` without observations.
pub(super) fn join(
    sources: &Sources,
    (id, id_digits): (TokenId, usize),
    observations: Vec<Observation>,
    answers: Known,
    at: Moment,
) -> Option<Record> {
    let mut all: Vec<(Sighting, Observation)> = observations
        .into_iter()
        .filter_map(|seen| sources.sighting(&seen, at).map(|sighting| (sighting, seen)))
        .collect();
    all.sort_by(|(a, _), (b, _)| {
        let freshness = |s: &Sighting| {
            (
                s.gone_at.is_none(),
                s.last_seen,
                s.source.instance.is_some(),
            )
        };
        freshness(b)
            .cmp(&freshness(a))
            // Numbers of sources are this vault's own: merged the other way round, they are others.
            .then_with(|| a.source.key.cmp(&b.source.key))
    });
    let seen = once_per_source(all);
    let newest = &seen.first()?.1.version.body;
    let mut notes = Notes {
        sightings: &seen,
        lines: Vec::new(),
    };
    let scopes = notes.pick("scopes", |o| o.version.body.scopes.clone());
    let created_at = notes.pick("time of issue", |o| o.version.body.created_at);
    let expires_at = notes.pick("time of expiry", |o| o.version.body.expires_at);
    let revoked_at = notes.pick("time of revocation", |o| o.version.body.revoked_at);
    let refresh_token = notes.pick("refresh token", |o| o.version.body.refresh_token.clone());
    let token_type = notes.pick("token type", |o| o.version.body.token_type.clone());
    let user = user(&mut notes);
    let account_created_at = notes.pick("time of sign-up", |o| {
        o.account.as_ref().and_then(|account| account.created_at)
    });
    let app = app(&mut notes);
    let disagreements = notes.lines;
    let gone = seen.iter().all(|(sighting, _)| sighting.gone_at.is_some());
    let record = Record {
        id,
        id_digits,
        instance: newest.instance.clone(),
        user,
        account_created_at,
        app,
        access_token: newest.access_token.clone(),
        refresh_token,
        token_type: token_type.unwrap_or_else(|| "Bearer".to_owned()),
        scopes,
        created_at,
        expires_at,
        revoked_at,
        status: status(
            gone,
            revoked_at.map(Moment::from),
            expires_at.map(Moment::from),
            at,
        ),
        sightings: Vec::new(),
        disagreements,
        verified: None,
    };
    let mut sightings: Vec<Sighting> = seen.into_iter().map(|(sighting, _)| sighting).collect();
    sightings.sort_by(|a, b| {
        let first = a.first_seen.cmp(&b.first_seen);
        first.then_with(|| a.source.key.cmp(&b.source.key))
    });
    let mut record = Record {
        sightings,
        ..record
    };
    fill(&mut record, answers);
    Some(record)
}

/// Takes from the instance's answers what no source says.
fn fill(record: &mut Record, answers: Known) {
    record.verified = answers.last;
    if let Some(account) = answers.account
        && record.user == User::Unknown
    {
        record.user = User::Named(account.username);
    }
    let Some(answered) = answers.app else { return };
    let app = &mut record.app;
    if let Some(name) = answered.name
        && !app.names.contains(&name)
    {
        app.names.push(name);
    }
    app.name = app.name.take().or_else(|| app.names.first().cloned());
    app.website = app.website.take().or(answered.website);
    app.scopes = app.scopes.take().or(answered.scopes);
    if app.redirect_uris.is_empty() {
        app.redirect_uris = answered.redirect_uris;
    }
    // The API's id of an app is that of its row.
    let id = answered.id.and_then(|id| id.parse().ok());
    app.server_id = app.server_id.or(id);
}

/// Of several rows of one source (a restored token has a new row id) the freshest counts; all were sightings.
fn once_per_source(all: Vec<(Sighting, Observation)>) -> Vec<(Sighting, Observation)> {
    let mut seen: Vec<(Sighting, Observation)> = Vec::with_capacity(all.len());
    for (sighting, observation) in all {
        match seen
            .iter_mut()
            .find(|(known, _)| known.source.id == sighting.source.id)
        {
            Some((known, _)) => known.first_seen = known.first_seen.min(sighting.first_seen),
            None => seen.push((sighting, observation)),
        }
    }
    seen
}

fn status(
    gone: bool,
    revoked_at: Option<Moment>,
    expires_at: Option<Moment>,
    at: Moment,
) -> Status {
    // A revocation that a run of that time has seen counts even if its own clock was ahead.
    if revoked_at.is_some() {
        Status::Revoked
    } else if expires_at.is_some_and(|end| end <= at) {
        Status::Expired
    } else if gone {
        Status::Gone
    } else {
        Status::Active
    }
}

fn user(notes: &mut Notes<'_>) -> User {
    let named = notes.pick("user", |o| {
        o.account
            .as_ref()
            .and_then(|account| account.username.clone())
    });
    if let Some(name) = named {
        return User::Named(name);
    }
    let no_account = notes
        .sightings
        .iter()
        .all(|(_, seen)| seen.version.body.account.is_none());
    if no_account {
        User::Application
    } else {
        User::Unknown
    }
}

fn app(notes: &mut Notes<'_>) -> AppView {
    let mut names = Vec::new();
    for (_, seen) in notes.sightings {
        if let Some(name) = seen.app.as_ref().and_then(|app| app.name.clone())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    AppView {
        // Two names are no disagreement: the server may call toot "toot - a Mastodon CLI client".
        name: names.first().cloned(),
        names,
        client_id: notes.pick("client_id", |o| o.app.as_ref()?.client_id.clone()),
        client_secret: notes.pick("client_secret", |o| o.app.as_ref()?.client_secret.clone()),
        redirect_uris: notes
            .pick("redirect URIs", |o| {
                let uris = &o.app.as_ref()?.redirect_uris;
                (!uris.is_empty()).then(|| uris.clone())
            })
            .unwrap_or_default(),
        scopes: notes.pick("scopes of the app", |o| o.app.as_ref()?.scopes.clone()),
        website: notes.pick("web site", |o| o.app.as_ref()?.website.clone()),
        base_url: notes.first(|o| o.app.as_ref()?.base_url.clone()),
        superapp: notes
            .sightings
            .iter()
            .any(|(_, seen)| seen.app.as_ref().is_some_and(|app| app.superapp)),
        confidential: notes.pick("confidential", |o| o.app.as_ref()?.confidential),
        owner: notes.first(|o| o.app_owner.as_ref()?.username.clone()),
        owner_since: notes.first(|o| o.app_owner.as_ref()?.created_at),
        created_at: notes.pick("registration time of the app", |o| {
            o.app.as_ref()?.created_at
        }),
        // The freshest: a database that was rebuilt gives its row ids anew.
        server_id: notes.sightings.iter().find_map(|(at, seen)| {
            at.source.instance.as_ref()?;
            seen.app.as_ref()?;
            seen.version.body.app
        }),
    }
}

/// The app as one source holds it; `key` = the id of its row, where that is the server's own.
pub(super) fn view(app: App, owner: Option<Account>, key: Option<u64>) -> AppView {
    AppView {
        names: app.name.iter().cloned().collect(),
        name: app.name,
        client_id: app.client_id,
        client_secret: app.client_secret,
        redirect_uris: app.redirect_uris,
        scopes: app.scopes,
        website: app.website,
        base_url: app.base_url,
        superapp: app.superapp,
        confidential: app.confidential,
        owner_since: owner.as_ref().and_then(|owner| owner.created_at),
        owner: owner.and_then(|owner| owner.username),
        created_at: app.created_at,
        server_id: key,
    }
}

/// Picks values, freshest source first, and notes where others differ.
struct Notes<'a> {
    sightings: &'a [(Sighting, Observation)],
    lines: Vec<String>,
}

impl Notes<'_> {
    fn first<T>(&self, field: impl Fn(&Observation) -> Option<T>) -> Option<T> {
        self.sightings.iter().find_map(|(_, seen)| field(seen))
    }

    fn pick<T: PartialEq>(
        &mut self,
        name: &str,
        field: impl Fn(&Observation) -> Option<T>,
    ) -> Option<T> {
        let mut known = self
            .sightings
            .iter()
            .filter_map(|(at, seen)| field(seen).map(|value| (at, value)));
        let (believed, value) = known.next()?;
        for (other, differs) in known {
            if differs != value {
                let is_tie = (other.last_seen, other.gone_at.is_none())
                    == (believed.last_seen, believed.gone_at.is_none());
                let last = if is_tie { "" } else { "saw it last and " };
                self.lines.push(format!(
                    "{name}: {} and {} disagree; {} {last}is used",
                    place(&believed.source),
                    place(&other.source),
                    believed.source.key.connector,
                ));
            }
        }
        Some(value)
    }
}

fn place(source: &Source) -> String {
    format!("{} ({})", source.key.connector, source.key.location)
}

/// Reads what one row of a source says of a token at a moment; `None` when it did not hold it yet.
pub(super) fn observe(
    reader: &Reader<'_>,
    place: Place,
    at: Moment,
) -> Result<Option<Observation>, Error> {
    let Place { source, versions } = place;
    let Some(first_seen) = versions.first().map(|version| version.since) else {
        return Ok(None);
    };
    let Some(version) = versions.into_iter().rfind(|version| version.since <= at) else {
        return Ok(None);
    };
    // A version that ended before `at` is joined with the rows of its own last moment.
    let moment = version
        .until
        .map_or(at, |until| at.min(Moment(until.0.saturating_sub(1))));
    let app = match version.body.app {
        Some(app) => reader.app(source, app, moment)?,
        None => None,
    };
    let app_owner = match app.as_ref().and_then(|app| app.owner) {
        Some(owner) => reader.account(source, owner, moment)?,
        None => None,
    };
    let account = match version.body.account {
        Some(account) => reader.account(source, account, moment)?,
        None => None,
    };
    Ok(Some(Observation {
        source,
        first_seen,
        version,
        app,
        app_owner,
        account,
    }))
}

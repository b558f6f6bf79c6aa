//! Records and runs as JSON: the keys, their order, and what is left out without `--reveal`.

use jiff::Timestamp;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::model::{
    App, AppView, Completeness, Counts, Record, Run, RunOutcome, Scope, Scopes, Secret, Sighting,
    User, Verification,
};

/// Whether secrets are part of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reveal {
    /// Secret fields are absent.
    No,
    /// Secret fields are there: the person asked for it.
    Yes,
}

/// A record as JSON. Borrows; holds secrets only with [`Reveal::Yes`], and is never shown by `Debug`.
#[expect(
    clippy::option_option,
    reason = "absent, null and a value are three things in JSON"
)]
#[derive(Serialize)]
pub struct RecordJson<'a> {
    id: String,
    instance: &'a str,
    user: Option<&'a str>,
    app: AppJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Option<&'a str>>,
    token_type: &'a str,
    scopes: Option<Vec<&'a str>>,
    created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    status: &'static str,
    sources: Vec<SightingJson<'a>>,
    application_token: bool,
    account_created_at: Option<Timestamp>,
    verified: Option<VerifiedJson<'a>>,
}

impl<'a> RecordJson<'a> {
    /// Shows a record.
    pub fn new(record: &'a Record, reveal: Reveal) -> Self {
        let revealed = reveal == Reveal::Yes;
        Self {
            id: record.short_id(),
            instance: record.instance.as_str(),
            user: record.user.name(),
            app: AppJson::of_view(&record.app, reveal),
            access_token: revealed.then(|| record.access_token.expose()),
            refresh_token: revealed.then(|| record.refresh_token.as_ref().map(Secret::expose)),
            token_type: &record.token_type,
            scopes: scopes(record.scopes.as_ref()),
            created_at: record.created_at,
            expires_at: record.expires_at,
            revoked_at: record.revoked_at,
            status: record.status.as_str(),
            sources: record.sightings.iter().map(SightingJson::new).collect(),
            application_token: record.user == User::Application,
            account_created_at: record.account_created_at,
            verified: record.verified.as_ref().map(VerifiedJson::new),
        }
    }
}

/// What an instance answered when it was asked about a token, as JSON.
#[derive(Debug, Serialize)]
pub struct VerifiedJson<'a> {
    at: Timestamp,
    verdict: &'static str,
    works: bool,
    words: Option<&'a str>,
    account: Option<VerifiedAccountJson<'a>>,
    app: Option<VerifiedAppJson<'a>>,
}

#[derive(Debug, Serialize)]
struct VerifiedAccountJson<'a> {
    id: &'a str,
    username: &'a str,
}

#[derive(Debug, Serialize)]
struct VerifiedAppJson<'a> {
    id: Option<&'a str>,
    name: Option<&'a str>,
    website: Option<&'a str>,
    scopes: Option<Vec<&'a str>>,
    redirect_uris: Option<&'a [String]>,
}

impl<'a> VerifiedJson<'a> {
    /// Shows an answer.
    pub fn new(answer: &'a Verification) -> Self {
        Self {
            at: answer.at,
            verdict: answer.verdict.as_str(),
            works: answer.verdict.is_good(),
            words: answer.words.as_deref(),
            account: answer.account.as_ref().map(|account| VerifiedAccountJson {
                id: &account.id,
                username: &account.username,
            }),
            app: answer.app.as_ref().map(|app| VerifiedAppJson {
                id: app.id.as_deref(),
                name: app.name.as_deref(),
                website: app.website.as_deref(),
                scopes: scopes(app.scopes.as_ref()),
                redirect_uris: (!app.redirect_uris.is_empty()).then_some(&app.redirect_uris),
            }),
        }
    }
}

/// The app of a record as JSON.
#[expect(
    clippy::option_option,
    reason = "absent, null and a value are three things in JSON"
)]
#[derive(Serialize)]
pub struct AppJson<'a> {
    name: Option<&'a str>,
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<Option<&'a str>>,
    redirect_uris: Option<&'a [String]>,
    scopes: Option<Vec<&'a str>>,
    website: Option<&'a str>,
    base_url: Option<&'a str>,
    superapp: bool,
    confidential: Option<bool>,
    owner: Option<&'a str>,
    created_at: Option<Timestamp>,
}

impl<'a> AppJson<'a> {
    /// Shows the app of a record.
    pub fn of_view(app: &'a AppView, reveal: Reveal) -> Self {
        Self {
            name: app.name.as_deref(),
            client_id: app.client_id.as_deref(),
            client_secret: (reveal == Reveal::Yes)
                .then(|| app.client_secret.as_ref().map(Secret::expose)),
            redirect_uris: (!app.redirect_uris.is_empty()).then_some(&app.redirect_uris),
            scopes: scopes(app.scopes.as_ref()),
            website: app.website.as_deref(),
            base_url: app.base_url.as_deref(),
            superapp: app.superapp,
            confidential: app.confidential,
            owner: app.owner.as_deref(),
            created_at: app.created_at,
        }
    }

    /// Shows an app of a run, with its secret; the owner is a row there.
    pub(super) fn of_row(app: &'a App) -> Self {
        Self {
            name: app.name.as_deref(),
            client_id: app.client_id.as_deref(),
            client_secret: Some(app.client_secret.as_ref().map(Secret::expose)),
            redirect_uris: (!app.redirect_uris.is_empty()).then_some(&app.redirect_uris),
            scopes: scopes(app.scopes.as_ref()),
            website: app.website.as_deref(),
            base_url: app.base_url.as_deref(),
            superapp: app.superapp,
            confidential: app.confidential,
            owner: None,
            created_at: app.created_at,
        }
    }
}

/// Where a record was seen, as JSON.
#[derive(Debug, Serialize)]
pub struct SightingJson<'a> {
    source: &'a str,
    location: &'a str,
    first_seen: Timestamp,
    last_seen: Timestamp,
    gone_at: Option<Timestamp>,
}

impl<'a> SightingJson<'a> {
    /// Shows a sighting.
    pub fn new(sighting: &'a Sighting) -> Self {
        Self {
            source: &sighting.source.key.connector,
            location: &sighting.source.key.location,
            first_seen: sighting.first_seen,
            last_seen: sighting.last_seen,
            gone_at: sighting.gone_at,
        }
    }
}

/// A run as JSON. Holds no secret.
#[derive(Debug, Serialize)]
pub struct RunJson<'a> {
    run: u64,
    source: &'a str,
    location: &'a str,
    instance: Option<&'a str>,
    effective_at: Timestamp,
    recorded_at: Timestamp,
    host: Option<&'a str>,
    tokens: CountsJson,
    apps: CountsJson,
    accounts: CountsJson,
    warnings: &'a [String],
    outcome: &'static str,
    user: Option<&'a str>,
    note: Option<&'a str>,
    from_the_future: bool,
    recorded_by: ActorJson<'a>,
    tool_version: &'a str,
}

#[derive(Debug, Serialize)]
struct ActorJson<'a> {
    user: &'a str,
    host: &'a str,
}

impl<'a> RunJson<'a> {
    /// Shows a run.
    pub fn new(run: &'a Run) -> Self {
        let key = &run.source.key;
        Self {
            run: run.id,
            source: &key.connector,
            location: &key.location,
            instance: run
                .source
                .instance
                .as_ref()
                .map(crate::model::Domain::as_str),
            effective_at: run.effective_at,
            recorded_at: run.recorded_at,
            host: (!key.host.is_empty()).then_some(&key.host),
            tokens: CountsJson::new(run.counts.tokens),
            apps: CountsJson::new(run.counts.apps),
            accounts: CountsJson::new(run.counts.accounts),
            warnings: &run.warnings,
            outcome: outcome_name(run.outcome),
            user: match &run.scope {
                Scope::All => None,
                Scope::User(name) => Some(name),
            },
            note: run.note.as_deref(),
            from_the_future: run.from_the_future,
            recorded_by: ActorJson {
                user: &run.actor.user,
                host: &run.actor.host,
            },
            tool_version: &run.tool_version,
        }
    }
}

/// Counts of one relation as JSON.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CountsJson {
    seen: u64,
    added: u64,
    changed: u64,
    gone: u64,
    unchanged: u64,
}

impl CountsJson {
    /// Shows counts.
    pub fn new(counts: Counts) -> Self {
        Self {
            seen: counts.seen,
            added: counts.added,
            changed: counts.changed,
            gone: counts.gone,
            unchanged: counts.unchanged,
        }
    }
}

/// The object as one line of JSON, without the line's end. Wiped on drop.
pub fn line(value: &impl Serialize) -> Zeroizing<String> {
    // The capacity comes first: a buffer that grows leaves copies of secrets behind.
    let mut length = Length(0);
    let counted = serde_json::to_writer(&mut length, value);
    let mut buffer = Zeroizing::new(Vec::with_capacity(length.0));
    if counted
        .and_then(|()| serde_json::to_writer(&mut *buffer, value))
        .is_err()
    {
        // Strings, numbers and lists only: nothing here that JSON can't say.
        return Zeroizing::new(String::new());
    }
    let bytes = std::mem::take(&mut *buffer);
    Zeroizing::new(String::from_utf8(bytes).unwrap_or_default())
}

struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn scopes(scopes: Option<&Scopes>) -> Option<Vec<&str>> {
    scopes.map(|scopes| scopes.iter().collect())
}

pub(super) fn outcome_name(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Complete => "complete",
        RunOutcome::Partial => "partial",
        RunOutcome::Shrunk => "shrunk",
    }
}

/// What the outcome of a run says about rows that are missing in it.
pub(super) fn completeness(outcome: RunOutcome) -> Completeness {
    match outcome {
        RunOutcome::Complete => Completeness::Complete,
        RunOutcome::Partial | RunOutcome::Shrunk => Completeness::Partial,
    }
}

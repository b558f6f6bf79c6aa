//! An audit as scripts read it: one object a line, each with its kind.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tuskvault::{
    connectors::json::{RecordJson, Reveal},
    model::{Actor, Domain, Record, Run},
    vault::{AuditEntry, Finding, SourceCoverage},
};

use super::{
    super::{error::Failure, session::Session, state::outcome_word},
    Chain, Report, events,
};

#[derive(Serialize)]
pub(super) struct Token<'a> {
    kind: &'static str,
    findings: Vec<&'static str>,
    #[serde(flatten)]
    record: RecordJson<'a>,
}

pub(super) fn token<'a>(record: &'a Record, findings: &[Finding]) -> Token<'a> {
    Token {
        kind: "token",
        findings: findings.iter().map(|finding| finding.as_str()).collect(),
        record: RecordJson::new(record, Reveal::No),
    }
}

pub(super) fn source(source: &SourceCoverage) -> Value {
    let key = &source.source.key;
    json!({
        "kind": "source",
        "source": key.connector,
        "location": key.location,
        "host": (!key.host.is_empty()).then_some(&key.host),
        "instance": source.source.instance.as_ref().map(Domain::as_str),
        "active_tokens": source.tokens,
        "runs": source.runs,
        "backups": source.backups,
        "first_backup": source.first.as_ref().map(backup),
        "last_backup": source.last.as_ref().map(backup),
        "last_complete": source.last_complete.as_ref().map(backup),
        "rhythm_secs": source.rhythm.map(|rhythm| rhythm.as_secs()),
        "ahead": source.ahead,
        "overdue": source.is_overdue,
    })
}

fn backup(run: &Run) -> Value {
    json!({
        "run": run.id,
        "recorded_at": run.recorded_at,
        "outcome": outcome_word(run.outcome),
        "recorded_by": by(&run.actor),
    })
}

fn by(actor: &Actor) -> Value {
    json!({ "user": actor.user, "host": actor.host })
}

pub(super) fn event(entry: &AuditEntry) -> Value {
    let mut object = json!({
        "kind": "event",
        "entry": entry.number,
        "at": entry.at,
        "event": entry.event.as_str(),
        "by": by(&entry.actor),
    });
    if let (Value::Object(object), Value::Object(details)) =
        (&mut object, events::details(&entry.event))
    {
        object.extend(details);
    }
    object
}

/// What comes last: the verdict on the log, where it was asked for, and the figures.
pub(super) fn end(session: &Session<'_>, report: &Report) -> Result<(), Failure> {
    if let Some(chain) = &report.chain {
        session.output.object(&of_chain(chain))?;
    }
    let tokens = &report.coverage.tokens;
    let sources = &report.coverage.sources;
    session.output.object(&json!({
        "kind": "summary",
        "as_of": report.as_of,
        "sources": sources.len(),
        "overdue": sources.iter().filter(|source| source.is_overdue).count(),
        "tokens": {
            "total": tokens.total,
            "active": tokens.active,
            "revoked": tokens.revoked,
            "expired": tokens.expired,
            "gone": tokens.gone,
            "one_source": tokens.one_source,
            "no_app_secret": tokens.no_app_secret,
            "verified": tokens.verified,
            "not_working": tokens.not_working,
        },
        "events": report.event_count,
    }))
}

fn of_chain(chain: &Chain) -> Value {
    let broken = chain.broken.iter().map(|broken| {
        json!({
            "entry": broken.number,
            "why": if broken.is_readable { "unlinked" } else { "unreadable" },
        })
    });
    let (last, at): (Option<u64>, Option<Timestamp>) = chain.last.unzip();
    json!({
        "kind": "chain",
        "holds": chain.broken_count == 0 && chain.entries > 0,
        "entries": chain.entries,
        "last_entry": last,
        "last_at": at,
        "broken_entries": chain.broken_count,
        "broken": broken.collect::<Vec<_>>(),
    })
}

//! `history`: every state that a key or token had.

use serde::Serialize;
use serde_json::Value;
use tuskvault::{
    connectors::json::{RecordJson, Reveal},
    model::{Moment, Source, Status},
    storage::Access,
    vault::{Event, EventKind, Kept, KeyHistory, Query, TokenHistory},
};

use super::{
    args::History,
    changes::{in_utc, objects, place, sentences},
    error::{Exit, Failure},
    output::shown,
    report,
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &History) -> Result<Exit, Failure> {
    let vault = session.open(Access::Read)?;
    let at = session.moment(args.as_of.as_ref(), &vault)?;
    let mut keys = vault.history(&args.selector, at)?;
    if args.selector.back > 0 {
        let query = Query {
            selector: &args.selector,
            at,
            all: true,
        };
        let record = report::chosen(vault.choose(&query)?, &args.selector.to_string())?;
        for key in &mut keys {
            key.tokens.retain(|token| token.record.id == record.id);
        }
        keys.retain(|key| !key.tokens.is_empty());
    }
    if keys.is_empty() {
        let query = Query {
            selector: &args.selector,
            at,
            all: true,
        };
        return Err(session.no_match(&vault, &args.selector, &query)?);
    }
    for token in keys
        .iter()
        .flat_map(|key| &key.tokens)
        .filter(|_| session.output.json)
    {
        session.output.object(&TokenJson {
            record: RecordJson::new(&token.record, Reveal::No),
            events: token.events.iter().map(EventJson::new).collect(),
            kept: token.kept.iter().map(KeptJson::new).collect(),
        })?;
    }
    for (at, key) in keys.iter().enumerate().filter(|_| !session.output.json) {
        if at > 0 {
            session.output.line("")?;
        }
        print(session, key)?;
    }
    Ok(Exit::Done)
}

fn print(session: &Session<'_>, key: &KeyHistory) -> Result<(), Failure> {
    let heading = format!(
        "{}: {}",
        key.key,
        report::plural(key.tokens.len() as u64, "token")
    );
    session.output.heading(&shown(&heading))?;
    for TokenHistory {
        record,
        events,
        kept,
    } in &key.tokens
    {
        let status = report::status(record);
        session
            .output
            .line(&format!("  {}  {}", record.short_id(), shown(&status)))?;
        for event in events {
            session
                .output
                .line(&format!("    {}", shown(&sentence(event))))?;
        }
        for kept in kept {
            let line = line(kept.last_seen, "still there", kept.run, &kept.source);
            session.output.line(&format!("    {}", shown(&line)))?;
        }
        if kept.is_empty() && record.status != Status::Gone {
            session.output.line("    in no source any more")?;
        }
    }
    Ok(())
}

fn sentence(event: &Event) -> String {
    let what = match &event.kind {
        EventKind::Appeared => "first seen".to_owned(),
        EventKind::Returned => "there again".to_owned(),
        EventKind::Changed(changes) => sentences(changes, report::time),
        EventKind::Vanished => "not there any more".to_owned(),
    };
    line(event.at, &what, event.run, &event.source)
}

fn line(at: Moment, what: &str, run: Option<u64>, source: &Source) -> String {
    let at = report::time(at.timestamp());
    let run = run.map(|run| format!("run {run}, ")).unwrap_or_default();
    format!("{at}  {what} ({run}{})", place(source))
}

#[derive(Serialize)]
struct TokenJson<'a> {
    #[serde(flatten)]
    record: RecordJson<'a>,
    events: Vec<EventJson<'a>>,
    kept: Vec<KeptJson<'a>>,
}

#[derive(Serialize)]
struct KeptJson<'a> {
    source: &'a str,
    location: &'a str,
    last_seen: jiff::Timestamp,
    run: Option<u64>,
}

impl<'a> KeptJson<'a> {
    fn new(kept: &'a Kept) -> Self {
        Self {
            source: &kept.source.key.connector,
            location: &kept.source.key.location,
            last_seen: kept.last_seen.timestamp(),
            run: kept.run,
        }
    }
}

#[derive(Serialize)]
struct EventJson<'a> {
    at: jiff::Timestamp,
    event: &'static str,
    run: Option<u64>,
    source: &'a str,
    location: &'a str,
    host: Option<&'a str>,
    changes: Vec<String>,
    fields: Vec<Value>,
}

impl<'a> EventJson<'a> {
    fn new(event: &'a Event) -> Self {
        let key = &event.source.key;
        let changes = match &event.kind {
            EventKind::Changed(changes) => changes.as_slice(),
            _ => &[],
        };
        Self {
            at: event.at.timestamp(),
            event: event.kind.as_str(),
            run: event.run,
            source: &key.connector,
            location: &key.location,
            host: (!key.host.is_empty()).then_some(&key.host),
            changes: in_utc(changes),
            fields: objects(changes),
        }
    }
}

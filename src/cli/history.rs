//! `history`: every state that a key or token had.

use serde::Serialize;
use serde_json::Value;
use tuskvault::{
    connectors::json::{RecordJson, Reveal, VerifiedJson},
    model::{Moment, Record, Source, Status, Verification},
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
    verdict,
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
            answers: token.answers.iter().map(VerifiedJson::new).collect(),
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
        answers,
    } in &key.tokens
    {
        let status = report::status(record);
        session
            .output
            .line(&format!("  {}  {}", record.short_id(), shown(&status)))?;
        for line in story(record, events, answers) {
            session.output.line(&format!("    {}", shown(&line)))?;
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

/// What sources and instances told, in time order. An answer that was given again and again is told once.
fn story(record: &Record, events: &[Event], answers: &[Verification]) -> Vec<String> {
    let mut lines: Vec<(Moment, String)> = events
        .iter()
        .map(|event| (event.at, sentence(event)))
        .collect();
    let same = |a: &Verification, b: &Verification| {
        verdict::in_full(a, &record.instance) == verdict::in_full(b, &record.instance)
    };
    for answers in answers.chunk_by(same) {
        let (Some(first), Some(last)) = (answers.first(), answers.last()) else {
            continue;
        };
        let again = match answers.len() {
            1 => String::new(),
            count => format!(", {count} times until {}", report::time(last.at)),
        };
        let what = verdict::in_full(first, &record.instance);
        let at = report::time(first.at);
        let line = format!("{at}  verified: {what}{again}");
        lines.push((Moment::from(first.at), line));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn sentence(event: &Event) -> String {
    let what = match &event.kind {
        EventKind::Appeared => "first seen".to_owned(),
        EventKind::Returned(changes) if changes.is_empty() => "there again".to_owned(),
        EventKind::Returned(changes) => {
            format!("there again: {}", sentences(changes, report::time))
        }
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
    answers: Vec<VerifiedJson<'a>>,
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
        let changes = event.kind.changes();
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

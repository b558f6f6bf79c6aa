//! `status`: for monitoring, without a password, from what this machine remembers.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    error::{Exit, Failure},
    report::{self, cells, table, text},
    session::Session,
    state::{SourceState, State},
};

pub(crate) fn run(session: &Session<'_>) -> Result<Exit, Failure> {
    let path = session.vault_path()?;
    session.offer_conflict_copies(&path);
    let path = std::path::absolute(&path).unwrap_or(path);
    let state = State::read();
    let sources = state.sources_of(&path);
    if sources.is_empty() {
        let message = format!("this machine knows of no backup into {}", path.display());
        return Err(Failure::new(Exit::Partial, message)
            .path(path)
            .hint("`tuskvault backup` makes one"));
    }
    let lines: Vec<Line<'_>> = sources
        .iter()
        .map(|source| Line::new(source, session.now))
        .collect();
    if session.output.json {
        for line in &lines {
            session.output.object(line)?;
        }
    } else {
        let mut table = table(&["source", "where", "last backup", "how", "state"]);
        for line in &lines {
            table.add_row(cells([
                line.source,
                line.location,
                &line.last_backup.map(report::time).unwrap_or_default(),
                line.outcome,
                line.state,
            ]));
        }
        session.output.line(&text(&table))?;
    }
    let fine = lines.iter().all(|line| line.state == FINE);
    Ok(if fine { Exit::Done } else { Exit::Partial })
}

#[derive(Serialize)]
struct Line<'a> {
    source: &'a str,
    location: &'a str,
    host: &'a str,
    last_backup: Option<Timestamp>,
    outcome: &'a str,
    state: &'static str,
    /// The usual time between two backups, in seconds.
    rhythm_secs: Option<i64>,
}

impl<'a> Line<'a> {
    fn new(source: &'a SourceState, now: Timestamp) -> Self {
        let state = if source.outcome != "complete" {
            "suspicious"
        } else if source.is_overdue(now) {
            "overdue"
        } else {
            FINE
        };
        Self {
            source: &source.source,
            location: &source.location,
            host: &source.host,
            last_backup: source.last_backup(now),
            outcome: &source.outcome,
            state,
            rhythm_secs: source.rhythm(now).map(|rhythm| rhythm.as_secs()),
        }
    }
}

const FINE: &str = "fine";

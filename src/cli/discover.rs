//! `discover`: which client apps are on this machine.

use tuskvault::{
    connectors::{self, Error, Found},
    model::Snapshot,
};

use super::{
    args::Discover,
    error::{Exit, Failure},
    machine,
    output::shown,
    report::{cells, table, text},
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &Discover) -> Result<Exit, Failure> {
    let surroundings = match &args.root {
        Some(root) if !root.is_dir() => {
            return Err(
                Failure::new(Exit::BadSource, format!("{} is no folder", root.display()))
                    .path(root),
            );
        }
        Some(root) => machine::surroundings_in(root),
        None => machine::surroundings(),
    };
    let found = connectors::discover(&surroundings);
    if session.output.json {
        for found in &found {
            session.output.object(&object(found))?;
        }
        return Ok(exit(&found));
    }
    if found.is_empty() {
        session.output.note(
            "no client app that can be read was found in its usual place; `tuskvault import auto PATH` reads a file \
             anywhere",
        );
        return Ok(Exit::Done);
    }
    let mut table = table(&["connector", "where", "accounts", "tokens"]);
    for found in &found {
        let (accounts, tokens) = match &found.snapshot {
            Ok(snapshot) => (
                snapshot.accounts.len().to_string(),
                snapshot.tokens.len().to_string(),
            ),
            Err(_) => ("?".to_owned(), "?".to_owned()),
        };
        let place = found.path.display().to_string();
        table.add_row(cells([found.connector.name(), &place, &accounts, &tokens]));
    }
    session.output.line(&text(&table))?;
    for found in &found {
        match &found.snapshot {
            Ok(snapshot) => warn(session, snapshot, found.connector.name()),
            Err(error) => session.output.warn(&chain(error)),
        }
    }
    Ok(exit(&found))
}

fn exit(found: &[Found]) -> Exit {
    if found.iter().all(|found| found.snapshot.is_ok()) {
        Exit::Done
    } else {
        Exit::Partial
    }
}

fn object(found: &Found) -> serde_json::Value {
    let (snapshot, error) = match &found.snapshot {
        Ok(snapshot) => (Some(snapshot), None),
        Err(error) => (None, Some(chain(error))),
    };
    let warnings = |snapshot: &Snapshot| -> Vec<String> {
        snapshot
            .warnings
            .iter()
            .map(|warning| warning.message.clone())
            .collect()
    };
    serde_json::json!({
        "connector": found.connector.name(),
        "path": found.path.display().to_string(),
        "accounts": snapshot.map(|snapshot| snapshot.accounts.len()),
        "tokens": snapshot.map(|snapshot| snapshot.tokens.len()),
        "warnings": snapshot.map(warnings).unwrap_or_default(),
        "error": error,
    })
}

fn chain(error: &Error) -> String {
    super::error::chain(error)
}

/// Says what a snapshot leaves out.
pub(crate) fn warn(session: &Session<'_>, snapshot: &Snapshot, connector: &str) {
    for warning in &snapshot.warnings {
        session
            .output
            .warn(&format!("{connector}: {}", shown(&warning.message)));
    }
}

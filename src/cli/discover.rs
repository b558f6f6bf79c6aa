//! `discover`: which client apps are on this machine.

use std::path::Path;

use tuskvault::{
    connectors::{self, Error, Found, Surroundings},
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
    let surroundings = surroundings(args.root.as_deref())?;
    let found = connectors::discover(&surroundings);
    let databases: Vec<_> = surroundings.iter().flat_map(databases).collect();
    if session.output.json {
        for found in &found {
            session.output.object(&object(found))?;
        }
        for (place, told) in &databases {
            session.output.object(&serde_json::json!({
                "connector": "postgres",
                "path": place,
                "database": told.as_ref().ok(),
                "error": told.as_ref().err(),
            }))?;
        }
        return Ok(exit(&found));
    }
    if found.is_empty() && databases.is_empty() {
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
    for (place, told) in &databases {
        let dash = "-".to_owned();
        let told = told.as_ref().unwrap_or(&dash);
        table.add_row(cells(["postgres", &format!("{told} ({place})"), "", ""]));
    }
    session.output.line(&text(&table))?;
    for (_, told) in &databases {
        if let Err(error) = told {
            session.output.warn(error);
        }
    }
    for found in &found {
        match &found.snapshot {
            Ok(snapshot) => warn(session, snapshot, found.connector.name()),
            Err(error) => session.output.warn(&chain(error)),
        }
    }
    Ok(exit(&found))
}

/// Where to look: on this machine, or in a folder.
pub(crate) fn surroundings(root: Option<&Path>) -> Result<Vec<Surroundings>, Failure> {
    match root {
        Some(root) if !root.is_dir() => {
            let what = format!("{} is no folder", root.display());
            Err(Failure::new(Exit::BadSource, what).path(root))
        }
        Some(root) => Ok(machine::surroundings_in(root)),
        None => Ok(vec![machine::surroundings()]),
    }
}

/// Mastodon's own settings in their usual places, and the databases that they name. Nobody connects.
#[cfg(feature = "postgres")]
fn databases(surroundings: &Surroundings) -> Vec<(String, Result<String, String>)> {
    use tuskvault::connectors::postgres::{Settings, usual_env_files};
    let files = usual_env_files(&surroundings.home, &surroundings.current).into_iter();
    let told = files.filter(|file| file.is_file()).map(|file| {
        let told = Settings::from_env_file(&file, &machine::environment());
        let told = told.map(|(settings, _)| settings.location());
        let told = told.map_err(|error| super::error::chain(&error));
        (file.display().to_string(), told)
    });
    told.collect()
}

#[cfg(not(feature = "postgres"))]
fn databases(_: &Surroundings) -> Vec<(String, Result<String, String>)> {
    Vec::new()
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

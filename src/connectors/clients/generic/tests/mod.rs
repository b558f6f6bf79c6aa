mod reading;
mod writing;

use std::fs;

use super::*;
use crate::{
    connectors::testing::{data, read, record, records, warnings, write},
    model::{Action, Completeness, Domain, PlannedChange, Scopes},
};

const SAMPLES: [&str; 7] = [
    "config.json",
    "config.toml",
    "settings.json",
    "tokens.json",
    "placeholder.json",
    "bot.yaml",
    "settings.json5",
];

fn sample(name: &str) -> String {
    fs::read_to_string(data("generic").join(name)).unwrap()
}

fn request(path: &Path, instance: Option<&str>, user: Option<&str>) -> ReadRequest {
    ReadRequest {
        instance: instance.map(|name| Domain::parse(name).unwrap()),
        user: user.map(str::to_owned),
        ..read(path)
    }
}

/// Reads a text as a file of this name.
fn import_as(name: &str, text: impl AsRef<[u8]>) -> Result<Snapshot, Error> {
    Generic.read_bytes(&read(Path::new(name)), text.as_ref())
}

fn import(text: &str) -> Snapshot {
    import_as("x.json", text).unwrap()
}

/// `user@instance token`, as found.
fn found(snapshot: &Snapshot) -> Vec<String> {
    let records = records(snapshot);
    let lines = records.iter().map(|record| {
        let user = record.user.name().unwrap_or("?");
        format!(
            "{user}@{} {}",
            record.instance,
            record.access_token.expose()
        )
    });
    lines.collect()
}

/// Restores into a copy of this text; gives the changes, the notes and the file after.
fn restore(
    name: &str,
    text: &str,
    records: &[Record],
    replace_app: bool,
) -> (Vec<PlannedChange>, Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let request = WriteRequest {
        replace_app,
        ..write(&path)
    };
    let prepared = Generic.plan(&request, records).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        text,
        "a plan writes nothing"
    );
    let plan = prepared.apply().unwrap().plan;
    (plan.changes, plan.notes, fs::read_to_string(&path).unwrap())
}

fn actions(changes: &[PlannedChange]) -> Vec<Action> {
    changes.iter().map(|change| change.action).collect()
}

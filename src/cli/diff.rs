//! `diff`: what came, changed and went between two moments.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tuskvault::{
    connectors::json::{RecordJson, Reveal},
    model::{Domain, Relation},
    storage::Access,
    vault::{AppDifference, Difference, DifferenceKind, Differences},
};

use super::{
    args::Diff,
    changes::{in_utc, objects, place, sentences},
    error::{Exit, Failure},
    output::shown,
    report,
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &Diff) -> Result<Exit, Failure> {
    let vault = session.open(Access::Read)?;
    let from = session.moment(Some(&args.from), &vault)?;
    let to = match &args.to {
        Some(_) => session.moment(args.to.as_ref(), &vault)?,
        // `diff today` begins at the day's end, which has yet to come.
        None => session.moment(None, &vault)?.max(from),
    };
    if from > to {
        return Err(Failure::usage("the first moment lies after the second")
            .hint("give the earlier one first"));
    }
    let differences = vault.differences(from, to)?;
    if session.output.json {
        return print_json(session, &differences);
    }
    if differences.records.is_empty() && differences.apps.is_empty() {
        session
            .output
            .note("nothing came, changed or went between these moments");
    }
    print(session, &differences)?;
    Ok(Exit::Done)
}

/// Grouped by instance, there by user and app.
fn print(session: &Session<'_>, differences: &Differences) -> Result<(), Failure> {
    let mut instances: BTreeMap<&Domain, Group<'_>> = BTreeMap::new();
    for app in &differences.apps {
        let group = instances.entry(&app.key.instance).or_default();
        group.apps.push(app);
    }
    for record in &differences.records {
        let group = instances.entry(&record.record.instance).or_default();
        group.records.push(record);
    }
    for (instance, group) in instances {
        session.output.heading(&shown(instance.as_str()))?;
        for app in group.apps {
            session
                .output
                .line(&format!("  {}", shown(&app_line(app))))?;
        }
        let mut key = None;
        for difference in group.records {
            let of = difference.record.key();
            if key.as_ref() != Some(&of) {
                session
                    .output
                    .line(&format!("  {}", shown(&of.to_string())))?;
                key = Some(of);
            }
            session
                .output
                .line(&format!("    {}", shown(&line(difference))))?;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Group<'d> {
    apps: Vec<&'d AppDifference>,
    records: Vec<&'d Difference>,
}

fn line(difference: &Difference) -> String {
    let record = &difference.record;
    let id = record.short_id();
    match difference.kind {
        DifferenceKind::Came => format!("+ {id}  came"),
        DifferenceKind::Changed => {
            let changes = sentences(&difference.changes, report::time);
            format!("~ {id}  {changes}")
        }
        DifferenceKind::Went => {
            let status = report::status(record);
            let status = status.strip_prefix("gone: ").unwrap_or(&status);
            format!("- {id}  went: {status}")
        }
    }
}

fn app_line(app: &AppDifference) -> String {
    let AppDifference { key, source, .. } = app;
    match app.kind {
        DifferenceKind::Went => format!(
            "- application {key}: not in the server's database any more (`restore {} --apps --to postgres` puts it back)",
            key.instance
        ),
        _ => {
            let changes = sentences(&app.changes, report::time);
            format!("~ application {key}: {changes} ({})", place(source))
        }
    }
}

fn print_json(session: &Session<'_>, differences: &Differences) -> Result<Exit, Failure> {
    for difference in &differences.records {
        session.output.object(&DifferenceJson {
            change: difference.kind.as_str(),
            details: in_utc(&difference.changes),
            fields: objects(&difference.changes),
            record: RecordJson::new(&difference.record, Reveal::No),
        })?;
    }
    for app in &differences.apps {
        session.output.object(&serde_json::json!({
            "change": app.kind.as_str(),
            "relation": Relation::Apps.as_str(),
            "instance": app.key.instance.as_str(),
            "app": app.key.app,
            "source": app.source.key.connector,
            "location": app.source.key.location,
            "details": in_utc(&app.changes),
            "fields": objects(&app.changes),
        }))?;
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct DifferenceJson<'a> {
    change: &'static str,
    details: Vec<String>,
    fields: Vec<Value>,
    #[serde(flatten)]
    record: RecordJson<'a>,
}

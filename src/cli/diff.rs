//! `diff`: what came, changed and went between two moments.

use serde::Serialize;
use tuskvault::{
    connectors::json::{RecordJson, Reveal},
    model::Relation,
    storage::Access,
    vault::{Difference, DifferenceKind},
};

use super::{
    args::Diff,
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
    let apps = vault.server_apps_gone(from, to)?;
    if session.output.json {
        for difference in &differences {
            session.output.object(&DifferenceJson {
                change: difference.kind.as_str(),
                details: &difference.details,
                record: RecordJson::new(&difference.record, Reveal::No),
            })?;
        }
        for key in &apps {
            session.output.object(&serde_json::json!({
                "change": "went",
                "relation": Relation::Apps.as_str(),
                "instance": key.instance.as_str(),
                "app": key.app,
            }))?;
        }
        return Ok(Exit::Done);
    }
    if differences.is_empty() && apps.is_empty() {
        session
            .output
            .note("nothing came, changed or went between these moments");
    }
    for difference in &differences {
        print(session, difference)?;
    }
    for key in &apps {
        session.output.line(&shown(&format!(
            "- application {key}: not in the server's database any more (`restore {} --apps --to postgres` puts it back)",
            key.instance
        )))?;
    }
    Ok(Exit::Done)
}

fn print(session: &Session<'_>, difference: &Difference) -> Result<(), Failure> {
    let sign = match difference.kind {
        DifferenceKind::Came => "+",
        DifferenceKind::Changed => "~",
        DifferenceKind::Went => "-",
    };
    let record = &difference.record;
    let line = format!("{sign} {}  {}", record.short_id(), record.key());
    let details = match difference.kind {
        DifferenceKind::Went => report::status(record),
        _ => difference.details.join("; "),
    };
    let line = if details.is_empty() {
        line
    } else {
        format!("{line}: {details}")
    };
    session.output.line(&shown(&line))
}

#[derive(Serialize)]
struct DifferenceJson<'a> {
    change: &'static str,
    details: &'a [String],
    #[serde(flatten)]
    record: RecordJson<'a>,
}

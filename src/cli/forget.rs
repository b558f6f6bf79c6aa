//! `forget`: tokens, or runs that are many, go for good.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use tuskvault::{
    connectors::json::{RecordJson, Reveal},
    model::{Moment, Record, Selector, Target},
    vault::{
        ForgetPlan, Forgotten, PlannedRun, Query, Reason, Retention, Rewritten, Vault,
        forget as forget_for_good,
    },
};

use super::{
    args::Forget,
    error::{Exit, Failure},
    report::{self, cells, plural, table, text},
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &Forget) -> Result<Exit, Failure> {
    let retention = args.retention();
    match (&args.selector, retention == Retention::default()) {
        (Some(selector), true) => erase(session, args, selector),
        (None, false) => thin(session, args, &retention),
        (None, true) => Err(Failure::usage("forget what?").hint(
            "give a selector of tokens, or `--keep-daily 14 --keep-monthly 12` and the like to thin runs",
        )),
        (Some(_), false) => Err(Failure::usage(
            "a selector removes tokens and `--keep-…` thins runs: one at a time",
        )),
    }
}

fn thin(session: &Session<'_>, args: &Forget, retention: &Retention) -> Result<Exit, Failure> {
    let vault = session.open(session.access())?;
    let plan = vault.plan_forgetting(
        retention,
        args.even_last,
        (session.now, &TimeZone::system()),
    )?;
    show(session, &plan)?;
    let going = plan.going();
    let count = plural(going.len() as u64, "run");
    if going.is_empty() {
        session.output.note("no run goes");
        return Ok(Exit::Done);
    }
    let lost = match (plan.lost_tokens, plan.lost_apps) {
        (0, 0) => "No token and no app's secret is lost by it".to_owned(),
        (tokens, apps) => {
            let lost = format!(
                "{} and {} that only they hold are LOST",
                plural(tokens, "token"),
                plural(apps, "app")
            );
            session.output.warn(&lost);
            lost
        }
    };
    if session.global.dry_run {
        session.output.would(&format!("remove {count} for good"))?;
        return Ok(Exit::Done);
    }
    session.confirm(&format!("Remove {count} for good? {lost}."))?;
    let forgotten = Forgotten {
        runs: going,
        ..Forgotten::default()
    };
    let done = forget(session, args, vault, &forgotten)?;
    finish(session, &done, &forgotten)
}

/// Every run, and what becomes of it.
fn show(session: &Session<'_>, plan: &ForgetPlan) -> Result<(), Failure> {
    if session.output.json {
        for PlannedRun { run, reasons } in &plan.runs {
            session.output.object(&serde_json::json!({
                "run": run.id,
                "source": run.source.key.connector,
                "location": run.source.key.location,
                "effective_at": run.effective_at,
                "recorded_at": run.recorded_at,
                "action": if reasons.is_empty() { "forget" } else { "keep" },
                "reasons": reasons.iter().map(|reason| name(*reason)).collect::<Vec<_>>(),
            }))?;
        }
        return Ok(());
    }
    if plan.runs.is_empty() {
        return Ok(());
    }
    let mut table = table(&["run", "recorded", "source", "", "why"]);
    for PlannedRun { run, reasons } in &plan.runs {
        let key = &run.source.key;
        let why: Vec<String> = reasons.iter().map(|reason| word(*reason)).collect();
        table.add_row(cells([
            &*run.id.to_string(),
            &report::time(run.recorded_at),
            &format!("{} {}", key.connector, key.location),
            if reasons.is_empty() { "goes" } else { "stays" },
            &why.join(", "),
        ]));
    }
    session.output.line(&text(&table))
}

fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::Last => "last",
        Reason::Daily => "daily",
        Reason::Weekly => "weekly",
        Reason::Monthly => "monthly",
        Reason::Yearly => "yearly",
        Reason::Newest => "newest",
        Reason::DatedBack => "dated_back",
        Reason::Ahead => "ahead",
        Reason::NotFollowed => "not_followed",
        Reason::Holds { tokens: 0, .. } => "holds_apps",
        Reason::Holds { .. } => "holds_tokens",
    }
}

fn word(reason: Reason) -> String {
    match reason {
        Reason::Newest => "the newest".to_owned(),
        Reason::DatedBack => "dated otherwise than it was recorded: an old copy".to_owned(),
        Reason::Ahead => "recorded by a clock that was ahead of its time".to_owned(),
        Reason::NotFollowed => "in part, and no complete run has followed".to_owned(),
        Reason::Holds { tokens, apps } => {
            let held = [(tokens, "token"), (apps, "app")].into_iter();
            let held = held.filter(|(count, _)| *count > 0);
            let held: Vec<String> = held.map(|(count, what)| plural(count, what)).collect();
            format!("the only one that holds {}", held.join(" and "))
        }
        other => name(other).to_owned(),
    }
}

fn erase(session: &Session<'_>, args: &Forget, selector: &Selector) -> Result<Exit, Failure> {
    let vault = session.open(session.access())?;
    let query = Query {
        selector,
        at: Moment::MAX,
        all: true,
    };
    let records = session.records(&vault, &query)?;
    if matches!(selector.target, Target::Id(_)) && records.len() > 1 {
        // A short id must name one token; the live one is no better guess than the others.
        let text = selector.to_string();
        return Err(report::ambiguous(&records, &text));
    }
    if records.is_empty() {
        return Err(session.no_match(&vault, selector, &query)?);
    }
    if session.output.json {
        for record in &records {
            session
                .output
                .object(&RecordJson::new(record, Reveal::No))?;
        }
    } else {
        session
            .output
            .line(&report::records(&records, session.now))?;
    }
    let count = plural(records.len() as u64, "token");
    if session.global.dry_run {
        session
            .output
            .would(&format!("remove {count} for good, with all their history"))?;
        return Ok(Exit::Done);
    }
    let still = still_there(&records);
    for (source, tokens) in &still {
        session.output.warn(&format!(
            "{source} still holds {tokens} of them: the next backup brings back what it finds there"
        ));
    }
    session.confirm(&format!(
        "Remove {count} for good, with all their history? They are lost unless an older copy of the vault exists."
    ))?;
    let forgotten = Forgotten {
        runs: BTreeSet::new(),
        tokens: records.iter().map(|record| record.id).collect(),
        selector: Some(selector.to_string()),
    };
    let done = forget(session, args, vault, &forgotten)?;
    session.output.note(
        "older copies of the vault (backups, other machines, a sync program's versions) hold them still, and merging one \
         brings them back; forgetting a token does not revoke it: where it must not work any more, revoke it at its instance",
    );
    finish(session, &done, &forgotten)
}

/// Sources that still hold some of the tokens, and how many.
fn still_there(records: &[Record]) -> BTreeMap<String, u64> {
    let mut still = BTreeMap::new();
    for sighting in records.iter().flat_map(|record| &record.sightings) {
        if sighting.gone_at.is_none() {
            let key = &sighting.source.key;
            *still
                .entry(format!("{} {}", key.connector, key.location))
                .or_default() += 1;
        }
    }
    still
}

fn forget(
    session: &Session<'_>,
    args: &Forget,
    vault: Vault,
    forgotten: &Forgotten,
) -> Result<Rewritten, Failure> {
    let bars = session.output.bars();
    let now = (&session.actor, session.now);
    Ok(forget_for_good(
        vault,
        forgotten,
        args.keep_prev,
        now,
        &bars,
    )?)
}

fn finish(session: &Session<'_>, done: &Rewritten, forgotten: &Forgotten) -> Result<Exit, Failure> {
    let path = session.vault_path()?;
    session.remember_rewritten(&done.file);
    if session.output.json {
        session.output.object(&serde_json::json!({
            "vault": path.display().to_string(),
            "runs": forgotten.runs.len(),
            "tokens": forgotten.tokens.len(),
            "before_bytes": done.before_bytes,
            "after_bytes": done.after_bytes,
            "previous": done.previous.as_ref().map(|path| path.display().to_string()),
        }))?;
    }
    session.output.note(&format!(
        "{} is written anew without them: {} KiB before, {} KiB now",
        path.display(),
        done.before_bytes / 1024,
        done.after_bytes / 1024
    ));
    if let Some(previous) = &done.previous {
        session.output.note(&format!(
            "the former file, which still holds them, is {} until the next successful backup",
            previous.display()
        ));
    }
    Ok(Exit::Done)
}

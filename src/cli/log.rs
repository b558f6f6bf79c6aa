//! `log`: runs, or the changes of one run.

use tuskvault::{
    connectors::json::RunJson,
    model::{Moment, Run, Scope},
    storage::Access,
    vault::{RunChange, Vault},
};

use super::{
    args::Log,
    error::{Exit, Failure},
    output::shown,
    report::{self, cells, table, text},
    session::Session,
    state::outcome_word,
};

pub(crate) fn run(session: &Session<'_>, args: &Log) -> Result<Exit, Failure> {
    let vault = session.open(Access::Read)?;
    match args.run {
        Some(number) => one(session, &vault, number),
        None => all(session, args, &vault),
    }
}

fn all(session: &Session<'_>, args: &Log, vault: &Vault) -> Result<Exit, Failure> {
    let since = match &args.since {
        Some(since) => session.since(since, vault)?,
        None => Moment::MIN,
    };
    let mut runs = vault.runs()?;
    runs.retain(|run| {
        Moment::from(run.effective_at) >= since && is_of(run, args.source.as_deref())
    });
    if runs.is_empty() && (args.source.is_some() || args.since.is_some()) {
        return Err(
            Failure::new(Exit::NoMatch, "there is no such run").hint("`tuskvault log` lists all")
        );
    }
    if session.output.json {
        for run in &runs {
            session.output.object(&RunJson::new(run))?;
        }
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        session.output.note("the vault has no run yet");
        return Ok(Exit::Done);
    }
    let mut table = table(&["run", "when", "source", "tokens", "outcome", "note"]);
    for run in &runs {
        let key = &run.source.key;
        let place = format!("{} {}", key.connector, key.location);
        let tokens = report::counts(run.counts.tokens, "token");
        table.add_row(cells([
            &*run.id.to_string(),
            &when(run),
            &place,
            &tokens,
            outcome_word(run.outcome),
            run.note.as_deref().unwrap_or_default(),
        ]));
    }
    session.output.line(&text(&table))?;
    Ok(Exit::Done)
}

/// Whether the run is of a source whose connector is, or whose location holds, this text.
fn is_of(run: &Run, text: Option<&str>) -> bool {
    let key = &run.source.key;
    text.is_none_or(|text| key.connector == text || key.location.contains(text))
}

fn when(run: &Run) -> String {
    let at = report::time(run.effective_at);
    if run.from_the_future {
        return format!("{at} (after it was recorded: a clock was wrong)");
    }
    at
}

fn one(session: &Session<'_>, vault: &Vault, number: u64) -> Result<Exit, Failure> {
    let Some(run) = vault.run(number)? else {
        return Err(tuskvault::vault::Error::NoSuchRun { number }.into());
    };
    let mut changes = vault.run_changes(number)?;
    // Ids differ from vault to vault, and so would their order.
    changes.sort_by_cached_key(|change| {
        (
            change.relation,
            change.key.to_string(),
            change.kind.as_str(),
        )
    });
    if session.output.json {
        session.output.object(&RunJson::new(&run))?;
        for change in &changes {
            session.output.object(&object(&run, change))?;
        }
        return Ok(Exit::Done);
    }
    head(session, &run)?;
    if changes.is_empty() {
        session.output.note("nothing changed in it");
        return Ok(Exit::Done);
    }
    let mut table = table(&["change", "what", "key", "id"]);
    for change in &changes {
        let id = change
            .id
            .map(|(id, digits)| id.short(digits))
            .unwrap_or_default();
        let what = change.relation.as_str().trim_end_matches('s');
        table.add_row(cells([
            change.kind.as_str(),
            what,
            &change.key.to_string(),
            &id,
        ]));
    }
    session.output.line(&text(&table))?;
    Ok(Exit::Done)
}

fn head(session: &Session<'_>, run: &Run) -> Result<(), Failure> {
    let key = &run.source.key;
    let line = |text: &str| session.output.line(&shown(text));
    session.output.heading(&shown(&report::run(run)))?;
    line(&format!("  of {} {}", key.connector, key.location))?;
    line(&format!(
        "  true at {}, recorded {} by {}",
        when(run),
        report::time(run.recorded_at),
        run.actor
    ))?;
    if let Scope::User(user) = &run.scope {
        line(&format!("  only of the user {user}"))?;
    }
    if let Some(note) = &run.note {
        line(&format!("  note: {note}"))?;
    }
    if let Some(trouble) = report::trouble(run) {
        line(&format!("  {trouble}"))?;
    }
    for warning in &run.warnings {
        line(&format!("  warning: {warning}"))?;
    }
    Ok(())
}

fn object(run: &Run, change: &RunChange) -> serde_json::Value {
    serde_json::json!({
        "run": run.id,
        "change": change.kind.as_str(),
        "relation": change.relation.as_str(),
        "id": change.id.map(|(id, digits)| id.short(digits)),
        "instance": change.key.instance.as_str(),
        "user": change.key.user.name(),
        "app": change.key.app,
    })
}

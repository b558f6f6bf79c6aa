//! `restore`: put records back into a client app; what goes into the server's database is in `restore_database`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use tuskvault::{
    connectors::{self, Prepared, Source, WriteRequest},
    model::{Action, Outcome, Plan, Record, Status},
    vault::{AuditEvent, Query, Vault},
};

use super::{
    args::{Dead, OnConflict, Restore},
    error::{Exit, Failure, did_you_mean},
    import::find,
    machine,
    output::shown,
    report,
    session::Session,
    verify,
};

pub(crate) fn run(session: &Session<'_>, args: &Restore) -> Result<Exit, Failure> {
    // Before anything is written: what can't ask then shall not find that out afterwards.
    let client = match (args.verify, args.asking.given()) {
        (true, _) => Some(verify::prepare(session, &args.asking)?),
        (false, Some(option)) => {
            return Err(Failure::usage(format!("`{option}` goes with `--verify`")));
        }
        (false, None) => None,
    };
    #[cfg(feature = "postgres")]
    if args.to == connectors::postgres::NAME {
        return super::restore_database::run(session, args, client.as_ref());
    }
    let connector = find(&args.to)?;
    if let Some(option) = for_databases(args) {
        return Err(Failure::usage(format!("`{option}` is for `--to postgres`")));
    }
    let sink = connector.sink().ok_or_else(|| {
        Failure::usage(format!("\"{}\" can only be read", args.to))
            .hint(did_you_mean(&args.to, connectors::sinks()))
    })?;
    let (vault, credentials) = session.open_with_credentials(session.access())?;
    let mut records = records(session, &vault, args)?;
    leave_out_dead(&mut records, args)?;
    let path = target(args, connector, &records)?;
    if !path.exists() {
        return Err(missing(&path, connector.name(), args));
    }
    let running = running(connector, &path);
    let request = WriteRequest {
        path,
        now: session.now,
        replace_app: args.replace_app,
    };
    let prepared = sink.plan(&request, &records)?;
    let plan = prepared.plan().clone();
    if session.global.dry_run || !plan.writes() {
        show(session, &plan, None)?;
        if let Some(running) = running.filter(|_| plan.writes()) {
            session.output.warn(&running);
        }
        return Ok(exit(&plan));
    }
    if let Some(running) = running.filter(|_| !args.while_running) {
        return Err(Failure::new(Exit::BadSource, running)
            .path(&request.path)
            .hint("close it, or write all the same with `--while-running`"));
    }
    write(session, vault, prepared, &records)?;
    let Some(client) = client else {
        return Ok(exit(&plan));
    };
    records.retain(|record| is_written(&plan, record));
    let restored = (records, &credentials);
    let exit = exit(&plan);
    Ok(verify::after_restore(
        session, args, &client, restored, exit,
    ))
}

/// Asks the person, notes it, and writes.
fn write(
    session: &Session<'_>,
    mut vault: Vault,
    prepared: Box<dyn Prepared>,
    records: &[Record],
) -> Result<(), Failure> {
    let plan = prepared.plan().clone();
    if !session.output.json {
        show(session, &plan, None)?;
    }
    session.confirm(&format!("Write this into {}?", plan.target))?;
    // Before the file is touched: what can't be noted isn't done.
    session.audit(&mut vault, &event(&plan, records))?;
    drop(vault);
    let Outcome { backup, .. } = prepared.apply()?;
    if session.output.json {
        show(session, &plan, backup.as_ref())?;
    }
    if let Some(backup) = backup {
        session
            .output
            .note(&format!("done; the former file is {}", backup.display()));
    }
    Ok(())
}

/// An option that only a restore into the server's database knows.
fn for_databases(args: &Restore) -> Option<&'static str> {
    let (database, server) = (&args.database, &args.server);
    let given = [
        (database.env_file.is_some(), "--env-file"),
        (database.url.is_some(), "--url"),
        (server.instance.is_some(), "--instance"),
        (server.other_instance, "--other-instance"),
        (server.apps, "--apps"),
        (server.sessions, "--sessions"),
        (server.reused_names, "--reused-names"),
        (server.on_conflict == OnConflict::Fail, "--on-conflict"),
        (server.rebuild_indexes, "--rebuild-indexes"),
        (args.revoked == Dead::Clear, "--revoked clear"),
    ];
    let mut given = given.iter().filter(|(given, _)| *given);
    given.next().map(|(_, name)| *name)
}

fn records(session: &Session<'_>, vault: &Vault, args: &Restore) -> Result<Vec<Record>, Failure> {
    let query = Query {
        selector: &args.selector,
        at: session.moment(args.as_of.as_ref(), vault)?,
        all: args.revoked != Dead::Skip,
    };
    if !args.all {
        return Ok(vec![report::chosen(
            vault.choose(&query)?,
            &args.selector.to_string(),
        )?]);
    }
    let mut records = session.records(vault, &query)?;
    if query.all {
        // Of each key the token that works, else those that are known not to; never what is merely gone.
        let current = records
            .iter()
            .filter(|record| record.status == Status::Active);
        let current: BTreeSet<String> = current.map(|record| record.key().to_string()).collect();
        records.retain(|record| {
            record.status == Status::Active
                || (is_dead(record) && !current.contains(&record.key().to_string()))
        });
    }
    if !records.is_empty() {
        return Ok(records);
    }
    let failure = session.no_match(vault, &args.selector, &query)?;
    let everything = Query { all: true, ..query };
    let is_all_dead = !session.records(vault, &everything)?.is_empty();
    Err(if is_all_dead {
        failure.hint("`--revoked keep` restores revoked and expired ones; `~1` or an id names an earlier one")
    } else {
        failure
    })
}

/// Whether the token is known not to work any more.
fn is_dead(record: &Record) -> bool {
    matches!(record.status, Status::Revoked | Status::Expired)
}

/// Takes tokens that are known not to work out, unless they are asked for; the only one is refused.
fn leave_out_dead(records: &mut Vec<Record>, args: &Restore) -> Result<(), Failure> {
    if args.revoked != Dead::Skip {
        return Ok(());
    }
    if let [record] = records.as_slice()
        && is_dead(record)
    {
        let why = format!(
            "token {} is {}; not restored",
            record.short_id(),
            report::status(record)
        );
        return Err(
            Failure::new(Exit::BadSource, why).hint("`--revoked keep` restores it as it is")
        );
    }
    records.retain(|record| !is_dead(record));
    Ok(())
}

/// The file to write to: as given, else where the client keeps its store, else where the records were seen.
fn target(args: &Restore, connector: &dyn Source, records: &[Record]) -> Result<PathBuf, Failure> {
    if let Some(path) = &args.path {
        return Ok(path.clone());
    }
    let surroundings = machine::surroundings();
    let mut places: Vec<PathBuf> = connector.usual_places(&surroundings);
    places.retain(|place| place.exists());
    if places.is_empty() {
        let sightings = records.iter().flat_map(|record| &record.sightings);
        let here = sightings
            .map(|sighting| &sighting.source.key)
            .filter(|key| key.connector == connector.name() && key.host == surroundings.host);
        places.extend(here.map(|key| PathBuf::from(&key.location)));
        places.sort();
        places.dedup();
    }
    match places.as_slice() {
        [place] => Ok(place.clone()),
        [] => Err(Failure::usage(format!(
            "where {} keeps its tokens here is not known",
            connector.name()
        ))
        .hint("give `--path PATH`")),
        _ => {
            let names: Vec<String> = places
                .iter()
                .map(|place| place.display().to_string())
                .collect();
            Err(Failure::usage("several files could be meant")
                .hint(format!("give `--path` with one of {}", names.join(", "))))
        }
    }
}

/// That the client of this store runs, and would write what it keeps in memory over ours. A store that is elsewhere (a
/// backup, a file to be imported) is none that it has open.
fn running(connector: &dyn Source, path: &Path) -> Option<String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let ours = real(path);
    let mut places = connector.usual_places(&machine::surroundings()).into_iter();
    let is_its_own = places.any(|place| {
        let place = real(&place);
        ours.starts_with(&place) || place.starts_with(&ours)
    });
    let (id, name) = machine::running(connector.programs()).filter(|_| is_its_own)?;
    Some(format!(
        "{name} is running (process {id}) and may write its own copy over what is restored"
    ))
}

/// The failure of a target that is not there.
fn missing(path: &Path, connector: &str, args: &Restore) -> Failure {
    let hint = if connector == "dotenv" {
        format!(
            "`tuskvault export dotenv {} --reveal -o {}` makes one",
            args.selector,
            path.display()
        )
    } else {
        "it is written into, not made: log in with the client once".to_owned()
    };
    let message = format!("there is no {} to write into", path.display());
    Failure::new(Exit::BadSource, message).path(path).hint(hint)
}

fn is_written(plan: &Plan, record: &Record) -> bool {
    plan.changes.iter().any(|change| {
        change.id == record.id && matches!(change.action, Action::Insert | Action::Update)
    })
}

fn event(plan: &Plan, records: &[Record]) -> AuditEvent {
    AuditEvent::Restored {
        target: plan.target.clone(),
        ids: records
            .iter()
            .filter(|record| is_written(plan, record))
            .map(|record| record.id.to_base32())
            .collect(),
    }
}

fn show(session: &Session<'_>, plan: &Plan, backup: Option<&PathBuf>) -> Result<(), Failure> {
    let (connector, location) = plan.target.split_once(' ').unwrap_or((&plan.target, ""));
    for change in &plan.changes {
        if session.output.json {
            session.output.object(&serde_json::json!({
                "id": change.short_id,
                "target": connector,
                "location": location,
                "action": done(change.action),
                "detail": change.detail,
                "backup": backup.map(|path| path.display().to_string()),
                "dry_run": session.global.dry_run,
            }))?;
        } else {
            let line = format!(
                "{} {}: {}",
                planned(change.action),
                change.short_id,
                change.detail
            );
            session.output.line(&shown(&line))?;
        }
    }
    for note in &plan.notes {
        session.output.note(&format!("note: {}", shown(note)));
    }
    Ok(())
}

/// The words of JSON: what was done, or would be with `dry_run`.
pub(crate) fn done(action: Action) -> &'static str {
    match action {
        Action::Insert => "inserted",
        Action::Update => "updated",
        Action::Unchanged => "unchanged",
        Action::Refuse => "refused",
    }
}

pub(crate) fn planned(action: Action) -> &'static str {
    match action {
        Action::Insert => "add",
        Action::Update => "replace",
        Action::Unchanged => "keep",
        Action::Refuse => "refuse",
    }
}

fn exit(plan: &Plan) -> Exit {
    let refused = plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Refuse)
        .count();
    match refused {
        0 => Exit::Done,
        n if n == plan.changes.len() => Exit::BadSource,
        _ => Exit::Partial,
    }
}

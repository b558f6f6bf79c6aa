//! The Mastodon server's database, as `import`, `backup`, `discover` and `restore` reach it.

use std::path::PathBuf;

use tuskvault::{
    connectors::postgres::{
        self, Environment, ImportRequest, Read, ReadError, Reading, Settings, usual_env_files,
    },
    model::{Keys, Run, SourceKey},
    vault::{RunStart, Vault},
};

use super::{
    args::{Backup, Database, Import, RunOptions, domain},
    error::{Exit, Failure},
    import::{finished, is_another_database, show},
    machine, report,
    session::Session,
    state::Reach,
};

/// A database, and how it was found.
pub(crate) struct Target {
    pub(crate) settings: Settings,
    pub(crate) reach: Reach,
}

/// `import postgres`.
pub(crate) fn import(session: &Session<'_>, args: &Import) -> Result<Exit, Failure> {
    if let Some(path) = args.path.as_ref().or(args.place.as_ref()) {
        return Err(Failure::usage("a database is no file")
            .path(path)
            .hint("`--env-file` names Mastodon's settings, `--url` the database"));
    }
    let target = target(session, &args.database)?;
    let request = ImportRequest {
        instance: domain(args.instance.as_ref())?,
        user: args.user.clone(),
        full: args.full,
        now: session.now,
    };
    // Before the vault is opened, or made: who can't get in shall not be asked for a passphrase.
    let mut client = postgres::connect(&target.settings)?;
    if session.global.dry_run {
        return would_record(session, &mut client, &target, &request);
    }
    let mut vault = session.open_or_create()?;
    record(
        session,
        &mut vault,
        &mut client,
        &target,
        &request,
        &args.run,
    )
}

/// A database that can't be reached as it was before.
pub(crate) struct Lost {
    /// How runs name it, where it was backed up before.
    location: Option<String>,
    failure: Failure,
}

/// The databases that `backup` takes: those that are named, else those whose settings are in a usual place and those
/// that were imported into this vault before.
pub(crate) fn targets(
    session: &Session<'_>,
    args: &Backup,
) -> Result<Vec<Result<Target, Lost>>, Failure> {
    if args.database.env_file.is_some() || args.database.url.is_some() {
        return Ok(vec![Ok(target(session, &args.database)?)]);
    }
    let is_named = args.connectors.iter().any(|name| name == postgres::NAME);
    if !is_named && !args.connectors.is_empty() {
        return Ok(Vec::new());
    }
    let environment = machine::environment();
    let usual = env_files()
        .into_iter()
        .map(|file| (None, Reach::EnvFile(file)));
    let known = session.reaches().into_iter();
    let known = known.map(|(location, reach)| (Some(location), reach));
    let mut targets: Vec<Result<Target, Lost>> = Vec::new();
    for (location, reach) in usual.chain(known) {
        let target = reached(session, reach, &environment)
            .map_err(Failure::from)
            .and_then(|target| as_before(target, location.as_deref()))
            .map_err(|failure| Lost { location, failure });
        let is_known = |target: &Target| {
            let mut known = targets.iter().filter_map(|known| known.as_ref().ok());
            known.any(|known| known.settings.location() == target.settings.location())
        };
        if !target.as_ref().is_ok_and(is_known) {
            targets.push(target);
        }
    }
    if targets.is_empty() && is_named {
        targets.push(Ok(reached(session, Reach::Environment, &environment)?));
    }
    Ok(targets)
}

/// What is typed or stands in variables may mean another database in another shell. A file of settings is taken at its
/// word: whoever moves the database changes it there.
fn as_before(target: Target, location: Option<&str>) -> Result<Target, Failure> {
    let now = target.settings.location();
    match (&target.reach, location) {
        (Reach::Url(_) | Reach::Environment, Some(before)) if before != now => Err(Failure::new(
            Exit::BadSource,
            format!("postgres {before} was not backed up: what led to it leads to {now} now"),
        )
        .hint("PG… variables differ; import it once with `--url` or `--env-file` that names host and database")),
        _ => Ok(target),
    }
}

/// Backs one database up. One that can't be read is no reason to leave the others.
pub(crate) fn back_up(
    session: &Session<'_>,
    mut vault: Option<&mut Vault>,
    database: Result<Target, Lost>,
    options: &RunOptions,
) -> Result<Exit, Failure> {
    let request = ImportRequest {
        instance: None,
        user: None,
        full: false,
        now: session.now,
    };
    let lost = match database {
        Ok(target) => match postgres::connect(&target.settings) {
            Ok(mut client) => {
                let done = match vault.filter(|_| !session.global.dry_run) {
                    Some(vault) => record(session, vault, &mut client, &target, &request, options),
                    None => would_record(session, &mut client, &target, &request),
                };
                return done.or_else(|failure| apart(session, failure));
            }
            Err(error) => Lost {
                location: Some(target.settings.location()),
                failure: error.into(),
            },
        },
        Err(lost) => lost,
    };
    if let (Some(vault), Some(location)) = (
        vault.as_mut().filter(|_| !session.global.dry_run),
        &lost.location,
    ) {
        session.remember_unreached(vault, postgres::NAME, location);
    }
    apart(session, lost.failure)
}

/// Tells of a failure that leaves the other sources alone; one of the vault itself ends everything.
fn apart(session: &Session<'_>, failure: Failure) -> Result<Exit, Failure> {
    match failure.exit {
        Exit::Failed | Exit::BadSource | Exit::Usage | Exit::Partial => {
            session.output.failure(&failure);
            Ok(Exit::BadSource)
        }
        _ => Err(failure),
    }
}

/// Mastodon's settings in their usual places.
fn env_files() -> Vec<PathBuf> {
    let surroundings = machine::surroundings();
    let mut files = usual_env_files(&surroundings.home, &surroundings.current);
    files.retain(|file| file.is_file());
    files
}

/// Where the database is: as given, else as libpq's variables say.
pub(crate) fn target(session: &Session<'_>, args: &Database) -> Result<Target, Failure> {
    let reach = match (&args.env_file, &args.url) {
        (Some(path), _) => {
            Reach::EnvFile(std::path::absolute(path).unwrap_or_else(|_| path.clone()))
        }
        (None, Some(url)) => Reach::Url(url.clone()),
        (None, None) => Reach::Environment,
    };
    Ok(reached(session, reach, &machine::environment())?)
}

fn reached(
    session: &Session<'_>,
    reach: Reach,
    environment: &Environment,
) -> Result<Target, postgres::Error> {
    let (settings, warnings) = match &reach {
        Reach::EnvFile(path) => Settings::from_env_file(path, environment)?,
        Reach::Url(url) => Settings::from_url(url, environment)?,
        Reach::Environment => Settings::from_environment(environment)?,
    };
    for warning in warnings {
        session.output.warn(&warning);
    }
    Ok(Target { settings, reach })
}

fn would_record(
    session: &Session<'_>,
    client: &mut ::postgres::Client,
    target: &Target,
    request: &ImportRequest,
) -> Result<Exit, Failure> {
    let mut reading = Reading::begin(client, &target.settings, request)?;
    let [apps, accounts, tokens] = reading.counts()?;
    let location = target.settings.location();
    if session.output.json {
        session.output.object(&serde_json::json!({
            "dry_run": true,
            "source": postgres::NAME,
            "location": location,
            "instance": reading.instance().as_str(),
            "tokens": tokens,
            "apps": apps,
            "accounts": accounts,
            "warnings": [],
        }))?;
    } else {
        session.output.would(&format!(
            "record {} and {} of {} in postgres {location}",
            report::plural(tokens, "token"),
            report::plural(apps, "app"),
            reading.instance()
        ))?;
    }
    Ok(Exit::Done)
}

/// Records what the database holds as a run, and reports it.
fn record(
    session: &Session<'_>,
    vault: &mut Vault,
    client: &mut ::postgres::Client,
    target: &Target,
    request: &ImportRequest,
    options: &RunOptions,
) -> Result<Exit, Failure> {
    let run = match read(session, vault, client, target, request, options) {
        Ok(run) => run,
        Err(failure) => {
            session.remember_unreached(vault, postgres::NAME, &target.settings.location());
            return Err(failure);
        }
    };
    show(session, &run)?;
    for warning in &run.warnings {
        session
            .output
            .warn(&format!("{}: {warning}", postgres::NAME));
    }
    if let Some(instance) = &run.source.instance
        && run.counts.apps.gone > 0
    {
        let gone = match run.counts.apps.gone {
            1 => "1 application is".to_owned(),
            n => format!("{n} applications are"),
        };
        session.output.warn(&format!(
            "{gone} gone from the server: clients that still use one are refused as unknown; `tuskvault log {}` names them, \
             and `tuskvault restore {instance} --apps --to postgres` puts them back",
            run.id,
        ));
    }
    let exit = finished(session, vault, &run);
    session.remember_reach(vault, &run, &target.reach);
    Ok(exit)
}

fn read(
    session: &Session<'_>,
    vault: &mut Vault,
    client: &mut ::postgres::Client,
    target: &Target,
    request: &ImportRequest,
    options: &RunOptions,
) -> Result<Run, Failure> {
    let mut reading = Reading::begin(client, &target.settings, request)?;
    let start = RunStart {
        source: SourceKey {
            connector: postgres::NAME.to_owned(),
            location: target.settings.location(),
            host: machine::surroundings().host,
        },
        instance: Some(reading.instance().clone()),
        scope: reading.scope(),
        keys: Keys::Server,
        effective_at: None,
        now: session.now,
        actor: session.actor.clone(),
        note: options.note.clone(),
        accept_shrink: options.accept_shrink,
        origin: None,
    };
    read_into(session, vault, &mut reading, &start)
}

/// Reads into a run; where what the last run left turns out not to fit, once more and everything.
fn read_into(
    session: &Session<'_>,
    vault: &mut Vault,
    reading: &mut Reading<'_>,
    start: &RunStart,
) -> Result<Run, Failure> {
    let mut believe = true;
    loop {
        let mut run = vault.begin_run(start.clone())?;
        let found = run.bookmark().cloned();
        let current = found.as_ref().filter(|found| found.is_current && believe);
        let bookmark = current.map(|found| found.bytes.clone());
        let read = match reading.rows(&mut run, bookmark.as_deref(), &session.output.bars()) {
            Err(ReadError::Doubtful) if believe => {
                session
                    .output
                    .detail("what the last run left does not fit: everything is read");
                believe = false;
                continue;
            }
            read => read,
        };
        let Read {
            completeness,
            bookmark,
            warnings,
            only_changes,
        } = read.map_err(|error| match error {
            ReadError::Source(error) => error.into(),
            ReadError::Sink(error) => Failure::from(error),
            ReadError::Doubtful => {
                Failure::new(Exit::Failed, "the database does not agree with itself")
                    .hint("nothing was recorded; run the same again with `--full`")
            }
        })?;
        let (replaced, known) = run.replaced();
        if is_another_database(replaced, known) && !start.accept_shrink {
            let is_known_other = found.is_some_and(|found| reading.is_of_another(&found.bytes));
            return Err(other_database(start, replaced, known, is_known_other));
        }
        if only_changes {
            session
                .output
                .detail("only what was written since the last run was read");
        }
        for warning in warnings {
            run.warn(warning);
        }
        if let Some(bytes) = bookmark {
            run.leave(bytes);
        }
        return Ok(run.finish(completeness)?);
    }
}

fn other_database(start: &RunStart, replaced: u64, known: u64, is_known_other: bool) -> Failure {
    let server = if is_known_other {
        ", and it is another server"
    } else {
        ""
    };
    Failure::new(
        Exit::Partial,
        format!(
            "{} is another database than before: {replaced} of {known} rows hold other tokens{server}; nothing was recorded",
            start.source.location
        ),
    )
    .hint("if that is right (it was rebuilt, or restored with other ids), run it again with `--accept-shrink`")
}

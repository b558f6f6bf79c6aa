//! The Mastodon server's database, as `import`, `backup` and `restore` reach it.

use tuskvault::{
    connectors::postgres::{self, ImportRequest, Read, ReadError, Reading},
    model::{Keys, Run, SourceKey},
    vault::{RunStart, Vault},
};

use super::{
    args::{Database, Import, RunOptions, domain},
    error::{Exit, Failure},
    import::{finished, show},
    machine,
    session::Session,
};

/// `import postgres`.
pub(crate) fn import(session: &Session<'_>, args: &Import) -> Result<Exit, Failure> {
    let settings = settings(session, &args.database)?;
    let request = ImportRequest {
        instance: domain(args.instance.as_ref())?,
        user: args.user.clone(),
        full: args.full,
        now: session.now,
    };
    let mut vault = session.open_or_create()?;
    let mut client = postgres::connect(&settings)?;
    let mut reading = Reading::begin(&mut client, &settings, &request)?;
    let run = record(session, &mut vault, &mut reading, &settings, &args.run)?;
    show(session, &run)?;
    Ok(finished(session, &vault, &run))
}

/// Records what the database holds as a run.
fn record(
    session: &Session<'_>,
    vault: &mut Vault,
    reading: &mut Reading<'_>,
    settings: &postgres::Settings,
    options: &RunOptions,
) -> Result<Run, Failure> {
    let start = RunStart {
        source: SourceKey {
            connector: postgres::NAME.to_owned(),
            location: settings.location(),
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
    let mut believe = true;
    loop {
        let mut run = vault.begin_run(start.clone())?;
        let found = run.bookmark().cloned();
        let current = found.as_ref().filter(|found| found.is_current && believe);
        let bookmark = current.map(|found| found.bytes.clone());
        match reading.rows(&mut run, bookmark.as_deref(), &session.output.bars()) {
            Ok(Read {
                completeness,
                bookmark,
                warnings,
                ..
            }) => {
                for warning in warnings {
                    run.warn(warning);
                }
                if let Some(bytes) = bookmark {
                    run.leave(bytes);
                }
                return Ok(run.finish(completeness)?);
            }
            Err(ReadError::Doubtful) if believe => believe = false,
            Err(ReadError::Source(error)) => return Err(error.into()),
            Err(ReadError::Sink(error)) => return Err(error.into()),
            Err(ReadError::Doubtful) => {
                return Err(Failure::new(
                    Exit::Failed,
                    "the database does not agree with itself",
                ));
            }
        }
    }
}

/// Where the database is: as given, else as libpq's variables say.
pub(crate) fn settings(
    session: &Session<'_>,
    args: &Database,
) -> Result<postgres::Settings, Failure> {
    let environment = machine::environment();
    let (settings, warnings) = match (&args.env_file, &args.url) {
        (Some(path), _) => postgres::Settings::from_env_file(path, &environment)?,
        (None, Some(url)) => postgres::Settings::from_url(url, &environment)?,
        (None, None) => postgres::Settings::from_environment(&environment)?,
    };
    for warning in warnings {
        session.output.warn(&warning);
    }
    Ok(settings)
}

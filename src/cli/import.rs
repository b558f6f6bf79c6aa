//! `import`: one source.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

#[cfg(feature = "pgdump")]
use tuskvault::connectors::pgdump;
use tuskvault::{
    connectors::{self, ReadRequest, Source, json},
    files,
    model::{Run, RunOutcome, Scope, Snapshot},
    vault::{ImportContext, Origin, Vault},
};
use zeroize::Zeroizing;

use super::{
    args::{Import as Args, RunOptions, domain},
    backfill::Backfill,
    discover::warn,
    error::{self, Exit, Failure, NO_PASSWORD, did_you_mean},
    machine, report,
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &Args) -> Result<Exit, Failure> {
    #[cfg(feature = "postgres")]
    if args.connector == connectors::postgres::NAME {
        if args.dated.at.is_some() || args.dated.of.is_some() {
            return Err(Failure::usage(
                "`--at` and `--of` are for files: a database is read as it is now",
            )
            .hint("leave them out"));
        }
        return super::database::import(session, args);
    }
    if args.connector != AUTO && !is_dump_named(args) {
        find(&args.connector)?;
    }
    let mut request = request(args)?;
    if request.path == Path::new("-")
        && session.global.password_file.as_deref() == Some(Path::new("-"))
    {
        return Err(Failure::usage(
            "standard input can't be both the passphrase and what is imported",
        )
        .hint(NO_PASSWORD));
    }
    if request.path != Path::new("-") && !request.path.exists() {
        return Err(missing(&request.path));
    }
    let backfill = Backfill::new(session, &args.dated)?;
    #[cfg(feature = "pgdump")]
    if is_dump_named(args) || is_dump_found(session, args, &request) {
        return super::dump::import(session, args, &request, &backfill);
    }
    let mut pipe = PathBuf::from("-");
    if is_pipe(&request.path) {
        // What it says can be read once, and its name says nothing.
        std::mem::swap(&mut request.path, &mut pipe);
    }
    let is_piped = request.path == Path::new("-");
    let connector = connector(session, args, &request)?;
    let piped = if is_piped {
        Some(read_once(&pipe)?)
    } else {
        None
    };
    if connector.name() == json::NAME
        && let Some(material) = history_in(&request.path, piped.as_ref())?
    {
        if backfill.is_given() {
            return Err(
                Failure::usage("this file holds runs, each with its own time and source")
                    .path(&request.path)
                    .hint("leave `--at` and `--of` out"),
            );
        }
        return import_history(session, &request.path, &material);
    }
    let mut snapshot = match &piped {
        Some(bytes) => connector.read_bytes(&request, bytes)?,
        None => connector.read(&request)?,
    };
    warn(session, &snapshot, connector.name());
    let vault = if backfill.needs_vault() {
        Some(session.open(session.access())?)
    } else {
        None
    };
    backfill.apply(session, vault.as_ref(), &request.path, &mut snapshot)?;
    if session.global.dry_run {
        would_record(session, &snapshot)?;
        return Ok(Exit::Done);
    }
    let mut vault = match vault {
        Some(vault) => vault,
        None => session.open_or_create()?,
    };
    record(session, &mut vault, connector, &snapshot, &args.run)
}

fn request(args: &Args) -> Result<ReadRequest, Failure> {
    let path = args.path.as_ref().or(args.place.as_ref());
    let path = match path {
        Some(path) => path.clone(),
        None => usual_place(&args.connector)?,
    };
    Ok(ReadRequest {
        path,
        instance: domain(args.instance.as_ref())?,
        user: args.user.clone(),
        host: machine::surroundings().host,
    })
}

/// Where the connector's client keeps its store, when nobody says.
fn usual_place(connector: &str) -> Result<PathBuf, Failure> {
    let places = connectors::find(connector)
        .map(|connector| connector.usual_places(&machine::surroundings()))
        .unwrap_or_default();
    let there = places
        .iter()
        .find(|place| place.exists())
        .or(places.first());
    there.cloned().ok_or_else(|| {
        Failure::usage(format!(
            "which file or folder to read for {connector} is not known"
        ))
        .hint("give `--path PATH`")
    })
}

fn missing(path: &Path) -> Failure {
    Failure::new(Exit::BadSource, format!("there is no {}", path.display()))
        .path(path)
        .hint("`--path` names the file or the folder that holds it; `tuskvault discover` looks for client apps")
}

/// Whether the connector is the one for dumps.
#[cfg(feature = "pgdump")]
fn is_dump_named(args: &Args) -> bool {
    args.connector == pgdump::NAME
}

#[cfg(not(feature = "pgdump"))]
fn is_dump_named(_args: &Args) -> bool {
    false
}

/// Whether a dump is what `auto` was given.
#[cfg(feature = "pgdump")]
fn is_dump_found(session: &Session<'_>, args: &Args, request: &ReadRequest) -> bool {
    let found = args.connector == AUTO && !is_pipe(&request.path) && pgdump::is_dump(&request.path);
    if found {
        let path = request.path.display();
        session
            .output
            .note(&format!("{path} is for {}", pgdump::NAME));
    }
    found
}

fn connector(
    session: &Session<'_>,
    args: &Args,
    request: &ReadRequest,
) -> Result<&'static dyn Source, Failure> {
    if args.connector != AUTO {
        return find(&args.connector);
    }
    if request.path == Path::new("-") {
        // Material that can be read only once can't be tried out.
        return Err(
            Failure::new(Exit::BadSource, "`auto` can't look into standard input")
                .hint("name the connector: `tuskvault import json -`"),
        );
    }
    let connector = connectors::recognise(request)?;
    session.output.note(&format!(
        "{} is for {}",
        request.path.display(),
        connector.name()
    ));
    Ok(connector)
}

/// The connector of this name.
pub(crate) fn find(name: &str) -> Result<&'static dyn Source, Failure> {
    connectors::find(name).ok_or_else(|| {
        if let Some(feature) = connectors::lacking(name) {
            let what = format!("this tuskvault was built without feature `{feature}`");
            return Failure::usage(format!("{what}, which \"{name}\" needs")).hint(format!(
                "`cargo install --path . --features {feature}` builds one with it"
            ));
        }
        #[cfg(feature = "pgdump")]
        if name == pgdump::NAME {
            return Failure::usage("a dump is read once: there is nothing to back up again, nor a place to restore to")
                .hint("`tuskvault import pgdump FILE` reads one; `--to postgres` puts records into the database itself");
        }
        let failure = Failure::usage(format!("there is no connector \"{name}\""));
        failure.hint(did_you_mean(name, connectors::sources()))
    })
}

/// Whether it is a named pipe, or standard input by one of its names.
fn is_pipe(path: &Path) -> bool {
    let kind = std::fs::metadata(path).map(|metadata| metadata.file_type());
    kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir())
}

/// Reads standard input (`-`), or a pipe, to its end.
fn read_once(pipe: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let name = match pipe.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => pipe.display().to_string(),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 << 20));
    let read = if pipe == Path::new("-") {
        let mut input = std::io::stdin().lock().take(json::MAX_BYTES + 1);
        input.read_to_end(&mut bytes)
    } else {
        File::open(pipe).and_then(|file| file.take(json::MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        let why = error::plain(&error);
        Failure::new(Exit::BadSource, format!("cannot read {name}: {why}"))
    })?;
    if bytes.len() as u64 > json::MAX_BYTES {
        return Err(Failure::new(
            Exit::BadSource,
            format!("{name} is larger than 1 GiB"),
        ));
    }
    Ok(bytes)
}

/// The material, if it holds runs rather than records.
fn history_in(
    path: &Path,
    piped: Option<&Zeroizing<Vec<u8>>>,
) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let bytes = match piped {
        Some(bytes) => bytes.clone(),
        None => files::read_bounded(path, json::MAX_BYTES).map_err(|error| {
            Failure::file("read", path, &error)
                .with(Exit::BadSource)
                .hint("`--path` names a file; it was not changed")
        })?,
    };
    Ok(json::history::is_history(&bytes).then_some(bytes))
}

/// Takes over the runs of another vault; those that are known already add nothing.
fn import_history(session: &Session<'_>, path: &Path, material: &[u8]) -> Result<Exit, Failure> {
    // All of it is read before any of it is recorded.
    let runs = json::history::replay(material, path).collect::<Result<Vec<_>, _>>()?;
    if session.global.dry_run {
        let runs = report::plural(runs.len() as u64, "run");
        session.output.would(&format!("take over {runs}"))?;
        return Ok(Exit::Done);
    }
    let mut vault = session.open_or_create()?;
    let mut known = vault.runs()?;
    let mut skipped = 0;
    for (head, snapshot) in &runs {
        let theirs = &head.run;
        let is_same = |run: &Run| {
            run.source.key == theirs.source.key
                && (run.effective_at, run.recorded_at) == (theirs.effective_at, theirs.recorded_at)
        };
        if known.iter().any(is_same) {
            skipped += 1;
            // Its tokens may have been asked about since it was taken over.
            vault.import_answers(snapshot, session.now)?;
            continue;
        }
        let context = ImportContext {
            now: session.now,
            actor: session.actor.clone(),
            note: theirs.note.clone(),
            // Whether it was suspicious was decided when it was recorded.
            accept_shrink: true,
            origin: Some(Origin {
                recorded_at: theirs.recorded_at,
                actor: theirs.actor.clone(),
                tool_version: theirs.tool_version.clone(),
            }),
        };
        let run = vault.import(snapshot, &context)?;
        show(session, &run)?;
        known.push(run);
    }
    session.remember(&vault, None);
    let recorded = report::plural(runs.len() as u64 - skipped, "run");
    session.output.note(&format!(
        "took over {recorded}; {skipped} were known already"
    ));
    Ok(Exit::Done)
}

/// What a dry run says of a snapshot.
pub(crate) fn would_record(session: &Session<'_>, snapshot: &Snapshot) -> Result<(), Failure> {
    let key = &snapshot.source;
    let warnings = snapshot.warnings.iter();
    if session.output.json {
        return session.output.object(&serde_json::json!({
            "dry_run": true,
            "source": key.connector,
            "location": key.location,
            "effective_at": snapshot.effective_at,
            "tokens": snapshot.tokens.len(),
            "apps": snapshot.apps.len(),
            "accounts": snapshot.accounts.len(),
            "warnings": warnings.map(|warning| &warning.message).collect::<Vec<_>>(),
        }));
    }
    session.output.would(&format!(
        "record {} and {} of {} {}",
        report::plural(snapshot.tokens.len() as u64, "token"),
        report::plural(snapshot.apps.len() as u64, "app"),
        key.connector,
        key.location
    ))
}

/// Records a snapshot as a run and reports it.
pub(crate) fn record(
    session: &Session<'_>,
    vault: &mut Vault,
    connector: &dyn Source,
    snapshot: &Snapshot,
    options: &RunOptions,
) -> Result<Exit, Failure> {
    let run = vault.import(snapshot, &session.context(options))?;
    show(session, &run)?;
    // What the vault has to say; the connector's warnings were shown when it read.
    if !session.output.json {
        for warning in run.warnings.iter().skip(snapshot.warnings.len()) {
            session.output.warn(warning);
        }
    }
    if !connector.is_live() {
        session.remember(vault, None);
        return Ok(Exit::Done);
    }
    if snapshot.effective_at.is_some() {
        // What was true once is no backup of what is now.
        session.remember(vault, None);
        return Ok(outcome(session, &run));
    }
    Ok(finished(session, vault, &run))
}

/// What a run of a live source leads to.
pub(crate) fn finished(session: &Session<'_>, vault: &Vault, run: &Run) -> Exit {
    // A run of one user is no backup of the source.
    let is_whole = run.scope == Scope::All;
    session.remember(vault, is_whole.then_some(run));
    let exit = outcome(session, run);
    if exit == Exit::Done {
        session.drop_previous(vault);
    }
    exit
}

/// Whether so many of the known rows hold other tokens that this is another database. A server never gives a row to
/// another token; a few may be somebody's repair by hand.
#[cfg(any(feature = "pgdump", feature = "postgres"))]
pub(crate) fn is_another_database(replaced: u64, known: u64) -> bool {
    replaced > (known / 5).max(20)
}

/// How a run ended; tells what is wrong with one that did not go as it should.
pub(crate) fn outcome(session: &Session<'_>, run: &Run) -> Exit {
    if let Some(trouble) = report::trouble(run) {
        session.output.warn(&format!(
            "{} {}: {trouble}",
            run.source.key.connector, run.source.key.location
        ));
    }
    match run.outcome {
        RunOutcome::Complete => Exit::Done,
        RunOutcome::Partial | RunOutcome::Shrunk => Exit::Partial,
    }
}

/// Reports a run.
pub(crate) fn show(session: &Session<'_>, run: &Run) -> Result<(), Failure> {
    if session.output.json {
        return session.output.object(&json::RunJson::new(run));
    }
    let key = &run.source.key;
    let place = format!("{} {}", key.connector, key.location);
    session.output.line(&super::output::shown(&format!(
        "{place}: {}",
        report::run(run)
    )))
}

/// The connector that stands for whichever fits.
const AUTO: &str = "auto";

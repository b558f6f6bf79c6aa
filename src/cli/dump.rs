//! `import pgdump`: what a dump of the Mastodon server's database holds becomes a run of that database, at the time of
//! the dump.

use std::{convert::Infallible, path::Path};

use jiff::Timestamp;
use tuskvault::{
    connectors::{
        ReadRequest,
        pgdump::{self, Dump, Input, Read, RowsError, Started},
    },
    model::{
        Account, App, Domain, Keys, Novelty, Relation, RowSink, Run, Scope, Source, SourceKey,
        TokenRow,
    },
    progress::Silent,
    vault::{RunStart, Vault},
};

use super::{
    args::{Import, RunOptions},
    backfill::{self, Backfill},
    error::{Exit, Failure},
    import::{is_another_database, outcome, show},
    report,
    session::Session,
};

pub(crate) fn import(
    session: &Session<'_>,
    args: &Import,
    request: &ReadRequest,
    backfill: &Backfill<'_>,
) -> Result<Exit, Failure> {
    // Before the vault is opened, or made: nobody shall be asked for a passphrase for a file that is no dump.
    let dump = read(session, &request.path)?;
    if session.global.dry_run {
        let vault = if backfill.needs_vault() {
            Some(session.open(session.access())?)
        } else {
            None
        };
        let time = time(
            session,
            args,
            backfill,
            vault.as_ref(),
            &request.path,
            &dump,
        )?;
        return would_record(session, request, &dump, time);
    }
    let mut vault = session.open_or_create()?;
    let time = time(session, args, backfill, Some(&vault), &request.path, &dump)?;
    let (source, instance, known) = source(&vault, args, request, &dump)?;
    if let Some(known) = &known {
        expect_same_database(&vault, &dump, known, &args.run)?;
        backfill::warn_of_the_last_word(session, &vault, known, time)?;
    }
    let start = RunStart {
        source,
        instance: Some(instance),
        scope: request.user.clone().map_or(Scope::All, Scope::User),
        keys: Keys::Server,
        effective_at: Some(time),
        now: session.now,
        actor: session.actor.clone(),
        note: args.run.note.clone(),
        accept_shrink: args.run.accept_shrink,
        origin: None,
    };
    let run = record(session, &mut vault, &dump, start)?;
    show(session, &run)?;
    for warning in &run.warnings {
        session.output.warn(&format!("{}: {warning}", pgdump::NAME));
    }
    // What was true once is no backup of what is now.
    session.remember(&vault, None);
    Ok(outcome(session, &run))
}

fn read(session: &Session<'_>, path: &Path) -> Result<Dump, Failure> {
    let input = if path == Path::new("-") {
        Input::Pipe(Box::new(std::io::stdin()))
    } else {
        Input::Path(path)
    };
    let program = Path::new(PG_RESTORE);
    Ok(pgdump::open(input, program, &session.output.bars())?)
}

/// When the dump was true: as the person says, else as it says itself, else when the file was last changed.
fn time(
    session: &Session<'_>,
    args: &Import,
    backfill: &Backfill<'_>,
    vault: Option<&Vault>,
    path: &Path,
    dump: &Dump,
) -> Result<Timestamp, Failure> {
    // Of a folder, the file that is written last.
    let file = path.join("toc.dat").display().to_string();
    let given = match args.dated.at {
        Some(_) => backfill.moment(session, vault, path, &file)?,
        None => None,
    };
    let (time, why) = match (given, dump.started()) {
        (Some(given), _) => given,
        (None, Some(Started::At(time))) => (*time, ", when the dump was begun"),
        (None, Some(Started::Local(local))) => {
            let here = session.now_here().time_zone().clone();
            let time = local.to_zoned_datetime(here).map_err(|_| {
                Failure::usage(format!(
                    "the archive was made at no time that can be ({local})"
                ))
                .hint("give `--at WHEN`")
            })?;
            let why = ", when the archive was made, if its clock was in this time zone";
            (time.timestamp(), why)
        }
        (None, Some(Started::Unclear(text))) => {
            let time = in_zone(text, session).ok_or_else(|| {
                Failure::usage(format!(
                    "the dump was begun at {text}, and which time zone that is can't be told for sure"
                ))
                .path(path)
                .hint("give `--at WHEN`, the same with an offset: `--at 2026-01-02T03:04:05+01:00`")
            })?;
            let why = ", when the dump was begun, if that is the zone of this machine";
            (time, why)
        }
        (None, None) => (
            backfill::changed_at(path, &file)?,
            ", when the file was last changed",
        ),
    };
    let time = backfill::past(session, time)?;
    backfill::tell(session, time, why);
    Ok(time)
}

/// The moment of "2026-01-02 03:04:05 CET", where the time zone here goes by that abbreviation then.
fn in_zone(text: &str, session: &Session<'_>) -> Option<Timestamp> {
    let (local, abbreviation) = text.rsplit_once(' ')?;
    let zone = session.now_here().time_zone().clone();
    let moments = zone.to_ambiguous_timestamp(local.parse().ok()?);
    // Of an hour that comes twice, the abbreviation tells which.
    let moments = [moments.earlier(), moments.later()];
    let mut moments = moments.into_iter().filter_map(Result::ok);
    moments.find(|moment| zone.to_offset_info(*moment).abbreviation() == abbreviation)
}

/// Which source the dump is of, with its instance; and the same as the vault knows it, where it does.
fn source(
    vault: &Vault,
    args: &Import,
    request: &ReadRequest,
    dump: &Dump,
) -> Result<(SourceKey, Domain, Option<Source>), Failure> {
    let of = match &args.dated.of {
        Some(of) => Some(backfill::known(vault, &[POSTGRES, pgdump::NAME], of)?),
        None => None,
    };
    let mut databases = vault.sources()?;
    databases.retain(|source| source.key.connector == POSTGRES && source.instance.is_some());
    let instance = instance(request, dump, of.as_ref(), &databases)?;
    if let Some(of) = of {
        return Ok((of.key.clone(), instance, Some(of)));
    }
    databases.retain(|source| source.instance.as_ref() == Some(&instance));
    match databases.as_slice() {
        [one] => Ok((one.key.clone(), instance, Some(one.clone()))),
        [] => {
            let key = SourceKey {
                connector: pgdump::NAME.to_owned(),
                location: instance.as_str().to_owned(),
                host: String::new(),
            };
            let mut sources = vault.sources()?.into_iter();
            let known = sources.find(|source| source.key == key);
            Ok((key, instance, known))
        }
        several => {
            let locations: Vec<&str> = several
                .iter()
                .map(|source| source.key.location.as_str())
                .collect();
            Err(Failure::new(
                Exit::Ambiguous,
                format!("the vault knows several databases of {instance}"),
            )
            .hint(format!("`--of` chooses one: {}", locations.join(", "))))
        }
    }
}

/// The instance: as the person or the dump says, else that of the source it is a copy of, or of the only database that
/// is known.
fn instance(
    request: &ReadRequest,
    dump: &Dump,
    of: Option<&Source>,
    databases: &[Source],
) -> Result<Domain, Failure> {
    let told = request.instance.as_ref().or(dump.instance());
    let known = of.and_then(|source| source.instance.as_ref());
    if let (Some(told), Some(known)) = (told, known)
        && told != known
    {
        let message = format!("the dump is of {told}, and that source of {known}");
        return Err(Failure::new(Exit::BadSource, message)
            .path(&request.path)
            .hint("leave `--of` out"));
    }
    let sole = match databases {
        [one] => one.instance.as_ref(),
        _ => None,
    };
    told.or(known).or(sole).cloned().ok_or_else(|| {
        Failure::usage("which instance the dump is of is not known")
            .path(&request.path)
            .hint("give `--instance DOMAIN` (LOCAL_DOMAIN in Mastodon's settings)")
    })
}

/// Looks at some rows before any is recorded: where the dump is older than all that is known, the run itself has
/// nothing to compare them with.
fn expect_same_database(
    vault: &Vault,
    dump: &Dump,
    source: &Source,
    options: &RunOptions,
) -> Result<(), Failure> {
    let (replaced, known) = vault.replaced(source.id, dump.sample(SAMPLE))?;
    expect_few(
        replaced,
        known,
        source.key.location.as_str(),
        options.accept_shrink,
    )
}

fn expect_few(replaced: u64, known: u64, location: &str, accept: bool) -> Result<(), Failure> {
    if !is_another_database(replaced, known) || accept {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Partial,
        format!("the dump is of another database than {location}: {replaced} of {known} rows hold other tokens; nothing was recorded"),
    )
    .hint("`--of` names the source that it is of; if that is right (it was rebuilt since, with other ids), run it again with `--accept-shrink`"))
}

fn record(
    session: &Session<'_>,
    vault: &mut Vault,
    dump: &Dump,
    start: RunStart,
) -> Result<Run, Failure> {
    let location = start.source.location.clone();
    let accept = start.accept_shrink;
    let (instance, user) = (start.instance.clone(), start.scope.clone());
    let Some(instance) = instance else {
        return Err(Failure::usage("which instance the dump is of is not known"));
    };
    let user = match &user {
        Scope::All => None,
        Scope::User(name) => Some(name.as_str()),
    };
    let mut run = vault.begin_run(start)?;
    let read = dump.rows(&instance, user, &mut run, &session.output.bars());
    let Read {
        completeness,
        warnings,
    } = read.map_err(|error| match error {
        RowsError::Source(error) => Failure::from(error),
        RowsError::Sink(error) => error.into(),
    })?;
    let (replaced, known) = run.replaced();
    expect_few(replaced, known, &location, accept)?;
    for warning in warnings {
        run.warn(warning);
    }
    Ok(run.finish(completeness)?)
}

fn would_record(
    session: &Session<'_>,
    request: &ReadRequest,
    dump: &Dump,
    time: Timestamp,
) -> Result<Exit, Failure> {
    let instance = request.instance.as_ref().or(dump.instance());
    // Which one it is makes no difference to how many rows there are.
    let any = Domain::parse("instance.invalid").ok();
    let mut counting = Counting::default();
    if let Some(instance) = instance.or(any.as_ref()) {
        let read = dump.rows(instance, request.user.as_deref(), &mut counting, &Silent);
        read.map_err(|error| match error {
            RowsError::Source(error) => Failure::from(error),
            RowsError::Sink(never) => match never {},
        })?;
    }
    let Counting {
        apps,
        accounts,
        tokens,
    } = counting;
    let instance = instance.map(Domain::as_str);
    if session.output.json {
        session.output.object(&serde_json::json!({
            "dry_run": true,
            "source": pgdump::NAME,
            "location": request.path.display().to_string(),
            "instance": instance,
            "effective_at": time,
            "tokens": tokens,
            "apps": apps,
            "accounts": accounts,
            "warnings": dump.cut().into_iter().collect::<Vec<_>>(),
        }))?;
    } else {
        if let Some(why) = dump.cut() {
            session.output.warn(&format!("the dump is cut off: {why}"));
        }
        session.output.would(&format!(
            "record {} and {} of {} in {}",
            report::plural(tokens, "token"),
            report::plural(apps, "app"),
            instance.unwrap_or("an instance that `--instance` names"),
            request.path.display(),
        ))?;
    }
    Ok(Exit::Done)
}

/// Counts the rows that would be recorded.
#[derive(Default)]
struct Counting {
    apps: u64,
    accounts: u64,
    tokens: u64,
}

impl RowSink for Counting {
    type Error = Infallible;

    fn app(&mut self, _key: u64, _app: &App) -> Result<Novelty, Infallible> {
        self.apps += 1;
        Ok(Novelty::New)
    }

    fn account(&mut self, _key: u64, _account: &Account) -> Result<Novelty, Infallible> {
        self.accounts += 1;
        Ok(Novelty::New)
    }

    fn token(&mut self, _key: u64, _row: &TokenRow<'_>) -> Result<Novelty, Infallible> {
        self.tokens += 1;
        Ok(Novelty::New)
    }

    fn only_changes(&mut self, _relation: Relation, _known: u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn keys_follow(&mut self, _relation: Relation) -> Result<(), Infallible> {
        Ok(())
    }

    fn is_there(&mut self, _relation: Relation, _key: u64) -> Result<Novelty, Infallible> {
        Ok(Novelty::Known)
    }
}

/// The connector whose sources are databases; it may be left out of the build, and what it read may be known.
const POSTGRES: &str = "postgres";
/// PostgreSQL's program for archives, where programs are looked for.
const PG_RESTORE: &str = "pg_restore";
/// So many rows are looked up before anything is recorded.
const SAMPLE: usize = 1_000;

//! `backup`: import from every client app on this machine, and from every file that was imported before.

use std::{collections::HashSet, path::PathBuf};

use tuskvault::{
    connectors::{self, Found, ReadRequest, Surroundings},
    model::{Run, SourceId},
    storage::Access,
    vault::Vault,
};

use super::{
    args::Backup,
    discover::{surroundings, warn},
    error::{Exit, Failure},
    import::{find, record, would_record},
    machine,
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &Backup) -> Result<Exit, Failure> {
    for name in &args.connectors {
        if !is_database(name) {
            find(name)?;
        }
    }
    let wanted = |name: &str| {
        args.connectors.is_empty() || args.connectors.iter().any(|wanted| wanted == name)
    };
    let surroundings = surroundings(args.root.as_deref())?;
    let is_here = args.root.is_none();
    #[cfg(feature = "postgres")]
    let databases = if is_here {
        super::database::targets(session, args)?
    } else {
        Vec::new()
    };
    #[cfg(not(feature = "postgres"))]
    let databases: [(); 0] = [];
    let mut found = connectors::discover(&surroundings);
    found.retain(|found| wanted(found.connector.name()));
    tell_empty_places(session, &surroundings, wanted);
    let there_is_a_vault = std::fs::symlink_metadata(session.vault_path()?).is_ok();
    if found.is_empty() && databases.is_empty() && !there_is_a_vault {
        return Err(nothing(&args.connectors));
    }
    let mut vault = match (session.global.dry_run, there_is_a_vault) {
        (true, true) => Some(session.open(Access::Read)?),
        (true, false) => None,
        (false, _) => Some(session.open_or_create()?),
    };
    if let Some(vault) = vault.as_ref().filter(|_| is_here) {
        let known = known(session, vault, &found, wanted)?;
        found.extend(known);
    }
    if found.is_empty() && databases.is_empty() {
        return Err(nothing(&args.connectors));
    }
    let mut tally = Tally::default();
    for found in &found {
        tally.add(one(session, vault.as_mut(), found, args)?);
    }
    #[cfg(feature = "postgres")]
    for database in databases {
        let done = super::database::back_up(session, vault.as_mut(), database, &args.run);
        tally.add(done?);
    }
    Ok(tally.exit())
}

/// Whether the name is the database's, which has no files to look for.
fn is_database(name: &str) -> bool {
    cfg!(feature = "postgres") && name == "postgres"
}

fn tell_empty_places(
    session: &Session<'_>,
    surroundings: &[Surroundings],
    wanted: impl Fn(&str) -> bool,
) {
    let connectors = connectors::all().iter();
    for connector in connectors.filter(|connector| wanted(connector.name())) {
        let surroundings = surroundings.iter();
        let places = surroundings.flat_map(|surroundings| connector.usual_places(surroundings));
        let places: Vec<_> = places.collect();
        for place in places.iter().filter(|place| !place.exists()) {
            session.output.detail(&format!(
                "{}: nothing at {}",
                connector.name(),
                place.display()
            ));
        }
    }
}

/// Files that were imported on this machine before, that are still there and that `discover` does not look for.
fn known(
    session: &Session<'_>,
    vault: &Vault,
    found: &[Found],
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Found>, Failure> {
    let host = machine::surroundings().host;
    let mut known = Vec::new();
    // An old copy stays what it was when it was true: it is never read as the present.
    let runs = vault.runs()?.into_iter();
    let live = runs.filter(Run::is_live);
    let live: HashSet<SourceId> = live.map(|run| run.source.id).collect();
    let sources = vault.sources()?.into_iter();
    for source in sources.filter(|source| live.contains(&source.id)) {
        let key = &source.key;
        let Some(connector) = connectors::find(&key.connector)
            .filter(|source| source.is_live() && wanted(source.name()))
        else {
            continue;
        };
        let path = PathBuf::from(&key.location);
        let is_found = |found: &Found| match &found.snapshot {
            Ok(snapshot) => snapshot.source == *key,
            Err(_) => path.starts_with(&found.path),
        };
        if key.host != host || found.iter().any(is_found) {
            continue;
        }
        if !path.exists() {
            // Not a run: a disk that is not mounted ends no token.
            session.output.note(&format!(
                "{} {} is not there any more; what it held stays as it was",
                key.connector, key.location
            ));
            continue;
        }
        // What the person named then because the file doesn't say it.
        let (instance, user) = vault.sole_account(source.id)?;
        let request = ReadRequest {
            path: path.clone(),
            instance,
            user,
            host: key.host.clone(),
        };
        known.push(Found {
            connector,
            path,
            snapshot: connector.read(&request),
        });
    }
    Ok(known)
}

/// Backs one source up. A source that can't be read is no reason to leave the others.
fn one(
    session: &Session<'_>,
    vault: Option<&mut Vault>,
    found: &Found,
    args: &Backup,
) -> Result<Exit, Failure> {
    let name = found.connector.name();
    match &found.snapshot {
        Ok(snapshot) => {
            warn(session, snapshot, name);
            let Some(vault) = vault.filter(|_| !session.global.dry_run) else {
                return would_record(session, snapshot).map(|()| Exit::Done);
            };
            record(session, vault, found.connector, snapshot, &args.run)
        }
        Err(error) => {
            session.output.failure(&Failure::unread(error, name));
            if let Some(vault) = vault.filter(|_| !session.global.dry_run) {
                session.remember_unread(vault, name, &found.path);
            }
            Ok(Exit::BadSource)
        }
    }
}

fn nothing(connectors: &[String]) -> Failure {
    let what = if connectors.is_empty() {
        "client app".to_owned()
    } else {
        connectors.join(" or ")
    };
    Failure::new(
        Exit::NoMatch,
        format!("no {what} was found in its usual place: nothing was backed up"),
    )
    .hint("`tuskvault import auto PATH` reads a file anywhere; `backup` then remembers it")
}

#[derive(Default)]
struct Tally {
    done: u64,
    partial: u64,
    unread: u64,
}

impl Tally {
    fn add(&mut self, exit: Exit) {
        match exit {
            Exit::Done => self.done += 1,
            Exit::BadSource => self.unread += 1,
            _ => self.partial += 1,
        }
    }

    fn exit(&self) -> Exit {
        match (self.done, self.partial, self.unread) {
            (_, 0, 0) => Exit::Done,
            (0, 0, _) => Exit::BadSource,
            _ => Exit::Partial,
        }
    }
}

//! `backup`: import from every client app on this machine, and from every file that was imported before.

use std::path::PathBuf;

use tuskvault::{
    connectors::{self, Found, ReadRequest, Surroundings},
    storage::Access,
    vault::Vault,
};

use super::{
    args::Backup,
    discover::warn,
    error::{Exit, Failure},
    import::{find, record, would_record},
    machine,
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &Backup) -> Result<Exit, Failure> {
    for name in &args.connectors {
        find(name)?;
    }
    let wanted = |name: &str| {
        args.connectors.is_empty() || args.connectors.iter().any(|wanted| wanted == name)
    };
    let surroundings = machine::surroundings();
    let mut found = connectors::discover(&surroundings);
    found.retain(|found| wanted(found.connector.name()));
    for connector in connectors::all()
        .iter()
        .filter(|connector| wanted(connector.name()))
    {
        for place in connector
            .usual_places(&surroundings)
            .iter()
            .filter(|place| !place.exists())
        {
            session.output.detail(&format!(
                "{}: nothing at {}",
                connector.name(),
                place.display()
            ));
        }
    }
    let is_there = session.vault_path()?.exists();
    if found.is_empty() && !is_there {
        return Err(nothing(&args.connectors));
    }
    let mut vault = match session.global.dry_run {
        true if !is_there => None,
        true => Some(session.open(Access::Read)?),
        false => Some(session.open_or_create()?),
    };
    if let Some(vault) = &vault {
        let known = known(vault, &surroundings, &found)?;
        let known = known.into_iter();
        found.extend(known.filter(|found| wanted(found.connector.name())));
    }
    if found.is_empty() {
        return Err(nothing(&args.connectors));
    }
    let mut tally = Tally::default();
    for found in &found {
        tally.add(one(session, vault.as_mut(), found, args)?);
    }
    Ok(tally.exit())
}

/// Files that were imported on this machine before, that are still there and that `discover` does not look for.
fn known(
    vault: &Vault,
    surroundings: &Surroundings,
    found: &[Found],
) -> Result<Vec<Found>, Failure> {
    let mut known = Vec::new();
    for source in vault.sources()? {
        let key = &source.key;
        let Some(connector) =
            connectors::find(&key.connector).filter(|connector| connector.is_live())
        else {
            continue;
        };
        let path = PathBuf::from(&key.location);
        let is_found = |found: &Found| match &found.snapshot {
            Ok(snapshot) => snapshot.source == *key,
            Err(_) => path.starts_with(&found.path),
        };
        if key.host != surroundings.host || !path.exists() || found.iter().any(is_found) {
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
            match vault {
                Some(vault) if !session.global.dry_run => {
                    record(session, vault, found.connector, snapshot, &args.run)
                }
                _ => {
                    would_record(session, snapshot);
                    Ok(Exit::Done)
                }
            }
        }
        Err(error) => {
            session.output.failure(&Failure::unread(error, name));
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

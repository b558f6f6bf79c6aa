//! Environment files (`.env`) with `MASTODON_…` assignments: the convention of bots and their hosts.
//!
//! Evidence: the names are those that bots' documentation uses, no standard. Several accounts stand under names with
//! a prefix (`NEWS_MASTODON_TOKEN`). Of a key that stands twice the last counts, as in a shell. The settings of a
//! Mastodon server, `.env.production` (mastodon/mastodon, `.env.production.sample`), have no such names: they are
//! recognised and nothing of them is taken.

mod export;
mod groups;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place,
        values::{self, Unusable, shown},
    },
    document::env::{Assignment, Env},
    model::{Account, App, Completeness, Domain, Record, Scopes, Secret, Snapshot, Token},
};

use groups::{Field, Group};

pub use export::{Exported, export};

/// `.env` files.
#[derive(Debug, Clone, Copy)]
pub struct Dotenv;

const NAME: &str = "dotenv";

impl Source for Dotenv {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "environment files with MASTODON_… (.env)"
    }

    /// `.env` where the person stands.
    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        vec![surroundings.current.join(".env")]
    }

    fn specificity(&self) -> Specificity {
        Specificity::Convention
    }

    /// A server's settings fit too: reading them says what they are.
    fn fits(&self, request: &ReadRequest) -> bool {
        let is_ours = |path: PathBuf| {
            let file = place::load(NAME, &path, MAX_BYTES).ok()?;
            let env = Env::parse(file.bytes()).ok()?;
            let mut groups = Group::all(&env).into_iter();
            Some(is_of_a_server(&env) || groups.any(|group| group.used(Field::Token).is_some()))
        };
        file(&request.path).is_ok_and(|path| is_ours(path).unwrap_or(false))
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let path = file(&request.path)?;
        let file = place::load(NAME, &path, MAX_BYTES)?;
        import(&path, file.bytes(), request)
    }

    fn read_bytes(&self, request: &ReadRequest, bytes: &[u8]) -> Result<Snapshot, Error> {
        import(&request.path, bytes, request)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for Dotenv {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        write::plan(request, &file(&request.path)?, records)
    }
}

fn file(path: &Path) -> Result<PathBuf, Error> {
    place::file_in(path, &[".env"]).ok_or_else(|| Error::NotFound {
        connector: NAME,
        path: path.to_owned(),
    })
}

/// Parses a file and makes sure that it is somebody's settings for Mastodon.
fn parse(path: &Path, bytes: &[u8]) -> Result<Env, Error> {
    let env = Env::parse(bytes).map_err(|error| Problem(error.to_string()).at(path))?;
    let groups = Group::all(&env);
    if is_of_a_server(&env)
        && groups
            .iter()
            .all(|group| group.used(Field::Token).is_none())
    {
        let what = "these are the settings of a Mastodon server (SECRET_KEY_BASE, OTP_SECRET, …), which hold no \
                    access tokens: those are in its database";
        return Err(Problem(what.to_owned()).at(path));
    }
    if groups.is_empty() && mentions(&env, bytes).next().is_none() {
        return Err(Error::NotFound {
            connector: NAME,
            path: path.to_owned(),
        });
    }
    Ok(env)
}

/// Whether these are the settings of a Mastodon server: two of its names that no client has.
fn is_of_a_server(env: &Env) -> bool {
    let is_there = |name: &&&str| env.assignments.iter().any(|one| one.key == **name);
    SERVER_NAMES.iter().filter(is_there).count() >= 2
}

/// Problems of lines that name Mastodon.
fn mentions<'a>(env: &'a Env, bytes: &'a [u8]) -> impl Iterator<Item = Problem> + 'a {
    let about_us = |span: std::ops::Range<usize>| {
        let line = bytes.get(span).unwrap_or_default();
        let mut words = line.windows(MARK.len());
        words.any(|word| word.eq_ignore_ascii_case(MARK))
    };
    let lines = env.unreadable.iter();
    lines
        .filter(move |line| about_us(line.span.clone()))
        .map(|line| Problem::line(line.line, line.fault.to_string()))
}

fn import(path: &Path, bytes: &[u8], request: &ReadRequest) -> Result<Snapshot, Error> {
    let env = parse(path, bytes)?;
    let mut snapshot = Snapshot::of_client(place::source_key(NAME, path, request));
    for Problem(what) in mentions(&env, bytes).take(MAX_TOLD) {
        snapshot.completeness = Completeness::Partial;
        snapshot.warn(what);
    }
    for one in groups::unknown(&env).take(MAX_TOLD) {
        let why = "it is none of the names that are read";
        snapshot.warn(format!("{}: {why}", told(one)));
    }
    let groups = Group::all(&env);
    let nameless = |group: &&Group<'_>| {
        group.used(Field::Token).is_some() && group.used(Field::User).is_none()
    };
    let user = match (&request.user, groups.iter().filter(nameless).count()) {
        (Some(user), 1) => Some(user.as_str()),
        (Some(_), more) if more > 1 => {
            snapshot.warn("the file holds several accounts: the user named is not taken for them");
            None
        }
        _ => None,
    };
    for group in &groups {
        import_group(&mut snapshot, group, request.instance.as_ref(), user);
    }
    Ok(snapshot)
}

/// Adds the token of a group; `instance` and `user` are for what the file doesn't say.
fn import_group(
    snapshot: &mut Snapshot,
    group: &Group<'_>,
    instance: Option<&Domain>,
    user: Option<&str>,
) {
    let Some(line) = group.used(Field::Token) else {
        if let Some(line) = group.used(Field::ClientId) {
            snapshot.warn(format!("{}: an app without a token", told(line)));
        }
        return;
    };
    warn_of_others(snapshot, group);
    let token = match text_of(line) {
        Ok(token) => Secret::from(token),
        Err(why) => {
            snapshot.warn(format!("{}: the token can't be used: {why}", told(line)));
            return;
        }
    };
    let Some(instance) = group.instance().or_else(|| instance.cloned()) else {
        snapshot.completeness = Completeness::Partial;
        snapshot.warn(format!(
            "{}: a token of an unknown instance: not imported; name it with --instance",
            told(line)
        ));
        return;
    };
    let mut client = |field| {
        let line = group.used(field)?;
        match text_of(line) {
            Ok(text) => Some(text),
            Err(Unusable::Empty) => None,
            Err(why) => {
                snapshot.warn(format!("{}: not imported: {why}", told(line)));
                None
            }
        }
    };
    let app = App {
        client_id: client(Field::ClientId).map(str::to_owned),
        client_secret: client(Field::ClientSecret).map(Secret::from),
        base_url: group.base_url(),
        ..App::unknown(instance.clone())
    };
    let user = group.user(&instance).or_else(|| user.map(str::to_owned));
    let account = Account {
        instance: instance.clone(),
        username: user,
        created_at: None,
    };
    let scopes = group.used(Field::Scopes).filter(|one| !one.is_reference);
    let scopes = scopes.map(|one| Scopes::from_names(one.value.split([' ', ',', '+'])));
    let token = Token {
        scopes: scopes.filter(|scopes| scopes.iter().next().is_some()),
        ..Token::new(instance, token)
    };
    snapshot.add(app, Some(account), token);
}

/// Says which of several values for the same thing was taken.
fn warn_of_others(snapshot: &mut Snapshot, group: &Group<'_>) {
    for field in [Field::Token, Field::ClientId, Field::ClientSecret] {
        let Some(used) = group.used(field) else {
            continue;
        };
        for other in group.lines(field).filter(|one| one.line != used.line) {
            if other.key == used.key {
                let why = "it stands there again, and the last one is used, as in a shell";
                snapshot.warn(format!("{}: {why}", told(other)));
            } else if other.value != used.value {
                let why = format!("{} is used instead", shown(&used.key));
                snapshot.warn(format!("{}: {why}", told(other)));
            }
        }
    }
}

/// The secret or id that an assignment gives.
fn text_of(line: &Assignment) -> Result<&str, Unusable> {
    if line.is_reference {
        return Err(Unusable::Reference);
    }
    values::secret(&line.value)
}

/// An assignment as a message names it.
fn told(line: &Assignment) -> String {
    format!("line {}, {}", line.line, shown(&line.key))
}

const MARK: &[u8] = b"MASTODON";

/// `.env.production.sample` and `config/` of mastodon/mastodon 4.4.
const SERVER_NAMES: &[&str] = &[
    "LOCAL_DOMAIN",
    "SECRET_KEY_BASE",
    "OTP_SECRET",
    "VAPID_PRIVATE_KEY",
    "VAPID_PUBLIC_KEY",
    "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY",
    "ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY",
    "ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT",
];

/// Settings of programs: a few KiB.
const MAX_BYTES: u64 = 1 << 20;

/// Warnings of one kind: a file of nonsense needs no more.
const MAX_TOLD: usize = 20;

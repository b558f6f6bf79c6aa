//! `accounts.json`: one object with one array. Keys of a session are names or single letters; the objects in it always
//! have names, and are known by these.

use std::path::Path;

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, WriteRequest,
        error::Problem,
        place,
        rewrite::{Rewrite, refused_all},
        store::{self, Editor, Entry, Taken},
    },
    document::{Format, Kind, Node, Splice, SpliceError},
    model::{Record, Snapshot},
};

use super::{ADVICE, NAME, NO_INSERT, Session, set_client, set_token};

pub(super) fn read(
    path: &Path,
    request: &ReadRequest,
    snapshot: &mut Snapshot,
) -> Result<(), Error> {
    let file = place::load(NAME, path, place::MAX_BYTES)?;
    let root = parse(file.bytes()).map_err(|problem| problem.at(path))?;
    let sessions = sessions(&root, file.bytes());
    store::import(&entries(&sessions), request, snapshot);
    Ok(())
}

pub(super) fn plan(
    path: &Path,
    request: &WriteRequest,
    records: &[Record],
) -> Result<Box<dyn Prepared>, Error> {
    let file = place::load(NAME, path, place::MAX_BYTES)?;
    let root = parse(file.bytes()).map_err(|problem| problem.at(path))?;
    let sessions = sessions(&root, file.bytes());
    let mut accounts = Accounts {
        sessions: &sessions,
        splice: Splice::new(Format::Json, file.bytes(), &root),
        notes: Vec::new(),
    };
    let changes = store::changes(&entries(&sessions), records, Taken::Apart, &mut accounts);
    let Accounts {
        splice, mut notes, ..
    } = accounts;
    let edits = match splice.finish() {
        Ok(edits) => edits,
        Err(why) => return Ok(refused_all(NAME, path, records, &why.to_string())),
    };
    if !edits.is_empty() {
        notes.push(ADVICE.to_owned());
    }
    Ok(Rewrite::prepared(
        NAME, file, edits, changes, notes, request,
    ))
}

/// Parses it and makes sure that it is this app's: nothing but a list, each item with the object of a token.
fn parse(bytes: &[u8]) -> Result<Node, Problem> {
    let root = Format::Json.parse(bytes)?;
    let Some(list) = list(&root) else {
        let what = "expected one object with one list, \"accounts\" or \"a\"";
        return Err(Problem(what.to_owned()));
    };
    let is_session = |item: &Node| part(item, "token", "a", "access_token").is_some();
    if !list.iter().all(is_session) {
        let what = "expected an object with \"access_token\" in each account";
        return Err(Problem(what.to_owned()));
    }
    Ok(root)
}

fn list(root: &Node) -> Option<&[Node]> {
    match root.members()? {
        [member] if matches!(member.key.as_str(), "accounts" | "a") => match &member.value.kind {
            Kind::List(items) => Some(items),
            _ => None,
        },
        _ => None,
    }
}

fn sessions<'a>(root: &'a Node, bytes: &'a [u8]) -> Vec<Session<'a>> {
    let items = list(root).unwrap_or_default().iter();
    let sessions = items.map(|item| {
        let domain = ["domain", "c"].iter().find_map(|key| item.get(key)?.text());
        Session {
            domain,
            account: part(item, "self", "b", "username"),
            token: part(item, "token", "a", "access_token"),
            token_text: bytes,
            app: part(item, "app", "d", "client_id"),
        }
    });
    sessions.collect()
}

/// A part of a session by its name, else by its letter, else by being the only one that has the key of such a part. A
/// letter is believed only where that key is there.
fn part<'a>(session: &'a Node, name: &str, letter: &str, mark: &str) -> Option<&'a Node> {
    let is_it = |node: &&Node| node.get(mark).is_some();
    let known = [name, letter].into_iter();
    let known = &mut known.filter_map(|key| session.get(key).filter(is_it));
    known.next().or_else(|| {
        let values = session.members()?.iter().map(|member| &member.value);
        let found: Vec<_> = values.filter(is_it).collect();
        match found.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    })
}

fn entries(sessions: &[Session<'_>]) -> Vec<Entry<usize>> {
    let sessions = sessions.iter().enumerate();
    sessions
        .map(|(place, session)| session.entry(place))
        .collect()
}

struct Accounts<'a> {
    sessions: &'a [Session<'a>],
    splice: Splice<'a>,
    notes: Vec<String>,
}

impl Editor<usize> for Accounts<'_> {
    fn update(&mut self, entry: &Entry<usize>, record: &Record) -> Result<bool, String> {
        let before = self.splice.len();
        let Some((session, token)) = self
            .sessions
            .get(entry.place)
            .and_then(|session| Some((session, session.token?)))
        else {
            return Err(format!("{} has no token to replace", entry.label));
        };
        let mut set = || -> Result<bool, SpliceError> {
            set_token(&mut self.splice, token, record)?;
            match session.app {
                Some(app) => set_client(&mut self.splice, app, record),
                None => Ok(false),
            }
        };
        match set() {
            Ok(has_client) => {
                let note = store::kept_client(entry, record);
                self.notes.extend(note.filter(|_| !has_client));
                Ok(self.splice.len() > before)
            }
            Err(why) => {
                self.splice.truncate(before);
                Err(format!("{}: {why}", entry.label))
            }
        }
    }

    fn insert(&mut self, _: &str, _: &Record) -> Result<String, String> {
        Err(NO_INSERT.to_owned())
    }
}

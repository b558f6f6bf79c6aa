//! Tuba (and Tootle 2, which it comes from), a client for the desktop: secrets of the session's keyring, as a person
//! saved them.
//!
//! Evidence: Tuba 0.11, `src/Services/Accounts/SecretAccountStore.vala` and `src/Dialogs/NewAccount.vala`. An account is
//! an item of the Secret Service with the attributes `login` (`@ada@mastodon.example`) and `version` (`1`), and with
//! the application's id as its schema, by which new versions look for it; its secret is a JSON object. Tuba ignores an
//! object that lacks one of a few members. The app is registered under the program's name; the redirect URI is one of
//! two, and like the scopes it is not stored.
//!
//! The keyring itself is not read: its owner's own tool does that ([`search`]), or prints one secret alone, which is
//! JSON. Objects, or an array of them, can be written, and stored again with the same tool.

mod search;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place,
        store::{self, Entry, Skipped, Spans, Taken, TextPlan, text_of},
        values::shown,
    },
    document::{Format, Kind, Node},
    model::{Completeness, Record, Snapshot},
};

/// Tuba's accounts.
#[derive(Debug, Clone, Copy)]
pub struct Tuba;

const NAME: &str = "tuba";

impl Source for Tuba {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Tuba, a client for the desktop (secrets saved from the keyring)"
    }

    /// Only what shows that it is installed.
    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        vec![surroundings.home.join(".var/app").join(ID)]
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        if request.path.is_dir() {
            return installed(request);
        }
        let file = place::load(NAME, &request.path, place::MAX_BYTES)?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &request.path, request));
        if search::is_one(file.bytes()) {
            read_search(file.bytes(), request, &mut snapshot)?;
        } else {
            let root = parse(file.bytes()).map_err(|problem| problem.at(&request.path))?;
            store::import(&entries(&root), request, &mut snapshot);
        }
        Ok(snapshot)
    }

    fn read_bytes(&self, request: &ReadRequest, bytes: &[u8]) -> Result<Snapshot, Error> {
        // Everything that comes this way is one source: it must be all accounts.
        if bytes.len() as u64 > place::MAX_BYTES || !search::is_one(bytes) {
            let what = format!("expected what this prints: {SEARCH}");
            return Err(Problem(what).at(&request.path));
        }
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &request.path, request));
        read_search(bytes, request, &mut snapshot)?;
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }

    fn programs(&self) -> &'static [&'static str] {
        &["dev.geopjr.Tuba", "tuba"]
    }
}

impl Sink for Tuba {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let path = request.path.clone();
        if path.is_dir() {
            return Err(Error::NotWritable {
                path,
                detail: format!(
                    "Tuba keeps its accounts in the keyring: {LOOKUP}, then restore into that file"
                ),
            });
        }
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        if search::is_one(file.bytes()) {
            return Err(Error::NotWritable {
                path,
                detail: format!(
                    "it can't be stored again as it is: {LOOKUP}, then restore into that file"
                ),
            });
        }
        let root = parse(file.bytes()).map_err(|problem| problem.at(&path))?;
        let entries = entries(&root);
        let advice = advice(&root, &entries, records, &path);
        let plan = TextPlan {
            connector: NAME,
            format: Format::Json,
            root: &root,
            entries: &entries,
            taken: Taken::Apart,
            insert: &|_, _, _| {
                let what = "Tuba keeps a whole profile with each account: log in with it once, then save its secret";
                Err(what.to_owned())
            },
            advice: &advice,
        };
        Ok(plan.prepared(file, request, records))
    }
}

/// What there is to say where Tuba's own folder is.
fn installed(request: &ReadRequest) -> Result<Snapshot, Error> {
    if place::file_name(&request.path) != ID {
        return Err(Error::NotFound {
            connector: NAME,
            path: request.path.clone(),
        });
    }
    let mut snapshot = Snapshot::of_client(place::source_key(NAME, &request.path, request));
    snapshot.warn(format!(
        "Tuba keeps its accounts in the keyring, not in files: `{SEARCH} | tuskvault import tuba -` imports them"
    ));
    Ok(snapshot)
}

/// Reads what the keyring's tool printed.
fn read_search(bytes: &[u8], request: &ReadRequest, snapshot: &mut Snapshot) -> Result<(), Error> {
    let items = search::items(bytes);
    store::bounded(items.len()).map_err(|problem| problem.at(&request.path))?;
    let found = |item: &search::Item<'_>| {
        let node = item.secret.and_then(|text| Format::Json.parse(text).ok());
        node.filter(is_secret)
    };
    let nodes: Vec<_> = items.iter().map(found).collect();
    let mut others = 0;
    for (item, node) in items.iter().zip(&nodes) {
        if let Some(node) = node {
            let entry = Entry {
                app_name: item.schema.and_then(app_name),
                ..entry(node)
            };
            store::import(&[entry], request, snapshot);
        } else if item.secret.is_none() || item.schema.and_then(app_name).is_some() {
            snapshot.completeness = Completeness::Partial;
            snapshot.warn(format!(
                "item {}: its secret can't be read: unlock the keyring, and run the command again",
                item.number
            ));
        } else {
            others += 1;
        }
    }
    if snapshot.tokens.is_empty() && snapshot.warnings.is_empty() {
        let what = "it holds no secret of Tuba's";
        return Err(Problem(what.to_owned()).at(&request.path));
    }
    if others > 0 {
        snapshot.warn(format!("{others} items of other programs were left alone"));
    }
    Ok(())
}

/// The name under which the program with this id registers its app.
fn app_name(schema: &str) -> Option<String> {
    let name = match schema {
        ID | "dev.geopjr.Tuba.Devel" => "Tuba",
        "com.github.bleakgrey.tootle" => "Tootle",
        _ => return None,
    };
    Some(name.to_owned())
}

/// Whether it is an account of Tuba's.
fn is_secret(node: &Node) -> bool {
    ["access-token", "backend", "uuid"]
        .iter()
        .all(|key| node.get(key).is_some())
}

/// Parses secrets and makes sure that they are Tuba's: one object, or an array of objects.
fn parse(bytes: &[u8]) -> Result<Node, Problem> {
    let root = Format::Json.parse(bytes)?;
    store::bounded(secrets(&root).len())?;
    let are_ours = match &root.kind {
        Kind::List(items) => {
            let are_objects = items.iter().all(|item| item.members().is_some());
            are_objects && items.iter().any(is_secret)
        }
        _ => is_secret(&root),
    };
    if !are_ours {
        let what = "expected secrets of Tuba's, with \"access-token\", \"backend\" and \"uuid\"";
        return Err(Problem(what.to_owned()));
    }
    Ok(root)
}

fn secrets(root: &Node) -> &[Node] {
    match &root.kind {
        Kind::List(items) => items,
        _ => std::slice::from_ref(root),
    }
}

fn entries(root: &Node) -> Vec<Entry<Option<Spans<'_>>>> {
    secrets(root).iter().map(entry).collect()
}

fn entry(secret: &Node) -> Entry<Option<Spans<'_>>> {
    let text = |key: &str| text_of(secret, key).map(|text| text.as_str().to_owned());
    let (token, instance) = (text_of(secret, TOKEN), text("instance"));
    let user = text("username").or_else(|| text("handle"));
    let label = |text: &Option<String>| shown(text.as_deref().unwrap_or("?"));
    // What Tootle 2 never wrote.
    let is_tuba = secret.get("api-versions").is_some() || secret.get("admin-mode").is_some();
    Entry {
        place: store::spans(secret, TOKEN, Some(("client-id", "client-secret"))),
        label: format!("account \"{}\" of {}", label(&user), label(&instance)),
        base_url: instance.clone(),
        instance,
        user,
        client_id: text("client-id"),
        client_secret: text_of(secret, "client-secret"),
        app_name: is_tuba.then(|| "Tuba".to_owned()),
        skipped: token
            .is_none()
            .then(|| Skipped::unread("expected a string for \"access-token\"")),
        token,
        ..Entry::default()
    }
}

/// How to put the secrets that change back into the keyring.
fn advice(
    root: &Node,
    entries: &[Entry<Option<Spans<'_>>>],
    records: &[Record],
    path: &Path,
) -> String {
    let file = path.display().to_string().replace('\'', "'\\''");
    let secrets = secrets(root).iter().zip(entries).enumerate();
    let commands = secrets.filter_map(|(place, (secret, entry))| {
        let changes = |record: &&Record| {
            entry.instances().any(|domain| domain == record.instance)
                && entry.user_name().is_some_and(|name| {
                    let other = record.user.name().unwrap_or_default();
                    name.eq_ignore_ascii_case(other)
                })
                && entry.token.as_ref().map(|text| text.as_str())
                    != Some(record.access_token.expose())
        };
        records.iter().find(changes)?;
        let handle = secret.get("handle")?.text()?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "@._-".contains(c);
        if !handle.chars().all(is_plain) {
            return Some(format!("the secret of {} can't be named in a command", entry.label));
        }
        if secret.span.len() > MAX_STORED {
            return Some(format!(
                "the secret of {handle} is longer than secret-tool can store: log in with Tuba instead"
            ));
        }
        let secret = match root.kind {
            Kind::List(_) => format!("jq -cj '.[{place}]' '{file}'"),
            _ => format!("cat '{file}'"),
        };
        let item = format!("login {handle} version 1");
        Some(format!(
            "secret-tool clear {item}; {secret} | secret-tool store --label='Mastodon Account' {item} xdg:schema {ID}"
        ))
    });
    let commands: Vec<_> = commands.collect();
    format!(
        "quit Tuba, run `{}`, delete the file, then start Tuba",
        commands.join("; ")
    )
}

const TOKEN: &str = "access-token";
const ID: &str = "dev.geopjr.Tuba";
const SEARCH: &str = "secret-tool search --all --unlock version 1";
const LOOKUP: &str =
    "save the secret alone with `secret-tool lookup login @USER@HOST version 1 > FILE`";

/// `secret-tool store` cuts its input off at 8 KiB (libsecret 0.21, `read_password_stdin`); a client's id and secret may
/// grow.
const MAX_STORED: usize = 8000;

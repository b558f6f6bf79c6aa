//! Mastodon's own app for Android, and what was made of it: Megalodon, Moshidon.
//!
//! Evidence: Mastodon for Android 1.0 to 2.13, `api/session/AccountSession.java`, `AccountSessionManager.java`
//! (`REDIRECT_URI`) and `DatabaseHelper`; Megalodon 2.1.6+fork.110. Three generations of one store:
//! - `files/accounts.json` of the official releases up to 2.6, whose build renamed the keys of a session to single letters;
//! - the same with names, written by Megalodon and Moshidon ([`json`]);
//! - `databases/accounts.db` since 2.7, whose columns hold the same objects as JSON texts ([`database`]).
//!
//! An account needs the whole profile as the API gives it, or the app drops it: so accounts are changed, never added.

#[cfg(feature = "sqlite")]
mod database;
mod json;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place,
        store::{self, Entry, Skipped},
        surroundings::Part,
        values::{self, shown},
    },
    document::{Node, Splice, SpliceError},
    model::{Completeness, Record, Snapshot},
};

/// The accounts of Mastodon for Android.
#[derive(Debug, Clone, Copy)]
pub struct MastodonAndroid;

const NAME: &str = "mastodon-android";

impl Source for MastodonAndroid {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Mastodon for Android, Megalodon, Moshidon"
    }

    /// Other apps have an `accounts.json`, too: only those of these packages, and of the folder that was named.
    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let mut apps = Vec::new();
        for (part, name) in [(Part::Databases, DATABASE), (Part::Files, JSON)] {
            for file in surroundings.android_files(part, name) {
                let app = file.ancestors().nth(2).unwrap_or(&file).to_owned();
                let is_ours = place::file_name(&app).starts_with(PACKAGE);
                if (is_ours || surroundings.android.contains(&app)) && !apps.contains(&app) {
                    apps.push(app);
                }
            }
        }
        apps
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    /// Without an account, a list could be anybody's.
    fn fits(&self, request: &ReadRequest) -> bool {
        self.read(request)
            .is_ok_and(|snapshot| !(snapshot.tokens.is_empty() && snapshot.warnings.is_empty()))
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let path = path(&request.path)?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &path, request));
        if is_database(&path)? {
            read_database(&path, request, &mut snapshot)?;
        } else {
            json::read(&path, request, &mut snapshot)?;
        }
        for (name, what, is_whole) in [
            (LEFTOVER, "what an interrupted save left", true),
            (JSON, "the store of an older version", false),
        ] {
            let other = beside(&path, name);
            if request.path.is_dir() && other.is_file() && other != path {
                snapshot.warn(format!(
                    "{} is there too, {what}, and was not read: name it with --path",
                    other.display()
                ));
                if !is_whole {
                    snapshot.completeness = Completeness::Partial;
                }
            }
        }
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }

    /// Android shows the ends of the packages.
    fn programs(&self) -> &'static [&'static str] {
        &["astodon.android", "odon.android.sk", "ndroid.moshinda"]
    }
}

impl Sink for MastodonAndroid {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let path = path(&request.path)?;
        if is_database(&path)? {
            plan_for_database(&path, request, records)
        } else {
            json::plan(&path, request, records)
        }
    }
}

/// The file itself, or the newest store of an app's folder, as it is on a phone or in an unpacked backup.
fn path(path: &Path) -> Result<PathBuf, Error> {
    let names = [DATABASE, JSON].iter().flat_map(|name| {
        let folders = match *name {
            DATABASE => ["", "databases", "db"],
            _ => ["", "files", "f"],
        };
        folders.map(|folder| Path::new(folder).join(name).display().to_string())
    });
    let names: Vec<_> = names.collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    if let Some(file) = place::file_in(path, &names) {
        return Ok(file);
    }
    for folder in ["", "files", "f"] {
        let leftover = path.join(folder).join(LEFTOVER);
        if leftover.is_file() {
            let what =
                "it is what an interrupted save left, and there is no accounts.json beside it";
            return Err(Problem(what.to_owned()).at(&leftover));
        }
    }
    Err(Error::NotFound {
        connector: NAME,
        path: path.to_owned(),
    })
}

/// Where another file of the same app would be.
fn beside(path: &Path, name: &str) -> PathBuf {
    let folder = path.parent().unwrap_or(path);
    let files = match place::file_name(folder).as_str() {
        "databases" => folder.with_file_name("files"),
        "db" => folder.with_file_name("f"),
        _ => folder.to_owned(),
    };
    files.join(name)
}

fn is_database(path: &Path) -> Result<bool, Error> {
    let file = place::load(NAME, path, MAX_BYTES)?;
    Ok(file.bytes().starts_with(b"SQLite format 3\0"))
}

#[cfg(feature = "sqlite")]
use database::{plan as plan_for_database, read as read_database};

#[cfg(not(feature = "sqlite"))]
fn read_database(path: &Path, _: &ReadRequest, _: &mut Snapshot) -> Result<(), Error> {
    Err(Problem(WITHOUT_SQLITE.to_owned()).at(path))
}

#[cfg(not(feature = "sqlite"))]
fn plan_for_database(
    path: &Path,
    _: &WriteRequest,
    _: &[Record],
) -> Result<Box<dyn Prepared>, Error> {
    Err(Problem(WITHOUT_SQLITE.to_owned()).at(path))
}

/// An account, wherever its parts stand.
#[derive(Clone, Copy)]
struct Session<'a> {
    domain: Option<&'a str>,
    /// The account as the API gives it.
    account: Option<&'a Node>,
    token: Option<&'a Node>,
    /// The text that `token` was parsed from.
    token_text: &'a [u8],
    app: Option<&'a Node>,
}

impl<'a> Session<'a> {
    fn entry<P>(self, place: P) -> Entry<P>
    where
        P: Default,
    {
        let text = |node: Option<&'a Node>, key| node.and_then(|node| node.get(key)?.text());
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let user = text(self.account, "username");
        let app_name = text(self.app, "name");
        let token = text(self.token, "access_token");
        let label = format!(
            "account {}@{}",
            shown(user.unwrap_or("?")),
            shown(self.domain.unwrap_or("?"))
        );
        Entry {
            place,
            label,
            instance: owned(self.domain),
            base_url: self.base_url(),
            user: owned(user),
            token: token.map(|text| text.to_owned().into()),
            client_id: owned(text(self.app, "client_id")),
            client_secret: text(self.app, "client_secret").map(|text| text.to_owned().into()),
            scopes: owned(text(self.token, "scope")),
            created_at: self.created_at(),
            redirect_uri: owned(app_name.and_then(redirect_uri)),
            app_name: owned(app_name),
            skipped: token
                .is_none()
                .then(|| Skipped::unread("expected a string for \"access_token\"")),
            ..Entry::default()
        }
    }

    /// The address of the API, where the profile shows another host than the name that the server gives itself.
    fn base_url(self) -> Option<String> {
        let url = self.account?.get("url")?.text()?;
        let host = values::instance(url)?;
        let domain = self.domain.and_then(values::instance);
        (Some(&host) != domain.as_ref()).then(|| format!("https://{host}"))
    }

    fn created_at(self) -> Option<Timestamp> {
        let seconds = self.token?.get("created_at")?.integer(self.token_text)?;
        Timestamp::from_second(seconds).ok()
    }
}

/// Puts the record's token into the object of one, with scopes and time of issue where both sides have them.
fn set_token(splice: &mut Splice<'_>, token: &Node, record: &Record) -> Result<(), SpliceError> {
    let text = token.get("access_token").ok_or(SpliceError::NotAString)?;
    splice.set(text, record.access_token.expose())?;
    if let (Some(node), Some(scopes)) = (token.get("scope"), &record.scopes) {
        splice.set(node, scopes.as_str())?;
    }
    if let (Some(node), Some(time)) = (token.get("created_at"), record.created_at) {
        splice.set_number(node, time.as_second())?;
    }
    Ok(())
}

/// Puts the record's client into the object of one, where both are known. Returns whether they are.
fn set_client(splice: &mut Splice<'_>, app: &Node, record: &Record) -> Result<bool, SpliceError> {
    let nodes = app.get("client_id").zip(app.get("client_secret"));
    let Some((nodes, (id, secret))) = nodes.zip(store::client_of(record)) else {
        return Ok(false);
    };
    splice.set(nodes.0, id)?;
    splice.set(nodes.1, secret)?;
    Ok(true)
}

/// The redirect URI of an app, by the name that it registers under.
fn redirect_uri(name: &str) -> Option<&'static str> {
    match name {
        "Mastodon for Android" => Some("mastodon-android-auth://callback"),
        "Megalodon" => Some("megalodon-android-auth://callback"),
        _ => None,
    }
}

const PACKAGE: &str = "org.joinmastodon.android";
const DATABASE: &str = "accounts.db";
const JSON: &str = "accounts.json";
/// What Megalodon writes first, and then renames.
const LEFTOVER: &str = "accounts.json~";

/// The database, which is the larger one, has a few megabytes.
const MAX_BYTES: u64 = 512 << 20;

#[cfg(not(feature = "sqlite"))]
const WITHOUT_SQLITE: &str =
    "it is a SQLite database, which this program was built without (feature sqlite)";

const NO_INSERT: &str = "an account can't be added, the app needs its whole profile: log in to it in the app once, then restore";

const ADVICE: &str = "stop the app (Force stop) before the file goes back into its folder (files or databases), with the app's owner and \
                      group; then run restorecon on it";

//! mastodon.el, a client inside Emacs: `mastodon.plstore`.
//!
//! Evidence: mastodon.el 0.9 to 2.0, `lisp/mastodon-client.el` and `lisp/mastodon-auth.el`; Emacs' `plstore.el`. The
//! file is one list of entries, `("name" :key "value" …)`; what is secret is then `:secret-key t`, and an OpenPGP
//! message follows. `user-ada@mastodon.example` is an account, `active-user` a copy of one, `mastodon-https://…` the
//! app of an instance (up to 0.9 there was nothing else). The app is registered as `mastodon.el` with the redirect URI
//! `urn:ietf:wg:oauth:2.0:oob`; scopes are not stored.
//!
//! 2.0 leaves tokens to Emacs' auth-source by default, `~/.authinfo.gpg` or the like: [`authinfo`].

mod authinfo;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place,
        store::{self, Entry, Skipped, Spans, Taken, TextPlan},
        values::{self, shown},
    },
    document::{Format, Kind, Node},
    model::{Domain, Record, Snapshot},
};

/// mastodon.el's accounts.
#[derive(Debug, Clone, Copy)]
pub struct MastodonEl;

const NAME: &str = "mastodon-el";

impl Source for MastodonEl {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "mastodon.el, a client inside Emacs"
    }

    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let mut folders = vec![
            surroundings.home.join(".emacs.d"),
            surroundings.home.join("AppData/Roaming/.emacs.d"),
        ];
        let config = surroundings.config_folders().into_iter();
        folders.extend(config.map(|folder| folder.join("emacs")));
        let files = folders.iter().flat_map(|folder| {
            let files = FILES.iter();
            files.map(|file| folder.join(file))
        });
        files.collect()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let path = path(request.path.clone())?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &path, request));
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        match parse(file.bytes()) {
            Ok(root) => {
                let accounts = Accounts::of(&root, file.bytes());
                for other in entries(&root).iter().filter_map(name) {
                    if !is_ours(other) {
                        snapshot.warn(format!(
                            "entry \"{}\" is not mastodon.el's: not imported",
                            shown(other)
                        ));
                    }
                }
                if accounts.users.is_empty() && accounts.active.is_empty() {
                    snapshot.warn(ONLY_APPS);
                }
                store::import(&accounts.without_copies(), request, &mut snapshot);
            }
            Err(_) if authinfo::is_one(file.bytes()) => {
                authinfo::read(&file, request, &mut snapshot)?;
            }
            Err(problem) => return Err(problem.at(&path)),
        }
        Ok(snapshot)
    }

    /// A file of passwords is read only for who names it.
    fn fits(&self, request: &ReadRequest) -> bool {
        path(request.path.clone())
            .and_then(|path| place::load(NAME, &path, place::MAX_BYTES))
            .is_ok_and(|file| parse(file.bytes()).is_ok())
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for MastodonEl {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let path = path(request.path.clone())?;
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        let root = parse(file.bytes()).map_err(|problem| {
            if authinfo::is_one(file.bytes()) {
                return Error::NotWritable {
                    path: path.clone(),
                    detail: "it holds passwords of other programs: put the token there yourself"
                        .to_owned(),
                };
            }
            problem.at(&path)
        })?;
        let plan = TextPlan {
            connector: NAME,
            format: Format::Lisp,
            root: &root,
            entries: &Accounts::of(&root, file.bytes()).all(),
            taken: Taken::AsOne,
            insert: &|_, _, _| {
                Err("log in with mastodon.el once: it adds accounts itself".to_owned())
            },
            advice: "restart Emacs: it keeps the old token until then",
        };
        Ok(plan.prepared(file, request, records))
    }
}

/// The file itself, or the one in the folder: Emacs' own, or the home folder.
fn path(path: PathBuf) -> Result<PathBuf, Error> {
    let mut names: Vec<_> = FILES.iter().map(|&file| file.to_owned()).collect();
    for folder in [".emacs.d", ".config/emacs", "emacs"] {
        names.extend(FILES.iter().map(|file| format!("{folder}/{file}")));
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    place::file_in(&path, &names).ok_or(Error::NotFound {
        connector: NAME,
        path,
    })
}

/// Parses it and makes sure that it is mastodon.el's: a list of named entries, among them such as it writes, and
/// perhaps an encrypted message.
fn parse(bytes: &[u8]) -> Result<Node, Problem> {
    let root = Format::Lisp.parse(bytes)?;
    let expected = |what: &str| Err(Problem(format!("expected {what}")));
    let Kind::List(parts) = &root.kind else {
        return expected("a list of entries");
    };
    let secret = match parts.as_slice() {
        [_] => None,
        [_, secret] => Some(secret),
        _ => return expected("one list of entries, as plstore writes it"),
    };
    let is_message = |node: &Node| {
        let text = node.text().unwrap_or_default();
        text.starts_with("-----BEGIN PGP MESSAGE-----")
    };
    if !secret.is_none_or(is_message) {
        return expected("an OpenPGP message after the entries");
    }
    let entries = entries(&root);
    store::bounded(entries.len())?;
    if entries.is_empty() || entries.iter().any(|entry| name(entry).is_none()) {
        return expected("a list of entries, each with a name");
    }
    if !entries.iter().filter_map(name).any(is_ours) {
        return expected("entries of mastodon.el (\"user-…\", \"active-user\", \"mastodon-…\")");
    }
    Ok(root)
}

/// The entries of the file.
fn entries(root: &Node) -> &[Node] {
    let Kind::List(parts) = &root.kind else {
        return &[];
    };
    match parts.first().map(|entries| &entries.kind) {
        Some(Kind::List(entries)) => entries,
        _ => &[],
    }
}

fn name(entry: &Node) -> Option<&str> {
    match &entry.kind {
        Kind::List(parts) => parts.first()?.text(),
        _ => None,
    }
}

fn is_ours(name: &str) -> bool {
    let is_handle = |text: &str| text.contains('@');
    name == ACTIVE || name.starts_with(APP) || name.strip_prefix(USER).is_some_and(is_handle)
}

/// The accounts of a file.
struct Accounts<'a> {
    users: Vec<Entry<Option<Spans<'a>>>>,
    /// The copy of the active one (in a damaged file, more).
    active: Vec<Entry<Option<Spans<'a>>>>,
}

impl<'a> Accounts<'a> {
    fn of(root: &'a Node, bytes: &[u8]) -> Self {
        let mut apps = Apps::new();
        for entry in entries(root) {
            let url = name(entry).and_then(|name| name.strip_prefix("mastodon-"));
            let app = Plist::of(entry, bytes);
            if let (Some(domain), Some(id)) = (url.and_then(values::instance), app.client_id()) {
                apps.entry((domain, id)).or_insert(app);
            }
        }
        let mut accounts = Self {
            users: Vec::new(),
            active: Vec::new(),
        };
        for entry in entries(root) {
            let (plist, name) = (Plist::of(entry, bytes), name(entry).unwrap_or_default());
            if name == ACTIVE {
                accounts.active.push(plist.entry(name, &apps));
            } else if name.starts_with(USER) && is_ours(name) {
                accounts.users.push(plist.entry(name, &apps));
            }
        }
        // A copy without a token says nothing that its original doesn't.
        let Self { users, active } = &mut accounts;
        let known: BTreeSet<_> = users.iter().map(account).collect();
        active.retain(|copy| copy.token.is_some() || !known.contains(&account(copy)));
        accounts
    }

    fn all(self) -> Vec<Entry<Option<Spans<'a>>>> {
        self.users.into_iter().chain(self.active).collect()
    }

    /// Each token once: the copy is imported where its token stands nowhere else.
    fn without_copies(self) -> Vec<Entry<Option<Spans<'a>>>> {
        let Self { users, mut active } = self;
        let known: BTreeSet<_> = users.iter().map(login).collect();
        active.retain(|copy| !known.contains(&login(copy)));
        let copies = active.iter().filter(|copy| copy.token.is_some());
        let copied: BTreeSet<_> = copies.map(account).collect();
        let is_held = |user: &Entry<_>| user.token.is_some() || !copied.contains(&account(user));
        let held: Vec<_> = users.into_iter().filter(is_held).collect();
        held.into_iter().chain(active).collect()
    }
}

/// What two entries of one account have in common.
type Account = (Option<String>, Option<Domain>);

fn account<P>(entry: &Entry<P>) -> Account {
    let name = entry.user_name().map(str::to_ascii_lowercase);
    (name, entry.instances().next())
}

/// An account with its token.
fn login<P>(entry: &Entry<P>) -> (Account, Option<&str>) {
    let token = entry.token.as_ref().map(|text| text.as_str());
    (account(entry), token)
}

/// The apps of instances, by their client_id.
type Apps<'a, 'b> = BTreeMap<(Domain, &'a str), Plist<'a, 'b>>;

/// The keys and values of an entry.
struct Plist<'a, 'b> {
    bytes: &'b [u8],
    pairs: &'a [Node],
}

impl<'a, 'b> Plist<'a, 'b> {
    fn of(entry: &'a Node, bytes: &'b [u8]) -> Self {
        let pairs = match &entry.kind {
            Kind::List(parts) => parts.get(1..).unwrap_or_default(),
            _ => &[],
        };
        Self { bytes, pairs }
    }

    /// The value of a key; of a key that stands twice the first, as Emacs reads it.
    fn get(&self, key: &str) -> Option<&'a Node> {
        let is_key = |pair: &&[Node]| {
            let [symbol, _] = pair else { return false };
            let is_symbol = matches!(symbol.kind, Kind::Other);
            is_symbol && self.bytes.get(symbol.span.clone()) == Some(key.as_bytes())
        };
        self.pairs.chunks(2).find(is_key)?.get(1)
    }

    /// The value of a key, where it is a string.
    fn string(&self, key: &str) -> Option<&'a Node> {
        self.get(key).filter(|node| node.text().is_some())
    }

    fn text(&self, key: &str) -> Option<String> {
        self.string(key).and_then(Node::text).map(str::to_owned)
    }

    fn client_id(&self) -> Option<&'a str> {
        self.string(":client_id").and_then(Node::text)
    }

    fn entry(&self, name: &str, apps: &Apps<'_, '_>) -> Entry<Option<Spans<'a>>> {
        let token = self.string(TOKEN);
        let client = self.string(":client_id").zip(self.string(":client_secret"));
        let user = self.text(":username");
        let user = user.or_else(|| name.strip_prefix(USER).map(str::to_owned));
        let host = || {
            user.as_deref()?
                .split_once('@')
                .map(|(_, host)| host.to_owned())
        };
        let instance = self.text(":instance").or_else(host);
        let domain = instance.as_deref().and_then(values::instance);
        let id = client.and_then(|(id, _)| id.text());
        let app = domain.zip(id).and_then(|app| apps.get(&app));
        let own = |key: &str, usual: &str| {
            let own = app.and_then(|app| app.text(key));
            Some(own.unwrap_or_else(|| usual.to_owned()))
        };
        Entry {
            place: token.map(|token| Spans { token, client }),
            label: match name {
                ACTIVE => format!(
                    "the active user \"{}\"",
                    shown(user.as_deref().unwrap_or("?"))
                ),
                _ => format!(
                    "account \"{}\"",
                    shown(name.strip_prefix(USER).unwrap_or(name))
                ),
            },
            token: token
                .and_then(Node::text)
                .map(|text| text.to_owned().into()),
            client_id: id.map(str::to_owned),
            client_secret: client
                .and_then(|(_, secret)| secret.text())
                .map(|text| text.to_owned().into()),
            app_name: own(":name", "mastodon.el"),
            redirect_uri: own(":redirect_uri", "urn:ietf:wg:oauth:2.0:oob"),
            skipped: self.skipped(name, user.as_deref(), instance.as_deref()),
            base_url: instance.clone(),
            instance,
            user,
            ..Entry::default()
        }
    }

    /// Why there is no token, and how to get at it.
    fn skipped(&self, name: &str, user: Option<&str>, url: Option<&str>) -> Option<Skipped> {
        if self.string(TOKEN).is_some() {
            return None;
        }
        if self.get(SECRET_TOKEN).is_some() {
            return Some(Skipped::known(encrypted(name)));
        }
        match self.get(TOKEN) {
            None => Some(Skipped::known(in_auth_source(user, url))),
            Some(node) if self.bytes.get(node.span.clone()) == Some(b"nil") => None,
            Some(_) => Some(Skipped::unread("expected a string for :access_token")),
        }
    }
}

/// What has Emacs write the entry out in clear, in a form that is read here.
fn encrypted(name: &str) -> String {
    let name = if is_plain(name) { name } else { "NAME" };
    format!(
        "its token is encrypted with your OpenPGP key: in Emacs, M-: (with-file-modes #o600 (with-temp-file \
         \"~/mastodon-clear.plstore\" (prin1 (list (plstore-get (plstore-open mastodon-client--token-file) \"{name}\")) \
         (current-buffer)))) writes it out; import that file with --path, then delete it"
    )
}

/// What has Emacs write the token out in clear.
fn in_auth_source(user: Option<&str>, url: Option<&str>) -> String {
    let host = url.and_then(values::instance);
    let host = host.as_ref().map_or("HOST", |domain| domain.as_str());
    let user = user
        .and_then(values::handle)
        .map_or("USER", |(name, _)| name);
    format!(
        "its token is in Emacs' auth-source (usually ~/.authinfo.gpg): in Emacs, M-: (with-file-modes #o600 \
         (with-temp-file \"~/mastodon-authinfo\" (insert \"machine {host} login {user} password \" \
         (auth-source-pick-first-password :host \"{host}\" :user \"{user}\")))) writes it out; import that file with \
         --path and --instance {host}, then delete it"
    )
}

/// Whether a name can stand in a command as it is.
fn is_plain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:/".contains(c);
    name.chars().all(is_plain)
}

const FILES: [&str; 3] = [
    "mastodon.plstore",
    // Where the package no-littering puts it.
    "var/mastodon.plstore",
    "var/mastodon/mastodon.plstore",
];
const ACTIVE: &str = "active-user";
const USER: &str = "user-";
const APP: &str = "mastodon-http";
const TOKEN: &str = ":access_token";
const SECRET_TOKEN: &str = ":secret-access_token";
const ONLY_APPS: &str = "it holds apps and no accounts: versions before 0.10 kept no token in a file; log in with a newer \
                         one";

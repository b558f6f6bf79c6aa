//! TheDesk, a client for the desktop: the file that it exports, and a dump of the local storage that it keeps.
//!
//! Evidence: TheDesk 18 to 24.2.1, `app/js/ui/settings.ts` (`exportSettingsCore`, `importSettingsCore`),
//! `app/js/login/{login,manager}.ts`, `app/main/system.ts` (the names of the file). The file is JSON5. `accts` holds the
//! accounts: `at` is the token, `domain` a host, `user` the name without a domain, or `user+pseudo` where a token was
//! pasted and not yet asked about. `rt` is a refresh token, the client_id and the client_secret, with spaces between;
//! each may be the word `undefined` or `null`. Scopes are not stored.
//!
//! The import erases everything first, and then loops over `accts`, `columns` and `ksc` without looking whether they are
//! there. `columns` name accounts by their place in `accts`: a new one is the last. A present `rt` is tried at every
//! start, so that a new account has one only where there is a refresh token.

mod storage;
#[cfg(test)]
mod tests;

#[cfg(feature = "chromium")]
pub(super) use storage::entries as stored;

use std::path::{Path, PathBuf};

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place,
        rewrite::refused_all,
        store::{self, Entry, Skipped, Spans, Taken, Text, TextPlan, spans, text_of},
        values::{self, shown},
    },
    document::{Format, Kind, Member, Node, Splice},
    model::{Record, Secret, Snapshot},
};

/// TheDesk's export.
#[derive(Debug, Clone, Copy)]
pub struct TheDesk;

const NAME: &str = "thedesk";

impl Source for TheDesk {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "TheDesk, a client for the desktop (its export)"
    }

    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let folders = ["Downloads", "Documents", "Desktop", ""].into_iter();
        let files = folders.flat_map(|folder| exports(&surroundings.home.join(folder)));
        files.collect()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let path = path(request.path.clone())?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &path, request));
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        match parse(file.bytes()).map_err(|problem| problem.at(&path))? {
            Kept::Export(root) => store::import(&entries(&root), request, &mut snapshot),
            Kept::Storage(entries) => store::import(&entries, request, &mut snapshot),
        }
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for TheDesk {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let path = path(request.path.clone())?;
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        let root = match parse(file.bytes()).map_err(|problem| problem.at(&path))? {
            Kept::Export(root) => root,
            Kept::Storage(_) => {
                let why = "TheDesk's local storage can only be read: restore into a file that TheDesk exported, and \
                           import that there (up to version 24)";
                return Ok(refused_all(NAME, &path, records, why));
            }
        };
        let is_list = |key| matches!(root.get(key).map(|node| &node.kind), Some(Kind::List(_)));
        if !is_list("columns") || !is_list("ksc") {
            let why = "the file lacks \"columns\" or \"ksc\": TheDesk would erase its accounts and then fail to import \
                       it; export it again";
            return Ok(refused_all(NAME, &path, records, why));
        }
        let plan = TextPlan {
            connector: NAME,
            format: Format::Json5,
            root: &root,
            entries: &entries(&root),
            taken: Taken::Apart,
            insert: &|splice, name, record| insert(splice, accounts(&root), name, record),
            advice: "import the file in TheDesk (up to version 24; Settings, Import): all that it has now is replaced by \
                     what is in the file",
        };
        Ok(plan.prepared(file, request, records))
    }
}

/// The file itself; of a folder, the one with the default name, else the only one.
fn path(path: PathBuf) -> Result<PathBuf, Error> {
    let names = ENDINGS.map(|ending| format!("export{ending}"));
    if let Some(file) = place::file_in(&path, &names.each_ref().map(String::as_str)) {
        return Ok(file);
    }
    let mut files = exports(&path);
    match (files.pop(), files.is_empty()) {
        (Some(file), true) => Ok(file),
        (None, _) => Err(Error::NotFound {
            connector: NAME,
            path,
        }),
        (Some(_), false) => Err(Problem("it holds several exports: name one".to_owned()).at(&path)),
    }
}

/// The exports in a folder, in the order of their names.
fn exports(folder: &Path) -> Vec<PathBuf> {
    let mut files = place::entries(folder).unwrap_or_default();
    files.retain(|file| {
        let name = place::file_name(file);
        ENDINGS.iter().any(|ending| name.ends_with(ending)) && file.is_file()
    });
    files
}

/// What a file holds.
enum Kept {
    Export(Node),
    Storage(Vec<Entry<()>>),
}

fn parse(bytes: &[u8]) -> Result<Kept, Problem> {
    let root = Format::Json5.parse(bytes)?;
    if let Some(accounts) = accounts(&root) {
        let is_ours = ["columns", "ksc", "meta", "revisons"]
            .iter()
            .any(|key| root.get(key).is_some());
        if let Kind::List(list) = &accounts.value.kind {
            store::bounded(list.len())?;
        }
        return match &accounts.value.kind {
            Kind::List(list) if list.is_empty() && is_ours || list.iter().any(is_account) => {
                Ok(Kept::Export(root))
            }
            _ => Err(Problem("expected accounts in \"accts\"".to_owned())),
        };
    }
    // A value is a string that spells JSON, or that JSON itself.
    let text = |key: &str| {
        let node = root.get(key)?;
        let spelled = bytes.get(node.span.clone()).unwrap_or_default();
        let spelled = node.text().or(std::str::from_utf8(spelled).ok())?;
        Some(Text::new(spelled.to_owned()))
    };
    match storage::entries(&text)? {
        Some(entries) => Ok(Kept::Storage(entries)),
        None => Err(Problem(
            "expected \"accts\" (an export), or \"multi\" or \"accounts\" and \"servers\" (a local storage)"
                .to_owned(),
        )),
    }
}

fn accounts(root: &Node) -> Option<&Member> {
    let members = &mut root.members()?.iter().rev();
    members.find(|member| member.key == "accts")
}

/// Whether it has what only TheDesk calls so.
fn is_account(node: &Node) -> bool {
    node.get("at").is_some() && node.get("domain").is_some()
}

fn entries(root: &Node) -> Vec<Entry<Option<Spans<'_>>>> {
    let Some(Kind::List(list)) = accounts(root).map(|member| &member.value.kind) else {
        return Vec::new();
    };
    let entries = list.iter().map(|node| entry(node, spans(node, "at", None)));
    entries.collect()
}

/// An account as the export and the storage up to version 24 have it.
fn entry<P: Default>(account: &Node, place: P) -> Entry<P> {
    let text = |key: &str| account.get(key).and_then(Node::text).map(str::to_owned);
    let (user, domain) = (text("user"), text("domain"));
    let token = text_of(account, "at");
    let [refresh_token, client_id, client_secret] = login_of(text_of(account, "rt"));
    let skipped = match text("mode") {
        Some(mode) if mode == "misskey" => Skipped::other_software(&mode),
        _ if token.is_none() => Some(Skipped::unread("expected a string for \"at\"")),
        _ => None,
    };
    Entry {
        place,
        label: format!(
            "account \"{}\" of {}",
            shown(user.as_deref().unwrap_or_default()),
            shown(domain.as_deref().unwrap_or_default())
        ),
        instance: domain,
        user: user.filter(|user| user != PASTED_USER),
        token,
        refresh_token,
        // Without its client, the token may be of any app: people can paste one.
        app_name: client_id.as_ref().map(|_| "TheDesk(PC)".to_owned()),
        client_id: client_id.map(|text| text.as_str().to_owned()),
        client_secret,
        skipped,
        ..Entry::default()
    }
}

/// The refresh token, the client_id and the client_secret of a login.
fn login_of(rt: Option<Text>) -> [Option<Text>; 3] {
    let rt = rt.unwrap_or_default();
    let words: Vec<_> = rt.split(' ').collect();
    let known = |word: &str| {
        let is_known = !matches!(word, "" | "undefined" | "null");
        is_known.then(|| Text::new(word.to_owned()))
    };
    match words.as_slice() {
        [refresh_token, id, secret] => [known(refresh_token), known(id), known(secret)],
        _ => [None, None, None],
    }
}

/// Appends an account as TheDesk does with a pasted token; it looks up the rest when it starts.
fn insert(
    splice: &mut Splice<'_>,
    accounts: Option<&Member>,
    name: &str,
    record: &Record,
) -> Result<String, String> {
    let accounts = accounts.ok_or("the file has no accounts")?;
    let api = record.app.base_url.as_deref().and_then(values::instance);
    let domain = api.as_ref().unwrap_or(&record.instance).as_str();
    let mut fields = vec![("at", record.access_token.expose())];
    let refresh_token = record.refresh_token.as_ref().map(Secret::expose);
    let login = refresh_token
        .filter(|text| !text.is_empty() && values::is_visible(text))
        .zip(store::client_of(record))
        .map(|(refresh_token, (id, secret))| Text::new(format!("{refresh_token} {id} {secret}")));
    fields.extend(login.as_ref().map(|login| ("rt", login.as_str())));
    fields.extend([
        ("name", name),
        ("domain", domain),
        ("user", name),
        ("prof", "../../img/missing.svg"),
        ("id", "id+pseudo"),
        ("vis", "public"),
    ]);
    let added = splice.append(accounts, &fields);
    added.map_err(|why| format!("the account can't be added: {why}"))?;
    Ok(format!("account \"{}\" of {domain}", shown(name)))
}

/// How the names of exports end: since 18.9, before, and long before.
const ENDINGS: [&str; 3] = [".thedeskconfig.json5", ".thedeskconfigv2", ".thedeskconfig"];

/// The name of an account whose token was pasted.
const PASTED_USER: &str = "user+pseudo";

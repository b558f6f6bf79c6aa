//! Whalebird 5: `whalebird.db`, an SQLite database.
//!
//! Evidence: Whalebird 5.1, `src/main/database.ts`, `src/main/db/{account,server}.ts`. `servers.account_id` is an
//! `accounts.id`, a number of the program's own; `accounts.account_id` is what the server calls the account. A server
//! without an account is read as a guest. `sns` is the kind of server.

use std::path::Path;

use crate::{
    connectors::{
        Error, Prepared, WriteRequest,
        rewrite::refused_all,
        sqlite::{Database, Row, Value, Writer},
        store::{self, Editor, Entry, Skipped, Taken},
        values::{self, shown},
    },
    model::{Record, Secret},
};

use super::{APP, NAME, REDIRECT_URI};

/// The rows of the database, once it is sure that they are Whalebird's.
pub(super) struct Tables {
    accounts: Vec<Row>,
    servers: Vec<Row>,
}

impl Tables {
    /// Reads the rows.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::of(&Database::open(NAME, path)?)
    }

    fn of(database: &Database) -> Result<Self, Error> {
        database.require(ACCOUNTS, &["id", "username", "access_token", "sort"])?;
        database.require(SERVERS, SERVER_COLUMNS)?;
        let integers = ["id", "sort"];
        let columns = [ACCOUNT_TEXTS, &integers].concat();
        Ok(Self {
            accounts: database.rows(ACCOUNTS, &columns)?,
            servers: database.rows(SERVERS, SERVER_COLUMNS)?,
        })
    }

    /// The accounts, each placed by the number of its row, and servers that have none.
    pub(super) fn entries(&self) -> Vec<Entry<usize>> {
        let accounts = self.accounts.iter().enumerate();
        let entries = accounts.map(|(at, row)| entry(at, row, self.server_of(row)));
        let alone = self.servers.iter().filter_map(|server| {
            let id = server.integer("account_id");
            let is_there = &mut self.accounts.iter();
            let what = match id {
                None => "it is read without an account: nothing to import",
                Some(id) if is_there.any(|row| row.integer("id") == Some(id)) => return None,
                Some(_) => "its account is not there: nothing to import",
            };
            let domain = server.text("domain").map_or("", |text| text.as_str());
            Some(Entry {
                label: format!("server {}", shown(domain)),
                skipped: Some(Skipped::known(what)),
                ..Entry::default()
            })
        });
        entries.chain(alone).collect()
    }

    fn server_of(&self, account: &Row) -> Option<&Row> {
        let id = account.integer("id")?;
        let servers = &mut self.servers.iter();
        servers.find(|server| server.integer("account_id") == Some(id))
    }
}

fn entry(at: usize, account: &Row, server: Option<&Row>) -> Entry<usize> {
    let of_account = |column| account.text(column).map(|text| text.to_string());
    let of_server = |column| Some(server?.text(column)?.to_string());
    let (user, domain) = (of_account("username"), of_server("domain"));
    let wrong = account.not_text(ACCOUNT_TEXTS);
    let wrong = wrong.or_else(|| server?.not_text(&["domain", "base_url", "sns"]));
    let skipped = match (wrong, of_server("sns")) {
        (Some(column), _) => Some(Skipped::unread(format!("expected text in \"{column}\""))),
        (None, Some(sns)) => Skipped::other_software(&sns),
        (None, None) => None,
    };
    let user_shown = shown(user.as_deref().unwrap_or_default());
    Entry {
        place: at,
        label: match &domain {
            Some(domain) => format!("account \"{user_shown}\" of {}", shown(domain)),
            None => format!("account \"{user_shown}\""),
        },
        instance: domain,
        base_url: of_server("base_url"),
        user,
        token: account.text("access_token").cloned(),
        refresh_token: account.text("refresh_token").cloned(),
        client_id: of_account("client_id"),
        client_secret: account.text("client_secret").cloned(),
        app_name: Some(APP.to_owned()),
        redirect_uri: Some(REDIRECT_URI.to_owned()),
        skipped,
        ..Entry::default()
    }
}

/// The plan for these records.
pub(super) fn plan(
    path: &Path,
    request: &WriteRequest,
    records: &[Record],
) -> Result<Box<dyn Prepared>, Error> {
    let database = Database::open(NAME, path)?;
    let tables = Tables::of(&database)?;
    let mut editor = RowEditor {
        next: Next::after(&tables),
        filled: Vec::new(),
        tables: &tables,
        writer: database.writer()?,
        notes: Vec::new(),
        failed: None,
    };
    let changes = store::changes(&tables.entries(), records, Taken::Apart, &mut editor);
    let RowEditor {
        writer,
        mut notes,
        failed,
        ..
    } = editor;
    if let Some(why) = failed {
        return Ok(refused_all(NAME, path, records, &why));
    }
    if writer.has_changes() {
        notes.push("start Whalebird: it reads its accounts when it starts".to_owned());
    }
    writer.prepared(NAME, changes, notes, request)
}

/// What the next account gets: a number that none and no server has, and a place behind all others.
#[derive(Clone, Copy)]
struct Next {
    id: i64,
    sort: i64,
}

impl Next {
    fn after(tables: &Tables) -> Option<Self> {
        let highest = |rows: &[Row], column| {
            let numbers = rows.iter().filter_map(|row| row.integer(column));
            numbers.max().unwrap_or_default().max(0)
        };
        let id = highest(&tables.accounts, "id").max(highest(&tables.servers, "account_id"));
        Some(Self {
            id: id.checked_add(1)?,
            sort: highest(&tables.accounts, "sort").checked_add(1)?,
        })
    }

    fn following(self) -> Option<Self> {
        Some(Self {
            id: self.id.checked_add(1)?,
            sort: self.sort.checked_add(1)?,
        })
    }
}

/// Changes to the rows.
struct RowEditor<'a> {
    tables: &'a Tables,
    writer: Writer,
    next: Option<Next>,
    /// The servers that got an account, by their places in the table.
    filled: Vec<usize>,
    notes: Vec<String>,
    /// Why an account was left without its server: then nothing is written.
    failed: Option<String>,
}

impl Editor<usize> for RowEditor<'_> {
    fn update(&mut self, entry: &Entry<usize>, record: &Record) -> Result<bool, String> {
        let row = self.tables.accounts.get(entry.place);
        let row = row.ok_or_else(|| format!("{} can't be read", entry.label))?;
        let mut texts = vec![("access_token", record.access_token.expose())];
        match store::client_of(record) {
            Some((id, secret)) => texts.extend([("client_id", id), ("client_secret", secret)]),
            None => {
                self.notes.extend(store::kept_client(entry, record));
            }
        }
        let changes = self.writer.update(ACCOUNTS, row, &texts);
        changes.map_err(|why| format!("{}: {why}", entry.label))
    }

    fn insert(&mut self, name: &str, record: &Record) -> Result<String, String> {
        let (id, secret) = store::client_of(record)
            .ok_or("Whalebird needs client_id and client_secret of the app, which are not known")?;
        let next = self
            .next
            .ok_or("the accounts in the database are numbered too high to add one")?;
        let api = record.app.base_url.as_deref().and_then(values::instance);
        let domain = api.as_ref().unwrap_or(&record.instance).as_str();
        let text = |text: &str| Value::Text(text.to_owned());
        let refresh_token = record.refresh_token.as_ref().map(Secret::expose);
        let account = [
            ("id", Value::Integer(next.id)),
            ("username", text(name)),
            ("account_id", text("")),
            ("avatar", text("")),
            ("client_id", text(id)),
            ("client_secret", text(secret)),
            ("access_token", text(record.access_token.expose())),
            ("refresh_token", refresh_token.map_or(Value::Null, text)),
            ("sort", Value::Integer(next.sort)),
        ];
        self.writer.insert(ACCOUNTS, &account)?;
        if let Err(why) = self.attach(next.id, domain) {
            self.failed = Some(why.clone());
            return Err(why);
        }
        self.next = next.following();
        let label = format!("account \"{}\" of {domain}", shown(name));
        self.notes.push(format!(
            "{label}: its picture and its number on the server are not known: its own profile may not show in Whalebird"
        ));
        Ok(label)
    }
}

impl RowEditor<'_> {
    /// Gives an account the server of this domain that is read without one, else a new one.
    fn attach(&mut self, account: i64, domain: &str) -> Result<(), String> {
        let is_free = |(at, server): &(usize, &Row)| {
            let text = |column| server.text(column).map_or("", |text| text.as_str());
            server.integer("account_id").is_none()
                && values::instance(text("domain")).is_some_and(|found| found.as_str() == domain)
                && Skipped::other_software(text("sns")).is_none()
                && !self.filled.contains(at)
        };
        let servers = &mut self.tables.servers.iter().enumerate();
        if let Some((at, server)) = servers.find(is_free) {
            self.filled.push(at);
            // The column makes a number of it.
            let id = account.to_string();
            self.writer
                .update(SERVERS, server, &[("account_id", &id)])?;
            return Ok(());
        }
        let text = |text: &str| Value::Text(text.to_owned());
        let server = [
            ("domain", text(domain)),
            ("base_url", text(&format!("https://{domain}"))),
            ("sns", text("mastodon")),
            ("account_id", Value::Integer(account)),
        ];
        self.writer.insert(SERVERS, &server)?;
        Ok(())
    }
}

const ACCOUNTS: &str = "accounts";
const SERVERS: &str = "servers";
const ACCOUNT_TEXTS: &[&str] = &[
    "username",
    "client_id",
    "client_secret",
    "access_token",
    "refresh_token",
];
const SERVER_COLUMNS: &[&str] = &["domain", "base_url", "sns", "account_id"];

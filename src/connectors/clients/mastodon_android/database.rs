//! `accounts.db`: a row for each account, with JSON texts in its columns. Of these, too, only the spans of values change.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, WriteRequest,
        sqlite::{Database, Row, Writer},
        store::{self, Editor, Entry, Skipped, Taken, Text},
        values::shown,
    },
    document::{Format, Node, Splice, SpliceError},
    model::{Record, Snapshot},
};

use super::{ADVICE, NAME, NO_INSERT, Session, set_client, set_token};

pub(super) fn read(
    path: &Path,
    request: &ReadRequest,
    snapshot: &mut Snapshot,
) -> Result<(), Error> {
    let database = Database::open(NAME, path)?;
    let accounts = accounts(&database)?;
    database.tell_age(snapshot);
    store::import(&entries(&accounts), request, snapshot);
    Ok(())
}

pub(super) fn plan(
    path: &Path,
    request: &WriteRequest,
    records: &[Record],
) -> Result<Box<dyn Prepared>, Error> {
    let database = Database::open(NAME, path)?;
    let accounts = accounts(&database)?;
    let mut rows = Rows {
        accounts: &accounts,
        writer: database.writer()?,
        notes: Vec::new(),
    };
    let changes = store::changes(&entries(&accounts), records, Taken::Apart, &mut rows);
    let Rows {
        writer, mut notes, ..
    } = rows;
    if writer.has_changes() {
        notes.push(ADVICE.to_owned());
    }
    writer.prepared(NAME, changes, notes, request)
}

/// A row, and its JSON texts as far as they could be read.
struct Account {
    row: Row,
    account: Option<Node>,
    token: Option<Node>,
    app: Option<Node>,
    problem: Option<String>,
}

fn accounts(database: &Database) -> Result<Vec<Account>, Error> {
    database.require(TABLE, COLUMNS)?;
    let rows = database.rows(TABLE, COLUMNS)?.into_iter();
    Ok(rows.map(Account::of).collect())
}

impl Account {
    fn of(row: Row) -> Self {
        let wrong = row.not_text(COLUMNS);
        let mut problem = wrong.map(|column| format!("expected text in \"{column}\""));
        let mut json = |column: &str| {
            let parsed = Format::Json.parse(row.text(column)?.as_bytes());
            match parsed {
                Ok(node) => Some(node),
                Err(error) => {
                    problem.get_or_insert(format!("its \"{column}\" is no JSON: {error}"));
                    None
                }
            }
        };
        Self {
            account: json("account_obj"),
            token: json("token"),
            app: json("application"),
            problem,
            row,
        }
    }

    fn entry(&self, place: usize) -> Entry<usize> {
        let text = self.row.text("token").map_or("", |text| text.as_str());
        let session = Session {
            domain: self.row.text("domain").map(|text| text.as_str()),
            account: self.account.as_ref(),
            token: self.token.as_ref(),
            token_text: text.as_bytes(),
            app: self.app.as_ref(),
        };
        let mut entry = session.entry(place);
        if let Some(problem) = &self.problem {
            let id = self.row.text("id").map_or("?", |text| text.as_str());
            entry.label = format!("account {}", shown(id));
            entry.skipped = Some(Skipped::unread(problem));
        }
        entry
    }
}

fn entries(accounts: &[Account]) -> Vec<Entry<usize>> {
    let accounts = accounts.iter().enumerate();
    accounts
        .map(|(place, account)| account.entry(place))
        .collect()
}

struct Rows<'a> {
    accounts: &'a [Account],
    writer: Writer,
    notes: Vec<String>,
}

impl Editor<usize> for Rows<'_> {
    fn update(&mut self, entry: &Entry<usize>, record: &Record) -> Result<bool, String> {
        let at = |why: String| format!("{}: {why}", entry.label);
        let account = self.accounts.get(entry.place);
        let account = account.ok_or_else(|| at("it is gone".to_owned()))?;
        let set = |column: &str, node: &Option<Node>, what: Set| -> Result<Text, SpliceError> {
            let text = account.row.text(column).map_or("", |text| text.as_str());
            match node {
                Some(node) => spliced(text, node, |splice| what(splice, node, record)),
                None => Ok(Zeroizing::new(text.to_owned())),
            }
        };
        let token = set("token", &account.token, &set_token);
        let app = set("application", &account.app, &|splice, node, record| {
            set_client(splice, node, record).map(|_| ())
        });
        let (token, app) = match (token, app) {
            (Ok(token), Ok(app)) => (token, app),
            (Err(why), _) | (_, Err(why)) => return Err(at(why.to_string())),
        };
        let mut texts = vec![("token", token.as_str())];
        if account.app.is_some() {
            texts.push(("application", app.as_str()));
        }
        self.notes.extend(store::kept_client(entry, record));
        self.writer.update(TABLE, &account.row, &texts).map_err(at)
    }

    fn insert(&mut self, _: &str, _: &Record) -> Result<String, String> {
        Err(NO_INSERT.to_owned())
    }
}

type Set<'a> = &'a dyn Fn(&mut Splice<'_>, &Node, &Record) -> Result<(), SpliceError>;

/// A JSON text with some of its values replaced.
fn spliced(
    text: &str,
    root: &Node,
    set: impl FnOnce(&mut Splice<'_>) -> Result<(), SpliceError>,
) -> Result<Text, SpliceError> {
    let mut splice = Splice::new(Format::Json, text.as_bytes(), root);
    set(&mut splice)?;
    let bytes = splice.finish()?.apply(text.as_bytes());
    let text = std::str::from_utf8(&bytes).map_err(|_| SpliceError::Differs)?;
    Ok(Zeroizing::new(text.to_owned()))
}

const TABLE: &str = "accounts";
const COLUMNS: &[&str] = &["id", "domain", "account_obj", "token", "application"];

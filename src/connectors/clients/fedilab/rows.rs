//! The table of accounts.

use crate::{
    connectors::{
        Error,
        sqlite::{Database, Row, Writer},
        store::{self, Editor, Entry, Skipped, Text},
        values::shown,
    },
    document::Format,
    model::Record,
};

/// The accounts, once it is sure that they are Fedilab's.
pub(super) fn rows(database: &Database) -> Result<Vec<Row>, Error> {
    database.require(TABLE, &["USER_ID", "INSTANCE", "TOKEN", "ACCOUNT"])?;
    database.rows(TABLE, COLUMNS)
}

/// Each with the place of its row in the list.
pub(super) fn entries(rows: &[Row]) -> Vec<Entry<usize>> {
    let rows = rows.iter().enumerate();
    rows.map(|(place, row)| entry(place, row)).collect()
}

fn entry(place: usize, row: &Row) -> Entry<usize> {
    let text = |column| row.text(column).map(|text| text.to_string());
    let mut skipped = row
        .not_text(COLUMNS)
        .map(|column| Skipped::unread(format!("expected text in \"{column}\"")));
    // An UNKNOWN server was taken for one like Mastodon.
    if let Some(api) = text("API").filter(|api| api != "UNKNOWN") {
        skipped = skipped.or_else(|| Skipped::other_software(&api.to_ascii_lowercase()));
    }
    let account = row.text("ACCOUNT").map_or("", |text| text.as_str());
    let mut user = None;
    match Format::Json.parse(account.as_bytes()) {
        Ok(account) => {
            let name = account.get("username").and_then(|node| node.text());
            user = name.map(str::to_owned);
        }
        Err(error) if skipped.is_none() => {
            let what = format!("its \"ACCOUNT\" is no JSON: {error}");
            skipped = Some(Skipped::unread(what));
        }
        Err(_) => {}
    }
    let name = match &user {
        Some(user) => shown(user),
        None => format!("number {}", shown(&text("USER_ID").unwrap_or_default())),
    };
    let instance = text("INSTANCE");
    Entry {
        place,
        label: format!(
            "account {name} of {}",
            shown(instance.as_deref().unwrap_or_default())
        ),
        instance,
        user,
        token: row.text("TOKEN").cloned(),
        refresh_token: row.text("REFRESH_TOKEN").cloned(),
        client_id: text("APP_CLIENT_ID"),
        client_secret: row.text("APP_CLIENT_SECRET").cloned(),
        redirect_uri: Some(REDIRECT_URI.to_owned()),
        skipped,
        ..Entry::default()
    }
}

/// Changes to the rows.
pub(super) struct Accounts<'a> {
    rows: &'a [Row],
    pub(super) writer: Writer,
    pub(super) changed: Vec<Changed>,
    pub(super) notes: Vec<String>,
}

/// An account that got another token.
pub(super) struct Changed {
    pub(super) user_id: String,
    pub(super) instance: String,
    pub(super) token: Text,
}

impl<'a> Accounts<'a> {
    pub(super) fn of(rows: &'a [Row], writer: Writer) -> Self {
        Self {
            rows,
            writer,
            changed: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl Editor<usize> for Accounts<'_> {
    fn update(&mut self, entry: &Entry<usize>, record: &Record) -> Result<bool, String> {
        let at = |why: String| format!("{}: {why}", entry.label);
        let row = self.rows.get(entry.place);
        let row = row.ok_or_else(|| at("it is gone".to_owned()))?;
        let former = row.text("TOKEN").map_or("", |text| text.as_str());
        let token = record.access_token.expose();
        let token = if former.trim().is_empty() {
            format!("Bearer {token}").into()
        } else {
            store::in_place_of(former, token)
        };
        let mut texts = vec![("TOKEN", token.as_str())];
        if let Some(refresh_token) = &record.refresh_token {
            texts.push(("REFRESH_TOKEN", refresh_token.expose()));
        }
        match store::client_of(record) {
            Some((id, secret)) => {
                texts.extend([("APP_CLIENT_ID", id), ("APP_CLIENT_SECRET", secret)]);
            }
            None => {
                let note = store::kept_client(entry, record);
                self.notes
                    .extend(note.filter(|note| !self.notes.contains(note)));
            }
        }
        texts.retain(|(column, _)| row.has(column));
        let changes = self.writer.update(TABLE, row, &texts).map_err(at)?;
        if changes {
            let text = |column| row.text(column).map(|text| text.to_string());
            self.changed.push(Changed {
                user_id: text("USER_ID").unwrap_or_default(),
                instance: text("INSTANCE").unwrap_or_default(),
                token: record.access_token.expose().to_owned().into(),
            });
        }
        Ok(changes)
    }

    fn insert(&mut self, _: &str, _: &Record) -> Result<String, String> {
        Err("an account can't be added, Fedilab needs its whole profile: log in to it in Fedilab once, then restore".to_owned())
    }
}

const TABLE: &str = "USER_ACCOUNT";
const COLUMNS: &[&str] = &[
    "USER_ID",
    "INSTANCE",
    "API",
    "TOKEN",
    "REFRESH_TOKEN",
    "ACCOUNT",
    "APP_CLIENT_ID",
    "APP_CLIENT_SECRET",
];
const REDIRECT_URI: &str = "fedilab://backtofedilab";

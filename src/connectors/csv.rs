//! `export csv`: a header and one record a line, for spreadsheets and reports.
//!
//! Spreadsheets run cells that begin with `=`, `+`, `-`, `@`, a tab or a carriage return as formulas, and names in a
//! vault come from strangers. So a cell that begins with one of these, or with `'`, gets a `'` in front: whoever reads
//! the file with a program takes one leading `'` away and has the value again (tokens may begin with `-`). Unknown is
//! an empty cell; lists are joined by single spaces. Secret columns are there only with [`Reveal::Yes`].

use zeroize::Zeroizing;

use crate::model::{Record, Scopes, Secret};

use super::json::Reveal;

/// The records as CSV (RFC 4180, with `\n` at the end of lines), in UTF-8.
pub fn export<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    reveal: Reveal,
) -> Zeroizing<String> {
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| reveal == Reveal::Yes || !column.secret)
        .collect();
    let mut text = Zeroizing::new(String::new());
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    text.push_str(&names.join(","));
    text.push('\n');
    for record in records {
        let cells = columns
            .iter()
            .map(|column| Zeroizing::new(cell(&(column.value)(record))));
        let cells: Vec<_> = cells.collect();
        let length = cells.iter().map(|cell| cell.len() + 1).sum();
        text = with_room(text, length);
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(cell);
        }
        text.push('\n');
    }
    text
}

/// The same text with room for `more` bytes; the former buffer, when a larger one was needed, is wiped.
fn with_room(text: Zeroizing<String>, more: usize) -> Zeroizing<String> {
    if text.capacity() - text.len() >= more {
        return text;
    }
    let mut larger = Zeroizing::new(String::with_capacity((text.len() + more) * 2));
    larger.push_str(&text);
    larger
}

fn cell(value: &str) -> String {
    let guarded = value.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']);
    let quoted = value.contains(['"', ',', '\n', '\r']) || value.starts_with([' ', '\t']);
    let mut cell = String::with_capacity(value.len() * 2 + 3);
    if quoted {
        cell.push('"');
    }
    if guarded {
        cell.push('\'');
    }
    for c in value.chars() {
        if c == '"' {
            cell.push('"');
        }
        cell.push(c);
    }
    if quoted {
        cell.push('"');
    }
    cell
}

struct Column {
    name: &'static str,
    secret: bool,
    value: fn(&Record) -> Zeroizing<String>,
}

const fn open(name: &'static str, value: fn(&Record) -> Zeroizing<String>) -> Column {
    Column {
        name,
        secret: false,
        value,
    }
}

const fn secret(name: &'static str, value: fn(&Record) -> Zeroizing<String>) -> Column {
    Column {
        name,
        secret: true,
        value,
    }
}

fn text(value: Option<&str>) -> Zeroizing<String> {
    Zeroizing::new(value.unwrap_or_default().to_owned())
}

fn shown(value: Option<impl ToString>) -> Zeroizing<String> {
    Zeroizing::new(value.map(|value| value.to_string()).unwrap_or_default())
}

fn places(record: &Record) -> Zeroizing<String> {
    let places = record.sightings.iter().map(|sighting| {
        let key = &sighting.source.key;
        format!("{}:{}", key.connector, key.location)
    });
    Zeroizing::new(places.collect::<Vec<_>>().join(" "))
}

/// In the order of the JSON record.
const COLUMNS: &[Column] = &[
    open("id", |r| shown(Some(r.short_id()))),
    open("instance", |r| text(Some(r.instance.as_str()))),
    open("user", |r| text(r.user.name())),
    open("app", |r| text(r.app.name.as_deref())),
    open("client_id", |r| text(r.app.client_id.as_deref())),
    secret("client_secret", |r| {
        text(r.app.client_secret.as_ref().map(Secret::expose))
    }),
    open("redirect_uris", |r| {
        shown(Some(r.app.redirect_uris.join(" ")))
    }),
    open("app_scopes", |r| {
        text(r.app.scopes.as_ref().map(Scopes::as_str))
    }),
    open("website", |r| text(r.app.website.as_deref())),
    secret("access_token", |r| text(Some(r.access_token.expose()))),
    secret("refresh_token", |r| {
        text(r.refresh_token.as_ref().map(Secret::expose))
    }),
    open("token_type", |r| text(Some(&r.token_type))),
    open("scopes", |r| text(r.scopes.as_ref().map(Scopes::as_str))),
    open("created_at", |r| shown(r.created_at)),
    open("expires_at", |r| shown(r.expires_at)),
    open("revoked_at", |r| shown(r.revoked_at)),
    open("status", |r| text(Some(r.status.as_str()))),
    open("first_seen", |r| shown(r.first_seen())),
    open("last_seen", |r| {
        shown(r.sightings.iter().map(|sighting| sighting.last_seen).max())
    }),
    open("sources", places),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::testing::record;

    #[test]
    fn a_formula_is_never_the_beginning_of_a_cell() {
        let mut hostile = record("mastodon.example", Some("alice"), "-Zlvb");
        hostile.app.name = Some("=HYPERLINK(\"http://x\",\"y\")".to_owned());
        hostile.app.website = Some("'x".to_owned());
        let text = export([&hostile], Reveal::Yes);
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().unwrap().clone();
        let row = reader.records().next().unwrap().unwrap();
        let field = |name: &str| {
            let at = names.iter().position(|known| known == name).unwrap();
            row.get(at).unwrap().to_owned()
        };
        assert_eq!(field("app"), "'=HYPERLINK(\"http://x\",\"y\")");
        assert_eq!(field("access_token"), "'-Zlvb");
        assert_eq!(field("website"), "''x");
        assert_eq!(field("user"), "alice");
    }

    #[test]
    fn secrets_have_no_column_without_reveal() {
        let mut record = record("mastodon.example", Some("alice"), "token-1");
        record.app.client_secret = Some("secret-1".into());
        let text = export([&record], Reveal::No);
        assert!(!text.contains("token-1") && !text.contains("secret"));
        assert_eq!(text.lines().count(), 2);
    }
}

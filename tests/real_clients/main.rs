//! The clients' own code: what it writes we read, what we write it reads.
//!
//! Nothing here needs a network once the clients are installed; Mastodon.py logs in to a server that its test script
//! runs on the loopback device. A client that can't be installed is skipped with a word.

#![expect(
    clippy::unwrap_used,
    reason = "test helpers outside of #[test] functions"
)]

mod emacs;
mod nedb;
#[path = "../python/mod.rs"]
mod python;
mod python_clients;

use std::path::Path;

use serde_json::Value;
use tuskvault::{
    connectors::{ReadRequest, WriteRequest, find},
    model::{AppView, Domain, Outcome, Record, Secret, Snapshot, Status, TokenId, User},
};

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn import(connector: &str, path: &Path) -> Snapshot {
    let request = ReadRequest {
        path: path.to_owned(),
        instance: None,
        user: None,
        host: "laptop".to_owned(),
    };
    find(connector).unwrap().read(&request).unwrap()
}

fn restore(connector: &str, path: &Path, records: &[Record]) -> Outcome {
    let request = WriteRequest {
        path: path.to_owned(),
        now: "2026-03-01T12:00:00Z".parse().unwrap(),
        replace_app: false,
    };
    let sink = find(connector).unwrap().sink().unwrap();
    sink.plan(&request, records).unwrap().apply().unwrap()
}

/// Accounts and their tokens, sorted.
fn held(snapshot: &Snapshot) -> Vec<(String, String)> {
    let tokens = snapshot.tokens.iter().map(|token| {
        let mut accounts = snapshot.accounts.iter();
        let account = accounts.find(|row| Some(row.key) == token.body.account);
        let name = account.and_then(|row| row.body.username.as_deref());
        let account = format!("{}@{}", name.unwrap_or("?"), token.body.instance);
        (account, token.body.access_token.expose().to_owned())
    });
    let mut tokens: Vec<_> = tokens.collect();
    tokens.sort();
    tokens
}

/// An active record of which only this is known.
fn record(instance: &str, user: Option<&str>, token: &str) -> Record {
    Record {
        id: TokenId([7; 16]),
        id_digits: TokenId::LEAST_DIGITS,
        instance: Domain::parse(instance).unwrap(),
        user: user.map_or(User::Unknown, |name| User::Named(name.to_owned())),
        account_created_at: None,
        app: AppView::default(),
        access_token: Secret::from(token),
        refresh_token: None,
        token_type: "Bearer".to_owned(),
        scopes: None,
        created_at: None,
        expires_at: None,
        revoked_at: None,
        status: Status::Active,
        sightings: Vec::new(),
        disagreements: Vec::new(),
        verified: None,
    }
}

//! Accounts of Whalebird 6 as a JSON list, which a person took out of its database in the developer tools.
//!
//! Evidence: Whalebird 6, `renderer/db.ts` (the store `accounts` of the IndexedDB `whalebird`). Each object has `domain`,
//! `url`, `sns` (the kind of server), `username`, `client_id`, `client_secret`, `access_token` and `refresh_token`.

use crate::{
    connectors::{
        error::Problem,
        store::{self, Entry, Skipped, text_of},
        values::shown,
    },
    document::{Format, Kind, Node},
};

use super::{APP, REDIRECT_URI};

/// The accounts of the list.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Entry<()>>, Problem> {
    let root = Format::Json.parse(bytes)?;
    let is_account = |node: &Node| {
        let keys = ["access_token", "url", "sns"];
        keys.iter().all(|key| node.get(key).is_some())
    };
    match &root.kind {
        Kind::List(list) if list.iter().any(is_account) => {
            store::bounded(list.len())?;
            Ok(list.iter().map(entry).collect())
        }
        _ => Err(Problem(
            "expected a list of accounts with \"access_token\", \"url\" and \"sns\"".to_owned(),
        )),
    }
}

fn entry(account: &Node) -> Entry<()> {
    let text = |key: &str| account.get(key).and_then(Node::text).map(str::to_owned);
    let token = text_of(account, "access_token");
    let (user, domain) = (text("username"), text("domain"));
    let skipped = match text("sns") {
        _ if token.is_none() => Some(Skipped::unread("expected a string for \"access_token\"")),
        Some(sns) => Skipped::other_software(&sns),
        None => None,
    };
    Entry {
        label: format!(
            "account \"{}\" of {}",
            shown(user.as_deref().unwrap_or_default()),
            shown(domain.as_deref().unwrap_or_default())
        ),
        instance: domain,
        base_url: text("url"),
        user,
        token,
        refresh_token: text_of(account, "refresh_token"),
        client_id: text("client_id"),
        client_secret: text_of(account, "client_secret"),
        app_name: Some(APP.to_owned()),
        redirect_uri: Some(REDIRECT_URI.to_owned()),
        skipped,
        ..Entry::default()
    }
}

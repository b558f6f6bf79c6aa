//! What TheDesk keeps in Chromium's local storage: up to version 24 `multi`, from version 25 on `accounts` and `servers`.
//!
//! Evidence: TheDesk 24.2.1, `app/js/common/storage.ts`; TheDesk 25 (package `thedesk-next`), where it stores `accounts`
//! and `servers` and registers its app. Each key's value is JSON. `servers[].account_id` is an `accounts[].id`, a number of the program's own, chosen as the
//! number of accounts + 1: once an account was deleted, two can have the same, and the program takes the first.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    connectors::{
        error::Problem,
        store::{Entry, Skipped, Text, bounded, text_of},
        values::shown,
    },
    document::{Format, Kind, Node},
};

/// The accounts in a local storage, given the text of a key; `None` where it is not TheDesk's.
pub(in crate::connectors) fn entries(
    text: &dyn Fn(&str) -> Option<Text>,
) -> Result<Option<Vec<Entry<()>>>, Problem> {
    let multi = List::of("multi", text)?;
    let (accounts, servers) = (List::of("accounts", text)?, List::of("servers", text)?);
    let mut found = None;
    if let Some(multi) = multi.filter(|multi| multi.may_hold(super::is_account)) {
        let entries = multi.items().iter().map(|node| super::entry(node, ()));
        found = Some(entries.collect());
    }
    if let (Some(accounts), Some(servers)) = (accounts, servers)
        && accounts.may_hold(|node| node.get("access_token").is_some())
        && servers.may_hold(|node| node.get("sns").is_some())
    {
        let found: &mut Vec<_> = found.get_or_insert_default();
        found.extend(joined(&accounts, &servers));
    }
    Ok(found)
}

/// A list that the text of a key spells.
struct List {
    text: Text,
    root: Node,
}

impl List {
    /// `None` where the key is not there, or holds something else.
    fn of(key: &str, text: &dyn Fn(&str) -> Option<Text>) -> Result<Option<Self>, Problem> {
        let Some(text) = text(key) else {
            return Ok(None);
        };
        let root = Format::Json5.parse(text.as_bytes());
        let root = root.map_err(|error| Problem(format!("in \"{key}\": {error}")))?;
        let Kind::List(items) = &root.kind else {
            return Ok(None);
        };
        bounded(items.len())?;
        Ok(Some(Self { text, root }))
    }

    fn items(&self) -> &[Node] {
        match &self.root.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// Whether it is empty, or one of its items at least is like this: others may be damaged.
    fn may_hold(&self, is_like: impl Fn(&Node) -> bool) -> bool {
        self.items().is_empty() || self.items().iter().any(is_like)
    }

    /// A number, as it is spelled: they are compared, never counted with.
    fn number(&self, item: &Node, key: &str) -> Option<&str> {
        let node = item.get(key)?;
        let spelled = self.text.get(node.span.clone())?;
        let is_number = spelled.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        is_number.then_some(spelled)
    }
}

/// The accounts with their servers, and what belongs to no other.
fn joined(accounts: &List, servers: &List) -> Vec<Entry<()>> {
    let mut entries = Vec::new();
    let (mut taken, mut joined) = (BTreeSet::new(), BTreeSet::<usize>::new());
    let mut firsts = BTreeMap::new();
    for (at, server) in servers.items().iter().enumerate() {
        let id = servers.number(server, "account_id");
        id.map(|id| firsts.entry(id).or_insert(at));
    }
    for account in accounts.items() {
        let id = accounts.number(account, "id");
        let is_first = id.is_none_or(|id| taken.insert(id));
        let at = id.filter(|_| is_first).and_then(|id| firsts.get(id));
        joined.extend(at);
        let mut entry = entry(account, at.and_then(|at| servers.items().get(*at)));
        if !is_first {
            let what = "it has the number of another account, so that its instance is not known: log in to it in \
                        TheDesk once more";
            entry.skipped = Some(Skipped::unread(what));
        }
        entries.push(entry);
    }
    for (at, server) in servers.items().iter().enumerate() {
        if joined.contains(&at) {
            continue;
        }
        let id = servers.number(server, "account_id");
        let skipped = match id {
            None => Skipped::known("it is read without an account: nothing to import"),
            Some(id) if taken.contains(id) => Skipped::unread(
                "its account has the number of another one, which was taken to be of the first server",
            ),
            Some(_) => Skipped::known("its account is not there: nothing to import"),
        };
        let domain = server.get("domain").and_then(Node::text);
        entries.push(Entry {
            label: format!("server {}", shown(domain.unwrap_or_default())),
            skipped: Some(skipped),
            ..Entry::default()
        });
    }
    entries
}

fn entry(account: &Node, server: Option<&Node>) -> Entry<()> {
    let text = |key: &str| account.get(key).and_then(Node::text).map(str::to_owned);
    let of_server = |key: &str| server?.get(key)?.text().map(str::to_owned);
    let (user, domain) = (text("username"), of_server("domain"));
    let token = text_of(account, "access_token");
    let skipped = match of_server("sns") {
        _ if token.is_none() => Some(Skipped::unread("expected a string for \"access_token\"")),
        Some(sns) => Skipped::other_software(&sns),
        None => None,
    };
    let user_shown = shown(user.as_deref().unwrap_or_default());
    Entry {
        place: (),
        label: match &domain {
            Some(domain) => format!("account \"{user_shown}\" of {}", shown(domain)),
            None => format!("account \"{user_shown}\""),
        },
        instance: domain,
        base_url: of_server("base_url"),
        user,
        token,
        refresh_token: text_of(account, "refresh_token"),
        client_id: text("client_id"),
        client_secret: text_of(account, "client_secret"),
        app_name: Some("TheDesk(Desktop)".to_owned()),
        skipped,
        ..Entry::default()
    }
}

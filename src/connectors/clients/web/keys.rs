//! The accounts of each client, by the keys under which it keeps them.
//!
//! Whoever holds a browser's local storage, as a dump or as the database itself, says what stands under a key.

use std::{collections::BTreeMap, ops::Range};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    connectors::{
        store::{Entry, MAX_ACCOUNTS, Skipped, Text, text_of},
        values::shown,
    },
    document::{Format, Kind, Node},
};

/// Where an account's token stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The key of local storage.
    pub(crate) key: &'static str,
    /// The string, quotes included, in bytes of the key's text.
    pub(crate) token: Range<usize>,
}

/// What stands under the keys, and what of it is an account. `text` gives the text of a key of local storage; what is
/// JSON there is text here.
pub(crate) fn entries(text: &dyn Fn(&str) -> Option<Text>) -> Vec<Entry<Option<Spot>>> {
    let value = |key| Some(Value::of(key, text(key)?));
    let mut entries = Vec::new();
    match value(ELK) {
        Some(users) => entries.extend(elk(&users)),
        // It is moved elsewhere when a newer version starts.
        None if text(ELK_CURRENT).is_some() => entries.push(Entry {
            label: "Elk".to_owned(),
            skipped: Some(Skipped::known(IN_INDEXED_DB)),
            ..Entry::default()
        }),
        None => {}
    }
    if let Some(accounts) = value(PHANPY) {
        entries.extend(phanpy(&accounts, value(PHANPY_APPS).as_ref()));
    }
    if let Some(instances) = value(PINAFORE) {
        entries.extend(pinafore(&instances));
    }
    if let Some(state) = value(SENGI) {
        entries.extend(sengi(&state));
    }
    entries
}

/// The text of a key, and what it is as JSON.
struct Value {
    key: &'static str,
    text: Text,
    root: Option<Node>,
}

impl Value {
    fn of(key: &'static str, text: Text) -> Self {
        let root = Format::Json.parse(text.as_bytes()).ok();
        Self { key, text, root }
    }

    fn items(&self) -> Option<&[Node]> {
        match &self.root.as_ref()?.kind {
            Kind::List(items) if items.len() <= MAX_ACCOUNTS => Some(items),
            _ => None,
        }
    }

    /// What is told of a value that is not as the client writes it.
    fn unread(&self, client: &str) -> Vec<Entry<Option<Spot>>> {
        vec![Entry {
            label: client.to_owned(),
            skipped: Some(Skipped::unread(format!(
                "what stands under \"{}\" can't be read",
                self.key
            ))),
            ..Entry::default()
        }]
    }

    /// The account in `holder`, whose token is this.
    fn entry(
        &self,
        client: &str,
        user: Option<String>,
        instance: Option<String>,
        holder: &Node,
        token: Option<&Node>,
    ) -> Entry<Option<Spot>> {
        let token = token.filter(|token| !matches!(token.kind, Kind::Null));
        let is_read = match token {
            Some(token) => token.text().is_some(),
            None => holder.members().is_some(),
        };
        let text = token.and_then(Node::text);
        let name = user.as_deref().unwrap_or("?");
        let on = instance.as_deref().unwrap_or("?");
        Entry {
            place: token.filter(|_| text.is_some()).map(|token| Spot {
                key: self.key,
                token: token.span.clone(),
            }),
            label: format!("{client}'s account \"{}\" of {}", shown(name), shown(on)),
            token: text.map(|text| Zeroizing::new(text.to_owned())),
            skipped: (!is_read).then(|| Skipped::unread("expected a string for its token")),
            instance,
            user,
            ..Entry::default()
        }
    }

    /// A time in seconds.
    fn time(&self, node: Option<&Node>) -> Option<Timestamp> {
        let spelled = self.text.get(node?.span.clone())?;
        Timestamp::from_second(spelled.parse().ok()?).ok()
    }
}

fn string(node: &Node, key: &str) -> Option<String> {
    text_of(node, key).map(|text| text.as_str().to_owned())
}

/// An array of users; one without a token only looks at a server.
fn elk(users: &Value) -> Vec<Entry<Option<Spot>>> {
    let Some(items) = users.items() else {
        return users.unread("Elk");
    };
    let entries = items.iter().map(|user| {
        let account = user.get("account");
        let name = account
            .and_then(|account| string(account, "username").or_else(|| string(account, "acct")));
        let token = user.get("token");
        let entry = users.entry("Elk", name, string(user, "server"), user, token);
        let is_guest = account.is_some() && token.is_none();
        Entry {
            skipped: if is_guest {
                Some(Skipped::known("it is a visit as a guest, without a token"))
            } else {
                entry.skipped
            },
            ..entry
        }
    });
    entries.collect()
}

/// An array of accounts under a name that others use, too; the apps by instance.
fn phanpy(accounts: &Value, apps: Option<&Value>) -> Vec<Entry<Option<Spot>>> {
    let is_ours = |account: &Node| account.get("instanceURL").is_some();
    let Some(items) = accounts.items().filter(|items| items.iter().any(is_ours)) else {
        return Vec::new();
    };
    let apps = apps.and_then(|apps| apps.root.as_ref()?.members());
    let apps = apps.into_iter().flatten();
    let apps: BTreeMap<_, _> = apps.map(|app| (app.key.as_str(), &app.value)).collect();
    let entries = items.iter().map(|account| {
        let info = account.get("info");
        let name = info.and_then(|info| string(info, "username").or_else(|| string(info, "acct")));
        let instance = string(account, "instanceURL");
        let app = instance.as_deref().and_then(|host| apps.get(host).copied());
        let token = account.get("accessToken");
        let entry = accounts.entry("Phanpy", name, instance, account, token);
        of_app(entry, app)
    });
    entries.collect()
}

/// The reply to the request for a token by instance: one account each, and nobody knows whose.
fn pinafore(instances: &Value) -> Vec<Entry<Option<Spot>>> {
    let members = instances.root.as_ref().and_then(Node::members);
    let Some(members) = members.filter(|members| members.len() <= MAX_ACCOUNTS) else {
        return instances.unread("Pinafore");
    };
    let entries = members.iter().map(|member| {
        let (host, reply) = (member.key.clone(), &member.value);
        let token = reply.get("access_token");
        let entry = instances.entry("Pinafore", None, Some(host), reply, token);
        of_reply(entry, instances, reply)
    });
    entries.collect()
}

/// The state of the whole program, whose key is that of a library.
fn sengi(state: &Value) -> Vec<Entry<Option<Spot>>> {
    let list = |name: &str, inside: &str| {
        let list = state.root.as_ref()?.get(name)?.get(inside)?;
        match &list.kind {
            Kind::List(items) if items.len() <= MAX_ACCOUNTS => Some(items),
            _ => None,
        }
    };
    let Some(accounts) = list("registeredaccounts", "accounts") else {
        let is_ours = state.text.contains("\"registeredaccounts\"");
        return if is_ours {
            state.unread("Sengi")
        } else {
            Vec::new()
        };
    };
    let apps = list("registeredapps", "apps").into_iter().flatten();
    let apps = apps.filter_map(|app| Some((app.get("instance")?.text()?, app.get("app")?)));
    let apps: BTreeMap<_, _> = apps.collect();
    let entries = accounts.iter().map(|account| {
        let (name, instance) = (string(account, "username"), string(account, "instance"));
        let app = instance.as_deref().and_then(|host| apps.get(host).copied());
        let reply = account.get("token");
        let token = reply.and_then(|reply| reply.get("access_token"));
        let holder = reply.filter(|reply| !matches!(reply.kind, Kind::Null));
        let entry = state.entry("Sengi", name, instance, holder.unwrap_or(account), token);
        let entry = of_app(entry, app);
        match reply {
            Some(reply) => of_reply(entry, state, reply),
            None => entry,
        }
    });
    entries.collect()
}

/// With what the reply to its registration says of the app.
fn of_app(entry: Entry<Option<Spot>>, app: Option<&Node>) -> Entry<Option<Spot>> {
    let Some(app) = app else { return entry };
    Entry {
        client_id: string(app, "client_id"),
        client_secret: text_of(app, "client_secret"),
        app_name: string(app, "name"),
        redirect_uri: string(app, "redirect_uri"),
        ..entry
    }
}

/// With what the reply to the request for a token says.
fn of_reply(entry: Entry<Option<Spot>>, value: &Value, reply: &Node) -> Entry<Option<Spot>> {
    Entry {
        refresh_token: text_of(reply, "refresh_token"),
        scopes: string(reply, "scope"),
        created_at: value.time(reply.get("created_at")),
        ..entry
    }
}

/// Elk's users, in local storage up to 0.1, else in IndexedDB.
pub(super) const ELK: &str = "elk-users";
const ELK_CURRENT: &str = "elk-current-user-handle";
const PHANPY: &str = "accounts";
const PHANPY_APPS: &str = "credentialApplications";
const PINAFORE: &str = "store_loggedInInstances";
const SENGI: &str = "@@STATE";

const IN_INDEXED_DB: &str = "this version keeps its accounts in IndexedDB: in the browser's console on Elk's page, \
    `indexedDB.open('keyval-store').onsuccess = e => e.target.result.transaction('keyval').objectStore('keyval')\
    .get('elk-users').onsuccess = r => console.log(JSON.stringify(r.target.result))` shows them; save that as a file and \
    import it";

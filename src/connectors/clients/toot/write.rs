//! Putting records into `config.json`: tokens and apps are replaced where they stand; what is missing is added in
//! toot's own style (`json.dump(…, indent=1, sort_keys=True)`).
//!
//! Nothing is ever added inside an app or user object: toot passes them as keyword arguments to a fixed record type,
//! and a key too many makes every command fail (`toot/config.py`, `extract_user_app`).

use std::{collections::BTreeMap, path::Path};

use crate::{
    connectors::{
        Error, Prepared, WriteRequest,
        place::{self, Loaded},
        rewrite::{Rewrite, change},
        values::{self, shown},
    },
    document::{
        Edits, Kind, Node,
        json::{Layout, object, quoted},
    },
    model::{Action, Domain, PlannedChange, Record},
};

use super::{Config, NAME, User};

/// The plan for these records.
pub(super) fn plan(
    request: &WriteRequest,
    path: &Path,
    records: &[Record],
) -> Result<Box<dyn Prepared>, Error> {
    let file = place::load(NAME, path, place::MAX_BYTES)?;
    let config = Config::parse(file.bytes()).map_err(|problem| problem.at(path))?;
    let mut writer = Writer {
        config: &config,
        file: &file,
        replace_app: request.replace_app,
        edits: Edits::default(),
        new_apps: BTreeMap::new(),
        new_users: BTreeMap::new(),
        written: Vec::new(),
        notes: Vec::new(),
    };
    let changes: Vec<_> = records.iter().map(|record| writer.record(record)).collect();
    writer.finish();
    let Writer {
        edits, mut notes, ..
    } = writer;
    if !edits.is_empty() {
        notes.push(
            "close toot's terminal interface (`toot tui`) first: it writes its own copy back"
                .to_owned(),
        );
    }
    Ok(Rewrite::prepared(
        NAME, file, edits, changes, notes, request,
    ))
}

struct Writer<'a> {
    config: &'a Config,
    file: &'a Loaded,
    replace_app: bool,
    edits: Edits,
    /// Objects to be added, by key.
    new_apps: BTreeMap<String, String>,
    new_users: BTreeMap<String, String>,
    /// Keys of the users that this plan writes.
    written: Vec<String>,
    notes: Vec<String>,
}

impl<'a> Writer<'a> {
    fn record(&mut self, record: &Record) -> PlannedChange {
        let before = (self.edits.len(), self.written.len());
        match self.try_record(record) {
            Ok((action, detail)) => change(record, action, detail),
            Err(why) => {
                self.edits.truncate(before.0);
                self.written.truncate(before.1);
                change(record, Action::Refuse, why)
            }
        }
    }

    fn try_record(&mut self, record: &Record) -> Result<(Action, String), String> {
        let name = record
            .user
            .name()
            .ok_or("toot needs the name of the user, which is not known")?;
        if !values::is_user_name(name) || !values::is_visible(record.access_token.expose()) {
            return Err("its name or token holds characters that toot can't use".to_owned());
        }
        match self.user(record, name) {
            Some(user) => self.update(record, user),
            None => self.insert(record, name),
        }
    }

    /// The account in the file.
    fn user(&self, record: &Record, name: &str) -> Option<User<'a>> {
        let is_it = |user: &User<'_>| {
            let Ok((instance, username)) = user.identity() else {
                return false;
            };
            username.eq_ignore_ascii_case(name)
                && Domain::parse(instance).is_ok_and(|domain| domain == record.instance)
        };
        self.config.users().find(is_it)
    }

    fn update(&mut self, record: &Record, user: User<'a>) -> Result<(Action, String), String> {
        self.claim(user.key)?;
        let node = user.node.get("access_token");
        let Some((node, Kind::Text(token))) = node.map(|node| (node, &node.kind)) else {
            return Err("the account has no token to replace: log in with toot first".to_owned());
        };
        let before = self.edits.len();
        if token.as_str() != record.access_token.expose() {
            self.edits.replace(
                self.file.bytes(),
                &node.span,
                &quoted(record.access_token.expose()),
            );
        }
        let instance = user
            .node
            .get("instance")
            .and_then(Node::text)
            .unwrap_or_default();
        let app = self.app(record, instance, Needed::No)?;
        if self.edits.len() == before && !app {
            self.written.pop();
            return Ok((Action::Unchanged, "toot holds it already".to_owned()));
        }
        Ok((
            Action::Update,
            format!("the token of \"{}\" is replaced", shown(user.key)),
        ))
    }

    fn insert(&mut self, record: &Record, name: &str) -> Result<(Action, String), String> {
        // The spelling that the file has, where it knows the instance.
        let apps = self.config.section("apps").iter();
        let mut known = apps.map(|member| member.key.as_str());
        let instance = known
            .find(|key| Domain::parse(key).is_ok_and(|domain| domain == record.instance))
            .unwrap_or(record.instance.as_str());
        let key = format!("{name}@{instance}");
        self.claim(&key)?;
        self.app(record, instance, Needed::Yes)?;
        let layout = Layout::of(self.file.bytes(), &self.config.root);
        let user = object(
            &layout,
            2,
            &[
                ("access_token", record.access_token.expose()),
                ("instance", instance),
                ("username", name),
            ],
        );
        self.new_users.insert(key.clone(), user);
        Ok((Action::Insert, format!("\"{}\" is added", shown(&key))))
    }

    /// One account gets one token.
    fn claim(&mut self, key: &str) -> Result<(), String> {
        if self.written.iter().any(|known| known == key) || self.new_users.contains_key(key) {
            return Err("another record of this restore is for the same account".to_owned());
        }
        self.written.push(key.to_owned());
        Ok(())
    }

    /// Makes sure that the instance has an app; returns whether that changes the file.
    fn app(&mut self, record: &Record, instance: &str, needed: Needed) -> Result<bool, String> {
        let ours = match (&record.app.client_id, &record.app.client_secret) {
            (Some(id), Some(secret)) => Some((id.as_str(), secret.expose())),
            _ => None,
        };
        let Some(node) = self.config.app(instance) else {
            if self.new_apps.contains_key(instance) {
                return Ok(false);
            }
            let Some((id, secret)) = ours else {
                return match needed {
                    Needed::Yes => Err(
                        "toot needs client_id and client_secret of the app, which are not known"
                            .to_owned(),
                    ),
                    Needed::No => {
                        self.notes.push(format!(
                            "toot has no app for {instance} and none is known: it will take the account for logged out"
                        ));
                        Ok(false)
                    }
                };
            };
            let layout = Layout::of(self.file.bytes(), &self.config.root);
            let base_url = record
                .app
                .base_url
                .clone()
                .unwrap_or_else(|| format!("https://{}", record.instance));
            let app = object(
                &layout,
                2,
                &[
                    ("base_url", base_url.as_str()),
                    ("client_id", id),
                    ("client_secret", secret),
                    ("instance", instance),
                ],
            );
            self.new_apps.insert(instance.to_owned(), app);
            return Ok(true);
        };
        let there = |name: &str| {
            node.get(name)
                .and_then(|value| Some((value, value.text()?)))
        };
        let (Some(id), Some(secret)) = (there("client_id"), there("client_secret")) else {
            return Err(format!(
                "the app of {instance} in the file is incomplete: log in with toot first"
            ));
        };
        let Some((our_id, our_secret)) = ours else {
            return Ok(false);
        };
        if (id.1, secret.1) == (our_id, our_secret) {
            return Ok(false);
        }
        if !self.replace_app {
            if id.1 != our_id {
                self.notes.push(format!(
                    "the app of {instance} in the file is not the one that the token was issued to; it stays, and \
                     the token works with it, but revoking it needs the other"
                ));
            }
            return Ok(false);
        }
        self.edits
            .replace(self.file.bytes(), &id.0.span, &quoted(our_id));
        self.edits
            .replace(self.file.bytes(), &secret.0.span, &quoted(our_secret));
        self.notes.push(format!(
            "the app of {instance} is replaced for all accounts of the instance in the file"
        ));
        Ok(true)
    }

    /// Adds the new objects, and names an active user where there is none.
    fn finish(&mut self) {
        let layout = Layout::of(self.file.bytes(), &self.config.root);
        for (section, new) in [
            ("apps", std::mem::take(&mut self.new_apps)),
            ("users", std::mem::take(&mut self.new_users)),
        ] {
            if let Some(node) = self.config.root.get(section) {
                layout.add_members(&mut self.edits, self.file.bytes(), node, 1, &new);
            }
        }
        let Some(first) = self.written.first() else {
            return;
        };
        match self.config.root.get("active_user") {
            Some(node) if matches!(node.kind, Kind::Null) => {
                self.edits
                    .replace(self.file.bytes(), &node.span, &quoted(first));
            }
            Some(_) => return,
            None => {
                let member = BTreeMap::from([("active_user".to_owned(), quoted(first))]);
                layout.add_members(
                    &mut self.edits,
                    self.file.bytes(),
                    &self.config.root,
                    0,
                    &member,
                );
            }
        }
        self.notes
            .push(format!("\"{}\" becomes the active user", shown(first)));
    }
}

/// Whether toot could do nothing without the app.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    Yes,
    No,
}

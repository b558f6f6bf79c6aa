//! Which entry of a store each record belongs to, and what becomes of it there.

use std::collections::BTreeSet;

use crate::{
    connectors::{rewrite::change, values},
    model::{Action, Domain, PlannedChange, Record, User},
};

use super::Entry;

/// What can be done to a client's store.
pub(crate) trait Editor<P> {
    /// Puts the record's token, and its client where the entry has one of its own, in the place of the entry's.
    /// Returns whether that changes anything.
    ///
    /// # Errors
    /// Why it can't be done. Nothing has changed then.
    fn update(&mut self, entry: &Entry<P>, record: &Record) -> Result<bool, String>;

    /// Adds an account of this user. Returns how it is named.
    ///
    /// # Errors
    /// Why the client's format doesn't allow it, and what to do instead.
    fn insert(&mut self, name: &str, record: &Record) -> Result<String, String>;
}

/// How entries of the same account are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Two entries of one account are two logins: which one is meant must be clear.
    Apart,
    /// They are copies of each other: all are written.
    AsOne,
}

/// What becomes of each record.
pub(crate) fn changes<P>(
    entries: &[Entry<P>],
    records: &[Record],
    taken: Taken,
    editor: &mut dyn Editor<P>,
) -> Vec<PlannedChange> {
    let mut work = Work {
        entries,
        taken,
        editor,
        updated: BTreeSet::new(),
        inserted: BTreeSet::new(),
    };
    let changes = records.iter().map(|record| match work.one(record) {
        Ok((action, detail)) => change(record, action, detail),
        Err(why) => change(record, Action::Refuse, why),
    });
    changes.collect()
}

struct Work<'a, P> {
    entries: &'a [Entry<P>],
    taken: Taken,
    editor: &'a mut dyn Editor<P>,
    /// Entries that a record has already, by their places in the list.
    updated: BTreeSet<usize>,
    /// Accounts that are added already.
    inserted: BTreeSet<(Domain, String)>,
}

impl<P> Work<'_, P> {
    fn one(&mut self, record: &Record) -> Result<(Action, String), String> {
        let token = record.access_token.expose();
        if token.is_empty() || !values::is_visible(token) {
            return Err("the token holds characters that no client can use".to_owned());
        }
        let entries = self.entries_of(record)?;
        if entries.is_empty() {
            self.insert(record)
        } else {
            self.update(&entries, record)
        }
    }

    fn insert(&mut self, record: &Record) -> Result<(Action, String), String> {
        let name = match &record.user {
            User::Named(name) if values::is_user_name(name) => name,
            User::Named(_) => {
                return Err("its user name holds characters that no client can use".to_owned());
            }
            User::Unknown => {
                return Err(
                    "whose token it is is not known, and no account of the client holds it"
                        .to_owned(),
                );
            }
            User::Application => {
                return Err("it is an application's own token: no account holds it".to_owned());
            }
        };
        let account = (record.instance.clone(), name.to_ascii_lowercase());
        if !self.inserted.insert(account) {
            return Err(TWICE.to_owned());
        }
        let added = self.editor.insert(name, record)?;
        Ok((Action::Insert, format!("{added} is added")))
    }

    fn update(&mut self, entries: &[usize], record: &Record) -> Result<(Action, String), String> {
        if entries.iter().any(|at| !self.updated.insert(*at)) {
            return Err(TWICE.to_owned());
        }
        let entries: Vec<_> = entries
            .iter()
            .filter_map(|at| self.entries.get(*at))
            .collect();
        if let Some((label, why)) = entries
            .iter()
            .find_map(|entry| Some((&entry.label, entry.skipped.as_ref()?)))
        {
            return Err(format!("{label}: {}", why.what));
        }
        let mut changes = false;
        for entry in &entries {
            changes |= self.editor.update(entry, record)?;
        }
        let label = entries.first().map_or("", |entry| entry.label.as_str());
        let is_nameless = entries.iter().all(|entry| entry.is_nameless());
        Ok(
            match (changes, is_nameless && record.user.name().is_some()) {
                (true, false) => (
                    Action::Update,
                    format!("{label} gets the token of the vault"),
                ),
                (true, true) => (
                    Action::Update,
                    format!(
                        "{label} (whose account it is, the client doesn't say) gets the token of the vault"
                    ),
                ),
                (false, _) => (Action::Unchanged, format!("{label} holds it already")),
            },
        )
    }

    /// The places of the entries that hold the record's account; none, if it has to be added.
    fn entries_of(&self, record: &Record) -> Result<Vec<usize>, String> {
        let api = record.app.base_url.as_deref().and_then(values::instance);
        let there = self.entries.iter().enumerate().filter(|(_, entry)| {
            let mut instances = entry.instances();
            instances.any(|domain| domain == record.instance || Some(&domain) == api.as_ref())
        });
        let there: Vec<_> = there.collect();
        let holds = |entry: &Entry<P>| entry.holds(record);
        let places = |is_fitting: &dyn Fn(&Entry<P>) -> bool| -> Vec<usize> {
            let fitting = there.iter().filter(|(_, entry)| is_fitting(entry));
            fitting.map(|(at, _)| *at).collect()
        };
        let mut fitting = match record.user.name() {
            Some(name) => places(&|entry| {
                let known = entry.user_name();
                known.is_some_and(|known| known.eq_ignore_ascii_case(name))
            }),
            None => places(&holds),
        };
        if !fitting.is_empty() && self.taken == Taken::AsOne {
            // A copy without a token is none that could be written: the others are, or all are refused for its reason.
            let has_token = |at: &usize| {
                let entry = self.entries.get(*at);
                entry.is_some_and(|entry| entry.token.is_some() || entry.skipped.is_some())
            };
            if fitting.iter().any(has_token) {
                fitting.retain(has_token);
            }
            return Ok(fitting);
        }
        if fitting.is_empty() {
            // A client that doesn't say whose token it is, or by a name that can't be compared.
            fitting = places(&|entry| {
                entry.is_nameless() || (entry.user_name().is_none() && holds(entry))
            });
        }
        if fitting.len() < 2 {
            return Ok(fitting);
        }
        let fitting = there.iter().filter(|(at, _)| fitting.contains(at));
        if let Some((at, _)) = fitting.clone().find(|(_, entry)| holds(entry)) {
            return Ok(vec![*at]);
        }
        let labels: Vec<_> = fitting.map(|(_, entry)| entry.label.as_str()).collect();
        Err(format!(
            "several accounts could be meant ({}): remove all but one in the client first",
            labels.join(", ")
        ))
    }
}

const TWICE: &str = "another record of this restore is for the same account";

/// The client that the token was issued to, where both parts are known and can be written.
pub(crate) fn client_of(record: &Record) -> Option<(&str, &str)> {
    let id = record.app.client_id.as_deref()?;
    let secret = record.app.client_secret.as_ref()?.expose();
    (values::is_visible(id) && values::is_visible(secret)).then_some((id, secret))
}

/// What to say of an entry whose token changes, and whose client can't: the one that the token was issued to is not
/// known.
pub(crate) fn kept_client<P>(entry: &Entry<P>, record: &Record) -> Option<String> {
    let is_same = record.app.client_id == entry.client_id || entry.holds(record);
    (!is_same && client_of(record).is_none()).then(|| {
        format!(
            "{}: client_id and client_secret stay: those that the token was issued to are not known",
            entry.label
        )
    })
}

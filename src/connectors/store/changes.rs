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

    /// Adds an account. Returns how it is named.
    ///
    /// # Errors
    /// Why the client's format doesn't allow it, and what to do instead.
    fn insert(&mut self, record: &Record) -> Result<String, String>;
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
    let mut claimed = BTreeSet::new();
    let changes =
        records.iter().map(
            |record| match one(entries, record, taken, editor, &mut claimed) {
                Ok((action, detail)) => change(record, action, detail),
                Err(why) => change(record, Action::Refuse, why),
            },
        );
    changes.collect()
}

fn one<P>(
    entries: &[Entry<P>],
    record: &Record,
    taken: Taken,
    editor: &mut dyn Editor<P>,
    claimed: &mut BTreeSet<(Domain, Option<String>)>,
) -> Result<(Action, String), String> {
    let is_token = |text: &str| !text.is_empty() && values::is_visible(text);
    if !is_token(record.access_token.expose()) {
        return Err("the token holds characters that no client can use".to_owned());
    }
    let chosen = chosen(entries, record, taken)?;
    let name = record.user.name().map(str::to_ascii_lowercase);
    if !claimed.insert((record.instance.clone(), name)) {
        return Err("another record of this restore is for the same account".to_owned());
    }
    let Some(first) = chosen.first() else {
        let name = record.user.name();
        if name.is_some_and(|name| !values::is_user_name(name)) {
            return Err("its user name holds characters that no client can use".to_owned());
        }
        let added = editor.insert(record)?;
        return Ok((Action::Insert, format!("{added} is added")));
    };
    if let Some(why) = chosen.iter().find_map(|entry| entry.skipped.as_ref()) {
        return Err(format!("{}: {}", first.label, why.what));
    }
    let mut changes = false;
    for entry in &chosen {
        changes |= editor.update(entry, record)?;
    }
    Ok(if changes {
        let what = format!("{} gets the token of the vault", first.label);
        (Action::Update, what)
    } else {
        let what = format!("{} holds it already", first.label);
        (Action::Unchanged, what)
    })
}

/// The entries that hold the record's account; none, if it has to be added.
fn chosen<'e, P>(
    entries: &'e [Entry<P>],
    record: &Record,
    taken: Taken,
) -> Result<Vec<&'e Entry<P>>, String> {
    let api = record.app.base_url.as_deref().and_then(values::instance);
    let is_there = |entry: &&Entry<P>| {
        let mut instances = entry.instances();
        instances.any(|domain| domain == record.instance || Some(&domain) == api.as_ref())
    };
    let holds = |entry: &&Entry<P>| {
        let token = entry.token.as_ref();
        token.and_then(|text| values::secret(text).ok()) == Some(record.access_token.expose())
    };
    let there: Vec<_> = entries.iter().filter(is_there).collect();
    let name = record.user.name();
    let named = |entry: &&Entry<P>| match (entry.user_name(), name) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    };
    let mut fitting: Vec<_> = there.iter().copied().filter(named).collect();
    if fitting.is_empty() {
        // A client that doesn't say whose token it is.
        let nameless = there.iter().copied();
        fitting = nameless
            .filter(|entry| entry.user_name().is_none())
            .collect();
    }
    if fitting.is_empty() && name.is_none() {
        fitting = there.iter().copied().filter(holds).collect();
    }
    if taken == Taken::AsOne || fitting.len() < 2 {
        return match (&fitting.is_empty(), &record.user) {
            (true, User::Application) => {
                Err("it is an application's own token: no account holds it".to_owned())
            }
            (true, User::Unknown) => Err(
                "whose token it is is not known, and no account of the client holds it".to_owned(),
            ),
            _ => Ok(fitting),
        };
    }
    match fitting.iter().find(|entry| holds(entry)) {
        Some(entry) => Ok(vec![entry]),
        None => Err(format!(
            "several accounts could be meant ({}): remove all but one in the client first",
            fitting
                .iter()
                .map(|entry| entry.label.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        )),
    }
}

/// The client that the token was issued to, where both parts are known and can be written.
pub(crate) fn client_of(record: &Record) -> Option<(&str, &str)> {
    let id = record.app.client_id.as_deref()?;
    let secret = record.app.client_secret.as_ref()?.expose();
    (values::is_visible(id) && values::is_visible(secret)).then_some((id, secret))
}

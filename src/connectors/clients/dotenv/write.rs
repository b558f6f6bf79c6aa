//! Putting records into an environment file: values are replaced where they stand, and quoted as they were.

use std::path::Path;

use crate::{
    connectors::{
        Error, Prepared, WriteRequest,
        place::{self, Loaded},
        rewrite::{Rewrite, change, refused_all},
        values::{self, account_shown, shown},
    },
    document::{
        Edits,
        env::{self, Assignment, Quoting},
    },
    model::{Action, Domain, PlannedChange, Record, Secret},
};

use super::{
    MAX_BYTES, NAME,
    export::{name_of, prefix},
    groups::{Field, Group},
    parse,
};

/// The plan for these records.
pub(super) fn plan(
    request: &WriteRequest,
    path: &Path,
    records: &[Record],
) -> Result<Box<dyn Prepared>, Error> {
    let file = place::load(NAME, path, MAX_BYTES)?;
    let env = parse(path, file.bytes())?;
    if let Some(line) = env.open_quote() {
        let why = format!("line {}: {}: mend it first", line.line, line.fault);
        return Ok(refused_all(NAME, path, records, &why));
    }
    let groups = Group::all(&env);
    let mut writer = Writer {
        file: &file,
        groups: &groups,
        edits: Edits::default(),
        written: Vec::new(),
        notes: Vec::new(),
    };
    let changes = records.iter().map(|record| writer.record(record)).collect();
    let Writer {
        edits, mut notes, ..
    } = writer;
    if !edits.is_empty() {
        notes.push("programs read the file when they start: restart them".to_owned());
    }
    Ok(Rewrite::prepared(
        NAME, file, edits, changes, notes, request,
    ))
}

struct Writer<'a> {
    file: &'a Loaded,
    groups: &'a [Group<'a>],
    edits: Edits,
    /// Prefixes of the groups that this plan writes.
    written: Vec<&'a str>,
    notes: Vec<String>,
}

impl<'a> Writer<'a> {
    fn record(&mut self, record: &Record) -> PlannedChange {
        let before = (self.edits.len(), self.notes.len());
        match self.try_record(record) {
            Ok((action, detail)) => change(record, action, detail),
            Err(why) => {
                self.edits.truncate(before.0);
                self.notes.truncate(before.1);
                change(record, Action::Refuse, why)
            }
        }
    }

    fn try_record(&mut self, record: &Record) -> Result<(Action, String), String> {
        if !is_writable(record.access_token.expose()) {
            return Err("the token holds characters that no two loaders read the same".to_owned());
        }
        let group = self.choose(record)?;
        if self.written.contains(&group.prefix) {
            return Err("another record of this restore is for the same lines".to_owned());
        }
        let token = group.used(Field::Token).ok_or("there is no token")?;
        if token.is_reference || values::is_reference(&token.value) {
            return Err(format!(
                "{} takes its value from outside of the file: change it there",
                shown(&token.key)
            ));
        }
        let before = self.edits.len();
        self.set(group, Field::Token, record.access_token.expose());
        self.client(group, token, record);
        self.written.push(group.prefix);
        if self.edits.len() == before {
            return Ok((Action::Unchanged, "the file holds it already".to_owned()));
        }
        if group.instance().is_none() {
            let note = "the file doesn't say which instance it is for";
            self.notes.push(note.to_owned());
        }
        let detail = format!("the value of {} is replaced", shown(&token.key));
        Ok((Action::Update, detail))
    }

    /// The group that is for the record's instance and user.
    fn choose(&self, record: &Record) -> Result<&'a Group<'a>, String> {
        let groups = self.groups.iter();
        let with_token: Vec<_> = groups
            .filter(|group| group.used(Field::Token).is_some())
            .collect();
        if let [group] = with_token.as_slice()
            && group.instance().is_none()
        {
            return Ok(group);
        }
        let instance = &record.instance;
        let api = record.app.base_url.as_deref().and_then(values::instance);
        let is_here = |group: &&&Group<'_>| {
            let there = group.instance();
            there.is_some() && (there.as_ref() == Some(instance) || there == api)
        };
        let here: Vec<_> = with_token.iter().copied().filter(|g| is_here(&g)).collect();
        let holds_it = |group: &&Group<'_>| {
            let token = group.used(Field::Token);
            token.is_some_and(|line| line.value.as_str() == record.access_token.expose())
        };
        let says = |says: Says| move |group: &&Group<'_>| Says::of(group, record) == says;
        let choices: [Vec<_>; 3] = [
            here.iter().copied().filter(holds_it).collect(),
            here.iter().copied().filter(says(Says::Theirs)).collect(),
            here.iter().copied().filter(says(Says::Nothing)).collect(),
        ];
        let choice = choices.iter().find(|groups| !groups.is_empty());
        match choice.map(Vec::as_slice) {
            Some([group]) => Ok(group),
            Some(several) => {
                let keys = several.iter().filter_map(|group| group.used(Field::Token));
                let keys: Vec<_> = keys.map(|line| shown(&line.key)).collect();
                Err(format!(
                    "several could be for {}: {}",
                    account_shown(&record.user, instance),
                    keys.join(", ")
                ))
            }
            None if here.is_empty() => Err(format!("the file has no token of {instance}")),
            None => Err(format!(
                "the tokens of {instance} in the file are of other users"
            )),
        }
    }

    /// The client goes with its token, where the file has one.
    fn client(&mut self, group: &Group<'a>, token: &Assignment, record: &Record) {
        let lines = [Field::ClientId, Field::ClientSecret].map(|field| group.used(field));
        if lines.iter().all(Option::is_none) {
            return;
        }
        let id = record.app.client_id.as_deref();
        let secret = record.app.client_secret.as_ref().map(Secret::expose);
        let pair = id.zip(secret);
        let is_usable = |(id, secret): &(&str, &str)| is_writable(id) && is_writable(secret);
        let Some((id, secret)) = pair.filter(is_usable) else {
            let note =
                "client_id and client_secret of the file stay: those of the token are not known";
            self.notes.push(note.to_owned());
            return;
        };
        for (field, line, name, value) in [
            (Field::ClientId, lines[0], "CLIENT_ID", id),
            (Field::ClientSecret, lines[1], "CLIENT_SECRET", secret),
        ] {
            match line {
                Some(_) => self.set(group, field, value),
                None => self.add_below(token, group, name, value),
            }
        }
    }

    /// Gives the assignments of a field another value: the one that counts, and those that say the same.
    fn set(&mut self, group: &Group<'a>, field: Field, value: &str) {
        let Some(used) = group.used(field) else {
            return;
        };
        for line in group.lines(field) {
            if line.value != used.value || line.is_reference {
                self.notes.push(format!(
                    "line {}, {}: it says something else and stays",
                    line.line,
                    shown(&line.key)
                ));
            } else if line.value.as_str() != value
                && let Some(text) = env::literal(value, line.quoting)
            {
                self.edits.replace(self.file.bytes(), &line.span, &text);
            }
        }
    }

    /// Adds an assignment right below another, in its style.
    fn add_below(&mut self, line: &Assignment, group: &Group<'_>, name: &str, value: &str) {
        let crlf = self.file.bytes().windows(2).any(|pair| pair == b"\r\n");
        let newline = if crlf { "\r\n" } else { "\n" };
        let export = if line.is_exported { "export " } else { "" };
        let mark = line.key.get(group.prefix.len()..).unwrap_or_default();
        let mark = mark.get(.."MASTODON_".len()).unwrap_or_default();
        let name = if mark.starts_with('m') {
            name.to_ascii_lowercase()
        } else {
            name.to_owned()
        };
        let Some(value) = env::literal(value, line.quoting) else {
            return;
        };
        let key = format!("{}{mark}{name}", group.prefix);
        let text = zeroize::Zeroizing::new(format!("{newline}{export}{key}={}", *value));
        self.edits
            .replace(self.file.bytes(), &(line.end..line.end), &text);
    }
}

/// Whether every loader reads it as it is written, and takes it for what it is.
fn is_writable(text: &str) -> bool {
    values::is_visible(text)
        && !values::is_reference(text)
        && env::literal(text, Quoting::Bare).is_some()
}

/// What a group says about its user.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    /// It is the record's.
    Theirs,
    /// It is another.
    Anothers,
    Nothing,
}

impl Says {
    fn of(group: &Group<'_>, record: &Record) -> Self {
        let Some(user) = record.user.name() else {
            return Self::Nothing;
        };
        if let Some(name) = group.user(&record.instance) {
            return if name.eq_ignore_ascii_case(user) {
                Self::Theirs
            } else {
                Self::Anothers
            };
        }
        let spelled = group.prefix.to_ascii_uppercase();
        // Our own export numbers what would have the same prefix.
        let plain = spelled.trim_end_matches('_');
        let number = plain.rfind('_').and_then(|at| plain.split_at_checked(at));
        let plain = match number {
            Some((before, number)) if number.bytes().skip(1).all(|c| c.is_ascii_digit()) => before,
            _ => plain,
        };
        let own = prefix(record);
        let is_own = |plain: &str| own.trim_end_matches('_') == plain || name_of(user) == plain;
        if is_own(plain) || is_own(spelled.trim_end_matches('_')) {
            Self::Theirs
        } else if ends_in_instance(plain, &record.instance) {
            Self::Anothers
        } else {
            Self::Nothing
        }
    }
}

/// Whether a prefix is a user and this instance, as our own export writes it.
fn ends_in_instance(prefix: &str, instance: &Domain) -> bool {
    let user = prefix.strip_suffix(&name_of(instance.as_str()));
    user.is_some_and(|user| !user.trim_matches('_').is_empty())
}

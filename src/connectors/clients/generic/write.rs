//! Putting records into a file: the strings of the object that holds the token are replaced where they stand.
//!
//! No object is ever added, and a key only where half of a client's pair is there: the program that reads the file knows
//! its names, we don't.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{
    connectors::{
        Error, Prepared, WriteRequest,
        place::Loaded,
        rewrite::{Rewrite, change, refused_all},
        values::{self, Unusable},
    },
    document::{Edits, Member, Splice},
    model::{Action, PlannedChange, Record},
};

use super::{
    NAME, Tree, files, load, names,
    object::usable,
    search::{Entry, Found, search},
};

/// The plan for these records.
pub(super) fn plan(request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
    let file = match target(&request.path, records)? {
        Ok(file) => file,
        Err(why) => return Ok(refused_all(NAME, &request.path, records, why)),
    };
    let tree = Tree::of(&file)?;
    let found = search(&tree.root, &tree.lines, None);
    let mut writer = Writer {
        found: &found,
        splice: Splice::new(tree.format, file.bytes(), &tree.root),
        replace_app: request.replace_app,
        written: Vec::new(),
        notes: Vec::new(),
    };
    let changes: Vec<_> = records.iter().map(|record| writer.record(record)).collect();
    let Writer { splice, notes, .. } = writer;
    match splice.finish() {
        Ok(edits) => Ok(rewrite(request, file, edits, changes, notes)),
        Err(error) => Ok(refused_all(NAME, file.path(), records, &error.to_string())),
    }
}

fn rewrite(
    request: &WriteRequest,
    file: Loaded,
    edits: Edits,
    changes: Vec<PlannedChange>,
    mut notes: Vec<String>,
) -> Box<dyn Prepared> {
    if !edits.is_empty() {
        notes.push("restart the program that reads the file".to_owned());
    }
    Rewrite::prepared(NAME, file, edits, changes, notes, request)
}

/// The file that holds an entry for one of the records, or why there is none to choose.
fn target(path: &Path, records: &[Record]) -> Result<Result<Loaded, &'static str>, Error> {
    if !path.is_dir() {
        return Ok(Ok(load(path)?));
    }
    let mut fitting = Vec::new();
    for path in files(path)? {
        let file = load(&path)?;
        let holds_one = Tree::of(&file).is_ok_and(|tree| {
            let found = search(&tree.root, &tree.lines, None);
            records.iter().any(|record| entry(&found, record).is_ok())
        });
        if holds_one {
            fitting.push(file);
        }
    }
    let first = fitting.pop();
    Ok(match first {
        Some(file) if fitting.is_empty() => Ok(file),
        Some(_) => Err("several files here have an entry for it: name one with --path"),
        None => Err("no file here has an entry for it: name the file with --path"),
    })
}

/// The entry that a record belongs into.
fn entry(found: &Found<'_>, record: &Record) -> Result<usize, String> {
    let token = record.access_token.expose();
    let api = record.app.base_url.as_deref().and_then(values::instance);
    let is_here = |entry: &Entry<'_>| {
        let place = entry.place.as_ref();
        place.is_some_and(|place| place.is(&record.instance) || Some(&place.domain) == api.as_ref())
    };
    let those = |fits: &dyn Fn(&Entry<'_>) -> bool| -> Vec<usize> {
        let entries = found.entries.iter().enumerate();
        let entries = entries.filter(|(_, entry)| fits(entry));
        entries.map(|(at, _)| at).collect()
    };
    let holding = those(&|entry| {
        (is_here(entry) || entry.place.is_none()) && entry.secret().is_ok_and(|held| held == token)
    });
    if let Some(at) = holding.first() {
        return Ok(*at);
    }
    let instance = &record.instance;
    let one = |entries: &[usize]| match entries {
        [at] => Some(Ok(*at)),
        [] => None,
        _ => Some(Err(format!(
            "several entries of {instance} fit: edit the file by hand"
        ))),
    };
    let name = record.user.name();
    let named = those(&|entry| {
        is_here(entry)
            && matches!((&entry.user, name), (Some(one), Some(other)) if one.eq_ignore_ascii_case(other))
    });
    let nameless = those(&|entry| is_here(entry) && entry.user.is_none());
    let placeless = match found.entries.as_slice() {
        [entry] if entry.place.is_none() => vec![0],
        _ => Vec::new(),
    };
    one(&named)
        .or_else(|| one(&nameless))
        .or_else(|| one(&placeless))
        .unwrap_or_else(|| {
            Err(format!(
                "the file has no entry of this user at {instance}, and none is added: the program that reads it \
                 decides where one belongs"
            ))
        })
}

struct Writer<'a> {
    found: &'a Found<'a>,
    splice: Splice<'a>,
    replace_app: bool,
    /// Entries that a record was put into, or holds already.
    written: Vec<usize>,
    notes: Vec<String>,
}

impl<'a> Writer<'a> {
    fn record(&mut self, record: &Record) -> PlannedChange {
        let before = (self.splice.len(), self.notes.len());
        match self.try_record(record) {
            Ok((action, detail)) => change(record, action, detail),
            Err(why) => {
                self.splice.truncate(before.0);
                self.notes.truncate(before.1);
                change(record, Action::Refuse, why)
            }
        }
    }

    fn try_record(&mut self, record: &Record) -> Result<(Action, String), String> {
        if !values::is_visible(record.access_token.expose()) {
            return Err("the token holds characters that no program could use".to_owned());
        }
        let found = self.found;
        let at = entry(found, record)?;
        let entry = found.entries.get(at).ok_or("there is no such entry")?;
        if self.written.contains(&at) {
            return Err("another record of this restore is for the same entry".to_owned());
        }
        let before = self.splice.len();
        self.token(entry, record)?;
        let is_new = self.splice.len() > before;
        self.app(entry, record)?;
        self.written.push(at);
        if self.splice.len() == before {
            return Ok((Action::Unchanged, "the file holds it already".to_owned()));
        }
        if is_new && entry.place.is_none() {
            self.notes
                .push("the file doesn't say which instance it is for".to_owned());
        }
        if is_new && entry.user.is_none() && record.user.name().is_some() {
            let line = entry.line;
            self.notes
                .push(format!("line {line} doesn't say whose token it is"));
        }
        let what = if is_new { "token" } else { "client" };
        Ok((
            Action::Update,
            format!("the {what} at line {} is replaced", entry.line),
        ))
    }

    fn token(&mut self, entry: &Entry<'a>, record: &Record) -> Result<(), String> {
        if entry.secret() == Err(Unusable::Reference) {
            return Err(format!(
                "line {} names a place outside of the file: restore the token there",
                entry.line
            ));
        }
        self.set(entry.token, record.access_token.expose())?;
        for twin in &entry.twins {
            self.set(twin, record.access_token.expose())?;
        }
        Ok(())
    }

    /// Replaces a secret, not what stands around it (`Bearer`, white space).
    fn set(&mut self, member: &Member, new: &str) -> Result<(), String> {
        let old = member.value.text().unwrap_or_default();
        let text = match values::secret(old) {
            Ok(held) if held == new => return Ok(()),
            Ok(held) => Zeroizing::new(old.replacen(held, new, 1)),
            Err(_) => Zeroizing::new(new.to_owned()),
        };
        let result = self.splice.set(&member.value, &text);
        result.map_err(|error| error.to_string())
    }

    /// Makes the client that of the token, where the entry has one and it may be replaced.
    fn app(&mut self, entry: &Entry<'a>, record: &Record) -> Result<(), String> {
        let (id, secret) = (entry.client_id, entry.client_secret);
        if id.is_none() && secret.is_none() {
            return Ok(());
        }
        let ours = match (&record.app.client_id, &record.app.client_secret) {
            (Some(id), Some(secret)) => Some((id.as_str(), secret.expose())),
            _ => None,
        };
        let ours = ours.filter(|(id, secret)| values::is_visible(id) && values::is_visible(secret));
        let held = (usable(id), usable(secret));
        let Some((our_id, our_secret)) = ours else {
            if held != (None, None) && entry.secret() != Ok(record.access_token.expose()) {
                self.notes.push(format!(
                    "the client beside line {} stays: that of the token is not known",
                    entry.line
                ));
            }
            return Ok(());
        };
        if held == (Some(our_id), Some(our_secret)) {
            return Ok(());
        }
        let may = self.replace_app
            || held.0 == Some(our_id)
            || held == (None, Some(our_secret))
            || held == (None, None);
        let is_reference = [id, secret]
            .into_iter()
            .flatten()
            .any(|member| member.value.text().is_some_and(values::is_reference));
        if !may || is_reference {
            self.notes.push(format!(
                "the client beside line {} is not the one that the token was issued to; it stays, and the token works \
                 with it, but revoking it needs the other",
                entry.line
            ));
            return Ok(());
        }
        match (id, secret) {
            (Some(id), Some(secret)) => {
                self.set(id, our_id)?;
                self.set(secret, our_secret)
            }
            (Some(id), None) => {
                self.set(id, our_id)?;
                self.add(entry, id, our_secret)
            }
            (None, Some(secret)) => {
                self.set(secret, our_secret)?;
                self.add(entry, secret, our_id)
            }
            (None, None) => Ok(()),
        }
    }

    /// Adds the other half of a client's pair after the token.
    fn add(&mut self, entry: &Entry<'a>, half: &Member, text: &str) -> Result<(), String> {
        let why = |what: &str| {
            format!("the entry has half of a client only, and {what}: add the other by hand")
        };
        let key = names::counterpart(&half.key).ok_or_else(|| why("its name is unusual"))?;
        let added = self.splice.add_after(entry.token, key, text);
        added.map_err(|error| why(&error.to_string()))
    }
}

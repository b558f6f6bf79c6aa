//! Putting records into a dump: a token is replaced where it stands, also in JSON that is a string of JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use zeroize::Zeroizing;

use crate::{
    connectors::{
        Error, Prepared, WriteRequest,
        place::Loaded,
        rewrite::{Rewrite, refused_all},
        store::{self, Editor, Entry, Taken, Text},
    },
    document::{Edits, Format, Kind, Member, Node, Splice},
    model::Record,
};

use super::{
    Dump, NAME,
    keys::{self, Spot},
};

/// The plan for these records.
pub(super) fn plan(
    file: Loaded,
    request: &WriteRequest,
    records: &[Record],
) -> Result<Box<dyn Prepared>, Error> {
    let dump = Dump::parse(file.bytes()).map_err(|problem| problem.at(file.path()))?;
    let entries = keys::entries(&|key| dump.text(key));
    let mut writer = Writer {
        tokens: BTreeMap::new(),
        notes: Vec::new(),
    };
    let changes = store::changes(&entries, records, Taken::Apart, &mut writer);
    let Some(edits) = edits(&dump, &writer.tokens) else {
        return Ok(refused_all(NAME, file.path(), records, DIFFERS));
    };
    let mut notes = writer.notes;
    if !writer.tokens.is_empty() {
        notes.push(advice(&dump, writer.tokens.keys().copied()));
    }
    Ok(Rewrite::prepared(
        NAME, file, edits, changes, notes, request,
    ))
}

/// New tokens by key and place in its text.
type Tokens = BTreeMap<&'static str, Vec<(Range<usize>, Text)>>;

struct Writer {
    tokens: Tokens,
    notes: Vec<String>,
}

impl Editor<Option<Spot>> for Writer {
    fn update(&mut self, entry: &Entry<Option<Spot>>, record: &Record) -> Result<bool, String> {
        let no_token = || format!("{} has no token to replace", entry.label);
        let spot = entry.place.as_ref().ok_or_else(no_token)?;
        let former = entry.token.as_ref().ok_or_else(no_token)?;
        let token = store::in_place_of(former, record.access_token.expose());
        if token == *former {
            return Ok(false);
        }
        if entry.client_id.is_some() && entry.client_id != record.app.client_id {
            self.notes.push(format!(
                "{}: its app stays, which others may share: the token works with it, but revoking it needs the one that \
                 it was issued to",
                entry.label
            ));
        }
        let tokens = self.tokens.entry(spot.key).or_default();
        tokens.push((spot.token.clone(), token));
        Ok(true)
    }

    fn insert(&mut self, _: &str, _: &Record) -> Result<String, String> {
        let what = "these clients keep more with an account than is known: log in with the client once, and dump again";
        Err(what.to_owned())
    }
}

/// The edits of the file, after reading what they make of it: the texts of those keys are changed in their tokens, and
/// all others are as they were. `None` if they are not.
fn edits(dump: &Dump<'_>, tokens: &Tokens) -> Option<Edits> {
    let mut edits = Vec::new();
    let mut expected: BTreeMap<&str, Zeroizing<Vec<u8>>> = BTreeMap::new();
    for (key, tokens) in tokens {
        expected.insert(key, changed(&dump.text(key)?, tokens)?);
        for (span, token) in tokens {
            edits.push(edit(dump, key, span, token)?);
        }
    }
    let all = || {
        let mut all = Edits::default();
        for (span, text) in &edits {
            all.replace(dump.bytes, span, text);
        }
        all
    };
    let bytes = all().apply(dump.bytes);
    let after = Dump::parse(&bytes).ok()?;
    let are_set = expected.iter().all(|(key, expected)| {
        let text = after.text(key);
        text.is_some_and(|text| text.as_bytes() == expected.as_slice())
    });
    // Of a key that stands twice, only the value that counts changes.
    let changed = tokens.keys().filter_map(|key| dump.root.get(key));
    let changed: BTreeSet<_> = changed.map(|node| node.span.start).collect();
    let is_kept = |(one, other): (&Member, &Member)| {
        let is_meant = changed.contains(&one.value.span.start)
            || dump.bytes.get(one.value.span.clone()) == bytes.get(other.value.span.clone());
        one.key == other.key && is_meant
    };
    let are_kept = match (dump.root.members(), after.root.members()) {
        (Some(before), Some(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(is_kept)
        }
        (None, None) => true,
        _ => false,
    };
    (are_set && are_kept).then(all)
}

/// The text of a key with its new tokens, and the proof that nothing else in it differs.
fn changed(text: &str, tokens: &[(Range<usize>, Text)]) -> Option<Zeroizing<Vec<u8>>> {
    let root = Format::Json.parse(text.as_bytes()).ok()?;
    let mut splice = Splice::new(Format::Json, text.as_bytes(), &root);
    for (span, token) in tokens {
        splice.set(at(&root, span)?, token).ok()?;
    }
    Some(splice.finish().ok()?.apply(text.as_bytes()))
}

/// The node with this span.
fn at<'a>(node: &'a Node, span: &Range<usize>) -> Option<&'a Node> {
    if node.span == *span {
        return Some(node);
    }
    if node.span.start > span.start || node.span.end < span.end {
        return None;
    }
    match &node.kind {
        Kind::List(items) => items.iter().find_map(|item| at(item, span)),
        Kind::Map(members) => members.iter().find_map(|member| at(&member.value, span)),
        _ => None,
    }
}

/// What is to stand where in the file, so that a string in the text of a key is this token. Its quotes stay as they are
/// spelled.
fn edit(
    dump: &Dump<'_>,
    key: &str,
    string: &Range<usize>,
    token: &str,
) -> Option<(Range<usize>, Text)> {
    let held = dump.held(key)?;
    let (start, end) = (string.start + 1, string.end - 1);
    let inside = inside(token)?;
    if !held.is_string {
        return Some((held.span.start + start..held.span.start + end, inside));
    }
    let raw = dump.bytes.get(held.span.clone())?;
    let span = held.span.start + located(raw, start)?..held.span.start + located(raw, end)?;
    Some((span, self::inside(&inside)?))
}

/// A text as it is spelled between the quotes of a string.
fn inside(text: &str) -> Option<Text> {
    let literal = Format::Json.literal(b"\"", text);
    let inside = literal.strip_prefix('"')?.strip_suffix('"')?;
    Some(Zeroizing::new(inside.to_owned()))
}

/// Where in the spelling of a string the character begins that has this offset in its text.
fn located(raw: &[u8], offset: usize) -> Option<usize> {
    let (mut at, mut passed) = (0, 0);
    while passed < offset {
        let (spelled, len) = unit(raw.get(at..)?)?;
        at += spelled;
        passed += len;
    }
    (passed == offset).then_some(at)
}

/// The lengths of the first character or byte of a string's spelling, and of what it is in UTF-8.
fn unit(raw: &[u8]) -> Option<(usize, usize)> {
    let escaped = |raw: &[u8]| {
        let digits = raw.strip_prefix(b"\\u")?.get(..4)?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match raw {
        [b'\\', b'u', ..] => {
            let first = escaped(raw)?;
            if let Some(c) = char::from_u32(first) {
                return Some((6, c.len_utf8()));
            }
            // A surrogate, and its other half.
            escaped(raw.get(6..)?)?;
            Some((12, 4))
        }
        [b'\\', _, ..] => Some((2, 1)),
        [_, ..] => Some((1, 1)),
        [] => None,
    }
}

/// How the changed keys come back into the browser.
fn advice<'a>(dump: &Dump<'_>, keys: impl Iterator<Item = &'a str>) -> String {
    if matches!(dump.root.kind, Kind::List(_)) {
        return "close all tabs of Elk but one, and in its console enter `indexedDB.open('keyval-store').onsuccess = e => \
                e.target.result.transaction('keyval', 'readwrite').objectStore('keyval').put(DUMP, 'elk-users')`, with \
                the contents of the file for DUMP; then reload the page and delete the file"
            .to_owned();
    }
    let lines = keys.map(|key| {
        let is_string = dump.held(key).is_some_and(|held| held.is_string);
        if is_string {
            format!("localStorage.setItem('{key}', dump['{key}'])")
        } else {
            format!("localStorage.setItem('{key}', JSON.stringify(dump['{key}']))")
        }
    });
    let lines: Vec<_> = lines.collect();
    format!(
        "close all tabs of the client but one, and in its console enter `{{ const dump = DUMP; {} }}`, with the contents \
         of the file for DUMP; then reload the page and delete the file",
        lines.join("; ")
    )
}

const DIFFERS: &str =
    "the change would not be read back as meant, or change other values: edit the file by hand";

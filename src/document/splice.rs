//! Changing values of a text, with the proof that nothing else changed.

use std::{collections::BTreeMap, ops::Range};

use zeroize::Zeroizing;

use super::{Edits, Format, Kind, Member, Node, json, toml};

/// Strings of a text that will be others.
///
/// ```
/// use tuskvault::document::{Format, Splice};
/// let text = b"token = 'old' # mine\n";
/// let root = Format::Toml.parse(text)?;
/// let mut splice = Splice::new(Format::Toml, text, &root);
/// splice.set(root.get("token").unwrap(), "new")?;
/// assert_eq!(splice.finish()?.apply(text).as_slice(), b"token = 'new' # mine\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Splice<'a> {
    format: Format,
    bytes: &'a [u8],
    root: &'a Node,
    changes: Vec<Change>,
}

/// One change: what is written where, and what that is to mean.
struct Change {
    span: Range<usize>,
    literal: Zeroizing<String>,
    what: What,
}

/// What a change is.
enum What {
    /// Another text for a string.
    Set(Zeroizing<String>),
    /// Another whole number.
    Number,
    /// A member with this key and text, after the one whose value begins there.
    Member(usize, String, Zeroizing<String>),
    /// A map of these strings, at the end of the list that begins there.
    Item(usize, Fields),
}

/// Keys and texts of a map.
type Fields = Vec<(String, Zeroizing<String>)>;

impl<'a> Splice<'a> {
    /// Changes to `bytes`, of which `root` is what [`Format::parse`] gave.
    pub fn new(format: Format, bytes: &'a [u8], root: &'a Node) -> Self {
        Self {
            format,
            bytes,
            root,
            changes: Vec::new(),
        }
    }

    /// Sets a string, spelled in the style of the one that is there.
    ///
    /// # Errors
    /// [`SpliceError::NotAString`].
    pub fn set(&mut self, node: &Node, text: &str) -> Result<(), SpliceError> {
        let former = match node.text() {
            Some(former) if !node.span.is_empty() => former,
            _ => return Err(SpliceError::NotAString),
        };
        if former != text {
            let spelled = self.bytes.get(node.span.clone()).unwrap_or_default();
            self.changes.push(Change {
                span: node.span.clone(),
                literal: self.format.literal(spelled, text),
                what: What::Set(Zeroizing::new(text.to_owned())),
            });
        }
        Ok(())
    }

    /// Sets a whole number.
    ///
    /// # Errors
    /// [`SpliceError::NotANumber`].
    pub fn set_number(&mut self, node: &Node, number: i64) -> Result<(), SpliceError> {
        let former = node.integer(self.bytes).ok_or(SpliceError::NotANumber)?;
        if former != number {
            self.changes.push(Change {
                span: node.span.clone(),
                literal: Zeroizing::new(number.to_string()),
                what: What::Number,
            });
        }
        Ok(())
    }

    /// Adds a member after another, whose value is a string, in its style.
    ///
    /// # Errors
    /// [`SpliceError::NoRoom`] where the format or the layout leaves no simple place.
    pub fn add_after(&mut self, member: &Member, key: &str, text: &str) -> Result<(), SpliceError> {
        let literal = match self.format {
            Format::Json | Format::Json5 => json::member_after(self.bytes, member, key, text),
            Format::Toml | Format::Yaml | Format::Lisp => None,
        };
        let at = member.value.span.end;
        self.changes.push(Change {
            span: at..at,
            literal: literal.ok_or(SpliceError::NoRoom)?,
            what: What::Member(
                member.value.span.start,
                key.to_owned(),
                Zeroizing::new(text.to_owned()),
            ),
        });
        Ok(())
    }

    /// Adds a map of strings at the end of the list that a member of the root holds, in the style of the map before it.
    ///
    /// # Errors
    /// [`SpliceError::NoRoom`] where the format or the layout leaves no simple place.
    pub fn append(&mut self, list: &Member, fields: &[(&str, &str)]) -> Result<(), SpliceError> {
        let (at, literal) = match self.format {
            Format::Json | Format::Json5 => json::item_after(self.bytes, &list.value, fields),
            Format::Toml => toml::table_after(self.bytes, list, fields),
            Format::Yaml | Format::Lisp => None,
        }
        .ok_or(SpliceError::NoRoom)?;
        let begins = list.value.span.start;
        let is_after = |change: &Change| matches!(change.what, What::Item(at, _) if at == begins);
        let is_empty = matches!(&list.value.kind, Kind::List(items) if items.is_empty());
        let literal = if is_empty && self.changes.iter().any(is_after) {
            // What was added before stands where nothing did.
            let mut parted = Zeroizing::new(String::with_capacity(literal.len() + 1));
            parted.push(',');
            parted.push_str(&literal);
            parted
        } else {
            literal
        };
        let own =
            |(key, text): &(&str, &str)| ((*key).to_owned(), Zeroizing::new((*text).to_owned()));
        self.changes.push(Change {
            span: at..at,
            literal,
            what: What::Item(begins, fields.iter().map(own).collect()),
        });
        Ok(())
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many changes there are so far.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Forgets the changes beyond the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.changes.truncate(len);
    }

    /// The edits, after reading what they make of the text: the values are those that were meant, and all others are
    /// as they were.
    ///
    /// # Errors
    /// [`SpliceError::Differs`] when they are not, for instance because other places of a YAML file refer to a value.
    pub fn finish(self) -> Result<Edits, SpliceError> {
        let after = self.edits().apply(self.bytes);
        let root = self
            .format
            .parse(&after)
            .map_err(|_| SpliceError::Differs)?;
        let mut meant = Meant {
            before: self.bytes,
            after: &after,
            set: BTreeMap::new(),
            numbers: BTreeMap::new(),
            members: BTreeMap::new(),
            items: BTreeMap::new(),
            used: 0,
        };
        for change in &self.changes {
            match &change.what {
                What::Set(text) => {
                    meant.set.insert(change.span.start, text);
                }
                What::Number => {
                    meant.numbers.insert(change.span.start, &change.literal);
                }
                What::Member(at, key, text) => {
                    meant.members.entry(*at).or_default().push((key, text));
                }
                What::Item(at, fields) => {
                    meant.items.entry(*at).or_default().push(fields);
                }
            }
        }
        if meant.is(self.root, &root) && meant.used == self.changes.len() {
            Ok(self.edits())
        } else {
            Err(SpliceError::Differs)
        }
    }

    fn edits(&self) -> Edits {
        let mut edits = Edits::default();
        for change in &self.changes {
            edits.replace(self.bytes, &change.span, &change.literal);
        }
        edits
    }
}

/// A value can't be changed as asked. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpliceError {
    /// There is no string to replace.
    #[error("there is no string to replace")]
    NotAString,
    /// There is no whole number to replace.
    #[error("there is no whole number to replace")]
    NotANumber,
    /// A member can't be added here.
    #[error("there is no simple place to add a key")]
    NoRoom,
    /// The text would not be read back as meant.
    #[error(
        "the change would not be read back as meant, or change other values: edit the file by hand"
    )]
    Differs,
}

/// What the text is to mean after the changes.
struct Meant<'a> {
    before: &'a [u8],
    after: &'a [u8],
    /// Strings, by where the former one begins.
    set: BTreeMap<usize, &'a str>,
    /// Spellings of numbers, by where the former one begins.
    numbers: BTreeMap<usize, &'a str>,
    /// Members that follow the one whose value begins there.
    members: BTreeMap<usize, Vec<(&'a str, &'a str)>>,
    /// Maps at the end of the list that begins there.
    items: BTreeMap<usize, Vec<&'a Fields>>,
    /// How many of the changes were found.
    used: usize,
}

impl Meant<'_> {
    fn is(&mut self, before: &Node, after: &Node) -> bool {
        match (&before.kind, &after.kind) {
            (Kind::Text(old), Kind::Text(new)) => {
                let meant = self.set.get(&before.span.start).copied();
                self.used += usize::from(meant.is_some());
                meant.unwrap_or(old) == new.as_str()
            }
            (Kind::List(old), Kind::List(new)) => {
                let items = self.items.remove(&before.span.start).unwrap_or_default();
                self.used += items.len();
                let (kept, added) = new.split_at(old.len().min(new.len()));
                kept.len() == old.len()
                    && old
                        .iter()
                        .zip(kept)
                        .all(|(before, after)| self.is(before, after))
                    && added.len() == items.len()
                    && added
                        .iter()
                        .zip(items)
                        .all(|(node, item)| holds(node, item))
            }
            (Kind::Map(old), Kind::Map(new)) => self.are(old, new),
            (Kind::Null, Kind::Null) => true,
            (Kind::Other, Kind::Other) => {
                let meant = self.numbers.get(&before.span.start).copied();
                self.used += usize::from(meant.is_some());
                let former = self.before.get(before.span.clone());
                let spelled = meant.map(str::as_bytes).or(former);
                spelled.is_some() && spelled == self.after.get(after.span.clone())
            }
            _ => false,
        }
    }

    fn are(&mut self, old: &[Member], new: &[Member]) -> bool {
        let mut new = new.iter();
        for before in old {
            let same = new.next().is_some_and(|after| {
                before.key == after.key && self.is(&before.value, &after.value)
            });
            if !same {
                return false;
            }
            let added = self.members.get(&before.value.span.start).cloned();
            for (key, text) in added.unwrap_or_default() {
                let there = new.next();
                if there.is_none_or(|after| after.key != key || after.value.text() != Some(text)) {
                    return false;
                }
                self.used += 1;
            }
        }
        new.next().is_none()
    }
}

/// Whether a node is the map of these strings.
fn holds(node: &Node, fields: &[(String, Zeroizing<String>)]) -> bool {
    let members = node.members().unwrap_or_default();
    members.len() == fields.len()
        && members.iter().zip(fields).all(|(member, (key, text))| {
            member.key == *key && member.value.text() == Some(text.as_str())
        })
}

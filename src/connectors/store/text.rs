//! Entries of a text document, written by replacing their strings and nothing else.

use zeroize::Zeroizing;

use crate::{
    connectors::{
        Prepared, WriteRequest,
        place::Loaded,
        rewrite::{Rewrite, refused_all},
        values,
    },
    document::{Format, Node, Splice, SpliceError},
    model::Record,
};

use super::{Editor, Entry, Taken, Text, changes, client_of, kept_client};

/// Where the strings of an entry stand.
#[derive(Clone, Copy)]
pub(crate) struct Spans<'a> {
    pub(crate) token: &'a Node,
    /// The client's id and secret, where the entry has a client of its own.
    pub(crate) client: Option<(&'a Node, &'a Node)>,
}

/// Changes to a document.
pub(crate) struct TextEditor<'a> {
    pub(crate) splice: Splice<'a>,
    /// What the person should know.
    pub(crate) notes: Vec<String>,
    /// Adds an account, where the format has a way.
    pub(crate) insert: Insert<'a>,
    /// Changes what else goes with a token that is replaced.
    pub(crate) also: Also<'a>,
}

/// The text with another token in it: what stands around one (`Bearer`) stays.
pub(crate) fn in_place_of(former: &str, token: &str) -> Text {
    let held = values::secret(former).ok();
    // The last place: a short token may stand in the word before it, too.
    let around = held.and_then(|held| former.rsplit_once(held));
    let (before, after) = around.unwrap_or_default();
    Zeroizing::new([before, token, after].concat())
}

/// Adds an account of this user to a document, for a record, and says how it is named, or why that can't be done.
pub(crate) type Insert<'a> = &'a dyn Fn(&mut Splice<'_>, &str, &Record) -> Result<String, String>;

/// Changes what else in a document goes with a record's token.
pub(crate) type Also<'a> = &'a dyn Fn(&mut Splice<'_>, &Record) -> Result<(), SpliceError>;

impl<'a> Editor<Option<Spans<'a>>> for TextEditor<'_> {
    fn update(
        &mut self,
        entry: &Entry<Option<Spans<'a>>>,
        record: &Record,
    ) -> Result<bool, String> {
        let spans = entry
            .place
            .ok_or_else(|| format!("{} has no token to replace", entry.label))?;
        let before = self.splice.len();
        let mut set = || -> Result<(), SpliceError> {
            let former = spans.token.text().unwrap_or_default();
            let token = in_place_of(former, record.access_token.expose());
            self.splice.set(spans.token, &token)?;
            (self.also)(&mut self.splice, record)?;
            match (spans.client, client_of(record)) {
                (Some((id, secret)), Some(ours)) => {
                    self.splice.set(id, ours.0)?;
                    self.splice.set(secret, ours.1)
                }
                (Some(_), None) => {
                    self.notes.extend(kept_client(entry, record));
                    Ok(())
                }
                (None, _) => Ok(()),
            }
        };
        match set() {
            Ok(()) => Ok(self.splice.len() > before),
            Err(why) => {
                self.splice.truncate(before);
                Err(format!("{}: {why}", entry.label))
            }
        }
    }

    fn insert(&mut self, name: &str, record: &Record) -> Result<String, String> {
        (self.insert)(&mut self.splice, name, record)
    }
}

/// What it takes to put records into a document.
pub(crate) struct TextPlan<'a> {
    pub(crate) connector: &'static str,
    pub(crate) format: Format,
    pub(crate) root: &'a Node,
    pub(crate) entries: &'a [Entry<Option<Spans<'a>>>],
    pub(crate) taken: Taken,
    pub(crate) insert: Insert<'a>,
    /// What the person has to do so that the client takes the change over.
    pub(crate) advice: &'a str,
}

impl TextPlan<'_> {
    /// The plan to put these records into the file that the document was read from.
    pub(crate) fn prepared(
        self,
        file: Loaded,
        request: &WriteRequest,
        records: &[Record],
    ) -> Box<dyn Prepared> {
        self.prepared_also(file, request, records, &|_, _| Ok(()))
    }

    /// The same for a document in which more goes with a token than its client.
    pub(crate) fn prepared_also(
        self,
        file: Loaded,
        request: &WriteRequest,
        records: &[Record],
        also: Also<'_>,
    ) -> Box<dyn Prepared> {
        let mut editor = TextEditor {
            splice: Splice::new(self.format, file.bytes(), self.root),
            notes: Vec::new(),
            insert: self.insert,
            also,
        };
        let changes = changes(self.entries, records, self.taken, &mut editor);
        let TextEditor {
            splice, mut notes, ..
        } = editor;
        let edits = match splice.finish() {
            Ok(edits) => edits,
            Err(why) => {
                let path = file.path();
                return refused_all(self.connector, path, records, &why.to_string());
            }
        };
        if !edits.is_empty() {
            notes.push(self.advice.to_owned());
        }
        Rewrite::prepared(self.connector, file, edits, changes, notes, request)
    }
}

/// Where the strings of an account stand; `None` where there is no string for the token.
pub(crate) fn spans<'a>(
    account: &'a Node,
    token: &str,
    client: Option<(&str, &str)>,
) -> Option<Spans<'a>> {
    let string = |key: &str| account.get(key).filter(|node| node.text().is_some());
    Some(Spans {
        token: string(token)?,
        client: client.and_then(|(id, secret)| Some((string(id)?, string(secret)?))),
    })
}

/// The text of a member.
pub(crate) fn text_of(node: &Node, key: &str) -> Option<Text> {
    node.get(key)
        .and_then(Node::text)
        .map(|text| Zeroizing::new(text.to_owned()))
}

//! Clients that run in a browser: Elk, Phanpy, Pinafore (Semaphore, Enafore) and Sengi, as a dump of local storage.
//!
//! Evidence: Elk 1.0 (`constants/index.ts`, `composables/users.ts`; IndexedDB by idb-keyval), Phanpy 2026.08
//! (`src/utils/store-utils.js`), Pinafore 2.6 (`src/routes/_store`), Sengi 1.9 (`src/app/states`). They have no file and
//! no way to export: the dump is what `copy(JSON.stringify(localStorage))` puts on the clipboard in the console of the
//! browser, an object of keys and texts, most of which hold JSON again. Texts that somebody parsed already are read,
//! too, and Elk's array alone, as IndexedDB has it.
//!
//! A change goes into the dump, which is then put back with a line for the console: a browser's profile is not written.

pub(crate) mod keys;
#[cfg(test)]
mod tests;
mod write;

use std::{ops::Range, path::PathBuf};

use zeroize::Zeroizing;

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place,
        store::{self, Text},
    },
    document::{Format, Kind, Node},
    model::{Record, Snapshot},
};

/// Dumps of what web clients keep in the browser.
#[derive(Debug, Clone, Copy)]
pub struct Web;

const NAME: &str = "web";

impl Source for Web {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Elk, Phanpy, Pinafore and Sengi, by a dump of local storage"
    }

    fn usual_places(&self, _: &Surroundings) -> Vec<PathBuf> {
        Vec::new()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let file = load(&request.path)?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &request.path, request));
        let dump = Dump::parse(file.bytes()).map_err(|problem| problem.at(&request.path))?;
        let entries = keys::entries(&|key| dump.text(key));
        store::import(&entries, request, &mut snapshot);
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for Web {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        write::plan(load(&request.path)?, request, records)
    }
}

fn load(path: &std::path::Path) -> Result<place::Loaded, Error> {
    let path = place::file_in(path, &[]).ok_or_else(|| Error::NotFound {
        connector: NAME,
        path: path.to_owned(),
    })?;
    place::load(NAME, &path, place::MAX_BYTES)
}

/// What a file holds of local storage.
struct Dump<'a> {
    bytes: &'a [u8],
    root: Node,
}

/// Where the text of a key stands in the file.
#[derive(Clone)]
struct Held {
    /// In bytes, without the quotes of a string.
    span: Range<usize>,
    /// Whether it is a string, with escapes.
    is_string: bool,
}

impl<'a> Dump<'a> {
    /// Parses it and makes sure that one of the clients wrote some of it.
    fn parse(bytes: &'a [u8]) -> Result<Self, Problem> {
        let root = Format::Json.parse(bytes)?;
        let dump = Self { bytes, root };
        let is_elk = |user: &Node| {
            let account = user.get("account").and_then(Node::members);
            account.is_some()
                && user
                    .get("server")
                    .is_some_and(|server| server.text().is_some())
        };
        let is_ours = match &dump.root.kind {
            Kind::List(users) => users.iter().any(is_elk),
            _ => !keys::entries(&|key| dump.text(key)).is_empty(),
        };
        if !is_ours {
            let what =
                "expected a dump of local storage with accounts of Elk, Phanpy, Pinafore or Sengi";
            return Err(Problem(what.to_owned()));
        }
        Ok(dump)
    }

    /// Where the text of a key stands; an array alone is that of Elk.
    fn held(&self, key: &str) -> Option<Held> {
        let node = match self.root.kind {
            Kind::List(_) if key == keys::ELK => &self.root,
            _ => self.root.get(key)?,
        };
        Some(Held {
            span: match &node.kind {
                Kind::Text(_) => node.span.start + 1..node.span.end - 1,
                _ => node.span.clone(),
            },
            is_string: node.text().is_some(),
        })
    }

    /// The text of a key.
    fn text(&self, key: &str) -> Option<Text> {
        match self.held(key)? {
            Held {
                is_string: true, ..
            } => store::text_of(&self.root, key),
            Held { span, .. } => {
                let text = std::str::from_utf8(self.bytes.get(span)?).ok()?;
                Some(Zeroizing::new(text.to_owned()))
            }
        }
    }
}

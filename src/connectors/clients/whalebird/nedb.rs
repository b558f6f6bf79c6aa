//! Whalebird 1.0 to 4.7: `account.db` of NeDB, a document of JSON in each line.
//!
//! Evidence: Whalebird 4.7, `src/main/{account,auth}.ts`; NeDB 1.8, `lib/persistence.js`. A later line takes the place of an
//! earlier one with the same `_id`, or deletes it (`$$deleted`); lines with `$$indexCreated` declare an index. Damaged lines
//! are left out by the program; with more than a tenth of them it doesn't start. When it starts, it writes the file
//! anew, makes `order` count, and asks each server for the rest of what it shows of an account.
//!
//! Nothing that is there is changed: a token that goes back is a further line, the whole document with other values.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use zeroize::Zeroizing;

use crate::{
    connectors::{
        Error, Prepared, WriteRequest,
        error::Problem,
        place::Loaded,
        rewrite::{Rewrite, refused_all},
        store::{self, Editor, Entry, Skipped, Taken, Text, text_of},
        values::{self, shown},
    },
    document::{Edits, Format, Kind, Node, Splice, json},
    model::{Record, Secret},
};

use super::{APP, NAME, REDIRECT_URI};

/// The documents of a file, as all its lines leave them.
pub(super) struct Documents<'a> {
    bytes: &'a [u8],
    documents: Vec<Document>,
    /// Every `_id` that a line has, deleted ones too, and which of the documents was the first of it.
    ids: BTreeMap<String, usize>,
    /// The numbers of lines that are no document.
    damaged: Vec<usize>,
}

struct Document {
    /// Its line, without what is around it.
    span: Range<usize>,
    /// What that spells; its nodes stand where they do in the line.
    node: Node,
    is_deleted: bool,
}

impl<'a> Documents<'a> {
    /// Reads the lines.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Problem> {
        let mut documents = Self {
            bytes,
            documents: Vec::new(),
            ids: BTreeMap::new(),
            damaged: Vec::new(),
        };
        let mut start = if bytes.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        let lines = bytes.get(start..).unwrap_or_default();
        for (at, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let from = start + line.len() - line.trim_ascii_start().len();
            let trimmed = line.trim_ascii();
            start += line.len();
            if !trimmed.is_empty() && !documents.add(from..from + trimmed.len(), trimmed) {
                documents.damaged.push(at + 1);
            }
            store::bounded(documents.documents.len().max(documents.damaged.len()))?;
        }
        documents.documents.retain(|document| !document.is_deleted);
        if documents.documents.iter().any(Document::is_account) {
            return Ok(documents);
        }
        match documents.damaged.first() {
            Some(line) => Err(Problem::line(*line as u64, "it is no JSON object")),
            None if documents.documents.is_empty() => Ok(documents),
            None => Err(Problem(
                "it holds no accounts of Whalebird (the file of that name in the folder \"cache\" is another)"
                    .to_owned(),
            )),
        }
    }

    /// Takes a line over. Returns whether it is what NeDB writes.
    fn add(&mut self, span: Range<usize>, line: &[u8]) -> bool {
        let Ok(node) = Format::Json.parse(line) else {
            return false;
        };
        if node.members().is_none() {
            return false;
        }
        let Some(id) = node.get("_id").and_then(Node::text).map(str::to_owned) else {
            return node.get("$$indexCreated").is_some() || node.get("$$indexRemoved").is_some();
        };
        let is_deleted = spelled(line, &node, "$$deleted") == Some("true");
        let document = Document {
            span,
            node,
            is_deleted,
        };
        let place = *self.ids.entry(id).or_insert(self.documents.len());
        match self.documents.get_mut(place) {
            Some(former) => *former = document,
            None => self.documents.push(document),
        }
        true
    }

    /// Whether there is an account.
    pub(super) fn holds_any(&self) -> bool {
        self.documents.iter().any(Document::is_account)
    }

    /// The accounts, each placed by the number of its document, and the lines that can't be read.
    pub(super) fn entries(&self) -> Vec<Entry<usize>> {
        let documents = self.documents.iter().enumerate();
        let entries = documents.map(|(at, document)| entry(at, document));
        let damaged = self.damaged.iter().map(|line| Entry {
            label: format!("line {line}"),
            skipped: Some(Skipped::unread(
                "it is damaged, so that an account may be missing: open and close Whalebird once",
            )),
            ..Entry::default()
        });
        entries.chain(damaged).collect()
    }

    fn line(&self, document: &Document) -> &'a [u8] {
        self.bytes.get(document.span.clone()).unwrap_or_default()
    }

    /// The number for a new account: one more than the highest.
    fn next_order(&self) -> Option<f64> {
        let orders = self.documents.iter().filter_map(|document| {
            let spelled = spelled(self.line(document), &document.node, "order")?;
            spelled.parse::<f64>().ok()
        });
        let next = orders.fold(0.0, f64::max).floor() + 1.0;
        (next < MAX_ORDER).then_some(next)
    }
}

impl Document {
    fn is_account(&self) -> bool {
        let has = |key| self.node.get(key).is_some();
        has("accessToken") && (has("baseURL") || has("domain"))
    }
}

/// How a value is spelled in its line.
fn spelled<'a>(line: &'a [u8], node: &Node, key: &str) -> Option<&'a str> {
    let span = node.get(key)?.span.clone();
    std::str::from_utf8(line.get(span)?).ok()
}

fn entry(at: usize, document: &Document) -> Entry<usize> {
    let node = &document.node;
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let (user, domain) = (text("username"), text("domain"));
    let is_unread = match node.get("accessToken").map(|node| &node.kind) {
        // A login that was never finished.
        Some(Kind::Null) => false,
        other => !matches!(other, Some(Kind::Text(_))),
    };
    Entry {
        place: at,
        label: format!(
            "account \"{}\" of {}",
            shown(user.as_deref().unwrap_or_default()),
            shown(domain.as_deref().unwrap_or_default())
        ),
        instance: domain,
        base_url: text("baseURL"),
        user,
        token: text_of(node, "accessToken"),
        refresh_token: text_of(node, "refreshToken"),
        client_id: text("clientId"),
        client_secret: text_of(node, "clientSecret"),
        app_name: Some(APP.to_owned()),
        redirect_uri: Some(REDIRECT_URI.to_owned()),
        skipped: is_unread.then(|| Skipped::unread("expected a string for \"accessToken\"")),
        ..Entry::default()
    }
}

/// The plan for these records.
pub(super) fn plan(
    file: Loaded,
    request: &WriteRequest,
    records: &[Record],
) -> Result<Box<dyn Prepared>, Error> {
    let bytes = file.bytes();
    let documents = Documents::parse(bytes).map_err(|problem| problem.at(file.path()))?;
    // A login that was never finished holds no account.
    let mut entries = documents.entries();
    entries.retain(|entry| {
        entry.skipped.is_some() || entry.token.as_ref().is_some_and(|text| !text.is_empty())
    });
    let mut editor = LineEditor {
        next_order: documents.next_order(),
        ids: documents.ids.keys().cloned().collect(),
        documents: &documents,
        added: Text::default(),
        notes: Vec::new(),
        now: request.now,
    };
    let changes = store::changes(&entries, records, Taken::Apart, &mut editor);
    let LineEditor {
        added, mut notes, ..
    } = editor;
    let mut edits = Edits::default();
    if !added.is_empty() {
        let is_open = !matches!(bytes.last(), None | Some(b'\n'));
        let text = Text::new(format!(
            "{}{}",
            if is_open { "\n" } else { "" },
            added.as_str()
        ));
        if !is_tolerated(&Zeroizing::new([bytes, text.as_bytes()].concat())) {
            let why = "too many of its lines are damaged for Whalebird to open it afterwards: open and close Whalebird \
                       once, which leaves them out, or remove them";
            return Ok(refused_all(NAME, file.path(), records, why));
        }
        edits.replace(bytes, &(bytes.len()..bytes.len()), &text);
        notes.push("start Whalebird: it reads its accounts when it starts".to_owned());
    }
    Ok(Rewrite::prepared(
        NAME, file, edits, changes, notes, request,
    ))
}

/// Whether NeDB opens the file: one of the lines, the last, is usually empty and not counted.
fn is_tolerated(bytes: &[u8]) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n');
    let (all, damaged) = lines.fold((0, 0), |(all, damaged), line| {
        let is_damaged = Format::Json.parse(line).is_err();
        (all + 1, damaged + usize::from(is_damaged))
    });
    damaged.saturating_sub(1) * 10 <= all
}

/// Writes further lines.
struct LineEditor<'a> {
    documents: &'a Documents<'a>,
    ids: BTreeSet<String>,
    next_order: Option<f64>,
    added: Text,
    notes: Vec<String>,
    now: jiff::Timestamp,
}

impl Editor<usize> for LineEditor<'_> {
    fn update(&mut self, entry: &Entry<usize>, record: &Record) -> Result<bool, String> {
        let document = self.documents.documents.get(entry.place);
        let document = document.ok_or_else(|| format!("{} can't be read", entry.label))?;
        let line = self.documents.line(document);
        let node = |key| {
            let node = document.node.get(key);
            node.filter(|node| node.text().is_some())
        };
        let failed = |why| format!("{}: {why}", entry.label);
        let token = node("accessToken")
            .ok_or_else(|| format!("{} has no token to replace", entry.label))?;
        let mut splice = Splice::new(Format::Json, line, &document.node);
        let token = splice.set(token, record.access_token.expose());
        token.map_err(|why| failed(why.to_string()))?;
        match (
            node("clientId").zip(node("clientSecret")),
            store::client_of(record),
        ) {
            (Some((id, secret)), Some(ours)) => {
                let client = splice
                    .set(id, ours.0)
                    .and_then(|()| splice.set(secret, ours.1));
                client.map_err(|why| failed(why.to_string()))?;
            }
            (Some(_), None) => self.notes.extend(store::kept_client(entry, record)),
            (None, _) => {}
        }
        if splice.is_empty() {
            return Ok(false);
        }
        let edits = splice.finish().map_err(|why| failed(why.to_string()))?;
        let changed = edits.apply(line);
        let changed = std::str::from_utf8(&changed).map_err(|why| failed(why.to_string()))?;
        self.add(changed);
        Ok(true)
    }

    fn insert(&mut self, name: &str, record: &Record) -> Result<String, String> {
        let (id, secret) = store::client_of(record)
            .ok_or("Whalebird needs client_id and client_secret of the app, which are not known")?;
        let order = self
            .next_order
            .ok_or("the accounts in the file are numbered too high to add one")?;
        let api = record.app.base_url.as_deref().and_then(values::instance);
        let domain = api.as_ref().unwrap_or(&record.instance).as_str();
        let quoted = |text: &str| Text::new(json::quoted(text));
        let refresh_token = record.refresh_token.as_ref().map(Secret::expose);
        let refresh_token = refresh_token.map_or(Text::new("null".to_owned()), quoted);
        let line = Text::new(format!(
            "{{\"baseURL\":{},\"domain\":{},\"clientId\":{},\"clientSecret\":{},\"accessToken\":{},\"refreshToken\":{},\
             \"username\":{},\"accountId\":null,\"avatar\":null,\"order\":{order:.0},\"_id\":{}}}",
            *quoted(&format!("https://{domain}")),
            *quoted(domain),
            *quoted(id),
            *quoted(secret),
            *quoted(record.access_token.expose()),
            *refresh_token,
            *quoted(name),
            *quoted(&self.new_id(domain, name)),
        ));
        self.add(&line);
        self.next_order = Some(order + 1.0).filter(|next| *next < MAX_ORDER);
        Ok(format!("account \"{}\" of {domain}", shown(name)))
    }
}

impl LineEditor<'_> {
    fn add(&mut self, line: &str) {
        // Room first: a buffer that grows leaves copies of secrets behind.
        let mut added = Text::new(String::with_capacity(self.added.len() + line.len() + 1));
        added.push_str(&self.added);
        added.push_str(line);
        added.push('\n');
        self.added = added;
    }

    /// Sixteen letters and digits, as NeDB's, that no line has.
    fn new_id(&mut self, domain: &str, name: &str) -> String {
        let ids = (0_u32..).map(|attempt| {
            let what = format!("{domain}\0{name}\0{}\0{attempt}", self.now);
            let hash = blake3::hash(what.as_bytes());
            let letters = hash.as_bytes().iter().take(ID_LENGTH);
            let letter = |byte: &u8| ALPHABET.chars().nth(usize::from(*byte) % ALPHABET.len());
            letters.filter_map(letter).collect::<String>()
        });
        let id = ids.into_iter().find(|id| !self.ids.contains(id));
        let id = id.unwrap_or_default();
        self.ids.insert(id.clone());
        id
    }
}

const ID_LENGTH: usize = 16;
const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The first whole number that JavaScript can't tell from the next.
const MAX_ORDER: f64 = 9_007_199_254_740_992.0;

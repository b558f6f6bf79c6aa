//! Pages for people outside the terminal: an audit as one HTML file that needs nothing but itself.
//!
//! For this use, this call: fill an [`AuditPage`] and [`AuditPage::write`] it. Promises that the page holds no script
//! and names no resource, that text from elsewhere can neither become markup nor steer what is shown, and that the
//! page stays bounded however much there is to tell: what is left out is said, with the command that lists it. The
//! model has no place for a secret. Leaves where the facts come from to the caller.

mod scale;
mod text;
mod timeline;
mod view;

use std::io;

use askama::Template as _;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::model::{RunOutcome, Status};

/// What an audit found, as of one moment.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// The vault's path.
    pub vault: String,
    /// The tokens asked about, where not all of them.
    pub selector: Option<String>,
    /// The moment asked about.
    pub as_of: Timestamp,
    /// When the page was made.
    pub made_at: Timestamp,
    /// Version of the program.
    pub version: String,
    /// The zone in which times are written.
    pub zone: TimeZone,
    /// How much there is in all.
    pub totals: Totals,
    /// Sources, in the order in which they are shown.
    pub sources: Vec<Source>,
    /// Keys, those that matter most first; [`Totals::keys`] says how many there are.
    pub keys: Vec<Key>,
    /// What a person should look at.
    pub findings: Vec<Finding>,
    /// What was done with the vault, the latest first; [`Totals::events`] says how much there is.
    pub events: Vec<Event>,
    /// Whether the audit log is whole.
    pub chain: Chain,
}

/// How much there is in all, shown or not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Keys: instance / user / app.
    pub keys: u64,
    /// Tokens that are in a source and live.
    pub active: u64,
    /// Tokens that a source calls revoked.
    pub revoked: u64,
    /// Tokens whose time is over.
    pub expired: u64,
    /// Tokens that are in no source any more.
    pub gone: u64,
    /// Restores, reveals, exports, changes of keys.
    pub events: u64,
}

/// One source and its runs.
#[derive(Debug, Clone)]
pub struct Source {
    /// Name of the connector.
    pub connector: String,
    /// Path or database.
    pub location: String,
    /// The machine that it was read on; `None` for material without one.
    pub host: Option<String>,
    /// The one instance that it is about, where there is just one.
    pub instance: Option<String>,
    /// Its runs, oldest first.
    pub runs: Vec<Run>,
    /// The usual time between two backups; `None` before there were two.
    pub rhythm: Option<SignedDuration>,
    /// Whether a backup is overdue.
    pub overdue: bool,
    /// How many of its runs are backups of this vault's own: neither old copies nor another vault's.
    pub backups: u64,
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Its number.
    pub number: u64,
    /// When it was true.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: RunOutcome,
}

/// Whether a file is such a page, by how it begins.
pub fn is_one(file: &[u8]) -> bool {
    let head = file.get(..HEAD_BYTES).unwrap_or(file);
    let title = b"<title>Audit of ";
    file.starts_with(b"<!DOCTYPE html>") && head.windows(title.len()).any(|at| at == title)
}

/// The title stands among so many bytes.
const HEAD_BYTES: usize = 2_048;

/// One key and the tokens that it had.
#[derive(Debug, Clone)]
pub struct Key {
    /// Instance / user / app.
    pub name: String,
    /// Its tokens, in the order of first sight.
    pub tokens: Vec<Token>,
}

/// One token's life, as far as the vault knows it.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its id as shown (`tk_…`).
    pub id: String,
    /// First seen in any source.
    pub from: Timestamp,
    /// When it ended; `None` for a live one.
    pub until: Option<Timestamp>,
    /// When no source held it in between, in time order.
    pub away: Vec<(Timestamp, Timestamp)>,
    /// How it stands at the moment asked about.
    pub status: Status,
    /// Where it is, or was last.
    pub places: String,
}

/// Something that a person should look at.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// How many tokens it is about.
    pub total: u64,
    /// Some of them.
    pub tokens: Vec<FoundToken>,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// Live tokens that only one source holds.
    OneSource,
    /// Live tokens whose app's secret is in no source: they can be restored, but not revoked.
    NoAppSecret,
    /// Live tokens that did not work when their instance was last asked.
    NotWorking,
    /// Tokens that a source calls revoked.
    Revoked,
    /// Tokens whose time is over.
    Expired,
    /// Tokens that are in no source any more.
    Gone,
}

/// A token that a finding names.
#[derive(Debug, Clone)]
pub struct FoundToken {
    /// Its id as shown (`tk_…`).
    pub id: String,
    /// Instance / user / app.
    pub key: String,
    /// Where it is, or was last.
    pub places: String,
    /// Since when it is so, where that is known.
    pub since: Option<Timestamp>,
}

/// Something that was done with the vault.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Who did it, and where (`user@host`).
    pub actor: String,
    /// What it was, in a word or two ("restore").
    pub what: String,
    /// What more there is to say.
    pub detail: String,
}

/// Whether the audit log is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// Every link holds.
    Whole {
        /// How many entries there are.
        entries: u64,
    },
    /// A link does not hold.
    Broken {
        /// How many entries there are.
        entries: u64,
        /// The number of the first entry that doesn't follow from the one before.
        at: u64,
    },
}

impl AuditPage {
    /// Writes the page: UTF-8, at most a few megabytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        view::View::new(self).write_into(out)
    }

    /// The most sources, keys, tokens of a finding and events that a page shows: more can't be read. A caller need not
    /// collect more.
    pub const MOST: Most = Most {
        sources: 100,
        keys: 200,
        tokens_of_key: 12,
        absences_of_token: 4,
        tokens_of_finding: 50,
        events: 200,
    };
}

/// The most that a page shows.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Sources.
    pub sources: usize,
    /// Keys.
    pub keys: usize,
    /// Tokens of one key, the latest.
    pub tokens_of_key: usize,
    /// Times of one token at which no source held it, the latest.
    pub absences_of_token: usize,
    /// Tokens of one finding.
    pub tokens_of_finding: usize,
    /// Events.
    pub events: usize,
}

//! Sources and runs.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::Domain;

/// The number of a source in one vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// What makes a source the same source from run to run, on any machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey {
    /// Name of the connector ("toot", "postgres").
    pub connector: String,
    /// Path (absolute) or database, as the connector names it. Holds no secret.
    pub location: String,
    /// The machine it was read on; empty for material without a machine of its own (an interchange file).
    pub host: String,
}

/// A source that the vault knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its number in this vault.
    pub id: SourceId,
    /// Its identity.
    pub key: SourceKey,
    /// The one instance it is about, where there is just one (a server's database).
    pub instance: Option<Domain>,
}

/// Who ran the program, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Login name.
    pub user: String,
    /// Host name.
    pub host: String,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.host)
    }
}

/// The part of a source that a run speaks of. Rows outside of it keep their state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of it.
    All,
    /// The tokens of one account (by user name, compared without case), their apps, and that account.
    User(String),
}

/// Whether rows that are missing in a snapshot may be taken as gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// Everything in scope was read from a live source, or the material says that it is complete.
    Complete,
    /// Something could not be read, or the material doesn't say that it is complete: nothing ends.
    Partial,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// Everything was read; what was missing is marked gone.
    Complete,
    /// Read in part: nothing was marked gone.
    Partial,
    /// Suspiciously much was missing: recorded, but nothing was marked gone.
    Shrunk,
}

/// Rows of one relation in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Rows in the snapshot.
    pub seen: u64,
    /// New rows.
    pub added: u64,
    /// Rows whose contents changed.
    pub changed: u64,
    /// Rows that are in the source no more.
    pub gone: u64,
    /// Rows as before.
    pub unchanged: u64,
}

/// Counts of the three relations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunCounts {
    /// Tokens.
    pub tokens: Counts,
    /// Apps.
    pub apps: Counts,
    /// Accounts.
    pub accounts: Counts,
}

/// One run: what one source held at one moment, as the vault recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number in this vault, counted from 1 in the order of recording.
    pub id: u64,
    /// The source.
    pub source: Source,
    /// When it was true. Unique among the runs of a source.
    pub effective_at: Timestamp,
    /// When the vault learnt it.
    pub recorded_at: Timestamp,
    /// Who recorded it.
    pub actor: Actor,
    /// Version of the program.
    pub tool_version: String,
    /// What part of the source it speaks of.
    pub scope: Scope,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Whether it is dated after the moment of its recording (a clock that was wrong): kept, never "the latest".
    pub from_the_future: bool,
    /// A person's note.
    pub note: Option<String>,
    /// Counts.
    pub counts: RunCounts,
    /// What could not be imported.
    pub warnings: Vec<String>,
}

impl Run {
    /// Whether it was true when it was recorded, rather than dated to another time: an old copy, or a wrong clock. Runs
    /// that would be true at the same moment lie microseconds apart.
    pub fn is_live(&self) -> bool {
        self.effective_at.duration_since(self.recorded_at).abs() < SignedDuration::from_secs(1)
    }
}

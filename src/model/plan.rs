//! What a restore would change, and what it did.

use super::TokenId;

/// What happens to one record at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A new entry.
    Insert,
    /// An existing entry gets the record's values.
    Update,
    /// The target holds it already.
    Unchanged,
    /// It can't or mustn't be written; the detail says why and what to do.
    Refuse,
}

/// One line of a plan. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedChange {
    /// The record.
    pub id: TokenId,
    /// Its id as shown.
    pub short_id: String,
    /// What happens.
    pub action: Action,
    /// What changes where, or why not; one sentence.
    pub detail: String,
}

/// What a restore would change: plain data that can be printed, compared, or thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The connector and location that it is about, as shown.
    pub target: String,
    /// One line per record, in the order given.
    pub changes: Vec<PlannedChange>,
    /// What the person should know or do (restart the app, …).
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether applying it would write anything.
    pub fn writes(&self) -> bool {
        self.changes
            .iter()
            .any(|change| matches!(change.action, Action::Insert | Action::Update))
    }
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The plan as carried out.
    pub plan: Plan,
    /// Where the former file was kept, if one was replaced.
    pub backup: Option<std::path::PathBuf>,
}

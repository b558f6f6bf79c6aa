//! What the world calls things: instances, accounts, apps, tokens, sources, runs, records. No I/O and no clock here.
//!
//! The words are those of RFC 6749 (client_id, scope, access token), of Doorkeeper and Mastodon (application,
//! instance) and of SQL:2011 (effective time, recorded time, as-of).

mod domain;
mod plan;
mod record;
mod rhythm;
mod rows;
mod run;
mod scopes;
mod secret;
mod selector;
mod snapshot;
mod text;
mod time;
mod verification;

pub use domain::{Domain, DomainError};
pub use plan::{Action, Outcome, Plan, PlannedChange};
pub use record::{AppView, Record, RecordKey, Sighting, Status, TokenId, User};
pub use rhythm::{RHYTHM_TIMES, is_ahead, is_overdue, rhythm};
pub use rows::{Novelty, Relation, RowSink, TokenRow};
pub use run::{
    Actor, Completeness, Counts, Run, RunCounts, RunOutcome, Scope, Source, SourceId, SourceKey,
};
pub use scopes::Scopes;
pub use secret::Secret;
pub use selector::{Pattern, Selector, SelectorError, Target};
pub use snapshot::{Account, App, Keys, Row, Snapshot, Token, Warning};
pub use text::{is_steering, shown};
pub use time::{Form, Moment, When, WhenError};
pub use verification::{Verdict, Verification, VerifiedAccount, VerifiedApp};

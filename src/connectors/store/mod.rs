//! What the stores of all clients have in common: accounts that hold a token, their app, and the place where that
//! stands.
//!
//! A client's file says where its accounts are, as [`Entry`]s. What becomes of one is decided here, for all alike:
//! which can be imported and which are reported, which entry a record belongs to, and whether it changes.

mod changes;
mod entry;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use changes::{Editor, Taken, changes, client_of, kept_client};
pub(crate) use entry::{Entry, MAX_ACCOUNTS, Skipped, Text, bounded, import};
pub(crate) use text::{Spans, TextPlan, in_place_of, spans, text_of};

//! End to end through the real binary: one program, a module per subject.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers"
)]

mod audit;
#[cfg(feature = "report")]
mod audit_page;
mod backfill;
mod backup;
mod bad_input;
mod clients;
mod demo;
mod export;
mod forgetting;
mod help;
mod home;
mod hostile;
#[cfg(feature = "online")]
#[path = "../instance/mod.rs"]
mod instance;
mod json;
mod keys;
mod killed;
mod merging;
mod moments;
mod naming;
#[cfg(feature = "pgdump")]
mod pgdump;
mod prompts;
#[path = "../python/mod.rs"]
mod python;
mod reading;
mod readme;
mod restore;
mod rollback;
mod secrets;
mod shrink;
mod slots;
mod status;
mod stories;
mod toot;
mod unread;
#[cfg(feature = "online")]
mod verify;
mod writers;

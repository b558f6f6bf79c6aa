//! tuskvault: a password-protected vault, with history, for the OAuth tokens of Mastodon apps.
//!
//! The rooms, from the ground up (`docs/architecture.md` has the picture):
//! [`model`] (plain types), [`crypto`], [`files`], [`document`], [`storage`] (sealed pages under redb),
//! [`vault`] (history), [`connectors`] (one file per client app), `online` (asking instances) and `report` (the page of
//! an audit).

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod connectors;
pub mod crypto;
pub mod document;
pub mod files;
pub mod model;
#[cfg(feature = "online")]
pub mod online;
pub mod progress;
#[cfg(feature = "report")]
pub mod report;
pub mod storage;
pub mod vault;

//! The Mastodon database: the real binary against a real PostgreSQL, over the schemas of seven generations.
//!
//! Skipped with a word where PostgreSQL is missing, unless `TUSKVAULT_REQUIRE_POSTGRES=1`, which `scripts/test` sets.

#![cfg(feature = "postgres")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers"
)]

mod certificates;
mod cluster;
mod connect;
mod database;
mod document;
#[cfg(feature = "pgdump")]
mod dump;
mod fixture;
#[path = "../it/home.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod home;
mod import;
#[cfg(feature = "online")]
#[path = "../instance/mod.rs"]
mod instance;
mod pooler;
mod rails;
mod restore;
#[cfg(feature = "online")]
mod verify;
mod watermark;

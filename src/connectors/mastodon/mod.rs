//! The Mastodon server's tables, whichever way their rows come: from the live database or from a dump of it.

mod ahead;
mod names;
mod rows;

pub(super) use ahead::reading_ahead;
pub(super) use names::Names;
#[cfg(feature = "pgdump")]
pub(super) use rows::MAX_TEXT_BYTES;
pub(super) use rows::{AccessToken, Application, Told, User, text};

/// A column, and the type that its values are wanted in.
pub(super) type Column = (&'static str, &'static str);

/// The four tables that tokens touch, and the columns without which their rows mean nothing.
pub(super) const TABLES: [(&str, &[&str]); 4] = [
    (
        TOKENS_TABLE,
        &[
            "id",
            "token",
            "created_at",
            "application_id",
            "resource_owner_id",
        ],
    ),
    (APPS_TABLE, &["id", "name", "uid", "secret", "redirect_uri"]),
    (USERS_TABLE, &["id", "account_id"]),
    (ACCOUNTS_TABLE, &["id", "username", "domain"]),
];

pub(super) const TOKENS_TABLE: &str = "oauth_access_tokens";
pub(super) const APPS_TABLE: &str = "oauth_applications";
pub(super) const USERS_TABLE: &str = "users";
pub(super) const ACCOUNTS_TABLE: &str = "accounts";

/// What is read of a token.
pub(super) const TOKENS: [Column; 9] = [
    ("id", "int8"),
    ("application_id", "int8"),
    ("resource_owner_id", "int8"),
    ("token", "text"),
    ("refresh_token", "text"),
    ("scopes", "text"),
    ("created_at", "timestamp"),
    ("expires_in", "int8"),
    ("revoked_at", "timestamp"),
];

/// What is read of an application.
pub(super) const APPS: [Column; 12] = [
    ("id", "int8"),
    ("name", "text"),
    ("uid", "text"),
    ("secret", "text"),
    ("redirect_uri", "text"),
    ("scopes", "text"),
    ("website", "text"),
    ("superapp", "bool"),
    ("confidential", "bool"),
    ("owner_type", "text"),
    ("owner_id", "int8"),
    ("created_at", "timestamp"),
];

/// What is read of a user.
pub(super) const USERS: [Column; 3] = [
    ("id", "int8"),
    ("account_id", "int8"),
    ("created_at", "timestamp"),
];

/// Progress is told every so many rows.
pub(super) const STEP: u64 = 4_096;

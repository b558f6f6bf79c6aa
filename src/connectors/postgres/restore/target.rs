//! What the database has, and what the role may do there: from the catalogue, never from a version.

use std::collections::BTreeMap;

use postgres::Transaction;

use super::error::{Error, during};

/// A column, and what the role may do with it.
#[derive(Debug, Clone, Copy)]
struct Column {
    select: bool,
    insert: bool,
    update: bool,
}

/// The tables of a Mastodon, as they are here.
#[derive(Debug)]
pub(super) struct Target {
    columns: BTreeMap<(String, String), Column>,
    pub(super) role: String,
    pub(super) owns_tokens: bool,
    /// The sequences of `oauth_access_tokens.id` and `oauth_applications.id`, quoted, and whether they may be used.
    sequences: BTreeMap<&'static str, (String, bool)>,
    may_make_temp: bool,
    database: String,
}

pub(super) const TOKENS: &str = "oauth_access_tokens";
pub(super) const APPS: &str = "oauth_applications";
pub(super) const USERS: &str = "users";
pub(super) const ACCOUNTS: &str = "accounts";

/// Columns that every Mastodon since 2.4 has, and that are looked at.
const READ: [(&str, &[&str]); 4] = [
    (
        TOKENS,
        &[
            "token",
            "refresh_token",
            "revoked_at",
            "scopes",
            "application_id",
            "resource_owner_id",
        ],
    ),
    (
        APPS,
        &["id", "uid", "secret", "redirect_uri", "scopes", "superapp"],
    ),
    (USERS, &["id", "account_id", "created_at"]),
    (ACCOUNTS, &["id", "username", "domain", "created_at"]),
];

/// Columns that a token is written to.
pub(super) const TOKEN_COLUMNS: [&str; 8] = [
    "token",
    "refresh_token",
    "expires_in",
    "revoked_at",
    "created_at",
    "scopes",
    "application_id",
    "resource_owner_id",
];

/// Columns that an app needs.
const APP_COLUMNS: [&str; 5] = ["name", "uid", "secret", "redirect_uri", "scopes"];

impl Target {
    /// Looks at the database. Fails unless it is a Mastodon's, takes writes, and lets the role read what is needed and
    /// write tokens.
    pub(super) fn look(transaction: &mut Transaction<'_>) -> Result<Self, Error> {
        let failed = during("looking at the database");
        let row = transaction.query_typed_one(
            "SELECT quote_ident(current_user)::text, quote_ident(current_database())::text, pg_is_in_recovery(), \
             current_setting('transaction_read_only') = 'on', has_database_privilege(current_database(), 'TEMP'), \
             coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('oauth_access_tokens')), false)",
            &[],
        );
        let row = row.map_err(&failed)?;
        if row.get(2) {
            return Err(Error::ReadOnly {
                why: "it is a replica",
            });
        }
        if row.get(3) {
            return Err(Error::ReadOnly {
                why: "the connection only reads",
            });
        }
        let mut target = Self {
            columns: BTreeMap::new(),
            role: row.get(0),
            database: row.get(1),
            may_make_temp: row.get(4),
            owns_tokens: row.get(5),
            sequences: BTreeMap::new(),
        };
        let columns = transaction.query_typed(
            "SELECT t.name, a.attname::text, has_column_privilege(c.oid, a.attnum, 'SELECT'), \
             has_column_privilege(c.oid, a.attnum, 'INSERT'), has_column_privilege(c.oid, a.attnum, 'UPDATE') \
             FROM unnest(ARRAY['oauth_access_tokens', 'oauth_applications', 'users', 'accounts']) t (name) \
             JOIN pg_class c ON c.oid = to_regclass(t.name) \
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped",
            &[],
        );
        for row in columns.map_err(&failed)? {
            let column = Column {
                select: row.get(2),
                insert: row.get(3),
                update: row.get(4),
            };
            target.columns.insert((row.get(0), row.get(1)), column);
        }
        target.check_tables()?;
        for table in [TOKENS, APPS] {
            let row = transaction.query_typed_one(
                &format!(
                    "SELECT s, has_sequence_privilege(s, 'USAGE') FROM pg_get_serial_sequence('{table}', 'id') s"
                ),
                &[],
            );
            let row = row.map_err(&failed)?;
            if let Some(name) = row.get::<_, Option<String>>(0) {
                target.sequences.insert(table, (name, row.get(1)));
            }
        }
        target.check_privileges()?;
        Ok(target)
    }

    /// Whether the column is there and can be read.
    pub(super) fn reads(&self, table: &str, column: &str) -> bool {
        self.column(table, column)
            .is_some_and(|column| column.select)
    }

    /// Whether the column is there and can be written in a new row.
    pub(super) fn inserts(&self, table: &str, column: &str) -> bool {
        self.column(table, column)
            .is_some_and(|column| column.insert)
    }

    /// Whether the column is there and can be changed.
    pub(super) fn updates(&self, table: &str, column: &str) -> bool {
        self.column(table, column)
            .is_some_and(|column| column.update)
    }

    /// The sequence of a table's ids, as it is written in SQL.
    pub(super) fn sequence(&self, table: &str) -> Option<&str> {
        self.sequences.get(table).map(|(name, _)| name.as_str())
    }

    /// Columns that say whether a user can use tokens, which are there and can't be read.
    pub(super) fn hidden_states(&self) -> Vec<String> {
        let mut grants = Vec::new();
        for (table, columns) in STATES {
            let hidden: Vec<&str> = columns
                .iter()
                .copied()
                .filter(|column| {
                    self.column(table, column)
                        .is_some_and(|column| !column.select)
                })
                .collect();
            if !hidden.is_empty() {
                grants.push(self.grant(&format!("SELECT ({})", hidden.join(", ")), table));
            }
        }
        grants
    }

    /// Fails unless apps can be made.
    pub(super) fn check_apps(&self) -> Result<(), Error> {
        let mut grants = Vec::new();
        if APP_COLUMNS.iter().any(|column| !self.inserts(APPS, column)) {
            grants.push(self.grant("INSERT", APPS));
        }
        grants.extend(self.sequence_grant(APPS));
        self.denied_unless_empty(grants)
    }

    fn column(&self, table: &str, column: &str) -> Option<Column> {
        self.columns
            .get(&(table.to_owned(), column.to_owned()))
            .copied()
    }

    fn check_tables(&self) -> Result<(), Error> {
        for (table, columns) in READ {
            if !self.columns.keys().any(|(known, _)| known == table) {
                let missing = format!("table {table}");
                return Err(Error::NotMastodon { missing });
            }
            let written: &[&str] = if table == TOKENS { &TOKEN_COLUMNS } else { &[] };
            for column in columns.iter().chain(written) {
                if self.column(table, column).is_none() {
                    let missing = format!("column {table}.{column}");
                    return Err(Error::NotMastodon { missing });
                }
            }
        }
        Ok(())
    }

    fn check_privileges(&self) -> Result<(), Error> {
        let mut grants = Vec::new();
        for (table, columns) in READ {
            let hidden: Vec<&str> = columns
                .iter()
                .copied()
                .filter(|column| !self.reads(table, column))
                .collect();
            if !hidden.is_empty() {
                grants.push(self.grant(&format!("SELECT ({})", hidden.join(", ")), table));
            }
        }
        if TOKEN_COLUMNS
            .iter()
            .any(|column| !self.inserts(TOKENS, column))
        {
            grants.push(self.grant("INSERT", TOKENS));
        }
        grants.extend(self.sequence_grant(TOKENS));
        if !self.may_make_temp {
            grants.push(format!(
                "GRANT TEMP ON DATABASE {} TO {};",
                self.database, self.role
            ));
        }
        self.denied_unless_empty(grants)
    }

    fn sequence_grant(&self, table: &str) -> Option<String> {
        let (name, may_use) = self.sequences.get(table)?;
        (!may_use).then(|| format!("GRANT USAGE ON SEQUENCE {name} TO {};", self.role))
    }

    fn grant(&self, what: &str, table: &str) -> String {
        format!("GRANT {what} ON {table} TO {};", self.role)
    }

    fn denied_unless_empty(&self, grants: Vec<String>) -> Result<(), Error> {
        if grants.is_empty() {
            return Ok(());
        }
        Err(Error::Denied {
            role: self.role.clone(),
            grants,
        })
    }
}

/// Columns that say whether a user can use tokens; which of them there are depends on the release.
pub(super) const STATES: [(&str, &[&str]); 2] = [
    (USERS, &["confirmed_at", "disabled", "approved"]),
    (
        ACCOUNTS,
        &[
            "suspended_at",
            "suspended",
            "memorial",
            "moved_to_account_id",
            "requested_deletion_at",
        ],
    ),
];

//! What the environment says: handed in, because connectors don't look for themselves.

use std::{collections::BTreeMap, path::PathBuf};

use crate::model::Secret;

/// What the environment says of databases.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The variables among [`Environment::names`] that are set. Some hold secrets.
    pub variables: BTreeMap<String, Secret>,
    /// The person's home folder, for `.pgpass`, `.pg_service.conf` and `.postgresql`.
    pub home: PathBuf,
    /// The login name, which libpq takes for the role.
    pub user: String,
}

impl Environment {
    /// The variables that are asked for, libpq's and Mastodon's; no others need to be handed over.
    pub fn names() -> impl Iterator<Item = &'static str> {
        LIBPQ.iter().chain(MASTODON).copied()
    }

    /// The value of a variable. One that is set to nothing has the value "".
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(Secret::expose)
    }
}

/// PostgreSQL 18, "Environment Variables" of libpq: those that have a meaning here.
const LIBPQ: &[&str] = &[
    "PGCHANNELBINDING",
    "PGCONNECT_TIMEOUT",
    "PGDATABASE",
    "PGHOST",
    "PGHOSTADDR",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSYSCONFDIR",
    "PGUSER",
];

/// Mastodon 4.7, `config/database.yml` and `.env.production.sample`.
const MASTODON: &[&str] = &[
    "DATABASE_URL",
    "DB_HOST",
    "DB_NAME",
    "DB_PASS",
    "DB_PORT",
    "DB_SSLMODE",
    "DB_USER",
    "LOCAL_DOMAIN",
    "PREPARED_STATEMENTS",
    "REPLICA_DATABASE_URL",
    "REPLICA_DB_HOST",
    "REPLICA_DB_NAME",
    "REPLICA_DB_PASS",
    "REPLICA_DB_PORT",
    "REPLICA_DB_USER",
    "REPLICA_PREPARED_STATEMENTS",
    "WEB_DOMAIN",
];

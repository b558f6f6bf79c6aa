//! Which of the columns that tokens need this database has, and which of them this role may read.
//!
//! Asked of `pg_attribute`, because `information_schema` hides columns that were not granted, and never of a version
//! number: forks and half-finished upgrades have none that means anything.

use std::collections::BTreeMap;

use postgres::{Transaction, types::Type};

use crate::{connectors::mastodon::TABLES, model::Domain};

use super::{Error, error::doing};

/// The four tables that tokens touch.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    pub(super) tokens: Table,
    pub(super) apps: Table,
    pub(super) users: Table,
    pub(super) accounts: Table,
}

/// One table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Which relation it is, and which file holds it: another one was made anew.
    pub(super) identity: (u32, u32),
    /// About how many rows it has; what the server noticed last.
    pub(super) rows: Option<u64>,
    /// Its columns, and whether this role may read them.
    columns: BTreeMap<String, bool>,
}

impl Schema {
    /// Asks the catalogue.
    ///
    /// # Errors
    /// [`Error::NotMastodon`] when a table or a column is missing without which a token means nothing.
    pub(super) fn read(transaction: &mut Transaction<'_>, location: &str) -> Result<Self, Error> {
        let rows = transaction
            .query_typed(CATALOGUE, &[])
            .map_err(|error| doing(location, "reading the catalogue", error))?;
        let mut tables: BTreeMap<String, Table> = BTreeMap::new();
        for row in rows {
            let get = |error| doing(location, "reading the catalogue", error);
            let name: String = row.try_get(0).map_err(get)?;
            let Some(&(known, _)) = TABLES.iter().find(|(known, _)| *known == name) else {
                continue;
            };
            let table = tables.entry(name).or_insert_with(|| Table {
                name: known,
                identity: (0, 0),
                rows: None,
                columns: BTreeMap::new(),
            });
            table.identity = (row.try_get(1).map_err(get)?, row.try_get(2).map_err(get)?);
            let estimate: i64 = row.try_get(3).map_err(get)?;
            table.rows = u64::try_from(estimate).ok();
            table
                .columns
                .insert(row.try_get(4).map_err(get)?, row.try_get(5).map_err(get)?);
        }
        let mut take = |(name, needed): (&'static str, &[&str])| {
            let missing = |what: String| Error::NotMastodon {
                location: location.to_owned(),
                missing: what,
            };
            let table = tables
                .remove(name)
                .ok_or_else(|| missing(format!("no table {name}")))?;
            for column in needed {
                if !table.columns.contains_key(*column) {
                    return Err(missing(format!("no column {name}.{column}")));
                }
            }
            Ok(table)
        };
        let [tokens, apps, users, accounts] = TABLES;
        Ok(Self {
            tokens: take(tokens)?,
            apps: take(apps)?,
            users: take(users)?,
            accounts: take(accounts)?,
        })
    }

    pub(super) fn tables(&self) -> [&Table; 4] {
        [&self.tokens, &self.apps, &self.users, &self.accounts]
    }
}

impl Table {
    /// Whether it has the column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// Whether rows can be asked for by when they were written: `xmin` needs a grant of its own.
    pub(super) fn tells_xmin(&self) -> bool {
        self.columns.get("xmin") == Some(&true)
    }

    /// A list for SELECT: each column in its type, NULL where this database has none.
    ///
    /// # Errors
    /// [`Error::Denied`] naming every column that this role may not read.
    pub(super) fn select(
        &self,
        columns: &[(&'static str, &'static str)],
        location: &str,
    ) -> Result<String, Error> {
        let denied: Vec<&str> = columns
            .iter()
            .filter(|(column, _)| self.columns.get(*column) == Some(&false))
            .map(|(column, _)| *column)
            .collect();
        if !denied.is_empty() {
            return Err(Error::Denied {
                location: location.to_owned(),
                table: self.name,
                columns: denied.join(", "),
            });
        }
        let list: Vec<String> = columns
            .iter()
            .map(|(column, kind)| {
                if self.has(column) {
                    format!("{}.{column}::{kind}", self.name)
                } else {
                    format!("NULL::{kind}")
                }
            })
            .collect();
        Ok(list.join(", "))
    }
}

/// The instance that the database is of, where it says so: from Mastodon 3.2 the server's own actor is the account -99,
/// whose name is the LOCAL_DOMAIN.
pub(super) fn instance_actor(
    transaction: &mut Transaction<'_>,
) -> Result<Option<Domain>, postgres::Error> {
    let actor = "SELECT username::text FROM accounts WHERE id = -99 AND domain IS NULL";
    let row = transaction.query_typed_opt(actor, NONE)?;
    let name = row.and_then(|row| row.try_get::<_, String>(0).ok());
    let name = name.filter(|name| name.contains('.'));
    Ok(name.and_then(|name| Domain::parse(&name).ok()))
}

/// `to_regclass` finds tables as the search path does, and answers NULL where there is none.
const CATALOGUE: &str = "\
SELECT c.relname::text, c.oid, pg_relation_filenode(c.oid), c.reltuples::int8, a.attname::text,
       has_column_privilege(c.oid, a.attnum, 'SELECT')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind = 'r' AND NOT a.attisdropped AND (a.attnum > 0 OR a.attname = 'xmin')
  AND c.oid IN (to_regclass('oauth_access_tokens'), to_regclass('oauth_applications'), to_regclass('users'), to_regclass('accounts'))";

/// The parameters of a query that has none.
pub(super) const NONE: &[(&(dyn postgres::types::ToSql + Sync), Type)] = &[];

//! Reading a whole instance: apps, then accounts, then tokens, straight into a run.
//!
//! Everything is read in one `REPEATABLE READ READ ONLY` transaction, so that it is true at one moment.

mod relation;
mod rows;

use jiff::Timestamp;
use postgres::{Client, IsolationLevel, Transaction};

use crate::{
    connectors::mastodon::Told,
    model::{Completeness, Domain, RowSink, Scope},
    progress::Progress,
};

use super::{
    Error, Settings,
    error::doing,
    schema::{NONE, Schema, instance_actor},
    watermark::{Position, Watermark},
};

use rows::{Lists, Reader};

/// What to read.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The instance, where the person names it.
    pub instance: Option<Domain>,
    /// The one user whose tokens are read; `None` = everything.
    pub user: Option<String>,
    /// Read everything, whatever the last run left.
    pub full: bool,
    /// Now.
    pub now: Timestamp,
}

/// Why reading ended early.
#[derive(Debug)]
pub enum ReadError<E> {
    /// The database's fault.
    Source(Error),
    /// The sink's.
    Sink(E),
    /// What the server says does not fit what the last run left: begin another run and read everything.
    Doubtful,
}

/// What was read, when all rows have come.
#[derive(Debug)]
pub struct Read {
    /// Whether rows that did not come may be taken as gone.
    pub completeness: Completeness,
    /// What to leave for the next run; `None` for a run of one user.
    pub bookmark: Option<Vec<u8>>,
    /// Whether only what was written since the last run was asked for.
    pub only_changes: bool,
    /// What could not be read, and what the person should know.
    pub warnings: Vec<String>,
}

/// An open transaction over the database as it is now.
pub struct Reading<'c> {
    transaction: Transaction<'c>,
    location: String,
    schema: Schema,
    position: Position,
    instance: Domain,
    user: Option<(String, i64)>,
    full: bool,
    now: Timestamp,
}

impl<'c> Reading<'c> {
    /// Begins the transaction and finds out what can be read.
    ///
    /// # Errors
    /// [`Error`] when the database is not Mastodon's, may not be read, or does not know the user; when its instance is
    /// not known.
    pub fn begin(
        client: &'c mut Client,
        settings: &Settings,
        request: &ImportRequest,
    ) -> Result<Self, Error> {
        let location = settings.location();
        let failed = |error| doing(&location, "beginning to read", error);
        let mut transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .map_err(failed)?;
        transaction.batch_execute(LIMITS).map_err(failed)?;
        let schema = Schema::read(&mut transaction, &location)?;
        let position = Position::read(&mut transaction, &location)?;
        let instance = match request.instance.as_ref().or(settings.local_domain.as_ref()) {
            Some(instance) => instance.clone(),
            None => instance_actor(&mut transaction)
                .map_err(|error| doing(&location, "asking for the instance's name", error))?
                .ok_or_else(|| Error::NoInstance {
                    location: location.clone(),
                })?,
        };
        let user = match &request.user {
            Some(name) => Some((name.clone(), user_id(&mut transaction, &location, name)?)),
            None => None,
        };
        Ok(Self {
            transaction,
            location,
            schema,
            position,
            instance,
            user,
            full: request.full,
            now: request.now,
        })
    }

    /// The instance.
    pub fn instance(&self) -> &Domain {
        &self.instance
    }

    /// What part of the database is read.
    pub fn scope(&self) -> Scope {
        self.user
            .as_ref()
            .map_or(Scope::All, |(name, _)| Scope::User(name.clone()))
    }

    /// How many apps, accounts and tokens there are; of one user, without apps.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn counts(&mut self) -> Result<[u64; 3], Error> {
        let of_user = |column: &str| {
            let user = self.user.as_ref().map(|(_, id)| *id);
            user.map(|id| format!(" WHERE {column} = {id}"))
                .unwrap_or_default()
        };
        let sql = format!(
            "SELECT (SELECT count(id) FROM oauth_applications{}), (SELECT count(id) FROM users{}), \
             (SELECT count(id) FROM oauth_access_tokens{})",
            of_user("owner_id"),
            of_user("id"),
            of_user("resource_owner_id")
        );
        let failed = |error| doing(&self.location, "counting rows", error);
        let row = self
            .transaction
            .query_typed_one(&sql, NONE)
            .map_err(failed)?;
        let count = |at| row.try_get::<_, i64>(at).map_err(failed);
        Ok([count(0)?, count(1)?, count(2)?].map(i64::cast_unsigned))
    }

    /// Whether this is known to be another database than the one that left the bookmark.
    pub fn is_of_another(&self, bookmark: &[u8]) -> bool {
        Watermark::parse(bookmark).is_some_and(|mark| mark.is_of_another(&self.position))
    }

    /// Gives every row to `sink`. `bookmark` is what the last run left, if nothing was recorded since.
    ///
    /// # Errors
    /// [`ReadError`]; nothing that came counts then.
    pub fn rows<S: RowSink>(
        &mut self,
        sink: &mut S,
        bookmark: Option<&[u8]>,
        progress: &dyn Progress,
    ) -> Result<Read, ReadError<S::Error>> {
        let lists = Lists::new(&self.schema, &self.location).map_err(ReadError::Source)?;
        let columns = lists.columns();
        let (schema, position) = (self.schema.clone(), &self.position);
        let mark = bookmark
            .filter(|_| !self.full && self.user.is_none())
            .and_then(Watermark::parse)
            .filter(|mark| mark.holds(position, &schema, &columns, self.now));
        let mut reader = Reader {
            transaction: &mut self.transaction,
            location: &self.location,
            instance: &self.instance,
            schema: &schema,
            lists,
            user: self.user.as_ref().map(|(_, id)| *id),
            mark: mark.as_ref(),
            sink,
            progress,
            told: Told::default(),
        };
        let tells_xmin = schema.tables().iter().all(|table| table.tells_xmin());
        let counts = [reader.apps()?, reader.accounts()?, reader.tokens()?];
        let told = reader.told;
        let full_at = mark.as_ref().map_or(self.now, Watermark::full_at);
        let left = Watermark::new(&self.position, &schema, &columns, counts, full_at);
        let completeness = told.completeness();
        let mut warnings = told.warnings();
        if !tells_xmin && self.user.is_none() {
            warnings.push(NO_XMIN.to_owned());
        }
        Ok(Read {
            completeness,
            bookmark: self.user.is_none().then(|| left.bytes()),
            only_changes: mark.is_some(),
            warnings,
        })
    }
}

fn user_id(transaction: &mut Transaction<'_>, location: &str, name: &str) -> Result<i64, Error> {
    let failed = |error| doing(location, "looking for the user", error);
    let row = transaction
        .query_typed_opt(USER_BY_NAME, &[(&name, postgres::types::Type::TEXT)])
        .map_err(failed)?;
    let row = row.ok_or_else(|| Error::NoUser {
        location: location.to_owned(),
        name: name.to_owned(),
    })?;
    row.try_get(0).map_err(failed)
}

const NO_XMIN: &str = "everything is read each time: the role may not ask which rows are new (GRANT SELECT (xmin), see docs/server.md)";

/// Long enough for ten million rows; a lock that a migration holds is not waited for all night.
const LIMITS: &str = "SET LOCAL statement_timeout = '1h'; SET LOCAL lock_timeout = '30s'";

const USER_BY_NAME: &str = "\
SELECT users.id::int8 FROM users JOIN accounts ON accounts.id = users.account_id
WHERE accounts.domain IS NULL AND lower(accounts.username) = lower($1)";

//! Reading a whole instance: apps, then accounts, then tokens, straight into a run.
//!
//! Everything is read in one `REPEATABLE READ READ ONLY` transaction, so that it is true at one moment. Users and
//! accounts are joined here: on the server the join costs three times the bare rows.

use jiff::Timestamp;
use postgres::{Client, IsolationLevel, Transaction};

use crate::{
    model::{
        Account, App, Completeness, Domain, Moment, Novelty, Relation, RowSink, Scope, Scopes,
        Secret, TokenRow,
    },
    progress::Progress,
};

use super::{
    Error, Settings,
    ahead::reading_ahead,
    copy::{self, Broken, boolean, id, int, micros},
    error::doing,
    names::Names,
    schema::{NONE, Schema},
    watermark::{Position, Watermark},
};

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
            None => instance_actor(&mut transaction, &location)?,
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
        let location = self.location.clone();
        let select = |table: &super::schema::Table, columns| {
            table.select(columns, &location).map_err(ReadError::Source)
        };
        let lists = Lists {
            tokens: select(&self.schema.tokens, TOKENS)?,
            apps: select(&self.schema.apps, APPS)?,
            users: select(&self.schema.users, USERS)?,
            accounts: select(&self.schema.accounts, ACCOUNTS)?,
        };
        let columns = format!(
            "{}; {}; {}; {}",
            lists.tokens, lists.apps, lists.users, lists.accounts
        );
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
            warnings: Vec::new(),
            unreadable: 0,
            hashed: 0,
        };
        if !schema.tables().iter().all(|table| table.tells_xmin()) && reader.user.is_none() {
            reader.tell_of_xmin();
        }
        let counts = [reader.apps()?, reader.accounts()?, reader.tokens()?];
        reader.tell_of_rows();
        let (warnings, unreadable) = (reader.warnings, reader.unreadable);
        let full_at = mark.as_ref().map_or(self.now, Watermark::full_at);
        let left = Watermark::new(&self.position, &schema, &columns, counts, full_at);
        Ok(Read {
            completeness: if unreadable == 0 {
                Completeness::Complete
            } else {
                Completeness::Partial
            },
            bookmark: self.user.is_none().then(|| left.bytes()),
            only_changes: mark.is_some(),
            warnings,
        })
    }
}

/// What to select from each table.
struct Lists {
    tokens: String,
    apps: String,
    users: String,
    accounts: String,
}

/// Rows on their way.
struct Reader<'r, 'c, S: RowSink> {
    transaction: &'r mut Transaction<'c>,
    location: &'r str,
    instance: &'r Domain,
    schema: &'r Schema,
    lists: Lists,
    /// The `users.id` of the one user.
    user: Option<i64>,
    mark: Option<&'r Watermark>,
    sink: &'r mut S,
    progress: &'r dyn Progress,
    warnings: Vec<String>,
    /// Token rows that could not be taken.
    unreadable: u64,
    /// Tokens that look as if a fork had hashed them.
    hashed: u64,
}

impl<S: RowSink> Reader<'_, '_, S> {
    fn apps(&mut self) -> Result<u64, ReadError<S::Error>> {
        let table = "oauth_applications";
        let list = self.lists.apps.clone();
        let scope = self.user.map(|user| {
            format!(
                "(oauth_applications.id IN (SELECT application_id FROM oauth_access_tokens WHERE resource_owner_id = {user}) \
                 OR (owner_type = 'User' AND owner_id = {user}))"
            )
        });
        let mark = self.mark.filter(|_| self.schema.apps.tells_xmin());
        let filter = scope.or_else(|| mark.map(|mark| mark.since(table)));
        let sql = self.by_key(&list, table, filter.as_deref())?;
        let known = self.begin(Relation::Apps, mark, self.schema.apps.rows)?;
        let (mut seen, mut new) = (0, 0);
        let (instance, location) = (self.instance, self.location);
        let mut left_out = Vec::new();
        let reader = copy_out(self.transaction, location, "reading applications", &sql)?;
        received::<12, S::Error>(reader, |row| {
            let [
                key,
                name,
                uid,
                secret,
                uris,
                scopes,
                website,
                superapp,
                confidential,
                owner_type,
                owner,
                created_at,
            ] = row;
            let key = id(*key).ok_or(Fault::Malformed)?;
            let mut text = |field: Option<&[u8]>, what: &str| {
                let value = text(field);
                if value.is_none() && field.is_some() {
                    left_out.push(format!(
                        "the {what} of application {key} is too long or no text; left out"
                    ));
                }
                value.map(str::to_owned)
            };
            let app = App {
                name: text(*name, "name").filter(|name| !name.is_empty()),
                client_id: text(*uid, "client_id").filter(|uid| !uid.is_empty()),
                client_secret: text(*secret, "client_secret")
                    .filter(|secret| !secret.is_empty())
                    .map(Secret::new),
                redirect_uris: text(*uris, "redirect URIs")
                    .map(|uris| uris.split_whitespace().map(str::to_owned).collect())
                    .unwrap_or_default(),
                scopes: text(*scopes, "scopes").map(|scopes| Scopes::parse(&scopes)),
                website: text(*website, "web site").filter(|website| !website.is_empty()),
                base_url: None,
                superapp: boolean(*superapp).unwrap_or_default(),
                confidential: boolean(*confidential),
                owner: id(*owner).filter(|_| *owner_type == Some(b"User")),
                created_at: micros(*created_at).map(|time| Moment(time).timestamp()),
                instance: instance.clone(),
            };
            seen += 1;
            let novelty = self.sink.app(key, &app).map_err(Fault::Sink)?;
            new += u64::from(novelty == Novelty::New);
            if seen % STEP == 0 {
                self.progress.at(seen);
            }
            Ok(())
        })
        .map_err(|fault| fault.told(location, "reading applications"))?;
        self.tell_left_out(left_out);
        self.end(Relation::Apps, table, known, seen, new)
    }

    /// Users, each under the name of its account.
    fn accounts(&mut self) -> Result<u64, ReadError<S::Error>> {
        let tells_xmin = self.schema.users.tells_xmin() && self.schema.accounts.tells_xmin();
        let mark = self.mark.filter(|_| tells_xmin);
        let known = self.begin(Relation::Accounts, mark, self.schema.users.rows)?;
        let (names, filter) = match (self.user, mark) {
            (Some(user), _) => {
                let of_user =
                    format!("accounts.id = (SELECT account_id FROM users WHERE id = {user})");
                (self.names(&of_user)?, Some(format!("users.id = {user}")))
            }
            (None, Some(mark)) => {
                let mut names = self.names(&format!(
                    "accounts.domain IS NULL AND {}",
                    mark.since("accounts")
                ))?;
                let mut written = mark.since("users");
                if !names.is_empty() {
                    written = format!(
                        "({written} OR users.account_id = ANY('{{{}}}'::int8[]))",
                        names.ids()
                    );
                }
                // Users whose own row was written, under accounts whose rows were not.
                names.extend(&self.names(&format!(
                    "accounts.id IN (SELECT account_id FROM users WHERE {})",
                    mark.since("users")
                ))?);
                (names, Some(written))
            }
            (None, None) => (self.names("accounts.domain IS NULL")?, None),
        };
        let list = self.lists.users.clone();
        let sql = self.by_key(&list, "users", filter.as_deref())?;
        let (mut seen, mut new, mut nameless) = (0, 0, 0);
        let (instance, location) = (self.instance, self.location);
        let reader = copy_out(self.transaction, location, "reading users", &sql)?;
        received::<3, S::Error>(reader, |[key, account, created_at]| {
            let key = id(*key).ok_or(Fault::Malformed)?;
            let username = int(*account).and_then(|account| names.of(account));
            nameless += u64::from(username.is_none());
            let account = Account {
                instance: instance.clone(),
                username: username.map(str::to_owned),
                created_at: micros(*created_at).map(|time| Moment(time).timestamp()),
            };
            seen += 1;
            let novelty = self.sink.account(key, &account).map_err(Fault::Sink)?;
            new += u64::from(novelty == Novelty::New);
            if seen % STEP == 0 {
                self.progress.at(seen);
            }
            Ok(())
        })
        .map_err(|fault| fault.told(location, "reading users"))?;
        if nameless > 0 {
            self.warnings.push(format!(
                "{nameless} users have no local account; their names are not known"
            ));
        }
        self.end(Relation::Accounts, "users", known, seen, new)
    }

    /// The names of local accounts.
    fn names(&mut self, filter: &str) -> Result<Names, ReadError<S::Error>> {
        let sql = ordered(
            &self.lists.accounts,
            "accounts",
            Some(filter),
            Order::Signed,
        );
        let mut names = Names::default();
        let location = self.location;
        let reader = copy_out(self.transaction, location, "reading accounts", &sql)?;
        received::<2, S::Error>(reader, |[key, name]| {
            let key = int(*key).ok_or(Fault::Malformed)?;
            if let Some(name) = text(*name).filter(|name| !name.is_empty()) {
                names.push(key, name);
            }
            Ok(())
        })
        .map_err(|fault| fault.told(location, "reading accounts"))?;
        Ok(names)
    }

    fn tokens(&mut self) -> Result<u64, ReadError<S::Error>> {
        let table = "oauth_access_tokens";
        let mark = self.mark.filter(|_| self.schema.tokens.tells_xmin());
        let filter = match (self.user, mark) {
            (Some(user), _) => Some(format!("resource_owner_id = {user}")),
            (None, mark) => mark.map(|mark| mark.since(table)),
        };
        let list = self.lists.tokens.clone();
        let sql = self.by_key(&list, table, filter.as_deref())?;
        let known = self.begin(Relation::Tokens, mark, self.schema.tokens.rows)?;
        let (mut seen, mut new, mut unreadable, mut hashed) = (0, 0, 0, 0);
        let (instance, location) = (self.instance, self.location);
        let reader = copy_out(self.transaction, location, "reading tokens", &sql)?;
        received::<9, S::Error>(reader, |row| {
            let [
                key,
                app,
                account,
                token,
                refresh,
                scopes,
                created_at,
                expires_in,
                revoked_at,
            ] = row;
            let key = id(*key).ok_or(Fault::Malformed)?;
            seen += 1;
            let fields = (
                text(*token).filter(|token| !token.is_empty()),
                optional(*refresh),
                optional(*scopes),
            );
            let (Some(access_token), Some(refresh_token), Some(scopes)) = fields else {
                unreadable += 1;
                return Ok(());
            };
            let created_at = micros(*created_at);
            hashed += u64::from(is_hashed(access_token, created_at));
            let lasts = int(*expires_in).and_then(|seconds| seconds.checked_mul(1_000_000));
            let row = TokenRow {
                instance,
                access_token,
                refresh_token,
                token_type: None,
                scopes,
                created_at: created_at.map(Moment),
                expires_at: created_at
                    .zip(lasts)
                    .and_then(|(at, lasts)| at.checked_add(lasts))
                    .map(Moment),
                revoked_at: micros(*revoked_at).map(Moment),
                app: id(*app),
                account: id(*account),
            };
            let novelty = self.sink.token(key, &row).map_err(Fault::Sink)?;
            new += u64::from(novelty == Novelty::New);
            if seen % STEP == 0 {
                self.progress.at(seen);
            }
            Ok(())
        })
        .map_err(|fault| fault.told(location, "reading tokens"))?;
        (self.unreadable, self.hashed) = (unreadable, hashed);
        if unreadable > 0 && known.is_some() {
            // How many there are can't be compared with how many were read.
            return Err(ReadError::Doubtful);
        }
        self.end(Relation::Tokens, table, known, seen, new)
    }

    /// The statement that reads rows in the order of their keys.
    fn by_key(
        &mut self,
        list: &str,
        table: &str,
        filter: Option<&str>,
    ) -> Result<String, ReadError<S::Error>> {
        let failed = |error| ReadError::Source(doing(self.location, "asking for ids", error));
        let row = self
            .transaction
            .query_typed_one(
                &format!("SELECT EXISTS (SELECT FROM {table} WHERE id < 0)"),
                NONE,
            )
            .map_err(failed)?;
        let order = if row.try_get(0).map_err(failed)? {
            Order::Unsigned
        } else {
            Order::Signed
        };
        Ok(ordered(list, table, filter, order))
    }

    /// A relation begins; answers how many rows it had, if only those written since come.
    fn begin(
        &mut self,
        relation: Relation,
        mark: Option<&Watermark>,
        rows: Option<u64>,
    ) -> Result<Option<u64>, ReadError<S::Error>> {
        self.progress
            .start(&format!("reading {}", relation.as_str()), rows);
        let Some(mark) = mark else {
            return Ok(None);
        };
        let [apps, accounts, tokens] = mark.counts;
        let known = match relation {
            Relation::Apps => apps,
            Relation::Accounts => accounts,
            Relation::Tokens => tokens,
        };
        self.sink
            .only_changes(relation, known)
            .map_err(ReadError::Sink)?;
        Ok(Some(known))
    }

    /// All rows of a relation came; answers how many there are. Where only those written since came, the count tells
    /// how many are gone; their keys follow if any are.
    fn end(
        &mut self,
        relation: Relation,
        table: &'static str,
        known: Option<u64>,
        seen: u64,
        new: u64,
    ) -> Result<u64, ReadError<S::Error>> {
        self.progress.finish();
        let Some(known) = known else {
            return Ok(seen);
        };
        let location = self.location;
        let failed = |error| ReadError::Source(doing(location, "counting rows", error));
        let row = self
            .transaction
            .query_typed_one(&format!("SELECT count(id) FROM {table}"), NONE)
            .map_err(failed)?;
        let there = row.try_get::<_, i64>(0).map_err(failed)?.cast_unsigned();
        match (known + new).checked_sub(there) {
            Some(0) => {}
            Some(_) => {
                self.sink.keys_follow(relation).map_err(ReadError::Sink)?;
                let sql = self.by_key("id::int8", table, None)?;
                let reader = copy_out(self.transaction, location, "reading keys", &sql)?;
                received::<1, S::Error>(reader, |[key]| {
                    let key = id(*key).ok_or(Fault::Malformed)?;
                    match self.sink.is_there(relation, key).map_err(Fault::Sink)? {
                        Novelty::Known => Ok(()),
                        Novelty::New => Err(Fault::Doubtful),
                    }
                })
                .map_err(|fault| fault.told(location, "reading keys"))?;
            }
            None => return Err(ReadError::Doubtful),
        }
        Ok(there)
    }

    fn tell_of_xmin(&mut self) {
        self.warnings.push(
            "everything is read each time: the role may not ask which rows are new (GRANT SELECT (xmin), see docs/server.md)"
                .to_owned(),
        );
    }

    fn tell_left_out(&mut self, left_out: Vec<String>) {
        let more = left_out.len().saturating_sub(MAX_TOLD);
        self.warnings.extend(left_out.into_iter().take(MAX_TOLD));
        if more > 0 {
            self.warnings
                .push(format!("and {more} more values of applications"));
        }
    }

    fn tell_of_rows(&mut self) {
        if self.unreadable > 0 {
            self.warnings.push(format!(
                "{} tokens are empty, too long or no text; they are not backed up",
                self.unreadable
            ));
        }
        if self.hashed > 0 {
            self.warnings.push(format!(
                "{} tokens look hashed (64 hex digits, or bcrypt, made after 2019): a client can't use what is stored",
                self.hashed
            ));
        }
    }
}

/// Why a row can't be taken.
enum Fault<E> {
    Sink(E),
    Broken(Broken),
    Malformed,
    Doubtful,
}

impl<E> From<Broken> for Fault<E> {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl<E> Fault<E> {
    fn told(self, location: &str, what: &'static str) -> ReadError<E> {
        let malformed = || {
            ReadError::Source(Error::Malformed {
                location: location.to_owned(),
                doing: what,
            })
        };
        match self {
            Self::Sink(error) => ReadError::Sink(error),
            Self::Doubtful => ReadError::Doubtful,
            Self::Malformed | Self::Broken(Broken::Malformed) => malformed(),
            Self::Broken(Broken::Io(error)) => match error.downcast::<postgres::Error>() {
                Ok(error) => ReadError::Source(doing(location, what, error)),
                Err(_) => malformed(),
            },
        }
    }
}

/// Takes rows while the next ones are received.
fn received<const N: usize, E>(
    reader: postgres::CopyOutReader<'_>,
    each: impl FnMut(&[Option<&[u8]>; N]) -> Result<(), Fault<E>>,
) -> Result<(), Fault<E>> {
    reading_ahead(reader, |ahead| copy::rows(ahead, each))
}

fn copy_out<'t, E>(
    transaction: &'t mut Transaction<'_>,
    location: &str,
    what: &'static str,
    sql: &str,
) -> Result<postgres::CopyOutReader<'t>, ReadError<E>> {
    transaction
        .copy_out(sql)
        .map_err(|error| ReadError::Source(doing(location, what, error)))
}

fn ordered(list: &str, table: &str, filter: Option<&str>, order: Order) -> String {
    let filter = filter
        .map(|filter| format!(" WHERE {filter}"))
        .unwrap_or_default();
    let order = match order {
        Order::Signed => format!("{table}.id"),
        Order::Unsigned => format!("{table}.id < 0, {table}.id"),
    };
    format!("COPY (SELECT {list} FROM {table}{filter} ORDER BY {order}) TO STDOUT (FORMAT binary)")
}

/// Row keys are unsigned. Ids below zero come from no sequence, but somebody may have put some in by hand: then they
/// come last, at the price of a sort.
#[derive(Clone, Copy)]
enum Order {
    Signed,
    Unsigned,
}

/// The domain under which the server's own actor stands among the accounts (from Mastodon 3.0 on): row -99.
fn instance_actor(transaction: &mut Transaction<'_>, location: &str) -> Result<Domain, Error> {
    let row = transaction
        .query_typed_opt("SELECT username::text FROM accounts WHERE id = -99", NONE)
        .map_err(|error| doing(location, "asking for the instance's name", error))?;
    let name = row.and_then(|row| row.try_get::<_, String>(0).ok());
    name.filter(|name| name.contains('.'))
        .and_then(|name| Domain::parse(&name).ok())
        .ok_or_else(|| Error::NoInstance {
            location: location.to_owned(),
        })
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

/// A text of bearable length.
fn text(field: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(field?)
        .ok()
        .filter(|text| text.len() <= MAX_TEXT_BYTES)
}

#[expect(clippy::option_option, reason = "unreadable, NULL, there")]
fn optional(field: Option<&[u8]>) -> Option<Option<&str>> {
    match field {
        None => Some(None),
        field => text(field).map(Some),
    }
}

/// Doorkeeper can be told to hash tokens (Mastodon never does): SHA-256 in hex digits, or bcrypt. Tokens of 64 hex
/// digits in clear were made up to May 2019.
fn is_hashed(token: &str, created_at: Option<i64>) -> bool {
    let is_hex = token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hex && created_at.is_some_and(|at| at > END_OF_2019)) || token.starts_with("$2a$")
}

/// In microseconds since 1970.
const END_OF_2019: i64 = 1_577_836_800_000_000;
/// A value is longer only where somebody means harm: a row of the vault is bounded.
const MAX_TEXT_BYTES: usize = 60_000;
/// Progress is told every so many rows.
const STEP: u64 = 4_096;
/// So many left-out values are named one by one.
const MAX_TOLD: usize = 10;

/// Long enough for ten million rows; a lock that a migration holds is not waited for all night.
const LIMITS: &str = "SET LOCAL statement_timeout = '1h'; SET LOCAL lock_timeout = '30s'";

const USER_BY_NAME: &str = "\
SELECT users.id::int8 FROM users JOIN accounts ON accounts.id = users.account_id
WHERE accounts.domain IS NULL AND lower(accounts.username) = lower($1)";

const TOKENS: &[(&str, &str)] = &[
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

const APPS: &[(&str, &str)] = &[
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

const USERS: &[(&str, &str)] = &[
    ("id", "int8"),
    ("account_id", "int8"),
    ("created_at", "timestamp"),
];

const ACCOUNTS: &[(&str, &str)] = &[("id", "int8"), ("username", "text")];

//! What rows of the server's tables say. Users and accounts are joined here: on the server the join costs three times
//! the bare rows.

use postgres::Transaction;

use crate::{
    model::{
        Account, App, Completeness, Domain, Moment, Novelty, Relation, RowSink, Scopes, Secret,
        TokenRow,
    },
    progress::Progress,
};

use crate::connectors::postgres::{
    Error,
    copy::{boolean, id, int, micros},
    names::Names,
    schema::Schema,
    watermark::Watermark,
};

use super::{
    ReadError,
    relation::{Fault, STEP, copy_out, received},
};

/// What to select from each table.
pub(super) struct Lists {
    tokens: String,
    apps: String,
    users: String,
    accounts: String,
}

impl Lists {
    /// The columns that this database has.
    ///
    /// # Errors
    /// [`Error::Denied`] for those that this role may not read.
    pub(super) fn new(schema: &Schema, location: &str) -> Result<Self, Error> {
        Ok(Self {
            tokens: schema.tokens.select(TOKENS, location)?,
            apps: schema.apps.select(APPS, location)?,
            users: schema.users.select(USERS, location)?,
            accounts: schema.accounts.select(ACCOUNTS, location)?,
        })
    }

    /// All of them, to tell later whether the same were read.
    pub(super) fn columns(&self) -> String {
        [&self.tokens, &self.apps, &self.users, &self.accounts]
            .map(String::as_str)
            .join("; ")
    }
}

/// Rows on their way.
pub(super) struct Reader<'r, 'c, S: RowSink> {
    pub(super) transaction: &'r mut Transaction<'c>,
    pub(super) location: &'r str,
    pub(super) instance: &'r Domain,
    pub(super) schema: &'r Schema,
    pub(super) lists: Lists,
    /// The `users.id` of the one user.
    pub(super) user: Option<i64>,
    pub(super) mark: Option<&'r Watermark>,
    pub(super) sink: &'r mut S,
    pub(super) progress: &'r dyn Progress,
    pub(super) told: Told,
}

/// What the person should know of what was read.
#[derive(Default)]
pub(super) struct Told {
    /// The role may not ask when rows were written.
    pub(super) no_xmin: bool,
    /// Values of applications that could not be taken.
    left_out: LeftOut,
    /// Users without a local account.
    nameless: u64,
    /// Token rows that could not be taken.
    unreadable: u64,
    /// Tokens that look as if a fork had hashed them.
    hashed: u64,
}

/// Values that could not be taken: a few in words, the others counted.
#[derive(Default)]
struct LeftOut {
    told: Vec<String>,
    more: u64,
}

impl LeftOut {
    fn add(&mut self, what: impl FnOnce() -> String) {
        if self.told.len() < MAX_TOLD {
            self.told.push(what());
        } else {
            self.more += 1;
        }
    }
}

impl Told {
    /// Whether rows that did not come may be taken as gone.
    pub(super) fn completeness(&self) -> Completeness {
        if self.unreadable == 0 {
            Completeness::Complete
        } else {
            Completeness::Partial
        }
    }

    pub(super) fn warnings(self) -> Vec<String> {
        let LeftOut {
            told: mut warnings,
            more,
        } = self.left_out;
        let mut tell = |count: u64, what: &str| {
            if count > 0 {
                warnings.push(what.replace("{}", &count.to_string()));
            }
        };
        tell(more, "and {} more values of applications");
        tell(
            u64::from(self.no_xmin),
            "everything is read each time: the role may not ask which rows are new (GRANT SELECT (xmin), see docs/server.md)",
        );
        tell(
            self.nameless,
            "users without a local account: {}; their names are not known",
        );
        tell(
            self.unreadable,
            "tokens that are empty, too long or no text: {}; they are not backed up",
        );
        tell(
            self.hashed,
            "tokens that look hashed (64 hex digits, or bcrypt, made after 2019): {}; a client can't use what is stored",
        );
        warnings
    }
}

impl<S: RowSink> Reader<'_, '_, S> {
    pub(super) fn apps(&mut self) -> Result<u64, ReadError<S::Error>> {
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
        let mut left_out = LeftOut::default();
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
                    left_out.add(|| {
                        format!("the {what} of application {key} is too long or no text; left out")
                    });
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
        self.told.left_out = left_out;
        self.end(Relation::Apps, table, known, seen, new)
    }

    /// Users, each under the name of its account.
    pub(super) fn accounts(&mut self) -> Result<u64, ReadError<S::Error>> {
        let tells_xmin = self.schema.users.tells_xmin() && self.schema.accounts.tells_xmin();
        let mark = self.mark.filter(|_| tells_xmin);
        let known = self.begin(Relation::Accounts, mark, self.schema.users.rows)?;
        let mut names = Names::default();
        let filter = match (self.user, mark) {
            (Some(user), _) => {
                let of_user =
                    format!("accounts.id = (SELECT account_id FROM users WHERE id = {user})");
                self.names(&mut names, &of_user)?;
                Some(format!("users.id = {user}"))
            }
            (None, Some(mark)) => self.written_users(&mut names, mark)?,
            (None, None) => {
                self.names(&mut names, LOCAL)?;
                None
            }
        };
        let names = names.sorted();
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
        self.told.nameless = nameless;
        self.end(Relation::Accounts, "users", known, seen, new)
    }

    /// The condition for users of which a row was written, their own or their account's, and the names of all of them.
    fn written_users(
        &mut self,
        names: &mut Names,
        mark: &Watermark,
    ) -> Result<Option<String>, ReadError<S::Error>> {
        self.names(names, &format!("{LOCAL} AND {}", mark.since("accounts")))?;
        if names.len() > MAX_LISTED {
            // Something touched them all.
            *names = Names::default();
            self.names(names, LOCAL)?;
            return Ok(None);
        }
        let own = mark.since("users");
        let condition = format!(
            "({own} OR users.account_id = ANY('{{{}}}'::int8[]))",
            names.ids()
        );
        if self.any("users", &own)? {
            let theirs =
                format!("{LOCAL} AND accounts.id IN (SELECT account_id FROM users WHERE {own})");
            self.names(names, &theirs)?;
        }
        Ok(Some(condition))
    }

    /// Adds the names of accounts.
    fn names(&mut self, names: &mut Names, filter: &str) -> Result<(), ReadError<S::Error>> {
        let list = &self.lists.accounts;
        let sql =
            format!("COPY (SELECT {list} FROM accounts WHERE {filter}) TO STDOUT (FORMAT binary)");
        let location = self.location;
        let reader = copy_out(self.transaction, location, "reading accounts", &sql)?;
        received::<2, S::Error>(reader, |[key, name]| {
            let key = int(*key).ok_or(Fault::Malformed)?;
            if let Some(name) = text(*name).filter(|name| !name.is_empty()) {
                names.push(key, name);
            }
            Ok(())
        })
        .map_err(|fault| fault.told(location, "reading accounts"))
    }

    pub(super) fn tokens(&mut self) -> Result<u64, ReadError<S::Error>> {
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
        (self.told.unreadable, self.told.hashed) = (unreadable, hashed);
        if unreadable > 0 && known.is_some() {
            // How many there are can't be compared with how many were read.
            return Err(ReadError::Doubtful);
        }
        self.end(Relation::Tokens, table, known, seen, new)
    }
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
/// The accounts that have users here.
const LOCAL: &str = "accounts.domain IS NULL";
/// So many ids are listed in a statement.
const MAX_LISTED: usize = 1_000;
/// So many left-out values are named one by one.
const MAX_TOLD: usize = 10;

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

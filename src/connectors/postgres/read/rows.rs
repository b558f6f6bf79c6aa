//! Which rows are asked for, and how they come.

use postgres::Transaction;

use crate::{
    model::{Domain, Novelty, Relation, RowSink},
    progress::Progress,
};

use crate::connectors::mastodon::{
    APPS, AccessToken, Application, Column, Names, STEP, TOKENS, Told, USERS, User, text,
};
use crate::connectors::postgres::{
    Error,
    copy::{boolean, id, int, micros},
    schema::Schema,
    watermark::Watermark,
};

use super::{
    ReadError,
    relation::{Fault, copy_out, received},
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
            tokens: schema.tokens.select(&TOKENS, location)?,
            apps: schema.apps.select(&APPS, location)?,
            users: schema.users.select(&USERS, location)?,
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
        let told = &mut self.told;
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
            let row = Application {
                id: key,
                name: *name,
                uid: *uid,
                secret: *secret,
                redirect_uri: *uris,
                scopes: *scopes,
                website: *website,
                superapp: boolean(*superapp),
                confidential: boolean(*confidential),
                owner_type: *owner_type,
                owner_id: id(*owner),
                created_at: micros(*created_at),
            };
            let app = row.app(instance, told);
            seen += 1;
            let novelty = self.sink.app(key, &app).map_err(Fault::Sink)?;
            new += u64::from(novelty == Novelty::New);
            if seen % STEP == 0 {
                self.progress.at(seen);
            }
            Ok(())
        })
        .map_err(|fault| fault.told(location, "reading applications"))?;
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
        let (mut seen, mut new) = (0, 0);
        let (instance, location) = (self.instance, self.location);
        let told = &mut self.told;
        let reader = copy_out(self.transaction, location, "reading users", &sql)?;
        received::<3, S::Error>(reader, |[key, account, created_at]| {
            let key = id(*key).ok_or(Fault::Malformed)?;
            let row = User {
                account_id: int(*account),
                created_at: micros(*created_at),
            };
            let account = row.account(instance, &names, told);
            seen += 1;
            let novelty = self.sink.account(key, &account).map_err(Fault::Sink)?;
            new += u64::from(novelty == Novelty::New);
            if seen % STEP == 0 {
                self.progress.at(seen);
            }
            Ok(())
        })
        .map_err(|fault| fault.told(location, "reading users"))?;
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
        let (mut seen, mut new) = (0, 0);
        let (instance, location) = (self.instance, self.location);
        let told = &mut self.told;
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
            let token = AccessToken {
                application_id: id(*app),
                resource_owner_id: id(*account),
                token: *token,
                refresh_token: *refresh,
                scopes: *scopes,
                created_at: micros(*created_at),
                expires_in: int(*expires_in),
                revoked_at: micros(*revoked_at),
            };
            let Some(row) = token.row(instance, told) else {
                return Ok(());
            };
            let novelty = self.sink.token(key, &row).map_err(Fault::Sink)?;
            new += u64::from(novelty == Novelty::New);
            if seen % STEP == 0 {
                self.progress.at(seen);
            }
            Ok(())
        })
        .map_err(|fault| fault.told(location, "reading tokens"))?;
        if self.told.unreadable() > 0 && known.is_some() {
            // How many there are can't be compared with how many were read.
            return Err(ReadError::Doubtful);
        }
        self.end(Relation::Tokens, table, known, seen, new)
    }
}

/// The accounts that have users here.
const LOCAL: &str = "accounts.domain IS NULL";
/// So many ids are listed in a statement.
const MAX_LISTED: usize = 1_000;
const ACCOUNTS: &[Column] = &[("id", "int8"), ("username", "text")];

//! The rows of a dump on their way into a run.

use std::collections::BTreeSet;

use crate::{
    connectors::mastodon::{ACCOUNTS_TABLE, AccessToken, Application, STEP, Told, User},
    model::{Completeness, Domain, Relation, RowSink},
    progress::Progress,
};

use super::{
    Dump, Error,
    read::NO_LAST_LINE,
    text::{boolean, id, int, micros},
};

/// Why giving the rows away ended early.
#[derive(Debug)]
pub enum RowsError<E> {
    /// The dump's fault.
    Source(Error),
    /// The sink's.
    Sink(E),
}

/// What was given, when all rows have gone.
#[derive(Debug)]
pub struct Read {
    /// Whether rows that did not come may be taken as gone.
    pub completeness: Completeness,
    /// What could not be read, and what the person should know.
    pub warnings: Vec<String>,
}

impl Dump {
    /// Gives every row to `sink`, or those of one user, as the live database's rows are given.
    ///
    /// # Errors
    /// [`RowsError`]; nothing that was given counts then.
    pub fn rows<S: RowSink>(
        &self,
        instance: &Domain,
        user: Option<&str>,
        sink: &mut S,
        progress: &dyn Progress,
    ) -> Result<Read, RowsError<S::Error>> {
        let user = match user {
            Some(name) => Some(self.user(name).map_err(RowsError::Source)?),
            None => None,
        };
        let mut told = Told::default();
        let mut giving = Giving {
            dump: self,
            instance,
            user,
            told: &mut told,
            progress,
        };
        giving.apps(sink).map_err(RowsError::Sink)?;
        giving.accounts(sink).map_err(RowsError::Sink)?;
        giving.tokens(sink).map_err(RowsError::Sink)?;
        let mut completeness = told.completeness();
        let mut warnings = told.warnings();
        if let Some(why) = &self.cut {
            // What can't be unpacked to its end may have been altered before.
            if self.is_whole() && why == NO_LAST_LINE {
                warnings.insert(
                    0,
                    format!("the dump is cut off behind the rows that are read here: {why}"),
                );
            } else {
                completeness = Completeness::Partial;
                warnings.insert(
                    0,
                    format!("the dump is cut off, and this is what stands before that: {why}"),
                );
            }
        }
        Ok(Read {
            completeness,
            warnings,
        })
    }

    /// The key of the local user of this name.
    fn user(&self, name: &str) -> Result<u64, Error> {
        let is_meant = |account: i64| {
            let known = self.names.of(account);
            known.is_some_and(|known| known.to_lowercase() == name.to_lowercase())
        };
        let mut users = self.users.rows();
        let user = users.find(|(_, [_, account, _])| int(*account).is_some_and(is_meant));
        user.map(|(key, _)| key).ok_or_else(|| Error::NoUser {
            path: self.path.clone(),
            name: name.to_owned(),
        })
    }
}

struct Giving<'d> {
    dump: &'d Dump,
    instance: &'d Domain,
    /// The one user.
    user: Option<u64>,
    told: &'d mut Told,
    progress: &'d dyn Progress,
}

impl Giving<'_> {
    /// Of one user: the apps of their tokens, and those that they own.
    fn apps<S: RowSink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        let used: Option<BTreeSet<u64>> = self.user.map(|user| {
            let tokens = self.dump.tokens.rows();
            let theirs = tokens.filter(|(_, fields)| id(fields[2]) == Some(user));
            theirs.filter_map(|(_, fields)| id(fields[1])).collect()
        });
        self.begin(Relation::Apps, self.dump.apps.len());
        for (count, (key, row)) in (1..).zip(self.dump.apps.rows()) {
            let [
                _,
                name,
                uid,
                secret,
                redirect_uri,
                scopes,
                website,
                superapp,
                confidential,
                owner_type,
                owner_id,
                created_at,
            ] = row;
            let row = Application {
                id: key,
                name,
                uid,
                secret,
                redirect_uri,
                scopes,
                website,
                superapp: boolean(superapp),
                confidential: boolean(confidential),
                owner_type,
                owner_id: id(owner_id),
                created_at: micros(created_at),
            };
            let is_in_scope =
                |used: &BTreeSet<u64>| used.contains(&key) || row.owner() == self.user;
            if used.as_ref().is_none_or(is_in_scope) {
                sink.app(key, &row.app(self.instance, self.told))?;
            }
            self.at(count);
        }
        self.progress.finish();
        Ok(())
    }

    fn accounts<S: RowSink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        self.begin(Relation::Accounts, self.dump.users.len());
        for (count, (key, [_, account_id, created_at])) in (1..).zip(self.dump.users.rows()) {
            let row = User {
                account_id: int(account_id),
                created_at: micros(created_at),
            };
            let is_named = row
                .account_id
                .is_some_and(|account| self.dump.names.of(account).is_some());
            // A name that may stand behind the cut is no name that is gone.
            let is_known = is_named || self.dump.has_whole(ACCOUNTS_TABLE);
            if is_known && self.user.is_none_or(|user| user == key) {
                sink.account(
                    key,
                    &row.account(self.instance, &self.dump.names, self.told),
                )?;
            }
            self.at(count);
        }
        self.progress.finish();
        Ok(())
    }

    fn tokens<S: RowSink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        self.begin(Relation::Tokens, self.dump.tokens.len());
        for (count, (key, row)) in (1..).zip(self.dump.tokens.rows()) {
            let [
                _,
                application_id,
                resource_owner_id,
                token,
                refresh_token,
                scopes,
                created_at,
                expires_in,
                revoked_at,
            ] = row;
            let token = AccessToken {
                application_id: id(application_id),
                resource_owner_id: id(resource_owner_id),
                token,
                refresh_token,
                scopes,
                created_at: micros(created_at),
                expires_in: int(expires_in),
                revoked_at: micros(revoked_at),
            };
            let is_in_scope = self.user.is_none() || token.resource_owner_id == self.user;
            if is_in_scope && let Some(row) = token.row(self.instance, self.told) {
                sink.token(key, &row)?;
            }
            self.at(count);
        }
        self.progress.finish();
        Ok(())
    }

    fn begin(&self, relation: Relation, rows: usize) {
        let what = format!("recording {}", relation.as_str());
        self.progress.start(&what, Some(rows as u64));
    }

    fn at(&self, count: u64) {
        if count.is_multiple_of(STEP) {
            self.progress.at(count);
        }
    }
}

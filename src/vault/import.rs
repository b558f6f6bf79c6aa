//! A snapshot becomes a run.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::model::{
    Account, Actor, App, Completeness, Keys, Moment, Row, RowSink, Run, Snapshot, Token, TokenId,
    TokenRow,
};

use super::{Error, RunStart, Vault, verified};

/// Who records a snapshot, when, and how.
#[derive(Debug, Clone)]
pub struct ImportContext {
    /// Now.
    pub now: Timestamp,
    /// Who.
    pub actor: Actor,
    /// A person's note.
    pub note: Option<String>,
    /// Whether rows may end even though suspiciously many are missing.
    pub accept_shrink: bool,
    /// Who recorded the run before, where it is taken over from another vault.
    pub origin: Option<Origin>,
}

/// Who recorded a run in the vault that it is taken over from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// When that vault learnt it.
    pub recorded_at: Timestamp,
    /// Who recorded it there.
    pub actor: Actor,
    /// Version of the program that did.
    pub tool_version: String,
}

impl Vault {
    /// Records a snapshot as a run.
    ///
    /// The rows of a client have no keys of their own: they get keyed hashes of what makes them what they are (an app:
    /// its instance and client_id, or name; an account: its instance and user name; a token: its instance and the token),
    /// so that the same row has the same key in every run.
    ///
    /// # Errors
    /// As [`super::RunWriter::finish`].
    pub fn import(&mut self, snapshot: &Snapshot, context: &ImportContext) -> Result<Run, Error> {
        let (answers, ahead) = self.answers_in(snapshot, context.now)?;
        let keyed = self.keyed(snapshot);
        let snapshot = keyed.as_ref().unwrap_or(snapshot);
        let mut run = self.begin_run(RunStart {
            source: snapshot.source.clone(),
            instance: match snapshot.keys {
                Keys::Server => snapshot
                    .accounts
                    .first()
                    .map(|account| account.body.instance.clone()),
                Keys::Local => None,
            },
            scope: snapshot.scope.clone(),
            keys: snapshot.keys,
            effective_at: snapshot.effective_at,
            now: context.now,
            actor: context.actor.clone(),
            note: context.note.clone(),
            accept_shrink: context.accept_shrink,
            origin: context.origin.clone(),
        })?;
        for warning in &snapshot.warnings {
            run.warn(&warning.message);
        }
        if ahead > 0 {
            run.warn(format!(
                "{ahead} answers of instances are dated in the future, and left out"
            ));
        }
        for row in sorted(&snapshot.apps) {
            run.app(row.key, &row.body)?;
        }
        for row in sorted(&snapshot.accounts) {
            run.account(row.key, &row.body)?;
        }
        for row in sorted(&snapshot.tokens) {
            run.token(row.key, &token_row(&row.body))?;
        }
        run.add_answers(answers);
        run.finish(match snapshot.completeness {
            Completeness::Complete => Completeness::Complete,
            Completeness::Partial => Completeness::Partial,
        })
    }

    /// Keeps the answers of instances alone that a snapshot tells of tokens which are here: of a run that is known.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], or when the vault can't be written.
    pub fn import_answers(&mut self, snapshot: &Snapshot, now: Timestamp) -> Result<(), Error> {
        let (answers, _) = self.answers_in(snapshot, now)?;
        if answers.is_empty() {
            return Ok(());
        }
        let transaction = self.begin_write()?;
        verified::add(&transaction, answers)?;
        self.commit(transaction)
    }

    /// The answers about tokens of a snapshot, and how many are left out: one from the future would count for more than
    /// any that comes until then.
    fn answers_in(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<(Vec<verified::Row>, usize), Error> {
        if snapshot.answers.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let ids = snapshot.tokens.iter().map(|row| {
            let Token {
                instance,
                access_token,
                ..
            } = &row.body;
            (row.key, self.token_id(instance, access_token.expose()))
        });
        let ids: HashMap<u64, TokenId> = ids.collect();
        let answers = snapshot.answers.iter();
        let (known, ahead): (Vec<_>, Vec<_>) = answers.partition(|(_, answer)| answer.at <= now);
        let rows = known
            .into_iter()
            .filter_map(|(key, answer)| Some(verified::Row::new(*ids.get(key)?, answer)))
            .collect::<Result<_, _>>()?;
        Ok((rows, ahead.len()))
    }

    /// The snapshot with keys that stay the same from run to run; `None` when it has them.
    fn keyed(&self, snapshot: &Snapshot) -> Option<Snapshot> {
        if snapshot.keys == Keys::Server {
            return None;
        }
        let mut keyed = snapshot.clone();
        let mut accounts = HashMap::new();
        for row in &mut keyed.accounts {
            let key = self.account_key(&row.body);
            accounts.insert(row.key, key);
            row.key = key;
        }
        let mut apps = HashMap::new();
        for row in &mut keyed.apps {
            row.body.owner = row
                .body
                .owner
                .and_then(|owner| accounts.get(&owner).copied());
            let key = self.app_key(&row.body);
            apps.insert(row.key, key);
            row.key = key;
        }
        for row in &mut keyed.tokens {
            row.body.app = row.body.app.and_then(|app| apps.get(&app).copied());
            row.body.account = row
                .body
                .account
                .and_then(|account| accounts.get(&account).copied());
            row.key = self.token_key(&row.body);
        }
        let twice = [
            dedup(&mut keyed.apps),
            dedup(&mut keyed.accounts),
            dedup(&mut keyed.tokens),
        ];
        for (count, what) in twice.into_iter().zip(["app", "account", "token"]) {
            if count > 0 {
                keyed.warn(format!("{count} {what} entries say different things of the same {what}; the first counts"));
            }
        }
        Some(keyed)
    }

    pub(super) fn account_key(&self, account: &Account) -> u64 {
        let name = account.username.as_ref().map(|name| name.to_lowercase());
        let marked = name.map_or_else(|| "?".to_owned(), |name| format!("@{name}"));
        self.row_key(&[
            b"account",
            account.instance.as_str().as_bytes(),
            marked.as_bytes(),
        ])
    }

    pub(super) fn app_key(&self, app: &App) -> u64 {
        let instance = app.instance.as_str().as_bytes();
        match (&app.client_id, &app.name) {
            (Some(client_id), _) => self.row_key(&[b"app", instance, client_id.as_bytes()]),
            (None, Some(name)) => self.row_key(&[b"app by name", instance, name.as_bytes()]),
            (None, None) => self.row_key(&[b"unknown app", instance]),
        }
    }

    pub(super) fn token_key(&self, token: &Token) -> u64 {
        self.row_key(&[
            b"token",
            token.instance.as_str().as_bytes(),
            token.access_token.expose().as_bytes(),
        ])
    }

    fn row_key(&self, parts: &[&[u8]]) -> u64 {
        let hash = self.keys.digest.hash(parts);
        hash.first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// Rows in ascending order of keys.
fn sorted<T>(rows: &[Row<T>]) -> Vec<&Row<T>> {
    let mut sorted: Vec<&Row<T>> = rows.iter().collect();
    sorted.sort_by_key(|row| row.key);
    sorted
}

/// Keeps the first row of each key; answers how many others there were that say something else.
fn dedup<T: PartialEq>(rows: &mut Vec<Row<T>>) -> usize {
    rows.sort_by_key(|row| row.key);
    let mut different = 0;
    rows.dedup_by(|later, first| {
        let same = later.key == first.key;
        different += usize::from(same && later.body != first.body);
        same
    });
    different
}

pub(super) fn token_row(token: &Token) -> TokenRow<'_> {
    TokenRow {
        instance: &token.instance,
        access_token: token.access_token.expose(),
        refresh_token: token
            .refresh_token
            .as_ref()
            .map(crate::model::Secret::expose),
        token_type: token.token_type.as_deref(),
        scopes: token.scopes.as_ref().map(crate::model::Scopes::as_str),
        created_at: token.created_at.map(Moment::from),
        expires_at: token.expires_at.map(Moment::from),
        revoked_at: token.revoked_at.map(Moment::from),
        app: token.app,
        account: token.account,
    }
}

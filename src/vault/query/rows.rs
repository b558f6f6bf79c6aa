//! The rows behind runs: what another vault needs to know the same.

use std::collections::BTreeSet;

use crate::model::{Account, App, Domain, Moment, Relation, Row, SourceId, Token};
use crate::vault::{ChangeKind, Error, Vault};

/// One row that a run found new, changed or gone, with its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunRow {
    /// An account, new or changed.
    Account(Row<Account>),
    /// An app, new or changed.
    App(Row<App>),
    /// A token, new or changed.
    Token(Row<Token>),
    /// A row that is gone.
    Gone(Relation, u64),
}

impl Vault {
    /// Calls `each` with every row in which a run differs from the one of the same source before it: accounts, then
    /// apps, then tokens. Costs what changed.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read, or the one that `each` returns.
    pub fn run_rows<E: From<Error>>(
        &self,
        number: u64,
        mut each: impl FnMut(RunRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(run) = self.run(number)? else {
            return Err(Error::NoSuchRun { number }.into());
        };
        let reader = self.reader()?;
        let (source, at) = (run.source.id, Moment::from(run.effective_at));
        // 24 bytes a change: little beside the rows that are read for them.
        let mut changes = Vec::new();
        reader.changes(number, source, at, &mut |change| {
            changes.push(change);
            Ok(())
        })?;
        for relation in [Relation::Accounts, Relation::Apps, Relation::Tokens] {
            for change in changes.iter().filter(|change| change.relation == relation) {
                let key = change.row;
                if change.kind == ChangeKind::Gone {
                    each(RunRow::Gone(relation, key))?;
                    continue;
                }
                let row = match relation {
                    Relation::Accounts => reader
                        .account(source, key, at)?
                        .map(|body| RunRow::Account(Row { key, body })),
                    Relation::Apps => reader
                        .app(source, key, at)?
                        .map(|body| RunRow::App(Row { key, body })),
                    Relation::Tokens => reader
                        .token_versions(source, key)?
                        .into_iter()
                        .rfind(|version| version.since <= at)
                        .map(|version| {
                            RunRow::Token(Row {
                                key,
                                body: version.body,
                            })
                        }),
                };
                let missing = Error::Inconsistent {
                    what: "a row that a run changed",
                };
                each(row.ok_or(missing)?)?;
            }
        }
        Ok(())
    }

    /// Of these rows of a source, each with its key and token: how many only ever held other tokens, and how many are
    /// known at all. A server never gives a row to another token: where it is more than a few, they are rows of another
    /// server.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn replaced<'t>(
        &self,
        source: SourceId,
        rows: impl Iterator<Item = (u64, &'t str)>,
    ) -> Result<(u64, u64), Error> {
        let reader = self.reader()?;
        let (mut replaced, mut known) = (0, 0);
        for (key, token) in rows {
            let versions = reader.token_versions(source, key)?;
            let mut tokens = versions.iter().map(|version| &version.body.access_token);
            known += u64::from(!versions.is_empty());
            replaced += u64::from(!versions.is_empty() && tokens.all(|it| it.expose() != token));
        }
        Ok((replaced, known))
    }

    /// The one instance and the one user that all current tokens of a source are of; `None` where there are several,
    /// or none.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn sole_account(
        &self,
        source: SourceId,
    ) -> Result<(Option<Domain>, Option<String>), Error> {
        let reader = self.reader()?;
        let (mut instances, mut users) = (BTreeSet::new(), BTreeSet::new());
        for account in reader.accounts_ever(source, Moment::MAX) {
            let version = account?.version;
            if version.until.is_some() {
                continue;
            }
            instances.insert(version.body.instance);
            users.insert(version.body.username);
            if instances.len() > 1 {
                break;
            }
        }
        let user = if users.len() == 1 {
            users.pop_first().flatten()
        } else {
            None
        };
        Ok(match instances.len() {
            1 => (instances.pop_first(), user),
            _ => (None, None),
        })
    }
}

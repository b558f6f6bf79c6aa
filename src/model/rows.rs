//! Rows on their way from a source that is too large to be held as a whole into the vault.

use super::{Account, App, Domain, Moment};

/// One of the three relations that a source has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// Registered clients.
    Apps,
    /// Accounts.
    Accounts,
    /// Access tokens.
    Tokens,
}

impl Relation {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Apps => "apps",
            Self::Accounts => "accounts",
        }
    }
}

/// A token row as it comes in: borrowed, because there may be millions. Times in microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy)]
pub struct TokenRow<'a> {
    /// The instance.
    pub instance: &'a Domain,
    /// The access token.
    pub access_token: &'a str,
    /// The refresh token.
    pub refresh_token: Option<&'a str>,
    /// Token type; `None` = Bearer.
    pub token_type: Option<&'a str>,
    /// Scopes, joined by single spaces.
    pub scopes: Option<&'a str>,
    /// Time of issue.
    pub created_at: Option<Moment>,
    /// Time of expiry.
    pub expires_at: Option<Moment>,
    /// Time of revocation.
    pub revoked_at: Option<Moment>,
    /// Row key of the app.
    pub app: Option<u64>,
    /// Row key of the account; `None` = an application's own token.
    pub account: Option<u64>,
}

/// Whether a row was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// The source did not hold it at the last run.
    New,
    /// It did, with these or other contents.
    Known,
}

/// Takes the rows of one run: apps, then accounts, then tokens, each in ascending order of keys.
///
/// Normally every row comes, and a known one that doesn't is missing. A source that can tell which rows were written
/// since the last run calls [`RowSink::only_changes`] before the rows of a relation: then a known row that doesn't come
/// is as it was. If some must be gone, [`RowSink::keys_follow`] announces the keys of all that are there.
pub trait RowSink {
    /// Why a row can't be taken.
    type Error;

    /// Takes an app.
    ///
    /// # Errors
    /// When it can't be taken; the run is lost.
    fn app(&mut self, key: u64, app: &App) -> Result<Novelty, Self::Error>;

    /// Takes an account.
    ///
    /// # Errors
    /// As [`RowSink::app`].
    fn account(&mut self, key: u64, account: &Account) -> Result<Novelty, Self::Error>;

    /// Takes a token.
    ///
    /// # Errors
    /// As [`RowSink::app`].
    fn token(&mut self, key: u64, row: &TokenRow<'_>) -> Result<Novelty, Self::Error>;

    /// Of this relation, only rows come that may have changed. `known` = how many the source held at the last run.
    ///
    /// # Errors
    /// As [`RowSink::app`].
    fn only_changes(&mut self, relation: Relation, known: u64) -> Result<(), Self::Error>;

    /// After the changes of a relation: the keys of all rows that are there follow. Known rows whose keys don't come are
    /// missing.
    ///
    /// # Errors
    /// As [`RowSink::app`].
    fn keys_follow(&mut self, relation: Relation) -> Result<(), Self::Error>;

    /// The key of a row that is there, in ascending order.
    ///
    /// # Errors
    /// As [`RowSink::app`].
    fn is_there(&mut self, relation: Relation, key: u64) -> Result<Novelty, Self::Error>;
}

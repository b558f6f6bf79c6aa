//! Tokens that one source alone holds: nearly all of a server's. A million of them share their apps and accounts, so
//! those are read when somebody asks for them.

use jiff::Timestamp;

use crate::model::{AppView, Moment, Record, SourceId, Token, TokenId, User};
use crate::vault::{
    Error, Ever, Vault,
    bodies::{AccountBody, AppBody},
    verified::Known,
};

use super::{
    ByKey, Questioner,
    join::{Observation, Sources, join, view},
};

/// A token as a question about all of them meets it.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time; boxes would be allocated a million times"
)]
pub enum Met<'q> {
    /// Joined over several sources, or over time.
    Joined(Record),
    /// As one source holds it at the moment.
    Lone(Lone<'q>),
}

/// A token that is in one source, and in no other, and that no instance was asked about.
pub struct Lone<'q> {
    pub(super) id: TokenId,
    pub(super) digits: usize,
    pub(super) ever: Ever<Token>,
    pub(super) shared: &'q Shared<'q>,
}

/// What the tokens of a source share.
pub(super) struct Shared<'q> {
    pub(super) sources: &'q Sources,
    pub(super) source: SourceId,
    pub(super) at: Moment,
    pub(super) apps: ByKey<AppBody>,
    pub(super) accounts: ByKey<AccountBody>,
}

impl Vault {
    /// Calls `each` with every token that any source held up to a moment, whatever its status, in no particular
    /// order and one at a time.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read, or the one that `each` returns.
    pub fn tokens<E: From<Error>>(
        &self,
        at: Moment,
        mut each: impl FnMut(Met<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let reader = self.reader()?;
        Questioner::new(&reader, at)?.everything(&mut each)
    }
}

impl Lone<'_> {
    /// Its id.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// How many characters of the id name it.
    pub fn id_digits(&self) -> usize {
        self.digits
    }

    /// The token; its app and its account are row keys that mean the same in all lone tokens of one pass.
    pub fn token(&self) -> &Token {
        &self.ever.version.body
    }

    /// When a run saw it first.
    pub fn first_seen(&self) -> Timestamp {
        self.ever.first_seen.timestamp()
    }

    /// Whether it is in a server's own database.
    pub fn is_of_server(&self) -> bool {
        let source = self.shared.sources.by_id.get(&self.shared.source);
        source.is_some_and(|source| source.instance.is_some())
    }

    /// Its app.
    ///
    /// # Errors
    /// [`Error`] when the vault is inconsistent.
    pub fn app(&self) -> Result<AppView, Error> {
        let Some(key) = self.token().app else {
            return Ok(AppView::default());
        };
        let Some(app) = self.shared.apps.get(Some(key))? else {
            return Ok(AppView::default());
        };
        let owner = self.shared.accounts.get(app.owner)?;
        Ok(view(app, owner, self.is_of_server().then_some(key)))
    }

    /// Whose it is.
    ///
    /// # Errors
    /// [`Error`] when the vault is inconsistent.
    pub fn user(&self) -> Result<User, Error> {
        if self.token().account.is_none() {
            return Ok(User::Application);
        }
        let account = self.shared.accounts.get(self.token().account)?;
        let name = account.and_then(|account| account.username);
        Ok(name.map_or(User::Unknown, User::Named))
    }

    /// The record; `None` where its source is not known.
    ///
    /// # Errors
    /// [`Error`] when the vault is inconsistent.
    pub fn record(self) -> Result<Option<Record>, Error> {
        let Self {
            id,
            digits,
            ever,
            shared,
        } = self;
        let app = shared.apps.get(ever.version.body.app)?;
        let app_owner = shared
            .accounts
            .get(app.as_ref().and_then(|app| app.owner))?;
        let account = shared.accounts.get(ever.version.body.account)?;
        let seen = Observation {
            source: shared.source,
            first_seen: ever.first_seen,
            version: ever.version,
            app,
            app_owner,
            account,
        };
        // About a lone token no instance was asked.
        let answers = Known::default();
        Ok(join(
            shared.sources,
            (id, digits),
            vec![seen],
            answers,
            shared.at,
        ))
    }
}

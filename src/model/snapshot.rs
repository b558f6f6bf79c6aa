//! What one source held at one moment, before it is recorded.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use jiff::Timestamp;

use super::{Completeness, Domain, Scope, Scopes, Secret, SourceKey, Verification};

/// A registered OAuth client (Doorkeeper's application). Unknown is `None`, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// The instance it is registered at.
    pub instance: Domain,
    /// The name as people know it ("toot", "Tusky").
    pub name: Option<String>,
    /// `client_id` (Doorkeeper's uid).
    pub client_id: Option<String>,
    /// `client_secret`.
    pub client_secret: Option<Secret>,
    /// Redirect URIs, in the order of the source; empty = unknown.
    pub redirect_uris: Vec<String>,
    /// Scopes that the app may ask for.
    pub scopes: Option<Scopes>,
    /// The app's web site.
    pub website: Option<String>,
    /// Where the API answers, as the source spells it, when it says so (split domains: another host than `instance`).
    pub base_url: Option<String>,
    /// The server's own web interface (`superapp`).
    pub superapp: bool,
    /// Doorkeeper's `confidential`.
    pub confidential: Option<bool>,
    /// Row key of the account that owns a user's own app.
    pub owner: Option<u64>,
    /// Time of registration.
    pub created_at: Option<Timestamp>,
}

impl App {
    /// An app of `instance` of which nothing else is known.
    pub fn unknown(instance: Domain) -> Self {
        Self {
            instance,
            name: None,
            client_id: None,
            client_secret: None,
            redirect_uris: Vec::new(),
            scopes: None,
            website: None,
            base_url: None,
            superapp: false,
            confidential: None,
            owner: None,
            created_at: None,
        }
    }
}

/// An account of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its instance.
    pub instance: Domain,
    /// The user name without `@`; `None` when the source doesn't store it.
    pub username: Option<String>,
    /// Time of sign-up.
    pub created_at: Option<Timestamp>,
}

/// An access token with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its instance.
    pub instance: Domain,
    /// The access token itself; never empty.
    pub access_token: Secret,
    /// Refresh token (Mastodon never issues one; other servers do).
    pub refresh_token: Option<Secret>,
    /// Token type; `None` means Bearer, the only one in use.
    pub token_type: Option<String>,
    /// Scopes of the token.
    pub scopes: Option<Scopes>,
    /// Time of issue.
    pub created_at: Option<Timestamp>,
    /// Time of expiry; `None` = never, or unknown.
    pub expires_at: Option<Timestamp>,
    /// Time of revocation; `None` = not revoked as far as the source knows.
    pub revoked_at: Option<Timestamp>,
    /// Row key of the app that it was issued to, in the same snapshot.
    pub app: Option<u64>,
    /// Row key of its account in the same snapshot; `None` = an application's own token (`client_credentials`).
    /// A user of unknown name is an [`Account`] without `username`.
    pub account: Option<u64>,
}

impl Token {
    /// A token of which nothing else is known.
    pub fn new(instance: Domain, access_token: Secret) -> Self {
        Self {
            instance,
            access_token,
            refresh_token: None,
            token_type: None,
            scopes: None,
            created_at: None,
            expires_at: None,
            revoked_at: None,
            app: None,
            account: None,
        }
    }
}

/// A row and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<T> {
    /// The server's row id, or a number within this snapshot only ([`Keys`] says which).
    pub key: u64,
    /// The row.
    pub body: T,
}

/// What the row keys of a snapshot mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// The server's row ids: the same row keeps its key from run to run.
    Server,
    /// Numbers that only join the rows of this snapshot. The vault replaces them by keyed hashes of the natural keys.
    Local,
}

/// Something that was found and could not be imported, or that the person should know. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// One sentence, lower case, no full stop.
    pub message: String,
}

/// What one source held at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The source that was read.
    pub source: SourceKey,
    /// When this was true, if the material says so; `None` = now (a live source).
    pub effective_at: Option<Timestamp>,
    /// What part of the source it speaks of.
    pub scope: Scope,
    /// Whether rows that are missing here may be taken as gone.
    pub completeness: Completeness,
    /// What the row keys mean.
    pub keys: Keys,
    /// Apps, in any order, keys unique.
    pub apps: Vec<Row<App>>,
    /// Accounts, in any order, keys unique.
    pub accounts: Vec<Row<Account>>,
    /// Tokens, in any order, keys unique. A client's store is small: held as a whole on purpose.
    pub tokens: Vec<Row<Token>>,
    /// What instances answered about tokens, by row key: material of another vault tells that.
    pub answers: Vec<(u64, Verification)>,
    /// What could not be imported, and what to know.
    pub warnings: Vec<Warning>,
    index: Indexes,
}

impl Snapshot {
    /// An empty, complete snapshot of a client's store, to be filled by [`Snapshot::add`].
    pub fn of_client(source: SourceKey) -> Self {
        Self {
            source,
            effective_at: None,
            scope: Scope::All,
            completeness: Completeness::Complete,
            keys: Keys::Local,
            apps: Vec::new(),
            accounts: Vec::new(),
            tokens: Vec::new(),
            answers: Vec::new(),
            warnings: Vec::new(),
            index: Indexes::default(),
        }
    }

    /// Adds a token with its app and account; equal apps and accounts are shared. Pass `account: None` for an
    /// application's own token. `token.app` and `token.account` are set here. The same row twice is kept once.
    /// Answers the token's row key.
    pub fn add(&mut self, app: App, account: Option<Account>, mut token: Token) -> u64 {
        token.app = Some(self.index.apps.intern(&mut self.apps, app));
        token.account =
            account.map(|account| self.index.accounts.intern(&mut self.accounts, account));
        self.index.tokens.intern(&mut self.tokens, token)
    }

    /// Adds an account by itself (the owner of an app) and returns its row key; an equal one is shared.
    pub fn add_account(&mut self, account: Account) -> u64 {
        self.index.accounts.intern(&mut self.accounts, account)
    }

    /// Adds a warning.
    pub fn warn(&mut self, message: impl Into<String>) {
        self.warnings.push(Warning {
            message: message.into(),
        });
    }
}

/// Finds equal rows while a snapshot is filled, so that filling it stays linear.
#[derive(Debug, Clone, Default)]
struct Indexes {
    apps: Index,
    accounts: Index,
    tokens: Index,
}

#[derive(Debug, Clone, Default)]
struct Index {
    hasher: RandomState,
    keys: HashMap<u64, Vec<u64>>,
}

impl Index {
    fn intern<T: PartialEq + Natural>(&mut self, rows: &mut Vec<Row<T>>, body: T) -> u64 {
        let keys = self
            .keys
            .entry(self.hasher.hash_one(body.natural()))
            .or_default();
        for &key in keys.iter() {
            let at = usize::try_from(key).unwrap_or(usize::MAX);
            if rows.get(at).is_some_and(|row| row.body == body) {
                return key;
            }
        }
        let key = rows.len() as u64;
        keys.push(key);
        rows.push(Row { key, body });
        key
    }
}

/// The fields that rarely agree in two different rows.
trait Natural {
    fn natural(&self) -> (&str, &str);
}

impl Natural for App {
    fn natural(&self) -> (&str, &str) {
        (
            self.instance.as_str(),
            self.client_id.as_deref().unwrap_or_default(),
        )
    }
}

impl Natural for Account {
    fn natural(&self) -> (&str, &str) {
        (
            self.instance.as_str(),
            self.username.as_deref().unwrap_or_default(),
        )
    }
}

impl Natural for Token {
    fn natural(&self) -> (&str, &str) {
        (self.instance.as_str(), self.access_token.expose())
    }
}

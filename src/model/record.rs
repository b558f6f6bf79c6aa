//! What a person sees: records.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;

use super::{Domain, Scopes, Secret, Source, Verification};

/// The identity of a token in one vault: a keyed digest of (instance, access token). It says nothing outside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 16]);

impl TokenId {
    /// The least number of characters that ids are shown with.
    pub const LEAST_DIGITS: usize = 8;

    /// The first 40 bits, which are the first [`TokenId::LEAST_DIGITS`] characters: what the vault's index holds.
    pub fn index_digest(self) -> u64 {
        u64::from_be_bytes(*self.0.first_chunk().unwrap_or(&[0; 8])) >> 24
    }

    /// The smallest id whose text begins with these characters; `None` when no id does.
    pub fn least_with_prefix(prefix: &str) -> Option<Self> {
        let padded = format!("{prefix:a<26}").to_ascii_uppercase();
        let bytes = BASE32_NOPAD.decode(padded.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// How many characters the texts of two ids share from the start.
    pub fn common_digits(self, other: Self) -> usize {
        let (own, other) = (self.to_base32(), other.to_base32());
        own.bytes()
            .zip(other.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    }

    /// The id in full: lower-case base32 without the `tk_`.
    pub fn to_base32(self) -> String {
        BASE32_NOPAD.encode(&self.0).to_ascii_lowercase()
    }

    /// The id as shown: `tk_` and the first `digits` characters.
    pub fn short(self, digits: usize) -> String {
        let text = self.to_base32();
        format!("tk_{}", text.get(..digits).unwrap_or(&text))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short(8))
    }
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum User {
    /// A user of known name.
    Named(String),
    /// A user whose name no source stores; shown as `?`.
    Unknown,
    /// Nobody's: an application's own token.
    Application,
}

impl User {
    /// The name, where it is known.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Unknown | Self::Application => None,
        }
    }
}

/// The state of a token at a moment, over all sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// In at least one source, and none says revoked or expired.
    Active,
    /// A source says that it was revoked.
    Revoked,
    /// Its time is over.
    Expired,
    /// In no source any more, and not known to be revoked.
    Gone,
}

impl Status {
    /// Whether the token may still work at its instance: what is merely gone from its source often does.
    pub fn may_work(self) -> bool {
        matches!(self, Self::Active | Self::Gone)
    }

    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Gone => "gone",
        }
    }
}

/// The app of a record, united over all sources that hold the token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppView {
    /// The name shown: the one most recently observed.
    pub name: Option<String>,
    /// Every name that a source gives it, the one shown first.
    pub names: Vec<String>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// `client_secret`.
    pub client_secret: Option<Secret>,
    /// Redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Scopes of the app.
    pub scopes: Option<Scopes>,
    /// Web site.
    pub website: Option<String>,
    /// Where the API answers.
    pub base_url: Option<String>,
    /// The server's own web interface.
    pub superapp: bool,
    /// Doorkeeper's `confidential`.
    pub confidential: Option<bool>,
    /// User name of the owner of a user's own app.
    pub owner: Option<String>,
    /// When that user signed up.
    pub owner_since: Option<Timestamp>,
    /// Time of registration.
    pub created_at: Option<Timestamp>,
    /// The id of its row in the server's own database, where that was read: old posts name their app by it.
    pub server_id: Option<u64>,
}

/// Where and when a source held the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The source.
    pub source: Source,
    /// Effective time of the first run that held it.
    pub first_seen: Timestamp,
    /// Effective time of the last run that held it.
    pub last_seen: Timestamp,
    /// Effective time of the first later run that no longer held it; `None` while it is there.
    pub gone_at: Option<Timestamp>,
}

/// The key under which a person finds a record: instance / user / app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// The instance.
    pub instance: Domain,
    /// The user.
    pub user: User,
    /// The name of the app, or its client_id where it has no name; `None` when nothing is known of it.
    pub app: Option<String>,
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            User::Named(name) => write!(f, "{name}@{}", self.instance)?,
            User::Unknown => write!(f, "?@{}", self.instance)?,
            User::Application => write!(f, "{}", self.instance)?,
        }
        match &self.app {
            Some(app) => write!(f, "/{app}"),
            None => Ok(()),
        }
    }
}

/// One token of an instance, joined over all sources that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: TokenId,
    /// How many characters of the id are needed to name it in this vault (at least 8).
    pub id_digits: usize,
    /// The instance.
    pub instance: Domain,
    /// Whose it is.
    pub user: User,
    /// Time of sign-up of the user, where known.
    pub account_created_at: Option<Timestamp>,
    /// The app that it was issued to.
    pub app: AppView,
    /// The access token.
    pub access_token: Secret,
    /// The refresh token.
    pub refresh_token: Option<Secret>,
    /// Token type, "Bearer" where the source doesn't say.
    pub token_type: String,
    /// Scopes.
    pub scopes: Option<Scopes>,
    /// Time of issue.
    pub created_at: Option<Timestamp>,
    /// Time of expiry.
    pub expires_at: Option<Timestamp>,
    /// Time of revocation.
    pub revoked_at: Option<Timestamp>,
    /// State at the moment asked for.
    pub status: Status,
    /// Where it was seen, in the order of first sight.
    pub sightings: Vec<Sighting>,
    /// Fields in which two sources disagree, one sentence each, without secrets.
    pub disagreements: Vec<String>,
    /// What its instance answered when it was last asked about it, up to the moment.
    pub verified: Option<Verification>,
}

impl Record {
    /// Its key.
    pub fn key(&self) -> RecordKey {
        RecordKey {
            instance: self.instance.clone(),
            user: self.user.clone(),
            app: self.app.name.clone().or_else(|| self.app.client_id.clone()),
        }
    }

    /// The id as shown, `tk_…`.
    pub fn short_id(&self) -> String {
        self.id.short(self.id_digits)
    }

    /// Effective time of the first run that held it, in any source.
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.sightings
            .iter()
            .map(|sighting| sighting.first_seen)
            .min()
    }
}

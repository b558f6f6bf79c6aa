//! What an instance answers when it is asked whether a token works.

use jiff::Timestamp;

use super::Scopes;

/// An instance's answer about a token. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// When it was asked.
    pub at: Timestamp,
    /// What the answer comes to.
    pub verdict: Verdict,
    /// The server's own words, or what was found in its place; at most [`Verification::MAX_TEXT`] characters, which may
    /// steer a terminal.
    pub words: Option<String>,
    /// The account that the token works as, where the instance said it.
    pub account: Option<VerifiedAccount>,
    /// The app that it was issued to, where the instance was asked and said it.
    pub app: Option<VerifiedApp>,
}

impl Verification {
    /// Characters of a text that are taken from an answer. Longer words are cut; other texts are left out, since half of
    /// one would be another. Mastodon's redirect URIs have 2,000 at most.
    pub const MAX_TEXT: usize = 2_000;
    /// Items of a list that are taken from an answer: all scopes of Mastodon's are fewer.
    ///
    /// Both bounds together keep an answer below the mebibyte that a row may have.
    pub const MAX_ITEMS: usize = 50;
}

/// An account as its instance names it (Mastodon's CredentialAccount).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAccount {
    /// The instance's id of it, opaque.
    pub id: String,
    /// Its user name, without the instance.
    pub username: String,
}

/// An app as its instance names it (Mastodon's Application).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifiedApp {
    /// The instance's id of it, opaque; from Mastodon 4.3 on.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its web site.
    pub website: Option<String>,
    /// Its scopes, from Mastodon 4.3 on.
    pub scopes: Option<Scopes>,
    /// Its redirect URIs, from Mastodon 4.3 on.
    pub redirect_uris: Vec<String>,
}

/// What an answer about a token comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It works.
    Works,
    /// It works, but may not read its account: who it works as is not known.
    LacksScope,
    /// It works, as another account than the record's.
    OtherAccount,
    /// It works, and was issued to another app than the record's.
    OtherApp,
    /// The instance does not know it: revoked and cleaned up, or never issued there.
    Unknown,
    /// It was revoked.
    Revoked,
    /// Its time is over.
    Expired,
    /// The instance refuses it, in words that say no more.
    Refused,
    /// It is known, but its account's login is disabled: disabled, suspended, moved away, or a memorial.
    Disabled,
    /// It is known, but the e-mail address of its account is not confirmed.
    Unconfirmed,
    /// It is known, but its account waits to be approved.
    Pending,
    /// There is no such instance any more: no such host, "410 Gone", or something else answers in its place.
    InstanceGone,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 12] = [
        Self::Works,
        Self::LacksScope,
        Self::OtherAccount,
        Self::OtherApp,
        Self::Unknown,
        Self::Revoked,
        Self::Expired,
        Self::Refused,
        Self::Disabled,
        Self::Unconfirmed,
        Self::Pending,
        Self::InstanceGone,
    ];

    /// Whether the token does what its record says.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Works | Self::LacksScope)
    }

    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::LacksScope => "lacks_scope",
            Self::OtherAccount => "other_account",
            Self::OtherApp => "other_app",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Disabled => "disabled",
            Self::Unconfirmed => "unconfirmed",
            Self::Pending => "pending",
            Self::InstanceGone => "instance_gone",
        }
    }

    /// The verdict of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == word)
    }
}

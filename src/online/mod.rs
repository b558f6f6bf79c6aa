//! Asking instances whether tokens work, over HTTPS.
//!
//! Promises that a token goes to its instance's own host and to nobody else (no redirect is followed with it, no other
//! host is believed unless it says that it is the instance's, whether a record, the instance or a redirect names it, nor the
//! own one unless it answers as an instance does, never without TLS), that every answer is bounded in size and time, that no
//! host is asked more than twice at once and none against its will, and that an answer is a verdict only where it is about
//! the token: what a proxy, a portal or a broken server says leaves the last one standing.
//!
//! A host that refuses for its rate limit, or says when it will be back (503), gets the pause that it wants, and is asked
//! again, until it has refused a question three times, or three times in a row whatever was asked: then that question, or
//! all that are left there, have no answer. All pauses of a host together are no more than three times the longest one. A
//! host that breaks connections off, or has a gateway say that it doesn't answer (502 to 504), is left alone for a moment,
//! and given up only at the third time.
//!
//! Facts: Mastodon's `accounts/verify_credentials` and `apps/verify_credentials` from 2.4 to 4.7, Doorkeeper 5 and 6,
//! RFC 6415 (host-meta), RFC 7033 (WebFinger), RFC 6750 (Bearer), RFC 9110 (`Retry-After`).

mod answer;
mod ask;
mod client;
mod fault;
mod find;
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod job;
mod named;
mod pause;
mod place;
mod proxy;
mod reply;
mod schedule;
mod seen;
mod verify;

use std::fmt;

use crate::model::{Domain, Record, Secret, TokenId, User, Verification};

pub use client::{Client, Error, Settings};
pub use proxy::Proxy;
pub use verify::verify;

/// A token to be asked about.
#[derive(Clone)]
pub struct Question {
    /// Its id.
    pub id: TokenId,
    /// The instance that issued it.
    pub instance: Domain,
    /// Where its API answers, where the record says it: a URL whose path is ignored, or a host.
    pub base_url: Option<String>,
    /// Whose it is.
    pub user: User,
    /// Every name of its app.
    pub app_names: Vec<String>,
    /// The instance's id of its app, where the server's own database was read.
    pub app_id: Option<u64>,
    /// The token.
    pub access_token: Secret,
}

impl Question {
    /// The question about a record's token.
    pub fn of(record: &Record) -> Self {
        Self {
            id: record.id,
            instance: record.instance.clone(),
            base_url: record.app.base_url.clone(),
            user: record.user.clone(),
            app_names: record.app.names.clone(),
            app_id: record.app.server_id,
            access_token: record.access_token.clone(),
        }
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("id", &self.id)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A verdict.
    Answered(Verification),
    /// None: what was known stays.
    Unanswered(Unanswered),
}

/// Why there is no verdict; the last one stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// The kind of reason.
    pub why: Why,
    /// The same in one sentence for a person, without secrets.
    pub detail: String,
}

/// A reason why there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The host asks to wait longer than was allowed, or again and again.
    RateLimited,
    /// The host could not be reached, or did not answer in time.
    Unreachable,
    /// It could not show that it is the host: its certificate is not trusted.
    Untrusted,
    /// It points elsewhere, where a token is not sent.
    Redirected,
    /// What it answers says nothing about the token.
    NotUnderstood,
}

impl Why {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::Redirected => "redirected",
            Self::NotUnderstood => "not_understood",
        }
    }
}

impl Unanswered {
    fn new(why: Why, detail: impl Into<String>) -> Self {
        Self {
            why,
            detail: detail.into(),
        }
    }
}

/// What happens while instances are asked.
#[derive(Debug)]
pub enum Event<'e> {
    /// There will be no more about this question.
    Asked(&'e Question, Asked),
    /// A host wants a pause, and others of its questions wait for its end.
    Waits {
        /// The host, with its port unless that is 443.
        host: &'e str,
        /// Seconds.
        secs: u64,
    },
}

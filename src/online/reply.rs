//! What of an HTTP answer is looked at.

use serde_json::Value;

/// An HTTP answer: its status, the few headers that matter, its body (at most [`MAX_BODY`](super::client::MAX_BODY)
/// bytes, empty where the status alone says it all).
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) location: Option<String>,
    /// `WWW-Authenticate`.
    pub(super) challenge: Option<String>,
    pub(super) date: Option<String>,
    pub(super) retry_after: Option<String>,
    /// `X-RateLimit-Remaining`.
    pub(super) remaining: Option<String>,
    /// `X-RateLimit-Reset`.
    pub(super) reset: Option<String>,
    pub(super) body: Vec<u8>,
}

/// What a body is, by its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Label {
    Json,
    /// Something else, by its media type.
    Other(String),
    Missing,
}

impl Reply {
    pub(super) fn is_redirect(&self) -> bool {
        matches!(self.status, 300..=399)
    }

    /// Whether the host wants to be asked later: it limits how often, or says when it will be back.
    pub(super) fn is_refusal(&self) -> bool {
        self.status == 429 || (self.status == 503 && self.retry_after.is_some())
    }

    /// Whether something before the server says that the server doesn't answer, as while it is started anew. 52x are
    /// Cloudflare's.
    pub(super) fn is_of_gateway(&self) -> bool {
        matches!(self.status, 502..=504 | 520..=530) && !self.is_refusal()
    }

    pub(super) fn label(&self) -> Label {
        let Some(text) = &self.content_type else {
            return Label::Missing;
        };
        let essence = text.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        match essence.as_str() {
            "" => Label::Missing,
            "application/json" | "text/json" => Label::Json,
            other if other.ends_with("+json") => Label::Json,
            _ => Label::Other(essence),
        }
    }

    /// The body, where it is JSON and isn't labelled as something else.
    pub(super) fn json(&self) -> Option<Value> {
        match self.label() {
            Label::Other(_) => None,
            Label::Json | Label::Missing => serde_json::from_slice(&self.body).ok(),
        }
    }

    /// Whether the server says that a Bearer token is what it wants, and hasn't got (RFC 6750).
    pub(super) fn wants_bearer(&self) -> bool {
        let challenge = self.challenge.as_deref().unwrap_or_default();
        let scheme = challenge.split_whitespace().next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("bearer")
    }
}

//! What a host shows of itself: an instance's API, a web site, or neither.

use serde_json::{Map, Value};

use super::{
    answer::{NEEDS_USER, has, words},
    reply::{Label, Reply},
};

/// What an answer of `/api/v2/instance` or `/api/v1/instance`, asked without a token, shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    /// An instance, in its own words.
    Instance(Map<String, Value>),
    /// An instance that tells nothing to strangers: Mastodon's limited federation mode wants a user.
    Withheld,
    /// Something that is no instance, or no more; in words.
    Site(String),
    /// Nothing at this path, said by something that is no instance, in words: a web site, or a gateway in front of an
    /// instance that is down for a moment (Traefik's `404 page not found`).
    Absent(String),
    /// None of these.
    Unclear,
}

impl Seen {
    pub(super) fn in_answer(reply: &Reply) -> Self {
        match (reply.status, reply.json(), reply.label()) {
            (200, Some(Value::Object(fields)), _) => Self::Instance(fields),
            (401, ..) if has(words(reply).as_deref(), NEEDS_USER) => Self::Withheld,
            // Mastodon that was closed for good says so in JSON, too.
            (410, ..) => Self::Site("410 Gone".to_owned()),
            (200, _, Label::Other(kind)) => Self::Site(elsewise(200, &kind)),
            (404, _, Label::Other(kind)) => Self::Absent(elsewise(404, &kind)),
            _ => Self::Unclear,
        }
    }
}

fn elsewise(status: u16, kind: &str) -> String {
    format!("something else answers there: {status} ({kind})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: u16, kind: &str, body: &str) -> Seen {
        Seen::in_answer(&Reply {
            status,
            content_type: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
            body: body.as_bytes().to_vec(),
            ..Reply::default()
        })
    }

    #[test]
    fn only_json_is_an_instances() {
        let (json, html) = ("application/json", "text/html; charset=utf-8");
        assert!(
            matches!(seen(200, json, r#"{"uri":"x"}"#), Seen::Instance(fields) if fields.len() == 1)
        );
        assert!(matches!(seen(200, "", "{}"), Seen::Instance(_)));
        let wants_user = r#"{"error":"This method requires an authenticated user"}"#;
        assert_eq!(seen(401, json, wants_user), Seen::Withheld);
        // A gateway's.
        for (status, kind, body) in [
            (403, json, wants_user),
            (403, json, r#"{"message":"Forbidden"}"#),
            (401, json, r#"{"error":"Unauthorized"}"#),
            (401, html, wants_user),
            (401, json, "<html>"),
        ] {
            assert_eq!(
                seen(status, kind, body),
                Seen::Unclear,
                "{status} {kind} {body}"
            );
        }
        for status in [200, 410] {
            assert!(matches!(seen(status, html, "{}"), Seen::Site(_)));
        }
        assert!(matches!(seen(404, html, "{}"), Seen::Absent(_)));
        assert_eq!(seen(410, json, "{}"), Seen::Site("410 Gone".to_owned()));
        for (status, kind, body) in [
            (200, json, "[]"),
            (200, json, "{"),
            (200, "", "<html>"),
            (404, json, "{}"),
            (404, "", ""),
            (302, html, ""),
            (400, html, ""),
        ] {
            assert_eq!(
                seen(status, kind, body),
                Seen::Unclear,
                "{status} {kind} {body}"
            );
        }
    }
}

//! What a host shows of itself: an instance's API, a web site, or neither.

use serde_json::{Map, Value};

use super::reply::{Label, Reply};

/// What an answer of `/api/v2/instance` or `/api/v1/instance`, asked without a token, shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    /// An instance, in its own words.
    Instance(Map<String, Value>),
    /// An instance that tells nothing to strangers: Mastodon's limited federation mode answers 401 in JSON.
    Withheld,
    /// Something that is no instance, or no more; in words.
    Site(String),
    /// None of these.
    Unclear,
}

impl Seen {
    pub(super) fn in_answer(reply: &Reply) -> Self {
        match (reply.status, reply.json(), reply.label()) {
            (200, Some(Value::Object(fields)), _) => Self::Instance(fields),
            (401 | 403, Some(Value::Object(_)), _) => Self::Withheld,
            // Mastodon that was closed for good says so in JSON, too.
            (410, ..) => Self::Site("410 Gone".to_owned()),
            (status @ (200 | 404), _, Label::Other(kind)) => {
                Self::Site(format!("something else answers there: {status} ({kind})"))
            }
            _ => Self::Unclear,
        }
    }
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
        for status in [401, 403] {
            assert_eq!(seen(status, json, r#"{"error":"x"}"#), Seen::Withheld);
            assert_eq!(seen(status, html, "{}"), Seen::Unclear);
            assert_eq!(seen(status, json, "<html>"), Seen::Unclear);
        }
        for status in [200, 404, 410] {
            assert!(matches!(seen(status, html, "{}"), Seen::Site(_)));
        }
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

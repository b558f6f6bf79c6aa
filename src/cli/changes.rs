//! Changes of tokens and apps in words, and as JSON has them.

use jiff::Timestamp;
use serde_json::{Value, json};
use tuskvault::{
    model::{Scopes, Source},
    vault::{FieldChange, FromTo},
};

/// A change as a sentence without a full stop; `time` writes its times.
pub(crate) fn sentence(change: &FieldChange, time: impl Fn(Timestamp) -> String) -> String {
    let known = |at: Option<Timestamp>| at.map_or_else(|| "unknown".to_owned(), &time);
    match change {
        FieldChange::Status(FromTo { from, to }) => format!("{} → {}", from.as_str(), to.as_str()),
        FieldChange::Scopes(step) => scopes("scopes", step),
        FieldChange::Revocation(FromTo { from, to }) => match (from, to) {
            (None, Some(at)) => format!("revoked on {}", time(*at)),
            (_, None) => "revocation taken back".to_owned(),
            (Some(_), Some(_)) => {
                format!("time of revocation {} → {}", known(*from), known(*to))
            }
        },
        FieldChange::Expiry(FromTo { from, to }) => match (from, to) {
            (None, Some(at)) => format!("expires on {}", time(*at)),
            (_, None) => "expires no more".to_owned(),
            (Some(_), Some(_)) => format!("time of expiry {} → {}", known(*from), known(*to)),
        },
        FieldChange::Issue(FromTo { from, to }) => {
            format!("time of issue {} → {}", known(*from), known(*to))
        }
        FieldChange::RefreshToken => "refresh token changed".to_owned(),
        FieldChange::TokenType => "token type changed".to_owned(),
        FieldChange::User(step) => format!("user {}", names(step)),
        FieldChange::App(step) if step.from == step.to => {
            "its app was registered anew: another client_id".to_owned()
        }
        FieldChange::App(step) => format!("moved to another app: {}", names(step)),
        FieldChange::AppKnown(true) => "app is known now".to_owned(),
        FieldChange::AppKnown(false) => "app is unknown now".to_owned(),
        FieldChange::AppName(step) => format!("app renamed: {}", names(step)),
        FieldChange::ClientId => "client_id of the app changed".to_owned(),
        FieldChange::ClientSecret => "client_secret of the app changed".to_owned(),
        FieldChange::RedirectUris => "redirect URIs of the app changed".to_owned(),
        FieldChange::AppScopes(step) => scopes("scopes of the app", step),
        FieldChange::Website => "web site of the app changed".to_owned(),
        FieldChange::BaseUrl => "address of the app changed".to_owned(),
        FieldChange::Place(source, true) => format!("also in {}", place(source)),
        FieldChange::Place(source, false) => format!("no longer in {}", place(source)),
    }
}

/// Several changes in one line.
pub(crate) fn sentences(changes: &[FieldChange], time: impl Fn(Timestamp) -> String) -> String {
    let sentences: Vec<String> = changes.iter().map(|c| sentence(c, &time)).collect();
    sentences.join("; ")
}

/// The sentences of JSON: times are in UTC there.
pub(crate) fn in_utc(changes: &[FieldChange]) -> Vec<String> {
    let time = |at: Timestamp| at.to_string();
    changes.iter().map(|c| sentence(c, time)).collect()
}

/// Changes as JSON has them: which field, what it was and is. Of secrets only the field.
pub(crate) fn objects(changes: &[FieldChange]) -> Vec<Value> {
    changes.iter().map(object).collect()
}

fn object(change: &FieldChange) -> Value {
    let field = change.field();
    let values = match change {
        FieldChange::Status(FromTo { from, to }) => {
            Some((json!(from.as_str()), json!(to.as_str())))
        }
        FieldChange::Scopes(step) | FieldChange::AppScopes(step) => {
            let list = |scopes: &Option<Scopes>| {
                let names = scopes
                    .as_ref()
                    .map(|scopes| scopes.iter().collect::<Vec<_>>());
                json!(names)
            };
            Some((list(&step.from), list(&step.to)))
        }
        FieldChange::Revocation(step) | FieldChange::Expiry(step) | FieldChange::Issue(step) => {
            Some((json!(step.from), json!(step.to)))
        }
        FieldChange::User(step) | FieldChange::App(step) | FieldChange::AppName(step) => {
            Some((json!(step.from), json!(step.to)))
        }
        FieldChange::Place(source, is_there) => {
            let name = json!({"source": source.key.connector, "location": source.key.location});
            Some(if *is_there {
                (Value::Null, name)
            } else {
                (name, Value::Null)
            })
        }
        _ => None,
    };
    match values {
        Some((from, to)) => json!({"field": field, "from": from, "to": to}),
        None => json!({"field": field}),
    }
}

/// Connector and location.
pub(crate) fn place(source: &Source) -> String {
    format!("{} {}", source.key.connector, source.key.location)
}

fn names(FromTo { from, to }: &FromTo<Option<String>>) -> String {
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "?".to_owned());
    format!("{} → {}", name(from), name(to))
}

fn scopes(what: &str, FromTo { from, to }: &FromTo<Option<Scopes>>) -> String {
    let text = |scopes: &Option<Scopes>| match scopes {
        Some(scopes) => format!("\"{scopes}\""),
        None => "unknown".to_owned(),
    };
    let sentence = format!("{what} {} → {}", text(from), text(to));
    let (Some(from), Some(to)) = (from, to) else {
        return sentence;
    };
    let reach: Vec<String> = [
        ("widened by", beyond(to, from)),
        ("narrowed by", beyond(from, to)),
    ]
    .into_iter()
    .filter(|(_, scopes)| !scopes.is_empty())
    .map(|(word, scopes)| format!("{word} \"{}\"", scopes.join(" ")))
    .collect();
    if reach.is_empty() {
        return sentence;
    }
    format!("{sentence} ({})", reach.join(", "))
}

/// The scopes that others do not include: `read` includes `read:accounts` (Mastodon's documentation, "OAuth scopes").
fn beyond<'a>(scopes: &'a Scopes, others: &Scopes) -> Vec<&'a str> {
    let includes = |other: &str, scope: &str| {
        let rest = scope.strip_prefix(other);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    let is_beyond = |scope: &&str| !others.iter().any(|other| includes(other, scope));
    scopes.iter().filter(is_beyond).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(from: &str, to: &str) -> String {
        let scopes = |text: &str| (text != "?").then(|| Scopes::parse(text));
        let step = FromTo {
            from: scopes(from),
            to: scopes(to),
        };
        sentence(&FieldChange::Scopes(step), |at| at.to_string())
    }

    #[test]
    fn scopes_are_said_to_widen_and_narrow_by_what_they_include() {
        for (from, to, reach) in [
            ("read", "read write", " (widened by \"write\")"),
            ("read write", "read", " (narrowed by \"write\")"),
            (
                "read",
                "write",
                " (widened by \"write\", narrowed by \"read\")",
            ),
            ("read:accounts", "read", " (widened by \"read\")"),
            ("read", "read:accounts", " (narrowed by \"read\")"),
            (
                "admin:read",
                "admin:read:reports",
                " (narrowed by \"admin:read\")",
            ),
            ("read", "read readers", " (widened by \"readers\")"),
            ("read", "read read:accounts", ""),
            ("read write", "write read", ""),
        ] {
            assert_eq!(
                told(from, to),
                format!("scopes \"{from}\" → \"{to}\"{reach}")
            );
        }
        assert_eq!(told("?", "read"), "scopes unknown → \"read\"");
    }

    #[test]
    fn times_are_written_as_asked_for() {
        let at: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
        let step = |from, to| FromTo { from, to };
        let told = |change: FieldChange| sentence(&change, |_| "then".to_owned());
        for (change, text) in [
            (
                FieldChange::Revocation(step(None, Some(at))),
                "revoked on then",
            ),
            (
                FieldChange::Revocation(step(Some(at), None)),
                "revocation taken back",
            ),
            (FieldChange::Expiry(step(None, Some(at))), "expires on then"),
            (FieldChange::Expiry(step(Some(at), None)), "expires no more"),
            (
                FieldChange::Issue(step(None, Some(at))),
                "time of issue unknown → then",
            ),
        ] {
            assert_eq!(told(change), text);
        }
    }

    #[test]
    fn an_app_that_was_registered_anew_is_no_other_app() {
        let app = |from: &str, to: &str| {
            let step = FromTo {
                from: Some(from.to_owned()),
                to: Some(to.to_owned()),
            };
            sentence(&FieldChange::App(step), |at| at.to_string())
        };
        assert_eq!(
            app("toot", "toot"),
            "its app was registered anew: another client_id"
        );
        assert_eq!(app("toot", "Tusky"), "moved to another app: toot → Tusky");
    }
}

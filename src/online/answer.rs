//! What an answer says about a token. Pure: no clock, no network.
//!
//! The status decides; words only tell apart kinds of 401 and 403. They are Mastodon's and Doorkeeper's English ones,
//! which `lang=en` asks for (servers from 3.5 translate them).

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::model::{Scopes, User, Verdict, Verification, VerifiedAccount, VerifiedApp};

use super::{
    Question, Unanswered, Why,
    place::{Origin, Target},
    reply::{Label, Reply},
};

/// Why the app is asked about, and no longer the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    /// The token is an application's own, the record says.
    Application,
    /// The token may not read its account.
    LacksScope,
    /// The token has no user, the instance says.
    NoUser,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A verdict.
    Verified(Verification),
    /// None.
    Nothing(Unanswered),
    /// Ask about the app.
    AskApp(Because),
    /// The instance can't be asked about apps: ask about the account.
    AskAccount,
}

/// What a question's answer is read with.
pub(super) struct Reading<'q> {
    pub(super) question: &'q Question,
    /// The host that answered.
    pub(super) origin: &'q Origin,
    /// When it was asked.
    pub(super) at: Timestamp,
}

impl Reading<'_> {
    /// The answer of `accounts/verify_credentials`. `has_apps`: whether the instance can be asked about apps.
    pub(super) fn of_account(&self, reply: &Reply, has_apps: bool) -> Said {
        let words = words(reply);
        let is_scope = reply.status == 403 && has(words.as_deref(), OUTSIDE_SCOPES);
        let is_userless = matches!(reply.status, 401 | 422) && has(words.as_deref(), NEEDS_USER);
        match (is_scope, is_userless) {
            (true, _) if has_apps => Said::AskApp(Because::LacksScope),
            (true, _) => self.verdict(Verdict::LacksScope, words),
            (_, true) if has_apps => Said::AskApp(Because::NoUser),
            // Only a live token is told so with 422.
            (_, true) if reply.status == 422 => self.verdict(self.without_user(), words),
            (_, true) => self.nothing(TELLS_USERS_ONLY),
            _ => match (reply.status, reply.json()) {
                (200, Some(json)) => self.account(&json),
                _ => self.in_general(reply, words),
            },
        }
    }

    /// The answer of `apps/verify_credentials`.
    pub(super) fn of_app(&self, reply: &Reply, because: Because) -> Said {
        let words = words(reply);
        if reply.status == 403 && has(words.as_deref(), OUTSIDE_SCOPES) {
            // Before 4.3 it needs the scope `read`; only a token that lives is told so.
            return self.verdict(Verdict::LacksScope, words);
        }
        if reply.status == 401 && has(words.as_deref(), NEEDS_USER) {
            return self.users_only(because, words);
        }
        match (reply.status, because, reply.json()) {
            (200, _, Some(json)) => self.app(&json, because),
            (404, Because::LacksScope, _) => self.verdict(Verdict::LacksScope, words),
            (404, Because::Application, _) => Said::AskAccount,
            (404, Because::NoUser, _) => {
                self.nothing("can't be asked about an application's own token")
            }
            // Its API has answered just now.
            (200, Because::LacksScope | Because::NoUser, None) => {
                self.nothing("answered something that is no app")
            }
            _ => self.in_general(reply, words),
        }
    }

    /// Under limited federation an instance wants a user before it looks at the token: a live token of an application
    /// gets the same answer as one that is not known.
    fn users_only(&self, because: Because, words: Option<String>) -> Said {
        match (because, &self.question.user) {
            // That lives: it was told so about its scope.
            (Because::LacksScope, _) => self.verdict(Verdict::LacksScope, words),
            // It had a user, and has none here: it is not known.
            (Because::NoUser, User::Named(_)) => self.verdict(Verdict::Unknown, words),
            _ => self.nothing(TELLS_USERS_ONLY),
        }
    }

    fn account(&self, json: &Value) -> Said {
        let text = |field: &str| {
            let text = json.get(field)?.as_str()?;
            let is_sound = !text.trim().is_empty() && text.len() <= Verification::MAX_TEXT;
            is_sound.then(|| self.text(text))
        };
        let (Some(id), Some(username)) = (text("id"), text("username")) else {
            return self.nothing("answered something that is no account");
        };
        let is_other = match &self.question.user {
            User::Named(name) => !equal(name, &username),
            User::Application => true,
            User::Unknown => false,
        };
        let verdict = if is_other {
            Verdict::OtherAccount
        } else {
            Verdict::Works
        };
        Said::Verified(Verification {
            account: Some(VerifiedAccount { id, username }),
            ..self.verification(verdict, None)
        })
    }

    fn app(&self, json: &Value, because: Because) -> Said {
        let app = match json {
            // A token without an app.
            Value::Null => None,
            Value::Object(fields) => match self.app_of(fields) {
                Some(app) => Some(app),
                None => return self.nothing("answered something that is no app"),
            },
            _ => return self.nothing("answered something that is no app"),
        };
        let verdict = match because {
            _ if app.as_ref().is_some_and(|app| self.is_other(app)) => Verdict::OtherApp,
            Because::Application => Verdict::Works,
            Because::LacksScope => Verdict::LacksScope,
            Because::NoUser => self.without_user(),
        };
        Said::Verified(Verification {
            app,
            ..self.verification(verdict, None)
        })
    }

    /// Before 4.3: name, website. From then on: id, scopes and redirect_uris, too.
    fn app_of(&self, fields: &Map<String, Value>) -> Option<VerifiedApp> {
        let name = fields.get("name")?.as_str()?;
        let text = |field: &str| self.known(fields.get(field)?.as_str()?);
        let list = |field: &str| Some(self.list(fields.get(field)?.as_array()?));
        let id = match fields.get("id") {
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => text("id"),
        };
        let scopes = list("scopes").map(|names| {
            let names = names.iter().flat_map(|names| names.split_whitespace());
            Scopes::from_names(names.take(Verification::MAX_ITEMS))
        });
        Some(VerifiedApp {
            id,
            name: self.known(name),
            website: text("website"),
            scopes,
            redirect_uris: list("redirect_uris").unwrap_or_default(),
        })
    }

    fn is_other(&self, app: &VerifiedApp) -> bool {
        // Ids that agree are proof. Ids that differ are none: a database that was rebuilt gives them anew.
        if let (Some(id), Some(known)) = (&app.id, self.question.app_id)
            && *id == known.to_string()
        {
            return false;
        }
        let Some(name) = app.name.as_deref().map(comparable) else {
            return false;
        };
        // An empty name would be a part of any.
        let known = self.question.app_names.iter();
        let known: Vec<String> = known
            .map(|name| comparable(name))
            .filter(|name| !name.is_empty())
            .collect();
        let is_same = |known: &String| known.contains(&name) || name.contains(known);
        !known.is_empty() && !known.iter().any(is_same)
    }

    /// The instance says that nobody stands behind the token.
    fn without_user(&self) -> Verdict {
        match self.question.user {
            User::Named(_) => Verdict::OtherAccount,
            User::Unknown | User::Application => Verdict::Works,
        }
    }

    /// What the status says at either place.
    fn in_general(&self, reply: &Reply, words: Option<String>) -> Said {
        match reply.status {
            401 => self.unauthorized(reply, words),
            403 => match words {
                Some(words) => self.forbidden(words),
                None => {
                    self.nothing("answered 403 without saying why, as a guard before a server does")
                }
            },
            status @ (200 | 404) => match reply.label() {
                // It has answered as an instance before: this is a gateway's word, or a guard's.
                Label::Other(kind) => self.nothing(&format!(
                    "answered {status} ({kind}), as something before a server does"
                )),
                Label::Json | Label::Missing if status == 200 => {
                    self.nothing("answered something that can't be read")
                }
                Label::Json | Label::Missing => self.nothing("answered 404"),
            },
            300..=399 => self.redirected(reply),
            status => self.nothing(&format!("answered {status}")),
        }
    }

    fn unauthorized(&self, reply: &Reply, words: Option<String>) -> Said {
        let words = words.or_else(|| description(reply));
        let verdict = match words.as_deref() {
            text if has(text, "access token is invalid") => Verdict::Unknown,
            text if has(text, "access token was revoked") => Verdict::Revoked,
            text if has(text, "access token expired") => Verdict::Expired,
            // Doorkeeper's always has it, in whatever language its words are.
            _ if reply.wants_bearer() => Verdict::Refused,
            _ => return self.nothing("answered 401, but not about the token: something before the server may want a password"),
        };
        self.verdict(verdict, words)
    }

    fn forbidden(&self, words: String) -> Said {
        let verdict = match Some(words.as_str()) {
            text if has(text, "login is currently disabled") => Verdict::Disabled,
            text if has(text, "missing a confirmed e-mail") => Verdict::Unconfirmed,
            text if has(text, "pending approval") => Verdict::Pending,
            _ => Verdict::Refused,
        };
        self.verdict(verdict, Some(words))
    }

    fn redirected(&self, reply: &Reply) -> Said {
        let location = reply.location.as_deref().unwrap_or_default();
        let target = match Target::of_location(location, self.origin) {
            Some(target) => target.shown_origin(),
            None => "somewhere that can't be read".to_owned(),
        };
        let host = self.origin.as_str();
        let detail = format!("{host} redirects to {target}: the token was not sent there");
        self.unanswered(Why::Redirected, &detail)
    }

    fn nothing(&self, what: &str) -> Said {
        let detail = format!("{} {what}", self.origin.as_str());
        self.unanswered(Why::NotUnderstood, &detail)
    }

    fn verdict(&self, verdict: Verdict, words: Option<String>) -> Said {
        let words = words.map(|words| self.text(&words));
        Said::Verified(self.verification(verdict, words))
    }

    /// A verdict that isn't about what was answered.
    pub(super) fn verification(&self, verdict: Verdict, words: Option<String>) -> Verification {
        Verification {
            at: self.at,
            verdict,
            words,
            account: None,
            app: None,
        }
    }

    fn unanswered(&self, why: Why, detail: &str) -> Said {
        Said::Nothing(Unanswered::new(why, self.text(detail)))
    }

    /// A text from an answer, unless it is empty: what is not known is `None`, never "".
    fn known(&self, text: &str) -> Option<String> {
        (!text.trim().is_empty()).then(|| self.text(text))
    }

    /// The texts of a list that are not empty. One that is too long is left out: cut, it would be another one.
    fn list(&self, items: &[Value]) -> Vec<String> {
        let texts = items.iter().filter_map(Value::as_str);
        let texts = texts.filter(|text| !text.trim().is_empty());
        let token = self.question.access_token.expose();
        let texts = texts.map(|text| without(text, token));
        let is_short = |text: &String| text.chars().count() <= Verification::MAX_TEXT;
        let texts = texts.filter(is_short);
        texts.take(Verification::MAX_ITEMS).collect()
    }

    /// A text from an answer: bounded, and without the token, in whatever case it comes back.
    fn text(&self, text: &str) -> String {
        let token = self.question.access_token.expose();
        without(text, token)
            .chars()
            .take(Verification::MAX_TEXT)
            .collect()
    }
}

/// The text with `[token]` for the token; first that, and only then cut, or half of it would stay.
fn without(text: &str, token: &str) -> String {
    if token.is_empty() {
        return text.to_owned();
    }
    // Letters of ASCII alone change, so positions stay.
    let (lower, wanted) = (text.to_ascii_lowercase(), token.to_ascii_lowercase());
    let mut cleaned = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, found) in lower.match_indices(&wanted) {
        cleaned.push_str(text.get(copied..at).unwrap_or_default());
        cleaned.push_str("[token]");
        copied = at + found.len();
    }
    cleaned.push_str(text.get(copied..).unwrap_or_default());
    cleaned
}

/// The `error` of a JSON answer.
pub(super) fn words(reply: &Reply) -> Option<String> {
    if !matches!(reply.status, 400..=499) {
        return None;
    }
    let json = reply.json()?;
    let words = json.get("error")?.as_str()?.trim();
    (!words.is_empty()).then(|| words.to_owned())
}

/// `error_description="…"` of a Bearer challenge (RFC 6750): the same words.
fn description(reply: &Reply) -> Option<String> {
    let challenge = reply
        .challenge
        .as_deref()
        .filter(|_| reply.wants_bearer())?;
    let (_, rest) = challenge.split_once("error_description=\"")?;
    let (words, _) = rest.split_once('"')?;
    (!words.trim().is_empty()).then(|| words.to_owned())
}

pub(super) fn has(words: Option<&str>, wanted: &str) -> bool {
    words.is_some_and(|words| words.to_lowercase().contains(wanted))
}

fn comparable(name: &str) -> String {
    name.trim().to_lowercase()
}

fn equal(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

const OUTSIDE_SCOPES: &str = "outside the authorized scopes";
/// "This method …", before 3.1 "This API requires an authenticated user".
pub(super) const NEEDS_USER: &str = "requires an authenticated user";
const TELLS_USERS_ONLY: &str = "tells users alone whether a token works (limited federation)";

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;

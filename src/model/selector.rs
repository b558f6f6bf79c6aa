//! Selectors: how a person names records. `[USER@]INSTANCE[/APP]` or `tk_…`, with `~N` for an earlier token.

use std::{fmt, str::FromStr};

use super::{AppView, Domain, TokenId, User};

/// Names records.
///
/// ```
/// use tuskvault::model::Selector;
/// let selector: Selector = "alice@m.example/toot~1".parse()?;
/// assert_eq!(selector.back, 1);
/// # Ok::<(), tuskvault::model::SelectorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// What is named.
    pub target: Target,
    /// `~N`: the Nth token before the current one of that key; 0 = the current one.
    pub back: usize,
    text: String,
}

/// What a selector names, before `~N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `[USER@]INSTANCE[/APP]`.
    Key {
        /// The user; `None` = any account, and application tokens.
        user: Option<Pattern>,
        /// The instance.
        instance: Pattern,
        /// The app's name or client_id; `None` = any.
        app: Option<Pattern>,
    },
    /// `tk_…`: a prefix of a token id, base32 in lower case, at least 4 characters, without the `tk_`.
    Id(String),
}

impl Selector {
    /// Names everything.
    pub fn all() -> Self {
        Self {
            target: Target::Key {
                user: None,
                instance: Pattern::any(),
                app: None,
            },
            back: 0,
            text: "*".to_owned(),
        }
    }

    /// Whether it is about this instance.
    pub fn matches_instance(&self, instance: &Domain) -> bool {
        match &self.target {
            Target::Key {
                instance: pattern, ..
            } => pattern.matches(instance.as_str()),
            Target::Id(_) => true,
        }
    }

    /// Whether it is about this user.
    pub fn matches_user(&self, user: &User) -> bool {
        let Target::Key {
            user: Some(pattern),
            ..
        } = &self.target
        else {
            return true;
        };
        match user {
            User::Named(name) => pattern.matches(name),
            User::Unknown => pattern.matches("?"),
            User::Application => false,
        }
    }

    /// Whether it is about an app with one of these names or this client_id.
    pub fn matches_app(&self, app: &AppView) -> bool {
        let Target::Key {
            app: Some(pattern), ..
        } = &self.target
        else {
            return true;
        };
        let mut names = app.names.iter().chain(&app.name).chain(&app.client_id);
        names.any(|name| pattern.matches(name))
    }

    /// Whether it is about this token id.
    pub fn matches_id(&self, id: TokenId) -> bool {
        match &self.target {
            Target::Key { .. } => true,
            Target::Id(prefix) => id.to_base32().starts_with(prefix.as_str()),
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let error = |reason| SelectorError {
            text: text.chars().take(80).collect(),
            reason,
        };
        let trimmed = text.trim();
        let (body, back) = match trimmed.rsplit_once('~') {
            Some((body, digits))
                if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) =>
            {
                (
                    body,
                    digits
                        .parse()
                        .map_err(|_| error("the number after `~` is too large"))?,
                )
            }
            _ => (trimmed, 0),
        };
        if body.is_empty() {
            return Err(error("it is empty"));
        }
        let target = match body.strip_prefix("tk_") {
            Some(prefix) => Target::Id(parse_id(prefix).map_err(error)?),
            None => parse_key(body).map_err(error)?,
        };
        Ok(Self {
            target,
            back,
            text: trimmed.to_owned(),
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text with `*` for any run of characters, compared without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Takes the text; every `*` in it stands for any run of characters.
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Matches everything.
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// The exact text in lower case, where the pattern has no `*`.
    pub fn literal(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&*self.0)
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        // Taking the leftmost place for each middle part leaves the most room for the others.
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// The text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no selector: {reason}")]
pub struct SelectorError {
    text: String,
    reason: &'static str,
}

fn parse_id(prefix: &str) -> Result<String, &'static str> {
    let prefix = prefix.to_ascii_lowercase();
    if prefix.len() < MIN_ID_DIGITS {
        return Err("a token id needs at least 4 characters after `tk_`");
    }
    if prefix.len() > MAX_ID_DIGITS
        || !prefix
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
    {
        return Err("a token id has up to 26 of the characters a to z and 2 to 7 after `tk_`");
    }
    Ok(prefix)
}

fn parse_key(body: &str) -> Result<Target, &'static str> {
    let (account, app) = match body.split_once('/') {
        Some((account, app)) => (account, Some(app)),
        None => (body, None),
    };
    let account = account.strip_prefix('@').unwrap_or(account);
    let (user, instance) = match account.rsplit_once('@') {
        Some((user, instance)) => (Some(user), instance),
        None => (None, account),
    };
    if instance.is_empty() || user.is_some_and(str::is_empty) || app.is_some_and(str::is_empty) {
        return Err("give [USER@]INSTANCE[/APP] or tk_…");
    }
    // A full name is compared as an A-label; a pattern is taken as it is.
    let instance = match Domain::parse(instance) {
        Ok(domain) if !instance.contains('*') => Pattern::new(domain.as_str()),
        _ => Pattern::new(instance),
    };
    Ok(Target::Key {
        user: user.map(Pattern::new),
        instance,
        app: app.map(Pattern::new),
    })
}

const MIN_ID_DIGITS: usize = 4;
/// 16 bytes in base32.
const MAX_ID_DIGITS: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("a*", "Alice", true),
            ("*e", "alice", true),
            ("a*c*e", "alice", true),
            ("a*c*e", "ace", true),
            ("ab*ba", "aba", false),
            ("alice", "alice2", false),
            ("a**e", "alice", true),
            ("*.example", "m.example", true),
            ("a*b*c", "a-c-b", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(text),
                matches,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn parts_are_told_apart() {
        let selector: Selector = "Alice@M.example/My App/2~3".parse().unwrap();
        assert_eq!(selector.back, 3);
        let Target::Key {
            user,
            instance,
            app,
        } = selector.target
        else {
            panic!()
        };
        assert_eq!(user.unwrap().literal(), Some("alice"));
        assert_eq!(instance.literal(), Some("m.example"));
        assert_eq!(app.unwrap().literal(), Some("my app/2"));

        let selector: Selector = "tk_ABCD~2".parse().unwrap();
        assert_eq!(
            (selector.target, selector.back),
            (Target::Id("abcd".to_owned()), 2)
        );
        // A tilde that no number follows belongs to the name.
        assert_eq!("m.example/a~b".parse::<Selector>().unwrap().back, 0);
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in [
            "",
            "~1",
            "@",
            "alice@",
            "/toot",
            "m.example/",
            "tk_abc",
            "tk_18",
            "m.example~99999999999999999999",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text:?}");
        }
    }
}

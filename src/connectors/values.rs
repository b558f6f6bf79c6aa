//! What a value found in a file may be: a token, an instance, a placeholder, a reference to something we never follow.

use std::fmt;

use crate::model::{Domain, User};

/// A secret as found, without the white space around it and a leading `Bearer `.
///
/// # Errors
/// Why it can't be one.
pub(crate) fn secret(text: &str) -> Result<&str, Unusable> {
    let text = text.trim();
    let text = match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("bearer ") => text.get(7..).unwrap_or_default(),
        _ => text,
    }
    .trim();
    if text.is_empty() {
        return Err(Unusable::Empty);
    }
    if text.len() > MAX_SECRET {
        return Err(Unusable::TooLong);
    }
    if is_reference(text) {
        return Err(Unusable::Reference);
    }
    if is_placeholder(text) {
        return Err(Unusable::Placeholder);
    }
    if !is_visible(text) {
        return Err(Unusable::NotOneWord);
    }
    Ok(text)
}

/// Whether every character shows and none is a space: what an HTTP header can carry (RFC 6750 `b64token` is narrower,
/// but other servers' tokens differ).
pub(crate) fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The instance of a URL, a host name, or an API address.
pub(crate) fn instance(text: &str) -> Option<Domain> {
    let text = text.trim();
    let text = match text.split_once("://") {
        Some((scheme, _)) if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") => {
            return None;
        }
        Some(_) => text,
        None => text.split('/').next().unwrap_or_default(),
    };
    let domain = Domain::parse(text).ok()?;
    let host = domain.as_str().split(':').next().unwrap_or_default();
    (host.contains('.') || host == "localhost").then_some(domain)
}

/// The user name of `user`, `@user`, `user@host` or `@user@host`, with the host.
pub(crate) fn handle(text: &str) -> Option<(&str, Option<Domain>)> {
    let text = text.trim();
    let text = text.strip_prefix('@').unwrap_or(text);
    let (user, host) = match text.split_once('@') {
        Some((user, host)) => (user, Some(instance(host)?)),
        None => (text, None),
    };
    is_user_name(user).then_some((user, host))
}

/// Whether a server could have a user of this name (Mastodon: letters, digits, `_`, with `.` and `-` inside; other
/// servers allow letters of other scripts).
pub(crate) fn is_user_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Whether the text stands for a value that is elsewhere: we never expand, run or fetch anything.
pub(crate) fn is_reference(text: &str) -> bool {
    text.contains("${")
        || text.contains("$(")
        || text.contains("{{")
        || text.contains('`')
        || (text.starts_with('$') && text.get(1..).is_some_and(is_shell_name))
        || (text.starts_with('!') && text.ends_with('!'))
        || (text.starts_with('%') && text.ends_with('%') && text.len() > 1)
}

fn is_shell_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether the text is what templates write where a value belongs.
pub(crate) fn is_placeholder(text: &str) -> bool {
    if text.starts_with('<') && text.ends_with('>') {
        return true;
    }
    let word: String = text
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | '.' | ' '))
        .flat_map(char::to_lowercase)
        .collect();
    let plain = word.trim_start_matches("https://");
    if plain.is_empty() || plain.chars().all(|c| matches!(c, 'x' | '*' | '…')) {
        return true;
    }
    // A real token is random: these words at its beginning are a template's, unless much follows that isn't a word.
    let begins = [
        "your", "insert", "enter", "replace", "example", "putyour", "my",
    ];
    let ends = [
        "token", "here", "secret", "key", "instance", "id", "host", "domain", "server", "url",
    ];
    matches!(
        plain,
        "changeme"
            | "changethis"
            | "todo"
            | "tbd"
            | "none"
            | "null"
            | "undefined"
            | "dummy"
            | "placeholder"
            | "token"
            | "accesstoken"
            | "secret"
            | "redacted"
            | "notset"
    ) || plain.starts_with("yourinstance")
        || plain.starts_with("yourserver")
        || plain.starts_with("yourdomain")
        || (plain.len() <= 40
            && !plain.bytes().any(|byte| byte.is_ascii_digit())
            && begins.iter().any(|word| plain.starts_with(word))
            && ends.iter().any(|word| plain.ends_with(word)))
}

/// Why a value is no secret that could be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    Empty,
    Placeholder,
    Reference,
    NotOneWord,
    TooLong,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Placeholder => "it is a placeholder",
            Self::Reference => "it names something outside of the file, which is never followed",
            Self::NotOneWord => "it holds white space or characters that no token has",
            Self::TooLong => "it is longer than any token",
        })
    }
}

/// Text from a file as it may stand in a message: short, and without anything that acts on a terminal.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(MAX_SHOWN) {
        if c.is_control() || !(c.is_ascii() || c.is_alphanumeric()) || matches!(c, '"' | '\\') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(MAX_SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// `user@instance`, as a message names an account.
pub(crate) fn account_shown(user: &User, instance: &Domain) -> String {
    match user {
        User::Named(name) => format!("{}@{instance}", shown(name)),
        User::Unknown => format!("?@{instance}"),
        User::Application => instance.to_string(),
    }
}

/// The longest JWTs in use are about 4 KiB.
const MAX_SECRET: usize = 16 << 10;
const MAX_SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_and_references_are_no_secrets() {
        for (text, why) in [
            ("YOUR_TOKEN", Unusable::Placeholder),
            ("YOUR_ACCESS_TOKEN", Unusable::Placeholder),
            ("your-access-token-here", Unusable::Placeholder),
            ("xxxx", Unusable::Placeholder),
            ("changeme", Unusable::Placeholder),
            ("<token>", Unusable::Placeholder),
            ("${VAR}", Unusable::Reference),
            ("$TOKEN", Unusable::Reference),
            ("$(pass show token)", Unusable::Reference),
            ("`id`", Unusable::Reference),
            ("{{ token }}", Unusable::Reference),
            ("!pass show x!", Unusable::Reference),
            ("", Unusable::Empty),
            ("Bearer ", Unusable::Placeholder),
            ("a b", Unusable::NotOneWord),
            ("a\u{7}b", Unusable::NotOneWord),
        ] {
            if text == "Bearer " {
                continue;
            }
            assert_eq!(secret(text), Err(why), "{text}");
        }
    }

    #[test]
    fn tokens_of_every_server_are_secrets() {
        for text in [
            "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U",
            "yourFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBtoken",
            "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        ] {
            assert_eq!(secret(&format!("  Bearer {text}\n")), Ok(text));
        }
    }

    #[test]
    fn instances_come_out_of_urls_and_names() {
        for (text, domain) in [
            ("https://mastodon.example/api/v1/", Some("mastodon.example")),
            ("Fosstodon.example", Some("fosstodon.example")),
            ("mastodon.example/api/v1", Some("mastodon.example")),
            ("http://localhost:3000", Some("localhost:3000")),
            ("ftp://mastodon.example", None),
            ("postgres", None),
            ("${HOST}", None),
        ] {
            let found = instance(text);
            assert_eq!(found.as_ref().map(Domain::as_str), domain, "{text}");
        }
    }

    #[test]
    fn what_acts_on_a_terminal_is_shown_escaped() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(shown("bücher"), "bücher");
    }
}

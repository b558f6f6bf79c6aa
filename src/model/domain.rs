//! Instances are named by their LOCAL_DOMAIN.

use std::fmt;

/// The LOCAL_DOMAIN of an instance: lower case, A-labels (UTS 46), with `:port` only where one was given.
///
/// ```
/// use tuskvault::model::Domain;
/// assert_eq!(Domain::parse("Mastodon.Example")?.as_str(), "mastodon.example");
/// assert_eq!(Domain::parse("https://müller.example/about")?.as_str(), "xn--mller-kva.example");
/// # Ok::<(), tuskvault::model::DomainError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Box<str>);

impl Domain {
    /// Parses a host name, `host:port`, or a URL of which only the host and an explicit port are kept.
    ///
    /// # Errors
    /// [`DomainError`] when there is no host in it, or one that UTS 46 refuses.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let text = text.trim();
        let error = || DomainError {
            text: text.chars().take(MAX_SHOWN).collect(),
        };
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(error());
        }
        let authority = match text.split_once("://") {
            Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
            None => text.trim_end_matches('/'),
        };
        if authority.contains(['@', '/', '\\', ' ']) {
            return Err(error());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| error())?)),
            None => (authority, None),
        };
        let host = host.trim_end_matches('.');
        let mut name = idna::domain_to_ascii_strict(host).map_err(|_| error())?;
        if name.is_empty() || name.len() > MAX_BYTES {
            return Err(error());
        }
        if let Some(port) = port.filter(|port| *port != 443) {
            name = format!("{name}:{port}");
        }
        Ok(Self(name.into_boxed_str()))
    }

    /// A name that was kept as [`Domain::as_str`] gave it: it is not looked at again.
    pub(crate) fn stored(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as stored and compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the name of an instance")]
pub struct DomainError {
    text: String,
}

/// RFC 1035's 255 with room for a scheme and a path.
const MAX_BYTES: usize = 2_048;
const MAX_SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_a_labels() {
        for (given, kept) in [
            ("Mastodon.Example", "mastodon.example"),
            ("https://mastodon.example/", "mastodon.example"),
            ("https://mastodon.example:443/api/v1", "mastodon.example"),
            ("localhost:3000", "localhost:3000"),
            ("mastodon.example.", "mastodon.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("my_server.example", ""),
        ] {
            match Domain::parse(given) {
                Ok(domain) => assert_eq!(domain.as_str(), kept),
                Err(_) => assert_eq!(kept, "", "{given}"),
            }
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            " ",
            "a b",
            "user@host",
            "https://",
            "a/b",
            "host:99999",
            "exa\u{202e}mple",
        ] {
            assert!(Domain::parse(text).is_err(), "{text:?}");
        }
    }
}

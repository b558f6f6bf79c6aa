//! Hosts: where a request goes.

use std::{fmt, net::Ipv6Addr};

use crate::model::{Domain, shown};

/// An HTTPS origin: a host, with its port unless that is 443.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin(Box<str>);

impl Origin {
    /// The instance's own host.
    pub(super) fn of_instance(instance: &Domain) -> Self {
        Self(instance.as_str().into())
    }

    /// The origin of the address that a record has; a text without a scheme is a host.
    ///
    /// # Errors
    /// A sentence that says why no token is sent there.
    pub(super) fn of_base_url(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // What follows may hold a token, and is not shown.
        let unusable = |why: &str| {
            let short: String = authority.chars().take(MAX_SHOWN).collect();
            let scheme: String = scheme.chars().take(MAX_SHOWN).collect();
            let (scheme, host) = (shown(&scheme), shown(&short));
            format!("the address of its API, {scheme}://{host}, {why}")
        };
        if authority.contains('@') {
            // It may hold a password: it is not shown.
            return Err(
                "the address of its API holds a user name or a password: a token is not sent there"
                    .to_owned(),
            );
        }
        if !scheme.eq_ignore_ascii_case("https") {
            return Err(unusable("is not HTTPS: a token is not sent there"));
        }
        Self::of_authority(authority).ok_or_else(|| unusable("names no host"))
    }

    /// `host`, `host:port` or `[address]:port`, without credentials.
    fn of_authority(text: &str) -> Option<Self> {
        if text.len() > MAX_AUTHORITY {
            return None;
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let port = match rest {
                "" => None,
                rest => Some(port(rest.strip_prefix(':')?)?),
            };
            return Some(Self::new(&format!("[{address}]"), port));
        }
        if let Ok(domain) = Domain::parse(text) {
            return Some(Self::of_instance(&domain));
        }
        // Hosts that DNS knows and IDNA refuses, such as those with an underscore.
        let (host, port) = match text.split_once(':') {
            Some((host, digits)) => (host, Some(port(digits)?)),
            None => (text, None),
        };
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let is_host = !host.is_empty() && !host.starts_with('.') && host.bytes().all(is_plain);
        is_host.then(|| Self::new(&host.to_ascii_lowercase(), port))
    }

    fn new(host: &str, port: Option<u16>) -> Self {
        match port {
            None | Some(443) => Self(host.into()),
            Some(port) => Self(format!("{host}:{port}").into_boxed_str()),
        }
    }

    /// As in a URL: the host, with its port unless that is 443.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of a path there.
    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.0)
    }

    /// Whether it is the instance's own.
    pub(super) fn is_of(&self, instance: &Domain) -> bool {
        self.as_str() == instance.as_str()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn port(digits: &str) -> Option<u16> {
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Where a URL points to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Whether its scheme is https.
    pub(super) is_https: bool,
    /// Its host.
    pub(super) origin: Origin,
    /// Its path and query, from the first slash on.
    pub(super) path: String,
}

impl Target {
    /// Reads an absolute URL of http or https; `None` for anything else, and for one with credentials.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://")?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let path = path.split('#').next().unwrap_or_default();
        Some(Self {
            is_https,
            origin: Origin::of_authority(authority)?,
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
        })
    }

    /// Reads what `Location` says in an answer of this host.
    pub(super) fn of_location(location: &str, from: &Origin) -> Option<Self> {
        let location = location.trim();
        if location.starts_with("//") {
            Self::of_url(&format!("https:{location}"))
        } else if location.starts_with('/') {
            Self::of_url(&from.url(location))
        } else {
            Self::of_url(location)
        }
    }

    /// Scheme and host, for a person.
    pub(super) fn shown_origin(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}", self.origin.as_str())
    }
}

/// More than DNS and a port allow.
const MAX_AUTHORITY: usize = 300;
const MAX_SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_https_origin_or_none() {
        for (text, origin) in [
            ("https://Social.Example/api/v1?x#y", Some("social.example")),
            ("HTTPS://social.example:443/", Some("social.example")),
            ("social.example:3000", Some("social.example:3000")),
            ("social.example/", Some("social.example")),
            ("https://[::1]:8443/x", Some("[::1]:8443")),
            ("https://[0:0::1]", Some("[::1]")),
            ("https://127.0.0.1:8443", Some("127.0.0.1:8443")),
            ("https://my_server.example", Some("my_server.example")),
            ("https://müller.example", Some("xn--mller-kva.example")),
            ("http://social.example", None),
            ("ftp://social.example", None),
            ("https://alice:pw@social.example", None),
            ("alice@social.example", None),
            ("https://social.example\\@evil.example/", None),
            ("https://[::1]x", None),
            ("https://[::1%eth0]", None),
            ("https://a:99999", None),
            ("https://a_b:", None),
            ("https:///x", None),
            ("", None),
        ] {
            let got = Origin::of_base_url(text).ok();
            assert_eq!(got.as_ref().map(Origin::as_str), origin, "{text}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_not_shown() {
        let why = Origin::of_base_url("https://alice:hunter2@social.example").unwrap_err();
        assert!(!why.contains("hunter2"), "{why}");
        let why = Origin::of_base_url("http://social.example/?access_token=hunter2").unwrap_err();
        assert!(!why.contains("hunter2"), "{why}");
        assert!(
            why.contains("http://social.example") && why.contains("not HTTPS"),
            "{why}"
        );
    }

    #[test]
    fn a_location_is_absolute_or_of_the_same_host() {
        let from = Origin::of_base_url("a.example:8443").unwrap();
        for (location, shown, path) in [
            ("https://b.example/x?y#z", "https://b.example", "/x?y"),
            ("http://b.example", "http://b.example", "/"),
            ("//b.example/x", "https://b.example", "/x"),
            ("/x", "https://a.example:8443", "/x"),
            ("https://b.example?x", "https://b.example", "/?x"),
        ] {
            let target = Target::of_location(location, &from).unwrap();
            assert_eq!(
                (target.shown_origin().as_str(), target.path.as_str()),
                (shown, path)
            );
        }
        for location in [
            "x",
            "",
            "mailto:a@b",
            "javascript://x",
            "https://u:p@b.example/",
            "https://",
        ] {
            assert_eq!(Target::of_location(location, &from), None, "{location}");
        }
    }
}

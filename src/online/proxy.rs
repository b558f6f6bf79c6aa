//! The proxy that stands between.

use std::{env, ffi::OsString, fmt};

use super::Error;

/// An HTTP proxy, asked to CONNECT; its URL may hold a password and is never shown.
#[derive(Clone)]
pub struct Proxy(Kind);

#[derive(Clone)]
enum Kind {
    Usable(ureq::Proxy),
    /// The environment names one that can't be used. To go without it would show instances who asks.
    Unusable,
}

impl Proxy {
    /// The proxy that `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY` names, in capitals or small letters, with the
    /// exceptions of `NO_PROXY`. One that can't be used (SOCKS, or no URL) is refused by [`Client::new`](super::Client).
    pub fn of_environment() -> Option<Self> {
        // ureq goes past one that it can't read to the next.
        let is_readable = first_named()?
            .into_string()
            .is_ok_and(|url| ureq::Proxy::new(&url).is_ok());
        let proxy = ureq::Proxy::try_from_env().filter(|_| is_readable);
        Some(proxy.map_or(Self(Kind::Unusable), Self::of))
    }

    /// A proxy at a URL of http or https, or at `host:port`.
    ///
    /// # Errors
    /// [`Error::Proxy`] when it is none of these.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let proxy = Self::of(ureq::Proxy::new(url.trim()).map_err(|_| Error::Proxy)?);
        proxy.usable()?;
        Ok(proxy)
    }

    fn of(proxy: ureq::Proxy) -> Self {
        use ureq::ProxyProtocol as P;
        // The feature for the others is off, and ureq would then go without them.
        match proxy.protocol() {
            P::Http | P::Https => Self(Kind::Usable(proxy)),
            _ => Self(Kind::Unusable),
        }
    }

    pub(super) fn usable(&self) -> Result<ureq::Proxy, Error> {
        match &self.0 {
            Kind::Usable(proxy) => Ok(proxy.clone()),
            Kind::Unusable => Err(Error::Proxy),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy(…)")
    }
}

/// What the environment names first, in the order that ureq looks.
fn first_named() -> Option<OsString> {
    ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"]
        .into_iter()
        .flat_map(|name| [name.to_owned(), name.to_ascii_lowercase()])
        .find_map(|name| env::var_os(name).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_proxies_are_taken_and_none_is_shown() {
        let proxy = Proxy::parse("http://alice:hunter2@proxy.example:3128").unwrap();
        assert!(!format!("{proxy:?}").contains("hunter2"));
        assert!(Proxy::parse("proxy.example:3128").is_ok());
        for url in [
            "socks5://proxy.example",
            "socks4a://x:1",
            "",
            "ftp://x",
            "http://",
        ] {
            let error = Proxy::parse(url).unwrap_err();
            assert!(matches!(error, Error::Proxy), "{url}");
        }
    }
}

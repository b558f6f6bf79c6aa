//! What went wrong with a request, in words for a person.

use std::{io, time::Duration};

use rustls::CertificateError;
use ureq::Timeout;

use super::{Unanswered, Why, place::Origin};

/// A request that had no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// The name's servers say that there is no such host.
    NoSuchHost,
    /// The host refused the connection, or broke it off, as one does that is being started anew.
    BrokenOff(Unanswered),
    /// Something that may pass.
    Unanswered(Unanswered),
}

impl Failed {
    /// Whether nothing can be known about the host from it but that it can't be asked now.
    pub(super) fn is_of_host(&self) -> bool {
        match self {
            Self::NoSuchHost | Self::BrokenOff(_) => true,
            Self::Unanswered(fault) => matches!(fault.why, Why::Unreachable | Why::Untrusted),
        }
    }

    /// Whether this machine has reached something nevertheless, so that it is online.
    pub(super) fn is_reached(&self) -> bool {
        match self {
            Self::NoSuchHost => false,
            Self::BrokenOff(_) => true,
            Self::Unanswered(fault) => fault.why == Why::Untrusted,
        }
    }
}

impl From<Unanswered> for Failed {
    fn from(unanswered: Unanswered) -> Self {
        Self::Unanswered(unanswered)
    }
}

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) whole: Duration,
    pub(super) connect: Duration,
}

impl Failed {
    /// What an error of ureq's means. `is_proxied`: a name that is not found is the proxy's then.
    pub(super) fn of(
        error: ureq::Error,
        origin: &Origin,
        limits: &Limits,
        is_proxied: bool,
    ) -> Self {
        use ureq::Error as E;
        let host = origin.as_str();
        let unreachable = |detail: String| Unanswered::new(Why::Unreachable, detail);
        let unclear = |detail: String| Unanswered::new(Why::NotUnderstood, detail);
        let unanswered = match error {
            E::Io(error) if is_no_such_host(&error) => return no_such_host(is_proxied),
            E::HostNotFound => return no_such_host(is_proxied),
            E::Io(error) => return of_io(&error, host, is_proxied),
            E::Rustls(error) => of_tls(&error, host),
            E::Timeout(Timeout::Connect | Timeout::Resolve) => unreachable(format!(
                "{host} could not be reached within {}",
                shown(limits.connect)
            )),
            E::Timeout(_) => unreachable(format!(
                "{host} did not answer within {}",
                shown(limits.whole)
            )),
            E::ConnectProxyFailed(reason) => {
                let status: String = reason
                    .chars()
                    .filter(char::is_ascii_digit)
                    .take(3)
                    .collect();
                unreachable(match status.as_str() {
                    "" => format!("the proxy did not answer when asked for {host}"),
                    status => format!("the proxy does not connect to {host}: it answered {status}"),
                })
            }
            E::BodyExceedsLimit(_) => unclear(format!("what {host} sent is too large")),
            E::LargeResponseHeader(..) => unclear(format!("the headers {host} sent are too large")),
            E::Protocol(_) | E::Http(_) | E::BodyStalled => {
                unclear(format!("what {host} sent is not HTTP that can be read"))
            }
            E::Tls(_) | E::BadUri(_) => unclear(format!("{host} is no name that a host can have")),
            _ => unreachable(format!("{host} could not be asked")),
        };
        Self::Unanswered(unanswered)
    }
}

fn no_such_host(is_proxied: bool) -> Failed {
    if is_proxied {
        let detail = "there is no host of the proxy's name";
        return Unanswered::new(Why::Unreachable, detail).into();
    }
    Failed::NoSuchHost
}

/// getaddrinfo's EAI_NONAME, in the words of glibc, of macOS and the BSDs, and of musl. Not EAI_AGAIN, which says that
/// nobody could be asked.
fn is_no_such_host(error: &io::Error) -> bool {
    let words = error.to_string();
    [
        "Name or service not known",
        "nodename nor servname",
        "Name does not resolve",
    ]
    .iter()
    .any(|known| words.contains(known))
}

/// `is_proxied`: a connection that is refused is the proxy's then.
fn of_io(error: &io::Error, host: &str, is_proxied: bool) -> Failed {
    use io::ErrorKind as K;
    let unreachable = |detail: String| Unanswered::new(Why::Unreachable, detail);
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return of_tls(tls, host).into();
    }
    let detail = match error.kind() {
        K::ConnectionRefused if is_proxied => "the proxy refuses connections".to_owned(),
        K::ConnectionRefused => {
            return Failed::BrokenOff(unreachable(format!("{host} refuses connections")));
        }
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof => {
            return Failed::BrokenOff(unreachable(format!("{host} broke the connection off")));
        }
        K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown => {
            format!("there is no way to {host} from here")
        }
        K::NotConnected => "it was not asked any more".to_owned(),
        _ if error.to_string().contains("lookup address") => {
            format!("the name {host} could not be looked up")
        }
        kind => format!("{host} could not be reached ({kind})"),
    };
    unreachable(detail).into()
}

fn of_tls(error: &rustls::Error, host: &str) -> Unanswered {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(fault) = error else {
        let detail = format!("no encrypted connection to {host} came about");
        return Unanswered::new(Why::Unreachable, detail);
    };
    let fault = match fault {
        E::Expired | E::ExpiredContext { .. } => "has expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "is not valid yet",
        E::NotValidForName | E::NotValidForNameContext { .. } => "is for another host",
        E::UnknownIssuer | E::BadSignature => {
            let detail = format!("nobody who is trusted signed the certificate of {host}");
            return Unanswered::new(Why::Untrusted, detail);
        }
        E::Revoked => "was revoked",
        // webpki's word for a self-signed one of an authority, too.
        _ => "is none that a server can be trusted by",
    };
    Unanswered::new(Why::Untrusted, format!("the certificate of {host} {fault}"))
}

fn shown(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: ureq::Error) -> Failed {
        let origin = Origin::of_base_url("a.example").unwrap();
        let limits = Limits {
            whole: Duration::from_secs(30),
            connect: Duration::from_millis(1500),
        };
        Failed::of(error, &origin, &limits, false)
    }

    fn detail(error: ureq::Error) -> (Why, String) {
        match of(error) {
            Failed::Unanswered(unanswered) => (unanswered.why, unanswered.detail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_name_that_is_not_there_is_no_such_host() {
        let lookup = |words: &str| {
            let words = format!("failed to lookup address information: {words}");
            ureq::Error::Io(io::Error::other(words))
        };
        for words in [
            "Name or service not known",
            "nodename nor servname provided, or not known",
            "Name does not resolve",
        ] {
            assert_eq!(of(lookup(words)), Failed::NoSuchHost);
        }
        for words in [
            "Temporary failure in name resolution",
            "No address associated with hostname",
            "Non-recoverable failure in name resolution",
        ] {
            let (why, detail) = detail(lookup(words));
            assert_eq!(why, Why::Unreachable);
            assert_eq!(detail, "the name a.example could not be looked up");
        }
        // Behind a proxy, it is the proxy that isn't there.
        let origin = Origin::of_base_url("a.example").unwrap();
        let limits = Limits {
            whole: Duration::ZERO,
            connect: Duration::ZERO,
        };
        let failed = Failed::of(lookup("Name or service not known"), &origin, &limits, true);
        assert!(matches!(failed, Failed::Unanswered(u) if u.why == Why::Unreachable));
    }

    #[test]
    fn a_refused_connection_is_the_hosts_unless_there_is_a_proxy() {
        let origin = Origin::of_base_url("a.example").unwrap();
        let limits = Limits {
            whole: Duration::ZERO,
            connect: Duration::ZERO,
        };
        let of = |kind: io::ErrorKind, is_proxied| {
            let error = ureq::Error::Io(kind.into());
            Failed::of(error, &origin, &limits, is_proxied)
        };
        let direct = of(io::ErrorKind::ConnectionRefused, false);
        assert!(
            matches!(&direct, Failed::BrokenOff(u) if u.detail == "a.example refuses connections")
        );
        assert!(direct.is_reached() && direct.is_of_host());
        let untrusted = Failed::from(Unanswered::new(Why::Untrusted, ""));
        assert!(untrusted.is_reached());
        let proxied = of(io::ErrorKind::ConnectionRefused, true);
        assert!(
            matches!(&proxied, Failed::Unanswered(u) if u.detail == "the proxy refuses connections")
        );
        assert!(!proxied.is_reached() && proxied.is_of_host());
        let broken = of(io::ErrorKind::ConnectionReset, true);
        assert!(matches!(broken, Failed::BrokenOff(_)));
        assert!(!of(io::ErrorKind::NetworkUnreachable, false).is_reached());
    }

    #[test]
    fn what_getaddrinfo_says_of_an_impossible_name_is_known() {
        use std::net::ToSocketAddrs;
        // A label of 64 characters: refused on this machine, nobody is asked.
        let error = (("a".repeat(64) + ".invalid").as_str(), 443)
            .to_socket_addrs()
            .unwrap_err();
        assert!(is_no_such_host(&error), "{error}");
    }

    #[test]
    fn times_and_certificates_are_told_in_words() {
        assert_eq!(
            detail(ureq::Error::Timeout(Timeout::Global)).1,
            "a.example did not answer within 30 s"
        );
        assert_eq!(
            detail(ureq::Error::Timeout(Timeout::Connect)).1,
            "a.example could not be reached within 1500 ms"
        );
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let (why, detail) = detail(ureq::Error::Io(io::Error::new(
            io::ErrorKind::InvalidData,
            expired,
        )));
        assert_eq!(why, Why::Untrusted);
        assert_eq!(detail, "the certificate of a.example has expired");
    }
}

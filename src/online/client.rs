//! One request: over TLS, bounded in size and time, never redirected.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use ureq::{
    Agent,
    config::Config,
    http::{HeaderMap, HeaderValue, header},
    tls::{Certificate, RootCerts, TlsConfig, TlsProvider},
};

use crate::{files, model::Secret};

use super::{
    Proxy, Unanswered, Why,
    fault::{Failed, Limits},
    place::Origin,
    reply::Reply,
};

/// How instances are asked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Certificates in PEM form that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// For a whole request. Connecting has the lesser of it and 10 s.
    pub timeout: Duration,
    /// The longest pause that a host may ask for, each time.
    pub most_wait: Duration,
    /// The proxy; without one, connections are direct, whatever the environment says.
    pub proxy: Option<Proxy>,
}

/// Asks instances.
pub struct Client {
    config: Config,
    limits: Limits,
    pub(super) most_wait: Duration,
    proxy: Option<ureq::Proxy>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Why instances can't be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file with certificates can't be read.
    #[error("the file with certificates, {}, can't be read", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// There is none in it that can be used.
    #[error("{} holds no certificates in PEM form", path.display())]
    NoCertificates {
        /// The file.
        path: PathBuf,
    },
    /// The proxy can't be used.
    #[error(
        "the proxy can't be used: its address must be a URL of http or https (SOCKS is not known here)"
    )]
    Proxy,
}

impl Client {
    /// Reads the certificates; no connection is made yet.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let limits = Limits {
            whole: settings.timeout,
            connect: settings.timeout.min(MOST_CONNECTING),
        };
        let proxy = settings.proxy.as_ref().map(Proxy::usable).transpose()?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .root_certs(roots(settings.ca_file.as_deref())?)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy.clone())
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("tuskvault/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("")
            .timeout_global(Some(limits.whole))
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .max_idle_connections(MAX_IDLE)
            .max_idle_connections_per_host(super::host::MOST_PER_HOST)
            .output_buffer_size(OUTPUT_BUFFER)
            .build();
        Ok(Self {
            config,
            limits,
            most_wait: settings.most_wait,
            proxy,
        })
    }

    /// Connections for one call, so that ending them ends nobody else's.
    pub(super) fn connections(&self) -> Connections {
        Connections {
            agent: self.config.new_agent(),
            limits: self.limits,
            proxy: self.proxy.clone(),
        }
    }
}

/// Connections that are kept and used again.
pub(super) struct Connections {
    agent: Agent,
    limits: Limits,
    proxy: Option<ureq::Proxy>,
}

impl Connections {
    /// One GET; the token, where there is one, is in the `Authorization` header alone.
    pub(super) fn get(
        &self,
        origin: &Origin,
        path: &str,
        accept: &str,
        token: Option<&Secret>,
    ) -> Result<Reply, Failed> {
        let url = origin.url(path);
        let authorization = token.map(authorization).transpose()?;
        let begun = Instant::now();
        let sent = self.send(&url, accept, authorization.as_ref());
        // The server may have closed a kept connection just when it was used again: once more, on a new one.
        let sent = match sent {
            Err(ureq::Error::Io(error))
                if is_broken_off(error.kind()) && begun.elapsed() < AT_ONCE =>
            {
                self.send(&url, accept, authorization.as_ref())
            }
            other => other,
        };
        let fault = |error| Failed::of(error, origin, &self.limits, self.is_proxied(&url));
        let (parts, mut body) = sent.map_err(fault)?.into_parts();
        let mut reply = of_headers(parts.status.as_u16(), &parts.headers);
        if reply.is_of_gateway() {
            let detail = format!("{} answered {}", origin.as_str(), reply.status);
            return Err(Failed::BrokenOff(Unanswered::new(Why::Unreachable, detail)));
        }
        if matches!(reply.status, 200 | 401 | 403 | 404 | 410 | 422) {
            let limited = body.with_config().limit(MAX_BODY);
            reply.body = limited.read_to_vec().map_err(fault)?;
        }
        Ok(reply)
    }

    fn send(
        &self,
        url: &str,
        accept: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let request = self.agent.get(url).header(header::ACCEPT, accept);
        match authorization {
            Some(value) => request.header(header::AUTHORIZATION, value).call(),
            None => request.call(),
        }
    }

    fn is_proxied(&self, url: &str) -> bool {
        let (Some(proxy), Ok(uri)) = (&self.proxy, url.parse()) else {
            return false;
        };
        !proxy.is_no_proxy(&uri)
    }

    /// Breaks off every request that is under way.
    pub(super) fn end(&self) {
        self.agent.clone().shutdown();
    }
}

fn authorization(token: &Secret) -> Result<HeaderValue, Failed> {
    let text = token.expose();
    let value = zeroize::Zeroizing::new(format!("Bearer {text}"));
    let value = HeaderValue::from_str(&value).ok();
    let value = value.filter(|_| !text.trim().is_empty() && text.len() <= MAX_TOKEN);
    let Some(mut value) = value else {
        let detail = "the token can't be sent: it is empty, too long, or holds characters that no header may hold";
        return Err(Unanswered::new(Why::NotUnderstood, detail).into());
    };
    value.set_sensitive(true);
    Ok(value)
}

fn is_broken_off(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as K;
    matches!(
        kind,
        K::UnexpectedEof | K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe
    )
}

fn of_headers(status: u16, headers: &HeaderMap) -> Reply {
    let text = |name: &str| {
        let value = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Reply {
        status,
        content_type: text("content-type"),
        location: text("location"),
        challenge: text("www-authenticate"),
        date: text("date"),
        retry_after: text("retry-after"),
        remaining: text("x-ratelimit-remaining"),
        reset: text("x-ratelimit-reset"),
        body: Vec::new(),
    }
}

/// The system's, where it has any, and those of the file. Where it has none, those that ureq brings along; they can't be
/// joined with a file's, which then stand alone.
fn roots(ca_file: Option<&Path>) -> Result<RootCerts, Error> {
    let own = match ca_file {
        Some(path) => certificates(path)?,
        None => Vec::new(),
    };
    let system = rustls_native_certs::load_native_certs().certs;
    if own.is_empty() && system.is_empty() {
        return Ok(RootCerts::WebPki);
    }
    let all = system.iter().chain(&own);
    let all: Vec<_> = all
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    Ok(RootCerts::from(all))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = files::read_bounded(path, MAX_CA_FILE).map_err(|source| Error::CaFile {
        path: path.to_owned(),
        source,
    })?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let mut store = RootCertStore::empty();
    match found {
        Ok(found) if store.add_parsable_certificates(found.iter().cloned()).0 > 0 => Ok(found),
        _ => Err(Error::NoCertificates {
            path: path.to_owned(),
        }),
    }
}

/// An account with 500 custom emoji in its name is a quarter of it.
pub(super) const MAX_BODY: u64 = 1 << 20;
/// A bundle of all public authorities is a quarter of it.
const MAX_CA_FILE: u64 = 1 << 20;
/// Mastodon's have 43 or 64 characters.
const MAX_TOKEN: usize = 8 << 10;
/// A request has to fit.
const OUTPUT_BUFFER: usize = 32 << 10;
const MAX_IDLE: usize = 64;
const MOST_CONNECTING: Duration = Duration::from_secs(10);
/// A kept connection that was closed fails within a round trip.
const AT_ONCE: Duration = Duration::from_secs(1);

//! Connecting, in the order that libpq has, and telling apart why it did not work.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use postgres::{
    Client, Config, NoTls,
    config::{ChannelBinding as Binding, SslMode as Mode},
    error::{DbError, SqlState},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{ChannelBinding, Error, Said, Settings, SslMode, tls};

/// Opens a connection. No parameter is sent that PgBouncer would refuse.
///
/// As in libpq, `sslmode=allow` tries without encryption first, and the others with it; `prefer` goes on without
/// where the server has none, or does not admit encrypted connections. Each address of the host is tried until one
/// answers.
///
/// # Errors
/// [`Error::File`] and [`Error::Settings`] for certificates and keys; the other variants up to [`Error::Connect`].
pub fn connect(settings: &Settings) -> Result<Client, Error> {
    if settings.is_socket() {
        return attempt(settings, None, None);
    }
    let tls = match settings.tls.mode {
        SslMode::Disable => None,
        _ => Some(tls::connector(settings)?),
    };
    let mut unreachable = None;
    for address in addresses(settings)? {
        match admitted(settings, address, tls.as_ref()) {
            Err(error @ (Error::Unreachable { .. } | Error::TimedOut { .. })) => {
                unreachable.get_or_insert(error);
            }
            answer => return answer,
        }
    }
    Err(unreachable.unwrap_or_else(|| Error::NoSuchHost {
        host: settings.host.clone(),
        source: io::ErrorKind::NotFound.into(),
    }))
}

/// The ways into one address, one after the other.
fn admitted(
    settings: &Settings,
    address: IpAddr,
    tls: Option<&MakeRustlsConnect>,
) -> Result<Client, Error> {
    let (first, second) = match settings.tls.mode {
        SslMode::Allow => (None, Some(tls)),
        SslMode::Prefer => (tls, Some(None)),
        _ => (tls, None),
    };
    let answer = attempt(settings, Some(address), first);
    match (answer, second) {
        (Err(error @ Error::NotAdmitted { .. }), Some(second)) => {
            match attempt(settings, Some(address), second) {
                Err(Error::NotAdmitted { .. }) => Err(error),
                answer => answer,
            }
        }
        (answer, _) => answer,
    }
}

fn attempt(
    settings: &Settings,
    address: Option<IpAddr>,
    tls: Option<&MakeRustlsConnect>,
) -> Result<Client, Error> {
    let mut config = Config::new();
    config
        .host(&settings.host)
        .port(settings.port)
        .user(&settings.user)
        .dbname(&settings.dbname)
        .application_name("tuskvault")
        .channel_binding(match settings.channel_binding {
            ChannelBinding::Disable => Binding::Disable,
            ChannelBinding::Prefer => Binding::Prefer,
            ChannelBinding::Require => Binding::Require,
        })
        .keepalives(true)
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE)
        .keepalives_retries(4)
        .ssl_mode(match (tls, settings.tls.mode) {
            (None, _) => Mode::Disable,
            (Some(_), SslMode::Prefer) => Mode::Prefer,
            (Some(_), _) => Mode::Require,
        });
    if let Some(address) = address {
        config.hostaddr(address);
    }
    if let Some(password) = &settings.password {
        config.password(password.expose());
    }
    let tls = tls.cloned();
    let connected = within(settings, move || match tls {
        Some(tls) => config.connect(tls),
        None => config.connect(NoTls),
    })?;
    connected.map_err(|error| explained(settings, error))
}

/// Where the host is.
fn addresses(settings: &Settings) -> Result<Vec<IpAddr>, Error> {
    if let Some(address) = settings.hostaddr {
        return Ok(vec![address]);
    }
    let (host, port) = (settings.host.clone(), settings.port);
    let found = within(settings, move || (host.as_str(), port).to_socket_addrs())?;
    match found {
        Ok(found) => Ok(found.map(|address: SocketAddr| address.ip()).collect()),
        Err(source) => Err(Error::NoSuchHost {
            host: settings.host.clone(),
            source,
        }),
    }
}

/// Does something that may never end. The postgres package bounds the TCP handshake alone, so a thread does the work;
/// it is left alone when the time is over, and drops what it may get later.
fn within<T: Send + 'static>(
    settings: &Settings,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let Some(time) = settings.connect_timeout else {
        return Ok(work());
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    let unreachable = |source| Error::Unreachable {
        location: settings.location(),
        socket: None,
        source,
    };
    let thread = thread::Builder::new().name("connect".to_owned());
    let started = thread.spawn(move || drop(sender.send(work())));
    drop(started.map_err(unreachable)?);
    match receiver.recv_timeout(time) {
        Ok(done) => Ok(done),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::TimedOut {
            location: settings.location(),
            after: time,
        }),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(unreachable(io::ErrorKind::Interrupted.into()))
        }
    }
}

/// Tells apart why there is no connection.
fn explained(settings: &Settings, error: postgres::Error) -> Error {
    let location = settings.location();
    if let Some(answer) = error.as_db_error() {
        return refused(settings, answer.clone());
    }
    // The package keeps the kind of an error to itself, but for its words.
    match error.to_string().as_str() {
        "invalid configuration" if settings.password.is_none() => Error::PasswordMissing {
            location,
            user: settings.user.clone(),
        },
        "error connecting to server" => Error::Unreachable {
            location,
            socket: settings.is_socket().then(|| {
                let name = format!(".s.PGSQL.{}", settings.port);
                Path::new(&settings.host).join(name)
            }),
            source: cause(error).unwrap_or_else(|| io::ErrorKind::Other.into()),
        },
        "error performing TLS handshake" => match cause(error) {
            Some(source) => unencrypted(settings, source),
            None => Error::NoTls { location },
        },
        _ => Error::Connect {
            location,
            source: error,
        },
    }
}

/// Tells apart why the server refused.
fn refused(settings: &Settings, answer: DbError) -> Error {
    let (location, user) = (settings.location(), settings.user.clone());
    let code = answer.code().clone();
    // PostgreSQL 15, `src/backend/libpq/auth.c`: the message is translated, the function's name is not.
    let is_peer = settings.is_socket() && answer.routine() == Some("auth_failed");
    let source = Said(Box::new(answer));
    match code {
        SqlState::INVALID_PASSWORD => Error::PasswordRefused {
            location,
            user,
            note: settings.password_note,
            source,
        },
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Error::NotAdmitted {
            location,
            user,
            is_peer,
            source,
        },
        SqlState::INVALID_CATALOG_NAME => Error::NoSuchDatabase { location, source },
        SqlState::TOO_MANY_CONNECTIONS => Error::Busy { location, source },
        SqlState::CANNOT_CONNECT_NOW | SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => {
            Error::NotReady { location, source }
        }
        _ => Error::Refused { location, source },
    }
}

/// Tells apart why there is no encrypted connection.
fn unencrypted(settings: &Settings, source: io::Error) -> Error {
    use rustls::CertificateError as Certificate;
    let location = settings.location();
    let inner = source.get_ref();
    let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        )) => Error::WrongName {
            location,
            host: settings.host.clone(),
        },
        Some(rustls::Error::InvalidCertificate(fault)) => Error::Untrusted {
            location,
            source: fault.into(),
        },
        _ => Error::Tls { location, source },
    }
}

/// What the system said.
fn cause(error: postgres::Error) -> Option<io::Error> {
    let cause = error.into_source()?.downcast::<io::Error>();
    cause.ok().map(|cause| *cause)
}

/// A server or a firewall that forgets a connection is noticed after five times this.
const KEEPALIVE: Duration = Duration::from_secs(30);

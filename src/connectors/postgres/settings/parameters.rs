//! libpq's parameters: what one source of settings says, and how several are laid over each other.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::model::Secret;

use super::{
    ChannelBinding, Environment, Identity, Problem, Roots, Settings, SslMode, Tls, passfile,
};

/// What a connection string, a service or the environment says. What is `None` is not said.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters {
    pub(super) host: Option<String>,
    pub(super) hostaddr: Option<IpAddr>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) dbname: Option<String>,
    pub(super) passfile: Option<PathBuf>,
    pub(super) service: Option<String>,
    pub(super) sslmode: Option<SslMode>,
    pub(super) sslrootcert: Option<String>,
    pub(super) sslcert: Option<PathBuf>,
    pub(super) sslkey: Option<PathBuf>,
    pub(super) channel_binding: Option<ChannelBinding>,
    /// Seconds; nothing or less is for ever.
    pub(super) connect_timeout: Option<i64>,
}

impl Parameters {
    /// What libpq's own variables say.
    pub(super) fn from_environment(environment: &Environment) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        for (variable, keyword) in VARIABLES {
            if let Some(value) = environment.get(variable) {
                let set = parameters.set(keyword, value);
                set.map_err(|Problem(what)| Problem(format!("{variable}: {what}")))?;
            }
        }
        Ok(parameters)
    }

    /// Takes what is said under a keyword in; "" says nothing. Problems never quote the value.
    pub(super) fn set(&mut self, keyword: &str, value: &str) -> Result<(), Problem> {
        let no = |what: &str| Problem(format!("{keyword} {what}"));
        if value.contains('\0') {
            return Err(no("holds a NUL character"));
        }
        let text = Some(value).filter(|value| !value.is_empty());
        match keyword {
            "host" => self.host = text.map(checked_host).transpose()?,
            "hostaddr" => {
                let address = text.map(str::parse).transpose();
                self.hostaddr = address.map_err(|_| no("is not one IP address"))?;
            }
            "port" => {
                let port = text.map(|text| text.trim().parse().ok().filter(|port| *port > 0));
                if port == Some(None) {
                    return Err(no("is not a number from 1 to 65535"));
                }
                self.port = port.flatten();
            }
            "user" => self.user = text.map(str::to_owned),
            "password" => self.password = text.map(Secret::from),
            "dbname" => self.dbname = text.map(str::to_owned),
            "passfile" => self.passfile = text.map(PathBuf::from),
            "service" => self.service = text.map(str::to_owned),
            "sslmode" => {
                let mode = text.map(SslMode::parse);
                if mode == Some(None) {
                    return Err(no(
                        "is none of disable, allow, prefer, require, verify-ca, verify-full",
                    ));
                }
                self.sslmode = mode.flatten();
            }
            "sslrootcert" => self.sslrootcert = text.map(str::to_owned),
            "sslcert" => self.sslcert = text.map(PathBuf::from),
            "sslkey" => self.sslkey = text.map(PathBuf::from),
            "channel_binding" => {
                let binding = text.map(ChannelBinding::parse);
                if binding == Some(None) {
                    return Err(no("is none of disable, prefer, require"));
                }
                self.channel_binding = binding.flatten();
            }
            "connect_timeout" => {
                let seconds = text.map(|text| text.trim().parse()).transpose();
                self.connect_timeout = seconds.map_err(|_| no("is not a number of seconds"))?;
            }
            "target_session_attrs" if value == "any" => {}
            "gssencmode" if value != "require" => {}
            _ if IGNORED.contains(&keyword) => {}
            _ => return Err(unknown(keyword)),
        }
        Ok(())
    }

    /// Fills what is not said with what `others` say.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            host: self.host.or(others.host),
            hostaddr: self.hostaddr.or(others.hostaddr),
            port: self.port.or(others.port),
            user: self.user.or(others.user),
            password: self.password.or(others.password),
            dbname: self.dbname.or(others.dbname),
            passfile: self.passfile.or(others.passfile),
            service: self.service.or(others.service),
            sslmode: self.sslmode.or(others.sslmode),
            sslrootcert: self.sslrootcert.or(others.sslrootcert),
            sslcert: self.sslcert.or(others.sslcert),
            sslkey: self.sslkey.or(others.sslkey),
            channel_binding: self.channel_binding.or(others.channel_binding),
            connect_timeout: self.connect_timeout.or(others.connect_timeout),
        }
    }

    /// The settings, with libpq's defaults for what nobody said: the login name, a database of the role's name, port
    /// 5432, a password from the password file, certificates in `~/.postgresql`. The default host is the socket of a
    /// server that runs here, else `localhost`.
    pub(super) fn settle(
        self,
        environment: &Environment,
        warnings: &mut Vec<String>,
    ) -> Result<Settings, Problem> {
        let port = self.port.unwrap_or(5432);
        let user = self.user.clone();
        let user = user.unwrap_or_else(|| environment.user.clone());
        if user.is_empty() {
            return Err(Problem("no user is named to log in as".to_owned()));
        }
        let host = match (&self.host, self.hostaddr) {
            // libpq goes to the address, whatever the socket.
            (Some(host), Some(address)) if host.starts_with('/') => address.to_string(),
            (Some(host), _) => host.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => default_host(port),
        };
        let dbname = self.dbname.clone().unwrap_or_else(|| user.clone());
        let tls = self.tls(&environment.home, host.starts_with('/'))?;
        let mut settings = Settings {
            host,
            hostaddr: self.hostaddr,
            port,
            user,
            password: self.password,
            dbname,
            tls,
            channel_binding: self.channel_binding.unwrap_or_default(),
            connect_timeout: match self.connect_timeout {
                None => Some(CONNECT_TIMEOUT),
                Some(seconds) => u64::try_from(seconds)
                    .ok()
                    .filter(|seconds| *seconds > 0)
                    .map(Duration::from_secs),
            },
            prepared_statements: true,
            local_domain: None,
            web_domain: None,
            password_note: None,
        };
        if settings.password.is_none() {
            let path = match self.passfile {
                Some(path) => path,
                None => environment.home.join(".pgpass"),
            };
            settings.password = passfile::look_up(&path, &settings, warnings);
        }
        Ok(settings)
    }

    fn tls(&self, home: &Path, is_socket: bool) -> Result<Tls, Problem> {
        let ours =
            |name: &str| Some(home.join(".postgresql").join(name)).filter(|path| path.exists());
        let is_system = self.sslrootcert.as_deref() == Some("system");
        let mode = self.sslmode.unwrap_or(if is_system {
            SslMode::VerifyFull
        } else {
            SslMode::Prefer
        });
        let roots = match &self.sslrootcert {
            Some(_) if is_system => Roots::System,
            Some(path) => Roots::File(PathBuf::from(path)),
            None => ours("root.crt").map_or(Roots::None, Roots::File),
        };
        if is_system && mode != SslMode::VerifyFull {
            return Err(Problem(
                "sslrootcert=system goes with sslmode=verify-full only: anyone can get a certificate of a public authority"
                    .to_owned(),
            ));
        }
        if roots == Roots::None && mode.is_verified() && !is_socket {
            return Err(Problem(format!(
                "sslmode={mode} needs a certificate to trust: name one with sslrootcert (or PGSSLROOTCERT), put it at ~/.postgresql/root.crt, or give sslrootcert=system with sslmode=verify-full"
            )));
        }
        let cert = self.sslcert.clone().or_else(|| ours("postgresql.crt"));
        let key = self.sslkey.clone();
        let key = key.unwrap_or_else(|| home.join(".postgresql/postgresql.key"));
        let identity = cert.map(|cert| Identity { cert, key });
        Ok(Tls {
            mode,
            roots,
            identity,
        })
    }
}

/// Names of hosts are shown: what is none may be a part of a password.
fn checked_host(host: &str) -> Result<String, Problem> {
    let no = |what: &str| Err(Problem(format!("host {what}")));
    if host.starts_with('/') {
        return Ok(host.to_owned());
    }
    if host.contains(',') {
        return no("names several hosts: name the one to use");
    }
    if host.contains(|c: char| c.is_control() || c.is_whitespace() || "@/\\".contains(c)) {
        return no(
            "is neither a name, nor an address, nor the folder of a socket (which begins with /)",
        );
    }
    Ok(host.to_owned())
}

/// libpq has one folder compiled in, Debian's or PostgreSQL's own.
fn default_host(port: u16) -> String {
    let mut folders = SOCKET_FOLDERS.iter();
    let found = folders.find(|folder| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists());
    (*found.unwrap_or(&"localhost")).to_owned()
}

fn unknown(keyword: &str) -> Problem {
    // What does not look like a keyword may be a part of a password.
    let is_word = keyword.len() <= 32
        && keyword
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if !is_word || keyword.is_empty() {
        return Problem("it holds a keyword that is not known".to_owned());
    }
    Problem(format!("{keyword} is not supported"))
}

/// The folders of unix sockets that packages have compiled in: Debian's and Red Hat's, and PostgreSQL's own.
pub(super) const SOCKET_FOLDERS: &[&str] = &["/var/run/postgresql", "/tmp"];

/// A server that answers at all does so at once; libpq would wait for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What has no meaning here: the name is ours, and all text is UTF-8.
const IGNORED: &[&str] = &[
    "application_name",
    "fallback_application_name",
    "client_encoding",
];

const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGDATABASE", "dbname"),
    ("PGPASSFILE", "passfile"),
    ("PGSERVICE", "service"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
];

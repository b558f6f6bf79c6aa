//! Where the database is, and how to get in: from Mastodon's `.env.production`, a connection string, or libpq's own
//! variables and files.
//!
//! Promises that passwords stay in [`Secret`]s and out of every message, that everything read is bounded, and that
//! nothing is run or expanded that libpq or Ruby's dotenv would not expand (commands never are).

mod conninfo;
mod env_file;
mod environment;
mod parameters;
mod passfile;
mod service;
mod tls;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    connectors::error::Problem,
    model::{Domain, Secret},
};

use super::Error;
use parameters::Parameters;

pub use environment::Environment;
pub use tls::{ChannelBinding, Identity, Roots, SslMode, Tls};

/// Where the database is, and how to get in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A host name or address; a path is the folder of a unix socket.
    pub host: String,
    /// Where the host is, if it is not to be looked up. Its name then only counts for its certificate.
    pub hostaddr: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// The database.
    pub dbname: String,
    /// Whether and how the connection is encrypted; without a meaning for unix sockets.
    pub tls: Tls,
    /// Whether the login is bound to the encrypted connection.
    pub channel_binding: ChannelBinding,
    /// How long an attempt may take, for each address of the host; `None` is for ever.
    pub connect_timeout: Option<Duration>,
    /// Whether statements may be prepared by name. Not so where PgBouncer stands between, in transaction mode.
    pub prepared_statements: bool,
    /// The instance (LOCAL_DOMAIN), where it is known.
    pub local_domain: Option<Domain>,
    /// Where its pages and its API answer (WEB_DOMAIN), where that is known and something else.
    pub web_domain: Option<Domain>,
    /// Why the password may be another for others who read the same file.
    pub password_note: Option<PasswordNote>,
}

/// What programs that read `.env.production` don't agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordNote {
    /// It stands in quotes. Ruby takes them off, as is done here; Docker takes them for a part of it.
    Quoted,
    /// A `#` stands in it without quotes. Ruby takes what follows for a comment, as is done here; others don't.
    CutAtHash,
}

impl Settings {
    /// What Mastodon's `.env.production` says, and the warnings about it. Variables in the environment win over it, as
    /// they do for Mastodon.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Settings`].
    pub fn from_env_file(
        path: &Path,
        environment: &Environment,
    ) -> Result<(Self, Vec<String>), Error> {
        env_file::read(path, environment, env_file::Which::Primary)
    }

    /// The same for the read replica, or the primary where the file names no replica. Good for backups, never for
    /// restores.
    ///
    /// # Errors
    /// As [`Settings::from_env_file`].
    pub fn replica_from_env_file(
        path: &Path,
        environment: &Environment,
    ) -> Result<(Self, Vec<String>), Error> {
        env_file::read(path, environment, env_file::Which::Replica)
    }

    /// What a connection string says, `postgres://…` or `key=value` words as libpq has them, and the warnings about
    /// it. What it leaves out comes from a service, libpq's variables, and libpq's defaults.
    ///
    /// # Errors
    /// [`Error::PasswordTyped`] when it holds a password: other users of the machine see what is typed.
    /// [`Error::Typed`] when it can't be used; [`Error::File`], [`Error::Settings`] for the service file.
    pub fn from_url(text: &str, environment: &Environment) -> Result<(Self, Vec<String>), Error> {
        let pairs = conninfo::parse(text).map_err(typed)?;
        let mut said = Parameters::default();
        let is_password = |key: &str| ["password", "sslpassword"].contains(&key);
        if pairs
            .iter()
            .any(|(key, value)| is_password(key) && !value.is_empty())
        {
            return Err(Error::PasswordTyped);
        }
        for (key, value) in &pairs {
            said.set(key, value).map_err(typed)?;
        }
        Self::settle(said, environment)
    }

    /// What libpq's own variables say, and the warnings about it.
    ///
    /// # Errors
    /// As [`Settings::from_url`].
    pub fn from_environment(environment: &Environment) -> Result<(Self, Vec<String>), Error> {
        Self::settle(Parameters::default(), environment)
    }

    /// libpq's order: what was said, the service, the variables, the defaults.
    fn settle(said: Parameters, environment: &Environment) -> Result<(Self, Vec<String>), Error> {
        let mut warnings = Vec::new();
        let variables = Parameters::from_environment(environment).map_err(typed)?;
        let named = said.service.as_ref().or(variables.service.as_ref());
        let service = match named {
            Some(name) => service::look_up(name, environment)?,
            None => Parameters::default(),
        };
        let all = said.or(service).or(variables);
        let settings = all.settle(environment, &mut warnings).map_err(typed)?;
        Ok((settings, warnings))
    }

    /// Host, port and database, as runs name the source. Holds no secret.
    pub fn location(&self) -> String {
        let (host, port, dbname) = (&self.host, self.port, &self.dbname);
        if host.contains(':') {
            return format!("[{host}]:{port}/{dbname}");
        }
        format!("{host}:{port}/{dbname}")
    }

    /// Whether the server is reached through a unix socket.
    pub fn is_socket(&self) -> bool {
        self.hostaddr.is_none() && self.host.starts_with('/')
    }
}

/// Where `.env.production` usually is; the files need not exist. Beside the compose file for Docker, else in the home
/// folder of the user that Mastodon's guide sets up, or where packages put it.
pub fn usual_env_files(home: &Path, current: &Path) -> Vec<PathBuf> {
    let folders = [current.to_owned(), home.join("live")];
    let folders = folders.into_iter().chain(FOLDERS.iter().map(PathBuf::from));
    let mut files: Vec<PathBuf> = Vec::new();
    for file in folders.map(|folder| folder.join(".env.production")) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

fn typed(Problem(detail): Problem) -> Error {
    Error::Typed { detail }
}

const FOLDERS: &[&str] = &[
    "/home/mastodon/live",
    "/opt/mastodon",
    "/opt/mastodon/live",
    "/var/www/mastodon",
    "/var/www/mastodon/live",
    "/var/lib/mastodon",
];

/// No settings file comes near it.
const MAX_FILE_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests;

//! Where the database is, and how to get in.

use std::{collections::BTreeMap, path::PathBuf};

use crate::model::{Domain, Secret};

/// What the environment says: handed in, because connectors don't look for themselves.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Variables that libpq or Mastodon know. Some hold secrets.
    pub variables: BTreeMap<String, Secret>,
    /// The person's home folder, for `.pgpass` and `.pg_service.conf`.
    pub home: PathBuf,
    /// The login name, which libpq takes for the role.
    pub user: String,
}

/// Where the database is, and how to get in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A host name or address; a path is the folder of a unix socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// The database.
    pub dbname: String,
    /// The instance (LOCAL_DOMAIN), where it is known.
    pub local_domain: Option<Domain>,
}

impl Settings {
    /// Host, port and database, as runs name the source. Holds no secret.
    pub fn location(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.dbname)
    }
}

//! Mastodon's `.env.production`, as Mastodon itself reads it (4.7, `config/database.yml`).
//!
//! Only the database and the domains are looked at: what else stands in the file, its secrets above all, is not kept.

mod dotenv;

use std::path::Path;

use zeroize::Zeroizing;

use crate::{document::env::Quoting, files, model::Domain};

use super::{
    Environment, Error, MAX_FILE_BYTES, Parameters, PasswordNote, Problem, Settings, conninfo,
};
use dotenv::Dotenv;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that Mastodon writes to.
    Primary,
    /// The one that it may read from.
    Replica,
}

pub(super) fn read(
    path: &Path,
    environment: &Environment,
    which: Which,
) -> Result<(Settings, Vec<String>), Error> {
    let bytes = files::read_bounded(path, MAX_FILE_BYTES).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let mut warnings = Vec::new();
    let settings = settings(&bytes, environment, which, &mut warnings);
    let settings = settings.map_err(|Problem(detail)| Error::Settings {
        path: path.to_owned(),
        detail,
    })?;
    Ok((settings, warnings))
}

fn settings(
    bytes: &[u8],
    environment: &Environment,
    which: Which,
    warnings: &mut Vec<String>,
) -> Result<Settings, Problem> {
    let mut file = EnvFile {
        variables: Dotenv::read(bytes, environment, warnings)?,
    };
    let which = match which {
        Which::Replica if file.has_replica() => Which::Replica,
        _ => Which::Primary,
    };
    let (parameters, password_note) = file.parameters(which)?;
    let local_domain = file.domain("LOCAL_DOMAIN")?;
    let web_domain = file.domain("WEB_DOMAIN")?;
    let prepared = file.database_value(which, "PREPARED_STATEMENTS")?;
    let settings = parameters.settle(environment, warnings)?;
    Ok(Settings {
        prepared_statements: prepared.is_none_or(|value| value.as_str() != "false"),
        local_domain,
        web_domain,
        password_note: password_note.filter(|_| settings.password.is_some()),
        ..settings
    })
}

/// The file, by the names that Mastodon gives things.
struct EnvFile<'a> {
    variables: Dotenv<'a>,
}

impl EnvFile<'_> {
    /// `config/database.yml`: what DATABASE_URL does not say, the other variables do.
    fn parameters(&mut self, which: Which) -> Result<(Parameters, Option<PasswordNote>), Problem> {
        let mut said = Parameters::default();
        for (name, keyword, default) in DATABASE {
            let value = self.database_value(which, name)?;
            let value = value.as_ref().map_or(*default, |value| value.as_str());
            let set = said.set(keyword, value);
            set.map_err(|Problem(what)| Problem(format!("{name}: {what}")))?;
        }
        for (name, keyword) in LIBPQ {
            if let Some(value) = self.variables.value(name)? {
                let mut more = Parameters::default();
                let set = more.set(keyword, &value);
                set.map_err(|Problem(what)| Problem(format!("{name}: {what}")))?;
                said = said.or(more);
            }
        }
        let name = match which {
            Which::Primary => "DATABASE_URL",
            Which::Replica => "REPLICA_DATABASE_URL",
        };
        let mut note = self.password_note(&self.name_used(which, "DB_PASS"));
        let Some(url) = self.variables.value(name)?.filter(|url| !url.is_empty()) else {
            return Ok((said, note));
        };
        let in_url = |Problem(what)| Problem(format!("{name}: {what}"));
        let mut from_url = Parameters::default();
        for (key, value) in conninfo::parse_url(&url).map_err(in_url)? {
            // The other keys (`pool`, `prepared_statements`, …) are for Rails.
            if from_url.set(&key, &value).is_err() && KEYWORDS.contains(&key.as_str()) {
                return Err(in_url(Problem(format!("{key} can't be used"))));
            }
        }
        if from_url.password.is_some() {
            note = self.password_note(name);
        }
        Ok((from_url.or(said), note))
    }

    fn has_replica(&self) -> bool {
        ["DATABASE_URL", "DB_HOST", "DB_NAME"]
            .iter()
            .any(|name| self.variables.is_set(&format!("REPLICA_{name}")))
    }

    /// A variable of the database; a replica has its own or the primary's.
    fn database_value(
        &mut self,
        which: Which,
        name: &str,
    ) -> Result<Option<Zeroizing<String>>, Problem> {
        self.variables.value(&self.name_used(which, name))
    }

    fn name_used(&self, which: Which, name: &str) -> String {
        let of_replica = format!("REPLICA_{name}");
        if which == Which::Replica && self.variables.is_set(&of_replica) {
            return of_replica;
        }
        name.to_owned()
    }

    fn domain(&mut self, name: &str) -> Result<Option<Domain>, Problem> {
        let Some(text) = self.variables.value(name)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let domain = Domain::parse(&text).ok();
        if domain.is_none() {
            self.variables
                .warnings
                .push(format!("{name} in the env file is no domain"));
        }
        Ok(domain)
    }

    /// Why others may read another password here.
    fn password_note(&self, name: &str) -> Option<PasswordNote> {
        let line = self.variables.line(name)?;
        match line.quoting {
            Quoting::Bare => line.value.contains('#').then_some(PasswordNote::CutAtHash),
            _ => Some(PasswordNote::Quoted),
        }
    }
}

/// Mastodon's variables, libpq's keywords, Mastodon's defaults.
const DATABASE: &[(&str, &str, &str)] = &[
    ("DB_HOST", "host", "localhost"),
    ("DB_PORT", "port", "5432"),
    ("DB_NAME", "dbname", "mastodon_production"),
    ("DB_USER", "user", "mastodon"),
    ("DB_PASS", "password", ""),
    ("DB_SSLMODE", "sslmode", "prefer"),
];

/// What Mastodon leaves to libpq, which finds it in the environment that the file was loaded into.
const LIBPQ: &[(&str, &str)] = &[
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
];

/// What counts in DATABASE_URL: a wrong value of these is told, other keys are not for us.
const KEYWORDS: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "passfile",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "channel_binding",
    "connect_timeout",
];

#[cfg(test)]
mod tests;

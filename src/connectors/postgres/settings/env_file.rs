//! Mastodon's `.env.production`, as Mastodon itself reads it: with Ruby's dotenv, and with the names of
//! `config/database.yml`.
//!
//! Mastodon 4.7, `config/database.yml`; dotenv 3, `lib/dotenv/parser.rb` and `substitutions/`. Only the database and
//! the domains are looked at: what else stands in the file, its secrets above all, is not kept.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{
    document::env::{Assignment, Env, Quoting, Unreadable},
    files,
    model::Domain,
};

use super::{
    Environment, Error, MAX_FILE_BYTES, Parameters, PasswordNote, Problem, Settings, conninfo,
};

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
    let text = std::str::from_utf8(bytes).map_err(|_| not_text())?;
    let env = Env::parse(bytes).map_err(|_| not_text())?;
    let mut file = EnvFile {
        text,
        env,
        environment,
        expansions: 0,
        warnings,
    };
    file.check_lines()?;
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

struct EnvFile<'a> {
    text: &'a str,
    env: Env,
    environment: &'a Environment,
    /// How many references were followed.
    expansions: usize,
    warnings: &'a mut Vec<String>,
}

impl EnvFile<'_> {
    /// Tells of lines that are no assignments.
    fn check_lines(&mut self) -> Result<(), Problem> {
        let unreadable = &self.env.unreadable;
        for Unreadable { line, span, fault } in unreadable {
            let text = self.text.get(span.clone()).unwrap_or_default().trim_start();
            let text = text.strip_prefix("export").map_or(text, str::trim_start);
            let name = text.split(['=', ' ', ':']).next().unwrap_or_default();
            if Environment::names().any(|known| known == name) {
                return Err(Problem::line(*line, format!("{name}: {fault}")));
            }
        }
        if let Some(Unreadable { line, fault, .. }) = unreadable.first() {
            let others = match unreadable.len() - 1 {
                0 => String::new(),
                more => format!(" ({more} more lines are no assignments either)"),
            };
            self.warnings.push(format!(
                "line {line} of the env file is left out: {fault}{others}"
            ));
        }
        Ok(())
    }

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
            if let Some(value) = self.value(name)? {
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
        let Some(url) = self.value(name)?.filter(|url| !url.is_empty()) else {
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
            .any(|name| self.is_set(&format!("REPLICA_{name}")))
    }

    /// A variable of the database; a replica has its own or the primary's.
    fn database_value(
        &mut self,
        which: Which,
        name: &str,
    ) -> Result<Option<Zeroizing<String>>, Problem> {
        self.value(&self.name_used(which, name))
    }

    fn name_used(&self, which: Which, name: &str) -> String {
        let of_replica = format!("REPLICA_{name}");
        if which == Which::Replica && self.is_set(&of_replica) {
            return of_replica;
        }
        name.to_owned()
    }

    fn domain(&mut self, name: &str) -> Result<Option<Domain>, Problem> {
        let Some(text) = self.value(name)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let domain = Domain::parse(&text).ok();
        if domain.is_none() {
            self.warnings
                .push(format!("{name} in the env file is no domain"));
        }
        Ok(domain)
    }

    fn is_set(&self, name: &str) -> bool {
        self.environment.get(name).is_some() || self.last(name, usize::MAX).is_some()
    }

    /// Why others may read another password here.
    fn password_note(&self, name: &str) -> Option<PasswordNote> {
        if self.environment.get(name).is_some() {
            return None;
        }
        let (_, line) = self.last(name, usize::MAX)?;
        match line.quoting {
            Quoting::Bare => line.value.contains('#').then_some(PasswordNote::CutAtHash),
            _ => Some(PasswordNote::Quoted),
        }
    }

    /// The value of a variable: the environment's, else the file's.
    fn value(&mut self, name: &str) -> Result<Option<Zeroizing<String>>, Problem> {
        self.value_before(name, usize::MAX, 0)
    }

    /// The value that a variable has above the assignment with this number.
    fn value_before(
        &mut self,
        name: &str,
        before: usize,
        depth: usize,
    ) -> Result<Option<Zeroizing<String>>, Problem> {
        if let Some(value) = self.environment.get(name) {
            return Ok(Some(Zeroizing::new(value.to_owned())));
        }
        let Some((number, line)) = self.last(name, before) else {
            return Ok(None);
        };
        let raw = raw(self.text, line);
        let (quoting, number_of_line) = (line.quoting, line.line);
        let value = self.evaluated(raw, quoting, number, depth);
        let value = value
            .map_err(|Problem(what)| Problem::line(number_of_line, format!("{name} {what}")))?;
        Ok(Some(value))
    }

    /// The last assignment of this name above the one with this number: later ones win.
    fn last(&self, name: &str, before: usize) -> Option<(usize, &Assignment)> {
        let lines = self.env.assignments.iter().enumerate().take(before);
        lines.rev().find(|(_, line)| line.key == name)
    }

    /// What Ruby's dotenv makes of the text of a value: `$NAME` and `${NAME}` are replaced unless a backslash stands
    /// before them, other backslashes take the next character as it is; nothing of that in single quotes.
    fn evaluated(
        &mut self,
        raw: &str,
        quoting: Quoting,
        number: usize,
        depth: usize,
    ) -> Result<Zeroizing<String>, Problem> {
        if quoting == Quoting::Single {
            return Ok(Zeroizing::new(raw.to_owned()));
        }
        let unescaped = unescaped(raw, quoting);
        let mut value = Zeroizing::new(String::with_capacity(unescaped.len()));
        let mut rest = unescaped.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            if let Some(before) = before.strip_suffix('\\') {
                value.push_str(before);
                value.push('$');
                rest = after;
                continue;
            }
            value.push_str(before);
            if after.starts_with('(') && after.contains(')') {
                return Err(Problem(
                    "is made by a command, and commands are never run from a file: set it in the environment".to_owned(),
                ));
            }
            let inside = after.strip_prefix('{').unwrap_or(after);
            let length = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, after_name) = inside.split_at(length.unwrap_or(inside.len()));
            if name.is_empty() {
                value.push('$');
                rest = after;
                continue;
            }
            rest = after_name.strip_prefix('}').unwrap_or(after_name);
            value.push_str(&self.referred(name, number, depth)?);
            if value.len() > MAX_VALUE_BYTES {
                return Err(Problem("is too long".to_owned()));
            }
        }
        value.push_str(rest);
        Ok(value)
    }

    fn referred(
        &mut self,
        name: &str,
        number: usize,
        depth: usize,
    ) -> Result<Zeroizing<String>, Problem> {
        self.expansions += 1;
        if depth == MAX_DEPTH || self.expansions > MAX_EXPANSIONS {
            return Err(Problem("refers to too many others".to_owned()));
        }
        let value = self.value_before(name, number, depth + 1)?;
        if value.is_none() {
            let warning = "the env file refers to a variable that is not set: it counts as empty";
            if !self.warnings.iter().any(|known| known == warning) {
                self.warnings.push(warning.to_owned());
            }
        }
        Ok(value.unwrap_or_default())
    }
}

/// The text of a value as Ruby's dotenv delimits it, without quotes: a `#` ends what is not quoted.
fn raw<'a>(text: &'a str, line: &Assignment) -> &'a str {
    let raw = text.get(line.span.clone()).unwrap_or_default();
    match line.quoting {
        Quoting::Bare => raw.split('#').next().unwrap_or_default().trim_end(),
        _ => raw.get(1..raw.len() - 1).unwrap_or_default(),
    }
}

/// Without backslashes but those before a `$`. dotenv 3 leaves `\n` and `\r` in double quotes as they are.
fn unescaped(raw: &str, quoting: Quoting) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(raw.len()));
    let mut letters = raw.chars();
    while let Some(c) = letters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match letters.next() {
            Some(c @ ('n' | 'r')) if quoting == Quoting::Double => text.extend(['\\', c]),
            Some('$') => text.push_str("\\$"),
            Some(c) => text.push(c),
            None => text.push('\\'),
        }
    }
    text
}

fn not_text() -> Problem {
    Problem("it is not UTF-8 text".to_owned())
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

/// References in references: nobody nests them deeper.
const MAX_DEPTH: usize = 16;
/// Each reference may hold many others: without a bound, 16 levels would never end.
const MAX_EXPANSIONS: usize = 200;
const MAX_VALUE_BYTES: usize = 64 << 10;

#[cfg(test)]
#[path = "env_file_tests.rs"]
mod tests;

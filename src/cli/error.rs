//! The one table from what went wrong to exit code, path and hint.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[cfg(feature = "pgdump")]
use tuskvault::connectors::pgdump;
#[cfg(feature = "postgres")]
use tuskvault::connectors::postgres;
use tuskvault::{
    connectors,
    crypto::{KdfError, KeyFileError, SlotKind},
    storage, vault,
};

/// Exit codes, as scripts know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    WrongKey = 3,
    Damaged = 4,
    NoMatch = 5,
    Ambiguous = 6,
    InUse = 7,
    BadSource = 8,
    Partial = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends early: what happened, where, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) path: Option<PathBuf>,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            path: None,
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn with(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// A file of our own (not a vault, not a client's) that can't be used.
    pub(crate) fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        let path_shown = path.display();
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Self::new(Exit::Failed, format!("{path_shown} exists already"))
                .path(path)
                .hint("nothing was changed; name another file");
        }
        let why = plain(error);
        Self::new(Exit::Failed, format!("cannot {doing} {path_shown}: {why}")).path(path)
    }

    /// A file that is to be written, and can't be.
    pub(crate) fn target(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::file(doing, path, error).with(Exit::BadSource)
    }
}

/// What the system said, without the number that it gives it, and without what a package adds behind that: the path is
/// named already, as the person typed it.
pub(crate) fn plain(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// The error and its causes, joined once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = plain(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = plain(error);
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

impl From<vault::Error> for Failure {
    fn from(error: vault::Error) -> Self {
        use vault::Error as E;
        let text = chain(&error);
        let (exit, hint) = match error {
            E::Storage(error) => return error.into(),
            E::Unsure(_) => (
                Exit::Failed,
                "run the same again: what was saved is not saved twice",
            ),
            E::Inconsistent { .. } | E::Database(_) => (
                Exit::Damaged,
                "`tuskvault check` tells more; an older copy of the file may be well",
            ),
            E::NewerContents { .. } => (
                Exit::Damaged,
                "a later version of tuskvault wrote it: update this one",
            ),
            E::TooLarge => (
                Exit::BadSource,
                "the source holds a value that no token has",
            ),
            E::OutOfOrder => (
                Exit::BadSource,
                "this is a flaw of the connector: please report it",
            ),
            E::NoSuchRun { .. } => (Exit::NoMatch, "`tuskvault log` lists the runs"),
            E::ReadOnly => (Exit::Failed, "the file or its medium can't be written"),
            E::Random(_) => (Exit::Failed, "the system's random source does not work"),
            _ => (
                Exit::Failed,
                "`tuskvault check` tells whether the vault is well",
            ),
        };
        Self::new(exit, text).hint(hint)
    }
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        use storage::Error as E;
        let text = chain(&error);
        let (exit, path, hint): (Exit, Option<PathBuf>, String) = match error {
            E::Missing { path } => (
                Exit::Failed,
                Some(path),
                "`tuskvault init` creates a vault; `--vault` names another".into(),
            ),
            E::Exists { path } => (
                Exit::Failed,
                Some(path),
                "nothing was changed; `--vault` names another place".into(),
            ),
            E::Io { path, .. } => (Exit::Failed, Some(path), "nothing was half-written".into()),
            E::NotAVault { path } => (
                Exit::Damaged,
                Some(path),
                "`--vault` names the vault file".into(),
            ),
            E::NewerVersion { path, .. } => (
                Exit::Damaged,
                Some(path),
                "update tuskvault to open it".into(),
            ),
            E::Damaged { path, .. } => (
                Exit::Damaged,
                Some(path),
                "nothing was changed; restore the file from a copy".into(),
            ),
            E::WrongCredentials { path, given, slots } => {
                (Exit::WrongKey, Some(path), wrong_key_hint(given, &slots))
            }
            E::Kdf { path, source } => {
                let (exit, hint) = no_key(&source);
                (exit, Some(path), hint.into())
            }
            E::NoCredentials { path } => (Exit::Usage, Some(path), NO_PASSWORD.into()),
            E::InUse { path, .. } => (
                Exit::InUse,
                Some(path),
                "wait for it, or give `--lock-timeout 60`".into(),
            ),
            E::NoFreeSlot { path } => (
                Exit::Failed,
                Some(path),
                "remove one with `tuskvault key remove N`".into(),
            ),
            E::NoSuchSlot { path, .. } => (
                Exit::NoMatch,
                Some(path),
                "`tuskvault key list` lists the slots".into(),
            ),
            E::LastSlot { path, .. } => (
                Exit::Failed,
                Some(path),
                "add another first: `tuskvault key add`".into(),
            ),
            E::Full { path } => (
                Exit::Failed,
                Some(path),
                "start another vault for other instances".into(),
            ),
            E::Unsure { path, .. } => (
                Exit::Failed,
                Some(path),
                "run the same again: what was saved is not saved twice".into(),
            ),
            E::ReadOnly { path } => (
                Exit::Failed,
                Some(path),
                "the file or its medium can't be written".into(),
            ),
            E::Random(_) => (
                Exit::Failed,
                None,
                "the system's random source does not work".into(),
            ),
            E::Database { path, .. } => (
                Exit::Damaged,
                Some(path),
                "`tuskvault check` tells more; an older copy of the file may be well".into(),
            ),
            _ => (Exit::Failed, None, "nothing was half-written".into()),
        };
        Self {
            exit,
            message: text,
            path,
            hint: Some(hint),
        }
    }
}

impl From<connectors::Error> for Failure {
    fn from(error: connectors::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&connectors::Error> for Failure {
    fn from(error: &connectors::Error) -> Self {
        use connectors::Error as E;
        let text = chain(error);
        let (path, hint) = match error {
            E::NotFound { path, .. } => (
                Some(path),
                "`--path` names the file or the folder that holds it",
            ),
            E::Malformed { path, .. } => {
                (Some(path), "mend or remove this file; it was not changed")
            }
            E::Ambiguous { path, .. } => (Some(path), "name the connector in place of `auto`"),
            E::NeedsFile { .. } => (None, "name the file, or the folder that holds it"),
            E::NotWritable { path, .. } | E::Io { path, .. } => (Some(path), "it was not changed"),
            _ => (None, "nothing was changed"),
        };
        Self {
            exit: Exit::BadSource,
            message: text,
            path: path.cloned(),
            hint: Some(hint.to_owned()),
        }
    }
}

#[cfg(feature = "pgdump")]
impl From<pgdump::Error> for Failure {
    fn from(error: pgdump::Error) -> Self {
        use pgdump::Error as E;
        let text = chain(&error);
        let (path, hint) = match error {
            E::Packed { path, with } => {
                let hint = format!("unpack it on the way: `{with} -dc FILE | tuskvault import pgdump -`");
                (path, hint)
            }
            E::Inserts { path } => (path, "make it without `--inserts`, `--column-inserts`, `--rows-per-insert`; or load it into a database and import that (`import postgres`)".to_owned()),
            E::Encoding { path } => (path, "make it with `--encoding=UTF8`".to_owned()),
            E::Several { path, .. } => (path, "load it, and dump Mastodon's database alone".to_owned()),
            E::NotMastodon { path, .. } => (path, "the tables accounts, users, oauth_applications and oauth_access_tokens are read, with their rows".to_owned()),
            E::NoPgRestore { path, .. } => (path, "install PostgreSQL's client programs (Debian: `apt install postgresql-client`)".to_owned()),
            E::OldPgRestore { path, .. } => (path, "install PostgreSQL's client programs of version 12 or later".to_owned()),
            E::Cut { path, why } if why.contains("unsupported version") => (path, "a newer pg_dump made it: install PostgreSQL's client programs of that version".to_owned()),
            E::TooLarge { path } => (path, "load it into a database and import that (`import postgres`)".to_owned()),
            E::NoUser { path, .. } => (path, "nothing was recorded".to_owned()),
            E::Io { path, .. } | E::NotADump { path } | E::Malformed { path, .. } | E::Cut { path, .. } => {
                (path, "it was not changed, and nothing was recorded".to_owned())
            }
            _ => return Self::new(Exit::BadSource, text),
        };
        Self::new(Exit::BadSource, text).path(&path).hint(hint)
    }
}

#[cfg(feature = "postgres")]
impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        let (exit, hint) = database_hint(&error);
        let said = match &error {
            postgres::Error::Database { source, .. } => source.as_db_error(),
            _ => None,
        };
        let text = match said {
            Some(said) => format!("{error}: {}", postgres::Said(Box::new(said.clone()))),
            None => chain(&error),
        };
        let path = match error {
            postgres::Error::Settings { path, .. } | postgres::Error::File { path, .. } => {
                Some(path)
            }
            _ => None,
        };
        Self {
            exit,
            message: text,
            path,
            hint: Some(hint),
        }
    }
}

/// Exit code and hint for what went wrong with the server's database.
#[cfg(feature = "postgres")]
fn database_hint(error: &postgres::Error) -> (Exit, String) {
    use postgres::{Error as E, PasswordNote};
    let hint = match error {
        E::Typed { .. } => {
            return (
                Exit::Usage,
                "such as `--url postgres://mastodon@localhost/mastodon_production`, or `--env-file` for Mastodon's own settings".into(),
            );
        }
        E::PasswordTyped => {
            return (
                Exit::Usage,
                "other users of this machine see what is typed: leave it out, and set PGPASSWORD, keep it in ~/.pgpass (mode 0600), or use `--env-file`".into(),
            );
        }
        E::Settings { .. } => "mend this file; it was not changed".into(),
        E::File { .. } => {
            "name the file with `--env-file`, and run as a user who may read it (such as `sudo -u mastodon`)".into()
        }
        E::NoSuchHost { .. } => {
            "check the name (DB_HOST, PGHOST, or in `--url`); names of Docker services resolve inside Docker only".into()
        }
        E::Unreachable { socket: Some(socket), source, .. } => unreachable_socket(socket, source),
        E::Unreachable { .. } => {
            "check host and port, and that the server runs and listens there (`listen_addresses` in postgresql.conf; in Docker, `ports` in the compose file)".into()
        }
        E::TimedOut { .. } => {
            "check host and port, and whether a firewall stands between; PGCONNECT_TIMEOUT gives it more time (in seconds)".into()
        }
        E::PasswordMissing { .. } => {
            "set PGPASSWORD, keep it in ~/.pgpass (mode 0600), or use `--env-file`".into()
        }
        E::PasswordRefused { note: Some(PasswordNote::Quoted), .. } => {
            "the password stands in quotes in the env file: Ruby takes them off, as was done here, but Docker takes them for a part of it. If this file is Docker's, set PGPASSWORD or DB_PASS to the password with them".into()
        }
        E::PasswordRefused { note: Some(PasswordNote::CutAtHash), .. } => {
            "the password in the env file holds a # without quotes: Ruby takes what follows for a comment, as was done here, but Docker does not. If this file is Docker's, set DB_PASS to the whole password".into()
        }
        E::PasswordRefused { .. } => {
            "check DB_PASS or PGPASSWORD, or the line of ~/.pgpass; variables in the environment win over the env file".into()
        }
        E::NotAdmitted { user, is_peer: true, .. } => format!(
            "the server compares the role with the system's user (peer authentication): run this as that user, such as `sudo -u {user} tuskvault …`, or map yours to it in pg_ident.conf"
        ),
        E::NotAdmitted { .. } => {
            "check the role's name, and that pg_hba.conf lets it in from here".into()
        }
        E::NoSuchDatabase { .. } => {
            "`psql -l` lists the databases; name it with DB_NAME, PGDATABASE, or in `--url`".into()
        }
        E::Busy { .. } => "try again later, or raise `max_connections` in postgresql.conf (a pooler's is in its own settings)".into(),
        E::NotReady { .. } => "try again in a moment".into(),
        E::NoTls { .. } => {
            "turn `ssl` on in postgresql.conf, or give sslmode=prefer (PGSSLMODE, DB_SSLMODE) if the way to it is safe".into()
        }
        E::Untrusted { .. } => {
            "name the certificate of who signed it (of a self-signed one, itself) with sslrootcert or PGSSLROOTCERT, or give sslrootcert=system for public authorities".into()
        }
        E::WrongName { .. } => {
            "connect by the name in the certificate (hostaddr says where it is), or check only who signed it with sslmode=verify-ca".into()
        }
        E::Tls { .. } => "the server's log tells its side; sslmode=disable does without encryption, if the way to it is safe".into(),
        E::Refused { .. } | E::Connect { .. } => "check role, password and database; the log of the server, or of the pooler before it, tells more".into(),
        E::NotMastodon { .. } => "name Mastodon's own database with `--env-file`, `--url` or PGDATABASE".into(),
        E::Denied { table, columns, .. } => format!(
            "let a superuser run `GRANT SELECT ({columns}) ON {table} TO` this role; docs/server.md has all that a backup needs"
        ),
        E::NoInstance { .. } => {
            return (
                Exit::Usage,
                "give `--instance DOMAIN` (LOCAL_DOMAIN in Mastodon's settings)".into(),
            );
        }
        E::NoUser { .. } => return (Exit::NoMatch, "nothing was recorded; names are those of local accounts, without `@`".into()),
        E::Malformed { .. } => {
            return (Exit::Failed, "nothing was recorded; is this PostgreSQL?".into());
        }
        E::Database { source, .. } => return statement_hint(source),
        _ => "nothing was changed".into(),
    };
    (Exit::BadSource, hint)
}

#[cfg(feature = "postgres")]
fn unreachable_socket(socket: &Path, error: &io::Error) -> String {
    let socket = socket.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no socket {socket}: check that the server runs on this machine, and its folder and port (`unix_socket_directories` in postgresql.conf); a server elsewhere needs a host name"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("this user may not use the socket {socket}: run as one who may")
        }
        _ => format!("nobody listens at the socket {socket}: check that the server runs"),
    }
}

/// A server that went away failed; one that said no can't be read or written as asked.
#[cfg(feature = "postgres")]
fn statement_hint(error: &::postgres::Error) -> (Exit, String) {
    let code = error.code().map_or("", |code| code.code());
    let hint = match code {
        "" => {
            return (
                Exit::Failed,
                "the connection was lost, and nothing is half-written: run the same again".into(),
            );
        }
        "57P01" | "57P02" | "57P03" | "57P05" => {
            return (
                Exit::Failed,
                "the server ended the connection, and nothing is half-written: run the same again"
                    .into(),
            );
        }
        "57014" => {
            return (
                Exit::Failed,
                "the statement was cancelled or took too long (`statement_timeout`), and nothing is half-written: run the same again".into(),
            );
        }
        "40001" => {
            return (
                Exit::Failed,
                "nothing is half-written: run the same again; a replica cancels long reads (`max_standby_streaming_delay`)".into(),
            );
        }
        "42501" => "the role lacks a privilege: docs/server.md lists the GRANT statements",
        "42P01" | "42703" => "is this Mastodon's database? DB_NAME, PGDATABASE or `--url` name it",
        "25006" => "this server is read-only (a replica?): name the primary",
        _ => "nothing was changed; the server's log tells more",
    };
    (Exit::BadSource, hint.into())
}

#[cfg(feature = "postgres")]
impl From<postgres::restore::Error> for Failure {
    fn from(error: postgres::restore::Error) -> Self {
        use postgres::restore::Error as E;
        let text = error.to_string();
        let (exit, hint) = match error {
            E::NotMastodon { .. } => (
                Exit::BadSource,
                "name Mastodon's database; nothing was changed".to_owned(),
            ),
            E::NoInstance => (
                Exit::Usage,
                "give `--instance DOMAIN` (LOCAL_DOMAIN in Mastodon's settings); `--other-instance` restores whatever instance a record is of; nothing was changed".to_owned(),
            ),
            E::Denied { grants, .. } => (Exit::BadSource, grants.join(" ")),
            E::ReadOnly { .. } => (
                Exit::BadSource,
                "restores go to the primary, as a role that may write; nothing was changed"
                    .to_owned(),
            ),
            E::NotOwner { .. } => (
                Exit::BadSource,
                "connect as the owner, or leave `--rebuild-indexes` out".to_owned(),
            ),
            E::NotEmpty => (
                Exit::BadSource,
                "`--rebuild-indexes` is for an empty table; leave it out".to_owned(),
            ),
            E::Locked { .. } | E::Contended => (
                Exit::Failed,
                "nothing was changed; run the same again".to_owned(),
            ),
            E::Unsure => (
                Exit::Failed,
                "run the same again: what is there is not written twice".to_owned(),
            ),
            _ => (Exit::Failed, "nothing was changed".to_owned()),
        };
        Self::new(exit, text).hint(hint)
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        let hint = match error {
            KeyFileError::Damaged => "use a copy of it",
            _ => "`tuskvault key new-file PATH` makes one",
        };
        Self::new(Exit::WrongKey, chain(&error)).hint(hint)
    }
}

impl From<io::Error> for Failure {
    /// Of writing to standard output: whoever reads it has gone, which is no failure.
    fn from(error: io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::BrokenPipe {
            Exit::Done
        } else {
            Exit::Failed
        };
        Self::new(exit, format!("cannot write the output: {error}"))
    }
}

impl Failure {
    /// A source that could not be backed up, beside others that were.
    pub(crate) fn unread(error: &connectors::Error, connector: &str) -> Self {
        Self::from(error).hint(format!(
            "the other sources are not affected; mend or remove this file and run `tuskvault backup {connector}`"
        ))
    }
}

/// "did you mean …?" where a name is spelled nearly so, else all names.
pub(crate) fn did_you_mean<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let near = |name: &&&str| strsim::jaro_winkler(given, name) > NEAR;
    match names
        .iter()
        .filter(near)
        .max_by(|a, b| strsim::jaro_winkler(given, a).total_cmp(&strsim::jaro_winkler(given, b)))
    {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are {}", names.join(", ")),
    }
}

/// From here on two spellings count as near: one or two slips.
const NEAR: f64 = 0.8;

fn no_key(error: &KdfError) -> (Exit, &'static str) {
    match error {
        KdfError::Memory { .. } => (
            Exit::Failed,
            "open it on a machine with more memory and add a slot that needs less: `tuskvault key add --kdf-memory 64`",
        ),
        _ => (
            Exit::Damaged,
            "if this comes from the vault file, it was not written by tuskvault, or it was altered",
        ),
    }
}

fn wrong_key_hint(given: SlotKind, slots: &[SlotKind]) -> String {
    let has = |kind| slots.contains(&kind);
    if given == SlotKind::Passphrase && (has(SlotKind::Both) || has(SlotKind::KeyFile)) {
        return "this vault also has a slot with a key file; add `--key-file PATH`".to_owned();
    }
    if given == SlotKind::KeyFile && !has(SlotKind::KeyFile) {
        return "this vault has no slot that a key file alone opens; give the passphrase too"
            .to_owned();
    }
    "nothing was changed; try again".to_owned()
}

/// What to do where nobody can be asked for what a new key slot is opened with.
pub(crate) const NO_NEW_PASSWORD: &str =
    "give `--new-password-file`, or `--new-key-file` and `--no-passphrase`";

/// What to do where nobody can be asked.
pub(crate) const NO_PASSWORD: &str = "set TUSKVAULT_PASSWORD_FILE or TUSKVAULT_PASSWORD_COMMAND, or give `--password-file`, `--password-command` or `--key-file`";

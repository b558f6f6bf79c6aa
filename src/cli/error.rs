//! The one table from what went wrong to exit code, path and hint.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

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

#[cfg(feature = "postgres")]
impl From<connectors::postgres::Error> for Failure {
    fn from(error: connectors::postgres::Error) -> Self {
        Self::new(Exit::BadSource, chain(&error))
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

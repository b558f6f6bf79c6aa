//! Where passphrases come from: an option, the environment, or a person.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use tuskvault::{
    crypto::{KeyFile, Passphrase},
    files,
};
use zeroize::Zeroizing;

use super::{
    args::Global,
    error::{Failure, NO_NEW_PASSWORD, NO_PASSWORD, plain},
    machine,
    output::{Output, shown},
};

/// The passphrase that options or the environment give, if they do.
pub(crate) fn given(global: &Global, output: &Output) -> Result<Option<Passphrase>, Failure> {
    if let Some(path) = &global.password_file {
        return from_file(path, output).map(Some);
    }
    if let Some(command) = &global.password_command {
        return from_command(command).map(Some);
    }
    match machine::password_variable() {
        Some(text) if text.is_empty() => {
            Err(Failure::usage("TUSKVAULT_PASSWORD is empty").hint(NO_PASSWORD))
        }
        Some(text) => Ok(Some(Passphrase::new(text))),
        None => Ok(None),
    }
}

/// Whether a passphrase or key can be had without asking, or somebody can be asked.
pub(crate) fn can_be_had(global: &Global) -> bool {
    global.password_file.is_some()
        || global.password_command.is_some()
        || global.key_file.is_some()
        || machine::password_variable().is_some()
        || can_ask()
}

/// Whether somebody can be asked: also where records come through a pipe, as long as questions can be seen.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() || (io::stderr().is_terminal() && File::open(TERMINAL).is_ok())
}

/// The first line of a file, or of standard input for `-`.
pub(crate) fn from_file(path: &Path, output: &Output) -> Result<Passphrase, Failure> {
    if path == Path::new("-") {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        let read = io::stdin()
            .lock()
            .take(MAX_BYTES as u64)
            .read_until(b'\n', &mut bytes);
        read.map_err(|error| {
            Failure::usage(format!(
                "cannot read the passphrase from standard input: {error}"
            ))
        })?;
        return first_line(&bytes, "standard input");
    }
    let bytes = files::read_bounded(path, MAX_BYTES as u64).map_err(|error| {
        Failure::usage(format!(
            "cannot read the password file {}: {}",
            path.display(),
            plain(&error)
        ))
        .path(path)
        .hint(NO_PASSWORD)
    })?;
    // A pipe (`--password-file <(…)`) has a mode that says nothing.
    let is_open = std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o077 != 0);
    if is_open {
        output.warn(&format!("others can read {}: chmod 600 it", path.display()));
    }
    first_line(&bytes, &path.display().to_string())
}

fn from_command(command: &str) -> Result<Passphrase, Failure> {
    let fail =
        |why: String| Failure::usage(format!("the password command {why}")).hint(NO_PASSWORD);
    // The command is the person's own, typed or set by them.
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env_remove(machine::PASSWORD)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| fail(format!("can't be started: {error}")))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
    if let Some(out) = child.stdout.take() {
        out.take(MAX_BYTES as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| fail(format!("can't be read: {error}")))?;
    }
    let status = child
        .wait()
        .map_err(|error| fail(format!("can't be waited for: {error}")))?;
    if !status.success() {
        return Err(fail(format!("failed ({status})")));
    }
    first_line(&bytes, "the password command")
}

fn first_line(bytes: &[u8], origin: &str) -> Result<Passphrase, Failure> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok("") => {
            Err(Failure::usage(format!("the first line of {origin} is empty")).hint(NO_PASSWORD))
        }
        Ok(text) => Ok(Passphrase::new(text.to_owned())),
        Err(_) => Err(Failure::usage(format!(
            "the first line of {origin} is not UTF-8"
        ))),
    }
}

/// Asks for the passphrase of a vault.
pub(crate) fn ask(vault: &Path) -> Result<Passphrase, Failure> {
    prompt(
        &format!("Passphrase for {}: ", vault.display()),
        NO_PASSWORD,
    )
}

/// Asks for the passphrase of a new vault, twice.
pub(crate) fn ask_for_vault() -> Result<Passphrase, Failure> {
    ask_twice("New passphrase for the vault: ", NO_PASSWORD)
}

/// Asks for the passphrase of a new key slot, twice.
pub(crate) fn ask_for_slot() -> Result<Passphrase, Failure> {
    ask_twice("New passphrase for the key slot: ", NO_NEW_PASSWORD)
}

fn ask_twice(question: &str, otherwise: &str) -> Result<Passphrase, Failure> {
    let first = prompt(question, otherwise)?;
    if first.is_empty() {
        return Err(Failure::usage(
            "an empty passphrase protects nothing; nothing was changed",
        ));
    }
    if first != prompt("The same again: ", otherwise)? {
        return Err(Failure::usage(
            "the two passphrases differ; nothing was changed",
        ));
    }
    Ok(first)
}

/// Asks; `otherwise` is what to do where nobody can be asked.
fn prompt(question: &str, otherwise: &str) -> Result<Passphrase, Failure> {
    if !can_ask() {
        return Err(Failure::usage("there is no terminal to ask for a passphrase").hint(otherwise));
    }
    let text = rpassword::prompt_password(asked(question)).map_err(|error| {
        Failure::usage(format!("cannot ask for a passphrase: {error}")).hint(otherwise)
    })?;
    Ok(Passphrase::new(text))
}

/// Reads a key file.
pub(crate) fn key_file(path: &Path) -> Result<KeyFile, Failure> {
    let bytes = files::read_bounded(path, MAX_BYTES as u64).map_err(|error| {
        Failure::usage(format!(
            "cannot read the key file {}: {}",
            path.display(),
            plain(&error)
        ))
        .path(path)
        .hint("`tuskvault key new-file PATH` makes one")
    })?;
    KeyFile::parse(&bytes).map_err(|error| {
        let failure = Failure::from(error).path(path);
        Failure {
            message: format!("{}: {}", path.display(), failure.message),
            ..failure
        }
    })
}

/// Makes a key file where nothing is.
pub(crate) fn new_key_file(path: &Path) -> Result<KeyFile, Failure> {
    let key = KeyFile::generate()
        .map_err(|error| Failure::new(super::error::Exit::Failed, error.to_string()))?;
    files::write_new(path, key.to_text().as_bytes())
        .map_err(|error| Failure::file("create", path, &error))?;
    Ok(key)
}

/// Asks a yes-or-no question; no without a terminal.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    if !can_ask() {
        return Err(
            Failure::usage("there is no terminal to ask for confirmation")
                .hint("`--yes` answers every question with yes"),
        );
    }
    let mut err = io::stderr().lock();
    err.write_all(format!("{} [y/N] ", asked(question)).as_bytes())?;
    err.flush()?;
    let mut answer = String::new();
    if io::stdin().is_terminal() {
        io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer)?;
    } else {
        let terminal = BufReader::new(File::open(TERMINAL)?);
        terminal.take(MAX_ANSWER).read_line(&mut answer)?;
    }
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// A question as it is shown, whatever the path in it.
fn asked(question: &str) -> String {
    machine::with_tildes(&shown(question)).into_owned()
}

/// The terminal that the program was started on.
const TERMINAL: &str = "/dev/tty";
/// Nobody says yes in more bytes.
const MAX_ANSWER: u64 = 100;
/// No passphrase is longer.
const MAX_BYTES: usize = 64 * 1024;

//! The archive formats (custom, directory, tar): PostgreSQL's own pg_restore makes text of them, which is read as it
//! comes. Nothing of it lies in a file on the way.

use std::{
    ffi::OsStr,
    io::{self, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread::{self, JoinHandle},
};

use jiff::civil;

use crate::connectors::mastodon::TABLES;

use super::Error;

/// Where the archive is.
pub(super) enum From {
    /// Where its path says.
    Path,
    /// In what is read here.
    Pipe(Box<dyn Read + Send>),
}

/// The text of an archive's four tables.
pub(super) struct Restored {
    child: Child,
    text: ChildStdout,
    said: Option<JoinHandle<String>>,
}

/// Starts pg_restore on an archive.
///
/// # Errors
/// [`Error::NoPgRestore`], [`Error::OldPgRestore`].
pub(super) fn restore(path: &Path, from: From, program: &Path) -> Result<Restored, Error> {
    let failed = |source| Error::NoPgRestore {
        path: path.to_owned(),
        source,
    };
    let version = output(program, [OsStr::new("--version")]).map_err(failed)?;
    if major(&version).is_none_or(|major| major < OLDEST) {
        return Err(Error::OldPgRestore {
            path: path.to_owned(),
            version: shown(&version),
        });
    }
    let mut command = Command::new(program);
    command.args(["--data-only", "--no-owner", "--no-privileges", "--file=-"]);
    for (table, _) in TABLES {
        command.arg(format!("--table={table}"));
    }
    match &from {
        // After `--`, since a name may begin with a dash.
        From::Path => command.arg("--").arg(path).stdin(Stdio::null()),
        From::Pipe(_) => command.stdin(Stdio::piped()),
    };
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .env("LC_ALL", "C")
        .env_remove(PASSPHRASE)
        .spawn()
        .map_err(failed)?;
    let no_pipe = || failed(io::ErrorKind::BrokenPipe.into());
    let (text, errors) = (child.stdout.take(), child.stderr.take());
    let (text, mut errors) = text.zip(errors).ok_or_else(no_pipe)?;
    if let (From::Pipe(mut archive), Some(mut to)) = (from, child.stdin.take()) {
        // It ends when pg_restore does: what that says counts.
        thread::spawn(move || drop(io::copy(&mut archive, &mut to)));
    }
    let said = thread::spawn(move || {
        let mut said = Vec::new();
        let kept = (&mut errors).take(MAX_SAID).read_to_end(&mut said);
        drop(kept.and_then(|_| io::copy(&mut errors, &mut io::sink())));
        String::from_utf8_lossy(&said).into_owned()
    });
    Ok(Restored {
        child,
        text,
        said: Some(said),
    })
}

impl Read for Restored {
    /// At its end, what pg_restore complained of is an error.
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.text.read(to)?;
        if read > 0 || to.is_empty() {
            return Ok(read);
        }
        let Some(said) = self.said.take() else {
            return Ok(0);
        };
        let status = self.child.wait()?;
        let said = said.join().unwrap_or_default();
        if status.success() {
            return Ok(0);
        }
        let said = said.lines().find(|line| !line.trim().is_empty());
        let said = shown(said.unwrap_or("it failed"));
        let said = said
            .trim_start_matches("pg_restore: ")
            .trim_start_matches("error: ");
        Err(io::Error::other(format!("pg_restore: {said}")))
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        // It may have ended long ago.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// When an archive was made, by the clock of the machine that made it.
pub(super) fn created(path: &Path, program: &Path) -> Option<civil::DateTime> {
    let arguments = [OsStr::new("--list"), OsStr::new("--"), path.as_os_str()];
    let list = output(program, arguments).ok()?;
    let line = list.lines().find_map(|line| line.strip_prefix(CREATED))?;
    // The time zone behind it is that of this machine, whichever made the archive.
    let (date, rest) = line.trim().split_once(' ')?;
    let time = rest.split(' ').next()?;
    format!("{date}T{time}").parse().ok()
}

/// What the program prints.
fn output<'a>(
    program: &Path,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> io::Result<String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("LC_ALL", "C")
        .env_remove(PASSPHRASE)
        .stdin(Stdio::null());
    let output = command.output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The number in `pg_restore (PostgreSQL) 16.4 (Debian …)`.
fn major(version: &str) -> Option<u32> {
    let (_, rest) = version.split_once("(PostgreSQL) ")?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

/// In one line that is not too long.
fn shown(text: &str) -> String {
    let letters = text.trim().chars().take(MAX_SHOWN);
    letters
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The file of the directory format that lists what is in it; the first one in a tar file.
pub(super) const CONTENTS: &str = "toc.dat";
const CREATED: &str = "; Archive created at ";
/// The first that writes to standard output when it is told so.
/// Where the vault's passphrase may stand: nothing for another program.
const PASSPHRASE: &str = "TUSKVAULT_PASSWORD";
const OLDEST: u32 = 12;
const MAX_SAID: u64 = 64 << 10;
const MAX_SHOWN: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_however_it_is_packaged() {
        for (text, version) in [
            ("pg_restore (PostgreSQL) 16.4 (Debian 16.4-1)", Some(16)),
            ("pg_restore (PostgreSQL) 18beta1", Some(18)),
            ("pg_restore (PostgreSQL) 9.6.24", Some(9)),
            ("something else", None),
        ] {
            assert_eq!(major(text), version, "{text}");
        }
    }
}

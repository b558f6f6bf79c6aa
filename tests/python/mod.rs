//! A Python with clients in it: toot, Mastodon.py, mastodon-archive and python-dotenv, from PyPI once, into the target folder. Skipped with a
//! word where there is no Python or no PyPI.

#![expect(clippy::print_stdout, reason = "says why a test is skipped")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A Python with the clients, if there can be one.
pub(crate) fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PYTHON.get_or_init(install) {
        Ok(python) => Some(python.clone()),
        Err(why) => {
            println!("skipped: {why}");
            None
        }
    }
}

fn install() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let python = folder.join("bin/python");
    let mark = folder.join(PACKAGES.join(" "));
    // Another test program may be at it.
    let lock = fs::File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if mark.exists() {
        return Ok(python);
    }
    let attempt = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    attempt(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    attempt(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--timeout", "20"])
            .args(PACKAGES),
    )?;
    fs::write(mark, "").unwrap();
    Ok(python)
}

/// Runs a script in a folder, which is also its home, and gives what it printed.
pub(crate) fn run(python: &Path, folder: &Path, script: &str, arguments: &[&str]) -> String {
    output(
        Command::new(python)
            .args(["-c", script])
            .args(arguments)
            .current_dir(folder)
            .env("HOME", folder)
            .env("XDG_CONFIG_HOME", folder)
            .env("PYTHONUTF8", "1"),
    )
}

/// What a command printed; it must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The versions that the connectors name as their evidence.
const PACKAGES: [&str; 4] = [
    "toot==0.52.1",
    "Mastodon.py==2.3.3",
    "mastodon-archive==1.4.8",
    "python-dotenv==1.2.4",
];

//! `demo`: a guided tour. The real program works on sample client files in a folder that is gone afterwards.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tuskvault::files;

use super::{
    error::{Exit, Failure},
    report::plural,
    session::Session,
};

pub(crate) fn run(session: &Session<'_>) -> Result<Exit, Failure> {
    let tour = Tour::new(session)?;
    tour.say("A home folder with toot's configuration (two accounts) and a bot's .env file.")?;
    tour.run(&["init", "--kdf-memory", "64"])?;
    tour.run(&["discover"])?;
    tour.run(&["backup"])?;
    tour.run(&["import", "dotenv", "bot/.env"])?;
    tour.run(&["list"])?;

    tour.say(
        "Alice logs in anew, which changes her token, and logs the bot's account out of toot.",
    )?;
    tour.write(".config/toot/config.json", &toot(NEW_TOKEN, None))?;
    tour.run(&["backup", "--note", "after logging in anew"])?;
    tour.run(&["list", "--all"])?;
    tour.run(&["history", "alice@mastodon.example/toot"])?;
    tour.run(&["diff", "run:1"])?;

    tour.say("Nothing is lost: `~1` is the token before the current one.")?;
    tour.run(&[
        "restore",
        "alice@mastodon.example/toot~1",
        "--to",
        "toot",
        "--yes",
    ])?;
    tour.see_token_restored()?;

    tour.say("What somebody sees who gets the file:")?;
    tour.search_plaintext()?;
    tour.run(&["check"])?;
    tour.say("That was all of it; the folder is gone again. Start with `tuskvault backup`.")?;
    Ok(Exit::Done)
}

struct Tour<'s> {
    session: &'s Session<'s>,
    home: TempDir,
    program: PathBuf,
}

impl<'s> Tour<'s> {
    fn new(session: &'s Session<'s>) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failed, format!("cannot set the demo up: {error}"))
        };
        let tour = Self {
            session,
            home: tempfile::Builder::new()
                .prefix("tuskvault-demo-")
                .tempdir()
                .map_err(failed)?,
            program: std::env::current_exe().map_err(failed)?,
        };
        tour.write("passphrase", "correct horse battery staple\n")?;
        tour.write(
            ".config/toot/config.json",
            &toot(OLD_TOKEN, Some(BOT_TOKEN)),
        )?;
        tour.write("bot/.env", &dotenv())?;
        Ok(tour)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path(name);
        let write = || -> std::io::Result<()> {
            if let Some(folder) = path.parent() {
                files::create_private_folder(folder)?;
            }
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            files::write_new(&path, text.as_bytes())
        };
        write().map_err(|error| Failure::file("write", &path, &error))
    }

    fn say(&self, text: &str) -> Result<(), Failure> {
        self.session.output.line("")?;
        self.session.output.heading(text)
    }

    /// Runs the program itself, with the folder for a home.
    fn run(&self, arguments: &[&str]) -> Result<(), Failure> {
        let quoted = arguments.iter().map(|argument| {
            if argument.contains([' ', '~', '*']) {
                format!("'{argument}'")
            } else {
                (*argument).to_owned()
            }
        });
        let shown = quoted.collect::<Vec<_>>().join(" ");
        self.session.output.line("")?;
        self.session
            .output
            .heading(&format!("$ tuskvault {shown}"))?;
        let home = self.home.path();
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TUSKVAULT_") {
                command.env_remove(name);
            }
        }
        let status = command
            .args(arguments)
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("TUSKVAULT_PASSWORD_FILE", home.join("passphrase"))
            .stdin(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(
                Exit::Failed,
                format!("this step of the demo failed ({status})"),
            )),
            Err(error) => Err(Failure::file("run", &self.program, &error)),
        }
    }

    fn see_token_restored(&self) -> Result<(), Failure> {
        let path = self.path(".config/toot/config.json");
        let bytes = files::read_bounded(&path, MAX_BYTES)
            .map_err(|error| Failure::file("read", &path, &error))?;
        if bytes.as_slice() != toot(OLD_TOKEN, None).as_bytes() {
            return Err(Failure::new(
                Exit::Failed,
                "toot's configuration is not what it was with the old token",
            ));
        }
        self.session.output.line(
            "(toot's configuration holds the old token again, and nothing else in it changed)",
        )
    }

    fn search_plaintext(&self) -> Result<(), Failure> {
        let path = self.path(".local/share/tuskvault/vault.tusk");
        let bytes = files::read_bounded(&path, MAX_BYTES)
            .map_err(|error| Failure::file("read", &path, &error))?;
        let words = [
            OLD_TOKEN,
            NEW_TOKEN,
            BOT_TOKEN,
            "mastodon.example",
            "alice",
            "news_bot",
            "toot",
            "MASTODON",
        ];
        for word in words {
            if holds(&bytes, word) {
                return Err(Failure::new(
                    Exit::Failed,
                    format!("\"{word}\" stands in the vault file"),
                ));
            }
        }
        self.session.output.line(&format!(
            "{} of {}: no token, no instance, no user, no app among them (searched for {})",
            plural(bytes.len() as u64, "byte"),
            file_name(&path),
            plural(words.len() as u64, "word")
        ))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}

/// What toot 0.52 writes: one space of indentation, sorted keys, no final newline.
fn toot(alice: &str, bot: Option<&str>) -> String {
    let user = |name: &str, token: &str| {
        format!(
            "  \"{name}@mastodon.example\": {{\n   \"access_token\": \"{token}\",\n   \"instance\": \"mastodon.example\",\n   \
             \"username\": \"{name}\"\n  }}"
        )
    };
    let mut users = vec![user("alice", alice)];
    users.extend(bot.map(|token| user("news_bot", token)));
    format!(
        "{{\n \"active_user\": \"alice@mastodon.example\",\n \"apps\": {{\n  \"mastodon.example\": {{\n   \
         \"base_url\": \"https://mastodon.example\",\n   \"client_id\": \"{CLIENT_ID}\",\n   \
         \"client_secret\": \"{CLIENT_SECRET}\",\n   \"instance\": \"mastodon.example\"\n  }}\n }},\n \"users\": {{\n{}\n }}\n}}",
        users.join(",\n")
    )
}

fn dotenv() -> String {
    format!(
        "# the weather bot\nMASTODON_API_BASE_URL=https://social.example\nMASTODON_ACCESS_TOKEN={WEATHER_TOKEN}\n"
    )
}

// Invented, in the form that Mastodon gives them.
const OLD_TOKEN: &str = "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";
const NEW_TOKEN: &str = "q3SWpZ0mYx5vTg7LrKc1hNdEeRtUi8oPaJbVfXzM2wA";
const BOT_TOKEN: &str = "y7bAZC8ZHqZ5_uIZVWExuca4IeleaQn7aEZnLfITWt0";
const WEATHER_TOKEN: &str = "bLmUYNytthbMEQoxF1MjEjq100_7MJGo1jtQBFFgPi8";
const CLIENT_ID: &str = "vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo";
const CLIENT_SECRET: &str = "MHfCpw4JpU1Gbj2jzFdJMLqt1q7L_7Ooz6iIfLuGmMc";
/// The files of the demo are small.
const MAX_BYTES: u64 = 16 << 20;

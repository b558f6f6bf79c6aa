//! What is printed: answers on standard output, everything else on standard error. The only prints there are.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use clap::{CommandFactory, Parser, builder::StyledStr, error::ErrorKind};
use serde::Serialize;
pub(crate) use tuskvault::model::shown;
use tuskvault::{
    connectors::json,
    model::{Secret, is_steering},
};
use zeroize::Zeroizing;

use super::{
    args::{Cli, Color, Global},
    error::{Exit, Failure},
    machine::with_tildes,
    progress::Bars,
};

/// How to print.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Output {
    pub(crate) json: bool,
    quiet: bool,
    verbose: bool,
    progress: bool,
    color: Color,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        match global.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        Self {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            progress: !global.no_progress
                && !global.quiet
                && !global.json
                && io::stderr().is_terminal(),
            color: global.color,
        }
    }

    /// Bars for long work.
    pub(crate) fn bars(&self) -> Bars {
        Bars::new(self.progress)
    }

    /// A line of the answer.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = anstream::AutoStream::new(io::stdout().lock(), self.choice());
        out.write_all(with_tildes(text).as_bytes())?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// The answer as it is, without a line's end: secrets and files.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// A heading within the answer.
    pub(crate) fn heading(&self, text: &str) -> Result<(), Failure> {
        self.line(&format!("{BOLD}{text}{BOLD:#}"))
    }

    /// The answer to `--dry-run`: what would be done without it.
    pub(crate) fn would(&self, what: &str) -> Result<(), Failure> {
        if self.json {
            return self.object(&serde_json::json!({ "dry_run": true, "would": what }));
        }
        self.line(&shown(&format!("would {what}")))
    }

    /// A line of the answer that ends in a secret, which goes nowhere but there.
    pub(crate) fn secret_line(&self, before: &str, secret: &Secret) -> Result<(), Failure> {
        if self.json {
            // Borrowed: a `serde_json::Value` would keep a copy that nobody wipes.
            return self.object(&BTreeMap::from([("value", secret.expose())]));
        }
        let mut out = io::stdout().lock();
        out.write_all(before.as_bytes())?;
        // A hostile file may have put escape sequences where a token belongs.
        out.write_all(shown(secret.expose()).as_bytes())?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// One object of a JSON answer.
    pub(crate) fn object(&self, value: &impl Serialize) -> Result<(), Failure> {
        let line = json_line(value);
        let mut out = io::stdout().lock();
        out.write_all(line.as_bytes())?;
        Ok(out.write_all(b"\n")?)
    }

    /// Something to know while it works.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            self.say(&with_tildes(&shown(text)));
        }
    }

    /// Something to know for those who asked for more.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.note(text);
        }
    }

    /// Something that the person must know.
    pub(crate) fn warn(&self, text: &str) {
        if self.json {
            self.say(&json_line(&serde_json::json!({ "warning": text })));
        } else {
            self.say(&format!(
                "{YELLOW}warning:{YELLOW:#} {}",
                with_tildes(&shown(text))
            ));
        }
    }

    /// Why a command ends early.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.exit == Exit::Done {
            return;
        }
        if self.json {
            let object = serde_json::json!({
                "error": failure.message,
                "code": failure.exit as u8,
                "path": failure.path.as_ref().map(|path| path.display().to_string()),
                "hint": failure.hint,
            });
            return self.say(&json_line(&object));
        }
        self.say(&format!(
            "{RED}error:{RED:#} {}",
            with_tildes(&shown(&failure.message))
        ));
        if let Some(hint) = &failure.hint {
            self.say(&format!(
                "{CYAN}hint:{CYAN:#} {}",
                with_tildes(&shown(hint))
            ));
        }
    }

    fn say(&self, text: &str) {
        let choice = if self.color == Color::Auto {
            anstream::ColorChoice::global()
        } else {
            self.choice()
        };
        let choice = if choice == anstream::ColorChoice::Auto {
            anstream::AutoStream::choice(&io::stderr())
        } else {
            choice
        };
        let mut err = anstream::AutoStream::new(io::stderr().lock(), choice);
        // Nobody is left to be told that standard error is gone.
        drop(writeln!(err, "{text}"));
    }

    fn choice(&self) -> anstream::ColorChoice {
        match self.color {
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
            Color::Auto => anstream::AutoStream::choice(&io::stdout()),
        }
    }
}

/// Says what clap has to say: help on standard output, everything else on standard error, as JSON where that was asked
/// for.
pub(crate) fn usage(error: clap::Error) -> Exit {
    let arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let error = harmless(error, &arguments);
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    if error.use_stderr() && wants_json {
        let text = error.render().to_string();
        let mut paragraphs = text
            .trim_start_matches("error: ")
            .split("\n\n")
            .map(one_line);
        let message = paragraphs.next();
        let tip = paragraphs.find_map(|text| Some(text.strip_prefix("tip: ")?.to_owned()));
        let object = serde_json::json!({
            "error": message,
            "code": Exit::Usage as u8,
            "path": null,
            "hint": tip.as_deref().unwrap_or("try `--help`"),
        });
        // Nobody is left to be told that standard error is gone.
        drop(writeln!(io::stderr(), "{}", *json_line(&object)));
    } else if error.kind() == ErrorKind::MissingSubcommand {
        drop(write!(io::stderr(), "{}", help(&arguments)));
    } else {
        drop(error.print());
    }
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    }
}

/// The help for who names no command. clap shows it only where nothing at all is given, and takes an environment
/// variable for given.
fn help(arguments: &[String]) -> StyledStr {
    let mut program = Cli::command();
    program.build();
    let mut named = arguments.iter().skip(1);
    let command = named.find_map(|name| program.find_subcommand(name));
    command.unwrap_or(&program).clone().render_help()
}

/// The same error about arguments in which nothing steers a terminal: a script may have taken them from somewhere.
fn harmless(error: clap::Error, arguments: &[String]) -> clap::Error {
    if !arguments.iter().any(|text| text.chars().any(is_steering)) {
        return error;
    }
    let spelled_out = arguments.iter().map(|text| shown(text).into_owned());
    match Cli::try_parse_from(spelled_out) {
        Err(error) => error,
        Ok(_) => Cli::command().error(
            ErrorKind::InvalidValue,
            "an argument holds control or invisible characters",
        ),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line of JSON. What would steer a terminal is escaped as JSON does it: the value stays the same.
fn json_line(value: &impl Serialize) -> Zeroizing<String> {
    escaped(json::line(value))
}

/// The same of a line that is JSON already.
pub(crate) fn escaped(line: Zeroizing<String>) -> Zeroizing<String> {
    let steering = line.chars().filter(|c| is_steering(*c)).count();
    if steering == 0 {
        return line;
    }
    // The capacity comes first: a buffer that grows leaves copies of secrets behind.
    let mut safe = Zeroizing::new(String::with_capacity(line.len() + steering * ESCAPE_BYTES));
    // Outside of its strings, JSON has no such character.
    for c in line.chars() {
        if !is_steering(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string can't fail.
            write!(safe, "\\u{unit:04x}").ok();
        }
    }
    safe
}

/// A pair of UTF-16 units, escaped.
const ESCAPE_BYTES: usize = 12;

pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
pub(crate) const BOLD: Style = Style::new().bold();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_what_steers_a_terminal() {
        let text = "a\x1b\u{9b}\u{7f}\u{202e}\u{2028}\u{e0001}\"\\\n🐘";
        let line = json_line(&text);
        assert!(!line.chars().any(is_steering), "{line:?}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
}

//! The README's tour is real: its `console` blocks are run in their order, and what they print is what stands there.
//! `UPDATE_README=1 cargo test --test it readme` writes what they print into the README.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use crate::home::Home;

#[test]
fn the_tour_prints_what_the_readme_says() {
    let readme = fs::read_to_string("README.md").unwrap();
    let commands: Vec<&str> = console_lines(&readme)
        .filter_map(|line| line.strip_prefix("$ "))
        .collect();
    assert!(commands.len() > 10, "the tour has commands");
    let mut outputs = run(&commands).into_iter();
    let written = rewritten(&readme, || outputs.next().unwrap_or_default());
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write("README.md", &written).unwrap();
        return;
    }
    let (expected, found) = (stable(&readme), stable(&written));
    assert_eq!(
        expected, found,
        "run with UPDATE_README=1 to write what the commands print"
    );
}

fn console_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        if line.starts_with("```") {
            inside = *line == "```console";
            return false;
        }
        inside
    })
}

/// The text with the lines below each command of a console block replaced.
fn rewritten(text: &str, mut output: impl FnMut() -> String) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && !line.starts_with("$ ") {
            continue;
        }
        writeln!(out, "{line}").unwrap();
        if inside && line.starts_with("$ ") {
            out.push_str(&output());
        }
    }
    out
}

/// Runs the commands in one shell, as a reader would, and answers what each printed.
fn run(commands: &[&str]) -> Vec<String> {
    let home = Home::new();
    let mut script = "exec 2>&1\n".to_owned();
    for command in commands {
        writeln!(script, "{command}\nprintf '\\n%s\\n' '{MARK}'").unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_tuskvault"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &script])
        .env_clear()
        .env("PATH", path)
        .env("HOME", home.path())
        .env("USER", "you")
        .env("TZ", "UTC");
    shell.env("TMPDIR", home.path()).env("COLUMNS", "100");
    let output = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    let mut parts: Vec<String> = output
        .split(&format!("\n{MARK}\n"))
        .map(str::to_owned)
        .collect();
    parts.pop();
    assert_eq!(parts.len(), commands.len(), "{output}");
    parts.iter().map(|part| shown(part)).collect()
}

fn shown(part: &str) -> String {
    if part.is_empty() || part.ends_with('\n') {
        part.to_owned()
    } else {
        format!("{part}\n")
    }
}

/// Without what differs from run to run: ids, times, the machine's name, the memory that was measured, column widths.
fn stable(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        for (at, word) in words.iter().enumerate() {
            let next = words.get(at + 1).copied();
            write!(
                out,
                "{} ",
                if next == Some("MiB") {
                    "N".to_owned()
                } else {
                    stable_word(word)
                }
            )
            .unwrap();
        }
        out.push('\n');
    }
    out
}

fn stable_word(word: &str) -> String {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let word = word.trim_start_matches('(').trim_end_matches([')', ';']);
    if word.starts_with("tk_") {
        return "tk_…".to_owned();
    }
    if word.starts_with("you@") {
        return "you@…".to_owned();
    }
    if let Some((before, rest)) = word.split_once(".tuskvault-")
        && let Some((_, after)) = rest.split_once('.')
    {
        return format!("{before}.tuskvault-TIME.{after}");
    }
    let parts: Vec<&str> = word.split(['-', ':']).collect();
    if parts.len() > 1 && parts.iter().all(|part| is_digits(part)) {
        return "TIME".to_owned();
    }
    word.to_owned()
}

const MARK: &str = "@@@ next @@@";

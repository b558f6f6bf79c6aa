//! `--help`, `man`, `completions`, colours and the quiet.

use crate::home::Home;

const COMMANDS: [&str; 23] = [
    "init",
    "discover",
    "backup",
    "import",
    "restore",
    "export",
    "list",
    "show",
    "history",
    "log",
    "diff",
    "audit",
    "verify",
    "status",
    "check",
    "key",
    "rekey",
    "compact",
    "merge",
    "forget",
    "demo",
    "completions",
    "man",
];

#[test]
fn the_help_lists_every_command_and_every_exit_code() {
    let home = Home::new();
    let help = home.run(&["--help"]).ok().out;
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
    }
    let codes = help.split("Exit codes:").nth(1).unwrap();
    for code in 0..10 {
        assert!(
            codes
                .split_whitespace()
                .any(|word| word == code.to_string()),
            "{code} in {codes}"
        );
    }
    for line in help.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    // Every command that there is was looked at here.
    let listed = help.split("Commands:").nth(1).unwrap();
    let listed = listed.split("Options:").next().unwrap();
    let count = listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .count();
    assert_eq!(count, COMMANDS.len() + 1, "and `help`");
}

#[test]
fn every_command_has_help_with_an_example() {
    let home = Home::new();
    for command in COMMANDS {
        let help = home.run(&[command, "--help"]).ok().out;
        assert!(
            help.contains(&format!("  tuskvault {command}")),
            "an example in\n{help}"
        );
        let first = help.lines().next().unwrap();
        assert!(!first.ends_with('.'), "{first}");
    }
    for command in ["add", "change", "remove", "new-file", "list"] {
        let help = home.run(&["key", command, "--help"]).ok().out;
        assert!(
            help.contains(&format!("  tuskvault key {command}")),
            "an example in\n{help}"
        );
    }
}

#[test]
fn help_never_shows_what_the_environment_holds() {
    let home = Home::new();
    let mut command = home.command(&["--help"]);
    command
        .env("TUSKVAULT_PASSWORD_COMMAND", "echo open-sesame")
        .env("TUSKVAULT_PASSWORD", "open-sesame");
    let output = command.output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(!out.contains("open-sesame"), "{out}");
}

#[test]
fn manual_pages_and_completions_are_made() {
    let home = Home::new();
    home.run(&["man"]).ok().prints(".TH tuskvault");
    for command in COMMANDS {
        home.run(&["man", command]).ok().prints(".SH NAME");
    }
    home.run(&["man", "restor"])
        .exits(2)
        .says("did you mean `restore`?");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        home.run(&["completions", shell]).ok().prints("tuskvault");
    }
    home.run(&["completions", "fsh"]).exits(2).says("fish");
}

#[test]
fn what_is_mistyped_gets_a_suggestion() {
    let home = Home::new();
    home.run(&["lsit"]).exits(2).says("list");
    home.run(&["list", "--al"]).exits(2).says("--all");
    home.run(&["export", "jsn"]).exits(2).says("json");
    home.run(&["frobnicate"]).exits(2).says("--help");
    home.run(&["import", "mastodon-pi", "x"])
        .exits(2)
        .says("did you mean `mastodon-py`?");
    home.run(&["import", "zzz", "x"])
        .exits(2)
        .says("there are thedesk, ");
    home.run(&[]).exits(2).says("Commands:");
}

#[test]
fn colours_are_for_terminals_or_on_request() {
    let home = Home::backed_up();
    let escape = "\u{1b}[";
    for arguments in [
        &["history", "*"][..],
        &["show", "nobody@nowhere.example"],
        &["log", "1"],
    ] {
        home.run(arguments).keeps_to_itself(escape);
        let mut always = arguments.to_vec();
        always.extend(["--color", "always"]);
        let ran = home.run(&always);
        assert!(ran.out.contains(escape) || ran.err.contains(escape));
        let mut never = arguments.to_vec();
        never.extend(["--color", "never"]);
        home.run(&never).keeps_to_itself(escape);
    }
}

#[test]
fn json_is_never_coloured() {
    let home = Home::backed_up();
    home.run(&["list", "--json", "--color", "always"])
        .ok()
        .keeps_to_itself("\u{1b}");
    home.run(&[
        "show",
        "nobody@nowhere.example",
        "--json",
        "--color",
        "always",
    ])
    .exits(5)
    .keeps_to_itself("\u{1b}");
}

#[test]
fn quiet_says_nothing_but_what_was_asked_for() {
    let home = Home::backed_up();
    assert_eq!(
        home.run(&["show", "ada@mastodon.example", "-q"]).ok().err,
        ""
    );
    let ran = home
        .run(&["export", "json", "--reveal", "-o", "out.json", "-q"])
        .ok();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    home.run(&["show", "nobody@nowhere.example", "-q"])
        .exits(5)
        .says("error: ");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::backed_up();
    let script = format!(
        "set -o pipefail; '{}' list --json | head -c 1 >/dev/null",
        env!("CARGO_BIN_EXE_tuskvault")
    );
    let mut command = std::process::Command::new("bash");
    let output = command
        .args(["-c", &script])
        .env("HOME", home.path())
        .env("TUSKVAULT_PASSWORD_FILE", home.file("passphrase"))
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

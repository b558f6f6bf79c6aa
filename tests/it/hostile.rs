//! Whatever a file holds, nothing of it steers the terminal, and JSON stays JSON.

use std::fs;

use serde_json::{Value, json};

use crate::home::{Home, Ran};

/// Escape sequences, bidirectional controls, ends of lines, invisible characters, quotes.
const HOSTILE: &str = "x\u{1b}[31m\u{1b}]0;t\u{7}\u{9b}2J\u{202e}\u{2066}\u{200b}\u{feff}\r\n\t\u{8}\u{7f}\u{2028}\"'\\y";

#[test]
fn no_command_lets_a_file_steer_the_terminal() {
    let home = Home::with_vault();
    let records = hostile_records();
    home.write("records", &records);
    let folder = format!("old {HOSTILE}/toot");
    let name = format!("{folder}/config.json");
    home.copy("toot/config.json", &name);
    home.edit(&home.file(&name), "UJTF", "NEWF");
    let note = ["--note", HOSTILE];
    harmless(&home, &["import", "json", "records"], 0);
    harmless(
        &home,
        &[&["import", "toot", "--path", &folder][..], &note].concat(),
        0,
    );
    harmless(&home, &["import", "auto", &folder], 0);
    harmless(&home, &[&["backup"][..], &note].concat(), 0);
    harmless(&home, &["backup", "--dry-run"], 0);
    for command in [
        &["list", "--all"][..],
        &["history", "*"],
        &["log"],
        &["log", "1"],
        &["log", "2"],
        &["diff", "yesterday"],
        &["discover"],
        &["discover", "--root", &format!("old {HOSTILE}")],
        &["status"],
        &["check"],
        &["list", "--as-of", "run:2"],
        &["export", "json"],
    ] {
        harmless(&home, command, 0);
    }
    harmless(&home, &["show", "m.example"], 6);
    harmless(&home, &["show", "n.example/*"], 6);
    harmless(&home, &["show", "nobody@n.example"], 5);
    for record in home.json(&["list", "--all"]) {
        let id = record["id"].as_str().unwrap();
        harmless(&home, &["show", id], 0);
        let ran = home.run(&[
            "restore",
            id,
            "--to",
            "toot",
            "--path",
            &folder,
            "--dry-run",
        ]);
        let code = ran.code;
        harmless(
            &home,
            &[
                "restore",
                id,
                "--to",
                "toot",
                "--path",
                &folder,
                "--dry-run",
            ],
            code,
        );
    }
    for field in [
        "app.name",
        "app.client_id",
        "app.website",
        "app.redirect_uris",
        "scopes",
    ] {
        let ran = home.run(&["show", "carl@m.example", "--field", field]);
        assert_harmless(&ran.out, field);
        assert_harmless(&ran.err, field);
    }
    // What is asked for on a terminal is spelled out as well: a token with escape sequences is no token.
    for arguments in [
        &[
            "restore",
            "n.example/*",
            "--to",
            "toot",
            "--all",
            "--path",
            &folder,
            "--yes",
        ][..],
        &["export", "csv"],
    ] {
        let ran = home.run(arguments);
        assert_harmless(&ran.err, &format!("{arguments:?}"));
    }
}

#[test]
fn no_error_quotes_what_steers_the_terminal() {
    let home = Home::with_vault();
    let folder = format!("bad {HOSTILE}");
    let toot = format!("{folder}/config.json");
    let odd = json!({
        "apps": {HOSTILE: {"base_url": HOSTILE, "client_id": HOSTILE, "client_secret": HOSTILE, "instance": HOSTILE}},
        "users": {
            HOSTILE: {"access_token": "t-1", "instance": HOSTILE, "username": "ada"},
            "b": {"access_token": "t-2", "instance": "m.example", "username": HOSTILE},
            "c": {"access_token": HOSTILE, "instance": "m.example", "username": "carl"},
            "d": {"access_token": "t-4", "instance": "m.example", "username": "dora"},
        },
    });
    home.write(&toot, odd.to_string());
    harmless(&home, &["import", "toot", "--path", &folder], 9);
    home.write(".config/toot/config.json", odd.to_string());
    harmless(&home, &["discover"], 0);
    harmless(&home, &["backup"], 9);
    harmless(&home, &["log", "1"], 0);
    for contents in [
        HOSTILE.to_owned(),
        json!({"apps": HOSTILE}).to_string(),
        format!("{{\"{HOSTILE}\": 1"),
    ] {
        fs::write(home.file(&toot), contents).unwrap();
        harmless(&home, &["import", "toot", "--path", &folder], 8);
        harmless(&home, &["import", "auto", &folder], 8);
    }
    for records in [
        json!({"instance": HOSTILE, "access_token": "t"}),
        json!({"instance": "m.example", "access_token": "t", HOSTILE: 1}),
        json!({"instance": "m.example", "access_token": HOSTILE}),
        json!({"instance": "m.example", "access_token": "t", "status": HOSTILE}),
        json!({"instance": "m.example", "access_token": "t", "created_at": HOSTILE}),
    ] {
        home.write("records", records.to_string());
        let code = home.run(&["import", "json", "records"]).code;
        harmless(&home, &["import", "json", "records"], code);
    }
    let missing = format!("gone {HOSTILE}");
    harmless(&home, &["import", "toot", "--path", &missing], 8);
    harmless(&home, &["list", "--vault", &missing], 1);
    harmless(&home, &["list", "--password-file", &missing], 2);
    harmless(&home, &["list", "--key-file", &missing], 2);
    harmless(
        &home,
        &[
            "init",
            "--vault",
            &missing,
            "--kdf-memory",
            "8",
            "--kdf-iterations",
            "1",
        ],
        0,
    );
    harmless(&home, &["init", "--vault", &missing, "--dry-run"], 1);
    harmless(&home, &["compact", "--vault", &missing], 0);
    harmless(&home, &["key", "new-file", &missing], 1);
    harmless(&home, &["export", "json", "-o", &missing], 8);
    harmless(
        &home,
        &["export", "json", "-o", &format!("out {HOSTILE}")],
        0,
    );
    harmless(&home, &["list", "--as-of", HOSTILE], 2);
    harmless(&home, &["import", HOSTILE], 2);
    harmless(&home, &[HOSTILE], 2);
    harmless(&home, &["show", "m.example", HOSTILE], 2);
}

fn hostile_records() -> String {
    let record = |instance: &str, user: Option<&str>, number: u32| {
        json!({
            "instance": instance,
            "user": user,
            "access_token": format!("token-{number}"),
            "app": {
                "name": format!("{number}{HOSTILE}"),
                "client_id": format!("id-{number}{HOSTILE}"),
                "client_secret": format!("secret-{number}"),
                "redirect_uris": [HOSTILE],
                "scopes": [format!("read{}", HOSTILE.split(char::is_whitespace).next().unwrap())],
                "website": HOSTILE,
            },
            "token_type": HOSTILE,
            "scopes": [format!("read{}", HOSTILE.split(char::is_whitespace).next().unwrap())],
        })
        .to_string()
    };
    let user = format!("carl{HOSTILE}");
    [
        record("m.example", Some("carl"), 1),
        record("m.example", Some(&user), 2),
        record("n.example", None, 3),
        record("n.example", Some("ada"), 4),
    ]
    .join("\n")
}

/// Runs the command for people (with and without colours) and for scripts.
#[track_caller]
fn harmless(home: &Home, arguments: &[&str], code: i32) {
    for more in [&["-v"][..], &["--color", "always"]] {
        let ran = home.run(&[arguments, more].concat()).once(code, arguments);
        let plain = ran.out.replace(BOLD, "").replace(RESET, "");
        assert_harmless(&plain, &format!("{arguments:?}"));
        let mut err = ran.err.clone();
        for style in [
            RESET,
            BOLD,
            "\u{1b}[31m",
            "\u{1b}[33m",
            "\u{1b}[36m",
            "\u{1b}[4m",
            "\u{1b}[32m",
        ] {
            if more == ["--color", "always"] {
                err = err.replace(style, "");
            }
        }
        assert_harmless(&err, &format!("{arguments:?}"));
    }
    let ran = home
        .run(&[arguments, &["--json"]].concat())
        .once(code, arguments);
    assert_harmless(&ran.out, &format!("{arguments:?} --json"));
    assert_harmless(&ran.err, &format!("{arguments:?} --json"));
    for line in ran.out.lines().chain(ran.err.lines()) {
        let object: Result<Value, _> = serde_json::from_str(line);
        assert!(
            object.is_ok_and(|object| object.is_object()),
            "{arguments:?}: {line}"
        );
    }
}

#[track_caller]
fn assert_harmless(text: &str, of: &str) {
    let steers = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if let Some(found) = text.chars().find(|c| steers(*c)) {
        let line = text.lines().find(|line| line.contains(found));
        panic!("{of}: {found:?} in {line:?}");
    }
}

const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

trait Once {
    fn once(self, code: i32, of: &[&str]) -> Self;
}

impl Once for Ran {
    /// What can be done only once is refused the second time.
    #[track_caller]
    fn once(self, code: i32, of: &[&str]) -> Self {
        let makes = matches!(of[0], "init") || of.contains(&"-o");
        if makes && matches!(self.code, 1 | 8) {
            return self;
        }
        self.exits(code)
    }
}

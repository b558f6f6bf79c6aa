//! The shapes that scripts rely on: keys and types of every object.

use std::fs;

use serde_json::Value;

use crate::home::{CHIYO, Home, INIT, NEW_TOKEN};

/// The object as a list of keys with their types, nested ones with dots.
fn shape(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    describe("", value, &mut lines);
    lines
}

fn describe(path: &str, value: &Value, lines: &mut Vec<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(text) if is_time(text) => "time",
        Value::String(text) => {
            assert_ne!(text, "", "{path}: unknown is null");
            "string"
        }
        Value::Array(items) => {
            match items.first() {
                Some(first) => describe(&format!("{path}[]"), first, lines),
                None => lines.push(format!("{path}[]")),
            }
            return;
        }
        Value::Object(object) => {
            for (key, value) in object {
                let dot = if path.is_empty() { "" } else { "." };
                describe(&format!("{path}{dot}{key}"), value, lines);
            }
            return;
        }
    };
    lines.push(format!("{path}: {kind}"));
}

fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok() && text.ends_with('Z')
}

const RECORD: &[&str] = &[
    "id: string",
    "instance: string",
    "user: string",
    "app.name: string",
    "app.client_id: string",
    "app.redirect_uris[]: string",
    "app.scopes: null",
    "app.website: null",
    "app.base_url: string",
    "app.superapp: bool",
    "app.confidential: null",
    "app.owner: null",
    "app.created_at: null",
    "token_type: string",
    "scopes: null",
    "created_at: null",
    "expires_at: null",
    "revoked_at: null",
    "status: string",
    "sources[].source: string",
    "sources[].location: string",
    "sources[].first_seen: time",
    "sources[].last_seen: time",
    "sources[].gone_at: null",
    "application_token: bool",
    "account_created_at: null",
    "verified: null",
];

const RUN: &[&str] = &[
    "run: number",
    "source: string",
    "location: string",
    "instance: null",
    "effective_at: time",
    "recorded_at: time",
    "host: string",
    "tokens.seen: number",
    "tokens.added: number",
    "tokens.changed: number",
    "tokens.gone: number",
    "tokens.unchanged: number",
    "apps.seen: number",
    "apps.added: number",
    "apps.changed: number",
    "apps.gone: number",
    "apps.unchanged: number",
    "accounts.seen: number",
    "accounts.added: number",
    "accounts.changed: number",
    "accounts.gone: number",
    "accounts.unchanged: number",
    "warnings[]",
    "outcome: string",
    "user: null",
    "note: null",
    "from_the_future: bool",
    "recorded_by.user: string",
    "recorded_by.host: string",
    "tool_version: string",
];

fn and<'a>(base: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    base.iter().chain(more).copied().collect()
}

#[test]
fn records_have_their_keys_and_no_secret() {
    let home = Home::backed_up();
    for arguments in [
        &["list"][..],
        &["show", "ada@mastodon.example"],
        &["export", "json"],
    ] {
        for record in home.json(arguments) {
            assert_eq!(shape(&record), RECORD, "{arguments:?}");
        }
    }
    let history = home.json(&["history", "ada@mastodon.example"]).remove(0);
    let events = [
        "events[].at: time",
        "events[].event: string",
        "events[].run: number",
        "events[].source: string",
        "events[].location: string",
        "events[].host: string",
        "events[].changes[]",
        "events[].fields[]",
        "kept[].source: string",
        "kept[].location: string",
        "kept[].last_seen: time",
        "kept[].run: number",
        "answers[]",
    ];
    assert_eq!(shape(&history), and(RECORD, &events));
    let came = home.json(&["diff", "1h"]).remove(0);
    let difference = ["change: string", "details[]", "fields[]"];
    assert_eq!(shape(&came), and(&difference, RECORD));
}

#[test]
fn reveal_adds_the_secrets_and_nothing_else() {
    let home = Home::backed_up();
    for arguments in [
        &["show", "ada@mastodon.example", "--reveal"][..],
        &["export", "json", "ada@mastodon.example", "--reveal"],
    ] {
        let mut record = home.json(arguments).remove(0);
        let object = record.as_object_mut().unwrap();
        assert_eq!(
            object.remove("access_token").unwrap(),
            crate::home::ADA,
            "{arguments:?}"
        );
        assert_eq!(object.remove("refresh_token").unwrap(), Value::Null);
        let app = object["app"].as_object_mut().unwrap();
        assert!(app.shift_remove("client_secret").unwrap().is_string());
        let mut found = shape(&record);
        let mut expected: Vec<String> = RECORD.iter().map(ToString::to_string).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}

#[test]
fn runs_have_their_keys() {
    let home = Home::with_vault();
    for arguments in [&["backup"][..], &["import", "toot"], &["log"]] {
        for run in home.json(arguments) {
            assert_eq!(shape(&run), RUN, "{arguments:?}");
        }
    }
    let lines = home.json(&["log", "1"]);
    assert_eq!(shape(&lines[0]), RUN);
    assert_eq!(lines.len(), 1 + 4 + 4 + 3);
    for change in &lines[1..] {
        let keys: Vec<&str> = change
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys,
            ["run", "change", "relation", "id", "instance", "user", "app"]
        );
    }
}

#[test]
fn the_other_commands_have_their_keys() {
    let home = Home::new();
    home.add_toot();
    assert_eq!(
        shape(&home.json(&["discover"])[0]),
        [
            "connector: string",
            "path: string",
            "accounts: number",
            "tokens: number",
            "warnings[]",
            "error: null"
        ]
    );
    assert_eq!(
        shape(&home.json(&INIT)[0]),
        [
            "vault: string",
            "kdf.memory_mib: number",
            "kdf.iterations: number",
            "kdf.parallelism: number"
        ]
    );
    home.run(&["backup"]).ok();
    assert_eq!(
        shape(&home.json(&["status"])[0]),
        [
            "source: string",
            "location: string",
            "host: string",
            "last_backup: time",
            "outcome: string",
            "state: string",
            "rhythm_secs: null"
        ]
    );
    assert_eq!(
        shape(&home.json(&["check"])[0]),
        [
            "vault: string",
            "sources: number",
            "runs: number",
            "tokens: number",
            "apps: number",
            "accounts: number",
            "audit_entries: number",
            "problems[]"
        ]
    );
    assert_eq!(
        shape(&home.json(&["key", "list"])[0]),
        [
            "slot: number",
            "kind: string",
            "kdf.memory_mib: number",
            "kdf.iterations: number",
            "kdf.parallelism: number",
            "created_at: time"
        ]
    );
    assert_eq!(
        shape(&home.json(&["compact"])[0]),
        [
            "vault: string",
            "before_bytes: number",
            "after_bytes: number",
            "previous: string"
        ]
    );
    home.edit(&home.toot(), CHIYO, NEW_TOKEN);
    assert_eq!(
        shape(&home.json(&["restore", "chiyo@mstdn.example.jp", "--to", "toot", "--yes"])[0]),
        [
            "id: string",
            "target: string",
            "location: string",
            "action: string",
            "detail: string",
            "backup: string",
            "dry_run: bool"
        ]
    );
}

#[test]
fn warnings_are_in_the_run() {
    let home = Home::with_vault();
    home.copy("toot/config-orphan-user.json", ".config/toot/config.json");
    let run = home.json(&["backup"]).remove(0);
    let warning = run["warnings"][0].as_str().unwrap();
    assert!(warning.contains("its app is missing"), "{warning}");
}

#[test]
fn errors_are_one_object_on_standard_error() {
    let home = Home::backed_up();
    home.write("wrong", "wrong");
    home.write("broken.json", "{");
    fs::write(
        home.file("cut.tusk"),
        &fs::read(home.vault()).unwrap()[..9000],
    )
    .unwrap();
    for (code, path, arguments) in [
        (1, true, &["list", "--vault", "nothing.tusk"][..]),
        (1, true, &INIT),
        (2, false, &["list", "--frobnicate"]),
        (2, false, &["list", "--as-of", "whenever"]),
        (2, false, &["import", "nothing", "x"]),
        (3, true, &["list", "--password-file", "wrong"]),
        (4, true, &["list", "--vault", "wrong"]),
        (4, true, &["list", "--vault", "cut.tusk"]),
        (5, false, &["show", "nobody@nowhere.example"]),
        (6, false, &["show", "*"]),
        (8, true, &["import", "toot", "broken.json"]),
        (8, true, &["import", "toot", "nothing.json"]),
        (9, true, &["status", "--vault", "other.tusk"]),
    ] {
        let mut all = arguments.to_vec();
        all.push("--json");
        let ran = home.run(&all).exits(code);
        assert_eq!(ran.out, "", "{arguments:?}");
        let error = ran.error();
        let keys: Vec<&str> = error
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, ["error", "code", "path", "hint"], "{arguments:?}");
        assert_eq!(error["code"], code);
        assert_eq!(error["path"].is_string(), path, "{arguments:?}: {error}");
        assert!(error["error"].is_string());
        // A moment that isn't understood has the ways to say it in the error itself.
        assert!(
            error["hint"].is_string() || code == 2,
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn dry_runs_answer_with_objects() {
    let home = Home::backed_up();
    for arguments in [
        &["backup", "--dry-run"][..],
        &["import", "toot", "--dry-run"],
    ] {
        assert_eq!(
            shape(&home.json(arguments)[0]),
            [
                "dry_run: bool",
                "source: string",
                "location: string",
                "effective_at: null",
                "tokens: number",
                "apps: number",
                "accounts: number",
                "warnings[]"
            ]
        );
    }
    for arguments in [
        &["compact", "--dry-run"][..],
        &["rekey", "--dry-run"],
        &["key", "remove", "0", "--dry-run"],
        &["init", "--vault", "new.tusk", "--dry-run"],
    ] {
        let would = home.json(arguments);
        assert_eq!(shape(&would[0]), ["dry_run: bool", "would: string"]);
    }
}

#[test]
fn a_pipe_is_read_once_whatever_its_name() {
    let record = br#"{"instance":"m.example","access_token":"through-a-pipe"}"#;
    for connector in ["json", "generic"] {
        let home = Home::with_vault();
        home.run_with_input(&["import", connector, "/dev/stdin"], record)
            .ok()
            .prints("1 token (1 new)");
        let pipe = home.file("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, record).unwrap()
        });
        home.run(&["import", connector, pipe.to_str().unwrap()])
            .ok()
            .prints("1 token");
        writer.join().unwrap();
        assert_eq!(home.json(&["list"]).len(), 1);
    }
}

#[test]
fn a_run_is_the_same_object_wherever_it_is_printed() {
    let home = Home::with_vault();
    home.add_toot();
    let imported = home.json(&["import", "toot"]).remove(0);
    assert_eq!(home.json(&["log"]), [imported]);
}

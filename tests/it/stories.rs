//! `history` and `diff`: what happened to a token, told as a story.

use serde_json::{Value, json};

use crate::home::{Home, NEW, Ran, texts};

const KEY: &str = "ada@m.example/bot";

const TOKEN: &str = "p5Wq0mZx3vTg7LrKc1hNdEeRtUi8oPaJbVfXzM2wA4s";

/// A vault in which a token's scopes were widened and its app's secret changed, then it was revoked, then another token
/// took its place in one of its two sources.
fn home() -> Home {
    let home = Home::with_vault();
    let token = |scopes: &str, secret: &str, revoked: Option<&str>| {
        let app = json!({"name": "bot", "client_id": "c1", "client_secret": secret});
        json!({"instance": "m.example", "user": "ada", "access_token": TOKEN, "scopes": [scopes, "follow"],
            "revoked_at": revoked, "app": app})
    };
    let config = |token: &str| json!({"instance": "m.example", "access_token": token});
    let revoked = token("write", "hush2", Some("2026-03-03T11:00:00Z"));
    for (connector, file, day, contents) in [
        ("json", "one.json", "01", token("read", "hush1", None)),
        ("json", "one.json", "02", token("write", "hush2", None)),
        ("generic", "two.json", "02", config(TOKEN)),
        ("json", "one.json", "03", revoked),
        ("generic", "two.json", "04", config(NEW)),
    ] {
        home.write(file, contents.to_string());
        let at = format!("2026-03-{day}T12:00:00Z");
        home.run(&["import", connector, file, "--at", &at, "--accept-shrink"])
            .ok();
    }
    home
}

fn in_berlin(home: &Home, arguments: &[&str]) -> String {
    let mut command = home.command(arguments);
    command.env("TZ", "Europe/Berlin");
    Ran::of(arguments, command.output().unwrap()).ok().out
}

/// What a person reads, without the ids, which differ from vault to vault, and with the home as a tilde.
fn read(home: &Home, arguments: &[&str]) -> Vec<String> {
    let text = in_berlin(home, arguments);
    let text = text.replace(home.path().to_str().unwrap(), "~");
    let is_id = |word: &str| word.starts_with("tk_");
    let blank = |word: &str| (if is_id(word) { "tk_…" } else { word }).to_owned();
    let lines = text.lines();
    lines
        .map(|line| line.split(' ').map(blank).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn history_reads_like_a_story() {
    let home = home();
    assert_eq!(
        read(&home, &["history", KEY]),
        [
            "ada@m.example/bot: 1 token",
            "  tk_…  revoked on 2026-03-03 12:00",
            "    2026-03-01 13:00  first seen (run 1, json ~/one.json)",
            "    2026-03-02 13:00  first seen (run 3, generic ~/two.json)",
            "    2026-03-02 13:00  scopes \"read follow\" → \"write follow\" (widened by \"write\", narrowed by \"read\"); \
             client_secret of the app changed (run 2, json ~/one.json)",
            "    2026-03-03 13:00  revoked on 2026-03-03 12:00 (run 4, json ~/one.json)",
            "    2026-03-04 13:00  not there any more (run 5, generic ~/two.json)",
            "    2026-03-03 13:00  still there (run 4, json ~/one.json)",
        ]
    );
    let then = read(&home, &["history", KEY, "--as-of", "run:1"]);
    assert_eq!(
        then[3],
        "    2026-03-01 13:00  still there (run 1, json ~/one.json)"
    );
}

#[test]
fn a_history_in_json_names_the_fields_and_where_the_token_is_kept() {
    let home = home();
    let told = home.json(&["history", KEY]).remove(0);
    let events = told["events"].as_array().unwrap();
    assert_eq!(
        texts(events, "event"),
        ["appeared", "appeared", "changed", "changed", "vanished"]
    );
    assert_eq!(
        events[2]["fields"],
        json!([
            {"field": "scopes", "from": ["read", "follow"], "to": ["write", "follow"]},
            {"field": "app.client_secret"},
        ])
    );
    assert_eq!(
        events[3]["changes"],
        json!(["revoked on 2026-03-03T11:00:00Z"])
    );
    assert_eq!(
        events[3]["fields"],
        json!([{"field": "revoked_at", "from": null, "to": "2026-03-03T11:00:00Z"}])
    );
    let kept = told["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["run"], 4);
    assert_eq!(kept[0]["last_seen"], "2026-03-03T12:00:00Z");
    assert!(!told.to_string().contains("hush"));
}

#[test]
fn what_comes_back_otherwise_than_it_went_is_told_so() {
    let home = Home::with_vault();
    let config = |token: &str, scopes: &str, secret: &str| {
        json!({"instance": "m.example", "username": "ada", "access_token": token, "scopes": scopes,
            "client_id": "c1", "client_secret": secret})
    };
    for (day, contents) in [
        ("01", config(TOKEN, "read", "hush1")),
        ("02", config(NEW, "read", "hush1")),
        ("03", config(TOKEN, "read write", "hush2")),
        ("04", config(NEW, "read write", "hush2")),
        ("05", config(TOKEN, "read write", "hush2")),
    ] {
        home.write("bot.json", contents.to_string());
        let at = format!("2026-03-{day}T12:00:00Z");
        home.run(&["import", "generic", "bot.json", "--at", &at])
            .ok();
    }
    let key = "ada@m.example";
    let told = home.json(&["history", key]).into_iter();
    let told: Vec<Value> = told.map(|token| token["events"].clone()).collect();
    let [one, _] = told.as_slice() else {
        panic!("{told:?}")
    };
    let events = one.as_array().unwrap();
    assert_eq!(
        texts(events, "event"),
        ["appeared", "vanished", "returned", "vanished", "returned"]
    );
    assert_eq!(
        events[2]["fields"],
        json!([
            {"field": "scopes", "from": ["read"], "to": ["read", "write"]},
            {"field": "app.client_secret"},
        ])
    );
    assert_eq!(events[4]["fields"], json!([]));
    let story = read(&home, &["history", key]);
    let again = "    2026-03-03 13:00  there again: scopes \"read\" → \"read write\" (widened by \"write\"); client_secret of the \
                 app changed (run 3, generic ~/bot.json)";
    assert!(story.iter().any(|line| line == again), "{story:#?}");
}

#[test]
fn diff_groups_by_instance_and_key_and_tells_an_app_once() {
    let home = home();
    assert_eq!(
        read(&home, &["diff", "run:1", "run:2"]),
        [
            "m.example",
            "  ~ application m.example/bot: client_secret of the app changed (json ~/one.json)",
            "  ada@m.example/bot",
            "    ~ tk_…  scopes \"read follow\" → \"write follow\" (widened by \"write\", narrowed by \"read\"); also in \
             generic ~/two.json",
        ]
    );
    assert_eq!(
        read(&home, &["diff", "run:2", "run:5"]),
        [
            "m.example",
            "  ada@m.example/bot",
            "    ~ tk_…  revoked on 2026-03-03 12:00; no longer in generic ~/two.json",
            "  ?@m.example",
            "    + tk_…  came",
        ]
    );
}

#[test]
fn diff_in_json_is_an_object_for_each_change() {
    let home = home();
    let told = home.json(&["diff", "run:1", "run:2"]);
    let fields = |object: &Value| {
        let fields = object["fields"].as_array().unwrap();
        texts(fields, "field").join(" ")
    };
    assert_eq!(texts(&told, "change"), ["changed", "changed"]);
    assert_eq!(fields(&told[0]), "scopes sources");
    assert_eq!(told[1]["relation"], "apps");
    assert_eq!(told[1]["app"], "bot");
    assert_eq!(told[1]["source"], "json");
    assert_eq!(fields(&told[1]), "app.client_secret");
    assert_eq!(
        told[1]["details"],
        json!(["client_secret of the app changed"])
    );
}

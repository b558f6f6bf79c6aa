//! `list`, `show`, `history`, `log`, `diff`: the same vault asked in every way, at every moment.

use crate::home::{ADA, CHIYO, Home, NEW, texts};

/// The access token that a question comes to.
fn token(home: &Home, question: &[&str]) -> String {
    let ran = home.run(&[&["show", "--field", "access_token"], question].concat());
    ran.ok().out.trim_end().to_owned()
}

#[test]
fn every_form_of_a_moment_asks_the_past() {
    let home = Home::with_past();
    let chiyo = "chiyo@mstdn.example.jp";
    for (when, expected) in [
        ("run:1", CHIYO),
        ("run:2", NEW),
        ("2026-03-01T12:00:00Z", CHIYO),
        ("2026-03-03T12:59:59+01:00", CHIYO),
        ("2026-03-03T13:00:00+01:00", NEW),
        ("2026-03-01", CHIYO),
        ("2026-03-02", CHIYO),
        ("2026-03-03", NEW),
        ("2026-03-03 11:59", CHIYO),
        ("2026-03-03 12:00", NEW),
        ("1h", NEW),
        ("1 hour ago", NEW),
        ("yesterday", NEW),
        ("now", NEW),
    ] {
        assert_eq!(token(&home, &[chiyo, "--as-of", when]), expected, "{when}");
    }
    home.run(&["show", chiyo, "--as-of", "2026-02-28"]).exits(5);
    home.run(&["show", chiyo, "--as-of", "run:3"])
        .exits(5)
        .says("tuskvault log");
    home.run(&["show", chiyo, "--as-of", "soon"])
        .exits(2)
        .says("RFC 3339");
}

#[test]
fn list_shows_what_was_active_then_and_all_the_rest_too() {
    let home = Home::with_past();
    let tokens = |question: &[&str]| home.json(&[&["list"], question].concat()).len();
    assert_eq!(tokens(&[]), 4);
    assert_eq!(tokens(&["--all"]), 5);
    assert_eq!(tokens(&["--all", "--as-of", "run:1"]), 4);
    assert_eq!(tokens(&["--all", "--as-of", "2026-02-01"]), 0);
    let gone = home.json(&["list", "--all", "chiyo@*"]);
    let mut status = texts(&gone, "status");
    status.sort_unstable();
    assert_eq!(status, ["active", "gone"]);
    home.run(&["list", "--as-of", "2026-02-01"])
        .ok()
        .says("no active token");
}

#[test]
fn patterns_match_each_part() {
    let home = Home::backed_up();
    for (pattern, count) in [
        ("mastodon.example", 2),
        ("ada@mastodon.example", 1),
        ("ada*@mastodon.example", 2),
        ("*@*.example", 3),
        ("*", 4),
        ("*/toot", 4),
        ("*/TOOT", 4),
        ("*/vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo", 2),
        ("ADA@Mastodon.Example", 1),
    ] {
        assert_eq!(home.json(&["list", pattern]).len(), count, "{pattern}");
    }
    home.run(&["list", "nobody@mastodon.example"]).exits(5);
    home.run(&["list", "*/whalebird"]).exits(5);
    home.run(&["list", "ad@mastodon.example"])
        .exits(5)
        .says("did you mean ada@mastodon.example");
    home.run(&["list", "@"]).exits(2);
    home.run(&["show", "mastodon.example"])
        .exits(6)
        .says("ada_bot@mastodon.example");
}

#[test]
fn an_id_may_be_shortened_to_four_characters() {
    let home = Home::backed_up();
    let records = home.json(&["list"]);
    for record in &records {
        let id = record["id"].as_str().unwrap();
        for length in [7, 9, id.len()] {
            let shown = home.json(&["show", &id[..length]]);
            assert_eq!(shown[0]["id"], *id);
        }
        home.run(&["show", &id[..6]]).exits(2).says("4");
    }
    home.run(&["show", "tk_aaaaaaaa"]).exits(5);
}

#[test]
fn a_tilde_and_a_number_take_an_earlier_token() {
    let home = Home::with_past();
    let chiyo = "chiyo@mstdn.example.jp/toot";
    assert_eq!(token(&home, &[chiyo]), NEW);
    assert_eq!(token(&home, &[&format!("{chiyo}~0")]), NEW);
    assert_eq!(token(&home, &[&format!("{chiyo}~1")]), CHIYO);
    home.run(&["show", &format!("{chiyo}~2")])
        .exits(5)
        .says("1 earlier token");
    home.run(&["show", &format!("{chiyo}~1"), "--as-of", "run:1"])
        .exits(5);
    let listed = home.json(&["list", &format!("{chiyo}~1")]);
    assert_eq!(texts(&listed, "status"), ["gone"]);
    let told = home.json(&["history", &format!("{chiyo}~1")]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["id"], listed[0]["id"]);
}

#[test]
fn show_prints_every_field_alone() {
    let home = Home::with_vault();
    let record = r#"{"instance":"m.example","user":"ada","access_token":"-a1","refresh_token":"r1","token_type":"Bearer",
        "scopes":["read","write:media"],"created_at":"2026-01-02T03:04:05Z","expires_at":"2099-01-01T00:00:00.25Z",
        "revoked_at":"2026-05-01T00:00:00Z","account_created_at":"2020-01-01T00:00:00Z",
        "app":{"name":"my bot","client_id":"c1","client_secret":"s1","redirect_uris":["urn:a","https://b.example/"],
        "scopes":["read"],"website":"https://w.example","base_url":"https://api.m.example","superapp":false,
        "confidential":true,"owner":"ada","created_at":"2026-01-01T00:00:00Z"}}"#;
    home.write("all.json", format!("[{record}]"));
    home.write(
        "few.json",
        r#"{"instance":"n.example","access_token":"b1"}"#,
    );
    home.run(&["import", "json", "all.json"]).ok();
    home.run(&["import", "json", "few.json"]).ok();
    let id = home.json(&["list", "m.example", "--all"])[0]["id"].clone();
    for (field, value) in [
        ("id", id.as_str().unwrap()),
        ("instance", "m.example"),
        ("user", "ada"),
        ("access_token", "-a1"),
        ("refresh_token", "r1"),
        ("token_type", "Bearer"),
        ("scopes", "read write:media"),
        ("created_at", "2026-01-02T03:04:05Z"),
        ("expires_at", "2099-01-01T00:00:00.25Z"),
        ("revoked_at", "2026-05-01T00:00:00Z"),
        ("status", "revoked"),
        ("application_token", "false"),
        ("account_created_at", "2020-01-01T00:00:00Z"),
        ("app.name", "my bot"),
        ("app.client_id", "c1"),
        ("app.client_secret", "s1"),
        ("app.redirect_uris", "urn:a https://b.example/"),
        ("app.scopes", "read"),
        ("app.website", "https://w.example"),
        ("app.base_url", "https://api.m.example"),
        ("app.superapp", "false"),
        ("app.confidential", "true"),
        ("app.owner", "ada"),
        ("app.created_at", "2026-01-01T00:00:00Z"),
    ] {
        let ran = home.run(&["show", "m.example", "--field", field]).ok();
        assert_eq!(ran.out, format!("{value}\n"), "{field}");
    }
    for field in ["user", "refresh_token", "scopes", "app.client_secret"] {
        home.run(&["show", "n.example", "--field", field])
            .exits(5)
            .says("is not known");
    }
    home.run(&["show", "n.example", "--field", "acces_token"])
        .exits(2)
        .says("access_token");
    let object = home.json(&["show", "m.example", "--field", "scopes"]);
    assert_eq!(object[0]["value"][1], "write:media");
}

#[test]
fn show_hides_secrets_until_they_are_asked_for() {
    let home = Home::backed_up();
    let ran = home
        .run(&["show", "ada@mastodon.example"])
        .ok()
        .says("--reveal")
        .prints("ada@mastodon.example/toot");
    assert!(!ran.out.contains(ADA));
    home.run(&["show", "ada@mastodon.example", "--reveal"])
        .ok()
        .prints(ADA)
        .prints("MHfCpw4JpU1Gbj2jzFdJMLqt1q7L_7Ooz6iIfLuGmMc");
}

#[test]
fn history_tells_every_token_of_a_key() {
    let home = Home::with_past();
    let told = home.json(&["history", "chiyo@mstdn.example.jp/toot"]);
    let events: Vec<Vec<&str>> = told
        .iter()
        .map(|token| texts(token["events"].as_array().unwrap(), "event"))
        .collect();
    assert_eq!(events, [vec!["appeared", "vanished"], vec!["appeared"]]);
    assert_eq!(told[0]["events"][1]["run"], 2);
    assert_eq!(told[0]["events"][1]["at"], "2026-03-03T12:00:00Z");
    home.run(&["history", "chiyo@mstdn.example.jp/toot"])
        .ok()
        .prints("2026-03-03 12:00  not there any more (run 2, toot");
    let then = home.json(&["history", "chiyo@*", "--as-of", "run:1"]);
    assert_eq!(texts(&then, "status"), ["active"]);
    home.run(&["history", "nobody@mstdn.example.jp"]).exits(5);
}

#[test]
fn log_chooses_runs_by_source_and_time() {
    let home = Home::with_past();
    home.import_bot();
    let runs = |question: &[&str]| -> Vec<u64> {
        let runs = home.json(&[&["log"], question].concat());
        runs.iter()
            .map(|run| run["run"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(runs(&[]), [1, 2, 3]);
    assert_eq!(runs(&["--source", "toot"]), [1, 2]);
    assert_eq!(runs(&["--source", "bot/config"]), [3]);
    assert_eq!(runs(&["--since", "2026-03-02"]), [2, 3]);
    assert_eq!(runs(&["--since", "run:2", "--source", "toot"]), [2]);
    assert_eq!(runs(&["--since", "1h"]), [3]);
    home.run(&["log", "--source", "whalebird"])
        .exits(5)
        .says("no such run");
    home.run(&["log", "1", "--source", "toot"]).exits(2);
}

#[test]
fn log_of_one_run_lists_its_changes() {
    let home = Home::with_past();
    let lines = home.json(&["log", "2"]);
    assert_eq!(lines[0]["run"], 2);
    let changes: Vec<(&str, &str)> = lines[1..]
        .iter()
        .map(|line| {
            (
                line["change"].as_str().unwrap(),
                line["user"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(changes, [("added", "chiyo"), ("gone", "chiyo")]);
    home.run(&["log", "2"])
        .ok()
        .prints("true at 2026-03-03 12:00")
        .prints("gone");
    home.run(&["log", "4"]).exits(5).says("tuskvault log");
    home.run(&["backup"]).ok();
    home.run(&["log", "3"]).ok();
}

#[test]
fn diff_tells_what_came_and_went_between_two_moments() {
    let home = Home::with_past();
    let changes = |question: &[&str]| -> Vec<String> {
        let differences = home.json(&[&["diff"], question].concat());
        let mut changes: Vec<String> = differences
            .iter()
            .map(|difference| {
                let user = difference["user"].as_str().unwrap();
                format!("{} {user}", difference["change"].as_str().unwrap())
            })
            .collect();
        changes.sort();
        changes
    };
    assert_eq!(changes(&["run:1"]), ["came chiyo", "went chiyo"]);
    assert_eq!(
        changes(&["2026-03-01", "2026-03-03"]),
        ["came chiyo", "went chiyo"]
    );
    assert_eq!(changes(&["2026-02-01", "run:1"]).len(), 4);
    assert_eq!(changes(&["run:2"]), [""; 0]);
    home.run(&["diff", "run:1"]).ok().prints("+ tk_");
    home.run(&["diff", "run:2"]).ok().says("nothing came");
    home.run(&["diff", "run:2", "run:1"])
        .exits(2)
        .says("earlier one first");
    home.run(&["diff"]).exits(2);
    home.run(&["diff", "run:9"]).exits(5);
}

#[test]
fn an_empty_vault_answers_calmly() {
    let home = Home::with_vault();
    home.run(&["list"]).ok().says("no active token");
    home.run(&["list", "--all"]).ok().says("no token");
    home.run(&["log"]).ok().says("no run");
    home.run(&["show", "ada@mastodon.example"]).exits(5);
    home.run(&["history", "*"]).exits(5);
    home.run(&["log", "1"]).exits(5);
    home.run(&["diff", "run:1"]).exits(5);
    home.run(&["check"]).ok().prints("is well");
    home.run(&["compact"]).ok();
}

#[test]
fn without_a_vault_reading_names_init() {
    let home = Home::new();
    for question in [
        &["list"][..],
        &["show", "m.example"],
        &["history", "m.example"],
        &["log"],
        &["diff", "1d"],
        &["check"],
        &["key", "list"],
        &["compact"],
    ] {
        home.run(question).exits(1).says("tuskvault init");
    }
}

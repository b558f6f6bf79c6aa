//! `export`: every format, what it reveals, and that the way into another vault loses nothing.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::home::{ADA, CHIYO, Home, NEW, mode};

const SECRET: &str = "MHfCpw4JpU1Gbj2jzFdJMLqt1q7L_7Ooz6iIfLuGmMc";

/// Records without what belongs to the vault that wrote them, sorted.
fn essence(text: &str) -> BTreeSet<String> {
    let lines = text.lines();
    lines
        .map(|line| {
            let mut object: Value = serde_json::from_str(line).unwrap();
            let keys = object.as_object_mut().unwrap();
            keys.shift_remove("id").unwrap();
            keys.shift_remove("sources").unwrap();
            object.to_string()
        })
        .collect()
}

/// An answer without ids, which every vault derives with a key of its own, and so without their order.
fn answer(home: &Home, question: &[&str]) -> Vec<String> {
    let mut objects = home.json(question);
    for object in &mut objects {
        object.as_object_mut().unwrap().shift_remove("id");
    }
    let mut lines: Vec<String> = objects.iter().map(Value::to_string).collect();
    lines.sort();
    lines
}

#[test]
fn no_format_shows_a_secret_without_reveal() {
    let home = Home::backed_up();
    for format in ["json", "csv"] {
        let open = home
            .run(&["export", format])
            .ok()
            .prints("mastodon.example");
        assert!(!open.out.contains(ADA) && !open.out.contains(SECRET));
        home.run(&["export", format, "--reveal"])
            .ok()
            .prints(ADA)
            .prints(SECRET);
    }
    for format in ["dotenv", "rails"] {
        let ran = home.run(&["export", format]).exits(2).says("--reveal");
        assert_eq!(ran.out, "");
        home.run(&["export", format, "--reveal"])
            .ok()
            .prints(ADA)
            .prints(SECRET);
    }
    home.run(&["export", "json", "--history"])
        .exits(2)
        .says("--reveal");
    home.run(&["export", "csv", "--history", "--reveal"])
        .exits(2);
    home.run(&["export", "xml"]).exits(2);
}

#[test]
fn csv_has_a_row_for_each_record() {
    let home = Home::with_past();
    let rows = |question: &[&str]| {
        let ran = home.run(&[&["export", "csv"], question].concat()).ok();
        ran.out.lines().count() - 1
    };
    assert_eq!(rows(&[]), 4);
    assert_eq!(rows(&["--all"]), 5);
    assert_eq!(rows(&["mastodon.example"]), 2);
    let then = home
        .run(&["export", "csv", "--reveal", "--as-of", "run:1"])
        .ok();
    assert!(then.out.contains(CHIYO) && !then.out.contains(NEW));
    home.run(&["export", "csv", "nobody@mastodon.example"])
        .exits(5);
}

#[test]
fn dotenv_and_rails_hold_what_a_bot_or_a_server_needs() {
    let home = Home::backed_up();
    let env = home
        .run(&["export", "dotenv", "ada@mastodon.example", "--reveal"])
        .ok()
        .out;
    assert!(
        env.contains(&format!("MASTODON_ACCESS_TOKEN={ADA}\n")),
        "{env}"
    );
    home.run_with_input(&["import", "dotenv", "-", "--user", "ada"], env.as_bytes())
        .ok()
        .prints("1 token");
    home.run(&["export", "rails", "ada@mastodon.example", "--reveal"])
        .ok()
        .prints("Doorkeeper")
        .prints(ADA);
}

#[test]
fn output_goes_into_a_new_private_file_and_never_over_another() {
    let home = Home::backed_up();
    home.run(&["export", "json", "--reveal", "-o", "out.json"])
        .ok()
        .says("wrote 4 records to out.json");
    let path = home.file("out.json");
    assert_eq!(mode(&path), 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 4);
    let noted = home.audit_entries();
    home.run(&["export", "json", "--reveal", "-o", "out.json"])
        .exits(8)
        .says("out.json exists already");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(home.audit_entries(), noted, "nothing was shown");
    home.run(&[
        "export",
        "json",
        "nobody@x.example",
        "--reveal",
        "-o",
        "none.json",
    ])
    .exits(5);
    assert!(!home.file("none.json").exists());
    assert_eq!(home.audit_entries(), noted, "nothing was shown");
    home.run(&["export", "json", "-o", "no/folder.json"])
        .exits(8);
    home.run(&["export", "json", "--reveal", "--history", "-o", "all.json"])
        .ok()
        .says("wrote 1 run to all.json");
    let audited = home.json(&["audit"]);
    let exported: Vec<_> = audited
        .iter()
        .filter(|object| object["event"] == "exported")
        .map(|object| {
            (
                object["format"].as_str().unwrap(),
                object["records"].as_u64().unwrap(),
            )
        })
        .collect();
    // Of the history, too, it is told how many tokens left.
    assert_eq!(exported, [("json", 4), ("json with history", 4)]);
    let standard = home.run(&["export", "json", "-o", "-"]).ok();
    assert_eq!(standard.out.lines().count(), 4);
    assert!(!home.file("-").exists());
}

#[test]
fn a_dry_run_says_what_would_be_written_and_shows_nothing() {
    let home = Home::backed_up();
    let vault = fs::read(home.vault()).unwrap();
    let ran = home
        .run(&["export", "json", "--reveal", "-o", "out.json", "--dry-run"])
        .ok();
    assert_eq!(ran.out, "would write 4 records to out.json\n");
    assert!(!home.file("out.json").exists());
    let ran = home.run(&["export", "json", "--reveal", "--dry-run"]).ok();
    assert!(ran.out.starts_with("would write 4 records") && ran.out.lines().count() == 1);
    assert!(fs::read(home.vault()).unwrap() == vault);
}

#[test]
fn what_a_format_cannot_hold_is_left_out_by_name() {
    let home = Home::with_vault();
    let lines = "{\"instance\":\"m.example\",\"access_token\":\"a b\"}\n{\"instance\":\"n.example\",\"access_token\":\"ok\"}\n";
    home.run_with_input(&["import", "json", "-"], lines.as_bytes())
        .ok();
    home.run(&["export", "dotenv", "--reveal", "-o", "out.env"])
        .exits(9)
        .says("left out tk_")
        .says("wrote 1 record to out.env");
    home.run(&[
        "export",
        "dotenv",
        "m.example",
        "--reveal",
        "-o",
        "none.env",
    ])
    .exits(8)
    .says("left out tk_");
    assert!(!home.file("none.env").exists());
}

#[test]
fn records_reach_another_vault_without_loss() {
    let home = Home::with_past();
    let full = r#"{"instance":"m.example","user":"ada","access_token":"-a1","refresh_token":"r1","token_type":"Bearer",
        "scopes":["read","write:media"],"created_at":"2026-01-02T03:04:05.123456Z","expires_at":"2099-01-01T00:00:00Z",
        "revoked_at":"2026-05-01T00:00:00Z","account_created_at":"2020-01-01T00:00:00Z",
        "app":{"name":"my bot","client_id":"c1","client_secret":"s1","redirect_uris":["urn:a","https://b.example/"],
        "scopes":["read"],"website":"https://w.example","base_url":"https://api.m.example","superapp":true,
        "confidential":false,"owner":"eve","created_at":"2026-01-01T00:00:00Z"}}"#;
    let own = r#"{"instance":"m.example","access_token":"a2","application_token":true,"app":{"client_id":"c2"}}"#;
    home.write(
        "more.json",
        format!("[{full},{own},{{\"instance\":\"n.example\",\"access_token\":\"🐘\"}}]"),
    );
    home.run(&["import", "json", "more.json"]).ok();
    let export = ["export", "json", "--all", "--reveal"];
    let here = home.run(&export).ok().out;
    assert_eq!(here.lines().count(), 8);
    let other = Home::with_vault();
    other
        .run_with_input(&["import", "json", "-"], here.as_bytes())
        .ok();
    let there = other.run(&export).ok().out;
    let gone = |text: &BTreeSet<String>| -> BTreeSet<String> {
        // That it is in no source any more is the other vault's own observation.
        text.iter()
            .map(|line| line.replace("\"status\":\"gone\"", "\"status\":\"active\""))
            .collect()
    };
    assert_eq!(gone(&essence(&here)), gone(&essence(&there)));
}

#[test]
fn history_reaches_another_vault_with_times_and_authors() {
    let home = Home::backed_up();
    home.run(&["backup", "--note", "again"]).ok();
    home.back_up_new_token();
    home.import_bot();
    let history = home
        .run(&["export", "json", "--reveal", "--history"])
        .ok()
        .out;
    let other = Home::with_vault();
    let import = |text: &str| {
        let mut command = other.command(&["import", "json", "history.json"]);
        other.write("history.json", text);
        command.env("USER", "somebody-else");
        assert!(command.output().unwrap().status.success());
    };
    import(&history);
    for question in [
        &["log"][..],
        &["log", "3"],
        &["diff", "run:1"],
        &["diff", "run:2", "run:3"],
        &["history", "*"],
        &["list", "--all"],
        &["list", "--as-of", "run:1"],
        &["list", "--all", "--as-of", "run:3"],
        &["show", "chiyo@mstdn.example.jp/toot~1"],
    ] {
        assert_eq!(
            answer(&home, question),
            answer(&other, question),
            "{question:?}"
        );
    }
    let revealed = ["export", "json", "--all", "--reveal"];
    assert_eq!(answer(&home, &revealed), answer(&other, &revealed));
    let before = other.json(&["log"]);
    import(&history);
    assert_eq!(other.json(&["log"]), before);
    other
        .run(&["import", "json", "history.json"])
        .ok()
        .says("4 were known already");
    other.run(&["check"]).ok();
}

#[test]
fn a_history_that_was_cut_off_adds_nothing() {
    let home = Home::backed_up();
    let history = home
        .run(&["export", "json", "--reveal", "--history"])
        .ok()
        .out;
    let cut = history.lines().count() - 1;
    let cut: Vec<&str> = history.lines().take(cut).collect();
    let other = Home::with_vault();
    other.write("cut.json", cut.join("\n"));
    other.run(&["import", "json", "cut.json"]).exits(8);
    assert_eq!(other.json(&["log"]).len(), 0);
}

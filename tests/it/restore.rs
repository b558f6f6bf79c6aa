//! `restore`: what is planned is what is written, byte for byte, and nothing else.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use crate::home::{ADA, CHIYO, Home, NEW, mode, texts};

const KEY: &str = "chiyo@mstdn.example.jp/toot";

/// A home whose toot has a new token of chiyo, backed up, and what toot's file was before.
fn moved_on() -> (Home, Vec<u8>) {
    let home = Home::backed_up();
    let before = fs::read(home.toot()).unwrap();
    home.back_up_new_token();
    (home, before)
}

fn restore_earlier(home: &Home, more: &[&str]) -> crate::home::Ran {
    home.run(&[&["restore", &format!("{KEY}~1"), "--to", "toot"], more].concat())
}

#[test]
fn every_connector_gets_its_earlier_file_back_byte_for_byte() {
    for (connector, sample, place, token, selector) in [
        (
            "toot",
            "toot/config.json",
            ".config/toot/config.json",
            CHIYO,
            KEY,
        ),
        (
            "mastodon-py",
            "mastodon-py/bot_usercred.secret",
            "py/bot_usercred.secret",
            ADA,
            "mastodon.example",
        ),
        ("dotenv", "dotenv/.env", "bot/.env", ADA, "mastodon.example"),
        (
            "generic",
            "generic/config.json",
            "bot/config.json",
            ADA,
            "mastodon.example",
        ),
        (
            "generic",
            "generic/bot.yaml",
            "bot/bot.yaml",
            CHIYO,
            "chiyo@mstdn.example.jp",
        ),
        (
            "generic",
            "generic/config.toml",
            "bot/config.toml",
            CHIYO,
            "mstdn.example.jp",
        ),
        (
            "generic",
            "generic/settings.json5",
            "bot/settings.json5",
            ADA,
            "ada@mastodon.example",
        ),
    ] {
        let home = Home::new();
        home.run(&crate::home::INIT).ok();
        let path = home.copy(sample, place);
        home.run(&["import", connector, place]).ok();
        let before = fs::read(&path).unwrap();
        home.edit(&path, token, NEW);
        home.run(&["backup"]).ok();
        let to = ["--to", connector, "--path", place, "--yes"];
        home.run(&[&["restore", &format!("{selector}~1")], &to[..]].concat())
            .ok();
        assert!(fs::read(&path).unwrap() == before, "{sample}");
        // What was restored is then backed up as the current one again.
        home.run(&["backup"]).ok();
        let again = home
            .run(&["show", selector, "--field", "access_token"])
            .ok();
        assert_eq!(again.out.trim_end(), token, "{sample}");
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let (home, _) = moved_on();
    let (vault, toot) = (
        fs::read(home.vault()).unwrap(),
        fs::read(home.toot()).unwrap(),
    );
    restore_earlier(&home, &["--dry-run"])
        .ok()
        .prints("replace tk_")
        .says("note:");
    let plan = restore_earlier(&home, &["--dry-run", "--json"])
        .ok()
        .objects();
    assert_eq!(plan[0]["action"], "updated");
    assert_eq!(plan[0]["dry_run"], true);
    assert!(fs::read(home.vault()).unwrap() == vault);
    assert_eq!(fs::read(home.toot()).unwrap(), toot);
    assert_eq!(home.files_in(".config/toot"), ["config.json"]);
}

#[test]
fn without_a_terminal_only_yes_restores() {
    let (home, before) = moved_on();
    let toot = fs::read(home.toot()).unwrap();
    restore_earlier(&home, &[]).exits(2).says("--yes");
    assert_eq!(fs::read(home.toot()).unwrap(), toot);
    restore_earlier(&home, &["-y"]).ok();
    assert_eq!(fs::read(home.toot()).unwrap(), before);
}

#[test]
fn the_former_file_is_kept_private_beside_it() {
    let (home, _) = moved_on();
    let former = fs::read(home.toot()).unwrap();
    let done = restore_earlier(&home, &["--yes", "--json"]).ok().objects();
    let kept = PathBuf::from(done[0]["backup"].as_str().unwrap());
    assert_eq!(kept.parent(), home.toot().parent());
    assert_eq!(mode(&kept), 0o600);
    assert_eq!(fs::read(kept).unwrap(), former);
    assert_eq!(mode(&home.toot()), 0o600);
    assert_eq!(home.files_in(".config/toot").len(), 2);
}

#[test]
fn a_symlinked_configuration_stays_a_link() {
    let (home, before) = moved_on();
    let real = home.file("dotfiles/toot.json");
    fs::create_dir_all(real.parent().unwrap()).unwrap();
    fs::rename(home.toot(), &real).unwrap();
    symlink(&real, home.toot()).unwrap();
    restore_earlier(&home, &["--yes"]).ok();
    assert!(fs::symlink_metadata(home.toot()).unwrap().is_symlink());
    assert_eq!(fs::read(real).unwrap(), before);
}

#[test]
fn what_is_there_already_is_not_written() {
    let home = Home::backed_up();
    let modified = fs::metadata(home.toot()).unwrap().modified().unwrap();
    let noted = home.audit_entries();
    // No `--yes`: there is nothing to agree to.
    home.run(&["restore", KEY, "--to", "toot"])
        .ok()
        .prints("keep tk_");
    let done = home.json(&["restore", KEY, "--to", "toot"]);
    assert_eq!(done[0]["action"], "unchanged");
    assert_eq!(
        fs::metadata(home.toot()).unwrap().modified().unwrap(),
        modified
    );
    assert_eq!(home.files_in(".config/toot"), ["config.json"]);
    assert_eq!(home.audit_entries(), noted);
}

#[test]
fn the_past_is_restored_by_time_and_by_id() {
    let (home, before) = moved_on();
    let after = fs::read(home.toot()).unwrap();
    home.run(&["restore", KEY, "--to", "toot", "--as-of", "run:1", "--yes"])
        .ok();
    assert_eq!(fs::read(home.toot()).unwrap(), before);
    home.run(&["restore", KEY, "--to", "toot", "--yes"]).ok();
    assert_eq!(fs::read(home.toot()).unwrap(), after);
    let records = home.json(&["list", KEY, "--all"]);
    let gone = records
        .iter()
        .find(|record| record["status"] == "gone")
        .unwrap();
    let id = gone["id"].as_str().unwrap();
    home.run(&["restore", id, "--to", "toot", "--yes"]).ok();
    assert_eq!(fs::read(home.toot()).unwrap(), before);
}

#[test]
fn all_restores_every_account_that_is_missing() {
    let home = Home::backed_up();
    let before = fs::read(home.toot()).unwrap();
    home.copy("toot/config-empty.json", ".config/toot/config.json");
    home.run(&["restore", "*", "--to", "toot", "--yes"])
        .exits(6)
        .says("ada@mastodon.example");
    home.run(&[
        "restore",
        "*@mastodon.example",
        "--to",
        "toot",
        "--all",
        "--yes",
    ])
    .ok();
    let text = fs::read_to_string(home.toot()).unwrap();
    assert!(text.contains(ADA) && !text.contains(CHIYO), "{text}");
    let done = home.json(&["restore", "*", "--to", "toot", "--all", "--yes"]);
    let mut actions = texts(&done, "action");
    actions.sort_unstable();
    assert_eq!(actions, ["inserted", "inserted", "unchanged", "unchanged"]);
    let users =
        |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["users"].clone();
    assert_eq!(users(&fs::read(home.toot()).unwrap()), users(&before));
}

#[test]
fn records_go_into_the_files_of_other_programs() {
    let home = Home::backed_up();
    let env = home.write("bot/.env", "# keep\nMASTODON_API_BASE_URL=https://mstdn.example.jp\nMASTODON_ACCESS_TOKEN=old\nOTHER=1\n");
    home.run(&[
        "restore",
        KEY,
        "--to",
        "dotenv",
        "--path",
        "bot/.env",
        "--replace-app",
        "--yes",
    ])
    .ok();
    let text = fs::read_to_string(env).unwrap();
    assert!(
        text.starts_with("# keep\n") && text.contains("OTHER=1\n"),
        "{text}"
    );
    assert!(
        text.contains(&format!("MASTODON_ACCESS_TOKEN={CHIYO}\n")),
        "{text}"
    );

    let json = home.write(
        "bot/config.json",
        "{\"instance\": \"https://mstdn.example.jp\",  \"access_token\": \"old\", \"n\": 1.50}",
    );
    home.run(&[
        "restore",
        KEY,
        "--to",
        "generic",
        "--path",
        "bot/config.json",
        "--yes",
    ])
    .ok();
    assert_eq!(
        fs::read_to_string(json).unwrap(),
        format!(
            "{{\"instance\": \"https://mstdn.example.jp\",  \"access_token\": \"{CHIYO}\", \"n\": 1.50}}"
        )
    );

    let secret = home.write("bot/user.secret", "old\nhttps://mstdn.example.jp\n");
    home.run(&[
        "restore",
        KEY,
        "--to",
        "mastodon-py",
        "--path",
        "bot/user.secret",
        "--yes",
    ])
    .ok();
    let text = fs::read_to_string(secret).unwrap();
    assert!(
        text.starts_with(&format!("{CHIYO}\nhttps://mstdn.example.jp\n")),
        "{text}"
    );
}

#[test]
fn what_cannot_be_written_is_refused_with_the_reason() {
    let home = Home::backed_up();
    home.write(
        "bot/config.json",
        r#"{"instance": "mastodon.example", "access_token": "old"}"#,
    );
    let refused = home
        .run(&[
            "restore",
            KEY,
            "--to",
            "generic",
            "--path",
            "bot/config.json",
            "--json",
            "--yes",
        ])
        .exits(8);
    let done = refused.objects();
    assert_eq!(texts(&done, "action"), ["refused"]);
    assert!(done[0]["detail"].as_str().unwrap().len() > 20);
    home.write("bot/broken.json", "{");
    home.run(&[
        "restore",
        KEY,
        "--to",
        "generic",
        "--path",
        "bot/broken.json",
        "--yes",
    ])
    .exits(8)
    .says("broken.json");
    home.run(&["restore", KEY, "--to", "json", "--path", "x"])
        .exits(2)
        .says("only be read");
    home.run(&["restore", KEY, "--to", "toto"])
        .exits(2)
        .says("did you mean `toot`?");
    home.run(&["restore", KEY, "--to", "dotenv"])
        .exits(2)
        .says("--path");
    home.run(&["restore", "nobody@x.example", "--to", "toot"])
        .exits(5);
    home.run(&["restore", "*@x.example", "--to", "toot", "--all"])
        .exits(5);
    assert_eq!(home.files_in("bot"), ["broken.json", "config.json"]);
}

#[test]
fn tokens_known_to_be_revoked_are_left_out_unless_they_are_asked_for() {
    let home = Home::with_vault();
    home.copy("toot/config-empty.json", ".config/toot/config.json");
    let record = |user: &str, revoked: &str| {
        format!(
            r#"{{"instance":"m.example","user":"{user}","access_token":"t-{user}","revoked_at":{revoked},"app":{{"name":"toot","client_id":"c","client_secret":"s"}}}}"#
        )
    };
    let lines = format!(
        "{}\n{}\n",
        record("dead", "\"2026-01-01T00:00:00Z\""),
        record("live", "null")
    );
    home.run_with_input(&["import", "json", "-"], lines.as_bytes())
        .ok();
    let to = ["--to", "toot", "--yes"];
    let dead = [&["restore", "dead@m.example"], &to[..]].concat();
    home.run(&dead)
        .exits(8)
        .says("--revoked keep")
        .says("2026-01-01");
    let all = [&["restore", "*@m.example", "--all"], &to[..]].concat();
    home.run(&all).ok().prints("add tk_");
    let text = fs::read_to_string(home.toot()).unwrap();
    assert!(
        text.contains("t-live") && !text.contains("t-dead"),
        "{text}"
    );
    home.run(&[&["restore", "dead@*", "--all"], &to[..]].concat())
        .exits(5)
        .says("--revoked keep");
    home.run(&[&all[..], &["--revoked", "keep"]].concat()).ok();
    assert!(fs::read_to_string(home.toot()).unwrap().contains("t-dead"));
}

#[test]
fn revoked_tokens_never_take_the_place_of_a_current_one() {
    let (home, _) = moved_on();
    let after = fs::read(home.toot()).unwrap();
    let all = ["restore", "*", "--to", "toot", "--all", "--yes"];
    home.run(&[&all[..], &["--revoked", "keep"]].concat()).ok();
    assert_eq!(fs::read(home.toot()).unwrap(), after);
}

#[test]
fn where_some_are_refused_the_others_are_written() {
    let home = Home::backed_up();
    let bot = home.write(
        "bot/config.json",
        r#"{"instance": "mstdn.example.jp", "access_token": "old"}"#,
    );
    let to = ["--to", "generic", "--path", "bot/config.json", "--yes"];
    let ran = home
        .run(&[&["restore", "*", "--all", "--json"], &to[..]].concat())
        .exits(9);
    let mut actions: Vec<String> = texts(&ran.objects(), "action")
        .iter()
        .map(|action| (*action).to_owned())
        .collect();
    actions.sort_unstable();
    assert_eq!(actions, ["refused", "refused", "refused", "updated"]);
    assert!(fs::read_to_string(bot).unwrap().contains(CHIYO));
}

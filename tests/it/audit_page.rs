//! `audit --html`: the page is there, tells, and holds no secret.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::home::{Home, NEW};

#[test]
fn the_page_is_private_names_everything_and_holds_no_secret() {
    let home = Home::backed_up();
    home.back_up_new_token();
    home.import_bot();
    home.run(&["show", "ada@mastodon.example", "--reveal"]).ok();
    let ran = home.run(&["audit", "--html", "audit.html"]).ok();
    assert_eq!(ran.out, "");
    ran.says("wrote audit.html");
    let page = home.file("audit.html");
    let mode = fs::metadata(&page).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let html = fs::read_to_string(&page).unwrap();
    let reveal = ["export", "json", "--all", "--reveal"];
    let records = home.run(&reveal).ok().objects();
    assert_eq!(records.len(), 6);
    for record in &records {
        let instance = record["instance"].as_str().unwrap();
        let app = record["app"]["name"].as_str();
        assert!(html.contains(record["id"].as_str().unwrap()));
        assert!(html.contains(instance), "{instance}");
        assert!(app.is_none_or(|app| html.contains(app)), "{app:?}");
        for secret in [
            &record["access_token"],
            &record["refresh_token"],
            &record["app"]["client_secret"],
        ] {
            let secret = secret.as_str();
            assert!(secret.is_none_or(|secret| !html.contains(secret)));
        }
    }
    assert!(!html.contains(NEW));
    for said in [
        "the audit log is whole",
        "/.config/toot/config.json",
        "showed secrets of 1 record",
        "tester@",
        "Live tokens in one source only: 5",
        "Tokens that are gone: 1",
    ] {
        assert!(html.contains(said), "{said}");
    }
}

#[test]
fn a_token_that_was_away_is_not_shown_as_if_it_had_been_there() {
    let home = Home::with_vault();
    for (day, token) in [("01", "first"), ("02", "second"), ("05", "first")] {
        let config = format!(
            r#"{{"instance":"m.example","username":"ada","access_token":"{token}-of-the-bot"}}"#
        );
        home.write("bot.json", config);
        let at = format!("2026-03-{day}T12:00:00Z");
        home.run(&["import", "generic", "bot.json", "--at", &at])
            .ok();
    }
    let page = |name: &str, as_of: &str| {
        home.run(&["audit", "--html", name, "--as-of", as_of]).ok();
        fs::read_to_string(home.file(name)).unwrap()
    };
    let html = page("now.html", "2026-03-09");
    let (_, away) = html.split_once(">in no source ").unwrap();
    assert!(away.starts_with("2026-03-02 12:00 "), "{}", &away[..80]);
    assert_eq!(html.matches("class=\"away\"").count(), 1);
    // Of a token that is gone it is its end, and nothing in between.
    assert!(!page("then.html", "2026-03-03").contains("class=\"away\""));
}

#[test]
fn a_page_replaces_an_earlier_page_when_told_to_and_nothing_else_ever() {
    let home = Home::backed_up();
    home.run(&["audit", "--html", "audit.html"]).ok();
    let first = fs::read(home.file("audit.html")).unwrap();
    home.run_changing_nothing(&["audit", "--html", "audit.html"])
        .exits(8)
        .says("audit.html exists already")
        .says("--yes");
    home.run(&["show", "ada@mastodon.example", "--reveal"]).ok();
    home.run(&["audit", "--html", "audit.html", "--yes"]).ok();
    assert_ne!(fs::read(home.file("audit.html")).unwrap(), first);
    let vault = home.vault();
    let note = home.write("note.txt", "mine");
    for path in [vault, note] {
        home.run_changing_nothing(&["audit", "--yes", "--html", path.to_str().unwrap()])
            .exits(8)
            .says("this is none");
    }
}

#[test]
fn a_page_is_of_then_and_of_those_asked_about() {
    let home = Home::with_past();
    home.run(&["audit", "--html", "then.html", "--as-of", "run:1"])
        .ok();
    let html = fs::read_to_string(home.file("then.html")).unwrap();
    assert!(html.contains("run 1, ") && !html.contains("run 2, "));
    let home = Home::backed_up();
    home.run(&["audit", "ada@mastodon.example", "--html", "ada.html"])
        .ok();
    let html = fs::read_to_string(home.file("ada.html")).unwrap();
    assert!(html.contains("ada@mastodon.example") && !html.contains("chiyo"));
    home.run_changing_nothing(&["audit", "nobody@mastodon.example", "--html", "x.html"])
        .exits(5);
    home.run_changing_nothing(&["audit", "--json", "--html", "x.html"])
        .exits(2)
        .says("give one of them");
    home.run_changing_nothing(&["audit", "--dry-run", "--html", "x.html"])
        .ok();
    home.run_changing_nothing(&["audit", "--html", "nowhere/x.html"])
        .exits(8);
    home.run_changing_nothing(&["audit", "--html", "-"])
        .exits(2);
}

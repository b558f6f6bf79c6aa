//! `import --at` and `--of`: old copies come into the history where they belong.

use std::{
    fs::File,
    path::Path,
    time::{Duration, SystemTime},
};

use crate::home::{ADA, CHIYO, Home, NEW, texts};

/// A token that chiyo had for a while, between those that the vault saw.
const BETWEEN: &str = "b3TwEeN0mYx5vTg7LrKc1hNdEeRtUi8oPaJbVfXzM2w";

#[test]
fn an_old_copy_lies_between_the_runs_that_were_known() {
    let home = Home::with_past();
    let copy = old_copy(&home);
    let location = home.json(&["log"])[0]["location"].clone();
    let of = ["--of", location.as_str().unwrap()];
    let present = home.json(&["list", "--all"]);
    let import = ["import", "toot", copy.as_str(), "--at", "2026-03-02 12:00"];
    let ran = home.run(&[&import[..], &of].concat()).ok();
    ran.prints("run 3").says("true at 2026-03-02 12:00 UTC");

    let runs = home.json(&["log"]);
    assert_eq!(runs[2]["effective_at"], "2026-03-02T12:00:00Z");
    for key in ["source", "location", "host"] {
        assert_eq!(runs[2][key], runs[0][key], "{key}");
    }
    for (when, chiyo, has_ada) in [
        ("2026-03-01 12:00", CHIYO, true),
        ("2026-03-02 11:59", CHIYO, true),
        ("2026-03-02 12:00", BETWEEN, false),
        ("2026-03-03 11:59", BETWEEN, false),
        ("2026-03-03 12:00", NEW, true),
        ("now", NEW, true),
    ] {
        let ids = home.json(&["list", "--as-of", when]);
        assert_eq!(ids.len(), 3 + usize::from(has_ada), "{when}");
        let ran = home.run(&["export", "json", "--reveal", "--as-of", when]);
        let out = ran.ok().out;
        for (token, is_there) in [
            (CHIYO, chiyo == CHIYO),
            (BETWEEN, chiyo == BETWEEN),
            (NEW, chiyo == NEW),
            (ADA, has_ada),
        ] {
            assert_eq!(out.contains(token), is_there, "{token} at {when}");
        }
    }
    home.run(&["list", "--as-of", "2026-02-28"])
        .ok()
        .says("no active token");
    let mut status = texts(&home.json(&["list", "--all"]), "status").join(" ");
    assert_eq!(status.matches("active").count(), 4, "{status}");
    assert_eq!(status.matches("gone").count(), 2, "{status}");
    status = texts(&present, "status").join(" ");
    assert_eq!(status.matches("gone").count(), 1, "{status}");
    home.run(&["check"]).ok();
}

#[test]
fn a_copy_of_a_source_has_the_time_of_its_file() {
    let home = Home::backed_up();
    let copy = old_copy(&home);
    changed(&home.file(&copy), "2025-03-01T12:00:00Z");
    let present = home.json(&["list"]);
    let status = home.json(&["status"]);
    let import = [
        "import",
        "toot",
        copy.as_str(),
        "--of=~/.config/toot/config.json",
    ];
    let planned = home.run(&[&import[..], &["--dry-run"]].concat()).ok();
    planned
        .says("true at 2025-03-01 12:00 UTC, when the file was last changed")
        .prints("of toot ~/.config/toot/config.json");
    let planned = home.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!(planned[0]["effective_at"], "2025-03-01T12:00:00Z");
    assert_eq!(home.json(&["log"]).len(), 1);

    home.run(&import)
        .ok()
        .says("true at 2025-03-01 12:00 UTC, when the file was last changed");
    let runs = home.json(&["log"]);
    assert_eq!(runs[1]["effective_at"], "2025-03-01T12:00:00Z");
    assert_eq!(runs[1]["location"], runs[0]["location"]);
    let mut now = home.json(&["list"]);
    assert_eq!(now.len(), present.len());
    for (now, then) in now.iter_mut().zip(&present) {
        assert_eq!(now["id"], then["id"]);
        assert_eq!(now["status"], then["status"]);
    }
    assert_eq!(home.json(&["list", "--as-of", "2025-03-01 12:00"]).len(), 3);
    assert_eq!(home.json(&["status"]), status, "it is no backup");
}

#[test]
fn an_old_copy_is_never_read_as_the_present() {
    let home = Home::backed_up();
    let copy = old_copy(&home);
    changed(&home.file(&copy), "2025-03-01T12:00:00Z");
    home.run(&["import", "toot", &copy, "--at", "mtime"])
        .ok()
        .says("true at 2025-03-01 12:00 UTC, when the file was last changed");
    let backed_up = home.json(&["backup"]);
    assert_eq!(backed_up.len(), 1, "{backed_up:?}");
    // What is read now is.
    home.run(&["import", "toot", &copy]).ok();
    assert_eq!(home.json(&["backup"]).len(), 2);
}

#[test]
fn records_have_the_time_that_the_person_names() {
    let home = Home::with_past();
    let records = br#"{"instance":"m.example","access_token":"a1"}"#;
    let import = ["import", "json", "-", "--at"];
    for (when, at) in [
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("run:2", "2026-03-03T12:00:00Z"),
    ] {
        let arguments = [&import[..], &[when]].concat();
        home.run_with_input(&arguments, records).ok();
        let runs = home.json(&["log"]);
        assert_eq!(runs.last().unwrap()["effective_at"], at, "{when}");
    }
    home.run(&["show", "m.example", "--as-of", "2026-02-01T00:00:01Z"])
        .ok();
}

#[test]
fn what_cannot_be_dated_is_refused_and_changes_nothing() {
    let home = Home::with_past();
    let copy = old_copy(&home);
    home.write(
        "records.json",
        r#"{"instance":"m.example","access_token":"a1"}"#,
    );
    let history = home
        .run(&["export", "json", "--reveal", "--history"])
        .ok()
        .out;
    home.write("history.json", history);
    changed(&home.file("records.json"), "2999-01-01T00:00:00Z");
    let toot = ["import", "toot", copy.as_str()];
    let json = ["import", "json", "records.json"];
    let place = home.json(&["log"])[0]["location"].clone();
    for (start, options, code, says) in [
        (toot, &["--at", "2999-01-01"][..], 2, "in the future"),
        (json, &["--at", "mtime"], 2, "in the future"),
        (toot, &["--at", "soon"], 2, "RFC 3339"),
        (toot, &["--at", "run:9"], 5, "tuskvault log"),
        (toot, &["--of", "nowhere"], 2, place.as_str().unwrap()),
        (json, &["--of", "nowhere"], 2, "no source of json at all"),
        (
            ["import", "json", "history.json"],
            &["--at", "2025-01-01"],
            2,
            "each with its own time",
        ),
        (
            ["import", "json", "-"],
            &["--at", "mtime"],
            2,
            "through a pipe",
        ),
    ] {
        let arguments = [&start[..], options].concat();
        let ran = home.run_with_input(
            &arguments,
            br#"{"instance":"m.example","access_token":"a"}"#,
        );
        ran.exits(code).says(says);
        assert_eq!(home.json(&["log"]).len(), 2, "{arguments:?}");
    }
}

#[test]
fn a_vault_that_is_not_there_knows_no_run_and_no_source() {
    let home = Home::new();
    home.add_toot();
    for options in [["--at", "run:1"], ["--of", "~/x"], ["--at", "2999-01-01"]] {
        let arguments = [&["import", "toot"][..], &options].concat();
        let says = if options[1] == "2999-01-01" {
            "in the future"
        } else {
            "no vault at"
        };
        home.run_changing_nothing(&arguments).exits(2).says(says);
    }
}

#[test]
fn a_copy_that_is_younger_than_all_that_is_known_is_the_last_word() {
    let home = Home::with_past();
    let copy = old_copy(&home);
    let location = home.json(&["log"])[0]["location"].clone();
    let import = ["import", "toot", &copy, "--of", location.as_str().unwrap()];
    let says = "later than all that is known of this source";
    // At the very moment of the last run it comes behind that.
    let last = format!("run:{}", home.json(&["log"]).len());
    let tied = [&import[..], &["--at", &last, "--dry-run"]].concat();
    home.run(&tied).ok().says(says);
    let between = [&import[..], &["--at", "2026-03-02 12:00"]].concat();
    assert!(!home.run(&between).ok().err.contains(says));
    let after = [&import[..], &["--at", "2026-03-09 12:00"]].concat();
    home.run(&after).ok().says(says);
    let gone = home.json(&["show", "ada@mastodon.example/toot"]);
    assert_eq!(gone[0]["status"], "gone");
}

#[test]
fn a_copy_that_holds_suspiciously_little_ends_nothing() {
    let home = Home::with_past();
    let location = home.json(&["log"])[0]["location"].clone();
    home.copy("toot/config-empty.json", "old/config.json");
    let of = location.as_str().unwrap();
    let import = ["import", "toot", "old/config.json", "--of", of];
    let dated = [&import[..], &["--at", "2026-03-02 12:00"]].concat();
    home.run(&dated).exits(9).says("suspiciously");
    for when in ["2026-03-02 12:00", "now"] {
        assert_eq!(home.json(&["list", "--as-of", when]).len(), 4, "{when}");
    }
    home.run(&["check"]).ok();
}

#[test]
fn a_location_on_several_other_machines_is_ambiguous() {
    let home = Home::with_vault();
    let there = Home::backed_up();
    let history = there.run(&["export", "json", "--reveal", "--history"]);
    let history = history.ok().out;
    for host in ["old-laptop", "older-laptop"] {
        let lines = history.lines().map(|line| {
            let mut object: serde_json::Value = serde_json::from_str(line).unwrap();
            if object["run"].is_u64() {
                object["host"] = host.into();
                object["location"] = "/home/me/config.json".into();
            }
            object.to_string() + "\n"
        });
        let lines: String = lines.collect();
        home.run_with_input(&["import", "json", "-"], lines.as_bytes())
            .ok();
    }
    let copy = old_copy(&home);
    home.run(&["import", "toot", &copy, "--of", "/home/me/config.json"])
        .exits(6)
        .says("/home/me/config.json on older-laptop");
    assert_eq!(home.json(&["log"]).len(), 2);
}

#[cfg(feature = "postgres")]
#[test]
fn a_database_cannot_be_dated() {
    let home = Home::with_vault();
    for option in [["--at", "yesterday"], ["--of", "/x"]] {
        let import = ["import", "postgres", "--url", "postgres://localhost/x"];
        home.run(&[&import[..], &option].concat())
            .exits(2)
            .says("a database is read as it is now");
    }
}

/// A copy of toot's configuration without ada and with another token of chiyo.
fn old_copy(home: &Home) -> String {
    let name = "old/config.json";
    let path = home.copy("toot/config.json", name);
    home.edit(&path, CHIYO, BETWEEN);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    let users = config["users"].as_object_mut().unwrap();
    users.retain(|_, user| user["access_token"] != ADA);
    std::fs::write(&path, config.to_string()).unwrap();
    name.to_owned()
}

/// Sets when a file was last changed.
fn changed(path: &Path, at: &str) {
    let at: jiff::Timestamp = at.parse().unwrap();
    let since = Duration::from_secs(at.as_second().unsigned_abs());
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + since).unwrap();
}

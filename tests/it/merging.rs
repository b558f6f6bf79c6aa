//! `merge`: another machine's vault, and a sync program's conflict copies.

use std::{fs, path::PathBuf};

use crate::home::{ADA, CHIYO, Home, INIT, NEW, mode};

/// Two machines that share a vault by a sync program, which left the other one's as a conflict copy.
fn in_conflict(name: &str) -> (Home, PathBuf) {
    let home = Home::backed_up();
    let here = fs::read(home.vault()).unwrap();
    // There, chiyo logs in anew.
    home.back_up_new_token();
    let there = fs::read(home.vault()).unwrap();
    // Here, a bot is added instead.
    fs::write(home.vault(), here).unwrap();
    home.run(&["list", "--accept-older"]).ok();
    home.import_bot();
    let copy = home.vault().with_file_name(name);
    fs::write(&copy, there).unwrap();
    (home, copy)
}

#[test]
fn a_conflict_copy_is_noticed_by_every_command_and_brought_in() {
    for name in [
        "vault.sync-conflict-20260301-140000-ABCDEFG.tusk",
        "vault (conflicted copy 2026-03-01 140000).tusk",
        "vault (Alice's conflicted copy 2026-03-01).tusk",
        "vault (In Konflikt stehende Kopie von Alice 2026-03-01).tusk",
    ] {
        let (home, copy) = in_conflict(name);
        for command in ["list", "log", "check", "status"] {
            let ran = home.run(&[command]);
            let lines = ran.err.lines().filter(|line| line.contains(name));
            assert_eq!(lines.count(), 1, "{command}");
            ran.says("tuskvault merge");
        }
        let before = fs::read(&copy).unwrap();
        let all = home.run(&["export", "json", "--reveal", "--all"]).ok().out;
        assert!(!all.contains(NEW));
        let ran = home.run(&["merge", copy.to_str().unwrap()]).ok();
        ran.says("1 run and").prints("toot").keeps_to_itself(NEW);
        assert_eq!(fs::read(&copy).unwrap(), before, "it stays as it is");
        let all = home.run(&["export", "json", "--reveal", "--all"]).ok().out;
        for token in [ADA, CHIYO, NEW] {
            assert!(all.contains(token), "{token}");
        }
        assert_eq!(home.json(&["log"]).len(), 3);
        home.run(&["check"]).ok();
        assert_eq!(mode(&home.vault()), 0o600);
        home.run_recording_nothing(&["merge", copy.to_str().unwrap()], "passphrase")
            .ok()
            .says("is here already");
        fs::remove_file(copy).unwrap();
        assert!(!home.run(&["list"]).ok().err.contains("conflict"));
    }
}

#[test]
fn a_file_that_only_looks_like_one_is_not_offered() {
    let home = Home::backed_up();
    for name in [
        "vault.prev",
        "vault (1).tusk",
        "vault-old.tusk",
        "other.sync-conflict-1.tusk",
    ] {
        fs::write(home.vault().with_file_name(name), "").unwrap();
    }
    fs::create_dir(home.vault().with_file_name("vault.sync-conflict-1.tusk")).unwrap();
    let ran = home.run(&["list"]).ok();
    assert!(!ran.err.contains("conflict"), "{}", ran.err);
}

/// A home, and beside its vault, in `laptop.tusk`, that of another machine with another passphrase.
fn with_laptop() -> Home {
    let laptop = Home::new();
    laptop.write("passphrase", "another one\n");
    laptop.add_toot();
    laptop.run(&INIT).ok();
    laptop.back_up_new_token();
    laptop.run(&["show", "chiyo@mstdn.example.jp", "--reveal"]);
    let home = Home::backed_up();
    fs::copy(laptop.vault(), home.file("laptop.tusk")).unwrap();
    home.write("other", "another one\n");
    home
}

#[test]
fn another_machines_vault_needs_its_own_passphrase() {
    let home = with_laptop();
    home.run_recording_nothing(&["merge", "laptop.tusk"], "passphrase")
        .exits(3)
        .says("laptop.tusk")
        .says("--other-password-file");
    home.write("other", "mistaken\n");
    let with = ["merge", "laptop.tusk", "--other-password-file", "other"];
    home.run(&with)
        .exits(3)
        .says("laptop.tusk")
        .keeps_to_itself("mistaken");
    home.write("other", "another one\n");
    let dry = [&with[..], &["--dry-run"]].concat();
    home.run_changing_nothing(&dry)
        .ok()
        .prints("would bring in 1 run");
    let mut objects = home.json(&with);
    let summary = objects.pop().unwrap();
    assert_eq!(summary["merged"][0], "laptop.tusk");
    assert_eq!(summary["runs"], 1);
    assert_eq!(
        summary["audit_entries"], 3,
        "made, a run, and a token shown"
    );
    assert!(fs::metadata(summary["previous"].as_str().unwrap()).is_ok());
    assert_eq!(objects[0]["run"], 2);
    assert_eq!(objects[0]["source"], "toot");
    // What another vault has backed up is no backup into this one: it is never overdue.
    let mut sources = home.json(&["audit", "--as-of", "2099-01-01"]);
    sources.retain(|object| object["kind"] == "source");
    assert_eq!(sources.len(), 2);
    for source in sources {
        let is_here = source["location"] == home.toot().to_str().unwrap();
        assert_eq!(source["overdue"], is_here, "{source}");
    }
    // Clients' rows have keys under each vault's own key: they are the same rows all the same.
    let records = home.json(&["list", "--all"]);
    assert_eq!(records.len(), 5, "{records:?}");
    home.run(&["check"]).ok();
    home.run(&["backup"]).ok();
    home.run(&["check"]).ok();
}

#[test]
fn what_is_no_vault_or_the_vault_itself_is_refused() {
    let home = Home::backed_up();
    let vault = home.vault();
    let vault = vault.to_str().unwrap();
    home.write("text", "no vault");
    let mut torn = fs::read(vault).unwrap();
    torn.truncate(torn.len() - 4_096 * 2);
    home.write("torn.tusk", &torn);
    for (arguments, code, says) in [
        (&["merge", vault][..], 2, "is the vault itself"),
        (&["merge", "missing.tusk"], 8, "missing.tusk"),
        (&["merge", "text"], 4, "text"),
        (&["merge", "torn.tusk"], 4, "torn.tusk"),
    ] {
        home.run_recording_nothing(arguments, "passphrase")
            .exits(code)
            .says(says);
    }
    home.run(&["merge"]).exits(2);
}

#[test]
fn what_was_forgotten_comes_back_with_a_copy_that_holds_it() {
    let home = Home::backed_up();
    home.import_bot();
    fs::copy(home.vault(), home.file("copy.tusk")).unwrap();
    home.run(&["forget", "chiyo@mstdn.example.jp", "--yes"])
        .ok();
    assert_eq!(home.json(&["list", "--all"]).len(), 4);
    let merge = ["merge", "copy.tusk"];
    home.run_changing_nothing(&["merge", "copy.tusk", "--dry-run"])
        .ok()
        .prints("would bring in 0 runs, 1 token that this vault has forgotten");
    // So it is with what a third one took over from both.
    let third = Home::new();
    third.add_toot();
    third.run(&INIT).ok();
    let forgetful = third.write("forgetful.tusk", fs::read(home.vault()).unwrap());
    third.run(&["merge", forgetful.to_str().unwrap()]).ok();
    let copy = fs::read(home.file("copy.tusk")).unwrap();
    let copy = third.write("copy.tusk", copy);
    let came = third
        .json(&["merge", copy.to_str().unwrap()])
        .pop()
        .unwrap();
    assert_eq!((&came["runs"], &came["returned"]), (&0.into(), &1.into()));
    // Tokens that were never here were not forgotten.
    let laptop = Home::backed_up();
    laptop.write(
        "record.json",
        r#"{"instance":"m.example","access_token":"never-here"}"#,
    );
    laptop.run(&["import", "json", "record.json"]).ok();
    let laptop = home.write("laptop.tusk", fs::read(laptop.vault()).unwrap());
    let dry = ["merge", laptop.to_str().unwrap(), "--dry-run"];
    let ran = home.run(&dry).ok();
    assert!(!ran.out.contains("forgotten"), "{}", ran.out);
    assert_eq!(home.json(&merge).pop().unwrap()["returned"], 1);
    let all = home.run(&["export", "json", "--reveal", "--all"]).ok().out;
    assert!(all.contains(CHIYO));
    home.run(&["check"]).ok();
    home.run_recording_nothing(&merge, "passphrase")
        .ok()
        .says("is here already");
}

#[test]
fn a_united_vault_does_not_look_older_to_who_saw_the_other_copy() {
    let here = Home::backed_up();
    let there = Home::new();
    let copy = there.write("vault.tusk", fs::read(here.vault()).unwrap());
    let copy = copy.to_str().unwrap();
    for number in 0..6 {
        let record = format!(r#"{{"instance":"m.example","access_token":"token-{number}"}}"#);
        there.write("record.json", record);
        there
            .run(&["import", "json", "record.json", "--vault", copy])
            .ok();
    }
    here.run(&["merge", copy]).ok();
    fs::copy(here.vault(), copy).unwrap();
    let ran = there.run(&["list", "--vault", copy]).ok();
    assert!(!ran.err.contains("older"), "{}", ran.err);
    assert_eq!(there.json(&["log", "--vault", copy]).len(), 7);
}

#[test]
fn sources_that_disagree_about_one_moment_are_believed_the_same_in_every_vault() {
    let file = |name: &str, scopes: &str, secret: &str| {
        let home = Home::with_vault();
        let app = serde_json::json!({"name": "bot", "client_id": "c", "client_secret": secret});
        let record = serde_json::json!({"instance": "m.example", "user": "ada",
            "access_token": "of-both", "scopes": [scopes], "app": app});
        home.write(name, record.to_string());
        home.run(&["import", "json", name, "--at", "2026-03-01"])
            .ok();
        home
    };
    let (one, two) = (
        file("one.json", "read", "s1"),
        file("two.json", "write", "s2"),
    );
    let copy = |home: &Home| home.write("copy.tusk", fs::read(home.vault()).unwrap());
    let (first, second) = (copy(&one), copy(&two));
    one.run(&["merge", second.to_str().unwrap()]).ok();
    two.run(&["merge", first.to_str().unwrap()]).ok();
    let shown = |home: &Home| {
        let mut record = home.json(&["show", "ada@m.example", "--reveal"]).remove(0);
        record["id"] = serde_json::Value::Null;
        let ran = home.run(&["list"]).ok();
        assert!(!ran.err.contains("saw it last"), "{}", ran.err);
        record
            .to_string()
            .replace(home.path().to_str().unwrap(), "")
    };
    let (in_one, in_two) = (shown(&one), shown(&two));
    assert!(in_one.contains("s1") != in_one.contains("s2"), "{in_one}");
    // Their homes differ in nothing but their names; those decide here, as they come first in the places.
    assert_eq!(in_one.contains("s1"), in_two.contains("s1"));
}

#[test]
fn a_key_file_of_the_other_goes_with_this_ones_passphrase() {
    let home = Home::backed_up();
    let other = Home::new();
    other.run(&["key", "new-file", "other.key"]).ok();
    other.add_toot();
    let init = [&INIT[..], &["--key-file", "other.key"]].concat();
    other.run(&init).ok();
    fs::copy(other.vault(), home.file("other.tusk")).unwrap();
    fs::copy(other.file("other.key"), home.file("other.key")).unwrap();
    home.run(&["merge", "other.tusk", "--other-key-file", "other.key"])
        .ok();
}

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

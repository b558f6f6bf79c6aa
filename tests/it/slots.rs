//! Limits of `key`, `rekey` and `compact`: nobody to ask, no slot left, nothing to gain.

use std::fs;

use crate::home::{CHEAP, Home};

fn cheap<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &CHEAP].concat()
}

#[test]
fn adding_a_key_without_a_terminal_says_how_to_give_it() {
    let home = Home::backed_up();
    for command in [&["key", "add"][..], &["key", "change"], &["rekey"]] {
        home.run_recording_nothing(command, "passphrase")
            .exits(2)
            .says("--new-password-file");
    }
}

#[test]
fn a_dry_run_changes_no_key() {
    let home = Home::backed_up();
    home.write("new", "a new passphrase");
    for command in [
        &["key", "add", "--new-password-file", "new"][..],
        &["key", "change", "--new-password-file", "new"],
        &["key", "remove", "0"],
        &["key", "new-file", "vault.key"],
        &["rekey", "--new-password-file", "new"],
        &["compact"],
    ] {
        let mut arguments = command.to_vec();
        arguments.push("--dry-run");
        let ran = home.run_changing_nothing(&arguments).ok();
        assert_ne!(ran.out, "", "{command:?} says what would be done");
    }
}

#[test]
fn there_are_eight_slots_and_no_more() {
    let home = Home::with_vault();
    for number in 1..8 {
        home.write("new", format!("passphrase {number}"));
        home.run(&cheap(&["key", "add", "--new-password-file", "new"]))
            .ok();
    }
    home.run_recording_nothing(
        &cheap(&["key", "add", "--new-password-file", "new"]),
        "passphrase",
    )
    .exits(1)
    .says("tuskvault key remove N");
}

#[test]
fn compact_never_makes_a_small_vault_larger() {
    let home = Home::backed_up();
    for _ in 0..4 {
        let before = fs::metadata(home.vault()).unwrap().len();
        home.run(&["compact", "--no-prev"]).ok();
        let after = fs::metadata(home.vault()).unwrap().len();
        assert!(after <= before, "{before} bytes became {after}");
    }
}

#[test]
fn the_former_file_stays_while_backups_are_suspicious() {
    let home = Home::backed_up();
    home.run(&["compact"]).ok();
    home.copy("toot/config-empty.json", ".config/toot/config.json");
    home.run(&["backup"]).exits(9);
    assert!(home.file(".local/share/tuskvault/vault.tusk.prev").exists());
}

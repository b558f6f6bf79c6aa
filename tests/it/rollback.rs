//! An old copy of the vault in its place is noticed by the machine that saw the newer one. Nothing is refused.

use std::fs;

use crate::home::Home;

#[test]
fn an_old_copy_is_warned_about_until_it_is_acknowledged() {
    let home = home_with_an_old_vault();
    for command in [
        &["list"][..],
        &["check"],
        &["show", "chiyo@mstdn.example.jp"],
        &["list", "--quiet"],
        &["list", "--json"],
    ] {
        home.run(command)
            .ok()
            .says("this vault is older than what this machine has seen of it")
            .says("--accept-older");
    }
    let accepted = home.run(&["list", "--accept-older"]).ok();
    assert!(!accepted.err.contains("warning"), "{}", accepted.err);
    for command in [&["list"][..], &["backup"], &["list"]] {
        let ran = home.run(command).ok();
        assert!(!ran.err.contains("older"), "{command:?}: {}", ran.err);
    }
    put_old_back(&home);
    home.run(&["list"]).ok().says("older");
}

#[test]
fn writing_to_an_old_copy_is_warned_about_and_done() {
    let home = home_with_an_old_vault();
    home.run(&["backup"]).ok().says("older");
    assert_eq!(home.json(&["log"]).len(), 2);
}

#[test]
fn what_another_machine_never_saw_it_cannot_miss() {
    let home = home_with_an_old_vault();
    let mut command = home.command(&["list"]);
    command.env("XDG_STATE_HOME", home.file("elsewhere"));
    let output = command.output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(home.file("elsewhere/tuskvault/state.json").is_file());
    home.run(&["list"]).ok().says("older");
}

#[test]
fn a_lost_or_broken_state_is_no_reason_to_fail() {
    let home = home_with_an_old_vault();
    let state = home.file(".local/state/tuskvault/state.json");
    for contents in ["", "{", "[1]", "{\"vaults\": {\"x\": 1}}"] {
        fs::write(&state, contents).unwrap();
        let ran = home.run(&["list"]).ok();
        assert_eq!(ran.err, "");
    }
    fs::remove_dir_all(home.file(".local/state")).unwrap();
    home.write(".local/state", "in the way");
    home.run(&["backup"]).ok();
    home.run(&["status"]).exits(9).says("knows of no backup");
}

#[test]
fn a_state_of_a_later_version_is_kept_and_a_broken_one_put_aside() {
    let home = home_with_an_old_vault();
    let state = home.file(".local/state/tuskvault/state.json");
    let aside = home.file(".local/state/tuskvault/state.json.unreadable");
    let known = fs::read_to_string(&state).unwrap();
    let later = known.replacen("\"sources\"", "\"origins\"", 1);
    assert_ne!(later, known);
    fs::write(&state, &later).unwrap();
    home.run(&["backup"]).ok();
    assert_eq!(fs::read_to_string(&state).unwrap(), later);
    assert!(!aside.exists());
    fs::write(&state, "{\"vaults\": {").unwrap();
    home.run(&["backup"]).ok();
    assert_eq!(fs::read_to_string(&aside).unwrap(), "{\"vaults\": {");
    home.run(&["status"]).ok();
}

/// The vault as it was after its first backup, on a machine that saw later ones.
fn home_with_an_old_vault() -> Home {
    let home = Home::backed_up();
    fs::copy(home.vault(), home.file("old")).unwrap();
    home.edit(&home.toot(), "UJTF", "NEWF");
    home.run(&["backup"]).ok();
    home.run(&["backup"]).ok();
    put_old_back(&home);
    home
}

fn put_old_back(home: &Home) {
    fs::copy(home.file("old"), home.vault()).unwrap();
}

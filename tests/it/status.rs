//! `status`: what a monitor learns without a password.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::home::{Home, Ran, texts};

/// `status` with no way to a password.
fn status(home: &Home, more: &[&str]) -> Ran {
    let arguments = [&["status"], more].concat();
    let mut command = home.command(&arguments);
    command.env_remove("TUSKVAULT_PASSWORD_FILE");
    Ran::of(&arguments, command.output().unwrap())
}

fn state_file(home: &Home) -> PathBuf {
    home.file(".local/state/tuskvault/state.json")
}

/// Makes the last backups of every source those of these times.
fn backed_up_at(home: &Home, times: &[&str]) {
    let mut state: Value = serde_json::from_slice(&fs::read(state_file(home)).unwrap()).unwrap();
    for vault in state["vaults"].as_object_mut().unwrap().values_mut() {
        for source in vault["sources"].as_array_mut().unwrap() {
            source["backups"] = times.into();
        }
    }
    fs::write(state_file(home), state.to_string()).unwrap();
}

#[test]
fn where_nothing_is_known_it_says_so() {
    let home = Home::new();
    status(&home, &[]).exits(9).says("tuskvault backup");
    let ran = status(&home, &["--json"]).exits(9);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["code"], 9);
    let home = Home::with_vault();
    status(&home, &[]).exits(9).says("no backup");
}

#[test]
fn after_a_backup_all_is_fine() {
    let home = Home::backed_up();
    home.import_bot();
    status(&home, &[]).ok().prints("fine");
    let lines = status(&home, &["--json"]).ok().objects();
    assert_eq!(texts(&lines, "source"), ["toot", "generic"]);
    assert_eq!(texts(&lines, "state"), ["fine", "fine"]);
    assert_eq!(texts(&lines, "outcome"), ["complete", "complete"]);
    assert_eq!(lines[0]["rhythm_secs"], Value::Null);
}

#[test]
fn a_backup_that_did_not_come_is_overdue() {
    let home = Home::backed_up();
    backed_up_at(&home, &["2026-01-01T00:00:00Z"]);
    status(&home, &[]).exits(9).prints("overdue");
    // Daily until two days ago and more.
    backed_up_at(
        &home,
        &[
            "2026-01-01T00:00:00Z",
            "2026-01-02T00:00:00Z",
            "2026-01-03T00:00:00Z",
        ],
    );
    let lines = status(&home, &["--json"]).exits(9).objects();
    assert_eq!(texts(&lines, "state"), ["overdue"]);
    assert_eq!(lines[0]["rhythm_secs"], 86400);
    assert_eq!(lines[0]["last_backup"], "2026-01-03T00:00:00Z");
    home.run(&["backup"]).ok();
    status(&home, &[]).ok();
}

#[test]
fn one_overdue_source_is_enough() {
    let home = Home::backed_up();
    backed_up_at(&home, &["2026-01-01T00:00:00Z"]);
    home.import_bot();
    let lines = status(&home, &["--json"]).exits(9).objects();
    assert_eq!(texts(&lines, "state"), ["overdue", "fine"]);
}

#[test]
fn what_the_machine_remembers_holds_no_account_and_no_secret() {
    let home = Home::backed_up();
    let state = fs::read_to_string(state_file(&home)).unwrap();
    for word in ["ada", "chiyo", "mastodon.example", crate::home::ADA] {
        assert!(!state.contains(word), "{word} in {state}");
    }
    assert_eq!(crate::home::mode(&state_file(&home)), 0o600);
}

#[test]
fn a_state_that_cannot_be_read_is_no_knowledge() {
    let home = Home::backed_up();
    fs::write(state_file(&home), "{").unwrap();
    status(&home, &[]).exits(9);
    home.run(&["backup"]).ok();
    status(&home, &[]).ok();
}

#[test]
fn material_without_a_rhythm_is_never_overdue() {
    let home = Home::backed_up();
    let record = br#"{"instance":"m.example","access_token":"a1"}"#;
    home.run_with_input(&["import", "json", "-"], record).ok();
    let lines = status(&home, &["--json"]).ok().objects();
    assert_eq!(texts(&lines, "source"), ["toot"]);
}

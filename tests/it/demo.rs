//! The guided tour runs to its end and leaves nothing.

use std::fs;

use crate::home::Home;

#[test]
fn the_demo_runs_to_its_end_and_leaves_nothing() {
    let home = Home::new();
    let before = home.everything();
    // What the person has set is not the demo's.
    let mut command = home.command(&["demo"]);
    command
        .env("TUSKVAULT_VAULT", home.file("mine"))
        .env("TUSKVAULT_PASSWORD_COMMAND", "touch was-run");
    let output = command.output().unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    assert!(before == home.everything(), "something stays behind");
    for step in [
        "init", "discover", "backup", "list", "history", "diff", "restore", "check",
    ] {
        assert!(
            out.contains(&format!("$ tuskvault {step}")),
            "{step}: {out}"
        );
    }
    assert!(out.contains("holds the old token again"));
    assert!(out.contains("no token, no instance, no user, no app among them"));
    assert!(!err.contains("error:"), "{err}");
}

#[test]
fn a_demo_that_fails_leaves_nothing_either() {
    let home = Home::new();
    let mut command = home.command(&["demo"]);
    command.env("TMPDIR", home.file("nowhere"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("cannot set the demo up")
    );
    assert_eq!(
        fs::read_dir(home.path()).unwrap().count(),
        1,
        "the password file"
    );
}

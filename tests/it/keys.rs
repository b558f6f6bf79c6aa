//! `key`, `rekey`, `compact`: what opens a vault, and that the vault stays whole when it changes.

use std::{fs, path::PathBuf};

use crate::home::{CHEAP, Home, INIT, Ran, mode, texts};

/// What may open a vault: a password file of the home, a key file of it.
type Way<'w> = (Option<&'w str>, Option<&'w str>);

const OLD: Way<'_> = (Some("passphrase"), None);

fn by(home: &Home, way: Way<'_>, arguments: &[&str]) -> Ran {
    let mut command = home.command(arguments);
    command.env_remove("TUSKVAULT_PASSWORD_FILE");
    if let Some(file) = way.0 {
        command.env("TUSKVAULT_PASSWORD_FILE", home.file(file));
    }
    if let Some(file) = way.1 {
        command.env("TUSKVAULT_KEY_FILE", home.file(file));
    }
    Ran::of(arguments, command.output().unwrap())
}

#[track_caller]
fn opens(home: &Home, way: Way<'_>) {
    by(home, way, &["check"]).ok();
}

#[track_caller]
fn does_not_open(home: &Home, way: Way<'_>) {
    by(home, way, &["list"]).exits(3);
}

fn kinds(home: &Home) -> Vec<String> {
    let slots = home.json(&["key", "list"]);
    texts(&slots, "kind")
        .into_iter()
        .map(str::to_owned)
        .collect()
}

fn previous(home: &Home) -> PathBuf {
    home.vault().with_file_name("vault.tusk.prev")
}

fn with_second_passphrase(home: &Home) {
    home.write("new.txt", "a second passphrase\n");
}

#[test]
fn init_with_a_key_file_makes_it_and_asks_for_both() {
    let home = Home::new();
    let init = [&INIT[..], &["--key-file", "vault.key"]].concat();
    home.run(&init).ok().says("made the key file");
    assert_eq!(mode(&home.file("vault.key")), 0o600);
    assert_eq!(kinds(&home), ["passphrase and key file"]);
    opens(&home, (Some("passphrase"), Some("vault.key")));
    does_not_open(&home, OLD);
    by(&home, OLD, &["list"]).exits(3).says("--key-file");
    by(&home, (None, Some("vault.key")), &["list"]).exits(2);
    home.run(&["key", "new-file", "other.key"]).ok();
    does_not_open(&home, (Some("passphrase"), Some("other.key")));
    home.write("damaged.key", "tuskvault-key");
    does_not_open(&home, (Some("passphrase"), Some("damaged.key")));
}

#[test]
fn a_key_file_alone_opens_where_the_slot_says_so() {
    let home = Home::new();
    home.run(&["init", "--no-passphrase"]).exits(2);
    let init = [&INIT[..], &["--key-file", "vault.key", "--no-passphrase"]].concat();
    home.run(&init).ok();
    assert_eq!(kinds(&home), ["key file"]);
    opens(&home, (None, Some("vault.key")));
    does_not_open(&home, OLD);
    by(&home, (None, None), &["list"])
        .exits(2)
        .says("--key-file");
}

#[test]
fn an_existing_key_file_is_used_and_never_overwritten() {
    let home = Home::new();
    home.run(&["key", "new-file", "vault.key"])
        .ok()
        .says("key add");
    let key = fs::read(home.file("vault.key")).unwrap();
    home.run(&["key", "new-file", "vault.key"]).exits(1);
    home.run(&[&INIT[..], &["--key-file", "vault.key"]].concat())
        .ok();
    assert_eq!(fs::read(home.file("vault.key")).unwrap(), key);
    opens(&home, (Some("passphrase"), Some("vault.key")));
}

#[test]
fn every_added_slot_opens_the_same_vault() {
    let home = Home::backed_up();
    with_second_passphrase(&home);
    home.run(&["key", "new-file", "vault.key"]).ok();
    let file = ["--new-key-file", "vault.key"];
    let passphrase = ["--new-password-file", "new.txt"];
    for new in [
        &passphrase[..],
        &[&file[..], &["--no-passphrase"]].concat(),
        &[file, passphrase].concat(),
    ] {
        home.run(&[&["key", "add"], new, &CHEAP].concat())
            .ok()
            .says("added key slot");
    }
    assert_eq!(
        kinds(&home),
        [
            "passphrase",
            "passphrase",
            "key file",
            "passphrase and key file"
        ]
    );
    for way in [
        OLD,
        (Some("new.txt"), None),
        (None, Some("vault.key")),
        (Some("new.txt"), Some("vault.key")),
    ] {
        opens(&home, way);
    }
    home.run(&["key", "list"]).ok().prints("8 MiB");
    home.run(&["key", "add", "--no-passphrase"]).exits(2);
    home.run(&["key", "add", "--new-password-file", "gone.txt"])
        .exits(2)
        .says("gone.txt");
}

#[test]
fn key_list_needs_no_password() {
    let home = Home::with_vault();
    by(&home, (None, None), &["key", "list"])
        .ok()
        .prints("passphrase");
}

#[test]
fn after_a_change_only_the_new_passphrase_opens() {
    let home = Home::backed_up();
    with_second_passphrase(&home);
    home.run(&["key", "change", "--new-password-file", "new.txt"])
        .ok()
        .says("older copies");
    does_not_open(&home, OLD);
    opens(&home, (Some("new.txt"), None));
    let slots = home.json(&["key", "list"]);
    assert_eq!(slots.len(), 1);
    assert_eq!(slots[0]["kdf"]["memory_mib"], 8, "the cost stays as it was");
}

#[test]
fn a_change_keeps_the_key_file_that_the_slot_asks_for() {
    let home = Home::new();
    home.run(&[&INIT[..], &["--key-file", "vault.key"]].concat())
        .ok();
    with_second_passphrase(&home);
    let both = (Some("passphrase"), Some("vault.key"));
    by(
        &home,
        both,
        &["key", "change", "--new-password-file", "new.txt"],
    )
    .ok();
    does_not_open(&home, both);
    does_not_open(&home, (Some("new.txt"), None));
    opens(&home, (Some("new.txt"), Some("vault.key")));
}

#[test]
fn a_slot_is_named_where_several_could_be_meant() {
    let home = Home::with_vault();
    with_second_passphrase(&home);
    let new = ["--new-password-file", "new.txt"];
    home.run(&[&["key", "add"], &new[..], &CHEAP].concat()).ok();
    home.write("third.txt", "a third passphrase\n");
    let third = ["--new-password-file", "third.txt"];
    home.run(&[&["key", "change"], &third[..]].concat())
        .exits(2)
        .says("key change N");
    home.run(&[&["key", "change", "7"], &third[..]].concat())
        .exits(5)
        .says("key list");
    let slots = home.json(&["key", "list"]);
    let second = slots[1]["slot"].to_string();
    home.run(&[&["key", "change", &second], &third[..]].concat())
        .ok();
    opens(&home, OLD);
    opens(&home, (Some("third.txt"), None));
    does_not_open(&home, (Some("new.txt"), None));
}

#[test]
fn a_slot_is_removed_but_never_the_last() {
    let home = Home::backed_up();
    with_second_passphrase(&home);
    home.run(
        &[
            &["key", "add", "--new-password-file", "new.txt"][..],
            &CHEAP,
        ]
        .concat(),
    )
    .ok();
    let slots = home.json(&["key", "list"]);
    let (first, second) = (slots[0]["slot"].to_string(), slots[1]["slot"].to_string());
    home.run(&["key", "remove", &first]).exits(2).says("--yes");
    home.run(&["key", "remove", &first, "--dry-run"]).ok();
    assert_eq!(home.json(&["key", "list"]), slots);
    home.run(&["key", "remove", &first, "--yes"]).ok();
    does_not_open(&home, OLD);
    let new = (Some("new.txt"), None);
    opens(&home, new);
    by(&home, new, &["key", "remove", &second, "--yes"])
        .exits(1)
        .says("key add");
    by(&home, new, &["key", "remove", "7", "--yes"]).exits(5);
    opens(&home, new);
}

#[test]
fn rekey_gives_a_new_key_and_keeps_the_contents() {
    let home = Home::backed_up();
    home.back_up_new_token();
    let before = home.json(&["list", "--all"]);
    with_second_passphrase(&home);
    let rekey = [&["rekey", "--new-password-file", "new.txt"][..], &CHEAP].concat();
    let copy = fs::read(home.vault()).unwrap();
    home.run(&[&rekey[..], &["--dry-run"]].concat()).ok();
    assert!(fs::read(home.vault()).unwrap() == copy);
    home.run(&rekey)
        .ok()
        .says("vault.tusk.prev")
        .says("the former key still opens it");
    let new = (Some("new.txt"), None);
    does_not_open(&home, OLD);
    opens(&home, new);
    let after = by(&home, new, &["list", "--all", "--json"]).ok().objects();
    assert_eq!(before, after);
    assert_eq!(mode(&previous(&home)), 0o600);
    home.run(&["check", "--vault", previous(&home).to_str().unwrap()])
        .ok();
    by(&home, new, &["backup"]).ok().says("removed");
    assert!(!previous(&home).exists());
    opens(&home, new);
}

#[test]
fn rekey_goes_on_asking_for_the_key_file() {
    let home = Home::new();
    home.run(&[&INIT[..], &["--key-file", "vault.key"]].concat())
        .ok();
    with_second_passphrase(&home);
    let both = (Some("passphrase"), Some("vault.key"));
    let rekey = ["rekey", "--new-password-file", "new.txt"];
    by(&home, both, &[&rekey[..], &CHEAP].concat()).ok();
    assert_eq!(kinds(&home), ["passphrase and key file"]);
    does_not_open(&home, (Some("new.txt"), None));
    opens(&home, (Some("new.txt"), Some("vault.key")));
}

#[test]
fn rekey_asks_before_other_slots_go() {
    let home = Home::with_vault();
    with_second_passphrase(&home);
    let new = ["--new-password-file", "new.txt"];
    home.run(&[&["key", "add"], &new[..], &CHEAP].concat()).ok();
    home.write("third.txt", "a third passphrase\n");
    let rekey = [&["rekey", "--new-password-file", "third.txt"][..], &CHEAP].concat();
    home.run(&rekey).exits(2).says("--yes");
    opens(&home, (Some("new.txt"), None));
    home.run(&[&rekey[..], &["--yes"]].concat()).ok();
    assert_eq!(kinds(&home), ["passphrase"]);
    does_not_open(&home, OLD);
    does_not_open(&home, (Some("new.txt"), None));
    opens(&home, (Some("third.txt"), None));
}

#[test]
fn compact_is_never_larger_and_keeps_the_former_file_until_a_backup() {
    let home = Home::backed_up();
    for note in ["a", "b", "c"] {
        home.run(&["backup", "--note", note]).ok();
    }
    let before = fs::metadata(home.vault()).unwrap().len();
    let log = home.json(&["log"]);
    let done = home.json(&["compact"]);
    let after = fs::metadata(home.vault()).unwrap().len();
    assert!(after <= before, "{after} > {before}");
    assert_eq!(done[0]["after_bytes"], after);
    assert_eq!(done[0]["previous"], previous(&home).to_str().unwrap());
    assert_eq!(home.json(&["log"]), log);
    opens(&home, OLD);
    home.run(&["compact"]).ok().says("vault.tusk.prev");
    assert!(fs::metadata(home.vault()).unwrap().len() <= after);
    // A backup that fails is none.
    home.write(".config/toot/config.json", "{");
    home.run(&["backup"]).exits(8);
    assert!(previous(&home).exists());
    home.add_toot();
    home.run(&["backup"]).ok().says("vault.tusk.prev");
    assert!(!previous(&home).exists());
}

#[test]
fn without_a_former_file_none_is_left() {
    let home = Home::backed_up();
    home.run(&["compact", "--no-prev"]).ok();
    assert!(!previous(&home).exists());
    with_second_passphrase(&home);
    let rekey = ["rekey", "--no-prev", "--new-password-file", "new.txt"];
    home.run(&[&rekey[..], &CHEAP].concat()).ok();
    assert!(!previous(&home).exists());
    assert_eq!(home.files_in(".local/share/tuskvault"), ["vault.tusk"]);
    opens(&home, (Some("new.txt"), None));
}

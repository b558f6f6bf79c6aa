//! The client apps, end to end: found where they are on every system, backed up, and written back.

use std::{
    fs,
    process::{Child, Command},
};

use crate::home::{Home, NEW, texts};

/// A process that is called like a client.
struct Client(Child);

impl Client {
    fn running(home: &Home, name: &str) -> Self {
        let program = home.file(name);
        fs::copy("/bin/sleep", &program).unwrap();
        Self(Command::new(program).arg("600").spawn().unwrap())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_client_that_runs_keeps_its_store_to_itself() {
    let home = Home::with_vault();
    let accounts = home.copy("tut/accounts.toml", ".config/tut/accounts.toml");
    home.run(&["backup"]).ok();
    home.edit(
        &accounts,
        "BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc",
        NEW,
    );
    let before = fs::read(&accounts).unwrap();
    let client = Client::running(&home, "tut");
    let restore = ["restore", "b_orges@*/tut*", "--to", "tut"];
    let with = |more: &[&'static str]| [&restore[..], more].concat();
    home.run(&with(&["--dry-run"])).ok().says("tut is running");
    home.run(&with(&["--yes"]))
        .exits(8)
        .says(&format!("tut is running (process {})", client.0.id()))
        .says("--while-running");
    assert_eq!(fs::read(&accounts).unwrap(), before);
    // A file elsewhere is none that it has open.
    let copy = home.copy("tut/accounts.toml", "copy/accounts.toml");
    home.edit(&copy, "BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc", NEW);
    home.run(&with(&["--yes", "--path", "copy"])).ok();
    home.run(&with(&["--yes", "--while-running"])).ok();
    drop(client);
    for path in [accounts, copy] {
        let after = fs::read_to_string(path).unwrap();
        assert_eq!(after, include_str!("../data/tut/accounts.toml"));
    }
}

#[test]
fn discover_looks_into_every_home_of_a_disk_and_into_a_phone() {
    let home = Home::new();
    home.copy(
        "tut/accounts.toml",
        "disk/home/me/.config/tut/accounts.toml",
    );
    home.copy(
        "tut/accounts.toml",
        "disk/Users/she/Library/Application Support/tut/accounts.toml",
    );
    home.copy("toot/config.json", "disk/root/.config/toot/config.json");
    let found = home.json(&["discover", "--root", "disk"]);
    assert_eq!(texts(&found, "connector"), ["toot", "tut", "tut"]);
    // The same, recorded.
    home.run(&["init", "--kdf-memory", "8", "--kdf-iterations", "1"])
        .ok();
    let runs = home.json(&["backup", "--root", "disk"]);
    assert_eq!(texts(&runs, "source"), ["toot", "tut", "tut"]);
    home.run(&["backup", "--root", "disk", "--env-file", "x"])
        .exits(2);
}

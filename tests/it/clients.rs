//! The client apps, end to end: found where they are on every system, backed up, and written back.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command},
};

use serde_json::Value;

use crate::home::{Home, INIT, NEW, mode, texts};

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
    let roots = ["disk", "root", ".config/toot/config.json"].join("/");
    home.copy("toot/config.json", &roots);
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

/// Each client that is a text: its connector, a sample, and where it is in a home folder.
const TEXTS: &[(&str, &str, &str)] = &[
    (
        "thedesk",
        "thedesk/export.thedeskconfig.json5",
        "Downloads/export.thedeskconfig.json5",
    ),
    (
        "thedesk",
        "thedesk/export-pretty-commented.json5",
        "Downloads/export.thedeskconfig",
    ),
    ("tut", "tut/accounts.toml", ".config/tut/accounts.toml"),
    (
        "madonctl",
        "madonctl/madonctl.yaml",
        ".config/madonctl/madonctl.yaml",
    ),
    (
        "madonctl",
        "madonctl/madonctl.toml",
        ".madonctl/madonctl.toml",
    ),
    (
        "madonctl",
        "madonctl/madonctl.json",
        ".config/madonctl/madonctl.json",
    ),
    (
        "mastodon-async",
        "rust-crates/mastodon-data.toml",
        "mastodon-data.toml",
    ),
    (
        "mastodon-async",
        "rust-crates/mastodon-data.json",
        "mastodon-data.json",
    ),
    (
        "mastodon-archive",
        "mastodon-archive/mastodon.example.user.ada.secret",
        "mastodon.example.user.ada.secret",
    ),
    (
        "mastodon-el",
        "mastodon-el/mastodon.plstore",
        ".emacs.d/mastodon.plstore",
    ),
    (
        "tootle",
        "tuba-tootle/tootle-0.2/accounts.json",
        ".config/com.github.bleakgrey.tootle/accounts.json",
    ),
    (
        "tootle",
        "tuba-tootle/tootle-1.0/accounts.json",
        ".config/com.github.bleakgrey.tootle/accounts.json",
    ),
    ("tuba", "tuba-tootle/tuba-secrets.json", "dumps/tuba.json"),
    (
        "web",
        "web-clients/elk-indexeddb-users.json",
        "dumps/elk.json",
    ),
    (
        "web",
        "web-clients/phanpy-localstorage.json",
        "dumps/phanpy.json",
    ),
    (
        "web",
        "web-clients/pinafore-localstorage.json",
        "dumps/pinafore.json",
    ),
    (
        "web",
        "web-clients/sengi-localstorage.json",
        "dumps/sengi.json",
    ),
    (
        "mastodon-android",
        "mastodon-android/A-official-2.6/files/accounts.json",
        "phone/files/accounts.json",
    ),
    (
        "mastodon-android",
        "mastodon-android/B-megalodon/files/accounts.json",
        "phone/files/accounts.json",
    ),
];

#[test]
fn every_client_gets_its_earlier_file_back_byte_for_byte() {
    for (connector, sample, place) in TEXTS {
        let home = Home::new();
        home.run(&INIT).ok();
        let path = home.copy(sample, place);
        home.run(&["import", "auto", place])
            .ok()
            .says(&format!("is for {connector}"));
        let before = fs::read(&path).unwrap();
        let records = home.json(&["export", "json", "--reveal"]);
        let record = &records[0];
        let (id, token) = (
            &texts(&records, "id")[0],
            record["access_token"].as_str().unwrap(),
        );
        home.edit(&path, token, NEW);
        let edited = fs::read(&path).unwrap();
        home.run(&["import", connector, "--path", place]).ok();
        let restore = ["restore", id, "--to", connector, "--path", place];
        home.run(&[&restore[..], &["--dry-run"]].concat())
            .ok()
            .prints("replace tk_");
        assert!(fs::read(&path).unwrap() == edited, "{sample}");
        let done = home.json(&[&restore[..], &["--yes"]].concat());
        assert_eq!(texts(&done, "action"), ["updated"], "{sample}");
        assert!(fs::read(&path).unwrap() == before, "{sample}");
        let kept = PathBuf::from(done[0]["backup"].as_str().unwrap());
        assert!(fs::read(&kept).unwrap() == edited, "{sample}");
        assert_eq!(mode(&kept), 0o600, "{sample}");
        let again = home.json(&[&restore[..], &["--yes"]].concat());
        assert_eq!(texts(&again, "action"), ["unchanged"], "{sample}");
    }
}

#[test]
fn what_the_keyrings_own_tool_prints_comes_through_a_pipe() {
    let home = Home::with_vault();
    let secrets: Value =
        serde_json::from_str(include_str!("../data/tuba-tootle/tuba-secrets.json")).unwrap();
    let item = |label: &str, secret: &str, schema: &str| {
        format!(
            "[/1]\nlabel = {label}\nsecret = {secret}\ncreated = x\nmodified = x\nschema = {schema}\n"
        )
    };
    let accounts = secrets.as_array().unwrap().iter();
    let accounts =
        accounts.map(|secret| item("Mastodon Account", &secret.to_string(), "dev.geopjr.Tuba"));
    let others = item("Wifi", "hunter2", "org.example");
    let printed = others + &accounts.collect::<String>();
    let before = home.contents().len();
    let ran = home.run_with_input(&["import", "tuba", "-"], printed.as_bytes());
    let ran = ran.ok().prints("tuba -: run 1").keeps_to_itself("hunter2");
    assert!(!ran.err.contains("Wifi"));
    let records = home.json(&["list", "*/Tuba"]);
    assert_eq!(records.len(), secrets.as_array().unwrap().len());
    assert_eq!(home.contents().len(), before, "nothing is left on the disk");
    let cut = printed.replace('}', "");
    home.run_with_input(&["import", "tuba", "-"], cut.as_bytes())
        .exits(9);
    assert_eq!(home.json(&["list", "*/Tuba"]), records, "nothing is gone");
}

#[test]
fn the_docs_tell_of_every_connector_and_whether_it_writes() {
    let docs = fs::read_to_string("docs/clients.md").unwrap();
    let rows: Vec<Vec<&str>> = docs
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    for connector in tuskvault::connectors::all() {
        let name = connector.name();
        if name == "json" {
            continue;
        }
        let mut rows = rows.iter().filter(|row| {
            row.get(1)
                .is_some_and(|cell| cell.contains(&format!("`{name}`")))
        });
        let writes: Vec<bool> = rows.by_ref().map(|row| row[4] != "no").collect();
        assert!(!writes.is_empty(), "{name} is not in docs/clients.md");
        let is_sink = connector.sink().is_some();
        assert_eq!(writes.contains(&true), is_sink, "{name}");
        for (command, is_named) in [("import", true), ("restore", is_sink)] {
            let help = Home::new().run(&[command, "--help"]).ok().out;
            let mut words = help.split(|c: char| c.is_whitespace() || c == ',');
            assert_eq!(words.any(|word| word == name), is_named, "{command} {name}");
        }
    }
}

#[test]
fn nothing_that_a_file_names_is_run_or_followed() {
    let home = Home::with_vault();
    let mark = home.file("ran");
    let run = format!("touch {}", mark.display());
    for (place, text) in [
        (
            ".config/tut/accounts.toml",
            format!(
                "[[Accounts]]\nName = 'ada'\nServer = 'https://m.example'\nAccessToken = '!CMD!{run}'\n"
            ),
        ),
        (
            ".config/madonctl/madonctl.yaml",
            format!("instance: m.example\napp_id: a\napp_secret: b\ntoken: $({run})\n"),
        ),
        (
            "mastodon-data.toml",
            format!(
                "base='https://m.example'\nclient_id='a'\nclient_secret='b'\nredirect='c'\ntoken='`{run}`'\n"
            ),
        ),
        (
            ".emacs.d/mastodon.plstore",
            format!(
                ";;; public entries -*- mode: plstore -*- \n((\"user-ada@m.example\" :username \"ada@m.example\" :instance \
                 \"https://m.example\" :access_token #.(shell-command \"{run}\")))\n"
            ),
        ),
        (
            ".env",
            format!("MASTODON_INSTANCE=m.example\nMASTODON_ACCESS_TOKEN=$({run})\n"),
        ),
        (
            "bot/config.json",
            format!(r#"{{"instance": "m.example", "access_token": "$({run})"}}"#),
        ),
    ] {
        let path = home.write(place, &text);
        let ran = home.run(&["import", "auto", place]);
        assert!(
            ran.err.contains("warning:") || ran.code != 0,
            "{place}: {}",
            ran.err
        );
        assert!(!ran.err.contains("touch"), "{place}: {}", ran.err);
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
    home.run(&["backup"]);
    home.run(&["discover"]);
    home.run(&["list", "m.example"]).exits(5);
    assert!(!mark.exists());
}

/// Each client that keeps a database: its connector, a sample (a folder is copied whole), and the file in it.
#[cfg(feature = "sqlite")]
const DATABASES: &[(&str, &[&str], &str)] = &[
    ("whalebird", &["whalebird/v5/whalebird.db"], "whalebird.db"),
    (
        "tusky",
        &[
            "tusky/v70/databases/tuskyDB",
            "tusky/v70/databases/tuskyDB-wal",
        ],
        "tuskyDB",
    ),
    ("tusky", &["tusky/v30/databases/tuskyDB"], "tuskyDB"),
    (
        "mastodon-android",
        &["mastodon-android/C-official-2.13/databases/accounts.db"],
        "accounts.db",
    ),
    ("fedilab", &["fedilab/databases/fedilab_db"], "fedilab_db"),
    (
        "fedilab",
        &["fedilab/Fedilab_data_export_2026-01-02-03-04-05.zip"],
        "Fedilab_data_export_2026-01-02-03-04-05.zip",
    ),
];

#[test]
#[cfg(feature = "sqlite")]
fn every_database_takes_a_token_and_keeps_the_rest() {
    for (connector, samples, name) in DATABASES {
        let home = Home::new();
        home.run(&INIT).ok();
        for sample in *samples {
            let name = sample.rsplit('/').next().unwrap();
            home.copy(sample, &format!("data/{name}"));
        }
        let place = format!("data/{name}");
        let before = home.files_in("data");
        let ran = home.run(&["import", "auto", &place]);
        assert!(matches!(ran.code, 0 | 9), "{}", ran.err);
        let ran = ran.says(&format!("is for {connector}"));
        assert!(!ran.err.contains("UJTFvdToYI8"));
        assert_eq!(home.files_in("data"), before, "reading leaves nothing");
        let records = home.json(&["export", "json", "--reveal"]);
        assert!(records.len() > 1, "{name}");

        // Another vault knows another token of one of the accounts.
        let mut new = records[0].clone();
        new["access_token"] = NEW.into();
        for key in ["id", "sources", "status"] {
            new.as_object_mut().unwrap().remove(key);
        }
        let other = Home::new();
        other.run(&INIT).ok();
        other
            .run_with_input(&["import", "json", "-"], new.to_string().as_bytes())
            .ok();
        let path = home.file(&place);
        let path = path.to_str().unwrap();
        let restore = ["restore", "*", "--to", connector, "--path", path];
        let contents = home.contents();
        other
            .run(&[&restore[..], &["--dry-run"]].concat())
            .ok()
            .prints("replace tk_");
        assert_eq!(home.contents(), contents);
        let done = other.json(&[&restore[..], &["--yes"]].concat());
        assert_eq!(texts(&done, "action"), ["updated"], "{name}");
        let kept = PathBuf::from(done[0]["backup"].as_str().unwrap());
        assert_eq!(mode(&kept), 0o600, "{name}");

        let again = Home::new();
        again.run(&INIT).ok();
        again.run(&["import", connector, "--path", path]);
        let mut after = again.json(&["export", "json", "--reveal"]);
        // Fedilab keeps an account twice; both get the token.
        let by_account = |record: &Value| format!("{}@{}", record["user"], record["instance"]);
        let changed = by_account(&records[0]);
        let mut expected = records.clone();
        expected[0]["access_token"] = NEW.into();
        let mut at = 0;
        expected.retain(|record| {
            at += 1;
            at == 1 || by_account(record) != changed
        });
        for record in after.iter_mut().chain(&mut expected) {
            for key in ["id", "sources"] {
                record.as_object_mut().unwrap().remove(key);
            }
        }
        let in_order = |record: &Value| format!("{}{}", by_account(record), record["access_token"]);
        after.sort_by_key(in_order);
        expected.sort_by_key(in_order);
        assert_eq!(after, expected, "{name}");
    }
}

#[test]
#[cfg(feature = "sqlite")]
fn a_phone_and_its_backup_are_looked_through() {
    let home = Home::new();
    home.run(&INIT).ok();
    for (sample, place) in [
        (
            "tusky/v70/databases/tuskyDB",
            "com.keylesspalace.tusky/databases/tuskyDB",
        ),
        (
            "tusky/v70/databases/tuskyDB-wal",
            "com.keylesspalace.tusky/databases/tuskyDB-wal",
        ),
        (
            "mastodon-android/B-megalodon/files/accounts.json",
            "org.joinmastodon.android.sk/f/accounts.json",
        ),
        (
            "mastodon-android/C-official-2.13/databases/accounts.db",
            "org.joinmastodon.android/db/accounts.db",
        ),
        (
            "fedilab/databases/fedilab_db",
            "app.fedilab.android/databases/fedilab_db",
        ),
    ] {
        home.copy(sample, &format!("phone/data/data/{place}"));
        home.copy(sample, &format!("backup/apps/{place}"));
    }
    let expected = ["fedilab", "mastodon-android", "mastodon-android", "tusky"];
    for root in ["phone", "phone/data/data", "backup", "backup/apps"] {
        let found = home.json(&["discover", "--root", root]);
        let mut connectors = texts(&found, "connector");
        connectors.sort_unstable();
        assert_eq!(connectors, expected, "{root}");
        assert!(
            found
                .iter()
                .all(|found| found["accounts"].as_u64() > Some(0))
        );
    }
    let one_app = "backup/apps/com.keylesspalace.tusky";
    let found = home.json(&["discover", "--root", one_app]);
    assert_eq!(texts(&found, "connector"), ["tusky"]);
    let ran = home.run(&["backup", "--root", "phone", "--json"]);
    assert_eq!(ran.objects().len(), 4, "{}", ran.err);
}

#[cfg(feature = "sqlite")]
mod database;

use std::fs;

use super::*;
use crate::{
    connectors::testing::{
        NEW_TOKEN, assert_survives_damage, assert_takes_back_its_own, copied, data, read, record,
        records, warnings, write,
    },
    model::{Action, Secret},
};

const LINES: &str = "whalebird/v4/db/account.db";
const EXPORT: &str = "whalebird/v6/accounts-export.json";

fn import(path: &Path) -> Snapshot {
    Whalebird.read(&read(path)).unwrap()
}

fn keys(snapshot: &Snapshot) -> Vec<String> {
    let records = records(snapshot).into_iter();
    records.map(|record| record.key().to_string()).collect()
}

/// A user-data folder with this file in it.
fn placed(name: &str, text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// What became of the records, and the file then.
fn restore(text: &[u8], records: &[Record]) -> (Vec<Action>, String, Vec<u8>) {
    let (_folder, path) = placed("db/account.db", text);
    let plan = Whalebird.plan(&write(&path), records).unwrap();
    let outcome = plan.apply().unwrap();
    let changes = outcome.plan.changes.iter();
    let details: Vec<_> = changes
        .clone()
        .map(|change| change.detail.as_str())
        .collect();
    let told = details.join("\n") + &outcome.plan.notes.join("\n");
    (
        changes.map(|change| change.action).collect(),
        told,
        fs::read(path).unwrap(),
    )
}

fn whole(instance: &str, user: &str) -> Record {
    let mut record = record(instance, Some(user), NEW_TOKEN);
    record.app.client_id = Some("id-2".to_owned());
    record.app.client_secret = Some(Secret::from("secret-2"));
    record
}

fn line(id: &str, user: &str, token: &str, order: &str) -> String {
    format!(
        r#"{{"baseURL":"https://m.example","domain":"m.example","clientId":"c","clientSecret":"s","accessToken":{token},"username":"{user}","order":{order},"_id":"{id}"}}"#
    )
}

#[test]
fn of_the_lines_of_a_document_the_last_counts() {
    for path in ["whalebird/v4", "whalebird/v4/db", LINES] {
        let snapshot = import(&data(path));
        let expected = [
            "ada@mastodon.example/Whalebird",
            "b_orges@fosstodon.example/Whalebird",
        ];
        assert_eq!(keys(&snapshot), expected);
        let borges = &records(&snapshot)[1];
        let token = borges.access_token.expose();
        assert_eq!(token, "BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc");
        let id = borges.app.client_id.as_deref();
        assert_eq!(id, Some("Tiq3dxfIGNMyQkhp9oN5lsrTnZSPbPa98_uA7BD6kAc"));
        assert_eq!(borges.app.redirect_uris, [REDIRECT_URI]);
        assert!(borges.scopes.is_none() && borges.refresh_token.is_none());
        let told = warnings(&snapshot);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("its login was never finished"), "{told:?}");
        assert_eq!(snapshot.completeness, Completeness::Complete);
    }
}

#[test]
fn an_exported_list_of_version_6_is_read_and_never_written() {
    let snapshot = import(&data(EXPORT));
    let users = [
        "ada@mastodon",
        "b_orges@fosstodon",
        "chiyo@mstdn",
        "ada_bot@mastodon",
    ];
    for (key, user) in keys(&snapshot).iter().zip(users) {
        assert!(
            key.starts_with(user) && key.ends_with("/Whalebird"),
            "{key}"
        );
    }
    assert_eq!(snapshot.tokens.len(), 4);
    assert!(warnings(&snapshot).is_empty());
    let url = records(&snapshot)[2].app.base_url.clone();
    assert_eq!(url.as_deref(), Some("https://mstdn.example.jp"));
    let plan = Whalebird
        .plan(&write(&data(EXPORT)), &records(&snapshot))
        .unwrap();
    assert!(!plan.plan().writes());
    assert!(plan.plan().changes[0].detail.contains("can't be written"));
    let text = r#"[{"access_token":"t","url":"https://mk.example","domain":"mk.example","sns":"misskey","username":"mk"},
        {"access_token":7,"url":"https://m.example","domain":"m.example","sns":"mastodon","username":"eve"}, 8]"#;
    let (_folder, path) = placed("list.json", text);
    let snapshot = import(&path);
    assert!(snapshot.tokens.is_empty());
    assert_eq!(snapshot.completeness, Completeness::Partial);
    let told = warnings(&snapshot);
    assert!(
        told[0].contains("(\"misskey\")") && told.len() == 3,
        "{told:?}"
    );
}

#[test]
fn a_changed_token_is_a_further_line_of_the_whole_document() {
    assert_eq!(assert_takes_back_its_own(&Whalebird, LINES), 2);
    let before = fs::read(data(LINES)).unwrap();
    let text = String::from_utf8(before.clone()).unwrap();
    let former = text.lines().nth(5).unwrap();
    assert!(former.contains("\"x-note\":\"ÜberΩ\""));
    let borges = record("fosstodon.example", Some("B_Orges"), NEW_TOKEN);
    let (actions, told, after) = restore(&before, &[borges]);
    assert_eq!(actions, [Action::Update], "{told}");
    assert!(
        told.contains("start Whalebird") && told.contains("stay"),
        "{told}"
    );
    let added = former.replace("BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc", NEW_TOKEN);
    assert_eq!(after, [before.as_slice(), added.as_bytes(), b"\n"].concat());
    let (_folder, path) = placed("account.db", after);
    let token = records(&import(&path))[1].access_token.clone();
    assert_eq!(token.expose(), NEW_TOKEN);
    // With its client, in a file of another system that lacks its last line break.
    let before = format!(
        "\u{feff}{}\r\n{}",
        line("a", "ada", "\"t\"", "1"),
        line("b", "bob", "\"u\"", "2")
    );
    let (_, _, after) = restore(before.as_bytes(), &[whole("m.example", "ada")]);
    let added = line("a", "ada", &format!("\"{NEW_TOKEN}\""), "1");
    let added = added
        .replace("\"c\"", "\"id-2\"")
        .replace("\"s\"", "\"secret-2\"");
    assert_eq!(
        String::from_utf8(after).unwrap(),
        format!("{before}\n{added}\n")
    );
}

#[test]
fn a_new_account_is_a_further_line_with_the_next_number() {
    let before = fs::read(data(LINES)).unwrap();
    let mut zoe = whole("mastodon.example", "zoe");
    zoe.refresh_token = Some(Secret::from("fresh"));
    // A login that was never finished takes no token: it has no user.
    let (actions, told, after) = restore(&before, &[zoe, whole("new.example", "ada")]);
    assert_eq!(actions, [Action::Insert, Action::Insert], "{told}");
    let added = std::str::from_utf8(after.strip_prefix(before.as_slice()).unwrap()).unwrap();
    let ids: Vec<_> = added
        .lines()
        .map(|line| line.rsplit('"').nth(1).unwrap())
        .collect();
    let is_id = |id: &&str| id.len() == 16 && id.bytes().all(|c| c.is_ascii_alphanumeric());
    assert!(ids.iter().all(is_id) && ids[0] != ids[1], "{ids:?}");
    let expected = |instance: &str, user: &str, refresh_token: &str, order: u32, id: &str| {
        format!(
            "{{\"baseURL\":\"https://{instance}\",\"domain\":\"{instance}\",\"clientId\":\"id-2\",\"clientSecret\":\
             \"secret-2\",\"accessToken\":\"{NEW_TOKEN}\",\"refreshToken\":{refresh_token},\"username\":\"{user}\",\
             \"accountId\":null,\"avatar\":null,\"order\":{order},\"_id\":\"{id}\"}}\n"
        )
    };
    let expected = expected("mastodon.example", "zoe", "\"fresh\"", 5, ids[0])
        + &expected("new.example", "ada", "null", 6, ids[1]);
    assert_eq!(added, expected);
    let (_folder, path) = placed("account.db", after);
    assert_eq!(import(&path).tokens.len(), 4);
    let (actions, _, after) = restore(b"", &[whole("new.example", "ada")]);
    assert_eq!(actions, [Action::Insert]);
    assert!(String::from_utf8(after).unwrap().contains("\"order\":1,"));
}

#[test]
fn what_whalebird_could_not_open_or_use_is_refused() {
    let ada = line("a", "ada", "\"t\"", "1");
    let high = line("a", "ada", "\"t\"", "9007199254740991");
    let number = line("a", "ada", "5", "1");
    let new = whole("m.example", "zoe");
    for (text, record, why) in [
        (
            format!("{ada}\n{{\"torn"),
            &whole("m.example", "ada"),
            "too many of its lines",
        ),
        (
            ada.clone(),
            &record("m.example", Some("zoe"), "t"),
            "client_id",
        ),
        (ada.clone(), &record("n.example", None, "t"), "not known"),
        (high, &new, "numbered too high"),
        (
            line("a", "ada", "\"t\"", "1e400"),
            &new,
            "numbered too high",
        ),
        (
            format!("{ada}\n{number}"),
            &whole("m.example", "ada"),
            "expected a string",
        ),
    ] {
        let (actions, told, after) = restore(text.as_bytes(), std::slice::from_ref(record));
        assert_eq!(actions, [Action::Refuse], "{told}");
        assert!(told.contains(why), "{told}");
        assert_eq!(after, text.as_bytes());
    }
}

#[test]
fn a_damaged_line_is_told_and_the_others_are_read() {
    let text = format!(
        "{}\n{{\"accessToken\":\"secret-0\n{}\n7\n{{\"_id\":\"x\",\"other\":1}}\n{{\"no\":\"id\"}}\n",
        line("a", "ada", "\"t\"", "1"),
        line("b", "bob", "null", "2"),
    );
    let (_folder, path) = placed("account.db", text);
    let snapshot = import(&path);
    assert_eq!(keys(&snapshot), ["ada@m.example/Whalebird"]);
    assert_eq!(snapshot.completeness, Completeness::Partial);
    let told = warnings(&snapshot).join("\n");
    for what in [
        "\"bob\" of m.example: it has no token",
        "line 2: it is",
        "line 4: it is",
        "line 6: it is",
    ] {
        assert!(told.contains(what), "{told}");
    }
    assert!(!told.contains("secret-0"));
}

#[test]
fn every_place_on_every_system_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let container = "Library/Containers/org.whalebird.app";
    fs::create_dir_all(home.join(container)).unwrap();
    let store = "AppData/Local/Packages/45610h3poteto.Whalebird_abc";
    fs::create_dir_all(home.join(store)).unwrap();
    let surroundings = Surroundings {
        home: home.to_owned(),
        config: home.join(".config"),
        ..Surroundings::default()
    };
    let places = Whalebird.usual_places(&surroundings);
    for place in [
        ".config/Whalebird",
        ".config/whalebird",
        "Library/Application Support/Whalebird",
        "AppData/Roaming/Whalebird",
        ".var/app/social.whalebird.WhalebirdDesktop/config/Whalebird",
        "snap/whalebird/current/.config/Whalebird",
        &format!("{store}/LocalCache/Roaming/Whalebird"),
        &format!("{container}/Data/Library/Application Support/Whalebird"),
    ] {
        assert!(places.contains(&home.join(place)), "{place}: {places:?}");
    }
}

#[test]
fn a_folder_may_hold_what_was_interrupted_and_what_can_not_be_read() {
    let text = format!("{}\n", line("a", "ada", "\"t\"", "1"));
    let (folder, path) = placed("Whalebird/db/account.db~", &text);
    assert_eq!(import(folder.path()).tokens.len(), 1);
    let main = path.with_file_name("account.db");
    fs::write(&main, text.replace("ada", "eve")).unwrap();
    assert_eq!(keys(&import(folder.path())), ["eve@m.example/Whalebird"]);
    // Of another program of the same kind nothing is said.
    let indexed = "IndexedDB/app_._0.indexeddb.leveldb";
    for (name, is_ours) in [("Whalebird", true), ("Other", false)] {
        let folder = tempfile::tempdir().unwrap();
        let user_data = folder.path().join(name);
        fs::create_dir_all(user_data.join(indexed)).unwrap();
        let request = read(&user_data);
        assert_eq!(Whalebird.fits(&request), is_ours);
        match Whalebird.read(&request) {
            Ok(snapshot) => assert!(is_ours && warnings(&snapshot)[0].contains("IndexedDB")),
            Err(error) => assert!(!is_ours && matches!(error, Error::NotFound { .. })),
        }
        if is_ours {
            let plan = Whalebird.plan(&write(&user_data), &[whole("m.example", "ada")]);
            assert!(!plan.unwrap().plan().writes());
        }
    }
}

#[test]
fn the_real_file_behind_a_link_is_written() {
    let (folder, path) = copied(LINES);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let plan = Whalebird.plan(&write(&link), &[whole("mastodon.example", "ada")]);
    plan.unwrap().apply().unwrap();
    assert!(link.is_symlink());
    assert!(fs::read_to_string(path).unwrap().contains(NEW_TOKEN));
}

#[test]
fn damage_and_what_is_not_ours_are_told_without_secrets() {
    for sample in [LINES, EXPORT] {
        assert_survives_damage(&Whalebird, sample);
    }
    for not_ours in [
        "hello",
        "7\n",
        "[]",
        "[{}]",
        "{",
        "{\"_id\":\"x\",\"acct\":\"ada@m.example\",\"ownerID\":\"y\"}",
    ] {
        let (_folder, path) = placed("account.db", not_ours);
        let error = Whalebird.read(&read(&path)).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }),
            "{not_ours}: {error}"
        );
        assert!(!Whalebird.fits(&read(&path)));
    }
    // What a program that was just installed has.
    for empty in ["", "\n", "{\"$$indexCreated\":{\"fieldName\":\"order\"}}\n"] {
        let (_folder, path) = placed("account.db", empty);
        assert!(import(&path).tokens.is_empty());
        assert!(!Whalebird.fits(&read(&path)));
    }
}

#[test]
fn a_document_that_comes_again_after_it_was_deleted_is_there() {
    let line = |token: &str| {
        format!(r#"{{"_id":"a","domain":"m.example","username":"ada","accessToken":"{token}"}}"#)
    };
    let deleted = r#"{"_id":"a","$$deleted":true}"#;
    for (lines, tokens) in [
        (
            vec![line("t-1"), deleted.to_owned(), line("t-2")],
            vec!["t-2"],
        ),
        (vec![line("t-1"), line("t-2"), deleted.to_owned()], vec![]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.db");
        fs::write(&path, lines.join("\n")).unwrap();
        let held = Whalebird
            .read(&read(&path))
            .map(|snapshot| records(&snapshot));
        let held = held.unwrap_or_default();
        let held: Vec<_> = held
            .iter()
            .map(|record| record.access_token.expose())
            .collect();
        assert_eq!(held, tokens);
    }
}

#[test]
fn more_accounts_than_anybody_has_are_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let line = |number: usize| {
        format!(r#"{{"_id":"{number}","domain":"m.example","accessToken":"t-{number}"}}"#)
    };
    let lines: Vec<_> = (0..=10_000).map(line).collect();
    let export = |line: &String| {
        line.replace(
            "\"_id\"",
            "\"url\":\"m.example\",\"sns\":\"mastodon\",\"_id\"",
        )
        .replace("accessToken", "access_token")
    };
    for (name, text) in [
        ("account.db", lines.join("\n")),
        ("account.db", "damaged\n".repeat(10_001)),
        (
            "list.json",
            format!(
                "[{}]",
                lines.iter().map(export).collect::<Vec<_>>().join(",")
            ),
        ),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let error = Whalebird.read(&read(&path)).unwrap_err();
        assert!(error.to_string().contains("which nobody has"), "{error}");
    }
}

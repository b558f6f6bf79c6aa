use std::fs;

use super::*;
use crate::{
    connectors::testing::{
        NEW_TOKEN, assert_changes_only_the_token, assert_survives_damage,
        assert_takes_back_its_own, copied, data, read, record, records, warnings, write,
    },
    model::{Action, Completeness},
};

const ELK: &str = "web-clients/elk-localstorage.json";
const ELK_ARRAY: &str = "web-clients/elk-indexeddb-users.json";
const PHANPY: &str = "web-clients/phanpy-localstorage.json";
const PINAFORE: &str = "web-clients/pinafore-localstorage.json";
const SENGI: &str = "web-clients/sengi-localstorage.json";
const ALL: [&str; 5] = [ELK, ELK_ARRAY, PHANPY, PINAFORE, SENGI];
const TOKEN_OF_ADA: &str = "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";

fn keys(snapshot: &Snapshot) -> Vec<String> {
    let records = records(snapshot).into_iter();
    records.map(|record| record.key().to_string()).collect()
}

/// The sample with the texts of all keys parsed, as other tools dump them.
fn parsed(sample: &str) -> String {
    let text = fs::read_to_string(data(sample)).unwrap();
    let mut dump: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    for value in dump.values_mut() {
        if let Ok(inner) = serde_json::from_str(value.as_str().unwrap()) {
            *value = inner;
        }
    }
    serde_json::to_string_pretty(&dump).unwrap()
}

/// A file with this text.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = copied(ELK);
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn every_client_is_read_whether_its_values_are_texts_or_parsed() {
    let elk = [
        "ada@mastodon.example",
        "b_orges@fosstodon.example",
        "chiyo@mstdn.example.jp",
    ];
    for (sample, expected) in [
        (ELK, &elk[..2]),
        (ELK_ARRAY, &elk),
        (
            PHANPY,
            &[
                "ada@mastodon.example/Phanpy",
                "b_orges@fosstodon.example/Tiq3dxfIGNMyQkhp9oN5lsrTnZSPbPa98_uA7BD6kAc",
                "chiyo@mstdn.example.jp",
            ],
        ),
        (PINAFORE, &["?@mastodon.example", "?@fosstodon.example"]),
        (
            SENGI,
            &[
                "ada@mastodon.example/Sengi",
                "b_orges@fosstodon.example/Sengi",
            ],
        ),
    ] {
        let whole = Web.read(&read(&data(sample))).unwrap();
        let told = keys(&whole);
        assert_eq!(told, expected, "{sample}");
        assert_eq!(records(&whole)[0].access_token.expose(), TOKEN_OF_ADA);
        if sample != ELK_ARRAY {
            let (_folder, path) = file(&parsed(sample));
            let again = Web.read(&read(&path)).unwrap();
            assert_eq!(keys(&again), keys(&whole), "{sample}");
            assert_eq!(warnings(&again), warnings(&whole));
        }
    }
}

#[test]
fn only_what_a_client_keeps_is_known() {
    let first = |sample: &str| records(&Web.read(&read(&data(sample))).unwrap()).remove(0);
    let (elk, phanpy, pinafore, sengi) = (first(ELK), first(PHANPY), first(PINAFORE), first(SENGI));
    for with_app in [&phanpy, &sengi] {
        assert!(
            with_app
                .app
                .client_id
                .as_deref()
                .unwrap()
                .starts_with("vlwohv")
        );
        assert!(
            with_app
                .app
                .client_secret
                .as_ref()
                .unwrap()
                .expose()
                .starts_with("MHfCpw")
        );
    }
    assert_eq!(phanpy.app.redirect_uris, ["https://phanpy.example"]);
    assert_eq!(sengi.app.redirect_uris, ["http://localhost:4200/register"]);
    for without in [&elk, &pinafore] {
        assert_eq!(without.app.client_id, None);
    }
    let time = |text: &str| Some(text.parse().unwrap());
    assert_eq!(
        pinafore.scopes.as_ref().unwrap().to_string(),
        "read write follow push"
    );
    assert_eq!(pinafore.created_at, time("2020-09-13T12:26:40Z"));
    assert_eq!(
        sengi.scopes.as_ref().unwrap().to_string(),
        "read write follow"
    );
    assert_eq!(sengi.created_at, time("2022-04-15T05:20:00Z"));
    assert_eq!(
        (&elk.scopes, &phanpy.scopes, phanpy.created_at),
        (&None, &None, None)
    );
}

#[test]
fn what_is_no_account_is_told() {
    let snapshot = Web.read(&read(&data(ELK))).unwrap();
    let told = warnings(&snapshot);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("guest.example: it is a visit as a guest"),
        "{told:?}"
    );
    for (text, tokens, why, completeness) in [
        (
            r#"{"elk-current-user-handle": "ada@m.example", "elk-servers": "{}"}"#,
            0,
            "indexedDB.open('keyval-store')",
            Completeness::Complete,
        ),
        (
            r#"{"elk-users": "[{"}"#,
            0,
            "\"elk-users\" can't be read",
            Completeness::Partial,
        ),
        (
            r#"{"elk-users": 5}"#,
            0,
            "\"elk-users\" can't be read",
            Completeness::Partial,
        ),
        (
            r#"{"store_loggedInInstances": "[]"}"#,
            0,
            "can't be read",
            Completeness::Partial,
        ),
        (
            r#"{"@@STATE": "{\"registeredaccounts\": 1}"}"#,
            0,
            "Sengi: ",
            Completeness::Partial,
        ),
        (
            r#"{"store_loggedInInstances": {"m.example": {"access_token": 5}, "n.example": {"access_token": "t", "created_at": 1e999}}}"#,
            1,
            "expected a string",
            Completeness::Partial,
        ),
        (
            r#"{"accounts": [{"instanceURL": "m.example"}], "credentialApplications": "x"}"#,
            0,
            "no token",
            Completeness::Complete,
        ),
        (
            r#"{"accounts": "[]", "accounts": [{"instanceURL": "m.example", "accessToken": ""}]}"#,
            0,
            "no token",
            Completeness::Complete,
        ),
    ] {
        let (_folder, path) = file(text);
        let snapshot = Web.read(&read(&path)).unwrap();
        assert_eq!(snapshot.tokens.len(), tokens, "{text}");
        assert_eq!(snapshot.completeness, completeness, "{text}");
        assert!(
            warnings(&snapshot)[0].contains(why),
            "{:?}",
            warnings(&snapshot)
        );
    }
}

#[test]
fn writing_changes_the_token_in_the_string_that_holds_it() {
    for (sample, account) in [
        (ELK, "b_orges@fosstodon.example"),
        (ELK_ARRAY, "chiyo@mstdn.example.jp"),
        (PHANPY, "b_orges@fosstodon.example"),
        (PINAFORE, "?@fosstodon.example"),
        (SENGI, "b_orges@fosstodon.example"),
    ] {
        assert!(assert_takes_back_its_own(&Web, sample) >= 2);
        let notes = assert_changes_only_the_token(&Web, sample, account);
        let line = match sample {
            ELK_ARRAY => {
                "transaction('keyval', 'readwrite').objectStore('keyval').put(DUMP, 'elk-users')"
            }
            ELK => "{ const dump = DUMP; localStorage.setItem('elk-users', dump['elk-users']) }",
            PHANPY => "localStorage.setItem('accounts', dump['accounts'])",
            PINAFORE => "localStorage.setItem('store_loggedInInstances', dump[",
            _ => "localStorage.setItem('@@STATE', dump['@@STATE'])",
        };
        assert!(notes.last().unwrap().contains(line), "{notes:?}");
    }
}

#[test]
fn however_the_dump_is_spelled_only_the_token_changes() {
    let text = fs::read_to_string(data(PHANPY)).unwrap();
    let spelled: String = text
        .replace("\\\"", "\\u0022")
        .chars()
        .map(|c| match c {
            c if c.is_ascii() => c.to_string(),
            c => {
                let units = c.encode_utf16(&mut [0; 2]).to_vec();
                let units = units.iter().map(|unit| format!("\\u{unit:04X}"));
                units.collect::<Vec<_>>().concat()
            }
        })
        .collect();
    let parsed = parsed(PHANPY).replace('\n', "\r\n");
    for text in [text, spelled, parsed] {
        let text = format!("\u{feff}{text}\r\n");
        let (folder, path) = file(&text);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let new = |name, host, token: &str| record(host, Some(name), token);
        let tokens = [
            new("ada", "mastodon.example", NEW_TOKEN),
            new("chiyo", "mstdn.example.jp", "a\"b\\c/d"),
        ];
        let plan = Web.plan(&write(&link), &tokens).unwrap();
        let is_parsed = plan
            .plan()
            .notes
            .last()
            .unwrap()
            .contains("JSON.stringify(dump['accounts'])");
        assert_eq!(is_parsed, text.contains("\r\n  "));
        plan.apply().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let after = fs::read_to_string(&path).unwrap();
        let other = if is_parsed {
            "a\\\"b\\\\c/d"
        } else {
            "a\\\\\\\"b\\\\\\\\c/d"
        };
        let expected = text
            .replace(TOKEN_OF_ADA, NEW_TOKEN)
            .replace("bLmUYNytthbMEQoxF1MjEjq100_7MJGo1jtQBFFgPi8", other);
        assert_eq!(after, expected);
        let again = records(&Web.read(&read(&path)).unwrap());
        assert_eq!(again[2].access_token.expose(), "a\"b\\c/d");
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    for (sample, host, name, why) in [
        (ELK, "guest.example", Some("guest"), "guest"),
        (ELK, "new.example", Some("zoe"), "log in with the client"),
        (
            PINAFORE,
            "new.example",
            Some("zoe"),
            "log in with the client",
        ),
    ] {
        let (_folder, path) = copied(sample);
        let plan = Web
            .plan(&write(&path), &[record(host, name, NEW_TOKEN)])
            .unwrap();
        let change = &plan.plan().changes[0];
        assert_eq!(change.action, Action::Refuse, "{}", change.detail);
        assert!(change.detail.contains(why), "{}", change.detail);
    }
    // The app is shared by all accounts of the instance.
    let (_folder, path) = copied(SENGI);
    let ada = record("mastodon.example", Some("ada"), NEW_TOKEN);
    let plan = Web.plan(&write(&path), &[ada]).unwrap();
    assert!(
        plan.plan().notes[0].contains("its app stays"),
        "{:?}",
        plan.plan().notes
    );
}

#[test]
fn what_is_no_account_where_one_belongs_ends_nothing() {
    for text in [
        r#"{"store_loggedInInstances":{"m.example":"{\"access_token\":\"t\"}"}}"#,
        r#"[{"server":"m.example","account":{},"token":"t"},"{\"token\":\"u\"}"]"#,
        r#"{"accounts":[{"instanceURL":"m.example"},5]}"#,
        r#"{"@@STATE":{"registeredaccounts":{"accounts":["x"]}}}"#,
        r#"{"@@STATE":{"registeredaccounts":{"accounts":[{"token":"t"}]}}}"#,
    ] {
        let (_folder, path) = file(text);
        let snapshot = Web.read(&read(&path)).unwrap();
        assert_eq!(snapshot.completeness, Completeness::Partial, "{text}");
    }
    let (_folder, path) =
        file(r#"{"@@STATE":{"registeredaccounts":{"accounts":[{"token":null}]}}}"#);
    let snapshot = Web.read(&read(&path)).unwrap();
    assert_eq!(snapshot.completeness, Completeness::Complete);
}

#[test]
fn a_key_that_stands_twice_is_changed_where_it_counts() {
    let value = |token: &str| {
        format!(r#""store_loggedInInstances":{{"m.example":{{"access_token":"{token}"}}}}"#)
    };
    let text = |token: &str| format!("{{{},\"x\":1.10,{}}}", value("first"), value(token));
    let (_folder, path) = file(&text("last"));
    let new = record("m.example", None, NEW_TOKEN);
    Web.plan(&write(&path), &[new]).unwrap().apply().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text(NEW_TOKEN));
}

#[test]
fn damage_is_told_without_secrets() {
    for sample in ALL {
        assert_survives_damage(&Web, sample);
    }
    for not_ours in [
        "",
        "{}",
        "[]",
        "5",
        r#"{"accounts": "[]"}"#,
        r#"{"accounts": [{"accessToken": "t"}]}"#,
        r#"{"@@STATE": "{}"}"#,
        r#"{"@@STATE": "no json"}"#,
        r#"[{"server": "m.example", "token": "t"}]"#,
        r#"[{"server": 5, "account": {}}]"#,
    ] {
        let (_folder, path) = file(not_ours);
        let error = Web.read(&read(&path)).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }),
            "{not_ours}: {error}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let error = Web.read(&read(folder.path())).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }));
    assert!(Web.usual_places(&Surroundings::default()).is_empty());
}

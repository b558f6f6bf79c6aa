use std::{fs, path::PathBuf};

use super::*;
use crate::{
    connectors::testing::{data, read, record, records, warnings, write},
    model::{Action, PlannedChange},
};

fn import(path: &Path) -> Snapshot {
    Toot.read(&read(path)).unwrap()
}

fn import_text(text: impl AsRef<[u8]>) -> Result<Snapshot, Error> {
    let (_folder, path) = place_text(text);
    Toot.read(&read(&path))
}

fn place_text(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn fixture() -> String {
    fs::read_to_string(data("toot/config.json")).unwrap()
}

/// Restores into a copy of this text; gives the changes and the file after.
fn restore(text: &str, records: &[Record], replace_app: bool) -> (Vec<PlannedChange>, String) {
    let (_folder, path) = place_text(text);
    let request = WriteRequest {
        replace_app,
        ..write(&path)
    };
    let prepared = Toot.plan(&request, records).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        text,
        "a plan writes nothing"
    );
    let changes = prepared.apply().unwrap().plan.changes;
    (changes, fs::read_to_string(&path).unwrap())
}

fn actions(changes: &[PlannedChange]) -> Vec<Action> {
    changes.iter().map(|change| change.action).collect()
}

#[test]
fn accounts_come_with_their_apps() {
    let snapshot = import(&data("toot"));
    assert_eq!(snapshot.completeness, Completeness::Complete);
    assert_eq!(
        warnings(&snapshot),
        Vec::<&str>::new(),
        "nothing to complain about"
    );
    assert_eq!(
        snapshot.source.location,
        data("toot/config.json").display().to_string()
    );
    assert_eq!(snapshot.source.host, "laptop");
    assert_eq!((snapshot.apps.len(), snapshot.accounts.len()), (3, 4));
    let records = records(&snapshot);
    let keys: Vec<_> = records
        .iter()
        .map(|record| record.key().to_string())
        .collect();
    assert_eq!(
        keys,
        [
            "ada@mastodon.example/toot",
            "ada_bot@mastodon.example/toot",
            "b_orges@fosstodon.example/toot",
            "chiyo@mstdn.example.jp/toot"
        ]
    );
    let split = &records[2];
    assert_eq!(
        split.access_token.expose(),
        "BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc"
    );
    assert_eq!(
        split.app.base_url.as_deref(),
        Some("https://social.fosstodon.example")
    );
    assert_eq!(split.app.redirect_uris, ["urn:ietf:wg:oauth:2.0:oob"]);
    assert_eq!((&split.scopes, &split.app.scopes), (&None, &None));
}

#[test]
fn an_empty_store_is_read_and_an_orphan_is_kept_without_its_app() {
    assert_eq!(import(&data("toot/config-empty.json")).tokens.len(), 0);
    let snapshot = import(&data("toot/config-orphan-user.json"));
    assert_eq!(snapshot.tokens.len(), 1);
    assert_eq!(snapshot.apps[0].body.client_id, None);
    assert_eq!(snapshot.apps[0].body.name.as_deref(), Some("toot"));
    assert!(warnings(&snapshot)[0].contains("its app is missing"));
}

#[test]
fn the_layout_of_0_15_is_read_and_its_token_replaced() {
    let snapshot = import(&data("toot/legacy"));
    let found = records(&snapshot);
    assert_eq!(found[0].key().to_string(), "ada@mastodon.example/toot");
    assert!(found[0].app.client_secret.is_some());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("user.cfg");
    fs::write(&path, "mastodon.example\r\nNone\r\nold\r\n").unwrap();
    let snapshot = import(folder.path());
    assert_eq!(snapshot.accounts[0].body.username, None);
    assert!(warnings(&snapshot)[0].contains("missing"));
    let new = record("mastodon.example", Some("ada"), "new");
    let prepared = Toot.plan(&write(folder.path()), &[new]).unwrap();
    prepared.apply().unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "mastodon.example\r\nNone\r\nnew\r\n"
    );
    let other = record("fosstodon.example", Some("ada"), "new");
    let plan = Toot.plan(&write(folder.path()), &[other]).unwrap();
    assert_eq!(actions(&plan.plan().changes), [Action::Refuse]);
}

#[test]
fn a_name_in_user_cfg_leads_out_of_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("user.cfg"), "../secret ada token").unwrap();
    assert!(Toot.read(&read(folder.path())).is_err());
}

#[test]
fn restoring_what_is_there_changes_no_byte() {
    let records = records(&import(&data("toot")));
    let (changes, after) = restore(&fixture(), &records, true);
    assert_eq!(actions(&changes), [Action::Unchanged; 4]);
    assert_eq!(after, fixture());
}

#[test]
fn restoring_one_token_changes_exactly_its_span() {
    for text in [
        fixture(),
        fixture().replace('\n', "\r\n"),
        format!("\u{feff}{}\n", fixture()),
        fixture().replace("  ", "").replace('\n', ""),
    ] {
        let mut record = records(&import(&data("toot"))).remove(2);
        let old = record.access_token.expose().to_owned();
        record.access_token = "a-\"new\"-one".into();
        let (changes, after) = restore(&text, &[record], false);
        assert_eq!(actions(&changes), [Action::Update]);
        assert_eq!(after, text.replace(&old, "a-\\\"new\\\"-one"));
    }
}

#[test]
fn a_missing_account_is_added_in_toots_own_style() {
    let all = records(&import(&data("toot")));
    let start = fs::read_to_string(data("toot/config-empty.json")).unwrap();
    let (changes, after) = restore(
        &start,
        &[all[3].clone(), all[0].clone(), all[1].clone()],
        false,
    );
    assert_eq!(actions(&changes), [Action::Insert; 3]);
    let expected = r#"{
 "apps": {
  "mastodon.example": {
   "base_url": "https://mastodon.example",
   "client_id": "vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo",
   "client_secret": "MHfCpw4JpU1Gbj2jzFdJMLqt1q7L_7Ooz6iIfLuGmMc",
   "instance": "mastodon.example"
  },
  "mstdn.example.jp": {
   "base_url": "https://mstdn.example.jp",
   "client_id": "fjrjkWupycgTVfa0NfsBGNaYi18SxM15UQxAAumlS98",
   "client_secret": "wGT8PNpALdiUbGzUSuwrPaB_LaG4fQcAtQlTSSbvAGM",
   "instance": "mstdn.example.jp"
  }
 },
 "users": {
  "ada@mastodon.example": {
   "access_token": "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U",
   "instance": "mastodon.example",
   "username": "ada"
  },
  "ada_bot@mastodon.example": {
   "access_token": "y7bAZC8ZHqZ5_uIZVWExuca4IeleaQn7aEZnLfITWt0",
   "instance": "mastodon.example",
   "username": "ada_bot"
  },
  "chiyo@mstdn.example.jp": {
   "access_token": "bLmUYNytthbMEQoxF1MjEjq100_7MJGo1jtQBFFgPi8",
   "instance": "mstdn.example.jp",
   "username": "chiyo"
  }
 },
 "active_user": "chiyo@mstdn.example.jp"
}"#;
    assert_eq!(after, expected);
    // Into a file that has others: between them, everything else as it was.
    let (changes, after) = restore(
        &expected.replace("chiyo\"", "chi\""),
        &[all[2].clone(), all[3].clone()],
        false,
    );
    assert_eq!(actions(&changes), [Action::Insert, Action::Insert]);
    assert!(after.contains("\"active_user\": \"chiyo@mstdn.example.jp\""));
    let found = records(&import_text(&after).unwrap());
    assert_eq!(
        found.len(),
        4,
        "chi's entry stands under chiyo's key and comes last"
    );
}

#[test]
fn another_app_stays_unless_it_is_to_be_replaced() {
    let mut record = records(&import(&data("toot"))).remove(0);
    let (id, secret) = (
        record.app.client_id.clone().unwrap(),
        record.app.client_secret.clone().unwrap(),
    );
    record.app.client_id = Some("other".into());
    record.app.client_secret = Some("other-secret".into());
    let (changes, after) = restore(&fixture(), &[record.clone()], false);
    assert_eq!(actions(&changes), [Action::Unchanged]);
    assert_eq!(after, fixture());
    let (_, after) = restore(&fixture(), &[record], true);
    assert_eq!(
        after,
        fixture()
            .replace(&id, "other")
            .replace(secret.expose(), "other-secret")
    );
}

#[test]
fn what_toot_could_not_use_is_refused() {
    let (changes, after) = restore(
        &fixture(),
        &[
            record("mastodon.example", None, "t"),
            record("new.example", Some("ada"), "t"),
            record("mastodon.example", Some("a b"), "t"),
            record("mastodon.example", Some("ada"), "t\n"),
        ],
        false,
    );
    assert_eq!(actions(&changes), [Action::Refuse; 4]);
    assert_eq!(after, fixture());
    let twice = [
        record("mastodon.example", Some("ada"), "t"),
        record("mastodon.example", Some("Ada"), "u"),
    ];
    let (changes, _) = restore(&fixture(), &twice, false);
    assert_eq!(actions(&changes), [Action::Update, Action::Refuse]);
}

#[test]
fn broken_files_are_errors_that_show_nothing() {
    let text = fixture();
    for end in 0..text.len() {
        let error = import_text(&text[..end]).unwrap_err().to_string();
        assert!(
            !error.contains("UJTF") && !error.contains("MHfC"),
            "{error}"
        );
    }
    let deep = format!("{{\"users\":{}", "[".repeat(200_000));
    let deep_objects = "{\"users\":".repeat(200_000);
    for text in [
        "",
        "[]",
        "{}",
        "null",
        "\"x\"",
        "{\"users\":[],\"apps\":{}}",
        "{\"users\":{}}",
        "{\"users\":{},\"apps\":1e999}",
        deep.as_str(),
        deep_objects.as_str(),
        "{'users':{},'apps':{}}",
        "{\"users\":{},\"apps\":{}} x",
    ] {
        assert!(
            import_text(text).is_err(),
            "{}",
            &text[..text.len().min(40)]
        );
    }
    assert!(import_text(b"{\"users\":{},\"apps\":{\"\xff\":{}}}").is_err());
    assert!(import_text(format!("\u{feff}{}", text.replace('\n', "\r\n"))).is_ok());
}

#[test]
fn what_is_wrong_in_one_account_leaves_the_others() {
    let broken = [
        "7",
        "null",
        "{}",
        "[]",
        r#"{"instance":"m.example","username":"a"}"#,
        r#"{"instance":"m.example","username":"a","access_token":7}"#,
        r#"{"instance":"m.example","username":"a\u001b[2J","access_token":"SECRET0"}"#,
        r#"{"instance":"no host","username":"a","access_token":"SECRET0"}"#,
        r#"{"instance":["m.example"],"username":"a","access_token":"SECRET0"}"#,
        r#"{"instance":"m.example","username":99999999999999999999999999,"access_token":"SECRET0"}"#,
    ];
    for user in broken {
        let text = format!(
            r#"{{"apps":{{}},"users":{{"b@m.example":{{"instance":"m.example","username":"b","access_token":"t"}},"\u001b[31m":{user}}}}}"#
        );
        let snapshot = import_text(&text).unwrap();
        assert_eq!(snapshot.tokens.len(), 1, "{user}");
        assert_eq!(snapshot.completeness, Completeness::Partial, "{user}");
        let warnings = warnings(&snapshot).join("\n");
        assert!(
            !warnings.contains("SECRET") && !warnings.contains('\u{1b}'),
            "{warnings}"
        );
    }
    for (token, completeness) in [
        ("", Completeness::Complete),
        ("${TOKEN}", Completeness::Complete),
        ("$(cat x)", Completeness::Complete),
        ("a b", Completeness::Partial),
        ("\\u0007", Completeness::Partial),
    ] {
        let text = format!(
            r#"{{"apps":{{}},"users":{{"b@m.example":{{"instance":"m.example","username":"b","access_token":"{token}"}}}}}}"#
        );
        let snapshot = import_text(&text).unwrap();
        assert_eq!(
            (snapshot.tokens.len(), snapshot.warnings.len()),
            (0, 1),
            "{token}"
        );
        assert_eq!(snapshot.completeness, completeness, "{token}");
    }
}

#[test]
fn the_store_is_where_toot_looks_for_it() {
    let mut surroundings = Surroundings {
        home: "/home/ada".into(),
        ..Surroundings::default()
    };
    assert_eq!(
        Toot.usual_places(&surroundings),
        [PathBuf::from("/home/ada/.config/toot")]
    );
    surroundings.xdg_config_home = Some("~/settings".into());
    assert_eq!(
        Toot.usual_places(&surroundings),
        [PathBuf::from("/home/ada/settings/toot")]
    );
    surroundings.xdg_config_home = Some("/etc/xdg".into());
    assert_eq!(
        Toot.usual_places(&surroundings),
        [PathBuf::from("/etc/xdg/toot")]
    );
}

use std::fs;

use super::*;
use crate::{
    connectors::testing::{
        NEW_TOKEN, assert_changes_only_the_token, assert_survives_damage,
        assert_takes_back_its_own, copied, data, read, record, records, warnings, write,
    },
    model::{Action, Scopes},
};

const A: &str = "mastodon-android/A-official-2.6/files/accounts.json";
const B: &str = "mastodon-android/B-megalodon/files/accounts.json";
#[cfg(feature = "sqlite")]
const C: &str = "mastodon-android/C-official-2.13/databases";

fn samples() -> Vec<PathBuf> {
    vec![
        data(A),
        data(B),
        #[cfg(feature = "sqlite")]
        data(C),
    ]
}

/// What is read from this text as `accounts.json`.
fn read_text(text: &str) -> Result<Snapshot, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(JSON);
    fs::write(&path, text).unwrap();
    MastodonAndroid.read(&read(&path))
}

#[test]
fn every_generation_holds_the_same_accounts() {
    for path in samples() {
        let snapshot = MastodonAndroid.read(&read(&path)).unwrap();
        assert_eq!(warnings(&snapshot), Vec::<&str>::new());
        let records = records(&snapshot);
        let held = records.iter().map(|record| record.key().to_string());
        let app = "Mastodon for Android";
        assert_eq!(
            held.collect::<Vec<_>>(),
            [
                format!("ada@mastodon.example/{app}"),
                format!("b_orges@fosstodon.example/{app}"),
                format!("chiyo@mstdn.example.jp/{app}")
            ],
            "{path:?}"
        );
        let ada = &records[0];
        assert_eq!(
            ada.access_token.expose(),
            "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U"
        );
        let scopes = ada.scopes.as_ref().map(Scopes::as_str);
        assert_eq!(scopes, Some("read write follow push"));
        let issued = ada.created_at.unwrap().as_second();
        assert_eq!(issued, 1_700_000_000);
        let id = ada.app.client_id.as_deref();
        assert_eq!(id, Some("vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo"));
        let secret = ada.app.client_secret.as_ref().unwrap();
        assert!(secret.expose().starts_with("MHfCpw"));
        assert_eq!(ada.app.redirect_uris, ["mastodon-android-auth://callback"]);
        assert_eq!(ada.app.base_url, None);
    }
}

#[test]
fn letters_are_believed_only_where_the_shape_is_right() {
    let token = r#"{"access_token":"token-1","created_at":99999999999999999999}"#;
    let me = r#"{"username":"ada","url":"https://social.mastodon.example/@ada"}"#;
    for text in [
        // A mixture, and parts under other letters than those known.
        format!(r#"{{"a":[{{"token":{token},"b":{me},"domain":"mastodon.example"}}]}}"#),
        format!(r#"{{"accounts":[{{"x":{me},"a":"?","b":{token},"c":"mastodon.example"}}]}}"#),
        format!(
            r#"{{"a":[{{"b":1,"a":{{}},"c":"mastodon.example","c":"mastodon.example","q":{token},"z":{me}}}]}}"#
        ),
    ] {
        let snapshot = read_text(&text).unwrap();
        assert_eq!(warnings(&snapshot), Vec::<&str>::new(), "{text}");
        let record = &records(&snapshot)[0];
        assert_eq!(record.user.name(), Some("ada"));
        assert_eq!(record.instance.as_str(), "mastodon.example");
        assert_eq!(record.access_token.expose(), "token-1");
        let api = record.app.base_url.as_deref();
        assert_eq!(api, Some("https://social.mastodon.example"));
        assert_eq!((record.created_at, &record.app.client_id), (None, &None));
    }
    // Two that could be the token: which is meant can't be known.
    let two = format!(r#"{{"a":[{{"x":{token},"y":{token},"c":"mastodon.example"}}]}}"#);
    for text in [
        &two,
        "{}",
        "[]",
        r#"{"a":{}}"#,
        r#"{"a":[1]}"#,
        r#"{"accounts":[],"more":1}"#,
        r#"{"users":[]}"#,
    ] {
        let error = read_text(text).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{text}: {error}");
    }
    let empty = read_text(r#"{"a":[]}"#).unwrap();
    assert!(empty.tokens.is_empty());
    let odd = read_text(
        r#"{"a":[{"a":{"access_token":5},"c":"mastodon.example"},{"a":{"access_token":""}}]}"#,
    );
    let odd = odd.unwrap();
    assert_eq!(odd.completeness, Completeness::Partial);
    let told = warnings(&odd);
    assert!(
        told[0].ends_with("expected a string for \"access_token\""),
        "{told:?}"
    );
    assert!(told[1].contains("it has no token"), "{told:?}");
}

#[test]
fn byte_order_mark_and_crlf_are_no_obstacle() {
    let text = fs::read_to_string(data(B))
        .unwrap()
        .replace("},{", "},\r\n{");
    let snapshot = read_text(&format!("\u{feff}{text}")).unwrap();
    assert_eq!(snapshot.tokens.len(), 3);
}

#[test]
fn only_the_values_change_and_numbers_stay_as_they_are_spelled() {
    for sample in [A, B] {
        assert_eq!(assert_takes_back_its_own(&MastodonAndroid, sample), 3);
        let account = "b_orges@fosstodon.example";
        let notes = assert_changes_only_the_token(&MastodonAndroid, sample, account);
        assert_eq!(notes, [ADVICE]);
    }
    let (_folder, path) = copied(A);
    let mut chiyo = record("mstdn.example.jp", Some("Chiyo"), NEW_TOKEN);
    chiyo.created_at = Some(Timestamp::from_second(1_800_000_000).unwrap());
    chiyo.scopes = Some(Scopes::parse("read"));
    let new = record("new.example", Some("zoe"), "token-2");
    let plan = MastodonAndroid.plan(&write(&path), &[chiyo, new]).unwrap();
    let actions: Vec<_> = plan
        .plan()
        .changes
        .iter()
        .map(|change| change.action)
        .collect();
    assert_eq!(actions, [Action::Update, Action::Refuse]);
    assert!(plan.plan().changes[1].detail.contains("whole profile"));
    assert!(plan.plan().notes[0].contains("client_id and client_secret stay"));
    plan.apply().unwrap();
    let before = fs::read_to_string(data(A)).unwrap();
    let expected = before
        .replace("bLmUYNytthbMEQoxF1MjEjq100_7MJGo1jtQBFFgPi8", NEW_TOKEN)
        .replace(
            r#""scope":"read write follow push","created_at":1700000002"#,
            r#""scope":"read","created_at":1800000000"#,
        );
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn the_folder_of_the_app_is_enough_and_says_what_else_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("org.joinmastodon.android.sk");
    let other = folder.path().join("com.example.game");
    for app in [&app, &other] {
        fs::create_dir_all(app.join("files")).unwrap();
    }
    let leftover = app.join("files").join(LEFTOVER);
    fs::write(&leftover, "{\"accounts\":[{\"tok").unwrap();
    let error = MastodonAndroid.read(&read(&app)).unwrap_err().to_string();
    assert!(error.contains("what an interrupted save left"), "{error}");
    fs::copy(data(B), app.join("files/accounts.json")).unwrap();
    fs::write(other.join("files/accounts.json"), "[]").unwrap();
    let snapshot = MastodonAndroid.read(&read(&app)).unwrap();
    assert_eq!(snapshot.completeness, Completeness::Complete);
    assert!(warnings(&snapshot)[0].contains("accounts.json~ is there too"));
    for android in [folder.path(), &app] {
        let surroundings = Surroundings {
            android: vec![android.to_owned()],
            ..Surroundings::default()
        };
        let found = MastodonAndroid.usual_places(&surroundings);
        assert_eq!(found, std::slice::from_ref(&app));
    }
    #[cfg(feature = "sqlite")]
    {
        // A migration that did not end: the newer store counts, and the older one is not lost.
        fs::create_dir(app.join("databases")).unwrap();
        fs::copy(data(C).join(DATABASE), app.join("databases/accounts.db")).unwrap();
        let snapshot = MastodonAndroid.read(&read(&app)).unwrap();
        assert!(snapshot.source.location.ends_with("accounts.db"));
        assert_eq!(snapshot.completeness, Completeness::Partial);
        assert!(warnings(&snapshot)[1].contains("store of an older version"));
        let surroundings = Surroundings {
            android: vec![app.clone()],
            ..Surroundings::default()
        };
        assert_eq!(MastodonAndroid.usual_places(&surroundings), [app]);
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn in_the_database_only_spans_within_the_json_change() {
    use crate::model::Secret;
    use rusqlite::Connection;

    assert_eq!(assert_takes_back_its_own(&MastodonAndroid, C), 3);
    let (_folder, path) = copied(C);
    let columns = |path: &Path| -> Vec<String> {
        let app = Connection::open(path.join(DATABASE)).unwrap();
        let sql = "SELECT domain || account_obj || token || application || push_keys || flags FROM accounts ORDER BY rowid";
        let mut statement = app.prepare(sql).unwrap();
        let rows = statement.query_map((), |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    // Spelled as no serializer would.
    let app = Connection::open(path.join(DATABASE)).unwrap();
    app.execute_batch(
        r#"UPDATE accounts SET token = replace(token, '"created_at":', ' "x":1.50e+3 , "created_at" : ') WHERE domain LIKE 'mst%'"#,
    )
    .unwrap();
    drop(app);
    let before = columns(&path);
    let mut chiyo = record("mstdn.example.jp", Some("chiyo"), NEW_TOKEN);
    chiyo.app.client_id = Some("id-2".to_owned());
    chiyo.app.client_secret = Some(Secret::from("secret-2"));
    let borges = record("fosstodon.example", Some("b_orges"), "token-2");
    let new = record("new.example", Some("zoe"), "token-3");
    let plan = MastodonAndroid.plan(&write(&path), &[chiyo, borges, new]);
    let plan = plan.unwrap();
    let actions: Vec<_> = plan
        .plan()
        .changes
        .iter()
        .map(|change| change.action)
        .collect();
    assert_eq!(actions, [Action::Update, Action::Update, Action::Refuse]);
    assert_eq!(plan.plan().notes.len(), 2, "{:?}", plan.plan().notes);
    plan.apply().unwrap();
    let mut expected = before;
    for (former, new) in [
        ("bLmUYNytthbMEQoxF1MjEjq100_7MJGo1jtQBFFgPi8", NEW_TOKEN),
        ("fjrjkWupycgTVfa0NfsBGNaYi18SxM15UQxAAumlS98", "id-2"),
        ("wGT8PNpALdiUbGzUSuwrPaB_LaG4fQcAtQlTSSbvAGM", "secret-2"),
        ("BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc", "token-2"),
    ] {
        for row in &mut expected {
            *row = row.replace(former, new);
        }
    }
    assert_eq!(columns(&path), expected);

    let app = Connection::open(path.join(DATABASE)).unwrap();
    app.execute_batch(
        "UPDATE accounts SET token = '{\"access_token\": \"s3cret' WHERE domain LIKE 'mst%';
         UPDATE accounts SET application = NULL, token = '{}' WHERE domain LIKE 'mastodon%';
         UPDATE accounts SET account_obj = x'05' WHERE domain LIKE 'foss%'",
    )
    .unwrap();
    drop(app);
    let snapshot = MastodonAndroid.read(&read(&path)).unwrap();
    assert_eq!(snapshot.completeness, Completeness::Partial);
    let told = warnings(&snapshot);
    assert_eq!(told.len(), 3);
    assert!(
        told[0].ends_with("expected a string for \"access_token\""),
        "{told:?}"
    );
    assert!(
        told[2].contains("its \"token\" is no JSON: line 1"),
        "{told:?}"
    );
    assert!(!told.join("").contains("s3cret"));
    let app = Connection::open(path.join(DATABASE)).unwrap();
    app.execute_batch("DROP TABLE accounts; CREATE TABLE accounts (id, token)")
        .unwrap();
    drop(app);
    let error = MastodonAndroid.read(&read(&path)).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
}

#[cfg(not(feature = "sqlite"))]
#[test]
fn without_sqlite_the_database_is_told_apart() {
    let database = data("mastodon-android/C-official-2.13");
    let error = MastodonAndroid.read(&read(&database)).unwrap_err();
    assert!(error.to_string().contains("feature sqlite"), "{error}");
}

#[test]
fn damage_is_told_without_secrets() {
    assert_survives_damage(&MastodonAndroid, A);
    assert_survives_damage(&MastodonAndroid, B);
    #[cfg(feature = "sqlite")]
    assert_survives_damage(&MastodonAndroid, &format!("{C}/{DATABASE}"));
}

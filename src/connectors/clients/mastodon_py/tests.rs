use std::fs;

use super::*;
use crate::connectors::testing::{data, read, record, records, warnings, write};

const TOKEN: &str = "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";

fn import(path: &Path) -> Snapshot {
    MastodonPy.read(&read(path)).unwrap()
}

fn place_text(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bot_usercred.secret");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn import_text(text: impl AsRef<[u8]>) -> Result<Snapshot, Error> {
    let (_folder, path) = place_text(text);
    MastodonPy.read(&read(&path))
}

fn restore(text: &str, record: &Record) -> (Action, String, Vec<String>) {
    let (_folder, path) = place_text(text);
    let prepared = MastodonPy
        .plan(&write(&path), std::slice::from_ref(record))
        .unwrap();
    let notes = prepared.plan().notes.clone();
    let outcome = prepared.apply().unwrap();
    (
        outcome.plan.changes[0].action,
        fs::read_to_string(path).unwrap(),
        notes,
    )
}

#[test]
fn a_folder_gives_pairs_and_reports_what_has_no_instance() {
    let snapshot = import(&data("mastodon-py"));
    let found = records(&snapshot);
    let keys: Vec<_> = found
        .iter()
        .map(|record| record.key().to_string())
        .collect();
    assert_eq!(
        keys,
        [
            "?@mastodon.example/my_bot".to_owned(),
            "?@mstdn.example.jp".to_owned()
        ]
    );
    assert!(found[0].app.client_secret.is_some());
    let told = warnings(&snapshot);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("old_usercred.secret: a token of an unknown instance"));
    // An earlier run may have been told the instance.
    assert_eq!(snapshot.completeness, Completeness::Partial);
}

#[test]
fn the_person_fills_in_what_no_file_says() {
    let request = ReadRequest {
        instance: Some(Domain::parse("fosstodon.example").unwrap()),
        user: Some("b_orges".into()),
        ..read(&data("mastodon-py/old_usercred.secret"))
    };
    let found = records(&MastodonPy.read(&request).unwrap());
    assert_eq!(found[0].key().to_string(), "b_orges@fosstodon.example");
    assert_eq!(import(&request.path).tokens.len(), 0);
}

#[test]
fn files_are_told_apart_by_their_lines() {
    for (text, tokens) in [
        ("t\n", 0),
        ("t\r\nm.example\r\n", 1),
        ("t\nhttps://m.example/\nid\nsecret", 1),
        ("\u{feff}t\nhttps://m.example\nid\nsecret\n\n", 1),
        ("id\nsecret\n", 0),
        ("id\nsecret\nhttps://m.example\nMy Bot\n", 0),
    ] {
        let snapshot = import_text(text).unwrap();
        assert_eq!(snapshot.tokens.len(), tokens, "{text}");
        assert_eq!(snapshot.warnings.len(), 1 - tokens, "{text}");
    }
}

#[test]
fn what_is_no_secret_file_is_refused_without_showing_it() {
    for text in [
        "",
        "\n\n",
        "a b\n",
        "SECRET0\n\nm.example",
        "1\n2\n3\n4",
        "1\nm.example\n3\n4\n5",
        "SECRET0\u{1b}[2J",
        "a\0",
    ] {
        let error = import_text(text).unwrap_err().to_string();
        assert!(!error.contains("SECRET0"), "{error}");
    }
    assert!(import_text(b"\xff\xfe").is_err());
    assert!(import_text("x".repeat(1 << 20)).is_err());
    assert!(
        import_text("${TOKEN}\nm.example")
            .unwrap()
            .tokens
            .is_empty()
    );
}

#[test]
fn restoring_what_is_there_changes_no_byte_and_another_token_its_span() {
    for name in ["bot_usercred.secret", "mid_usercred.secret"] {
        let path = data("mastodon-py").join(name);
        let text = fs::read_to_string(&path).unwrap();
        let mut record = records(&import(&path)).remove(0);
        let (action, after, _) = restore(&text, &record);
        assert_eq!((action, after.as_str()), (Action::Unchanged, text.as_str()));
        let old = record.access_token.expose().to_owned();
        record.access_token = "new".into();
        for text in [
            text.clone(),
            text.replace('\n', " \r\n"),
            format!("\u{feff}{text}\n"),
        ] {
            let (action, after, _) = restore(&text, &record);
            assert_eq!((action, after), (Action::Update, text.replace(&old, "new")));
        }
    }
    let (_, after, notes) = restore(TOKEN, &record("m.example", None, "new"));
    assert_eq!(after, "new");
    assert_eq!(notes, ["the file doesn't say which instance it is for"]);
}

#[test]
fn the_client_of_the_file_goes_with_the_token() {
    let text = "t\nm.example\nid\nsecret\n";
    let mut other = record("m.example", Some("a"), "new");
    let (_, after, notes) = restore(text, &other);
    assert_eq!(after, "new\nm.example\nid\nsecret\n");
    assert_eq!(notes.len(), 1);
    other.app.client_id = Some("id2".into());
    other.app.client_secret = Some("secret2".into());
    let (_, after, _) = restore(text, &other);
    assert_eq!(after, "new\nm.example\nid2\nsecret2\n");
}

#[test]
fn what_does_not_belong_there_is_refused() {
    let text = "t\nhttps://m.example\n";
    for (text, record) in [
        (text, record("other.example", None, "new")),
        (text, record("m.example", None, "new\nx")),
        ("id\nsecret\n", record("m.example", None, "new")),
    ] {
        let (action, after, _) = restore(text, &record);
        assert_eq!((action, after.as_str()), (Action::Refuse, text));
    }
    let two = [
        record("m.example", None, "a"),
        record("m.example", None, "b"),
    ];
    let plan = MastodonPy.plan(&write(&data("mastodon-py")), &two).unwrap();
    assert!(!plan.plan().writes());
    let one = [record("nowhere.example", None, "a")];
    let plan = MastodonPy.plan(&write(&data("mastodon-py")), &one).unwrap();
    assert!(!plan.plan().writes());
}

#[test]
fn only_what_looks_like_its_files_is_recognised() {
    assert!(MastodonPy.fits(&read(&data("mastodon-py"))));
    assert!(MastodonPy.fits(&read(&data("mastodon-py/old_usercred.secret"))));
    assert!(!MastodonPy.fits(&read(&data("toot/config.json"))));
    let (_folder, path) = place_text("hello\n");
    assert!(!MastodonPy.fits(&read(&path)));
}

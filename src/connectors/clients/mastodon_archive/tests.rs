use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::{
    connectors::testing::{NEW_TOKEN, copied, data, read, record, records, warnings, write},
    model::{Action, Completeness, Secret},
};

const FOLDER: &str = "mastodon-archive";
const ADA: &str = "mastodon-archive/mastodon.example.user.ada.secret";
const BOT: &str = "mastodon-archive/mastodon.example.user.ada_bot.secret";
const CLIENT_ID: &str = "vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo";

fn import(path: &Path) -> Snapshot {
    MastodonArchive.read(&read(path)).unwrap()
}

fn keys(snapshot: &Snapshot) -> Vec<String> {
    let records = records(snapshot).into_iter();
    records.map(|record| record.key().to_string()).collect()
}

/// A folder of files with these texts.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn texts(folder: &Path) -> Vec<(String, String)> {
    let files = place::entries(folder).unwrap().into_iter();
    let texts = files.map(|file| (place::file_name(&file), fs::read_to_string(file).unwrap()));
    texts.collect()
}

/// What became of one record, and the notes.
fn restore(path: &Path, record: &Record) -> (Action, String, Vec<String>) {
    let plan = MastodonArchive.plan(&write(path), std::slice::from_ref(record));
    let mut plan = plan.unwrap().apply().unwrap().plan;
    let change = plan.changes.remove(0);
    (change.action, change.detail, plan.notes)
}

/// A record with its app.
fn whole(instance: &str, user: &str) -> Record {
    let mut record = record(instance, Some(user), NEW_TOKEN);
    record.app.client_id = Some("id-2".to_owned());
    record.app.client_secret = Some(Secret::from("secret-2"));
    record
}

#[test]
fn the_names_of_the_files_say_whose_tokens_they_hold() {
    let app = "mastodon-archive";
    let both = [
        format!("ada@mastodon.example/{app}"),
        format!("ada_bot@mastodon.example/{app}"),
    ];
    let snapshot = import(&data(FOLDER));
    assert_eq!(keys(&snapshot), both);
    assert!(warnings(&snapshot).is_empty());
    for (sample, key) in [ADA, BOT].iter().zip(both) {
        let found = records(&import(&data(sample))).remove(0);
        assert_eq!(found.key().to_string(), key);
        // The bot's is in the client file that it shares.
        assert_eq!(found.app.client_id.as_deref(), Some(CLIENT_ID));
        assert_eq!(
            found.app.base_url.as_deref(),
            Some("https://mastodon.example")
        );
        assert!(found.app.client_secret.is_some());
        assert_eq!(found.scopes, None, "it may be allowed to read only");
    }
}

#[test]
fn a_name_is_split_at_the_first_user_and_keeps_its_case() {
    for (name, account) in [
        ("m.example.user.Ada.secret", Some(("m.example", "Ada"))),
        (
            "a.b.example.user.a.user.b.secret",
            Some(("a.b.example", "a.user.b")),
        ),
        (
            "localhost:3000.user.ada.secret",
            Some(("localhost:3000", "ada")),
        ),
        ("bot.user.ada.secret", None),
        ("m.example.user..secret", None),
        ("m.example.user.ada.json", None),
        (
            "m.example.user.ada.secret.tuskvault-20260301T120000Z.bak",
            None,
        ),
        ("bot_usercred.secret", None),
    ] {
        assert_eq!(account_of(name), account, "{name}");
    }
    let folder = folder(&[
        ("m.example.user.Ada.secret", "t1\nhttps://api.m.example\n"),
        (
            "m.example.client.secret",
            "id\nsecret\nhttps://other.example\nOther\n",
        ),
        ("n.example.user.bob.secret", "a b\n"),
        ("n.example.user.eve.secret", "id\nsecret\n"),
        ("o.example.client.secret", "id\nsecret\n"),
        ("other.secret", "t2\n"),
    ]);
    let snapshot = import(folder.path());
    assert_eq!(keys(&snapshot), ["Ada@m.example/mastodon-archive"]);
    let ada = &records(&snapshot)[0];
    assert_eq!(ada.app.base_url.as_deref(), Some("https://api.m.example"));
    assert_eq!(
        ada.app.client_id, None,
        "the client file is of another address"
    );
    assert_eq!(snapshot.completeness, Completeness::Partial);
    let told = warnings(&snapshot);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("account \"bob\" of n.example: line 1"));
    assert!(told[1].ends_with("it holds an app without a token"));
    assert!(told[2].starts_with("o.example.client.secret: an app without a token"));
}

#[test]
fn what_is_there_changes_no_file() {
    let (_folder, path) = copied(FOLDER);
    for record in records(&import(&path)) {
        let (action, ..) = restore(&path, &record);
        assert_eq!(action, Action::Unchanged);
    }
    assert_eq!(texts(&path), texts(&data(FOLDER)));
}

#[test]
fn the_lines_that_a_file_has_are_replaced_and_the_shared_client_stays() {
    let (_folder, path) = copied(FOLDER);
    let before = texts(&path);
    let (action, _, notes) = restore(&path, &whole("mastodon.example", "ADA"));
    assert_eq!(action, Action::Update);
    assert!(
        notes[0].contains("client.secret is of another app"),
        "{notes:?}"
    );
    let changed = fs::read_to_string(path.join("mastodon.example.user.ada.secret")).unwrap();
    assert_eq!(
        changed,
        format!("{NEW_TOKEN}\nhttps://mastodon.example\nid-2\nsecret-2\n")
    );
    let (action, ..) = restore(&path, &whole("mastodon.example", "ada_bot"));
    assert_eq!(action, Action::Update);
    let changed = fs::read_to_string(path.join("mastodon.example.user.ada_bot.secret")).unwrap();
    assert_eq!(changed, format!("{NEW_TOKEN}\n"));
    let after = texts(&path);
    for (name, text) in &before {
        if !name.contains(".user.ada") || name.contains(".json") {
            assert!(after.contains(&(name.clone(), text.clone())), "{name}");
        }
    }
    let unknown = record("mastodon.example", Some("ada"), "other");
    let (_, _, notes) = restore(&path, &unknown);
    assert!(notes[0].contains("stay"), "{notes:?}");
}

#[test]
fn missing_files_are_made_so_that_the_program_does_not_log_in_again() {
    // The client's alone.
    let one = folder(&[("m.example.user.ada.secret", "\u{feff}old \r\n")]);
    let (action, ..) = restore(one.path(), &whole("m.example", "ada"));
    assert_eq!(action, Action::Update);
    let client = "id-2\nsecret-2\nhttps://m.example\nmastodon-archive\n";
    let after = texts(one.path());
    assert_eq!(
        after[0],
        ("m.example.client.secret".to_owned(), client.to_owned())
    );
    assert_eq!(after[1].1, format!("\u{feff}{NEW_TOKEN} \r\n"));
    // Both, beside the archive.
    let both = folder(&[("m.example.user.ada.json", "{}")]);
    let mut ada = whole("m.example", "ada");
    ada.app.base_url = Some("https://api.m.example/".to_owned());
    let (action, detail, _) = restore(both.path(), &ada);
    assert_eq!(action, Action::Insert);
    assert_eq!(detail, "api.m.example.user.ada.secret is added");
    let path = both.path().join("api.m.example.user.ada.secret");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        format!("{NEW_TOKEN}\nhttps://api.m.example\nid-2\nsecret-2\n")
    );
    for name in [
        "api.m.example.user.ada.secret",
        "api.m.example.client.secret",
    ] {
        let mode = fs::metadata(both.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(
        keys(&import(both.path())),
        ["ada@api.m.example/mastodon-archive"]
    );
}

#[test]
fn what_can_not_be_written_is_refused() {
    let (_folder, path) = copied(FOLDER);
    let nameless = record("mastodon.example", None, NEW_TOKEN);
    let no_client = record("m.example", Some("ada"), NEW_TOKEN);
    let odd = whole("m.user.example", "ada");
    let file = path.join("mastodon.example.user.ada.secret");
    for (path, record, why) in [
        (&path, &nameless, "not known"),
        (&path, &no_client, "client_id"),
        (&path, &odd, "told apart"),
        (&file, &whole("m.example", "ada"), "name the folder"),
        (
            &file,
            &whole("mastodon.example", "ada_bot"),
            "name the folder",
        ),
    ] {
        let (action, detail, _) = restore(path, record);
        assert_eq!(action, Action::Refuse);
        assert!(detail.contains(why), "{detail}");
    }
    let two = [whole("m.example", "a"), whole("m.example", "b")];
    let plan = MastodonArchive.plan(&write(&path), &two).unwrap();
    assert!(!plan.plan().writes());
    let damaged = folder(&[("m.example.user.ada.secret", "a b\n")]);
    let (action, detail, _) = restore(damaged.path(), &whole("m.example", "ada"));
    assert_eq!(action, Action::Refuse, "{detail}");
    let error = MastodonArchive
        .plan(&write(folder(&[]).path()), &[odd])
        .err();
    assert!(matches!(error, Some(Error::NotFound { .. })));
}

#[test]
fn a_file_that_appeared_after_the_plan_is_not_overwritten() {
    let (_folder, path) = copied(FOLDER);
    let record = whole("m.example", "ada");
    let plan = MastodonArchive.plan(&write(&path), &[record]).unwrap();
    let file = path.join("m.example.client.secret");
    fs::write(&file, "mine").unwrap();
    assert!(matches!(plan.apply(), Err(Error::Changed { .. })));
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
    assert!(!path.join("m.example.user.ada.secret").exists());
}

#[test]
fn where_the_second_file_cannot_be_made_the_first_is_taken_back() {
    let (_folder, path) = copied(FOLDER);
    let record = whole("m.example", "ada");
    let plan = MastodonArchive.plan(&write(&path), &[record]).unwrap();
    fs::write(path.join("m.example.user.ada.secret"), "mine").unwrap();
    assert!(matches!(plan.apply(), Err(Error::Changed { .. })));
    assert!(!path.join("m.example.client.secret").exists());
}

#[test]
fn the_real_file_behind_a_link_is_written() {
    let (outer, path) = copied(FOLDER);
    let file = path.join("mastodon.example.user.ada.secret");
    let real = outer.path().join("real");
    fs::rename(&file, &real).unwrap();
    std::os::unix::fs::symlink(&real, &file).unwrap();
    restore(&path, &record("mastodon.example", Some("ada"), NEW_TOKEN));
    assert!(file.is_symlink());
    assert!(fs::read_to_string(real).unwrap().starts_with(NEW_TOKEN));
}

#[test]
fn only_its_own_names_are_taken_and_messages_hold_no_secret() {
    let surroundings = Surroundings {
        current: "/bots".into(),
        ..Surroundings::default()
    };
    assert_eq!(
        MastodonArchive.usual_places(&surroundings),
        [PathBuf::from("/bots")]
    );
    for path in ["mastodon-py", "toot"] {
        let error = MastodonArchive.read(&read(&data(path))).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    let (_folder, path) = copied(BOT);
    let token = fs::read_to_string(&path).unwrap();
    for text in ["", "\0", "a b", "1\n2\n3\n4\n5", "\u{1b}[2J"] {
        let file = path.with_file_name("m.example.user.ada.secret");
        fs::write(&file, format!("{}{text}{}", token.trim(), " x")).unwrap();
        let error = MastodonArchive.read(&read(&file)).unwrap_err().to_string();
        assert!(!error.contains(token.trim()), "{error}");
        let told = import(path.parent().unwrap());
        assert!(!warnings(&told).join(" ").contains(token.trim()));
    }
    let error = MastodonArchive.read(&read(&data("mastodon-py/bot_usercred.secret")));
    assert!(error.unwrap_err().to_string().contains("named like"));
}

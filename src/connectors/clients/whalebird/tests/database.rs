use rusqlite::Connection;

use super::*;

const DATABASE: &str = "whalebird/v5/whalebird.db";

/// A copy of the sample, changed.
fn changed(sql: &str) -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = copied(DATABASE);
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (folder, path)
}

/// The rows of the accounts and of the servers, as text.
fn rows(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut rows = Vec::new();
    for sql in [
        "SELECT concat_ws('|', id, username, client_id, client_secret, access_token, refresh_token, sort) FROM accounts",
        "SELECT concat_ws('|', id, domain, base_url, sns, account_id, typeof(account_id)) FROM servers",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        let found = statement.query_map((), |row| row.get(0)).unwrap();
        rows.extend(found.map(Result::unwrap));
    }
    rows
}

fn planned(path: &Path, records: &[Record]) -> (Vec<Action>, String) {
    let plan = Whalebird.plan(&write(path), records).unwrap();
    let plan = plan.apply().unwrap().plan;
    let details: Vec<_> = plan
        .changes
        .iter()
        .map(|change| change.detail.clone())
        .collect();
    let actions = plan.changes.iter().map(|change| change.action);
    (
        actions.collect(),
        details.join("\n") + &plan.notes.join("\n"),
    )
}

#[test]
fn accounts_are_joined_with_their_servers_by_the_local_number() {
    for path in ["whalebird/v5", DATABASE] {
        let snapshot = import(&data(path));
        let expected = [
            "ada@mastodon.example",
            "b_orges@fosstodon.example",
            "chiyo@mstdn.example.jp",
        ];
        assert_eq!(
            keys(&snapshot),
            expected.map(|key| format!("{key}/Whalebird"))
        );
        let chiyo = &records(&snapshot)[2];
        let id = chiyo.app.client_id.as_deref();
        assert_eq!(id, Some("fjrjkWupycgTVfa0NfsBGNaYi18SxM15UQxAAumlS98"));
        assert_eq!(
            chiyo.app.base_url.as_deref(),
            Some("https://mstdn.example.jp")
        );
        assert!(chiyo.scopes.is_none() && chiyo.refresh_token.is_none());
        let told = warnings(&snapshot);
        assert_eq!(
            told,
            ["server guest.example: it is read without an account: nothing to import"]
        );
    }
}

#[test]
fn what_has_no_server_or_another_kind_of_one_is_told() {
    let (_folder, path) = changed(
        "PRAGMA foreign_keys = off; DELETE FROM servers WHERE id = 1; UPDATE servers SET sns = 'misskey' WHERE id = 2;
         UPDATE servers SET account_id = 77 WHERE id = 3; UPDATE accounts SET access_token = x'00' WHERE id = 5;",
    );
    let snapshot = import(&path);
    assert!(snapshot.tokens.is_empty());
    assert_eq!(snapshot.completeness, Completeness::Partial);
    let told = warnings(&snapshot).join("\n");
    for what in [
        "account \"ada\" of mastodon.example: its server's software (\"misskey\")",
        "account \"b_orges\": a token of an unknown instance",
        "account \"chiyo\" of mstdn.example.jp: expected text in \"access_token\"",
        "server guest.example: its account is not there",
    ] {
        assert!(told.contains(what), "{told}");
    }
}

#[test]
fn a_token_goes_into_its_row_and_nothing_else_changes() {
    assert_eq!(assert_takes_back_its_own(&Whalebird, DATABASE), 3);
    let (_folder, path) = copied(DATABASE);
    let before = rows(&path);
    let (actions, told) = planned(&path, &[whole("fosstodon.example", "B_Orges")]);
    assert_eq!(actions, [Action::Update], "{told}");
    assert!(told.contains("start Whalebird"), "{told}");
    let mut expected = before;
    expected[1] = format!("4|b_orges|id-2|secret-2|{NEW_TOKEN}|2");
    assert_eq!(rows(&path), expected);
}

#[test]
fn a_new_account_comes_last_and_takes_the_server_of_a_guest() {
    let (_folder, path) = copied(DATABASE);
    let before = rows(&path);
    let mut zoe = whole("guest.example", "zoe");
    zoe.refresh_token = Some(Secret::from("fresh"));
    let new = [
        zoe,
        whole("guest.example", "eve"),
        whole("new.example", "ada"),
    ];
    let (actions, told) = planned(&path, &new);
    assert_eq!(actions, [Action::Insert; 3], "{told}");
    assert!(told.contains("own profile may not show"), "{told}");
    let mut expected = before[..3].to_vec();
    expected.extend([
        format!("6|zoe|id-2|secret-2|{NEW_TOKEN}|fresh|4"),
        format!("7|eve|id-2|secret-2|{NEW_TOKEN}|5"),
        format!("8|ada|id-2|secret-2|{NEW_TOKEN}|6"),
    ]);
    expected.extend(before[3..].iter().cloned());
    expected[8] = "3|guest.example|https://guest.example|pleroma|6|integer".to_owned();
    expected.extend([
        "5|guest.example|https://guest.example|mastodon|7|integer".to_owned(),
        "6|new.example|https://new.example|mastodon|8|integer".to_owned(),
    ]);
    assert_eq!(rows(&path), expected);
    assert_eq!(import(&path).tokens.len(), 6);
}

#[test]
fn an_account_without_its_server_is_never_left_behind() {
    let (_folder, path) = changed(
        "ALTER TABLE servers ADD COLUMN other TEXT NOT NULL DEFAULT 'x' CHECK (other <> 'x' OR id < 5);",
    );
    let before = fs::read(&path).unwrap();
    let (actions, told) = planned(
        &path,
        &[
            whole("new.example", "ada"),
            whole("mastodon.example", "ada"),
        ],
    );
    assert_eq!(actions, [Action::Refuse; 2], "{told}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn what_the_database_can_not_take_is_refused() {
    let (_folder, path) = changed("UPDATE accounts SET sort = 9223372036854775807 WHERE id = 5;");
    let no_client = record("new.example", Some("ada"), NEW_TOKEN);
    for (record, why) in [
        (&whole("new.example", "ada"), "numbered too high"),
        (&no_client, "client_id"),
        (&record("new.example", None, NEW_TOKEN), "not known"),
    ] {
        let (actions, told) = planned(&path, std::slice::from_ref(record));
        assert_eq!(actions, [Action::Refuse], "{told}");
        assert!(told.contains(why), "{told}");
    }
    // A journal that was not played back: the program runs, or it crashed.
    let (_folder, path) = copied(DATABASE);
    let mut journal = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7".to_vec();
    journal.resize(1024, 1);
    fs::write(path.with_file_name("whalebird.db-journal"), journal).unwrap();
    let plan = Whalebird.plan(&write(&path), &[whole("mastodon.example", "ada")]);
    assert!(matches!(plan.err(), Some(Error::NotWritable { .. })));
}

#[test]
fn several_generations_in_a_folder_are_all_read_and_one_is_to_be_named_for_writing() {
    let (folder, path) = copied("whalebird/v4");
    fs::copy(data(DATABASE), path.join("db/whalebird.db")).unwrap();
    let snapshot = import(&path);
    let held = keys(&snapshot);
    // Both hold the same tokens of two accounts.
    assert_eq!(held.len(), 3, "{held:?}");
    let (actions, told) = planned(&path, &[whole("mastodon.example", "ada")]);
    assert_eq!(actions, [Action::Refuse]);
    assert!(told.contains("several generations"), "{told}");
    fs::write(path.join("db/account.db"), "damaged").unwrap();
    let snapshot = import(&path);
    assert_eq!(snapshot.tokens.len(), 3);
    assert_eq!(snapshot.completeness, Completeness::Partial);
    drop(folder);
}

#[test]
fn damage_and_another_database_are_told_without_secrets() {
    assert_survives_damage(&Whalebird, DATABASE);
    for sql in [
        "DROP TABLE servers",
        "ALTER TABLE accounts RENAME COLUMN access_token TO token",
    ] {
        let (_folder, path) = changed(&format!("PRAGMA foreign_keys = off; {sql}"));
        let error = Whalebird.read(&read(&path)).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(!Whalebird.fits(&read(&path)));
    }
}

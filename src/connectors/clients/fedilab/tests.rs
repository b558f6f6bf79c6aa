use std::{
    fs,
    io::{Cursor, Read, Write},
};

use rusqlite::Connection;
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::*;
use crate::{
    connectors::testing::{
        NEW_TOKEN, assert_survives_damage, copied, data, read, record, records, warnings, write,
    },
    model::{Action, Secret},
};

const ZIP: &str = "fedilab/Fedilab_data_export_2026-01-02-03-04-05.zip";
const DB: &str = "fedilab/databases/fedilab_db";
const SETTINGS_NAME: &str = "Fedilab_settings_export_2026-01-02-03-04-05.fedilab";
const DATABASE_NAME: &str = "Fedilab_database_export_2026-01-02-03-04-05.fedilab";

/// Names and contents of a zip's entries.
fn entries_of(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    archive.validate_header_consistency().unwrap();
    let mut entries = Vec::new();
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        entries.push((entry.name().unwrap().into_owned(), contents));
    }
    entries
}

/// A zip of these entries.
fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in entries {
        let options = SimpleFileOptions::default();
        writer.start_file(*name, options).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A file with these bytes.
fn file_of(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Accounts and their tokens, as the database spells these.
fn tokens(database: &[u8]) -> Vec<(String, String)> {
    let (_folder, path) = file_of(database);
    let app = Connection::open(path).unwrap();
    let mut statement = app
        .prepare("SELECT INSTANCE, TOKEN FROM USER_ACCOUNT ORDER BY rowid")
        .unwrap();
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn planned(path: &Path, records: &[Record]) -> Box<dyn Prepared> {
    Fedilab.plan(&write(path), records).unwrap()
}

#[test]
fn every_account_is_read_and_duplicates_too() {
    for sample in [ZIP, DB] {
        let snapshot = Fedilab.read(&read(&data(sample))).unwrap();
        assert_eq!(snapshot.completeness, Completeness::Complete);
        let records = records(&snapshot);
        let held = records.iter().map(|record| {
            let user = record.user.name().unwrap();
            let token = record.access_token.expose();
            format!("{user}@{} {}", record.instance, &token[..4])
        });
        assert_eq!(
            held.collect::<Vec<_>>(),
            [
                "ada@mastodon.example UJTF",
                "b_orges@fosstodon.example BLfj",
                "chiyo@mstdn.example.jp bLmU",
                "ada@mastodon.example Uz2f"
            ]
        );
        let ada = &records[0];
        let id = ada.app.client_id.as_deref();
        assert_eq!(id, Some("vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo"));
        assert_eq!(ada.app.redirect_uris, ["fedilab://backtofedilab"]);
        assert_eq!((&ada.scopes, ada.created_at), (&None, None));
        let told = warnings(&snapshot);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("of tube.example: its server's software (\"peertube\")"));
    }
}

#[test]
fn the_newest_export_is_found_among_the_downloads() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_owned();
    let downloads = home.join("Downloads");
    fs::create_dir(&downloads).unwrap();
    for name in [
        "Fedilab_data_export_2025-12-31-00-00-00.zip",
        "Fedilab_data_export_2026-01-02-03-04-05.zip",
        "Fedilab_data_export_2026-02-02-03-04-05.zip.part",
        "holiday.zip",
    ] {
        fs::copy(data(ZIP), downloads.join(name)).unwrap();
    }
    let app = home.join("phone/app.fedilab.android");
    fs::create_dir_all(app.join("databases")).unwrap();
    fs::copy(data(DB), app.join("databases/fedilab_db")).unwrap();
    let surroundings = Surroundings {
        home,
        android: vec![folder.path().join("phone")],
        ..Surroundings::default()
    };
    let newest = downloads.join("Fedilab_data_export_2026-01-02-03-04-05.zip");
    let database = app.join("databases/fedilab_db");
    assert_eq!(
        Fedilab.usual_places(&surroundings),
        [newest.clone(), database]
    );
    let location = |path: &Path| Fedilab.read(&read(path)).unwrap().source.location;
    assert_eq!(location(&downloads), newest.display().to_string());
    assert!(location(&app).ends_with("fedilab_db"));
    let error = Fedilab.read(&read(folder.path())).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }));
    // What older versions exported.
    let old = folder.path().join("old");
    fs::create_dir(&old).unwrap();
    fs::copy(data(DB), old.join("Fedilab_export_1.fedilab")).unwrap();
    assert_eq!(Fedilab.read(&read(&old)).unwrap().tokens.len(), 4);
}

#[test]
fn all_rows_of_an_account_are_written_and_the_settings_follow() {
    let (_folder, path) = copied(ZIP);
    let before = entries_of(&fs::read(&path).unwrap());
    let mut ada = record("mastodon.example", Some("ada"), NEW_TOKEN);
    ada.app.client_id = Some("id-2".to_owned());
    ada.app.client_secret = Some(Secret::from("secret-2"));
    let new = record("new.example", Some("zoe"), "token-2");
    let tube = record("tube.example", None, "token-3");
    let plan = planned(&path, &[ada, new, tube]);
    let actions: Vec<_> = plan
        .plan()
        .changes
        .iter()
        .map(|change| change.action)
        .collect();
    assert_eq!(actions, [Action::Update, Action::Refuse, Action::Refuse]);
    assert!(plan.plan().changes[1].detail.contains("whole profile"));
    assert!(
        plan.plan().changes[2].detail.contains("peertube"),
        "{:?}",
        plan.plan()
    );
    assert_eq!(plan.plan().notes, [ADVICE_EXPORT]);
    let outcome = plan.apply().unwrap();
    let former = fs::read(outcome.backup.unwrap()).unwrap();
    assert_eq!(former, fs::read(data(ZIP)).unwrap());
    let after = entries_of(&fs::read(&path).unwrap());
    let names: Vec<_> = after.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [SETTINGS_NAME, DATABASE_NAME]);
    // The stream differs in the token alone, which kept what stands before it.
    let former = b"Bearer UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";
    let at = before[0]
        .1
        .windows(former.len())
        .position(|part| part == former);
    let mut settings = before[0].1.clone();
    let token = format!("Bearer {NEW_TOKEN}");
    settings[at.unwrap()..][..former.len()].copy_from_slice(token.as_bytes());
    assert_eq!(after[0].1, settings);
    let mut expected = tokens(&before[1].1);
    expected[0].1.clone_from(&token);
    expected[3].1 = token;
    assert_eq!(tokens(&after[1].1), expected);
    let again = Fedilab.read(&read(&path)).unwrap();
    let id = records(&again)[0].app.client_id.clone();
    assert_eq!(id.as_deref(), Some("id-2"));
}

#[test]
fn another_account_leaves_the_settings_as_they_are_compressed() {
    let (_folder, path) = copied(ZIP);
    let borges = record("fosstodon.example", Some("b_orges"), NEW_TOKEN);
    let plan = planned(&path, &[borges]);
    let notes = &plan.plan().notes;
    assert!(
        notes.len() == 2 && notes[0].contains("client_secret stay"),
        "{notes:?}"
    );
    plan.apply().unwrap();
    let raw = |bytes: &[u8], name: &str| {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
        let at = archive.index_for_name(name).unwrap();
        let mut entry = archive.by_index_raw(at).unwrap();
        let mut raw = Vec::new();
        entry.read_to_end(&mut raw).unwrap();
        let mode = entry.unix_mode().map(|mode| mode & 0o777);
        (raw, entry.last_modified(), mode, entry.crc32())
    };
    let (before, after) = (fs::read(data(ZIP)).unwrap(), fs::read(&path).unwrap());
    assert_eq!(raw(&after, SETTINGS_NAME), raw(&before, SETTINGS_NAME));
    let (former, new) = (raw(&before, DATABASE_NAME), raw(&after, DATABASE_NAME));
    assert_eq!((new.1, new.2), (former.1, former.2));
    // What it holds already changes nothing, to the byte.
    let borges = record("fosstodon.example", Some("b_orges"), NEW_TOKEN);
    let plan = planned(&path, &[borges]);
    assert_eq!(plan.plan().changes[0].action, Action::Unchanged);
    assert_eq!(plan.apply().unwrap().backup, None);
    assert_eq!(fs::read(&path).unwrap(), after);
}

#[test]
fn a_token_in_the_settings_that_cannot_be_replaced_is_told() {
    let sample = entries_of(&fs::read(data(ZIP)).unwrap());
    let (settings, database) = (&sample[0].1, &sample[1].1);
    // Without the keys that tell which account is in use.
    let without_id = settings[..settings.len() - 120].to_vec();
    let no_stream = b"not a stream".to_vec();
    for (settings, token) in [
        (Some(settings), "a-token-of-another-length"),
        (Some(&without_id), NEW_TOKEN),
        (Some(&no_stream), NEW_TOKEN),
        (None, NEW_TOKEN),
    ] {
        let mut entries = vec![(DATABASE_NAME, database.as_slice())];
        entries.extend(settings.map(|settings| (SETTINGS_NAME, settings.as_slice())));
        let (_folder, path) = file_of(&zipped(&entries));
        let ada = record("mastodon.example", Some("ada"), token);
        let plan = planned(&path, &[ada]);
        assert!(
            plan.plan().notes.contains(&SWITCH.to_owned()),
            "{:?}",
            plan.plan()
        );
        plan.apply().unwrap();
        let after = entries_of(&fs::read(&path).unwrap());
        if let Some(settings) = settings {
            // Settings come first, whatever the order was.
            assert_eq!(after[0], (SETTINGS_NAME.to_owned(), settings.clone()));
        }
        assert_eq!(
            tokens(&after.last().unwrap().1)[3].1,
            format!("Bearer {token}")
        );
    }
}

#[test]
fn a_bare_database_is_changed_in_place_and_keeps_the_style_of_each_row() {
    let (_folder, path) = copied(DB);
    let app = Connection::open(&path).unwrap();
    app.execute_batch(
        "UPDATE USER_ACCOUNT SET TOKEN = 'bearer ' || substr(TOKEN, 8) WHERE INSTANCE LIKE 'foss%';
         UPDATE USER_ACCOUNT SET TOKEN = substr(TOKEN, 8), API = 'UNKNOWN' WHERE INSTANCE LIKE 'mst%';
         UPDATE USER_ACCOUNT SET TOKEN = '' WHERE rowid = 4",
    )
    .unwrap();
    drop(app);
    let mut chiyo = record("mstdn.example.jp", Some("chiyo"), "token-3");
    chiyo.refresh_token = Some(Secret::from("refresh-3"));
    let records = [
        record("mastodon.example", Some("ada"), "token-1"),
        record("fosstodon.example", Some("b_orges"), "token-2"),
        chiyo,
    ];
    let plan = planned(&path, &records);
    assert!(plan.plan().notes.contains(&SWITCH.to_owned()));
    assert!(plan.plan().notes.contains(&ADVICE_DATABASE.to_owned()));
    plan.apply().unwrap();
    let held = tokens(&fs::read(&path).unwrap());
    let held: Vec<_> = held.iter().map(|(_, token)| token.as_str()).collect();
    let tube = "6701c2efccc9c10694e4002c6f5a85a9fdd185f5";
    assert_eq!(
        held,
        [
            "Bearer token-1",
            "bearer token-2",
            "token-3",
            "Bearer token-1",
            tube
        ]
    );
    let read = Fedilab.read(&read(&path)).unwrap();
    let refresh = read
        .tokens
        .iter()
        .find_map(|row| row.body.refresh_token.clone());
    assert_eq!(refresh.unwrap().expose(), "refresh-3");
}

#[test]
fn rows_that_are_not_as_the_app_writes_them_are_told() {
    let (_folder, path) = copied(DB);
    let app = Connection::open(&path).unwrap();
    app.execute_batch(
        "UPDATE USER_ACCOUNT SET ACCOUNT = '{\"username\": \"s3cret' WHERE INSTANCE LIKE 'foss%';
         UPDATE USER_ACCOUNT SET TOKEN = x'00' WHERE INSTANCE LIKE 'mst%';
         UPDATE USER_ACCOUNT SET ACCOUNT = '{}' WHERE rowid = 4",
    )
    .unwrap();
    let snapshot = Fedilab.read(&read(&path)).unwrap();
    assert_eq!(snapshot.completeness, Completeness::Partial);
    let told = warnings(&snapshot);
    assert!(
        told[0].contains("its \"ACCOUNT\" is no JSON: line 1"),
        "{told:?}"
    );
    assert!(told[1].ends_with("expected text in \"TOKEN\""), "{told:?}");
    assert!(!told.join("").contains("s3cret"));
    assert_eq!(records(&snapshot)[1].user.name(), None);
    app.execute_batch("ALTER TABLE USER_ACCOUNT RENAME ACCOUNT TO A")
        .unwrap();
    let error = Fedilab.read(&read(&path)).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
}

#[test]
fn an_export_of_a_database_that_had_a_log_ends_nothing() {
    let (_folder, path) = copied(DB);
    let app = Connection::open(&path).unwrap();
    app.execute_batch("PRAGMA journal_mode = wal").unwrap();
    drop(app);
    let bytes = zipped(&[(DATABASE_NAME, &fs::read(&path).unwrap())]);
    let (_folder, path) = file_of(&bytes);
    let snapshot = Fedilab.read(&read(&path)).unwrap();
    assert_eq!(snapshot.completeness, Completeness::Partial);
    assert!(warnings(&snapshot)[0].contains("export again"));
    let plan = planned(&path, &[record("mastodon.example", Some("ada"), NEW_TOKEN)]);
    plan.apply().unwrap();
    assert_eq!(
        records(&Fedilab.read(&read(&path)).unwrap())[0]
            .access_token
            .expose(),
        NEW_TOKEN
    );
}

#[test]
fn streamed_zips_as_android_writes_them_come_out_whole() {
    let sample = entries_of(&fs::read(data(ZIP)).unwrap());
    let mut writer = ZipWriter::new_stream(Vec::new());
    for (name, contents) in &sample {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.set_comment("kept").unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let (_folder, path) = file_of(&bytes);
    planned(&path, &[record("mastodon.example", Some("ada"), NEW_TOKEN)])
        .apply()
        .unwrap();
    let after = fs::read(&path).unwrap();
    assert_eq!(entries_of(&after).len(), 2);
    assert!(after.ends_with(b"kept"));
}

#[test]
fn hostile_zips_are_refused() {
    let database = fs::read(data(DB)).unwrap();
    let many: Vec<_> = (0..17).map(|at| format!("database{at}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let zeros = vec![0; 64 << 20];
    let two: [(&str, &[u8]); 2] = [("database", &database), ("Database2", &database)];
    let mut twice = zipped(&two);
    for at in 0..twice.len() - 9 {
        if &twice[at..at + 9] == b"Database2" {
            twice[at..at + 9].copy_from_slice(b"database1");
        }
    }
    let mut encrypted = zipped(&two[..1]);
    let central = encrypted.windows(4).position(|part| part == b"PK\x01\x02");
    encrypted[6] |= 1;
    encrypted[central.unwrap() + 8] |= 1;
    let mut huge = zipped(&two[..1]);
    let central = huge
        .windows(4)
        .position(|part| part == b"PK\x01\x02")
        .unwrap();
    huge[central + 24..central + 28].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let mut longer = zipped(&two[..1]);
    longer[central + 24] = longer[central + 24].wrapping_add(9);
    for (bytes, told) in [
        (zipped(&many), "far more in it"),
        (zipped(&[("database", &zeros)]), "compressed so much"),
        (
            zipped(&[("pictures", &database)]),
            "none of its entries is a database",
        ),
        (zipped(&two), "more than one entry"),
        (twice, "more than one entry"),
        (encrypted, "it is encrypted"),
        (huge, "larger than any"),
        (longer, "not what the zip says"),
        (b"PK\x03\x04".to_vec(), "no zip"),
        (zipped(&[]), "none of its entries"),
        (zipped(&[("database", b"{}")]), "no SQLite database"),
    ] {
        let (_folder, path) = file_of(&bytes);
        let error = Fedilab.read(&read(&path)).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
    // Two entries of one name, as no writer makes them.
    let mut same = zipped(&[("database1", &database), ("database2", &database)]);
    for at in 0..same.len() - 9 {
        if &same[at..at + 9] == b"database2" {
            same[at + 8] = b'1';
        }
    }
    let (_folder, path) = file_of(&same);
    let error = Fedilab.read(&read(&path)).unwrap_err().to_string();
    assert!(error.contains("same name or place"), "{error}");
}

#[test]
fn damage_is_told_without_secrets() {
    assert_survives_damage(&Fedilab, ZIP);
    assert_survives_damage(&Fedilab, DB);
}

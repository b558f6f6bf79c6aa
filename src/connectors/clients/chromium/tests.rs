use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use super::*;
use crate::connectors::testing::{copied, data, read, records, warnings};

const SAMPLE: &str = "thedesk/leveldb";

/// A database of these keys and values, in a folder.
fn database(folder: &Path, rows: &[(&[u8], &[u8])]) {
    let memory = rusty_leveldb::in_memory();
    let env = memory.env.clone();
    let mut database = rusty_leveldb::DB::open("db", memory).unwrap();
    for (key, value) in rows {
        database.put(key, value).unwrap();
    }
    database.flush().unwrap();
    database.close().unwrap();
    for name in env.children(Path::new("db")).unwrap() {
        let mut bytes = Vec::new();
        let mut file = env
            .open_sequential_file(&Path::new("db").join(&name))
            .unwrap();
        file.read_to_end(&mut bytes).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// The accounts that are read at a path.
fn held(path: &Path) -> Vec<String> {
    let snapshot = Chromium.read(&read(path)).unwrap();
    let held = records(&snapshot);
    let held = held.iter().map(|record| {
        let user = record.user.name().unwrap_or("?");
        format!("{user}@{}", record.instance)
    });
    held.collect()
}

#[test]
fn thedesks_accounts_come_out_of_its_storage_which_stays_as_it_was() {
    let (folder, path) = copied(SAMPLE);
    let profile = folder.path().join("TheDesk/Local Storage");
    fs::create_dir_all(&profile).unwrap();
    fs::rename(path, profile.join("leveldb")).unwrap();
    let names = |path: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let entries = place::entries(path).unwrap().into_iter();
        entries
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    };
    let before = names(&profile.join("leveldb"));
    let snapshot = Chromium.read(&read(&profile.join("leveldb"))).unwrap();
    assert_eq!(snapshot.completeness, Completeness::Complete);
    assert_eq!(warnings(&snapshot), Vec::<&str>::new());
    let expected = [
        "ada@mastodon.example",
        "b_orges@fosstodon.example",
        "chiyo@mstdn.example.jp",
        "ada_bot@mastodon.example",
        "?@pseudo.example",
    ];
    for path in [
        "TheDesk",
        "TheDesk/Local Storage",
        "TheDesk/Local Storage/leveldb",
    ] {
        assert_eq!(held(&folder.path().join(path)), expected, "{path}");
    }
    assert_eq!(names(&profile.join("leveldb")), before);
}

/// No test by itself: what the next one runs.
#[test]
fn holds_a_lock() {
    let Some(path) = std::env::var_os("TEST_LOCK") else {
        return;
    };
    let file = fs::File::create(path).unwrap();
    let lock = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    rustix::fs::fcntl_lock(&file, lock).unwrap();
    println!("it is locked");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn a_program_that_has_the_storage_open_is_told() {
    let (_folder, path) = copied(SAMPLE);
    fs::write(path.join("LOCK"), "").unwrap();
    let told = || {
        let snapshot = Chromium.read(&read(&path)).unwrap();
        warnings(&snapshot).join("").contains("is running")
    };
    assert!(!told());
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "connectors::clients::chromium::tests::holds_a_lock",
        ])
        .arg("--nocapture")
        .env("TEST_LOCK", path.join("LOCK"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("it is locked")));
    assert!(told());
    drop(program.stdin.take());
    program.wait().unwrap();
    assert!(!told());
}

#[test]
fn a_web_client_is_told_from_other_pages_that_have_such_keys() {
    let folder = tempfile::tempdir().unwrap();
    let dump = fs::read(data("web-clients/phanpy-localstorage.json")).unwrap();
    let dump: serde_json::Value = serde_json::from_slice(&dump).unwrap();
    let mut rows = vec![
        (b"VERSION".to_vec(), b"1".to_vec()),
        (b"META:https://phanpy.example".to_vec(), vec![8, 1]),
        (
            b"_https://bank.example\0\x01accounts".to_vec(),
            b"\x01[{\"iban\": 1}]".to_vec(),
        ),
        (
            b"_https://other.example\0\x01accounts".to_vec(),
            b"\x01no JSON".to_vec(),
        ),
    ];
    for (key, value) in dump.as_object().unwrap() {
        let key = [b"_https://phanpy.example\0\x01", key.as_bytes()].concat();
        let units = value.as_str().unwrap().encode_utf16();
        let value = [vec![0], units.flat_map(u16::to_le_bytes).collect()].concat();
        rows.push((key, value));
    }
    let borrowed: Vec<_> = rows
        .iter()
        .map(|(key, value)| (&key[..], &value[..]))
        .collect();
    database(folder.path(), &borrowed);
    let snapshot = Chromium.read(&read(folder.path())).unwrap();
    assert!(!held(folder.path()).is_empty());
    assert_eq!(snapshot.completeness, Completeness::Complete);
    assert!(
        warnings(&snapshot)
            .iter()
            .all(|told| !told.contains("bank"))
    );
    // Without the client there is nothing here.
    let folder = tempfile::tempdir().unwrap();
    database(folder.path(), &borrowed[..4]);
    let error = Chromium.read(&read(folder.path())).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn what_a_damaged_record_leaves_out_is_not_taken_for_gone() {
    let folder = tempfile::tempdir().unwrap();
    let multi = |users: &[&str]| {
        let account = |user: &&str| {
            format!(r#"{{"at":"token-{user}","domain":"m.example","user":"{user}"}}"#)
        };
        let accounts: Vec<_> = users.iter().map(account).collect();
        format!("\x01[{}]", accounts.join(","))
    };
    let (one, two) = (multi(&["ada"]), multi(&["ada", "bo"]));
    let key = b"_file://\0\x01multi";
    let rows: [(&[u8], &[u8]); 3] = [
        (b"VERSION", b"1"),
        (key, one.as_bytes()),
        (key, two.as_bytes()),
    ];
    database(folder.path(), &rows);
    assert_eq!(held(folder.path()), ["ada@m.example", "bo@m.example"]);
    let mut files = place::entries(folder.path()).unwrap().into_iter();
    let log = files
        .find(|file| file.extension().is_some_and(|end| end == "log"))
        .unwrap();
    let mut bytes = fs::read(&log).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&log, bytes).unwrap();
    let snapshot = Chromium.read(&read(folder.path())).unwrap();
    assert_eq!(held(folder.path()), ["ada@m.example"]);
    assert_eq!(snapshot.completeness, Completeness::Partial);
}

/// A database of one table with this many blocks, each with one text, and the bytes of that table.
fn of_one_table(blocks: usize) -> (Vec<(PathBuf, Vec<u8>)>, usize) {
    let mut options = rusty_leveldb::in_memory();
    (options.block_size, options.reuse_logs) = (16, false);
    let env = options.env.clone();
    let mut database = rusty_leveldb::DB::open("db", options.clone()).unwrap();
    database.put(b"VERSION", b"1").unwrap();
    for at in 1..blocks {
        let key = format!("_https://m.example\0\x01{at:06}");
        database
            .put(key.as_bytes(), b"\x01twenty letters or so")
            .unwrap();
    }
    database.close().unwrap();
    drop(rusty_leveldb::DB::open("db", options).unwrap());
    let names = env.children(Path::new("db")).unwrap().into_iter();
    let files = names.map(|name| {
        let mut bytes = Vec::new();
        let path = Path::new("db").join(&name);
        let mut file = env.open_sequential_file(&path).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    let files: Vec<_> = files.collect();
    let is_table = |(name, _): &(PathBuf, Vec<u8>)| name.extension().is_some_and(|it| it == "ldb");
    let at = files.iter().position(is_table).unwrap();
    (files, at)
}

/// What becomes of a database when its table is changed.
fn read_after(blocks: usize, change: impl Fn(&mut Vec<u8>)) -> Result<Snapshot, Error> {
    let (mut files, at) = of_one_table(blocks);
    change(&mut files[at].1);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    Chromium.read(&read(folder.path()))
}

#[test]
fn tables_that_would_end_the_program_are_not_read() {
    // Each block that can't be used takes a part of the stack.
    let garble = |bytes: &mut Vec<u8>| {
        for at in (0..bytes.len() / 2).step_by(7) {
            bytes[at] ^= 0x55;
        }
    };
    let sound = |_: &mut Vec<u8>| ();
    // Nobody's, but a database.
    for change in [&sound as &dyn Fn(&mut Vec<u8>), &garble] {
        let error = read_after(3_900, change).unwrap_err();
        let is_read = matches!(error, Error::NotFound { .. } | Error::Malformed { .. });
        assert!(is_read, "{error}");
    }
    assert!(matches!(
        read_after(3_900, sound),
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        read_after(5_000, sound),
        Err(Error::Malformed { .. })
    ));
    assert!(matches!(
        read_after(50_000, garble),
        Err(Error::Malformed { .. })
    ));
    // A handle in the footer that asks for a terabyte.
    let huge = |bytes: &mut Vec<u8>| {
        let footer = bytes.len() - 48;
        bytes[footer..footer + 14].copy_from_slice(&[
            0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20,
        ]);
    };
    assert!(matches!(read_after(10, huge), Err(Error::Malformed { .. })));
}

#[test]
fn no_byte_of_a_table_may_be_another() {
    let (files, at) = of_one_table(12);
    let whole = &files[at].1;
    assert!(table::is_sound(whole));
    for at in 0..whole.len() {
        assert!(!table::is_sound(&whole[..at]));
        for byte in [0, 0x7f, 0xff, whole[at] ^ 1] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            let is_sound = table::is_sound(&bytes);
            // The footer has no checksum, and some room.
            assert!(
                !is_sound || bytes == *whole || at >= whole.len() - 48,
                "{at}"
            );
        }
    }
}

#[test]
fn a_damaged_database_is_told_without_its_contents() {
    let (_folder, path) = copied(SAMPLE);
    let log = path.join("000003.log");
    let whole = fs::read(&log).unwrap();
    let current = fs::read(path.join("CURRENT")).unwrap();
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        for bytes in [&bytes, &whole[..at]] {
            fs::write(&log, bytes).unwrap();
            if let Err(error) = Chromium.read(&read(&path)) {
                let told = error.to_string();
                assert!(
                    told.contains("leveldb") && !told.contains("UJTFvdToYI8"),
                    "{told}"
                );
            }
        }
    }
    fs::write(&log, &whole).unwrap();
    for other in [
        b"".as_slice(),
        b"MANIFEST-000009\n",
        b"../../etc/passwd\n",
        &[0xff; 64],
    ] {
        fs::write(path.join("CURRENT"), other).unwrap();
        let error = Chromium.read(&read(&path)).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    fs::write(path.join("CURRENT"), current).unwrap();
    assert_eq!(held(&path).len(), 5);
    fs::remove_file(path.join("CURRENT")).unwrap();
    let error = Chromium.read(&read(&path)).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn it_is_found_where_electron_and_the_stores_of_programs_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let surroundings = Surroundings {
        home: home.to_owned(),
        config: home.join(".config"),
        ..Surroundings::default()
    };
    fs::create_dir_all(home.join("AppData/Local/Packages/53491Cutls.TheDesk_x")).unwrap();
    let places = Chromium.usual_places(&surroundings);
    for place in [
        ".config/TheDesk",
        ".config/thedesk-next",
        ".config/Sengi",
        "Library/Application Support/TheDesk",
        "AppData/Roaming/TheDesk",
        "AppData/Local/Packages/53491Cutls.TheDesk_x/LocalCache/Roaming/TheDesk",
        "snap/thedesk/current/.config/TheDesk",
    ] {
        assert!(places.contains(&home.join(place).join(STORAGE)), "{place}");
    }
}

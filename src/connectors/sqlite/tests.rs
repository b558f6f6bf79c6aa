use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::SystemTime,
};

use rusqlite::Connection;

use super::{copy::SUPER_JOURNAL, *};
use crate::connectors::testing::{NEW_TOKEN, copied, write};

const ACCOUNTS: &str = "AccountEntity";

fn open(path: &Path) -> Result<Database, Error> {
    Database::open("test", path)
}

/// Names and tokens of Tusky's accounts.
fn accounts(database: &Database) -> Vec<(String, String)> {
    let rows = database.rows(ACCOUNTS, &["username", "accessToken"]);
    let text = |row: &Row, column| row.text(column).unwrap().to_string();
    let rows = rows.unwrap().into_iter();
    rows.map(|row| (text(&row, "username"), text(&row, "accessToken")))
        .collect()
}

/// What is in a folder: contents, mode and time of each file.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, SystemTime)> {
    let entries = fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| {
        let path = entry.unwrap().path();
        let metadata = fs::metadata(&path).unwrap();
        let mode = metadata.permissions().mode();
        let bytes = fs::read(&path).unwrap();
        (path, (bytes, mode, metadata.modified().unwrap()))
    });
    files.collect()
}

/// A database that these statements make.
fn made(sql: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.db");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (folder, path)
}

/// A plan that gives the first account another token.
fn change(path: &Path) -> Box<dyn crate::connectors::Prepared> {
    let mut writer = open(path).unwrap().writer().unwrap();
    let rows = writer.database.rows(ACCOUNTS, &["accessToken"]).unwrap();
    let texts = [("accessToken", NEW_TOKEN)];
    assert_eq!(writer.update(ACCOUNTS, &rows[0], &texts), Ok(true));
    let prepared = writer.prepared("test", Vec::new(), Vec::new(), &write(path));
    prepared.unwrap()
}

/// Another process that has the database open, until its standard input is closed.
fn held_open(path: &Path, sql: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "connectors::sqlite::tests::holds_a_database_open",
        ])
        .arg("--nocapture")
        .env("TEST_DATABASE", path)
        .env("TEST_SQL", sql)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("it is open")));
    child
}

/// No test by itself: what [`held_open`] runs.
#[test]
fn holds_a_database_open() {
    let Some(path) = std::env::var_os("TEST_DATABASE") else {
        return;
    };
    let connection = Connection::open(path).unwrap();
    let sql = std::env::var("TEST_SQL").unwrap();
    connection.execute_batch(&sql).unwrap();
    println!("it is open");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn what_stands_only_in_the_log_is_read() {
    let (folder, path) = copied("tusky/v70/databases");
    let path = path.join("tuskyDB");
    let database = open(&path).unwrap();
    let names: Vec<_> = accounts(&database)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["ada", "b_orges", "chiyo", "ada_bot"]);
    assert!(!database.may_be_older());
    // SQLite keeps the log beside the file that a link leads to.
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(accounts(&open(&link).unwrap()).len(), 4);
    fs::remove_file(path.with_file_name("tuskyDB-wal")).unwrap();
    let alone = open(&path).unwrap();
    assert_eq!(accounts(&alone).len(), 3);
    assert!(alone.may_be_older());
    let bytes = fs::read(&path).unwrap();
    let inside = Database::from_bytes(&path, &bytes).unwrap();
    assert_eq!((accounts(&inside).len(), inside.may_be_older()), (3, true));
    let (_folder, old) = copied("tusky/v30/databases/tuskyDB");
    assert!(!open(&old).unwrap().may_be_older());
}

#[test]
fn reading_touches_nothing_and_leaves_nothing() {
    let (_folder, databases) = copied("tusky/v70/databases");
    let before = contents(&databases);
    let database = open(&databases.join("tuskyDB")).unwrap();
    assert_eq!(accounts(&database).len(), 4);
    let copy = database.copy.file(MAIN);
    let folder = copy.parent().unwrap().to_owned();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&copy)), (0o700, 0o600));
    drop(database);
    assert!(!folder.exists());
    assert_eq!(contents(&databases), before);
}

#[test]
fn a_change_replaces_the_log_alone_where_there_is_one_and_else_the_main_file() {
    for (sample, log, replaced) in [
        ("tusky/v70/databases", true, "tuskyDB-wal"),
        ("tusky/v70/databases", false, "tuskyDB"),
        ("tusky/v30/databases", false, "tuskyDB"),
    ] {
        let (_folder, databases) = copied(sample);
        let path = databases.join("tuskyDB");
        if !log {
            fs::remove_file(databases.join("tuskyDB-wal")).unwrap_or_default();
        }
        // What an app that was killed left.
        fs::write(databases.join("tuskyDB-shm"), vec![0x5a; 32 << 10]).unwrap();
        for file in contents(&databases).keys() {
            fs::set_permissions(file, Permissions::from_mode(0o660)).unwrap();
        }
        let former = accounts(&open(&path).unwrap());
        let before = contents(&databases);
        let plan = change(&path);
        assert_eq!(contents(&databases), before, "a plan writes nothing");
        let outcome = plan.apply().unwrap();
        assert_eq!(outcome.plan.notes.len(), usize::from(log));
        let backup = outcome.backup.unwrap();
        let mut after = contents(&databases);
        let (bytes, mode, _) = after.remove(&backup).unwrap();
        let replaced = databases.join(replaced);
        assert_eq!((&bytes, mode & 0o777), (&before[&replaced].0, 0o600));
        let new = after.remove(&replaced).unwrap();
        assert_eq!(new.1 & 0o777, 0o660);
        let mut rest = before;
        rest.remove(&replaced);
        assert_eq!(after, rest, "everything else is as it was");

        // As the app opens it.
        let app = Connection::open(&path).unwrap();
        let check: String = app
            .query_row("PRAGMA integrity_check", (), |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
        let mut statement = app
            .prepare("SELECT username, accessToken FROM AccountEntity ORDER BY id")
            .unwrap();
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
        let now: Vec<(String, String)> = rows.unwrap().map(Result::unwrap).collect();
        let mut expected = former;
        expected[0].1 = NEW_TOKEN.to_owned();
        assert_eq!(now, expected);
    }
}

#[test]
fn a_log_that_says_nothing_takes_a_change_too() {
    let (_folder, databases) = copied("tusky/v70/databases");
    let path = databases.join("tuskyDB");
    for log in [&b""[..], &[0x5a; 5000]] {
        fs::write(databases.join("tuskyDB-wal"), log).unwrap();
        change(&path).apply().unwrap();
        let now = accounts(&open(&path).unwrap());
        assert_eq!((now.len(), now[0].1.as_str()), (3, NEW_TOKEN));
        fs::remove_file(databases.join("tuskyDB-wal")).unwrap();
        fs::copy(
            crate::connectors::testing::data("tusky/v70/databases/tuskyDB"),
            &path,
        )
        .unwrap();
    }
}

#[test]
fn a_database_that_changed_after_the_plan_stays() {
    type Done<'a> = &'a dyn Fn(&Path);
    let app = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        fs::write(name, b"another").unwrap();
    };
    let changed: [Done; 4] = [
        &|path| app(path, ""),
        &|path| app(path, "-wal"),
        &|path| app(path, "-journal"),
        &|path| fs::remove_file(path).unwrap(),
    ];
    for sample in ["tusky/v70/databases", "tusky/v30/databases"] {
        for done in changed {
            let (_folder, databases) = copied(sample);
            let path = databases.join("tuskyDB");
            let plan = change(&path);
            done(&path);
            let before = contents(&databases);
            let error = plan.apply().unwrap_err();
            let is_changed = matches!(error, Error::Changed { .. } | Error::Io { .. });
            assert!(is_changed, "{error:?}");
            assert_eq!(contents(&databases), before);
        }
    }
}

#[test]
fn a_database_that_is_open_elsewhere_is_not_written() {
    for (sample, sql) in [
        ("tusky/v70/databases", "SELECT count(*) FROM AccountEntity"),
        (
            "tusky/v30/databases",
            "BEGIN; SELECT count(*) FROM AccountEntity",
        ),
    ] {
        let (_folder, databases) = copied(sample);
        let path = databases.join("tuskyDB");
        let mut app = held_open(&path, sql);
        let plan = change(&path);
        let told = format!("it is in use by process {}: close the app first", app.id());
        assert!(plan.plan().notes.contains(&told), "{:?}", plan.plan().notes);
        let error = plan.apply().unwrap_err();
        assert!(matches!(error, Error::NotWritable { .. }), "{error:?}");
        assert!(error.to_string().ends_with(&told), "{error}");
        assert_ne!(accounts(&open(&path).unwrap())[0].1, NEW_TOKEN);
        drop(app.stdin.take());
        app.wait().unwrap();
        change(&path).apply().unwrap();
        assert_eq!(accounts(&open(&path).unwrap())[0].1, NEW_TOKEN);
    }
}

#[test]
fn an_interrupted_transaction_is_rolled_back_in_the_copy_and_stops_writing() {
    let (_folder, databases) = copied("tusky/v30/databases");
    let path = databases.join("tuskyDB");
    let journal = databases.join("tuskyDB-journal");
    // Copies of both files in the middle of a transaction that is larger than the cache.
    let app = Connection::open(&path).unwrap();
    app.execute_batch(
        "PRAGMA synchronous = off; PRAGMA cache_size = 5; BEGIN;
         UPDATE AccountEntity SET accessToken = 'halfway';
         CREATE TABLE filler (text);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
         INSERT INTO filler SELECT randomblob(3000) FROM n",
    )
    .unwrap();
    let halfway = (fs::read(&path).unwrap(), fs::read(&journal).unwrap());
    drop(app);
    fs::write(&path, &halfway.0).unwrap();
    let main_alone = open(&path).map(|database| accounts(&database)[0].1.clone());
    assert_eq!(
        main_alone.unwrap(),
        "halfway",
        "the test interrupts nothing"
    );
    fs::write(&journal, &halfway.1).unwrap();
    let database = open(&path).unwrap();
    assert!(accounts(&database)[0].1.starts_with("UJTFvd"));
    let error = database.writer().err().unwrap().to_string();
    assert!(error.contains("-journal beside it"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), halfway.0);
    assert_eq!(fs::read(&journal).unwrap(), halfway.1);
    // One that names another file, which would be opened.
    fs::write(&journal, [&halfway.1[..], &SUPER_JOURNAL].concat()).unwrap();
    let error = open(&path).err().unwrap().to_string();
    assert!(error.contains("several databases"), "{error}");
    // What ended transactions leave says nothing.
    for rest in [Vec::new(), vec![0; 512]] {
        let (_folder, databases) = copied("tusky/v30/databases");
        fs::write(databases.join("tuskyDB-journal"), rest).unwrap();
        change(&databases.join("tuskyDB")).apply().unwrap();
    }
}

#[test]
fn only_real_tables_are_read_and_no_trigger_runs() {
    let sql = "CREATE TABLE secret (token);
        INSERT INTO secret VALUES ('s3cret');
        CREATE VIEW AccountEntity AS SELECT token AS accessToken FROM secret;
        CREATE VIRTUAL TABLE found USING fts5(accessToken)";
    let (_folder, path) = made(sql);
    let database = open(&path).unwrap();
    for table in [ACCOUNTS, "found", "sqlite_schema", "nothing"] {
        let error = database.rows(table, &["accessToken"]).err().unwrap();
        let told = format!("it has no table \"{table}\"");
        assert!(error.to_string().ends_with(&told), "{error}");
        assert_eq!(database.columns(table).unwrap(), Vec::<String>::new());
    }
    let sql = "CREATE TABLE AccountEntity (accessToken, twice AS (accessToken || accessToken));
        INSERT INTO AccountEntity VALUES ('old');
        CREATE TRIGGER t AFTER UPDATE ON AccountEntity BEGIN DELETE FROM AccountEntity; END";
    let (_folder, path) = made(sql);
    change(&path).apply().unwrap();
    let database = open(&path).unwrap();
    assert_eq!(database.columns("accountentity").unwrap(), ["accessToken"]);
    let rows = database.rows(ACCOUNTS, &["accessToken", "twice"]).unwrap();
    assert_eq!(rows[0].text("accessToken").unwrap().as_str(), NEW_TOKEN);
    assert!(rows.len() == 1 && !rows[0].has("twice"));
}

#[test]
fn whatever_a_column_holds_is_told_apart() {
    let sql = "PRAGMA encoding = 'UTF-16le';
        CREATE TABLE t (Text, bad, blob, number, real, empty);
        INSERT INTO t VALUES ('løve', CAST(x'00d8' AS TEXT), x'01', 9007199254740993, 1.5, NULL)";
    let (_folder, path) = made(sql);
    let columns = ["text", "bad", "blob", "number", "real", "empty", "missing"];
    let rows = open(&path).unwrap().rows("t", &columns).unwrap();
    let row = &rows[0];
    assert_eq!(row.text("text").unwrap().as_str(), "løve");
    assert_eq!(row.integer("number"), Some(9_007_199_254_740_993));
    assert_eq!(row.integer("real"), None);
    assert_eq!(row.not_text(&["text", "empty", "missing"]), None);
    for column in ["blob", "number", "real"] {
        assert!(row.text(column).is_none());
        assert_eq!(row.not_text(&["text", column]), Some(column));
    }
    assert!(row.has("empty") && !row.has("missing"));
    let (_folder, path) = made("CREATE TABLE t (a); INSERT INTO t VALUES (CAST(x'ff' AS TEXT))");
    let rows = open(&path).unwrap().rows("t", &["a"]).unwrap();
    assert_eq!(rows[0].not_text(&["a"]), Some("a"));
}

#[test]
fn what_is_added_and_what_is_refused_is_one_transaction() {
    let sql =
        "CREATE TABLE t (id INTEGER PRIMARY KEY, token TEXT NOT NULL CHECK (length(token) < 50))";
    let (_folder, path) = made(sql);
    let before = fs::read(&path).unwrap();
    let writer = open(&path).unwrap().writer().unwrap();
    assert!(writer.into_bytes().unwrap().is_none());
    let mut writer = open(&path).unwrap().writer().unwrap();
    let long = "s3cret".repeat(10);
    let error = writer.insert("t", &[("token", Value::from(long.clone()))]);
    let error = error.unwrap_err();
    assert!(
        !error.contains("s3cret") && error.contains("constraint"),
        "{error}"
    );
    assert!(writer.insert("t", &[("token", Value::Null)]).is_err());
    assert_eq!(
        writer.insert("t", &[("token", Value::from("new".to_owned()))]),
        Ok(1)
    );
    let rows = writer.database.rows("t", &["token"]).unwrap();
    assert_eq!(writer.update("t", &rows[0], &[("token", "new")]), Ok(false));
    assert!(writer.update("t", &rows[0], &[("token", &long)]).is_err());
    assert!(writer.update("t", &rows[0], &[("gone", "1")]).is_err());
    let bytes = writer.into_bytes().unwrap().unwrap();
    let database = Database::from_bytes(&path, &bytes).unwrap();
    let rows = database.rows("t", &["token"]).unwrap();
    assert!(rows.len() == 1 && rows[0].text("token").unwrap().as_str() == "new");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn rows_that_cannot_be_told_apart_by_their_numbers_are_not_read() {
    for name in ["rowid", "OID", "_rowid_"] {
        let (_folder, path) = made(&format!(
            "CREATE TABLE t (a TEXT, \"{name}\" INTEGER); INSERT INTO t VALUES ('x', 1), ('y', 1)"
        ));
        let error = open(&path).unwrap().rows("t", &["a"]).err().unwrap();
        assert!(matches!(error, Error::Malformed { .. }), "{name}: {error}");
    }
}

#[test]
fn a_change_that_fails_takes_nothing_along() {
    let (_folder, path) =
        made("CREATE TABLE t (a TEXT CHECK (a <> 'bad')); INSERT INTO t VALUES ('x')");
    let database = open(&path).unwrap();
    let rows = database.rows("t", &["a"]).unwrap();
    let mut writer = database.writer().unwrap();
    assert!(writer.update("t", &rows[0], &[("a", "bad")]).is_err());
    assert!(!writer.has_changes());
    let lost = Row {
        number: 9,
        values: vec![("a", Cell::Null)],
    };
    assert!(writer.update("t", &lost, &[("a", "y")]).is_err());
    assert!(!writer.has_changes());
    assert_eq!(writer.update("t", &rows[0], &[("a", "good")]), Ok(true));
}

#[test]
fn what_is_too_much_is_refused() {
    let many = "CREATE TABLE t (a);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001)
        INSERT INTO t SELECT i FROM n";
    let long = "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(9000000))";
    for (sql, told) in [
        (many, "more than 10000 rows"),
        (long, "more than 8388608 bytes"),
    ] {
        let (_folder, path) = made(sql);
        let error = open(&path).unwrap().rows("t", &["a"]).err().unwrap();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn what_is_no_intact_database_is_told_without_its_contents() {
    let (_folder, path) = copied("tusky/v30/databases/tuskyDB");
    let whole = fs::read(&path).unwrap();
    let mut odd_page = whole.clone();
    odd_page[16..18].copy_from_slice(&1000_u16.to_be_bytes());
    for (bytes, told) in [
        (&b""[..], "it is empty"),
        (
            b"{\"access_token\": \"s3cret\"}",
            "it is no SQLite database",
        ),
        (&whole[..50], "within the header"),
        (&whole[..200], "within its first page"),
        (&odd_page, "header is not that"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = open(&path).err().unwrap();
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
        let error = error.to_string();
        assert!(error.contains(told) && error.contains("tuskyDB"), "{error}");
        assert!(!error.contains("s3cret"));
    }
    let mut schema = whole.clone();
    // The schema's text: SQLite's message would quote it.
    let at = whole
        .windows(12)
        .position(|text| text == b"CREATE TABLE")
        .unwrap();
    schema[at + 7..at + 12].copy_from_slice(b"S3CRE");
    let damaged = (0..whole.len()).step_by(97).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        bytes
    });
    let cut = (0..whole.len())
        .step_by(1001)
        .map(|at| whole[..at].to_vec());
    for bytes in damaged.chain(cut).chain([schema]) {
        fs::write(&path, bytes).unwrap();
        let read = open(&path).and_then(|database| {
            let rows = database.rows(ACCOUNTS, &["accessToken", "username"])?;
            let mut writer = database.writer()?;
            if let Some(row) = rows.first() {
                drop(writer.update(ACCOUNTS, row, &[("accessToken", NEW_TOKEN)]));
            }
            writer.into_bytes().map(|_| rows.len())
        });
        if let Err(error) = read {
            let told = error.to_string();
            assert!(
                told.contains("tuskyDB") && !told.contains("S3CRE"),
                "{told}"
            );
            assert!(!told.contains("UJTFvd"), "{told}");
        }
    }
    let (folder, path) = copied("tusky/v30/databases/tuskyDB");
    fs::create_dir(folder.path().join("tuskyDB-wal")).unwrap();
    let error = open(&path).err().unwrap().to_string();
    assert!(error.contains("tuskyDB-wal: it is no file"), "{error}");
    let error = open(&folder.path().join("nothing")).err().unwrap();
    assert!(matches!(error, Error::NotFound { .. }));
}

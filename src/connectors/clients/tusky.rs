//! Tusky, and what was made of it (Husky, Pachli, Yuito, Chinwag …): a Room database on Android.
//!
//! Evidence: Tusky 1 to 29, `db/entity/AccountEntity.kt`, `db/AppDatabase.kt` and `schemas/` 10 to 70,
//! `components/login/LoginActivity.kt` (`oauth2redirect://<package>/`); Pachli, `DatabaseModule.kt` (`pachliDB`). Forks
//! and versions have other columns: each is read by its name. `domain` stands there as it was typed; client_id,
//! client_secret and scopes are there since schema 39, and empty for accounts from before. Older versions kept the client
//! in their settings, where each login overwrote it: it is nobody's for certain, and not read.
//!
//! A row has about fifty columns without a default that differ between versions, and Room checks a hash of the whole
//! schema: so rows are changed, never added.

use std::path::{Path, PathBuf};

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place,
        sqlite::{Database, Row, Writer},
        store::{self, Editor, Entry, Skipped, Taken},
        surroundings::Part,
        values::shown,
    },
    model::{Record, Snapshot},
};

/// Tusky's accounts.
#[derive(Debug, Clone, Copy)]
pub struct Tusky;

const NAME: &str = "tusky";

impl Source for Tusky {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Tusky, an Android app, and its forks"
    }

    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let names = DATABASES.iter();
        names
            .flat_map(|name| surroundings.android_files(Part::Databases, name))
            .collect()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let path = path(&request.path)?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &path, request));
        let database = open(&path)?;
        let rows = rows(&database)?;
        database.tell_age(&mut snapshot);
        store::import(&entries(&rows, &path), request, &mut snapshot);
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }

    /// Android shows the end of the package.
    fn programs(&self) -> &'static [&'static str] {
        &["esspalace.tusky"]
    }
}

impl Sink for Tusky {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let path = path(&request.path)?;
        let database = open(&path)?;
        let rows = rows(&database)?;
        let mut accounts = Accounts {
            rows: &rows,
            writer: database.writer()?,
            notes: Vec::new(),
        };
        let entries = entries(&rows, &path);
        let changes = store::changes(&entries, records, Taken::Apart, &mut accounts);
        let Accounts {
            writer, mut notes, ..
        } = accounts;
        if writer.has_changes() {
            notes.push(ADVICE.to_owned());
        }
        writer.prepared(NAME, changes, notes, request)
    }
}

/// The file itself, or the one in an app's folder, as it is on a phone or in an unpacked backup.
fn path(path: &Path) -> Result<PathBuf, Error> {
    let folders = [
        "",
        "databases",
        "db",
        "com.keylesspalace.tusky/databases",
        "apps/com.keylesspalace.tusky/db",
    ];
    let files = folders
        .iter()
        .flat_map(|folder| DATABASES.map(|name| Path::new(folder).join(name)));
    let files: Vec<_> = files.collect();
    let files: Vec<_> = files.iter().filter_map(|file| file.to_str()).collect();
    if let Some(file) = place::file_in(path, &files) {
        return Ok(file);
    }
    let is_backup = [PACKAGE, "apps/com.keylesspalace.tusky"]
        .iter()
        .any(|folder| path.join(folder).is_dir());
    if is_backup || path.join("_manifest").is_file() || package(path).is_some() {
        return Err(Problem(format!("there is no database in it: {NO_BACKUP}")).at(path));
    }
    Err(Error::NotFound {
        connector: NAME,
        path: path.to_owned(),
    })
}

/// Opens the database; of what is none, says why that may be.
fn open(path: &Path) -> Result<Database, Error> {
    Database::open(NAME, path).map_err(|error| match error {
        Error::Malformed { path, detail } => Error::Malformed {
            path,
            detail: format!("{detail}; {NO_BACKUP}"),
        },
        error => error,
    })
}

/// The accounts, once it is sure that they are Tusky's.
fn rows(database: &Database) -> Result<Vec<Row>, Error> {
    database.require(TABLE, &["domain", "accessToken", "accountId", "username"])?;
    database.rows(TABLE, COLUMNS)
}

/// Tusky's package in the path: `com.keylesspalace.tusky`, or that of a test version. Its forks have others.
fn package(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let parts = path.iter().filter_map(|part| part.to_str());
    let is_ours = |part: &&str| {
        let rest = part.strip_prefix(PACKAGE);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    parts.rev().find(is_ours).map(str::to_owned)
}

fn entries(rows: &[Row], path: &Path) -> Vec<Entry<usize>> {
    let package = package(path);
    let entries = rows.iter().enumerate().map(|(place, row)| {
        let text = |column| row.text(column).map(|text| text.to_string());
        let account = format!(
            "{}@{}",
            shown(&text("username").unwrap_or_default()),
            shown(&text("domain").unwrap_or_default())
        );
        let wrong = row.not_text(COLUMNS);
        Entry {
            place,
            label: format!("account {account}"),
            instance: text("domain"),
            user: text("username"),
            token: row.text("accessToken").cloned(),
            client_id: text("clientId"),
            client_secret: row.text("clientSecret").cloned(),
            scopes: text("oauthScopes"),
            app_name: package.as_ref().map(|_| "Tusky".to_owned()),
            redirect_uri: package
                .as_ref()
                .map(|package| format!("oauth2redirect://{package}/")),
            skipped: wrong.map(|column| Skipped::unread(format!("expected text in \"{column}\""))),
            ..Entry::default()
        }
    });
    entries.collect()
}

/// Changes to the rows.
struct Accounts<'a> {
    rows: &'a [Row],
    writer: Writer,
    notes: Vec<String>,
}

impl Editor<usize> for Accounts<'_> {
    fn update(&mut self, entry: &Entry<usize>, record: &Record) -> Result<bool, String> {
        let Some(row) = self.rows.get(entry.place) else {
            return Ok(false);
        };
        let mut texts = vec![("accessToken", record.access_token.expose())];
        if row.has("clientId") && row.has("clientSecret") {
            match store::client_of(record) {
                Some((id, secret)) => texts.extend([("clientId", id), ("clientSecret", secret)]),
                None => {
                    let note = store::kept_client(entry, record);
                    self.notes.extend(note);
                }
            }
        }
        if let Some(scopes) = record.scopes.as_ref().filter(|_| row.has("oauthScopes")) {
            texts.push(("oauthScopes", scopes.as_str()));
        }
        let changes = self.writer.update(TABLE, row, &texts);
        changes.map_err(|why| format!("{}: {why}", entry.label))
    }

    fn insert(&mut self, _: &str, _: &Record) -> Result<String, String> {
        Err(
            "an account can't be added to Tusky's database: log in to it in Tusky once, then restore"
                .to_owned(),
        )
    }
}

const PACKAGE: &str = "com.keylesspalace.tusky";
const DATABASES: [&str; 2] = ["tuskyDB", "pachliDB"];
const TABLE: &str = "AccountEntity";
const COLUMNS: &[&str] = &[
    "domain",
    "accessToken",
    "clientId",
    "clientSecret",
    "accountId",
    "username",
    "oauthScopes",
];

const NO_BACKUP: &str = "Tusky lets no backup of Android or adb hold its data: it takes a rooted device (or a backup tool that needs \
                         one) to copy tuskyDB and tuskyDB-wal from its folder databases";

const ADVICE: &str = "stop the app (Force stop) before the database goes back into its folder databases: all its files together, \
                      but no -shm, with the app's owner and group and mode 660; then run restorecon on them";

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use rusqlite::Connection;

    use super::*;
    use crate::{
        connectors::testing::{
            NEW_TOKEN, assert_survives_damage, assert_takes_back_its_own, copied, data, read,
            record, records, warnings, write,
        },
        model::{Action, Completeness, Scopes, Secret},
    };

    const SAMPLE: &str = "tusky/v70/databases";

    /// Keys of the records, with the beginnings of client_id.
    fn held(path: &Path) -> Vec<String> {
        let snapshot = Tusky.read(&read(path)).unwrap();
        let records = records(&snapshot).into_iter();
        let held = records.map(|record| {
            let id = record.app.client_id.as_deref().unwrap_or("?");
            let id = id.get(..4).unwrap_or(id);
            let scopes = record.scopes.as_ref().map_or("?", Scopes::as_str);
            let user = record.user.name().unwrap_or_default();
            format!("{user}@{} {id} {scopes}", record.instance)
        });
        held.collect()
    }

    fn sql(path: &Path, sql: &str) {
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    }

    #[test]
    fn every_account_is_read_also_one_that_only_the_log_holds() {
        let new = "read write follow push";
        assert_eq!(
            held(&data("tusky/v70")),
            [
                format!("ada@mastodon.example vlwo {new}"),
                "b_orges@fosstodon.example ? ?".to_owned(),
                format!("chiyo@mstdn.example.jp fjrj {new}"),
                format!("ada_bot@mastodon.example vlwo {new}"),
            ]
        );
        let old = ["ada@mastodon.example ? ?", "b_orges@fosstodon.example ? ?"];
        assert_eq!(held(&data("tusky/v30")), old);
        let snapshot = Tusky.read(&read(&data("tusky/v30"))).unwrap();
        assert_eq!(warnings(&snapshot), Vec::<&str>::new());
        let ada = &records(&snapshot)[0];
        assert_eq!(
            ada.access_token.expose(),
            "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U"
        );
        assert_eq!((&ada.app.name, ada.app.redirect_uris.len()), (&None, 0));
    }

    #[test]
    fn a_database_without_its_log_ends_nothing() {
        let (_folder, path) = copied(SAMPLE);
        fs::remove_file(path.join("tuskyDB-wal")).unwrap();
        let snapshot = Tusky.read(&read(&path)).unwrap();
        assert_eq!(snapshot.completeness, Completeness::Partial);
        assert!(warnings(&snapshot)[0].contains("ends in -wal"));
        assert_eq!(snapshot.tokens.len(), 3);
    }

    #[test]
    fn the_folder_of_the_app_tells_which_it_is() {
        let (folder, databases) = copied(SAMPLE);
        for (place, redirect) in [
            ("com.keylesspalace.tusky/databases", Some("tusky/")),
            ("apps/com.keylesspalace.tusky.test/db", Some("tusky.test/")),
            ("su.xash.husky/databases", None),
        ] {
            let phone = folder.path().join(place.replace('/', "-"));
            let place = phone.join(place);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::rename(&databases, &place).unwrap();
            let snapshot = Tusky.read(&read(place.parent().unwrap())).unwrap();
            let app = &records(&snapshot)[0].app;
            assert_eq!(app.name.as_deref(), redirect.map(|_| "Tusky"));
            let expected = redirect.map(|end| format!("oauth2redirect://com.keylesspalace.{end}"));
            assert_eq!(app.redirect_uris.first(), expected.as_ref());
            if redirect == Some("tusky/") {
                assert_eq!(held(&phone).len(), 4);
            }
            let app = place.parent().unwrap().to_owned();
            for android in [app.parent().unwrap().to_owned(), app] {
                let surroundings = Surroundings {
                    android: vec![android],
                    ..Surroundings::default()
                };
                let found = Tusky.usual_places(&surroundings);
                assert_eq!(found, [place.join("tuskyDB")]);
            }
            fs::rename(&place, &databases).unwrap();
        }
        assert_eq!(
            Tusky.usual_places(&Surroundings::default()),
            [] as [PathBuf; 0]
        );
    }

    #[test]
    fn forks_and_odd_rows_are_read_by_the_names_of_their_columns() {
        let (folder, old) = copied("tusky/v30/databases/tuskyDB");
        let path = folder.path().join("pachliDB");
        fs::rename(old, &path).unwrap();
        sql(
            &path,
            "ALTER TABLE AccountEntity ADD COLUMN clientSecret TEXT;
             ALTER TABLE AccountEntity ADD COLUMN pachliOnly TEXT NOT NULL DEFAULT '';
             UPDATE AccountEntity SET domain = 'Bücher.example', accessToken = '' WHERE username = 'ada';
             INSERT INTO AccountEntity SELECT 7, 'MASTODON.Example', x'00', 0, '7', 'odd', displayName,
                profilePictureUrl, 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1, '', '', '', '', '', 'secret-7', ''
                FROM AccountEntity WHERE username = 'ada';
             INSERT INTO AccountEntity SELECT 8, 'Bücher.Example', 'token-8', 0, '8', 'ada', displayName,
                profilePictureUrl, 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1, '', '', '', '', '', NULL, ''
                FROM AccountEntity WHERE username = 'ada'",
        );
        let snapshot = Tusky.read(&read(folder.path())).unwrap();
        assert_eq!(snapshot.completeness, Completeness::Partial);
        let told = warnings(&snapshot);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with("account ada@Bücher.example: it has no token"),
            "{told:?}"
        );
        assert!(
            told[1].ends_with("expected text in \"accessToken\""),
            "{told:?}"
        );
        assert_eq!(
            held(&path),
            [
                "b_orges@fosstodon.example ? ?",
                "ada@xn--bcher-kva.example ? ?"
            ]
        );
        // The row without a token and the other one are the same account in two spellings.
        let ada = record("xn--bcher-kva.example", Some("ada"), NEW_TOKEN);
        let odd = record("mastodon.example", Some("odd"), NEW_TOKEN);
        let plan = Tusky.plan(&write(&path), &[ada, odd]).unwrap();
        let told: Vec<_> = plan
            .plan()
            .changes
            .iter()
            .map(|change| &change.detail)
            .collect();
        assert!(
            told[0].starts_with("several accounts could be meant"),
            "{told:?}"
        );
        assert!(
            told[1].ends_with("expected text in \"accessToken\""),
            "{told:?}"
        );
        assert!(!plan.plan().writes());
    }

    #[test]
    fn a_row_takes_the_token_its_client_and_its_scopes() {
        assert_eq!(assert_takes_back_its_own(&Tusky, SAMPLE), 4);
        assert_eq!(assert_takes_back_its_own(&Tusky, "tusky/v30/databases"), 2);
        let (folder, databases) = copied(SAMPLE);
        let link = folder.path().join("link");
        symlink(databases.join("tuskyDB"), &link).unwrap();
        let mut bot = record("mastodon.example", Some("ada_bot"), NEW_TOKEN);
        let mut borges = record("fosstodon.example", Some("b_orges"), "token-2");
        borges.app.client_id = Some("id-2".to_owned());
        borges.app.client_secret = Some(Secret::from("secret-2"));
        borges.scopes = Some(Scopes::parse("read"));
        let new = record("new.example", Some("zoe"), "token-3");
        let plan = Tusky
            .plan(&write(&link), &[bot.clone(), borges, new])
            .unwrap();
        let plan_of = plan.plan();
        let actions: Vec<_> = plan_of.changes.iter().map(|change| change.action).collect();
        assert_eq!(actions, [Action::Update, Action::Update, Action::Refuse]);
        assert!(
            plan_of.changes[2]
                .detail
                .contains("log in to it in Tusky once")
        );
        let told = plan_of.notes.join("\n");
        assert!(told.contains("ada_bot@mastodon.example: client_id and client_secret stay"));
        assert!(
            told.contains("restorecon") && told.contains("no -shm"),
            "{told}"
        );
        let before = fs::read(databases.join("tuskyDB")).unwrap();
        plan.apply().unwrap();
        assert_eq!(fs::read(databases.join("tuskyDB")).unwrap(), before);
        let new = "read write follow push";
        assert_eq!(
            held(&link),
            [
                format!("ada@mastodon.example vlwo {new}"),
                "b_orges@fosstodon.example id-2 read".to_owned(),
                format!("chiyo@mstdn.example.jp fjrj {new}"),
                format!("ada_bot@mastodon.example vlwo {new}"),
            ]
        );
        let all = records(&Tusky.read(&read(&link)).unwrap());
        assert_eq!(all[3].access_token.expose(), NEW_TOKEN);
        // Room refuses a database whose bookkeeping changed.
        let app = Connection::open(&link).unwrap();
        let row = app.query_row(
            "SELECT identity_hash, user_version FROM room_master_table, pragma_user_version",
            (),
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
        let hash = "f1ac7b67aa0a9a279f7f35f5817b6a17".to_owned();
        assert_eq!(row.unwrap(), (hash, 70));
        // An old database has no place for the client.
        let (_folder, old) = copied("tusky/v30/databases");
        bot.user = crate::model::User::Named("ada".to_owned());
        bot.app.client_id = Some("id".to_owned());
        let plan = Tusky.plan(&write(&old), &[bot]).unwrap();
        assert_eq!(plan.plan().notes, [ADVICE]);
        plan.apply().unwrap();
        assert_eq!(held(&old)[0], "ada@mastodon.example ? ?");
    }

    #[test]
    fn an_empty_backup_is_told_why() {
        let folder = tempfile::tempdir().unwrap();
        let error = Tusky.read(&read(folder.path())).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
        let app = folder.path().join("apps/com.keylesspalace.tusky");
        fs::create_dir_all(&app).unwrap();
        fs::write(app.join("_manifest"), "1\ncom.keylesspalace.tusky\n").unwrap();
        let empty = folder.path().join("tuskyDB.empty");
        fs::write(&empty, "").unwrap();
        for path in [folder.path(), &app, &empty] {
            let error = Tusky.read(&read(path)).unwrap_err().to_string();
            assert!(error.contains("rooted device"), "{error}");
        }
    }

    #[test]
    fn damage_is_told_without_secrets() {
        assert_survives_damage(&Tusky, "tusky/v30/databases/tuskyDB");
        let (_folder, path) = copied("tusky/v30/databases/tuskyDB");
        for (change, told) in [
            (
                "ALTER TABLE AccountEntity RENAME username TO u",
                "no column \"username\"",
            ),
            (
                "ALTER TABLE AccountEntity RENAME TO Account",
                "no table \"AccountEntity\"",
            ),
        ] {
            sql(&path, change);
            let error = Tusky.read(&read(&path)).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}

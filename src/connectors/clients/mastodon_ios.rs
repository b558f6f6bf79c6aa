//! Mastodon for iOS: what backups of a phone hold. Read only.
//!
//! Evidence: Mastodon for iOS 2024.11, `MastodonAuthentication.swift` and its Core Data model (columns named by Core
//! Data's rule: `Z` and the attribute in capitals). Up to 2023.13 accounts were in Core Data, `shared.sqlite` of the app
//! group, where the migration left them; since 2023.14 each is a keychain item of the service
//! `org.joinmastodon.app.authentications`, whose value is base64 of JSON. `appAccessToken` is the user's token once more.
//! `createdAt` stays when somebody logs in again: it is not the time of issue.
//!
//! Nothing can be written into the keychain of a phone from outside.

use std::path::{Path, PathBuf};

use data_encoding::BASE64_NOPAD;
use zeroize::Zeroizing;

use crate::{
    connectors::{
        Error, ReadRequest, Source, Specificity, Surroundings,
        error::Problem,
        place,
        store::{self, Entry, Skipped},
        values::shown,
    },
    document::{Format, Node},
    model::Snapshot,
};

/// The accounts of Mastodon for iOS.
#[derive(Debug, Clone, Copy)]
pub struct MastodonIos;

const NAME: &str = "mastodon-ios";

impl Source for MastodonIos {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Mastodon for iOS, from backups of the phone"
    }

    /// Backups name their files by hashes.
    fn usual_places(&self, _: &Surroundings) -> Vec<PathBuf> {
        Vec::new()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    /// A backup is of the past, and Core Data holds what has long been in the keychain.
    fn is_live(&self) -> bool {
        false
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let path = place::file_in(&request.path, &[DATABASE, IN_CONTAINER]);
        let path = path.ok_or_else(|| Error::NotFound {
            connector: NAME,
            path: request.path.clone(),
        })?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &path, request));
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        let entries = if file.bytes().starts_with(b"SQLite format 3\0") {
            of_database(&path, &mut snapshot)?
        } else {
            of_items(file.bytes()).map_err(|problem| problem.at(&path))?
        };
        store::import(&entries, request, &mut snapshot);
        if !snapshot.tokens.is_empty() {
            snapshot.warn(
                "good for revoking and auditing: no token can be put back into the app; log in again to use an account \
                 there",
            );
        }
        Ok(snapshot)
    }

    fn read_bytes(&self, request: &ReadRequest, bytes: &[u8]) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &request.path, request));
        let entries = of_items(bytes).map_err(|problem| problem.at(&request.path))?;
        store::import(&entries, request, &mut snapshot);
        Ok(snapshot)
    }
}

/// Keychain items: base64 in lines of any length, or one item a line, or the JSON itself.
fn of_items(bytes: &[u8]) -> Result<Vec<Entry<()>>, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem(NOT_OURS.to_owned()))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('{') {
        return Ok(vec![item(text.as_bytes())?]);
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let each: Option<Vec<_>> = lines
        .map(|line| item(&decoded(line)?).ok())
        .take(MAX_ITEMS)
        .collect();
    match each {
        Some(items) if !items.is_empty() => Ok(items),
        _ => {
            let whole = decoded(text).ok_or_else(|| Problem(NOT_OURS.to_owned()))?;
            Ok(vec![item(&whole)?])
        }
    }
}

fn decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bare = Zeroizing::new(Vec::with_capacity(text.len()));
    bare.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let padding = bare.iter().rev().take_while(|byte| **byte == b'=').count();
    let bare = bare.get(..bare.len() - padding)?;
    BASE64_NOPAD.decode(bare).ok().map(Zeroizing::new)
}

/// An item, once it is sure that it is this app's.
fn item(bytes: &[u8]) -> Result<Entry<()>, Problem> {
    let root = Format::Json.parse(bytes)?;
    if root.get("userAccessToken").is_none() || root.get("domain").is_none() {
        return Err(Problem(NOT_OURS.to_owned()));
    }
    let text = |key: &str| root.get(key).and_then(Node::text);
    let wrong = ["domain", "username", "userAccessToken"]
        .into_iter()
        .find(|key| text(key).is_none() && root.get(key).is_some());
    let owned = |key| text(key).map(str::to_owned);
    Ok(entry(
        wrong.map(|key| format!("expected a string for \"{key}\"")),
        [owned("domain"), owned("username"), owned("clientID")],
        ["userAccessToken", "clientSecret"].map(|key| owned(key).map(Zeroizing::new)),
    ))
}

fn entry(
    wrong: Option<String>,
    [instance, user, client_id]: [Option<String>; 3],
    [token, client_secret]: [Option<store::Text>; 2],
) -> Entry<()> {
    let part = |text: &Option<String>| shown(text.as_deref().unwrap_or("?"));
    Entry {
        label: format!("account {}@{}", part(&user), part(&instance)),
        instance,
        user,
        token,
        client_id,
        client_secret,
        skipped: wrong.map(Skipped::unread),
        ..Entry::default()
    }
}

#[cfg(feature = "sqlite")]
fn of_database(path: &Path, snapshot: &mut Snapshot) -> Result<Vec<Entry<()>>, Error> {
    use crate::connectors::sqlite::Database;

    const TABLE: &str = "ZMASTODONAUTHENTICATION";
    const COLUMNS: &[&str] = &[
        "ZDOMAIN",
        "ZUSERNAME",
        "ZUSERACCESSTOKEN",
        "ZCLIENTID",
        "ZCLIENTSECRET",
    ];
    let database = Database::open(NAME, path)?;
    database.require(TABLE, &["ZDOMAIN", "ZUSERACCESSTOKEN"])?;
    database.tell_age(snapshot);
    let rows = database.rows(TABLE, COLUMNS)?.into_iter();
    let entries = rows.map(|row| {
        let text = |column| row.text(column).map(|text| text.to_string());
        entry(
            row.not_text(COLUMNS)
                .map(|column| format!("expected text in \"{column}\"")),
            [text("ZDOMAIN"), text("ZUSERNAME"), text("ZCLIENTID")],
            ["ZUSERACCESSTOKEN", "ZCLIENTSECRET"].map(|column| row.text(column).cloned()),
        )
    });
    Ok(entries.collect())
}

#[cfg(not(feature = "sqlite"))]
fn of_database(path: &Path, _: &mut Snapshot) -> Result<Vec<Entry<()>>, Error> {
    let what = "it is a SQLite database, which this program was built without (feature sqlite)";
    Err(Problem(what.to_owned()).at(path))
}

/// The database of the app group, and its place in the group's container (`CoreDataStack`, `Extension/URL.swift`).
const DATABASE: &str = "shared.sqlite";
const IN_CONTAINER: &str = "Databases/shared.sqlite";

const NOT_OURS: &str =
    "expected the value of a keychain item: base64 of JSON with \"domain\" and \"userAccessToken\"";

/// Nobody has as many accounts.
const MAX_ITEMS: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        connectors::testing::{assert_survives_damage, data, read, records, warnings},
        model::Completeness,
    };

    const ITEM: &str = "mastodon-ios/keychain-item.b64";

    fn read_text(text: &str) -> Result<Snapshot, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("item");
        fs::write(&path, text).unwrap();
        MastodonIos.read(&read(&path))
    }

    fn assert_is_ada(snapshot: &Snapshot, count: usize) {
        let records = records(snapshot);
        assert_eq!(records.len(), count);
        let ada = &records[0];
        assert_eq!(ada.user.name(), Some("ada"));
        assert_eq!(ada.instance.as_str(), "mastodon.example");
        let token = "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";
        assert_eq!(ada.access_token.expose(), token);
        let id = ada.app.client_id.as_deref();
        assert_eq!(id, Some("vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo"));
        let secret = ada.app.client_secret.as_ref().unwrap();
        assert!(secret.expose().starts_with("MHfCpw"));
        assert_eq!((&ada.scopes, ada.created_at), (&None, None));
        let told = warnings(snapshot);
        assert!(
            told.len() == 1 && told[0].contains("log in again"),
            "{told:?}"
        );
    }

    #[test]
    fn an_item_is_read_however_a_tool_prints_it() {
        let item = fs::read_to_string(data(ITEM)).unwrap();
        let item = item.trim();
        let json = String::from_utf8(decoded(item).unwrap().to_vec()).unwrap();
        let (first, rest) = item.split_at(76);
        for text in [
            item.to_owned(),
            format!("{first}\r\n{rest}\r\n"),
            item.trim_end_matches('=').to_owned(),
            format!("\u{feff}{json}\n"),
        ] {
            assert_is_ada(&read_text(&text).unwrap(), 1);
        }
        let other = json.replace("\"ada\"", "\"eve\"").replace("UJTF", "FTJU");
        let other = data_encoding::BASE64.encode(other.as_bytes());
        assert_is_ada(&read_text(&format!("{item}\n\n{other}\n")).unwrap(), 2);
        let bytes = MastodonIos.read_bytes(&read(Path::new("-")), item.as_bytes());
        assert_eq!(bytes.unwrap().tokens.len(), 1);
        assert!(MastodonIos.sink().is_none() && !MastodonIos.is_live());
    }

    #[test]
    fn what_is_no_item_is_told_apart() {
        for text in [
            "",
            "{}",
            "e30=",
            "aGVsbG8=",
            "{\"domain\":\"a.example\"}",
            "\0",
        ] {
            let error = read_text(text).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{text}: {error}");
        }
        let odd = read_text(r#"{"domain":"a.example","username":"ada","userAccessToken":5}"#);
        let odd = odd.unwrap();
        assert_eq!(odd.completeness, Completeness::Partial);
        assert!(warnings(&odd)[0].ends_with("expected a string for \"userAccessToken\""));
        let empty = read_text(r#"{"domain":"a.example","userAccessToken":""}"#).unwrap();
        assert!(warnings(&empty)[0].contains("it has no token"));
        let folder = tempfile::tempdir().unwrap();
        let error = MastodonIos.read(&read(folder.path())).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn core_data_is_read_by_its_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(IN_CONTAINER);
        fs::create_dir(path.parent().unwrap()).unwrap();
        let app = rusqlite::Connection::open(&path).unwrap();
        app.execute_batch(
            "CREATE TABLE ZMASTODONAUTHENTICATION (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER,
               ZACTIVEDAT TIMESTAMP, ZCREATEDAT TIMESTAMP, ZUPDATEDAT TIMESTAMP, ZAPPACCESSTOKEN VARCHAR, ZCLIENTID VARCHAR,
               ZCLIENTSECRET VARCHAR, ZDOMAIN VARCHAR, ZUSERACCESSTOKEN VARCHAR, ZUSERID VARCHAR, ZUSERNAME VARCHAR,
               ZIDENTIFIER BLOB);
             INSERT INTO ZMASTODONAUTHENTICATION VALUES (1, 3, 1, 715000000.25, 715000001, 715000002,
               'UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U', 'vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo',
               'MHfCpw4JpU1Gbj2jzFdJMLqt1q7L_7Ooz6iIfLuGmMc', 'mastodon.example',
               'UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U', '167086300388752893', 'ada', x'6c2b')",
        )
        .unwrap();
        for place in [path.as_path(), folder.path()] {
            assert_is_ada(&MastodonIos.read(&read(place)).unwrap(), 1);
        }
        app.execute_batch("UPDATE ZMASTODONAUTHENTICATION SET ZUSERACCESSTOKEN = x'00'")
            .unwrap();
        let snapshot = MastodonIos.read(&read(&path)).unwrap();
        assert_eq!(snapshot.completeness, Completeness::Partial);
        app.execute_batch("DROP TABLE ZMASTODONAUTHENTICATION")
            .unwrap();
        let error = MastodonIos.read(&read(&path)).unwrap_err();
        assert!(error.to_string().contains("no table"), "{error}");
    }

    #[test]
    fn damage_is_told_without_secrets() {
        assert_survives_damage(&MastodonIos, ITEM);
    }
}

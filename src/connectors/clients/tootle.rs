//! Tootle, a client for the desktop (up to 1.0; its successor is Tuba): `accounts.json`.
//!
//! Evidence: Tootle 0.1.5 and 0.2 (`src/InstanceAccount.vala`, `src/Dialogs/NewAccount.vala`), its development up to 1.0,
//! and 1.0 (`src/Services/Accounts.vala`). The file is an array, on one line. Up to 0.2 an account has `token`, and `id`
//! is the client_id; builds between call the token `access_token`; in 1.0 it is `access-token`, and `id` is the
//! account's number. The active account is an index kept elsewhere: the order must stay. The app is registered as
//! `Tootle` with `urn:ietf:wg:oauth:2.0:oob`; scopes are not stored.

use std::path::PathBuf;

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place,
        store::{self, Entry, Skipped, Spans, Taken, TextPlan, text_of},
        surroundings::Program,
        values::shown,
    },
    document::{Format, Kind, Node},
    model::{Record, Snapshot},
};

/// Tootle's accounts.
#[derive(Debug, Clone, Copy)]
pub struct Tootle;

const NAME: &str = "tootle";

impl Source for Tootle {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Tootle, a client for the desktop"
    }

    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let folders = surroundings.folders_of(&PROGRAM).into_iter();
        folders.map(|folder| folder.join(FILE)).collect()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let path = path(request.path.clone())?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &path, request));
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        let root = parse(file.bytes()).map_err(|problem| problem.at(&path))?;
        store::import(&entries(&root), request, &mut snapshot);
        Ok(snapshot)
    }

    /// What it writes when it starts for the first time, an empty array, could be anybody's.
    fn fits(&self, request: &ReadRequest) -> bool {
        self.read(request)
            .is_ok_and(|snapshot| !(snapshot.tokens.is_empty() && snapshot.warnings.is_empty()))
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }

    fn programs(&self) -> &'static [&'static str] {
        // `com.github.bleakgrey.tootle`, as far as the system keeps it.
        &["com.github.blea"]
    }
}

impl Sink for Tootle {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let path = path(request.path.clone())?;
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        let root = parse(file.bytes()).map_err(|problem| problem.at(&path))?;
        let plan = TextPlan {
            connector: NAME,
            format: Format::Json,
            root: &root,
            entries: &entries(&root),
            taken: Taken::Apart,
            insert: &|_, _, _| {
                let what = "Tootle keeps a whole profile with each account: log in with it once, then restore again";
                Err(what.to_owned())
            },
            advice: "start Tootle again: it reads its accounts when it starts",
        };
        Ok(plan.prepared(file, request, records))
    }
}

/// The file itself, or the one in the folder: Tootle's own, the one above, or what Flatpak gave it.
fn path(path: PathBuf) -> Result<PathBuf, Error> {
    let names = [
        FILE,
        "com.github.bleakgrey.tootle/accounts.json",
        "config/com.github.bleakgrey.tootle/accounts.json",
    ];
    place::file_in(&path, &names).ok_or(Error::NotFound {
        connector: NAME,
        path,
    })
}

/// The names of the members in one of the layouts.
struct Layout {
    token: &'static str,
    client: (&'static str, &'static str),
    /// What else is always there.
    mark: &'static str,
}

/// How an account is laid out. Tuba's secrets have the names of 1.0, and a backend besides.
fn layout(account: &Node) -> Option<&'static Layout> {
    let has = |key: &str| account.get(key).is_some();
    let layout = LAYOUTS.iter().find(|layout| has(layout.token))?;
    let is_ours = has("instance") && has(layout.client.1) && has(layout.mark) && !has("backend");
    is_ours.then_some(layout)
}

/// Parses it and makes sure that it is Tootle's: an array of objects, among them an account.
fn parse(bytes: &[u8]) -> Result<Node, Problem> {
    let root = Format::Json.parse(bytes)?;
    let Kind::List(accounts) = &root.kind else {
        return Err(Problem("expected an array of accounts".to_owned()));
    };
    store::bounded(accounts.len())?;
    let are_objects = accounts.iter().all(|account| account.members().is_some());
    if !are_objects || !(accounts.is_empty() || accounts.iter().any(|it| layout(it).is_some())) {
        let what = "expected \"instance\" and a token in each account, as Tootle names them";
        return Err(Problem(what.to_owned()));
    }
    Ok(root)
}

fn entries(root: &Node) -> Vec<Entry<Option<Spans<'_>>>> {
    match &root.kind {
        Kind::List(accounts) => accounts.iter().map(entry).collect(),
        _ => Vec::new(),
    }
}

fn entry(account: &Node) -> Entry<Option<Spans<'_>>> {
    let text = |key: &str| text_of(account, key).map(|text| text.as_str().to_owned());
    let (user, instance) = (text("username"), text("instance"));
    let label = |text: &Option<String>| shown(text.as_deref().unwrap_or("?"));
    let entry = Entry {
        label: format!("account \"{}\" of {}", label(&user), label(&instance)),
        base_url: instance.clone(),
        instance,
        user,
        app_name: Some("Tootle".to_owned()),
        redirect_uri: Some("urn:ietf:wg:oauth:2.0:oob".to_owned()),
        ..Entry::default()
    };
    let Some(layout) = layout(account) else {
        return Entry {
            skipped: Some(Skipped::unread(
                "it is not laid out as Tootle's accounts are",
            )),
            ..entry
        };
    };
    let token = text_of(account, layout.token);
    let what = || Skipped::unread(format!("expected a string for \"{}\"", layout.token));
    Entry {
        place: store::spans(account, layout.token, Some(layout.client)),
        skipped: token.is_none().then(what),
        token,
        client_id: text(layout.client.0),
        client_secret: text_of(account, layout.client.1),
        ..entry
    }
}

const LAYOUTS: [Layout; 3] = [
    Layout {
        token: "access-token",
        client: ("client-id", "client-secret"),
        mark: "username",
    },
    Layout {
        token: "token",
        client: ("id", "secret"),
        mark: "hash",
    },
    Layout {
        token: "access_token",
        client: ("id", "secret"),
        mark: "hash",
    },
];
const PROGRAM: Program = Program {
    names: &["com.github.bleakgrey.tootle"],
    flatpak: Some("com.github.bleakgrey.tootle"),
    snap: None,
    store: None,
};
const FILE: &str = "accounts.json";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        connectors::testing::{
            NEW_TOKEN, assert_changes_only_the_token, assert_survives_damage,
            assert_takes_back_its_own, copied, data, read, record, records, warnings, write,
        },
        model::{Action, Completeness, Secret},
    };

    const OLD: &str = "tuba-tootle/tootle-0.2/accounts.json";
    const NEW: &str = "tuba-tootle/tootle-1.0/accounts.json";

    /// Keys of the records with client_ids and the beginnings of tokens.
    fn told(snapshot: &Snapshot) -> Vec<(String, String, String)> {
        let records = records(snapshot).into_iter().map(|record| {
            let id = record.app.client_id.clone().unwrap();
            let token = &record.access_token.expose()[..6];
            (
                record.key().to_string(),
                id[..6].to_owned(),
                token.to_owned(),
            )
        });
        records.collect()
    }

    #[test]
    fn in_every_version_the_client_is_the_one_of_the_app() {
        let ada = ("ada@mastodon.example/Tootle", "vlwohv", "UJTFvd");
        let borges = ("b_orges@fosstodon.example/Tootle", "Tiq3dx", "BLfjwJ");
        let chiyo = ("chiyo@mstdn.example.jp/Tootle", "fjrjkW", "bLmUYN");
        let own = |(key, id, token): &(&str, &str, &str)| {
            ((*key).to_owned(), (*id).to_owned(), (*token).to_owned())
        };
        for (sample, expected) in [(OLD, vec![ada, borges]), (NEW, vec![ada, borges, chiyo])] {
            let snapshot = Tootle.read(&read(&data(sample))).unwrap();
            assert_eq!(
                told(&snapshot),
                expected.iter().map(own).collect::<Vec<_>>()
            );
            assert!(warnings(&snapshot).is_empty());
            let ada = &records(&snapshot)[0];
            let secret = ada.app.client_secret.as_ref().unwrap();
            assert!(secret.expose().starts_with("MHfCpw"));
            assert_eq!(ada.app.redirect_uris, ["urn:ietf:wg:oauth:2.0:oob"]);
            assert_eq!((&ada.scopes, ada.created_at), (&None, None));
        }
        // Of a build between the releases.
        let (_folder, path) = copied(OLD);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"token\"", "\"access_token\"")).unwrap();
        let snapshot = Tootle.read(&read(&path)).unwrap();
        assert_eq!(
            told(&snapshot),
            [ada, borges].iter().map(own).collect::<Vec<_>>()
        );
    }

    #[test]
    fn it_is_found_in_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = Surroundings {
            home: folder.path().to_owned(),
            config: folder.path().join(".config"),
            ..Surroundings::default()
        };
        let id = "com.github.bleakgrey.tootle";
        for place in [
            format!(".config/{id}"),
            format!(".var/app/{id}/config/{id}"),
        ] {
            let folder = folder.path().join(place);
            assert!(
                Tootle
                    .usual_places(&surroundings)
                    .contains(&folder.join(FILE))
            );
            fs::create_dir_all(&folder).unwrap();
            fs::copy(data(NEW), folder.join(FILE)).unwrap();
            for path in [folder.clone(), folder.parent().unwrap().to_owned()] {
                assert_eq!(
                    Tootle.read(&read(&path)).unwrap().tokens.len(),
                    3,
                    "{path:?}"
                );
            }
        }
        let flatpak = folder.path().join(".var/app").join(id);
        assert_eq!(Tootle.read(&read(&flatpak)).unwrap().tokens.len(), 3);
        let error = Tootle.read(&read(folder.path())).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
    }

    #[test]
    fn writing_changes_the_token_and_its_client_alone() {
        for (sample, count, id) in [(OLD, 2, "\"id\":\""), (NEW, 3, "\"client-id\":\"")] {
            assert_eq!(assert_takes_back_its_own(&Tootle, sample), count);
            let notes = assert_changes_only_the_token(&Tootle, sample, "b_orges@fosstodon.example");
            assert!(notes.iter().any(|note| note.starts_with("start Tootle")));
            let (_folder, path) = copied(sample);
            let mut ada = record("mastodon.example", Some("ada"), NEW_TOKEN);
            ada.app.client_id = Some("id-1".to_owned());
            ada.app.client_secret = Some(Secret::from("secret-1"));
            Tootle.plan(&write(&path), &[ada]).unwrap().apply().unwrap();
            let before = fs::read_to_string(data(sample)).unwrap();
            let after = fs::read_to_string(&path).unwrap();
            let former = format!("{id}vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo");
            let expected = before
                .replace(&former, &format!("{id}id-1"))
                .replace("MHfCpw4JpU1Gbj2jzFdJMLqt1q7L_7Ooz6iIfLuGmMc", "secret-1")
                .replace("UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U", NEW_TOKEN);
            assert_eq!(after, expected);
        }
    }

    #[test]
    fn what_is_kept_with_an_account_stays_to_the_byte() {
        let cached = format!(
            "[{}{{\"id\":900719925474099312345,\"x\":1.10,\"note\":\"\\u00e9\\/\"}}]",
            "{\"status\":{\"content\":\"token\"}},".repeat(20_000)
        );
        let (folder, path) = copied(OLD);
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replacen(
            "\"cached_notifications\":[]",
            &format!("\"cached_notifications\":{cached}"),
            1,
        );
        fs::write(&path, format!("\u{feff}{text}\r\n")).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let ada = record("mastodon.example", Some("ada"), NEW_TOKEN);
        Tootle.plan(&write(&link), &[ada]).unwrap().apply().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let after = fs::read_to_string(&path).unwrap();
        assert_eq!(after.matches(NEW_TOKEN).count(), 1);
        let back = after.replace(NEW_TOKEN, "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U");
        assert_eq!(back, format!("\u{feff}{text}\r\n"));
    }

    #[test]
    fn a_new_account_is_refused() {
        let (_folder, path) = copied(NEW);
        let zoe = record("mastodon.example", Some("zoe"), NEW_TOKEN);
        let plan = Tootle.plan(&write(&path), &[zoe]).unwrap();
        let change = &plan.plan().changes[0];
        assert_eq!(change.action, Action::Refuse);
        assert!(
            change.detail.contains("log in with it once"),
            "{}",
            change.detail
        );
    }

    #[test]
    fn damage_is_told_without_secrets() {
        assert_survives_damage(&Tootle, OLD);
        assert_survives_damage(&Tootle, NEW);
        for (text, tokens, completeness) in [
            ("[]", 0, Completeness::Complete),
            (
                r#"[{"instance":"https://m.example","token":5,"secret":"s","hash":"test"}]"#,
                0,
                Completeness::Partial,
            ),
            (
                r#"[{"instance":"https://m.example","token":"","secret":"s","hash":"test"}]"#,
                0,
                Completeness::Complete,
            ),
            (
                r#"[{"instance":"https://m.example","token":"t1","token":"t2","secret":"s","hash":"test","id":1e999},{}]"#,
                1,
                Completeness::Partial,
            ),
        ] {
            let (_folder, path) = copied(OLD);
            fs::write(&path, text).unwrap();
            let snapshot = Tootle.read(&read(&path)).unwrap();
            assert_eq!(snapshot.tokens.len(), tokens, "{text}");
            assert_eq!(snapshot.completeness, completeness, "{text}");
            assert_eq!(Tootle.fits(&read(&path)), text != "[]");
        }
        for not_ours in [
            "",
            "{}",
            "[1]",
            "[{}]",
            r#"[{"instance":"https://m.example","token":"t"}]"#,
            r#"[{"instance":"https://m.example","access_token":"t","secret":"s","id":"i"}]"#,
            r#"[{"instance":"https://m.example","access-token":"t","client-secret":"s","backend":"mastodon"}]"#,
        ] {
            let (_folder, path) = copied(OLD);
            fs::write(&path, not_ours).unwrap();
            let error = Tootle.read(&read(&path)).unwrap_err();
            assert!(
                matches!(error, Error::Malformed { .. }),
                "{not_ours}: {error}"
            );
        }
    }
}

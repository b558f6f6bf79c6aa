//! mastodon-async and the crates before it (elefren, mammut), libraries for programs in Rust: `mastodon-data.toml` and
//! `.json`.
//!
//! Evidence: elefren 0.22 and mastodon-async 1.x, `data.rs` and `helpers/{toml,json}.rs`. Five strings, which must all be
//! there: `base` (a URL), `client_id`, `client_secret`, `redirect` and `token`, which is empty where only the app was
//! registered. Other keys are ignored. No file says whose token it is. The names of the files are those of the crates'
//! examples, in the program's working directory.

use std::path::PathBuf;

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place::{self, Loaded},
        store::{self, Entry, Skipped, Spans, Taken, TextPlan, spans, text_of},
        values::shown,
    },
    document::{Format, Node, Splice},
    model::{Record, Snapshot},
};

/// The crates' files.
#[derive(Debug, Clone, Copy)]
pub struct MastodonAsync;

const NAME: &str = "mastodon-async";

impl Source for MastodonAsync {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "mastodon-async and elefren, libraries for Rust (mastodon-data.toml)"
    }

    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        FILES.map(|file| surroundings.current.join(file)).to_vec()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let (file, _, root) = load(request.path.clone())?;
        let key = place::source_key(NAME, file.path(), request);
        let mut snapshot = Snapshot::of_client(key);
        store::import(&[entry(&root)], request, &mut snapshot);
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for MastodonAsync {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let (file, format, root) = load(request.path.clone())?;
        let entry = entry(&root);
        let label = entry.label.clone();
        let plan = TextPlan {
            connector: NAME,
            format,
            root: &root,
            entries: &[entry],
            taken: Taken::Apart,
            insert: &|_, _, _| {
                Err(format!(
                    "the file is for another account ({label}) and has room for one: name another file with --path"
                ))
            },
            advice: "restart the program that reads the file",
        };
        // The address that the app of the token was registered with goes with its id and secret.
        let redirect = |splice: &mut Splice<'_>, record: &Record| {
            let is_new =
                record.app.client_id.as_deref() != root.get("client_id").and_then(Node::text);
            match root
                .get("redirect")
                .filter(|_| is_new && store::client_of(record).is_some())
            {
                Some(node) => {
                    let known = record.app.redirect_uris.first().map(String::as_str);
                    splice.set(node, known.unwrap_or(NO_REDIRECT))
                }
                None => Ok(()),
            }
        };
        Ok(plan.prepared_also(file, request, records, &redirect))
    }
}

/// The file itself, or the one in the folder.
fn load(path: PathBuf) -> Result<(Loaded, Format, Node), Error> {
    let file = place::file_in(&path, &FILES).ok_or(Error::NotFound {
        connector: NAME,
        path,
    })?;
    let file = place::load(NAME, &file, place::MAX_BYTES)?;
    let parsed = parse(file.bytes()).map_err(|problem| problem.at(file.path()));
    let (format, root) = parsed?;
    Ok((file, format, root))
}

fn parse(bytes: &[u8]) -> Result<(Format, Node), Problem> {
    let format = match Format::Json.parse(bytes) {
        Ok(_) => Format::Json,
        Err(_) if bytes.trim_ascii_start().starts_with(b"{") => Format::Json,
        Err(_) => Format::Toml,
    };
    let root = format.parse(bytes)?;
    match KEYS.iter().find(|key| root.get(key).is_none()) {
        Some(key) => Err(Problem(format!("expected \"{key}\""))),
        None => Ok((format, root)),
    }
}

fn entry(root: &Node) -> Entry<Option<Spans<'_>>> {
    let text = |key: &str| root.get(key).and_then(Node::text).map(str::to_owned);
    let no_string = &mut KEYS.iter().filter(|key| text(key).is_none());
    let base = text("base");
    Entry {
        place: spans(root, "token", Some(("client_id", "client_secret"))),
        label: format!("account of {}", shown(base.as_deref().unwrap_or_default())),
        instance: base.clone(),
        base_url: base,
        token: text_of(root, "token"),
        client_id: text("client_id"),
        client_secret: text_of(root, "client_secret"),
        redirect_uri: text("redirect").filter(|uri| !uri.is_empty()),
        skipped: no_string
            .next()
            .map(|key| Skipped::unread(format!("expected a string for \"{key}\""))),
        ..Entry::default()
    }
}

const FILES: [&str; 2] = ["mastodon-data.toml", "mastodon-data.json"];
const KEYS: [&str; 5] = ["base", "client_id", "client_secret", "redirect", "token"];

/// What the crates register without an address of the program's own.
const NO_REDIRECT: &str = "urn:ietf:wg:oauth:2.0:oob";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        connectors::testing::{
            NEW_TOKEN, assert_changes_only_the_token, assert_survives_damage,
            assert_takes_back_its_own, data, read, record, records, warnings, write,
        },
        model::{Action, Completeness, Secret},
    };

    const SAMPLES: [&str; 2] = [
        "rust-crates/mastodon-data.toml",
        "rust-crates/mastodon-data.json",
    ];

    fn placed(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.data");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn restore(text: &str, record: &Record) -> (Action, String, String) {
        let (_folder, path) = placed(text);
        let plan = MastodonAsync.plan(&write(&path), std::slice::from_ref(record));
        let mut outcome = plan.unwrap().apply().unwrap();
        let change = outcome.plan.changes.remove(0);
        (
            change.action,
            change.detail,
            fs::read_to_string(path).unwrap(),
        )
    }

    #[test]
    fn both_formats_hold_an_account_without_a_name() {
        for (sample, instance, id, redirect) in [
            (
                SAMPLES[0],
                "mastodon.example",
                "vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo",
                NO_REDIRECT,
            ),
            (
                SAMPLES[1],
                "fosstodon.example",
                "Tiq3dxfIGNMyQkhp9oN5lsrTnZSPbPa98_uA7BD6kAc",
                "http://127.0.0.1:8080/cb",
            ),
        ] {
            let snapshot = MastodonAsync.read(&read(&data(sample))).unwrap();
            let found = records(&snapshot).remove(0);
            assert_eq!(found.key().to_string(), format!("?@{instance}/{id}"));
            assert_eq!(found.app.client_id.as_deref(), Some(id));
            assert!(found.app.client_secret.is_some() && found.scopes.is_none());
            assert_eq!(found.app.redirect_uris, [redirect]);
            assert!(warnings(&snapshot).is_empty());
        }
        let snapshot = MastodonAsync.read(&read(&data("rust-crates"))).unwrap();
        assert!(snapshot.source.location.ends_with("mastodon-data.toml"));
        let request = ReadRequest {
            user: Some("ada".to_owned()),
            ..read(&data("rust-crates"))
        };
        let found = records(&MastodonAsync.read(&request).unwrap());
        assert_eq!(found[0].user.name(), Some("ada"));
    }

    #[test]
    fn an_app_without_a_token_is_told_and_takes_one() {
        let text = fs::read_to_string(data(SAMPLES[0])).unwrap();
        let text = text.replace("UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U", "");
        let (_folder, path) = placed(&text);
        let snapshot = MastodonAsync.read(&read(&path)).unwrap();
        assert!(snapshot.tokens.is_empty());
        assert!(warnings(&snapshot)[0].contains("never finished"));
        assert_eq!(snapshot.completeness, Completeness::Complete);
        let ada = record("mastodon.example", Some("ada"), NEW_TOKEN);
        let (action, _, after) = restore(&text, &ada);
        assert_eq!(action, Action::Update);
        assert_eq!(
            after,
            text.replace("token = \"\"", &format!("token = \"{NEW_TOKEN}\""))
        );
    }

    #[test]
    fn writing_changes_the_token_and_its_app_alone() {
        for (sample, account) in SAMPLES
            .into_iter()
            .zip(["?@mastodon.example", "?@fosstodon.example"])
        {
            assert_eq!(assert_takes_back_its_own(&MastodonAsync, sample), 1);
            assert_changes_only_the_token(&MastodonAsync, sample, account);
        }
        let before = fs::read_to_string(data(SAMPLES[1])).unwrap();
        let before = format!("\u{feff}{}\r\n", before.replace(',', ",\r\n  "));
        let mut new = record("fosstodon.example", Some("b_orges"), NEW_TOKEN);
        new.app.client_id = Some("id-2".to_owned());
        new.app.client_secret = Some(Secret::from("secret-2"));
        for (uris, redirect) in [
            (vec![], NO_REDIRECT),
            (vec!["my-app://done".to_owned()], "my-app://done"),
        ] {
            new.app.redirect_uris = uris;
            let (action, _, after) = restore(&before, &new);
            assert_eq!(action, Action::Update);
            let expected = before
                .replace("BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc", NEW_TOKEN)
                .replace("Tiq3dxfIGNMyQkhp9oN5lsrTnZSPbPa98_uA7BD6kAc", "id-2")
                .replace("N88p997OY3ln9BgHkXdSXY3aKG7QiCW5VSc_iUiSkdQ", "secret-2")
                .replace("http://127.0.0.1:8080/cb", redirect);
            assert_eq!(after, expected);
        }
    }

    #[test]
    fn one_file_has_room_for_one_account() {
        let text = fs::read_to_string(data(SAMPLES[0])).unwrap();
        let other = record("other.example", Some("ada"), NEW_TOKEN);
        let (action, detail, after) = restore(&text, &other);
        assert_eq!((action, after), (Action::Refuse, text));
        assert!(detail.contains("room for one"), "{detail}");
    }

    #[test]
    fn they_are_found_in_the_working_directory() {
        let surroundings = Surroundings {
            current: "/bots".into(),
            ..Surroundings::default()
        };
        let expected = ["/bots/mastodon-data.toml", "/bots/mastodon-data.json"];
        let places = MastodonAsync.usual_places(&surroundings);
        assert_eq!(places, expected.map(PathBuf::from));
        let error = MastodonAsync.read(&read(&data("toot"))).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
    }

    #[test]
    fn damage_and_what_is_not_ours_are_told_without_secrets() {
        for sample in SAMPLES {
            assert_survives_damage(&MastodonAsync, sample);
        }
        let whole = fs::read_to_string(data(SAMPLES[0])).unwrap();
        for key in KEYS {
            let (_folder, path) = placed(&whole.replace(&format!("{key} ="), "other ="));
            let error = MastodonAsync.read(&read(&path)).unwrap_err();
            assert!(
                error.to_string().contains(&format!("expected \"{key}\"")),
                "{error}"
            );
        }
        let (_folder, path) = placed(&whole.replace("token = ", "x = 1\ntoken = 5 # "));
        let snapshot = MastodonAsync.read(&read(&path)).unwrap();
        assert_eq!(snapshot.completeness, Completeness::Partial);
        let (_folder, path) = placed("base = 'x'\nbase = 'y'");
        assert!(
            MastodonAsync.read(&read(&path)).is_err(),
            "TOML forbids a key twice"
        );
    }
}

//! madonctl, a tool for the command line: `madonctl.yaml`, `.toml` or `.json`.
//!
//! Evidence: madonctl 3.0.3, `cmd/root.go` (the places; viper reads the first folder that has a file, and in it prefers
//! JSON to TOML to YAML), `cmd/madon.go`, `cmd/config.go` (the file that it generates). One account in a flat map, whose
//! keys viper matches in any case: `instance` (a host or a URL), `app_id`, `app_secret`, `token`, and perhaps `login` (a
//! name or an e-mail address) and `password`. Scopes are not stored. Environment variables (`MADONCTL_TOKEN`) come before
//! the file and are not read here.
//!
//! The generated YAML has its token without quotes: another one stands so only where YAML can't take it for something
//! else.

use std::path::{Path, PathBuf};

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place::{self, Loaded},
        store::{self, Entry, Skipped, Spans, Taken, Text, TextPlan},
        values::shown,
    },
    document::{Format, Kind, Node},
    model::{Record, Snapshot},
};

/// madonctl's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Madonctl;

const NAME: &str = "madonctl";

impl Source for Madonctl {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "madonctl, a tool for the command line"
    }

    /// The same on every system.
    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let folders = [".config/madonctl", ".madonctl"].map(|name| surroundings.home.join(name));
        let files = folders.iter().flat_map(|folder| {
            let files = FILES.iter();
            files.map(|file| folder.join(file))
        });
        files.collect()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    /// An instance and a token can be any bot's: to be recognised, there must be a key that only madonctl has.
    fn fits(&self, request: &ReadRequest) -> bool {
        let Ok((_, config)) = load(request.path.clone()) else {
            return false;
        };
        let has = |key: &&str| config.root.member_in_any_case(key).is_some();
        OWN_KEYS.iter().any(has)
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let (file, config) = load(request.path.clone())?;
        let key = place::source_key(NAME, file.path(), request);
        let mut snapshot = Snapshot::of_client(key);
        store::import(&[config.entry()], request, &mut snapshot);
        if config
            .node("password")
            .is_some_and(|node| !is_nothing(node))
        {
            snapshot.warn(
                "it holds the password of the account, which is not imported: remove it, the token is all that madonctl \
                 needs",
            );
        }
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for Madonctl {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let (file, config) = load(request.path.clone())?;
        let entry = config.entry();
        let label = entry.label.clone();
        let plan = TextPlan {
            connector: NAME,
            format: config.format,
            root: &config.root,
            entries: &[entry],
            taken: Taken::Apart,
            insert: &|_, _, _| {
                Err(format!(
                    "the file is for another account ({label}) and has room for one: name another file with --path"
                ))
            },
            advice: "nothing more is to be done: madonctl reads the file each time that it runs",
        };
        Ok(plan.prepared(file, request, records))
    }
}

/// The configuration of an account.
struct Config {
    format: Format,
    root: Node,
}

/// The file itself, or the one in the folder that madonctl would take.
fn load(path: PathBuf) -> Result<(Loaded, Config), Error> {
    let below = FILES.map(|file| format!("madonctl/{file}"));
    let names: Vec<_> = FILES
        .into_iter()
        .chain(below.iter().map(String::as_str))
        .collect();
    let file = place::file_in(&path, &names).ok_or(Error::NotFound {
        connector: NAME,
        path,
    })?;
    let file = place::load(NAME, &file, place::MAX_BYTES)?;
    let config = Config::parse(file.path(), file.bytes());
    let config = config.map_err(|problem| problem.at(file.path()))?;
    Ok((file, config))
}

impl Config {
    /// Parses what the name says it is; without one that is known, whatever it can be.
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Problem> {
        let extension = path.extension().and_then(|end| end.to_str());
        let format = match extension.unwrap_or_default() {
            "json" => Format::Json,
            "toml" => Format::Toml,
            "yaml" | "yml" => Format::Yaml,
            _ => {
                let formats = &mut [Format::Json, Format::Toml].into_iter();
                let fitting = formats.find(|format| format.parse(bytes).is_ok());
                fitting.unwrap_or(Format::Yaml)
            }
        };
        let config = Self {
            format,
            root: format.parse(bytes)?,
        };
        let has = |key| config.node(key).is_some();
        if has("instance") && (has("token") || has("app_id") || has("login")) {
            Ok(config)
        } else {
            let what = "expected \"instance\", and \"token\", \"app_id\" or \"login\"";
            Err(Problem(what.to_owned()))
        }
    }

    fn node(&self, key: &str) -> Option<&Node> {
        let member = self.root.member_in_any_case(key)?;
        Some(&member.value)
    }

    fn string(&self, key: &str) -> Option<&Node> {
        self.node(key).filter(|node| node.text().is_some())
    }

    fn text(&self, key: &str) -> Option<String> {
        self.string(key).and_then(Node::text).map(str::to_owned)
    }

    fn entry(&self) -> Entry<Option<Spans<'_>>> {
        let token = self.string("token");
        let client = self.string("app_id").zip(self.string("app_secret"));
        let instance = self.text("instance");
        // An e-mail address is not the name of a user.
        let login = self.text("login").filter(|login| !login.contains('@'));
        let server = shown(instance.as_deref().unwrap_or_default());
        let is_unread = |key| {
            self.node(key)
                .is_some_and(|node| node.text().is_none() && !is_nothing(node))
        };
        let unread = &mut ["token", "instance"].into_iter();
        let skipped = unread.find(|key| is_unread(key)).map(|key| {
            Skipped::unread(format!("expected a string for \"{key}\": put it in quotes"))
        });
        Entry {
            place: token.map(|token| Spans { token, client }),
            label: match &login {
                Some(login) if !login.is_empty() => {
                    format!("account \"{}\" of {server}", shown(login))
                }
                _ => format!("account of {server}"),
            },
            base_url: instance.clone(),
            instance,
            user: login,
            token: token
                .and_then(Node::text)
                .map(|text| Text::new(text.to_owned())),
            client_id: self.text("app_id"),
            client_secret: self.text("app_secret").map(Text::new),
            app_name: Some(NAME.to_owned()),
            redirect_uri: Some("urn:ietf:wg:oauth:2.0:oob".to_owned()),
            skipped,
            ..Entry::default()
        }
    }
}

/// Whether there is no value.
fn is_nothing(node: &Node) -> bool {
    matches!(node.kind, Kind::Null) || node.text().is_some_and(str::is_empty)
}

/// In the order in which viper looks for them.
const FILES: [&str; 4] = [
    "madonctl.json",
    "madonctl.toml",
    "madonctl.yaml",
    "madonctl.yml",
];

/// Keys that no convention has.
const OWN_KEYS: [&str; 6] = [
    "app_secret",
    "safe_mode",
    "default_visibility",
    "default_output",
    "default_theme",
    "template_directory",
];

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

    const SAMPLES: [&str; 3] = [
        "madonctl/madonctl.yaml",
        "madonctl/madonctl.toml",
        "madonctl/madonctl.json",
    ];

    fn placed(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn import(name: &str, text: &str) -> Result<Snapshot, Error> {
        let (_folder, path) = placed(name, text);
        Madonctl.read(&read(&path))
    }

    fn restore(name: &str, text: &str, record: &Record) -> (Action, String, String) {
        let (_folder, path) = placed(name, text);
        let plan = Madonctl.plan(&write(&path), std::slice::from_ref(record));
        let mut outcome = plan.unwrap().apply().unwrap();
        let change = outcome.plan.changes.remove(0);
        let after = fs::read_to_string(path).unwrap();
        (change.action, change.detail, after)
    }

    #[test]
    fn each_format_holds_an_account_without_a_name() {
        for (sample, instance, id) in [
            (
                SAMPLES[0],
                "mastodon.example",
                "vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo",
            ),
            (
                SAMPLES[1],
                "fosstodon.example",
                "Tiq3dxfIGNMyQkhp9oN5lsrTnZSPbPa98_uA7BD6kAc",
            ),
            (
                SAMPLES[2],
                "mstdn.example.jp",
                "fjrjkWupycgTVfa0NfsBGNaYi18SxM15UQxAAumlS98",
            ),
        ] {
            let snapshot = Madonctl.read(&read(&data(sample))).unwrap();
            let found = records(&snapshot).remove(0);
            assert_eq!(found.key().to_string(), format!("?@{instance}/madonctl"));
            assert_eq!(found.app.client_id.as_deref(), Some(id));
            assert!(found.app.client_secret.is_some() && found.scopes.is_none());
            assert!(warnings(&snapshot).is_empty());
        }
        // Of several in a folder, the one that madonctl reads.
        let snapshot = Madonctl.read(&read(&data("madonctl"))).unwrap();
        assert!(snapshot.source.location.ends_with("madonctl.json"));
    }

    #[test]
    fn a_login_may_name_the_user_and_a_password_is_told_and_left_out() {
        for (login, user) in [
            ("ada", "ada"),
            ("ada@mail.example", "?"),
            ("''", "?"),
            ("", "?"),
        ] {
            let text = format!(
                "Instance: m.example\nTOKEN: secret-1\nlogin: {login}\npassword: hunter2\n"
            );
            let snapshot = import("my.conf", &text).unwrap();
            let key = records(&snapshot)[0].key().to_string();
            assert_eq!(key, format!("{user}@m.example/madonctl"), "{login}");
            let told = warnings(&snapshot);
            assert!(told.len() == 1 && told[0].contains("password"), "{told:?}");
            assert!(!told[0].contains("hunter2"));
        }
        let snapshot = import("my.conf", "instance: m.example\ntoken: t\npassword: ''\n");
        assert!(warnings(&snapshot.unwrap()).is_empty());
    }

    #[test]
    fn writing_changes_the_token_and_its_client_alone() {
        for (sample, account) in SAMPLES.into_iter().zip([
            "?@mastodon.example",
            "?@fosstodon.example",
            "?@mstdn.example.jp",
        ]) {
            assert_eq!(assert_takes_back_its_own(&Madonctl, sample), 1);
            assert_changes_only_the_token(&Madonctl, sample, account);
        }
        let before = fs::read_to_string(data(SAMPLES[0])).unwrap();
        let before = format!("\u{feff}{}", before.replace('\n', "\r\n"));
        let mut ada = record("mastodon.example", Some("ada"), NEW_TOKEN);
        ada.app.client_id = Some("id-2".to_owned());
        ada.app.client_secret = Some(Secret::from("secret-2"));
        let (action, _, after) = restore("x.yml", &before, &ada);
        assert_eq!(action, Action::Update);
        let expected = before
            .replace("UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U", NEW_TOKEN)
            .replace("vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo", "id-2")
            .replace("MHfCpw4JpU1Gbj2jzFdJMLqt1q7L_7Ooz6iIfLuGmMc", "secret-2");
        assert_eq!(after, expected);
    }

    #[test]
    fn a_token_that_yaml_could_take_for_something_else_gets_quotes() {
        let before = "instance: m.example\ntoken: old # mine\n";
        for token in ["-dash", "1e5", "null", "12345", "0x10", "a:b", "yes"] {
            let expected = before.replace("old", &format!("\"{token}\""));
            let record = record("m.example", None, token);
            let (action, detail, after) = restore("x.yaml", before, &record);
            assert_eq!(
                (action, after.as_str()),
                (Action::Update, expected.as_str()),
                "{detail}"
            );
        }
        // As the generator wrote it.
        let found = import("x.yaml", "instance: m.example\ntoken: -dash\n").unwrap();
        assert_eq!(records(&found)[0].access_token.expose(), "-dash");
    }

    #[test]
    fn one_file_has_room_for_one_account() {
        let text = "instance: m.example\nlogin: ada\ntoken: t\n";
        for (text, record, why) in [
            (
                text,
                record("m.example", Some("bob"), "new"),
                "another account (account \"ada\"",
            ),
            (
                text,
                record("other.example", Some("ada"), "new"),
                "has room for one",
            ),
            (
                "instance: m.example\napp_id: id\n#token: ''\n",
                record("m.example", Some("ada"), "new"),
                "no token to replace",
            ),
            (
                "instance: m.example\ntoken: 5\n",
                record("m.example", None, "new"),
                "expected a string",
            ),
        ] {
            let (action, detail, after) = restore("x.yaml", text, &record);
            assert_eq!((action, after.as_str()), (Action::Refuse, text));
            assert!(detail.contains(why), "{detail}");
        }
    }

    #[test]
    fn an_app_without_a_token_is_told() {
        let snapshot =
            import("x.yaml", "instance: m.example\napp_id: id\napp_secret: s\n").unwrap();
        assert!(snapshot.tokens.is_empty());
        assert!(warnings(&snapshot)[0].contains("never finished"));
        assert_eq!(snapshot.completeness, Completeness::Complete);
        let snapshot = import("x.yaml", "instance: m.example\ntoken: 0123\n").unwrap();
        assert_eq!(snapshot.completeness, Completeness::Partial);
        let snapshot = import("x.yaml", "instance: m.example\ntoken: ${TOKEN}\n").unwrap();
        assert!(warnings(&snapshot)[0].contains("never followed"));
    }

    #[test]
    fn it_is_found_below_the_home_folder_of_every_system() {
        let surroundings = Surroundings {
            home: "/home/ada".into(),
            config: "/elsewhere".into(),
            ..Surroundings::default()
        };
        let places = Madonctl.usual_places(&surroundings);
        assert!(places.contains(&"/home/ada/.config/madonctl/madonctl.yaml".into()));
        assert!(places.contains(&"/home/ada/.madonctl/madonctl.toml".into()));
        assert_eq!(places.len(), 8);
        let (folder, path) = placed("madonctl.yml", "instance: m.example\ntoken: t\n");
        let inside = folder.path().join("madonctl");
        fs::create_dir(&inside).unwrap();
        fs::rename(path, inside.join("madonctl.yml")).unwrap();
        for path in [folder.path(), &inside] {
            assert_eq!(Madonctl.read(&read(path)).unwrap().tokens.len(), 1);
        }
        let error = Madonctl.read(&read(&data("toot"))).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
    }

    #[test]
    fn damage_and_what_is_not_ours_are_told_without_secrets() {
        for sample in SAMPLES {
            assert_survives_damage(&Madonctl, sample);
        }
        for not_ours in [
            "",
            "[]",
            "- a",
            "instance: m.example",
            "token: t",
            "a: b: c",
        ] {
            let error = import("x.yaml", not_ours).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{not_ours}");
        }
        let (_folder, path) = placed("x.yaml", "instance: m.example\ntoken: t\n");
        assert!(!Madonctl.fits(&read(&path)), "it can be any bot's");
    }
}

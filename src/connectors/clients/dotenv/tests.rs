use std::fs;

use proptest::prelude::*;

use super::*;
use crate::{
    connectors::testing::{data, read, record, records, warnings, write},
    document::env::{self, Quoting},
    model::{Action, PlannedChange},
};

const SAMPLES: [&str; 2] = [".env", "multi.env"];

fn sample(name: &str) -> String {
    fs::read_to_string(data("dotenv").join(name)).unwrap()
}

fn place_text(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn import_text(text: impl AsRef<[u8]>) -> Result<Snapshot, Error> {
    let (_folder, path) = place_text(text);
    Dotenv.read(&read(&path))
}

fn keys(snapshot: &Snapshot) -> Vec<String> {
    let records = records(snapshot);
    let keys = records.iter().map(|record| record.key().to_string());
    keys.collect()
}

/// Restores into a copy of this text; gives the changes, the notes and the file after.
fn restore(text: &str, records: &[Record]) -> (Vec<PlannedChange>, Vec<String>, String) {
    let (_folder, path) = place_text(text);
    let prepared = Dotenv.plan(&write(&path), records).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        text,
        "a plan writes nothing"
    );
    let plan = prepared.apply().unwrap().plan;
    let after = fs::read_to_string(&path).unwrap();
    (plan.changes, plan.notes, after)
}

fn actions(changes: &[PlannedChange]) -> Vec<Action> {
    changes.iter().map(|change| change.action).collect()
}

/// What the one record makes of the text.
fn restored(text: &str, record: &Record) -> (Action, String) {
    let (changes, _, after) = restore(text, std::slice::from_ref(record));
    (changes[0].action, after)
}

#[test]
fn one_account_comes_with_its_app() {
    let snapshot = Dotenv.read(&read(&data("dotenv"))).unwrap();
    assert_eq!(warnings(&snapshot), Vec::<&str>::new());
    assert_eq!(snapshot.completeness, Completeness::Complete);
    assert!(snapshot.source.location.ends_with("dotenv/.env"));
    let found = records(&snapshot);
    assert_eq!(found.len(), 1);
    let token = "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";
    assert_eq!(found[0].access_token.expose(), token);
    let app = &found[0].app;
    assert_eq!(app.base_url.as_deref(), Some("https://mastodon.example"));
    let id = "vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo";
    assert_eq!(app.client_id.as_deref(), Some(id));
    let secret = "MHfCpw4JpU1Gbj2jzFdJMLqt1q7L_7Ooz6iIfLuGmMc";
    assert_eq!(app.client_secret, Some(secret.into()));
}

#[test]
fn accounts_are_grouped_by_what_precedes_mastodon() {
    let snapshot = Dotenv.read(&read(&data("dotenv/multi.env"))).unwrap();
    assert_eq!(warnings(&snapshot), Vec::<&str>::new());
    assert_eq!(
        keys(&snapshot),
        ["?@fosstodon.example", "?@mstdn.example.jp"]
    );
}

#[test]
fn every_usual_name_is_known() {
    for token in [
        "MASTODON_ACCESS_TOKEN",
        "MASTODON_TOKEN",
        "mastodon_access_token",
    ] {
        for instance in [
            "MASTODON_API_BASE_URL=https://m.example/",
            "MASTODON_BASE_URL=https://m.example/api/v1/statuses",
            "MASTODON_INSTANCE=M.example",
            "MASTODON_INSTANCE_URL=\"https://m.example\"",
            "MASTODON_SERVER=m.example",
            "MASTODON_HOST=m.example",
            "MASTODON_URL=https://m.example",
        ] {
            for (id, secret) in [
                ("MASTODON_CLIENT_ID", "MASTODON_CLIENT_SECRET"),
                ("MASTODON_CLIENT_KEY", "MASTODON_CLIENT_SECRET"),
            ] {
                let text = format!("{id}=i\n{secret}=s\n{instance}\nexport {token}=t\n");
                let snapshot = import_text(&text).unwrap();
                assert_eq!(warnings(&snapshot), Vec::<&str>::new(), "{text}");
                assert_eq!(keys(&snapshot), ["?@m.example/i"], "{text}");
                let base_url = instance.contains("URL").then_some("https://m.example");
                let app = &snapshot.apps[0].body;
                assert_eq!(app.base_url.as_deref(), base_url, "{text}");
                assert_eq!(app.client_secret, Some("s".into()));
            }
        }
    }
}

#[test]
fn user_scopes_and_split_domains_are_taken_where_the_file_says_them() {
    let text = "MASTODON_API_BASE_URL=https://social.m.example\nMASTODON_INSTANCE=m.example\n\
                MASTODON_TOKEN=t\nMASTODON_SCOPES='read write:statuses'\nMASTODON_USER=";
    for (user, name) in [
        ("@ada@m.example", "ada"),
        ("ada", "ada"),
        ("ada@mail.example", "?"),
        ("$USER", "?"),
        ("your_user_id", "?"),
    ] {
        let found = records(&import_text(format!("{text}{user}")).unwrap());
        assert_eq!(found[0].key().to_string(), format!("{name}@m.example"));
        let base_url = found[0].app.base_url.as_deref();
        assert_eq!(base_url, Some("https://social.m.example"));
        let scopes = found[0].scopes.as_ref().unwrap();
        assert_eq!(scopes.as_str(), "read write:statuses");
    }
}

#[test]
fn the_person_fills_in_what_the_file_does_not_say() {
    let fill = |text: &str| {
        let (_folder, path) = place_text(text);
        let request = ReadRequest {
            instance: Some(Domain::parse("m.example").unwrap()),
            user: Some("ada".into()),
            ..read(&path)
        };
        Dotenv.read(&request).unwrap()
    };
    assert_eq!(keys(&fill("MASTODON_TOKEN=t")), ["ada@m.example"]);
    let said = "MASTODON_TOKEN=t\nMASTODON_SERVER=o.example\nMASTODON_USERNAME=bob";
    assert_eq!(keys(&fill(said)), ["bob@o.example"]);
    let two = fill("A_MASTODON_TOKEN=t\nB_MASTODON_TOKEN=u\nB_MASTODON_HOST=o.example");
    assert_eq!(keys(&two), ["?@m.example", "?@o.example"]);
    assert!(warnings(&two)[0].contains("several accounts"));
    let unknown = import_text("MASTODON_TOKEN=SECRET0").unwrap();
    assert_eq!(unknown.completeness, Completeness::Partial);
    assert!(warnings(&unknown)[0].contains("unknown instance"));
}

#[test]
fn of_several_values_one_counts_and_the_others_are_told() {
    for (text, token, told) in [
        (
            "MASTODON_TOKEN=SECRET1\nMASTODON_TOKEN=SECRET2",
            "SECRET2",
            "line 1, MASTODON_TOKEN: it stands there again, and the last one is used, as in a shell",
        ),
        (
            "MASTODON_ACCESS_TOKEN=SECRET1\nMASTODON_TOKEN=SECRET2",
            "SECRET1",
            "line 2, MASTODON_TOKEN: MASTODON_ACCESS_TOKEN is used instead",
        ),
        (
            "MASTODON_TOKEN=SECRET1\nMASTODON_ACCESS_TOKEN_ADA=SECRET2",
            "SECRET1",
            "line 2, MASTODON_ACCESS_TOKEN_ADA: it is none of the names that are read",
        ),
    ] {
        let snapshot = import_text(format!("{text}\nMASTODON_URL=https://m.example")).unwrap();
        assert_eq!(records(&snapshot)[0].access_token.expose(), token);
        assert_eq!(warnings(&snapshot), [told]);
    }
}

#[test]
fn what_is_no_token_is_told_and_not_imported() {
    for value in [
        "",
        "$TOKEN",
        "x${TOKEN}",
        "\"$(pass show SECRET0)\"",
        "`id`",
        "'${TOKEN}'",
        "changeme",
        "<token>",
        "SECRET0 x",
        "\"SECRET0\\nx\"",
        "SECRET0\u{7}",
        "SECRET0\0",
    ] {
        let text = format!(
            "MASTODON_HOST=m.example\nMASTODON_TOKEN={value}\nB_MASTODON_TOKEN=t\nB_MASTODON_URL=https://b.example"
        );
        let snapshot = import_text(&text).unwrap();
        assert_eq!(keys(&snapshot), ["?@b.example"], "{value}");
        let told = warnings(&snapshot).join("\n");
        assert!(
            told.starts_with("line 2, MASTODON_TOKEN: the token can't be used"),
            "{told}"
        );
        assert!(!told.contains("SECRET0"), "{told}");
    }
    let text = "MASTODON_TOKEN=t\nMASTODON_HOST=${HOST}\nMASTODON_CLIENT_ID=\nMASTODON_CLIENT_SECRET=$SECRET0";
    assert!(import_text(text).unwrap().tokens.is_empty());
    let text = text.replace("${HOST}", "m.example");
    let snapshot = import_text(text).unwrap();
    let why = "line 4, MASTODON_CLIENT_SECRET: not imported: it names something outside of the file, which is never \
               followed";
    assert_eq!(warnings(&snapshot), [why]);
    assert_eq!(keys(&snapshot), ["?@m.example"]);
}

#[test]
fn a_line_that_could_hold_a_token_makes_the_run_partial() {
    let text = "MASTODON_TOKEN=t\nMASTODON_HOST=m.example\nsome words\n";
    let snapshot = import_text(text).unwrap();
    assert_eq!(snapshot.completeness, Completeness::Complete);
    assert!(snapshot.warnings.is_empty());
    let snapshot = import_text(format!("{text}b_mastodon_token='SECRET0")).unwrap();
    assert_eq!(snapshot.completeness, Completeness::Partial);
    assert_eq!(warnings(&snapshot), ["line 4: a quote is not closed"]);
    assert_eq!(snapshot.tokens.len(), 1);
}

#[test]
fn the_settings_of_a_server_are_recognised_and_refused() {
    let path = data("dotenv/server.env.production");
    assert!(Dotenv.fits(&read(&path)));
    let error = Dotenv.read(&read(&path)).unwrap_err().to_string();
    assert!(error.contains("settings of a Mastodon server"), "{error}");
    for secret in ["7c3f0e5a", "0f1e2d3c", "Zm9vYmFy"] {
        assert!(!error.contains(secret));
    }
    let record = record("mastodon.example", Some("ada"), "t");
    assert!(Dotenv.plan(&write(&path), &[record]).is_err());
    let error = import_text("OTP_SECRET=x\nSECRET_KEY_BASE=y\n").unwrap_err();
    assert!(
        matches!(error, Error::Malformed { .. }),
        "two names are enough"
    );
    // A bot of its own beside them is one.
    let text = format!(
        "{}MASTODON_TOKEN=t\nMASTODON_URL=https://m.example",
        sample("server.env.production")
    );
    assert_eq!(keys(&import_text(text).unwrap()), ["?@m.example"]);
}

#[test]
fn other_settings_are_not_ours() {
    for text in [
        "",
        "# MASTODON\n",
        "OPENAI_API_KEY=x\nACCESS_TOKEN=y\n",
        "SECRET_KEY_BASE=x\n",
        "{}",
    ] {
        let error = import_text(text).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{text}");
        let (_folder, path) = place_text(text);
        assert!(!Dotenv.fits(&read(&path)), "{text}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        Dotenv.read(&read(empty.path())),
        Err(Error::NotFound { .. })
    ));
    assert!(Dotenv.fits(&read(&data("dotenv"))));
    assert!(!Dotenv.fits(&read(&data("toot/config.json"))));
}

#[test]
fn a_pipe_is_read_like_a_file() {
    let snapshot = Dotenv.read_bytes(&read(Path::new("-")), sample(".env").as_bytes());
    assert_eq!(snapshot.unwrap().tokens.len(), 1);
}

#[test]
fn hostile_files_are_errors_or_warnings_without_secrets() {
    assert!(import_text(b"MASTODON_TOKEN=\xff").is_err());
    assert!(import_text("MASTODON_TOKEN=t\n".repeat(1 << 17)).is_err());
    let nonsense = import_text("MASTODON x\n".repeat(1 << 12)).unwrap();
    assert_eq!(nonsense.warnings.len(), MAX_TOLD);
    for name in SAMPLES {
        let text = sample(name);
        let secrets: Vec<_> = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
            .filter(|word| word.len() == 43)
            .collect();
        assert!(secrets.len() >= 2);
        for end in 0..text.len() {
            for rest in ["", "\"", "'", "\0", "\r", "\n\u{1b}[2J"] {
                let told = match import_text(format!("{}{rest}", &text[..end])) {
                    Ok(snapshot) => warnings(&snapshot).join("\n"),
                    Err(error) => error.to_string(),
                };
                assert!(
                    !secrets.iter().any(|secret| told.contains(secret)),
                    "{told}"
                );
                assert!(!told.contains('\u{1b}'), "{told}");
            }
        }
    }
}

#[test]
fn restoring_what_is_there_changes_no_byte() {
    for name in SAMPLES {
        for text in variants(&sample(name)) {
            let records = records(&import_text(&text).unwrap());
            let (changes, notes, after) = restore(&text, &records);
            assert_eq!(actions(&changes), vec![Action::Unchanged; records.len()]);
            assert_eq!((notes.len(), after), (0, text));
        }
    }
}

#[test]
fn restoring_one_token_changes_exactly_its_span() {
    for name in SAMPLES {
        for text in variants(&sample(name)) {
            for mut record in records(&import_text(&text).unwrap()) {
                let old = record.access_token.expose().to_owned();
                record.access_token = "new-one".into();
                let expected = text.replace(&old, "new-one");
                assert_eq!(restored(&text, &record), (Action::Update, expected));
            }
        }
    }
}

/// The same with other line ends, without the last one, and with a byte order mark.
fn variants(text: &str) -> [String; 4] {
    [
        text.to_owned(),
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("\u{feff}{text}"),
    ]
}

#[test]
fn a_value_is_quoted_as_it_was_or_as_it_needs() {
    let mut new = record("m.example", None, "a$b#c");
    new.app.client_id = Some("it's".into());
    new.app.client_secret = Some("plain".into());
    let text = "MASTODON_URL=https://m.example/ # kept\nMASTODON_TOKEN=  # none yet\n\
                MASTODON_CLIENT_ID='i'\nMASTODON_CLIENT_SECRET=\"s\" # kept\n";
    let expected = "MASTODON_URL=https://m.example/ # kept\nMASTODON_TOKEN='a$b#c'  # none yet\n\
                    MASTODON_CLIENT_ID=\"it's\"\nMASTODON_CLIENT_SECRET=\"plain\" # kept\n";
    assert_eq!(restored(text, &new), (Action::Update, expected.to_owned()));
    let after = records(&import_text(expected).unwrap());
    assert_eq!(after[0].access_token, new.access_token);
}

#[test]
fn the_client_goes_with_its_token_where_the_file_has_one() {
    let mut new = record("m.example", None, "new");
    let text = "MASTODON_URL=https://m.example\r\nexport MASTODON_TOKEN='t' # x\r\nMASTODON_CLIENT_KEY=i\r\n";
    let (changes, notes, after) = restore(text, std::slice::from_ref(&new));
    assert_eq!(actions(&changes), [Action::Update]);
    assert!(notes[0].contains("stay"), "{notes:?}");
    assert_eq!(after, text.replace("'t'", "'new'"));
    new.app.client_id = Some("i2".into());
    new.app.client_secret = Some("s2".into());
    let expected = "MASTODON_URL=https://m.example\r\nexport MASTODON_TOKEN='new' # x\r\n\
                    export MASTODON_CLIENT_SECRET='s2'\r\nMASTODON_CLIENT_KEY=i2\r\n";
    assert_eq!(restored(text, &new).1, expected);
    // A file that has no client gets none.
    let text = "b_mastodon_token=t\nb_mastodon_url=https://m.example";
    assert_eq!(restored(text, &new).1, text.replace("=t", "=new"));
    let text = "b_mastodon_url=https://m.example\nb_mastodon_client_secret=s\nb_mastodon_token=t";
    let expected = "b_mastodon_url=https://m.example\nb_mastodon_client_secret=s2\nb_mastodon_token=new\n\
                    b_mastodon_client_id=i2";
    assert_eq!(restored(text, &new).1, expected);
}

#[test]
fn every_assignment_that_says_the_same_gets_the_new_value() {
    let text = "MASTODON_TOKEN=old\nMASTODON_TOKEN='t'\nMASTODON_ACCESS_TOKEN=t\nMASTODON_HOST=m.example\n";
    let new = record("m.example", None, "new");
    let (_, notes, after) = restore(text, &[new]);
    let expected = "MASTODON_TOKEN=old\nMASTODON_TOKEN='new'\nMASTODON_ACCESS_TOKEN=new\nMASTODON_HOST=m.example\n";
    assert_eq!(after, expected);
    assert_eq!(
        notes[0],
        "line 1, MASTODON_TOKEN: it says something else and stays"
    );
}

#[test]
fn the_group_of_the_instance_and_user_is_chosen() {
    let two = |one: &str, other: &str| {
        format!(
            "{one}_MASTODON_TOKEN=t\n{one}_MASTODON_URL=https://m.example\n\
             {other}_MASTODON_TOKEN=u\n{other}_MASTODON_URL=https://m.example\n"
        )
    };
    let ada = record("m.example", Some("ada.l"), "new");
    for (one, other) in [
        ("ADA_L", "BOB"),
        ("ADA_L_M_EXAMPLE", "BOB_M_EXAMPLE"),
        ("ADA_L_M_EXAMPLE_2", "BOB_M_EXAMPLE"),
        ("NEWS", "BOB_M_EXAMPLE"),
        ("ada_l", "NEWS"),
    ] {
        let text = two(one, other);
        let expected = text.replace("=t", "=new");
        assert_eq!(restored(&text, &ada), (Action::Update, expected), "{one}");
        let text = two(other, one);
        let expected = text.replace("=u", "=new");
        assert_eq!(restored(&text, &ada), (Action::Update, expected), "{one}");
    }
    let text = two("NEWS", "CAT");
    let (changes, _, after) = restore(&text, std::slice::from_ref(&ada));
    let why = "several could be for ada.l@m.example: NEWS_MASTODON_TOKEN, CAT_MASTODON_TOKEN";
    assert_eq!(
        (changes[0].action, changes[0].detail.as_str()),
        (Action::Refuse, why)
    );
    assert_eq!(after, text);
    let there = record("m.example", Some("ada.l"), "u");
    assert_eq!(restored(&text, &there).0, Action::Unchanged);
    let text = format!("{text}CAT_MASTODON_USER=@ada.l@m.example\n");
    assert_eq!(restored(&text, &ada).1, text.replace("=u", "=new"));
    // Split domains: the address of the API is the same.
    let mut split = record("handles.example", None, "new");
    split.app.base_url = Some("https://m.example/".into());
    let text = "MASTODON_URL=https://m.example\nMASTODON_TOKEN=t";
    assert_eq!(restored(text, &split).0, Action::Update);
}

#[test]
fn what_does_not_belong_there_is_refused() {
    let text = "MASTODON_TOKEN=t\nMASTODON_URL=https://m.example\nBOB_O_EXAMPLE_MASTODON_TOKEN=u\n\
                BOB_O_EXAMPLE_MASTODON_URL=https://o.example\nC_MASTODON_TOKEN=$C\nC_MASTODON_HOST=c.example\n\
                D_MASTODON_HOST=d.example";
    for (record, why) in [
        (
            record("nowhere.example", None, "SECRET0"),
            "the file has no token of nowhere.example",
        ),
        (
            record("d.example", None, "SECRET0"),
            "the file has no token of d.example",
        ),
        (
            record("o.example", Some("ada"), "SECRET0"),
            "the tokens of o.example in the file are of other users",
        ),
        (
            record("c.example", None, "SECRET0"),
            "C_MASTODON_TOKEN takes its value from outside of the file: change it there",
        ),
        (
            record("m.example", None, "SECRET0${HOME}"),
            "the token holds characters that no two loaders read the same",
        ),
        (
            record("m.example", None, "SECRET0\n"),
            "the token holds characters that no two loaders read the same",
        ),
    ] {
        let (changes, _, after) = restore(text, std::slice::from_ref(&record));
        assert_eq!(
            (changes[0].action, changes[0].detail.as_str()),
            (Action::Refuse, why)
        );
        assert_eq!(after, text);
    }
    let twice = ["a", "b"].map(|token| record("m.example", None, token));
    let (changes, _, after) = restore(text, &twice);
    assert_eq!(actions(&changes), [Action::Update, Action::Refuse]);
    assert_eq!(after, text.replacen("=t", "=a", 1));
}

#[test]
fn a_file_with_an_open_quote_is_left_alone() {
    let text = "A=\"x\nMASTODON_TOKEN=t\nMASTODON_HOST=m.example\nB=\"y\"";
    let (changes, _, after) = restore(text, &[record("m.example", None, "new")]);
    let why = "line 1: a quote is not closed: mend it first";
    assert_eq!(
        (changes[0].action, changes[0].detail.as_str()),
        (Action::Refuse, why)
    );
    assert_eq!(after, text);
}

#[test]
fn a_lone_token_without_an_instance_can_be_replaced() {
    let new = record("m.example", None, "new");
    let (changes, notes, after) = restore("MASTODON_TOKEN=t", &[new]);
    assert_eq!(
        (actions(&changes), after.as_str()),
        (vec![Action::Update], "MASTODON_TOKEN=new")
    );
    assert_eq!(notes[0], "the file doesn't say which instance it is for");
}

#[test]
fn what_the_export_writes_is_read_and_restored() {
    let records = ["alice", "bob", "alice"].map(|user| {
        let mut record = record("m.example", Some(user), "");
        record.app.client_id = Some(format!("id-{user}"));
        record.app.client_secret = Some("s'\"\\#".into());
        record
    });
    let mut records = records.to_vec();
    for (number, record) in records.iter_mut().enumerate() {
        record.access_token = format!("t'{number}#").as_str().into();
    }
    let text = export(&records);
    assert!(text.left_out.is_empty());
    let found = self::records(&import_text(text.text.as_str()).unwrap());
    for (found, record) in found.iter().zip(&records) {
        assert_eq!(found.access_token, record.access_token);
        assert_eq!(found.app.client_secret, record.app.client_secret);
    }
    let (changes, _, after) = restore(&text.text, &records);
    assert_eq!(actions(&changes), [Action::Unchanged; 3]);
    assert_eq!(after, text.text.as_str());
    records[1].access_token = "new".into();
    let (_, _, after) = restore(&text.text, &records[1..2]);
    assert_eq!(after, text.text.replace("\"t'1#\"", "\"new\""));
}

proptest! {
    #[test]
    fn any_visible_token_goes_into_any_sample_and_comes_back(
        token in "[!-_a-~]{1,40}",
        sample_number in 0..SAMPLES.len(),
        variant in 0..4_usize,
    ) {
        prop_assume!(!values::is_reference(&token));
        prop_assume!(env::literal(&token, Quoting::Bare).is_some());
        let text = &variants(&sample(SAMPLES[sample_number]))[variant];
        let mut all = records(&import_text(text).unwrap());
        let old = all[0].access_token.expose().to_owned();
        all[0].access_token = token.as_str().into();
        let (action, after) = restored(text, &all[0]);
        prop_assert_eq!(action, Action::Update);
        let (before_token, after_token) = text.split_once(&old).unwrap();
        let quote = |c: char| matches!(c, '\'' | '"');
        prop_assert!(after.starts_with(before_token.trim_end_matches(quote)));
        prop_assert!(after.ends_with(after_token.trim_start_matches(quote)));
        let env = Env::parse(after.as_bytes()).unwrap();
        let groups = Group::all(&env);
        let line = groups[0].used(Field::Token).unwrap();
        prop_assert_eq!(line.value.as_str(), token);
        prop_assert!(!line.is_reference);
    }
}

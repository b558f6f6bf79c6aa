use std::{fs, io::Write as _, process};

use super::*;
use crate::{
    connectors::testing::{
        NEW_TOKEN, assert_changes_only_the_token, assert_survives_damage,
        assert_takes_back_its_own, copied, data, read, record, records, warnings, write,
    },
    model::Action,
};

const SAMPLE: &str = "tuba-tootle/tuba-secrets.json";
const TOKEN_OF_ADA: &str = "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";

/// The secrets of the sample, each on one line, as the keyring holds them.
fn lines() -> Vec<String> {
    let text = fs::read_to_string(data(SAMPLE)).unwrap();
    let array: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    array.iter().map(ToString::to_string).collect()
}

/// What the keyring's tool prints of an item.
fn item(secret: Option<&str>, schema: &str) -> String {
    let secret = secret.map_or(String::new(), |text| format!("secret = {text}\n"));
    format!(
        "[/12]\nlabel = Mastodon Account\n{secret}created = 2026-01-02 03:04:05\nmodified = 2026-01-02 03:04:05\n\
         schema = {schema}\n"
    )
}

fn keys(snapshot: &Snapshot) -> Vec<String> {
    let records = records(snapshot).into_iter();
    records.map(|record| record.key().to_string()).collect()
}

fn piped(text: &str) -> Result<Snapshot, Error> {
    Tuba.read_bytes(&read(Path::new("-")), text.as_bytes())
}

#[test]
fn saved_secrets_are_read() {
    let snapshot = Tuba.read(&read(&data(SAMPLE))).unwrap();
    assert_eq!(
        keys(&snapshot),
        [
            "ada@mastodon.example/Tuba",
            "b_orges@fosstodon.example/Tuba"
        ]
    );
    assert!(warnings(&snapshot).is_empty());
    let ada = &records(&snapshot)[0];
    assert_eq!(ada.access_token.expose(), TOKEN_OF_ADA);
    assert!(ada.app.client_id.as_deref().unwrap().starts_with("vlwohv"));
    assert!(
        ada.app
            .client_secret
            .as_ref()
            .unwrap()
            .expose()
            .starts_with("MHfCpw")
    );
    assert!(ada.app.redirect_uris.is_empty(), "one of two: not known");
    assert_eq!(ada.scopes, None);
    // One alone.
    let (_folder, path) = copied(SAMPLE);
    fs::write(&path, &lines()[1]).unwrap();
    let snapshot = Tuba.read(&read(&path)).unwrap();
    assert_eq!(keys(&snapshot), ["b_orges@fosstodon.example/Tuba"]);
}

#[test]
fn what_the_tool_of_the_keyring_prints_is_read_from_a_file_and_from_a_pipe() {
    let secrets = lines();
    let text = [
        item(Some(&secrets[0]), "dev.geopjr.Tuba"),
        // Other programs have a version, too.
        item(
            Some("hunter2\nsecret = {\"a\": 1}\nschema = x"),
            "org.gnome.Other",
        ),
        item(Some("{\"access-token\":\"foreign\"}"), "org.gnome.Other"),
        item(Some(&secrets[1]), "com.github.bleakgrey.tootle"),
        "attribute.version = 1\nattribute.login = @b_orges@fosstodon.example\n".to_owned(),
    ]
    .concat();
    let expected = [
        "ada@mastodon.example/Tuba",
        "b_orges@fosstodon.example/Tootle",
    ];
    let (_folder, path) = copied(SAMPLE);
    for text in [text.clone(), text.replace('\n', "\r\n")] {
        fs::write(&path, &text).unwrap();
        for snapshot in [Tuba.read(&read(&path)).unwrap(), piped(&text).unwrap()] {
            assert_eq!(keys(&snapshot), expected);
            assert_eq!(snapshot.completeness, Completeness::Complete);
            assert_eq!(
                warnings(&snapshot),
                ["2 items of other programs were left alone"]
            );
        }
    }
    assert_eq!(piped(&text).unwrap().source.location, "-");
    // A secret alone would end the others.
    for text in [&secrets[0], "", "hello"] {
        let error = piped(text).unwrap_err();
        assert!(error.to_string().contains("secret-tool search"), "{error}");
    }
    let other = item(Some("hunter2"), "org.gnome.Other");
    assert!(matches!(piped(&other), Err(Error::Malformed { .. })));
}

#[test]
fn an_item_without_its_secret_ends_nothing() {
    let secrets = lines();
    for locked in [
        item(None, "dev.geopjr.Tuba"),
        item(None, "org.gnome.Other"),
        item(Some("{"), "dev.geopjr.Tuba"),
    ] {
        let text = item(Some(&secrets[0]), "dev.geopjr.Tuba") + &locked;
        let snapshot = piped(&text).unwrap();
        assert_eq!(snapshot.completeness, Completeness::Partial);
        assert!(warnings(&snapshot)[0].starts_with("item 2: "));
    }
}

#[test]
fn its_own_folder_says_how_to_get_at_the_keyring() {
    let folder = tempfile::tempdir().unwrap();
    let surroundings = Surroundings {
        home: folder.path().to_owned(),
        ..Surroundings::default()
    };
    let [place]: [PathBuf; 1] = Tuba.usual_places(&surroundings).try_into().unwrap();
    assert!(matches!(
        Tuba.read(&read(&place)),
        Err(Error::NotFound { .. })
    ));
    fs::create_dir_all(&place).unwrap();
    let snapshot = Tuba.read(&read(&place)).unwrap();
    assert!(snapshot.tokens.is_empty());
    assert!(warnings(&snapshot)[0].contains("version 1 | tuskvault import tuba -"));
    let error = Tuba.plan(&write(&place), &[]).err().unwrap();
    assert!(error.to_string().contains("secret-tool lookup"), "{error}");
    assert!(matches!(
        Tuba.read(&read(folder.path())),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn writing_changes_the_token_and_tells_the_command_that_stores_it() {
    assert_eq!(assert_takes_back_its_own(&Tuba, SAMPLE), 2);
    let notes = assert_changes_only_the_token(&Tuba, SAMPLE, "b_orges@fosstodon.example");
    let note = notes.last().unwrap();
    let expected = "secret-tool clear login @b_orges@fosstodon.example version 1; jq -cj '.[1]' ";
    assert!(note.contains(expected), "{note}");
    assert!(note.contains(
        "| secret-tool store --label='Mastodon Account' login @b_orges@fosstodon.example version 1 xdg:schema \
         dev.geopjr.Tuba`"
    ));
    assert!(!note.contains("@ada"), "{note}");
    // One alone needs no other program.
    let (folder, _) = copied(SAMPLE);
    let path = folder.path().join("it's mine");
    fs::write(&path, format!("{}\n", lines()[0])).unwrap();
    let ada = record("mastodon.example", Some("ada"), NEW_TOKEN);
    let plan = Tuba.plan(&write(&path), &[ada]).unwrap();
    let note = plan.plan().notes.last().unwrap().clone();
    assert!(
        note.contains("it'\\''s mine' | secret-tool store"),
        "{note}"
    );
    plan.apply().unwrap();
    let expected = lines()[0].replace(TOKEN_OF_ADA, NEW_TOKEN) + "\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    // The shell takes the name of the file for what it is.
    let command = note.split('`').nth(1).unwrap().split("; ").nth(1).unwrap();
    let command = command.split(" | ").next().unwrap();
    let mut shell = process::Command::new("sh");
    let output = shell.args(["-c", command]).output().unwrap();
    assert_eq!(output.stdout, expected.as_bytes());
    std::io::stderr().write_all(&output.stderr).unwrap();
}

#[test]
fn what_cannot_be_stored_again_is_told() {
    let (_folder, path) = copied(SAMPLE);
    let ada = || record("mastodon.example", Some("ada"), NEW_TOKEN);
    let zoe = record("mastodon.example", Some("zoe"), NEW_TOKEN);
    let plan = Tuba.plan(&write(&path), &[zoe]).unwrap();
    assert_eq!(plan.plan().changes[0].action, Action::Refuse);
    let noted = |text: &str| {
        fs::write(&path, text).unwrap();
        let plan = Tuba.plan(&write(&path), &[ada()]).unwrap();
        plan.plan().notes.last().unwrap().clone()
    };
    let line = &lines()[0];
    let long = line.replace(
        "\"header\":\"\"",
        &format!("\"header\":\"{}\"", "x".repeat(8000)),
    );
    assert!(noted(&long).contains("longer than secret-tool can store"));
    let odd = line.replace("\"@ada@mastodon.example\"", "\"@ada@$(id)\"");
    assert!(!noted(&odd).contains("$(id)"));
    fs::write(&path, item(Some(line), "dev.geopjr.Tuba")).unwrap();
    let error = Tuba.plan(&write(&path), &[ada()]).err().unwrap();
    assert!(error.to_string().contains("secret-tool lookup"), "{error}");
}

#[test]
fn damage_is_told_without_secrets() {
    assert_survives_damage(&Tuba, SAMPLE);
    let (_folder, path) = copied(SAMPLE);
    for not_ours in [
        "",
        "[]",
        "{}",
        "[{}]",
        r#"{"access-token":"t","backend":"mastodon"}"#,
        r#"[1,{"access-token":"t","backend":"mastodon","uuid":"u"}]"#,
    ] {
        fs::write(&path, not_ours).unwrap();
        let error = Tuba.read(&read(&path)).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }),
            "{not_ours}: {error}"
        );
    }
    for (secret, tokens, completeness) in [
        (
            r#"{"access-token":5,"backend":"m","uuid":"u"}"#,
            0,
            Completeness::Partial,
        ),
        (
            r#"{"access-token":"t1","access-token":"t2","backend":"m","uuid":"u","instance":"https://M.example","handle":"@a@m.example","id":1e999}"#,
            1,
            Completeness::Complete,
        ),
        (
            r#"{"access-token":"","backend":"m","uuid":"u","instance":"https://m.example"}"#,
            0,
            Completeness::Complete,
        ),
    ] {
        fs::write(&path, secret).unwrap();
        let snapshot = Tuba.read(&read(&path)).unwrap();
        assert_eq!(snapshot.tokens.len(), tokens, "{secret}");
        assert_eq!(snapshot.completeness, completeness, "{secret}");
    }
}

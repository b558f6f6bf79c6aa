use super::*;

#[test]
fn restoring_what_is_there_changes_no_byte() {
    for name in SAMPLES {
        for text in [
            sample(name),
            format!("\u{feff}{}", sample(name).replace('\n', "\r\n")),
        ] {
            if text.contains("\r\r") {
                continue;
            }
            let records = records(&import_as(name, &text).unwrap());
            let (changes, _, after) = restore(name, &text, &records, true);
            assert_eq!(
                actions(&changes),
                vec![Action::Unchanged; records.len()],
                "{name}"
            );
            assert_eq!(after, text);
        }
    }
}

#[test]
fn restoring_one_token_changes_exactly_its_span() {
    for name in SAMPLES {
        for text in [
            sample(name),
            format!("\u{feff}{}", sample(name)),
            sample(name).trim_end().to_owned(),
        ] {
            let before = records(&import_as(name, &text).unwrap());
            for (at, old) in before.iter().enumerate() {
                let mut new = old.clone();
                new.access_token = "new-TOKEN_1".into();
                let (changes, _, after) = restore(name, &text, &[new], false);
                assert_eq!(actions(&changes), [Action::Update], "{name} {at}");
                assert_eq!(
                    after,
                    text.replace(old.access_token.expose(), "new-TOKEN_1")
                );
            }
        }
    }
}

#[test]
fn only_the_token_is_replaced_not_what_stands_around_it() {
    for (name, text, after) in [
        (
            "x.json",
            "{\"instance\":\"m.example\",\"token\":\"Bearer old\",\"access_token\":\"Bearer old\"}",
            "{\"instance\":\"m.example\",\"token\":\"Bearer new\",\"access_token\":\"Bearer new\"}",
        ),
        (
            "x.json",
            "{\"instance\":\"m.example\",\"token\":\"other\",\"access_token\":\"YOUR_TOKEN\"}",
            "{\"instance\":\"m.example\",\"token\":\"new\",\"access_token\":\"YOUR_TOKEN\"}",
        ),
        (
            "x.json5",
            "{instance: 'm.example', token: '' /* mine */}",
            "{instance: 'm.example', token: 'new' /* mine */}",
        ),
        (
            "x.toml",
            "instance = 'm.example'\ntoken = '''\nold\n'''\n",
            "instance = 'm.example'\ntoken = \"new\\n\"\n",
        ),
        (
            "x.yaml",
            "instance: m.example\ntoken: |-\n  old\n",
            "instance: m.example\ntoken: |-\n  new\n",
        ),
        (
            "x.yaml",
            "host: &h m.example\ntoken: &t old\nurl: *h\n",
            "host: &h m.example\ntoken: &t new\nurl: *h\n",
        ),
    ] {
        let new = record("m.example", None, "new");
        let (changes, _, done) = restore(name, text, &[new], false);
        assert_eq!(
            (actions(&changes), done.as_str()),
            (vec![Action::Update], after)
        );
    }
}

#[test]
fn the_entry_of_the_same_user_is_chosen_or_none() {
    let text = r#"{"instance":"m.example","accounts":[
        {"username":"ada","token":"a"},{"username":"bob","token":"b"},{"token":"c"}]}"#;
    let (changes, notes, after) = restore(
        "x.json",
        text,
        &[
            record("m.example", Some("Ada"), "new-a"),
            record("m.example", Some("chi"), "new-c"),
            record("m.example", Some("eve"), "new-e"),
            record("n.example", Some("bob"), "new-b"),
            record("m.example", Some("bob"), "b"),
        ],
        false,
    );
    assert_eq!(
        actions(&changes),
        [
            Action::Update,
            Action::Update,
            Action::Refuse,
            Action::Refuse,
            Action::Unchanged
        ]
    );
    assert_eq!(
        after,
        text.replace("\"a\"", "\"new-a\"")
            .replace("\"c\"", "\"new-c\"")
    );
    assert!(notes.iter().any(|note| note.contains("whose token")));
    // A user who isn't known is nobody's entry, two that fit are none.
    let named = r#"{"instance":"m.example","username":"ada","token":"a"}"#;
    let two = r#"{"instance":"m.example","x":[{"token":"a"},{"token":"b"}]}"#;
    for text in [named, two] {
        let (changes, _, after) =
            restore("x.json", text, &[record("m.example", None, "new")], false);
        assert_eq!(
            (actions(&changes), after.as_str()),
            (vec![Action::Refuse], text)
        );
    }
    // The only entry of a file that names no instance.
    let (changes, notes, after) = restore(
        "x.json",
        r#"{"token":"a"}"#,
        &[record("m.example", None, "new")],
        false,
    );
    assert_eq!(
        (actions(&changes), after.as_str()),
        (vec![Action::Update], r#"{"token":"new"}"#)
    );
    assert!(notes[0].contains("which instance"));
}

#[test]
fn what_can_not_be_written_well_is_refused_and_changes_nothing() {
    for (name, text) in [
        ("x.json", "{\"instance\":\"m.example\",\"token\":null}"),
        (
            "x.json",
            "{\"instance\":\"m.example\",\"token\":\"${TOKEN}\"}",
        ),
        ("x.json", "{\"instance\":\"m.example\"}"),
        (
            "x.json",
            "{\"instance\":\"m.example\",\"token\":\"old\",\"access_token_secret\":\"s\"}",
        ),
        ("x.yaml", "instance: m.example\ntoken: &t old\nother: *t\n"),
        ("x.yaml", "instance: m.example\ntoken: |\n  old\n"),
        ("x.yaml", "instance: m.example\ntoken: !env TOKEN\n"),
    ] {
        let new = record("m.example", None, "new");
        let (changes, _, after) = restore(name, text, &[new], false);
        assert_eq!(
            (actions(&changes), after.as_str()),
            (vec![Action::Refuse], text)
        );
    }
    let text = sample("config.json");
    let (changes, _, after) = restore(
        "x.json",
        &text,
        &[record("mastodon.example", None, "a b")],
        false,
    );
    assert_eq!((actions(&changes), after), (vec![Action::Refuse], text));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let error = Generic
        .plan(&write(&path), &[record("m.example", None, "t")])
        .err();
    assert!(matches!(error, Some(Error::NotFound { .. })));
    assert!(!path.exists(), "a file is never made from nothing");
}

#[test]
fn another_client_stays_unless_it_is_to_be_replaced() {
    let text = sample("config.json");
    let mut new = records(&import(&text)).remove(0);
    let (id, secret) = (
        new.app.client_id.clone().unwrap(),
        new.app.client_secret.clone().unwrap(),
    );
    new.app.client_id = Some("other".to_owned());
    new.app.client_secret = Some("other-secret".into());
    let (changes, notes, after) = restore("x.json", &text, std::slice::from_ref(&new), false);
    assert_eq!(
        (actions(&changes), &after),
        (vec![Action::Unchanged], &text)
    );
    assert!(notes[0].contains("revoking it needs the other"));
    let (changes, _, after) = restore("x.json", &text, std::slice::from_ref(&new), true);
    assert_eq!(actions(&changes), [Action::Update]);
    assert_eq!(
        after,
        text.replace(&id, "other")
            .replace(secret.expose(), "other-secret")
    );
    // A template's is nobody's.
    let template = text
        .replace(&id, "YOUR_CLIENT_ID")
        .replace(secret.expose(), "");
    let (_, _, after) = restore("x.json", &template, &[new], false);
    assert_eq!(
        after,
        text.replace(&id, "other")
            .replace(secret.expose(), "other-secret")
    );
}

#[test]
fn half_a_client_is_made_whole_where_that_is_simple() {
    let mut new = record("m.example", None, "t0");
    new.app.client_id = Some("i".to_owned());
    new.app.client_secret = Some("s".into());
    for (name, text, after) in [
        (
            "x.json",
            "{\r\n\t\"instance\": \"m.example\",\r\n\t\"clientId\": \"i\",\r\n\t\"token\": \"t0\"\r\n}",
            Some(
                "{\r\n\t\"instance\": \"m.example\",\r\n\t\"clientId\": \"i\",\r\n\t\"token\": \"t0\",\r\n\t\"clientSecret\": \"s\"\r\n}",
            ),
        ),
        (
            "x.json",
            "{\"instance\":\"m.example\", \"token\":\"t0\", \"client_secret\":\"s\"}",
            Some(
                "{\"instance\":\"m.example\", \"token\":\"t0\", \"client_id\":\"i\", \"client_secret\":\"s\"}",
            ),
        ),
        (
            "x.json",
            "{\n\"instance\": \"m.example\",\n\"client_id\": \"i\",\n\"token\": \"t0\" // mine\n}",
            None,
        ),
        (
            "x.json",
            "{\"instance\":\"m.example\",\"CLIENT_ID\":\"i\",\"token\":\"t0\"}",
            None,
        ),
        (
            "x.toml",
            "instance = 'm.example'\nclient_id = 'i'\ntoken = 't0'\n",
            None,
        ),
        (
            "x.yaml",
            "instance: m.example\nclient_id: i\ntoken: t0\n",
            None,
        ),
    ] {
        let (changes, _, done) = restore(name, text, std::slice::from_ref(&new), false);
        if let Some(after) = after {
            assert_eq!(
                (actions(&changes), done.as_str()),
                (vec![Action::Update], after)
            );
        } else {
            assert_eq!(
                (actions(&changes), done.as_str()),
                (vec![Action::Refuse], text)
            );
            assert!(
                changes[0].detail.contains("by hand"),
                "{}",
                changes[0].detail
            );
        }
    }
    // A program that has no client in its file needs none.
    let text = "{\"instance\":\"m.example\",\"token\":\"old\"}";
    let (_, _, after) = restore("x.json", text, &[new], true);
    assert_eq!(after, text.replace("old", "t0"));
}

#[test]
fn in_a_folder_the_one_file_with_the_entry_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("config.toml"), sample("config.toml")).unwrap();
    fs::write(path("config.json"), sample("config.json")).unwrap();
    fs::write(path("settings.json"), "{").unwrap();
    let new = record("mstdn.example.jp", None, "new");
    let plan = Generic
        .plan(&write(folder.path()), std::slice::from_ref(&new))
        .unwrap();
    assert!(plan.plan().target.ends_with("config.toml"));
    let both = [new, record("mastodon.example", None, "new")];
    for records in [&both[..], &[record("n.example", None, "new")]] {
        let plan = Generic.plan(&write(folder.path()), records).unwrap();
        assert!(
            plan.plan()
                .changes
                .iter()
                .all(|change| change.detail.contains("--path"))
        );
    }
}

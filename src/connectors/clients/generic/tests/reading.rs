use super::*;

#[test]
fn a_json_file_gives_its_token_with_its_client() {
    let snapshot = Generic.read(&read(&data("generic/config.json"))).unwrap();
    assert_eq!(warnings(&snapshot), Vec::<&str>::new());
    assert_eq!(snapshot.completeness, Completeness::Complete);
    let record = &records(&snapshot)[0];
    assert_eq!(record.instance.as_str(), "mastodon.example");
    assert_eq!(
        record.access_token.expose(),
        "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U"
    );
    assert_eq!(
        record.app.base_url.as_deref(),
        Some("https://mastodon.example")
    );
    let id = record.app.client_id.as_deref().unwrap();
    assert_eq!(id, "vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo");
    assert!(record.app.client_secret.is_some());
    assert_eq!((record.user.name(), &record.scopes), (None, &None));
}

#[test]
fn other_services_beside_mastodon_are_told_and_left() {
    let snapshot = import(&sample("settings.json"));
    assert_eq!(
        found(&snapshot),
        ["?@fosstodon.example BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc"]
    );
    assert_eq!(
        warnings(&snapshot),
        [
            "line 2: \"token\" is taken for that of discord: not imported",
            "line 4: \"access_token\" is taken for that of OAuth 1: not imported"
        ]
    );
    assert_eq!(snapshot.completeness, Completeness::Complete);
}

#[test]
fn keys_name_the_accounts_of_a_map() {
    let snapshot = import(&sample("tokens.json"));
    assert_eq!(warnings(&snapshot), Vec::<&str>::new());
    let records = records(&snapshot);
    let keys: Vec<_> = records
        .iter()
        .map(|record| record.key().to_string())
        .collect();
    assert_eq!(
        keys,
        [
            "ada@mastodon.example",
            "b_orges@fosstodon.example",
            "chiyo@mstdn.example.jp",
            "ada_bot@mastodon.example"
        ]
    );
    let scopes = records[0].scopes.as_ref().unwrap();
    assert_eq!(scopes.as_str(), "read write:statuses");
}

#[test]
fn placeholders_are_told_and_no_tokens() {
    let snapshot = import(&sample("placeholder.json"));
    assert_eq!(found(&snapshot), Vec::<String>::new());
    assert_eq!(
        warnings(&snapshot),
        ["line 1: the token can't be used: it is a placeholder"]
    );
    assert_eq!(snapshot.completeness, Completeness::Complete);
}

#[test]
fn toml_yaml_and_json5_are_read_alike() {
    assert_eq!(
        found(&import_as("config.toml", sample("config.toml")).unwrap()),
        ["?@mstdn.example.jp bLmUYNytthbMEQoxF1MjEjq100_7MJGo1jtQBFFgPi8"]
    );
    let yaml = import_as("bot.yaml", sample("bot.yaml")).unwrap();
    let accounts = [
        "ada@mastodon.example UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U",
        "chiyo@mstdn.example.jp bLmUYNytthbMEQoxF1MjEjq100_7MJGo1jtQBFFgPi8",
    ];
    assert_eq!(found(&yaml), accounts);
    assert_eq!(warnings(&yaml), Vec::<&str>::new());
    let json5 = import_as("settings.json5", sample("settings.json5")).unwrap();
    assert_eq!(found(&json5), accounts);
    // Through a pipe, nothing says which format it is.
    for name in SAMPLES {
        let named = import_as(name, sample(name)).unwrap();
        let piped = import_as("-", sample(name)).unwrap();
        assert_eq!(found(&named), found(&piped), "{name}");
    }
    assert!(import_as("-", "just words").is_err());
    let error = import_as("-", "{\"a\": 1").unwrap_err().to_string();
    assert!(error.contains("line 1, column"), "{error}");
}

/// A file, and what is found in it.
const NEAREST: &[(&str, &str)] = &[
    // The object, the object around it, a list in between.
    (
        r#"{"Instance-URL":"https://m.example","x":{"token":"t0"}}"#,
        "?@m.example t0",
    ),
    (
        r#"{"instance":"m.example","x":{"instance":"n.example","token":"t0"}}"#,
        "?@n.example t0",
    ),
    (
        r#"{"server":"m.example","x":[{"y":[{"token":"t0"}]}]}"#,
        "?@m.example t0",
    ),
    // Keys.
    (
        r#"{"instance":"m.example","n.example":{"token":"t0"}}"#,
        "?@n.example t0",
    ),
    (
        r#"{"@ada@n.example":{"auth":{"token":"t0"}}}"#,
        "ada@n.example t0",
    ),
    (
        r#"{"ada@n.example":{"username":"bob","token":"t0"}}"#,
        "bob@n.example t0",
    ),
    (
        r#"{"ada@n.example":{"api_base_url":"https://api.n.example","token":"t0"}}"#,
        "ada@n.example t0",
    ),
    (
        r#"{"ada@n.example":{"instance":"m.example","token":"t0"}}"#,
        "?@m.example t0",
    ),
    (
        r#"{"instance":"m.example","config.json":{"token":"t0"}}"#,
        "?@m.example t0",
    ),
    // Only the host of an address.
    (
        r#"{"url":"https://M.Example:3000/api/v1/statuses","token":"t0"}"#,
        "?@m.example:3000 t0",
    ),
    (
        r#"{"baseURL":"m.example","accessToken":"Bearer t0 "}"#,
        "?@m.example t0",
    ),
    (
        r#"{"instance":"https://bücher.example/","token":"t0"}"#,
        "?@xn--bcher-kva.example t0",
    ),
    // Names that mean an instance before those that mean any host.
    (
        r#"{"url":"https://blog.example","instance":"m.example","token":"t0"}"#,
        "?@m.example t0",
    ),
    (
        r#"{"host":"0.0.0.0","instance":"m.example","token":"t0"}"#,
        "?@m.example t0",
    ),
    (
        r#"{"host":"localhost","x":"m.example","server":"m.example","token":"t0"}"#,
        "?@m.example t0",
    ),
    // Accounts.
    (
        r#"{"instance":"m.example","acct":"@ada@m.example","token":"t0"}"#,
        "ada@m.example t0",
    ),
    (
        r#"{"instance":"m.example","username":"ada@mail.example","token":"t0"}"#,
        "?@m.example t0",
    ),
    (
        r#"{"instance":"m.example","user":"123","token":"t0"}"#,
        "?@m.example t0",
    ),
    (
        r#"{"instance":"m.example","user":{"name":"x"},"token":"t0"}"#,
        "?@m.example t0",
    ),
    // The more specific of two names.
    (
        r#"{"instance":"m.example","access_token":"t0","token":"t1"}"#,
        "?@m.example t0",
    ),
    (
        r#"{"instance":"m.example","access_token":"","token":"t1"}"#,
        "?@m.example t1",
    ),
    // Neighbours.
    (
        r#"{"instance":"m.example","discord":{},"mastodon_token":"t0"}"#,
        "?@m.example t0",
    ),
    (
        r#"{"instance":"m.example","discord":{},"access_token":"t0"}"#,
        "?@m.example t0",
    ),
    (
        r#"{"instance":"m.example","consumer_key":"k","access_token":"t0"}"#,
        "?@m.example t0",
    ),
    (
        r#"{"twitter":{"mastodon":{"host":"m.example","token":"t0"}}}"#,
        "?@m.example t0",
    ),
    (
        r#"{"instance":"m.example","token":"t1","token":"t0"}"#,
        "?@m.example t0",
    ),
];

#[test]
fn the_instance_comes_from_the_nearest_place_that_names_one() {
    for (text, expected) in NEAREST {
        assert_eq!(found(&import(text)), [*expected], "{text}");
    }
}

/// A file without a token that is sure, what is told, and whether there may be one.
const UNSURE: &[(&str, &str, bool)] = &[
    (r#"{"token":"t0"}"#, "unknown instance", true),
    (
        r#"{"a":{"instance":"m.example"},"b":{"token":"t0"}}"#,
        "unknown instance",
        true,
    ),
    (
        r#"{"instance":"https://your.instance","token":"t0"}"#,
        "unknown instance",
        true,
    ),
    (
        r#"{"instance":"${HOST}","token":"t0"}"#,
        "unknown instance",
        true,
    ),
    (
        r#"{"host":"localhost","token":"t0"}"#,
        "unknown instance",
        true,
    ),
    (
        r#"{"host":"10.0.0.1","token":"t0"}"#,
        "unknown instance",
        true,
    ),
    (
        r#"{"url":"https://hooks.example/services/x","token":"t0"}"#,
        "unknown instance",
        true,
    ),
    (
        r#"{"host":"a.example","url":"https://b.example","token":"t0"}"#,
        "several hosts",
        true,
    ),
    (
        r#"{"instance":"m.example","token":7}"#,
        "expected a string",
        true,
    ),
    (
        r#"{"instance":"m.example","token":"a b"}"#,
        "white space",
        true,
    ),
    (
        r#"{"instance":"m.example","token":"a\u0007b"}"#,
        "white space",
        true,
    ),
    (r#"{"instance":"m.example","token":null}"#, "empty", false),
    (r#"{"instance":"m.example","token":""}"#, "empty", false),
    (
        r#"{"instance":"m.example","token":"xxxx"}"#,
        "placeholder",
        false,
    ),
    (
        r#"{"instance":"m.example","token":"<token>"}"#,
        "placeholder",
        false,
    ),
    (
        r#"{"instance":"m.example","token":"${TOKEN}"}"#,
        "never followed",
        false,
    ),
    (
        r#"{"instance":"m.example","token":"{{ token }}"}"#,
        "never followed",
        false,
    ),
    (
        r#"{"instance":"m.example","token":"t0","discord":1}"#,
        "discord",
        false,
    ),
    (
        r#"{"instance":"m.example","token":"t0","bot_token":1}"#,
        "bot token",
        false,
    ),
    (
        r#"{"instance":"m.example","api_token":"t0","telegram_chat":1}"#,
        "telegram",
        false,
    ),
    (
        r#"{"instance":"m.example","slack":[{"token":"t0"}]}"#,
        "slack",
        false,
    ),
    (
        r#"{"instance":"m.example","mastodon_token":"t0","access_token_secret":1}"#,
        "OAuth 1",
        false,
    ),
    (
        r#"{"ada@m.example":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
        "may be a token",
        false,
    ),
    (r#"{"greeting":"hello"}"#, "no token", false),
    ("[]", "no token", false),
    ("7", "no token", false),
];

#[test]
fn what_is_not_sure_is_told_and_not_imported() {
    for (text, why, partial) in UNSURE {
        let snapshot = import(text);
        assert_eq!(found(&snapshot), Vec::<String>::new(), "{text}");
        let warnings = warnings(&snapshot).join("\n");
        assert!(warnings.contains(why), "{text}: {warnings}");
        assert!(
            !warnings.contains("t0") && !warnings.contains("aaaa"),
            "{warnings}"
        );
        let is_partial = snapshot.completeness == Completeness::Partial;
        assert_eq!(is_partial, *partial, "{text}");
    }
}

#[test]
fn choices_are_told() {
    for (text, what) in [
        (
            r#"{"instance":"m.example","access_token":"t0","token":"t1"}"#,
            "\"access_token\" is used",
        ),
        (
            r#"{"instance":"m.example","token":"t0","token":"t1"}"#,
            "stands twice",
        ),
        (
            r#"{"instance":"m.example","user":"ada@n.example","token":"t0"}"#,
            "not of its instance",
        ),
    ] {
        let snapshot = import(text);
        assert!(warnings(&snapshot).join("\n").contains(what), "{text}");
        assert_eq!(snapshot.tokens.len(), 1);
    }
}

#[test]
fn the_person_can_name_what_the_file_does_not() {
    let read = |text: &str, instance, user| {
        let request = request(Path::new("x.json"), instance, user);
        Generic.read_bytes(&request, text.as_bytes()).unwrap()
    };
    let text = r#"{"token":"t0"}"#;
    let given = read(text, Some("m.example"), Some("ada"));
    assert_eq!(found(&given), ["ada@m.example t0"]);
    assert_eq!(given.completeness, Completeness::Complete);
    // Only where the file doesn't say.
    let text = r#"{"instance":"n.example","user":"bob","token":"t0"}"#;
    assert_eq!(
        found(&read(text, Some("m.example"), Some("ada"))),
        ["bob@n.example t0"]
    );
    let text = r#"{"host":"a.example","url":"https://b.example","token":"t0"}"#;
    assert_eq!(
        found(&read(text, Some("m.example"), None)),
        ["?@m.example t0"]
    );
    let text = r#"[{"token":"t0"},{"token":"t1"}]"#;
    let two = read(text, Some("m.example"), Some("ada"));
    assert_eq!(found(&two), ["?@m.example t0", "?@m.example t1"]);
    assert!(warnings(&two)[0].contains("none of them"));
    let text = r#"[{"instance":"m.example","token":"t0"},{"a@m.example":{"token":"t0"}},
        {"b@m.example":{"token":"t0"}}]"#;
    assert_eq!(
        found(&import(text)),
        ["a@m.example t0", "b@m.example t0"],
        "two that differ stay apart"
    );
    let other = read(&sample("settings.json"), Some("m.example"), None);
    assert_eq!(other.tokens.len(), 1, "Discord's stays Discord's");
}

#[test]
fn scopes_and_clients_are_known_or_unknown_and_never_guessed() {
    for (text, scopes, client) in [
        (
            r#""scope":"read write","clientId":"i","client-secret":"s""#,
            Some("read write"),
            true,
        ),
        (
            r#""scopes":["read","write"],"app_id":"i","app_secret":"s""#,
            Some("read write"),
            true,
        ),
        (
            r#""scopes":"read,write","client_key":"i","client_secret":"s""#,
            Some("read write"),
            true,
        ),
        (
            r#""scopes":[1],"client_id":"<id>","client_secret":"YOUR_CLIENT_SECRET""#,
            None,
            false,
        ),
        (
            r#""scopes":"","client_id":7,"client_secret":null"#,
            None,
            false,
        ),
        (r#""scopes":"${SCOPES}""#, None, false),
    ] {
        let text = format!(r#"{{"instance":"m.example","token":"t0",{text}}}"#);
        let record = &records(&import(&text))[0];
        assert_eq!(record.scopes.as_ref().map(Scopes::as_str), scopes, "{text}");
        let app = &record.app;
        assert_eq!(
            (app.client_id.is_some(), app.client_secret.is_some()),
            (client, client),
            "{text}"
        );
    }
}

#[test]
fn the_search_is_bounded_and_says_so() {
    let nested = |depth| {
        let open = r#"{"a":"#.repeat(depth);
        format!(
            r#"{open}{{"instance":"m.example","token":"t0"}}{}"#,
            "}".repeat(depth)
        )
    };
    assert_eq!(import(&nested(8)).tokens.len(), 1);
    let deeper = import(&nested(9));
    assert_eq!(
        (deeper.tokens.len(), deeper.completeness),
        (0, Completeness::Partial)
    );
    assert!(warnings(&deeper)[0].contains("8 levels"));
    let wide = |count| {
        let rest = "0,".repeat(count);
        format!(r#"[{rest}{{"instance":"m.example","token":"t0"}}]"#)
    };
    assert_eq!(import(&wide(9_000)).tokens.len(), 1);
    let wider = import(&wide(10_000));
    assert_eq!(
        (wider.tokens.len(), wider.completeness),
        (0, Completeness::Partial)
    );
    let keys: Vec<_> = (0..20_000).map(|i| format!("\"k{i}\":0")).collect();
    let keys = import(&format!("{{{}}}", keys.join(",")));
    assert_eq!(keys.completeness, Completeness::Partial);
}

#[test]
fn a_folder_is_read_by_the_usual_names() {
    let snapshot = Generic.read(&read(&data("generic"))).unwrap();
    assert_eq!(
        snapshot.source.location,
        data("generic").display().to_string()
    );
    assert_eq!(snapshot.source.host, "laptop");
    let mut tokens = found(&snapshot);
    tokens.sort();
    // `bot.yaml` and `placeholder.json` have no usual name.
    let expected = [
        "ada@mastodon.example UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U",
        "ada_bot@mastodon.example y7bAZC8ZHqZ5_uIZVWExuca4IeleaQn7aEZnLfITWt0",
        "b_orges@fosstodon.example BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc",
        "chiyo@mstdn.example.jp bLmUYNytthbMEQoxF1MjEjq100_7MJGo1jtQBFFgPi8",
    ];
    assert_eq!(
        tokens, expected,
        "one record of a token, however many files hold it"
    );
    let all = records(&snapshot);
    let ada = all
        .iter()
        .find(|record| record.user.name() == Some("ada"))
        .unwrap();
    assert!(
        ada.app.client_secret.is_some(),
        "what every file knows is kept"
    );
    assert!(warnings(&snapshot)[0].starts_with("settings.json: line 2: "));

    let folder = tempfile::tempdir().unwrap();
    let error = Generic.read(&read(folder.path())).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }));
    fs::write(folder.path().join("config.yml"), "token: [").unwrap();
    fs::write(
        folder.path().join("tokens.toml"),
        "instance = 'm.example'\ntoken = 't0'",
    )
    .unwrap();
    let snapshot = Generic.read(&read(folder.path())).unwrap();
    assert_eq!(found(&snapshot), ["?@m.example t0"]);
    assert_eq!(snapshot.completeness, Completeness::Partial);
    assert!(warnings(&snapshot)[0].starts_with("config.yml: line 1, column 8"));
}

#[test]
fn only_files_with_a_token_are_recognised() {
    let fits = |path: &str| Generic.fits(&read(&data(path)));
    assert!(fits("generic/config.toml") && fits("generic") && fits("toot/config.json"));
    assert!(!fits("generic/placeholder.json") && !fits("toot/config-empty.json"));
    assert!(!fits("mastodon-py/bot_usercred.secret") && !fits("nowhere"));
}

#[test]
fn broken_files_are_errors_that_show_nothing() {
    for name in SAMPLES {
        let text = sample(name);
        for end in 0..text.len() {
            if let Err(error) = import_as(name, &text.as_bytes()[..end]) {
                let error = error.to_string();
                assert!(
                    !error.contains("UJTF") && !error.contains("BLfj"),
                    "{error}"
                );
                let place = error.contains("line ") && error.contains("column ");
                assert!(place, "{error}");
            }
            let mut bytes = text.as_bytes().to_vec();
            bytes[end] = 0xff;
            let error = import_as(name, &bytes).unwrap_err().to_string();
            assert!(error.contains("UTF-8"), "{error}");
        }
    }
    let n = 200_000;
    for (name, text) in [
        ("x.json", "[".repeat(n)),
        ("x.json", "{\"a\":".repeat(n)),
        ("x.toml", format!("a = {}", "[".repeat(n))),
        ("x.yaml", "- ".repeat(n)),
        ("-", "[".repeat(n)),
        ("x.yaml", "a: b\n---\nc: d\n".to_owned()),
        ("x.json", String::new()),
        ("x.json", "x".repeat(3)),
    ] {
        let error = import_as(name, &text).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{name}");
    }
    for (name, text) in [
        ("x.toml", ""),
        ("x.yaml", ""),
        ("x.yaml", "\u{feff}# nothing\n"),
    ] {
        let snapshot = import_as(name, text).unwrap();
        assert_eq!(
            warnings(&snapshot),
            ["no token stands under one of the usual names"]
        );
    }
}

#[test]
fn odd_values_leave_the_others() {
    for odd in [
        "1e999999",
        "99999999999999999999999999999999",
        "null",
        "[[[]]]",
        "\"\\u0000\"",
        r#"{"\u001b[2J":{"token":"SECRET0","token":"SECRET1"}}"#,
        r#"{"token":{"token":"SECRET0"}}"#,
        r#"{"SECRETSECRETSECRETSECRETSECRETSECRET":{"token":"SECRET0"}}"#,
        r#"{"access_token":["SECRET0"],"instance":{"host":7}}"#,
    ] {
        let text = format!(r#"{{"x":{odd},"y":{{"instance":"m.example","token":"t0"}}}}"#);
        let snapshot = import(&text);
        assert_eq!(found(&snapshot), ["?@m.example t0"], "{odd}");
        let warnings = warnings(&snapshot).join("\n");
        assert!(
            !warnings.contains("SECRET") && !warnings.contains('\u{1b}'),
            "{warnings}"
        );
    }
    let bomb: Vec<_> = (0..200)
        .map(|i| format!("a{}: &a{} [*a{i}, *a{i}]", i + 1, i + 1))
        .collect();
    let text = format!(
        "a0: &a0 [x]\n{}\ninstance: m.example\ntoken: t0\n",
        bomb.join("\n")
    );
    assert_eq!(
        found(&import_as("x.yaml", text).unwrap()),
        ["?@m.example t0"]
    );
}

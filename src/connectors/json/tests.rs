//! What the interchange promises.

use std::path::Path;

use super::{history, *};
use crate::{
    connectors::testing::{record, records},
    model::{
        Account, Actor, App, Completeness, Counts, Domain, Keys, Record, Row, Run, RunCounts,
        RunOutcome, Scope, Scopes, SourceId, Token, User, Verdict, Verification, VerifiedAccount,
        VerifiedApp,
    },
};

fn request() -> ReadRequest {
    ReadRequest {
        path: "-".into(),
        instance: None,
        user: None,
        host: "laptop".into(),
    }
}

fn import(text: &str) -> Result<Snapshot, String> {
    Json.read_bytes(&request(), text.as_bytes())
        .map_err(|error| error.to_string())
}

fn full() -> Record {
    let mut full = record("mastodon.example", Some("alice"), "-to\"ken\u{fc}");
    full.app.name = Some("toot \u{1b}[2J".into());
    full.app.client_id = Some("id".into());
    full.app.client_secret = Some("secret".into());
    full.app.redirect_uris = vec!["urn:ietf:wg:oauth:2.0:oob".into(), "app://x".into()];
    full.app.scopes = Some(Scopes::parse("read write"));
    full.app.website = Some("https://toot.example".into());
    full.app.base_url = Some("https://social.mastodon.example".into());
    full.app.superapp = true;
    full.app.confidential = Some(false);
    full.app.owner = Some("bob".into());
    full.app.created_at = Some("2025-01-02T03:04:05.123456Z".parse().unwrap());
    full.account_created_at = Some("2024-01-02T03:04:05Z".parse().unwrap());
    full.refresh_token = Some("refresh".into());
    full.token_type = "mac".into();
    full.scopes = Some(Scopes::parse("write read:statuses"));
    full.created_at = Some("2026-01-02T03:04:05Z".parse().unwrap());
    full.expires_at = Some("2027-01-02T03:04:05Z".parse().unwrap());
    full.revoked_at = Some("2026-02-02T03:04:05Z".parse().unwrap());
    full.verified = Some(Verification {
        at: "2026-02-03T03:04:05.000001Z".parse().unwrap(),
        verdict: Verdict::OtherApp,
        words: Some("no \u{1b}[2J".to_owned()),
        account: Some(VerifiedAccount {
            id: "7".to_owned(),
            username: "alice".to_owned(),
        }),
        app: Some(VerifiedApp {
            id: Some("12".to_owned()),
            name: Some("toot".to_owned()),
            website: None,
            scopes: Some(Scopes::parse("read")),
            redirect_uris: vec!["app://x".to_owned()],
        }),
    });
    full
}

#[test]
fn an_exported_record_comes_back_whole() {
    let mut application = record("m.example", None, "application");
    application.user = User::Application;
    let exported = [full(), record("m.example", None, "bare"), application];
    let lines: Vec<_> = exported
        .iter()
        .map(|record| line(&RecordJson::new(record, Reveal::Yes)).to_string())
        .collect();
    for text in [lines.join("\n"), format!("[{}]\n", lines.join(",\r\n"))] {
        let snapshot = import(&text).unwrap();
        assert_eq!(records(&snapshot), exported);
        assert_eq!(snapshot.completeness, Completeness::Partial);
        assert_eq!(snapshot.source.location, "-");
        assert_eq!(snapshot.source.host, "");
    }
}

#[test]
fn a_record_has_the_documented_keys_in_their_order() {
    let text = line(&RecordJson::new(
        &record("m.example", None, "t"),
        Reveal::Yes,
    ));
    assert_eq!(
        text.as_str(),
        "{\"id\":\"tk_oqaaaaaa\",\"instance\":\"m.example\",\"user\":null,\"app\":{\"name\":null,\"client_id\":null,\
         \"client_secret\":null,\"redirect_uris\":null,\"scopes\":null,\"website\":null,\"base_url\":null,\
         \"superapp\":false,\"confidential\":null,\"owner\":null,\"created_at\":null},\"access_token\":\"t\",\
         \"refresh_token\":null,\"token_type\":\"Bearer\",\"scopes\":null,\"created_at\":null,\"expires_at\":null,\
         \"revoked_at\":null,\"status\":\"active\",\"sources\":[],\"application_token\":false,\
         \"account_created_at\":null,\"verified\":null}"
    );
}

#[test]
fn without_reveal_no_secret_is_there_and_import_says_why() {
    let text = line(&RecordJson::new(&full(), Reveal::No));
    for secret in ["to\\\"", "secret", "refresh", "access_token"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(import(&text).unwrap_err().contains("--reveal"));
}

#[test]
fn instance_and_token_are_enough() {
    let snapshot = import("{\"instance\":\"M.Example\",\"access_token\":\"t\"}").unwrap();
    assert_eq!(records(&snapshot), [record("m.example", None, "t")]);
}

#[test]
fn what_is_wrong_is_named_by_line_and_key_and_never_by_value() {
    for (text, expected) in [
        (
            "{\"instance\":\"m.example\",\"access_token\":\"SECRET\",\"acess\":1}",
            "line 1: \"acess\" is no key",
        ),
        (
            "\n\n{\"instance\":\"m.example\",\"access_token\":[\"SECRET\"]}",
            "line 3: \"access_token\" must be a string",
        ),
        (
            "{\"instance\":\"SECRET SECRET\",\"access_token\":\"x\"}",
            "\"instance\" is not the name",
        ),
        (
            "{\"instance\":\"m.example\",\"access_token\":\"\"}",
            "\"access_token\" is empty",
        ),
        (
            "{\"instance\":\"m.example\",\"access_token\":\"SECRET\",\"access_token\":\"x\"}",
            "stands twice",
        ),
        (
            "{\"instance\":\"m.example\",\"access_token\":\"SECRET\",\"created_at\":\"SECRET\"}",
            "\"created_at\" must be a time",
        ),
        (
            "{\"instance\":\"m.example\",\"access_token\":\"SECRET\",\"app\":{\"superapp\":\"SECRET\"}}",
            "\"superapp\" must be true",
        ),
        (
            "{\"instance\":\"m.example\",\"access_token\":\"SECRET\",\"app\":{\"x\":\"SECRET\"}}",
            "\"x\" is no key",
        ),
        (
            "{\"instance\":\"m.example\",\"access_token\":\"SECRET\"",
            "not closed",
        ),
        (
            "[{\"instance\":\"m.example\",\"access_token\":\"SECRET\"}",
            "not closed",
        ),
        (
            "[{\"instance\":\"m.example\",\"access_token\":\"SECRET\"},]",
            "expected a JSON object",
        ),
        ("{\"instance\":\"m.example\" \"SECRET\"}", "column"),
        ("SECRET", "expected a JSON object"),
        ("[] []", "expected a JSON object"),
        ("{\"instance\":1e999}", "line 1"),
        ("{\"run\":1}", "history"),
    ] {
        let message = import(text).unwrap_err();
        assert!(message.contains(expected), "{text}: {message}");
        assert!(!message.contains("SECRET"), "{message}");
    }
    let deep = format!(
        "{{\"app\":{}{}",
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000)
    );
    assert!(import(&deep).is_err());
    let deep = format!(
        "{{\"app\":{}{}}}",
        "{\"a\":".repeat(5_000),
        "}".repeat(5_000)
    );
    assert!(import(&deep).is_err());
    assert!(
        Json.read_bytes(&request(), b"{\"instance\":\"\xff\"}")
            .is_err()
    );
}

#[test]
fn every_truncation_is_an_error_or_fewer_records() {
    let text = line(&RecordJson::new(&full(), Reveal::Yes));
    let text = format!("\u{feff}{}\r\n{}", text.as_str(), text.as_str());
    for end in 0..text.len() {
        if let Ok(snapshot) = Json.read_bytes(&request(), &text.as_bytes()[..end]) {
            assert!(snapshot.tokens.len() <= 1);
        }
    }
    assert_eq!(
        import(&text).unwrap().warnings.len(),
        2,
        "not plain, and there twice"
    );
}

fn run(id: u64, rows: history::Rows) -> history::HistoryLine {
    history::HistoryLine::Run(Box::new(history::RunLine {
        keys: Keys::Server,
        rows,
        run: Run {
            id,
            source: crate::model::Source {
                id: SourceId(0),
                key: SourceKey {
                    connector: "postgres".into(),
                    location: "mastodon_production".into(),
                    host: "server".into(),
                },
                instance: Some(Domain::parse("m.example").unwrap()),
            },
            effective_at: "2026-01-01T00:00:00.5Z".parse().unwrap(),
            recorded_at: "2026-01-01T00:00:01Z".parse().unwrap(),
            actor: Actor {
                user: "root".into(),
                host: "server".into(),
            },
            tool_version: "0.1.0".into(),
            scope: Scope::User("alice".into()),
            outcome: RunOutcome::Complete,
            from_the_future: true,
            note: Some("before the move".into()),
            counts: RunCounts {
                tokens: Counts {
                    seen: 1,
                    added: 2,
                    changed: 3,
                    gone: 4,
                    unchanged: u64::MAX,
                },
                ..RunCounts::default()
            },
            warnings: vec!["a warning".into()],
        },
    }))
}

fn rows() -> Vec<history::HistoryLine> {
    let full = full();
    let app = App {
        name: full.app.name,
        client_id: full.app.client_id,
        client_secret: full.app.client_secret,
        redirect_uris: full.app.redirect_uris,
        owner: Some(u64::MAX),
        ..App::unknown(full.instance.clone())
    };
    vec![
        history::HistoryLine::Account(Row {
            key: u64::MAX,
            body: Account {
                instance: full.instance.clone(),
                username: Some("alice".into()),
                created_at: full.account_created_at,
            },
        }),
        history::HistoryLine::App(Row { key: 7, body: app }),
        history::HistoryLine::Token(Row {
            key: 9,
            body: Token {
                instance: full.instance,
                access_token: full.access_token,
                refresh_token: None,
                token_type: Some("mac".into()),
                scopes: full.scopes,
                created_at: full.created_at,
                expires_at: None,
                revoked_at: None,
                app: Some(7),
                account: Some(u64::MAX),
            },
        }),
        history::HistoryLine::Answer(Row {
            key: 9,
            body: full.verified.unwrap(),
        }),
    ]
}

fn text(lines: &[history::HistoryLine]) -> String {
    lines
        .iter()
        .map(|line| line.to_json().to_string() + "\n")
        .collect()
}

#[test]
fn a_history_comes_back_line_by_line() {
    let mut lines = vec![run(1, history::Rows::Full)];
    lines.extend(rows());
    lines.push(history::HistoryLine::End(1));
    lines.push(run(2, history::Rows::Changes));
    lines.push(history::HistoryLine::Gone(history::Relation::Tokens, 9));
    lines.push(history::HistoryLine::End(2));
    let text = text(&lines);
    assert!(history::is_history(text.as_bytes()));
    let read: Vec<_> = history::lines(text.as_bytes(), Path::new("-"))
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(read, lines);

    let runs: Vec<_> = history::replay(text.as_bytes(), Path::new("-"))
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].1.tokens.len(), 1);
    assert_eq!(runs[0].1.answers.len(), 1);
    assert!(runs[1].1.answers.is_empty());
    assert_eq!(runs[0].1.apps[0].body.owner, Some(u64::MAX));
    assert_eq!(runs[0].1.scope, Scope::User("alice".into()));
    assert_eq!((runs[1].1.tokens.len(), runs[1].1.apps.len()), (0, 1));
}

#[test]
fn a_run_that_is_cut_off_is_an_error_and_no_run() {
    let mut lines = vec![run(1, history::Rows::Full)];
    lines.extend(rows());
    lines.push(history::HistoryLine::End(1));
    let text = text(&lines);
    for end in 1..text.len() - 1 {
        let read = history::replay(&text.as_bytes()[..end], Path::new("-")).collect::<Vec<_>>();
        assert!(read.len() == 1 && read[0].is_err(), "{end}");
    }
    let rows_first = &text[text.find('\n').unwrap()..];
    let mut wrong_end = rows();
    wrong_end.insert(0, run(1, history::Rows::Full));
    wrong_end.push(history::HistoryLine::End(2));
    for text in [rows_first, &self::text(&wrong_end), "{\"run\":1,\"x\":2}"] {
        let read: Vec<_> = history::replay(text.as_bytes(), Path::new("-")).collect();
        assert!(read.len() == 1 && read[0].is_err());
    }
}

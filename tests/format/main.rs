//! The file format is what docs/format.md says, it stays what it was, and it shows nothing of what is inside.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test helpers outside of #[test] functions"
)]

mod reader;

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use reader::{Contents, Secrets};
use tuskvault::{
    crypto::{Credentials, KdfParams, KeyFile, Passphrase},
    model::{
        Account, Actor, App, Completeness, Domain, Moment, Scopes, Secret, Selector, Snapshot,
        SourceKey, Token, Verdict, Verification, VerifiedAccount, VerifiedApp,
    },
    progress::Silent,
    storage::Access,
    vault::{AuditEvent, ImportContext, Query, Vault},
};

#[test]
fn a_reader_that_knows_only_the_document_reads_a_vault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tusk");
    let key_file = KeyFile::generate().unwrap();
    let key_text = key_file.to_text().to_string();
    let mut vault = filled(&path);
    // Enough for a second leaf.
    vault
        .import(&large(), &context(9, &"n".repeat(300_000)))
        .unwrap();
    let file = vault.file().unwrap();
    for passphrase in [None, Some(Passphrase::new("third".to_owned()))] {
        let credentials = Credentials {
            passphrase,
            key_file: Some(key_file.clone()),
        };
        file.add_slot(&credentials, KdfParams::LEAST, 77).unwrap();
    }
    let expected = as_vault_says(&vault);
    drop(vault);
    let bytes = fs::read(&path).unwrap();
    for (passphrase, key_file) in [
        (Some(PASSWORD), None),
        (None, Some(&*key_text)),
        (Some("third"), Some(&*key_text)),
    ] {
        let secrets = Secrets {
            passphrase,
            key_file,
        };
        let contents = reader::read(&bytes, &secrets);
        let read = as_reader_says(&contents);
        let differs = read.lines().zip(expected.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None);
        assert_eq!(read.len(), expected.len());
        assert_eq!(contents.audit(), (5, true));
    }
}

#[test]
fn what_instances_answered_stands_as_the_document_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tusk");
    let mut vault = filled(&path);
    let id = |number| {
        let token = token(number, None);
        vault.token_id(&token.instance, token.access_token.expose())
    };
    let answer = |second: i64, verdict, words: Option<String>, user: Option<&str>| Verification {
        at: Timestamp::from_second(second).unwrap(),
        verdict,
        words,
        account: user.map(|user| VerifiedAccount {
            id: "7".to_owned(),
            username: user.to_owned(),
        }),
        app: user.map(|_| VerifiedApp {
            name: Some("Tusky".to_owned()),
            ..VerifiedApp::default()
        }),
    };
    let answers = [
        (id(0), answer(-5, Verdict::Works, None, Some("Alice"))),
        (
            id(0),
            answer(9, Verdict::Refused, Some("n".repeat(300)), None),
        ),
        (id(1), answer(8, Verdict::Works, None, Some("Alina"))),
        (
            id(2),
            answer(
                7,
                Verdict::InstanceGone,
                Some("no such host".to_owned()),
                None,
            ),
        ),
    ];
    let event = AuditEvent::Verified {
        selector: Some("*".to_owned()),
        good: 2,
        bad: 2,
        unanswered: 0,
    };
    let now = Timestamp::from_second(1_700_000_010).unwrap();
    vault
        .record_verifications(&answers, &event, (&actor(), now))
        .unwrap();
    drop(vault);
    let secrets = Secrets {
        passphrase: Some(PASSWORD),
        key_file: None,
    };
    let contents = reader::read(&fs::read(&path).unwrap(), &secrets);
    // In the order of the ids' bytes, which is not that of their base32.
    let mut in_order: Vec<_> = answers.iter().collect();
    in_order.sort_by_key(|(id, answer)| (*id, answer.at));
    let expected: Vec<_> = in_order
        .into_iter()
        .map(|(id, answer)| {
            let verdict = answer.verdict.as_str().to_owned();
            let user = answer.account.as_ref();
            let user = user.map(|account| account.username.clone());
            let at = answer.at.as_microsecond();
            (id.to_base32(), at, verdict, answer.words.clone(), user)
        })
        .collect();
    assert_eq!(contents.answers(), expected);
    let of_user = |name: &str, number: usize| (name.to_owned(), answers[number].0.to_base32());
    assert_eq!(
        contents.answers_by_user(),
        [of_user("alice", 0), of_user("alina", 2)]
    );
    assert_eq!(contents.audit(), (5, true));
}

#[test]
fn the_vault_of_version_1_reads_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v1.tusk");
    fs::copy(fixture("v1.tusk"), &path).unwrap();
    let expected = fs::read_to_string(fixture("v1.txt")).unwrap();
    let secrets = Secrets {
        passphrase: Some(PASSWORD),
        key_file: None,
    };
    let contents = reader::read(&fs::read(&path).unwrap(), &secrets);
    assert_eq!(as_reader_says(&contents), expected);
    for access in [Access::Read, Access::Write] {
        let mut vault = Vault::open(&path, &password(), access, Duration::ZERO).unwrap();
        assert_eq!(as_vault_says(&vault), expected);
        let report = vault.check(&Silent).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!((report.runs, report.audit_entries), (3, 4));
    }
}

#[test]
#[ignore = "writes tests/data/format/v1.tusk anew: only when the format has a new version"]
fn write_the_vault_of_version_1() {
    let path = fixture("v1.tusk");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    drop(fs::remove_file(&path));
    let vault = filled(&path);
    fs::write(fixture("v1.txt"), as_vault_says(&vault)).unwrap();
}

#[test]
fn nothing_of_what_is_inside_stands_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tusk");
    drop(filled(&path));
    let bytes = fs::read(&path).unwrap();
    let secrets = Secrets {
        passphrase: Some(PASSWORD),
        key_file: None,
    };
    let inside = reader::read(&bytes, &secrets).logical;
    let mut needles: Vec<Vec<u8>> = Vec::new();
    for text in SECRETS {
        needles.push(text.as_bytes().to_vec());
        needles.extend(BASE64URL_NOPAD.decode(text.as_bytes()).ok());
        needles.extend(HEXLOWER.decode(text.as_bytes()).ok());
    }
    // What is looked for is inside in one of its forms, so it would be found.
    let found = needles.iter().filter(|needle| holds(&inside, needle));
    assert!(found.count() >= SECRETS.len());
    for needle in needles.iter().filter(|needle| needle.len() >= 4) {
        assert!(!holds(&bytes, needle), "{}", needle.escape_ascii());
    }
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// A vault of two sources and three runs: tokens of all forms, one that changed and one that is gone.
fn filled(path: &Path) -> Vault {
    let created = Timestamp::from_second(1_700_000_000).unwrap();
    let mut vault = Vault::create(path, &password(), KdfParams::LEAST, &actor(), created).unwrap();
    let mut first = Snapshot::of_client(source("/home/alice/.config/toot/config.json"));
    first.completeness = Completeness::Complete;
    first.add(
        app("Tusky", 0),
        Some(account(Some("alice"))),
        token(0, Some("read write")),
    );
    first.add(
        app("toot", 1),
        Some(account(Some("bob-of-example"))),
        token(1, Some("read")),
    );
    first.add(app("Ivory", 2), None, token(2, None));
    vault.import(&first, &context(1, "")).unwrap();
    let mut second = Snapshot::of_client(source("/home/alice/.config/toot/config.json"));
    let mut changed = token(0, Some("read write follow"));
    changed.revoked_at = Some(Timestamp::from_microsecond(1_700_000_000_123_456).unwrap());
    second.add(app("Tusky", 0), Some(account(Some("alice"))), changed);
    second.add(app("Ivory", 2), None, token(2, None));
    vault.import(&second, &context(2, "")).unwrap();
    let mut other = Snapshot::of_client(source("/srv/bot/.env"));
    other.add(
        App::unknown(instance()),
        Some(account(None)),
        token(3, None),
    );
    vault.import(&other, &context(3, "a note")).unwrap();
    vault
}

/// A source whose run is large.
fn large() -> Snapshot {
    let mut snapshot = Snapshot::of_client(source("/large"));
    for number in 0..500u32 {
        let mut token = token(1, Some("read"));
        let hash = blake3::hash(&number.to_le_bytes());
        token.access_token = Secret::new(BASE64URL_NOPAD.encode(hash.as_bytes()));
        snapshot.add(
            app("Tusky", 0),
            Some(account(Some(&format!("user{number}")))),
            token,
        );
    }
    snapshot
}

/// Every version of every token in a line: id, user, app, token, and the times in which it was so.
fn as_vault_says(vault: &Vault) -> String {
    let all = Selector::all();
    let mut moments: Vec<Moment> = vault
        .runs()
        .unwrap()
        .iter()
        .map(|run| run.effective_at.into())
        .collect();
    moments.sort();
    let mut lines: Vec<String> = Vec::new();
    for at in moments {
        let query = Query {
            selector: &all,
            at,
            all: true,
        };
        for record in vault.records_sorted(&query).unwrap() {
            if record.sightings.iter().all(|s| s.gone_at.is_some()) {
                continue;
            }
            lines.push(line(
                at.0,
                &record.id.to_base32(),
                record.instance.as_str(),
                record.user.name(),
                record.app.name.as_deref(),
                record.app.client_secret.as_ref().map(Secret::expose),
                record.access_token.expose(),
                record.scopes.as_ref().map(Scopes::as_str),
                record.revoked_at.map(Timestamp::as_microsecond),
            ));
        }
    }
    lines.sort();
    lines.concat()
}

fn as_reader_says(contents: &Contents) -> String {
    let (tokens, apps, accounts) = (contents.tokens(), contents.apps(), contents.accounts());
    let mut moments: Vec<i64> = Vec::new();
    for token in &tokens {
        moments.push(token.since);
        moments.extend(token.until);
    }
    moments.sort_unstable();
    moments.dedup();
    let mut lines: Vec<String> = Vec::new();
    for at in moments {
        for token in &tokens {
            if token.since > at || token.until.is_some_and(|until| until <= at) {
                continue;
            }
            let app = apps.iter().find(|app| Some(app.key) == token.app);
            let account = accounts
                .iter()
                .find(|known| Some(known.key) == token.account);
            assert!(account.is_none_or(|account| account.instance == token.instance));
            lines.push(line(
                at,
                &contents.token_id(token),
                &token.instance,
                account.and_then(|account| account.username.as_deref()),
                app.and_then(|app| app.name.as_deref()),
                app.and_then(|app| app.client_secret.as_deref()),
                &token.access_token,
                token.scopes.as_deref(),
                token.times[2],
            ));
        }
    }
    lines.sort();
    lines.concat()
}

#[expect(clippy::too_many_arguments, reason = "the columns of a line")]
fn line(
    at: i64,
    id: &str,
    instance: &str,
    user: Option<&str>,
    app: Option<&str>,
    client_secret: Option<&str>,
    token: &str,
    scopes: Option<&str>,
    revoked_at: Option<i64>,
) -> String {
    let mut line = format!("{at} {id} {instance} {token}");
    for (name, value) in [
        ("user", user),
        ("app", app),
        ("client_secret", client_secret),
        ("scopes", scopes),
    ] {
        if let Some(value) = value {
            write!(line, " {name}={value:?}").unwrap();
        }
    }
    if let Some(time) = revoked_at {
        write!(line, " revoked_at={time}").unwrap();
    }
    line + "\n"
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/format")
        .join(name)
}

fn password() -> Credentials {
    Credentials {
        passphrase: Some(Passphrase::new(PASSWORD.to_owned())),
        key_file: None,
    }
}

fn actor() -> Actor {
    Actor {
        user: "alice".to_owned(),
        host: "laptop.example".to_owned(),
    }
}

fn context(second: i64, note: &str) -> ImportContext {
    ImportContext {
        now: Timestamp::from_second(1_700_000_000 + second).unwrap(),
        actor: actor(),
        note: (!note.is_empty()).then(|| note.to_owned()),
        accept_shrink: true,
        origin: None,
    }
}

fn source(location: &str) -> SourceKey {
    SourceKey {
        connector: "toot".to_owned(),
        location: location.to_owned(),
        host: "laptop.example".to_owned(),
    }
}

fn instance() -> Domain {
    Domain::parse("mastodon.example").unwrap()
}

fn app(name: &str, secret: usize) -> App {
    App {
        name: Some(name.to_owned()),
        client_id: Some(format!("client-id-of-{name}")),
        client_secret: Some(Secret::new(CLIENT_SECRETS[secret])),
        redirect_uris: vec!["urn:ietf:wg:oauth:2.0:oob".to_owned()],
        ..App::unknown(instance())
    }
}

fn account(username: Option<&str>) -> Account {
    Account {
        instance: instance(),
        username: username.map(str::to_owned),
        created_at: None,
    }
}

fn token(number: usize, scopes: Option<&str>) -> Token {
    Token {
        scopes: scopes.map(Scopes::parse),
        created_at: Timestamp::from_second(1_600_000_000).ok(),
        ..Token::new(instance(), Secret::new(TOKENS[number]))
    }
}

const PASSWORD: &str = "correct horse";
const CLIENT_SECRETS: [&str; 3] = [
    "Qm9iIGlzIG5vdCBhIHNlY3JldCwgYnV0IHRoaXMgaXM",
    "0e1f2d3c4b5a69788796a5b4c3d2e1f00e1f2d3c4b5a69788796a5b4c3d2e1f0",
    "a client secret of another form",
];
const TOKENS: [&str; 4] = [
    "hZlr2hG6mTn0hJ6Hq3xq1y3B5u1iJf0c2sVb7Qd9WkE",
    "5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592",
    "ZQrS8tUvWxYz0123456789abcdefghijklmnopqrstU",
    "a-token_of.another:form",
];
/// Everything in the vault that nobody may see.
const SECRETS: [&str; 14] = [
    "mastodon.example",
    "alice",
    "bob-of-example",
    "laptop.example",
    "Tusky",
    "Ivory",
    "client-id-of-toot",
    CLIENT_SECRETS[0],
    CLIENT_SECRETS[1],
    CLIENT_SECRETS[2],
    TOKENS[0],
    TOKENS[1],
    TOKENS[2],
    TOKENS[3],
];

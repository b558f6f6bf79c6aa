use std::path::Path;

use super::*;
use crate::{
    connectors::{
        ReadRequest,
        testing::{NEW_TOKEN, read, record, records, warnings},
    },
    model::{Action, Completeness, Domain, Record, Secret, Snapshot, SourceKey, User},
};

/// An account of which this is known; its token is `token-<number>`.
fn entry(instance: &str, user: Option<&str>, number: u8) -> Entry<u8> {
    Entry {
        place: number,
        label: format!("account {number}"),
        instance: Some(instance.to_owned()),
        user: user.map(str::to_owned),
        token: Some(Text::new(format!("token-{number}"))),
        ..Entry::default()
    }
}

/// Writes down what is done.
#[derive(Default)]
struct Log(Vec<u8>);

impl Editor<u8> for Log {
    fn update(&mut self, entry: &Entry<u8>, record: &Record) -> Result<bool, String> {
        self.0.push(entry.place);
        Ok(entry.token.as_ref().map(|text| text.as_str()) != Some(record.access_token.expose()))
    }

    fn insert(&mut self, name: &str, _: &Record) -> Result<String, String> {
        self.0.push(0);
        Ok(name.to_owned())
    }
}

/// What is done, and the actions as told.
fn done(entries: &[Entry<u8>], records: &[Record], taken: Taken) -> (Vec<u8>, Vec<Action>) {
    let mut log = Log::default();
    let changes = changes(entries, records, taken, &mut log);
    (log.0, changes.iter().map(|change| change.action).collect())
}

fn snapshot_of(entries: &[Entry<u8>], instance: Option<&str>, user: Option<&str>) -> Snapshot {
    let mut snapshot = Snapshot::of_client(SourceKey {
        connector: "test".to_owned(),
        location: "-".to_owned(),
        host: "laptop".to_owned(),
    });
    let request = ReadRequest {
        instance: instance.map(|name| Domain::parse(name).unwrap()),
        user: user.map(str::to_owned),
        ..read(Path::new("-"))
    };
    import(entries, &request, &mut snapshot);
    snapshot
}

#[test]
fn a_record_belongs_to_the_entry_of_its_account() {
    let mut split = entry("mastodon.example", Some("@bo@mastodon.example"), 2);
    split.base_url = Some("https://api.mastodon.example/".to_owned());
    let entries = [
        entry("https://Mastodon.example/", Some("Ada"), 1),
        split,
        entry("nameless.example", None, 3),
    ];
    let of = |instance, user| record(instance, user, NEW_TOKEN);
    for (record, done_to, action) in [
        (of("mastodon.example", Some("ada")), 1, Action::Update),
        (of("mastodon.example", Some("bo")), 2, Action::Update),
        (of("api.mastodon.example", Some("bo")), 2, Action::Update),
        (of("nameless.example", Some("ada")), 3, Action::Update),
        (of("nameless.example", None), 3, Action::Update),
        (of("mastodon.example", Some("new")), 0, Action::Insert),
        (of("new.example", Some("ada")), 0, Action::Insert),
        (
            record("mastodon.example", None, "token-1"),
            1,
            Action::Unchanged,
        ),
    ] {
        let told = format!("{}", record.key());
        let expected = (vec![done_to], vec![action]);
        assert_eq!(done(&entries, &[record], Taken::Apart), expected, "{told}");
    }
    let mut app = of("mastodon.example", None);
    for user in [User::Unknown, User::Application] {
        app.user = user;
        let refused = (vec![], vec![Action::Refuse]);
        assert_eq!(done(&entries, &[app.clone()], Taken::Apart), refused);
    }
}

#[test]
fn of_two_logins_of_one_account_the_one_that_is_meant_is_written() {
    let twice = [
        entry("m.example", Some("ada"), 1),
        entry("m.example", Some("ada"), 2),
    ];
    let new = record("m.example", Some("ada"), NEW_TOKEN);
    let second = record("m.example", Some("ada"), "token-2");
    let one = std::slice::from_ref;
    assert_eq!(done(&twice, one(&new), Taken::Apart).1, [Action::Refuse]);
    assert_eq!(
        done(&twice, one(&second), Taken::Apart),
        (vec![2], vec![Action::Unchanged])
    );
    assert_eq!(
        done(&twice, one(&new), Taken::AsOne),
        (vec![1, 2], vec![Action::Update])
    );
    // Copies are of an account that has a name.
    let nameless = [entry("m.example", None, 1), entry("m.example", None, 2)];
    assert_eq!(done(&nameless, one(&new), Taken::AsOne).1, [Action::Refuse]);
}

#[test]
fn a_copy_without_a_token_is_left_alone_and_one_that_is_kept_elsewhere_refuses_all() {
    let held = entry("m.example", Some("ada"), 1);
    let mut copy = entry("m.example", Some("ada"), 2);
    copy.token = None;
    let new = [record("m.example", Some("ada"), NEW_TOKEN)];
    let (done_to, actions) = done(&[held.clone(), copy.clone()], &new, Taken::AsOne);
    assert_eq!((done_to, actions), (vec![1], vec![Action::Update]));
    copy.skipped = Some(Skipped::known("it is encrypted"));
    let (done_to, actions) = done(&[held, copy], &new, Taken::AsOne);
    assert_eq!((done_to, actions), (vec![], vec![Action::Refuse]));
}

#[test]
fn an_account_whose_name_cannot_be_compared_is_written_over_for_nobody_else() {
    let entries = [entry("m.example", Some("ada lovelace"), 1)];
    let bo = record("m.example", Some("bo"), NEW_TOKEN);
    assert_eq!(
        done(&entries, &[bo], Taken::Apart),
        (vec![0], vec![Action::Insert])
    );
    let own = record("m.example", Some("ada"), "token-1");
    assert_eq!(
        done(&entries, &[own], Taken::Apart),
        (vec![1], vec![Action::Unchanged])
    );
}

#[test]
fn what_stands_around_a_token_stays() {
    for (former, expected) in [
        ("old", "new"),
        (" Bearer old\n", " Bearer new\n"),
        ("Bearer ear", "Bearer new"),
        ("", "new"),
        ("${TOKEN}", "new"),
    ] {
        assert_eq!(in_place_of(former, "new").as_str(), expected);
    }
}

#[test]
fn one_place_gets_one_token() {
    let entries = [entry("m.example", None, 1)];
    let records = [
        record("m.example", Some("ada"), NEW_TOKEN),
        record("m.example", None, NEW_TOKEN),
        record("n.example", Some("ada"), NEW_TOKEN),
        record("n.example", Some("Ada"), NEW_TOKEN),
    ];
    let (done_to, actions) = done(&entries, &records, Taken::Apart);
    assert_eq!(done_to, [1, 0]);
    let expected = [
        Action::Update,
        Action::Refuse,
        Action::Insert,
        Action::Refuse,
    ];
    assert_eq!(actions, expected);
}

#[test]
fn what_no_client_can_hold_and_what_is_kept_elsewhere_is_not_written() {
    let mut kept = entry("m.example", Some("ada"), 1);
    kept.skipped = Some(Skipped::known("it is in the keyring"));
    for record in [
        record("m.example", Some("ada"), NEW_TOKEN),
        record("m.example", Some("bo"), "two words"),
        record("m.example", Some("a b"), NEW_TOKEN),
    ] {
        let refused = (vec![], vec![Action::Refuse]);
        assert_eq!(done(&[kept.clone()], &[record], Taken::Apart), refused);
    }
}

/// What an empty account takes in a file is little, what is known of one is much.
#[test]
fn a_store_with_more_accounts_than_anybody_has_is_not_read() {
    let many = |first: &str, one: &str| format!("{first}{}", one.repeat(MAX_ACCOUNTS));
    let account = "[[Accounts]]\nServer=''\nAccessToken=''\n";
    let users = r#"{"account":{},"server":"m.example","token":"t"}"#;
    for (connector, file, text) in [
        ("tut", "accounts.toml", many(account, account)),
        (
            "tootle",
            "accounts.json",
            many(
                r#"[{"instance":"","token":"","secret":"","hash":""}"#,
                ",{}",
            ) + "]",
        ),
        (
            "tuba",
            "secrets",
            many(r#"[{"access-token":"","backend":"","uuid":""}"#, ",{}") + "]",
        ),
        (
            "tuba",
            "search",
            many("[/1]\nlabel = a\n", "[/1]\nlabel = a\n"),
        ),
        (
            "thedesk",
            "export.thedeskconfig.json5",
            many(r#"{"accts":[{"at":"","domain":""}"#, ",{}") + "]}",
        ),
        (
            "thedesk",
            "storage",
            many(r#"{"multi":[{"at":"","domain":""}"#, ",{}") + "]}",
        ),
        (
            "mastodon-el",
            "mastodon.plstore",
            many("((\"active-user\")", "(\"\")") + ")",
        ),
        ("tokodon", "tokodonrc", {
            let groups = (0..=MAX_ACCOUNTS).map(|at| format!("{at}\\token=\n"));
            "[accounts]\n".to_owned() + &groups.collect::<String>()
        }),
        (
            "bitlbee",
            "ada.xml",
            many(
                "<user nick='' password=''>",
                "<account protocol='mastodon'/>",
            ) + "<account protocol='mastodon'/></user>",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        let source = crate::connectors::find(connector).unwrap();
        let error = source.read(&read(&path)).unwrap_err();
        assert!(
            matches!(error, crate::connectors::Error::Malformed { .. }),
            "{file}: {error}"
        );
    }
    // What a browser holds for a client is one value of many: it is told as unread.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump.json");
    let many = vec![users; MAX_ACCOUNTS + 1].join(",");
    std::fs::write(&path, format!("{{\"elk-users\":[{many}]}}")).unwrap();
    let web = crate::connectors::find("web").unwrap();
    let snapshot = web.read(&read(&path)).unwrap();
    assert_eq!((snapshot.tokens.len(), snapshot.warnings.len()), (0, 1));
    assert_eq!(snapshot.completeness, Completeness::Partial);
}

#[test]
fn what_cannot_be_imported_is_told_with_its_reason() {
    let mut no_token = entry("m.example", Some("ada"), 1);
    no_token.token = None;
    let mut command = entry("m.example", Some("ada"), 2);
    command.token = Some(Text::new("$(pass show token)".to_owned()));
    let mut nowhere = entry("", Some("ada"), 3);
    nowhere.instance = None;
    let mut known = entry("m.example", Some("ada"), 4);
    known.skipped = Some(Skipped::known("it is in the keyring"));
    let entries = [no_token, command, known, nowhere];
    let snapshot = snapshot_of(&entries[..3], None, None);
    assert_eq!(snapshot.completeness, Completeness::Complete);
    let snapshot = snapshot_of(&entries, None, None);
    assert!(snapshot.tokens.is_empty());
    // An earlier run may have been told the instance.
    assert_eq!(snapshot.completeness, Completeness::Partial);
    let told = warnings(&snapshot);
    for (told, why) in
        told.iter()
            .zip(["never finished", "never followed", "keyring", "--instance"])
    {
        assert!(told.contains(why), "{told}");
    }
    assert_eq!(told.len(), 4);
    // Where a token may be that was not read, nothing ends.
    for damaged in ["two words".to_owned(), "t".repeat(1 << 20)] {
        let mut unread = entry("m.example", Some("ada"), 5);
        unread.token = Some(Text::new(damaged));
        let snapshot = snapshot_of(&[unread], None, None);
        assert_eq!(snapshot.completeness, Completeness::Partial);
    }
    let mut unread = entry("no instance", Some("ada"), 5);
    let snapshot = snapshot_of(&[unread.clone()], None, None);
    assert_eq!(snapshot.completeness, Completeness::Partial);
    unread.instance = Some("m.example".to_owned());
    unread.skipped = Some(Skipped::unread("expected a string"));
    let snapshot = snapshot_of(&[unread.clone()], None, None);
    assert_eq!(snapshot.completeness, Completeness::Partial);
    unread.skipped = None;
    unread.token = Some(Text::new("half a token".to_owned()));
    let snapshot = snapshot_of(&[unread], None, None);
    assert_eq!(snapshot.completeness, Completeness::Partial);
}

#[test]
fn what_the_person_names_fills_in_what_the_client_does_not_say() {
    let mut nowhere = entry("", None, 1);
    nowhere.instance = None;
    let told = entry("said.example", Some("said"), 2);
    let mut strange = entry("said.example", Some("not a name"), 3);
    strange.client_secret = Some(Text::new("${SECRET}".to_owned()));
    let snapshot = snapshot_of(
        &[nowhere, told, strange],
        Some("named.example"),
        Some("named"),
    );
    let held = records(&snapshot).into_iter();
    let held: Vec<_> = held
        .map(|record| format!("{}@{}", record.user.name().unwrap_or("?"), record.instance))
        .collect();
    assert_eq!(
        held,
        ["named@named.example", "said@said.example", "?@said.example"]
    );
    let told = warnings(&snapshot);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        snapshot
            .apps
            .iter()
            .all(|app| app.body.client_secret.is_none())
    );
}

#[test]
fn only_a_token_that_changes_can_lose_its_client() {
    let mut held = entry("m.example", Some("ada"), 1);
    held.client_id = Some("id-1".to_owned());
    let told = |token: &str, id: Option<&str>, secret: Option<&str>| {
        let mut record = record("m.example", Some("ada"), token);
        record.app.client_id = id.map(str::to_owned);
        record.app.client_secret = secret.map(Secret::from);
        kept_client(&held, &record).is_some()
    };
    assert!(told(NEW_TOKEN, None, None));
    assert!(told(NEW_TOKEN, Some("id-2"), None));
    assert!(!told(NEW_TOKEN, Some("id-2"), Some("secret")));
    assert!(!told(NEW_TOKEN, Some("id-1"), None));
    assert!(!told("token-1", None, None));
}

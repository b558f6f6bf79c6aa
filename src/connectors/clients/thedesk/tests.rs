use std::fs;

use super::*;
use crate::{
    connectors::testing::{
        NEW_TOKEN, assert_changes_only_the_token, assert_survives_damage,
        assert_takes_back_its_own, copied, data, read, record, records, warnings, write,
    },
    model::{Action, Completeness},
};

const EXPORT: &str = "thedesk/export.thedeskconfig.json5";
const EDITED: &str = "thedesk/export-pretty-commented.json5";
const STORAGE: &str = "thedesk/localstorage-v25.json";

fn import(path: &Path) -> Snapshot {
    TheDesk.read(&read(path)).unwrap()
}

fn import_text(text: impl AsRef<[u8]>) -> Result<Snapshot, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, text).unwrap();
    TheDesk.read(&read(&path))
}

fn keys(snapshot: &Snapshot) -> Vec<String> {
    let records = records(snapshot).into_iter();
    records.map(|record| record.key().to_string()).collect()
}

/// What became of one record, and the text then.
fn restore(text: &str, record: &Record) -> (Action, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, text).unwrap();
    let plan = TheDesk.plan(&write(&path), std::slice::from_ref(record));
    let mut outcome = plan.unwrap().apply().unwrap();
    let change = outcome.plan.changes.remove(0);
    (
        change.action,
        change.detail,
        fs::read_to_string(path).unwrap(),
    )
}

#[test]
fn every_account_of_an_export_is_read() {
    let snapshot = import(&data(EXPORT));
    let expected = [
        "ada@mastodon.example/TheDesk(PC)",
        "b_orges@fosstodon.example",
        "chiyo@mstdn.example.jp",
        "ada_bot@mastodon.example/TheDesk(PC)",
        "?@pseudo.example",
    ];
    assert_eq!(keys(&snapshot), expected);
    assert!(warnings(&snapshot).is_empty());
    let ada = &records(&snapshot)[0];
    let id = ada.app.client_id.as_deref();
    assert_eq!(id, Some("vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo"));
    assert!(ada.app.client_secret.is_some());
    assert!(ada.refresh_token.is_none() && ada.scopes.is_none() && ada.created_at.is_none());
    assert!(ada.app.redirect_uris.is_empty(), "it could be one of three");
}

#[test]
fn misskey_is_told_and_comments_are_fine() {
    let snapshot = import(&data(EDITED));
    assert_eq!(keys(&snapshot), ["b_orges@fosstodon.example"]);
    let told = warnings(&snapshot);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("account \"mk\" of misskey.example: its server's software"));
    assert_eq!(snapshot.completeness, Completeness::Complete);
}

#[test]
fn a_dump_of_version_25_joins_accounts_and_servers() {
    let parsed = fs::read_to_string(data(STORAGE)).unwrap();
    let parsed = parsed.replace("\"[", "[").replace("]\"", "]");
    let parsed = parsed.replace("\\\"", "\"");
    for snapshot in [import(&data(STORAGE)), import_text(parsed).unwrap()] {
        let expected = [
            "ada@mastodon.example/TheDesk(Desktop)",
            "chiyo@mstdn.example.jp/TheDesk(Desktop)",
        ];
        assert_eq!(keys(&snapshot), expected);
        let app = &records(&snapshot)[1].app;
        let id = app.client_id.as_deref();
        assert_eq!(id, Some("fjrjkWupycgTVfa0NfsBGNaYi18SxM15UQxAAumlS98"));
        assert_eq!(app.base_url.as_deref(), Some("https://mstdn.example.jp"));
        let told = warnings(&snapshot);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("server guest.example: it is read without an account"));
    }
}

#[test]
fn a_dump_of_version_24_holds_what_the_export_does() {
    let multi =
        r#"[{\"at\":\"t1\",\"rt\":\"r id secret\",\"domain\":\"m.example\",\"user\":\"ada\"}]"#;
    for text in [
        format!(r#"{{"acct_0_at":"t1","multi":"{multi}","name_0":"Ada"}}"#),
        format!(r#"{{"multi":{}}}"#, multi.replace('\\', "")),
    ] {
        let found = records(&import_text(text).unwrap());
        assert_eq!(found[0].key().to_string(), "ada@m.example/TheDesk(PC)");
        assert_eq!(found[0].refresh_token.as_ref().unwrap().expose(), "r");
    }
}

#[test]
fn of_accounts_with_one_number_the_first_is_taken_and_the_other_told() {
    let account = |id: &str, user: &str| {
        format!(r#"{{"id":{id},"username":"{user}","access_token":"secret-{user}"}}"#)
    };
    let server = |domain: &str, sns: &str, id: &str| {
        format!(r#"{{"domain":"{domain}","sns":"{sns}","account_id":{id}}}"#)
    };
    let big = "123456789012345678901234567890";
    let accounts = [
        account("2", "ada"),
        account("2", "bob"),
        account(big, "eve"),
        account("4", "mk"),
        account("5", "lost"),
    ];
    let servers = [
        server("a.example", "mastodon", "2"),
        server("b.example", "mastodon", "2"),
        server("e.example", "pleroma", big),
        server("mk.example", "misskey", "4"),
        server("gone.example", "mastodon", "9"),
    ];
    let text = format!(
        r#"{{"accounts":[{}],"servers":[{}]}}"#,
        accounts.join(","),
        servers.join(",")
    );
    let snapshot = import_text(text).unwrap();
    let app = "TheDesk(Desktop)";
    assert_eq!(
        keys(&snapshot),
        [
            format!("ada@a.example/{app}"),
            format!("eve@e.example/{app}")
        ]
    );
    assert_eq!(snapshot.completeness, Completeness::Partial);
    let told = warnings(&snapshot).join("\n");
    for what in [
        "account \"bob\": it has the number of another account",
        "account \"mk\" of mk.example: its server's software (\"misskey\")",
        "account \"lost\": a token of an unknown instance",
        "server b.example: its account has the number of another one",
        "server gone.example: its account is not there",
    ] {
        assert!(told.contains(what), "{told}");
    }
    assert!(!told.contains("secret-"));
}

#[test]
fn a_login_has_three_words_of_which_each_may_be_missing() {
    for (rt, refresh_token, id, secret) in [
        ("'r id s'", Some("r"), Some("id"), Some("s")),
        ("'undefined id s'", None, Some("id"), Some("s")),
        ("'null id s'", None, Some("id"), Some("s")),
        ("'undefined undefined undefined'", None, None, None),
        ("'r id null'", Some("r"), Some("id"), None),
        ("'r id'", None, None, None),
        ("'r id s more'", None, None, None),
        ("''", None, None, None),
        ("null", None, None, None),
        ("5", None, None, None),
    ] {
        let text =
            format!("{{accts:[{{at:'t',rt:{rt},domain:'m.example',user:'ada'}}],columns:[]}}");
        let found = records(&import_text(text).unwrap()).remove(0);
        let refresh = found.refresh_token.as_ref().map(Secret::expose);
        assert_eq!(refresh, refresh_token, "{rt}");
        assert_eq!(found.app.client_id.as_deref(), id, "{rt}");
        let held = found.app.client_secret.as_ref().map(Secret::expose);
        assert_eq!(held, secret, "{rt}");
    }
}

#[test]
fn writing_changes_the_token_alone() {
    assert_eq!(assert_takes_back_its_own(&TheDesk, EXPORT), 5);
    assert_eq!(assert_takes_back_its_own(&TheDesk, EDITED), 1);
    // The login of the account stays, also where the vault knows another.
    let notes = assert_changes_only_the_token(&TheDesk, EXPORT, "ada@mastodon.example");
    assert!(notes[0].contains("import the file"), "{notes:?}");
    assert_changes_only_the_token(&TheDesk, EDITED, "b_orges@fosstodon.example");
    let before = format!(
        "\u{feff}{}",
        fs::read_to_string(data(EDITED))
            .unwrap()
            .replace('\n', "\r\n")
    );
    let (action, _, after) = restore(
        &before,
        &record("FOSSTODON.example", Some("B_Orges"), NEW_TOKEN),
    );
    assert_eq!(action, Action::Update);
    let former = "BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc";
    assert_eq!(after, before.replace(former, NEW_TOKEN));
}

#[test]
fn a_new_account_is_the_last_and_has_a_login_only_to_refresh_it() {
    let mut new = record("new.example", Some("zoe"), NEW_TOKEN);
    new.app.client_id = Some("id".to_owned());
    new.app.client_secret = Some(Secret::from("secret"));
    new.app.base_url = Some("https://api.new.example".to_owned());
    for (refresh_token, rt) in [(None, ""), (Some("fresh"), "rt:'fresh id secret',")] {
        new.refresh_token = refresh_token.map(Secret::from);
        let before = fs::read_to_string(data(EXPORT)).unwrap();
        let (action, _, after) = restore(&before, &new);
        assert_eq!(action, Action::Insert);
        let added = format!(
            ",{{at:'{NEW_TOKEN}',{rt}name:'zoe',domain:'api.new.example',user:'zoe',prof:'../../img/missing.svg',\
             id:'id+pseudo',vis:'public'}}"
        );
        assert_eq!(
            after,
            before.replace("],columns:", &format!("{added}],columns:"))
        );
    }
    let (_, _, after) = restore("{accts:[],columns:[],ksc:[]}", &new);
    assert_eq!(keys(&import_text(after).unwrap()).len(), 1);
    let (action, _, after) = restore(&fs::read_to_string(data(EDITED)).unwrap(), &new);
    assert_eq!(action, Action::Insert);
    assert_eq!(keys(&import_text(after).unwrap()).len(), 2);
}

#[test]
fn what_the_import_would_choke_on_is_not_written() {
    let ada = record("m.example", Some("ada"), NEW_TOKEN);
    let account = "accts:[{at:'t',domain:'m.example',user:'ada'}]";
    for (text, record, why) in [
        (format!("{{{account},columns:[]}}"), &ada, "\"ksc\""),
        (format!("{{{account},ksc:[]}}"), &ada, "\"columns\""),
        (
            format!("{{{account},ksc:[],columns:{{}}}}"),
            &ada,
            "\"columns\"",
        ),
        (
            fs::read_to_string(data(STORAGE)).unwrap(),
            &ada,
            "can only be read",
        ),
        (
            fs::read_to_string(data(EDITED)).unwrap(),
            &record("misskey.example", Some("mk"), NEW_TOKEN),
            "not Mastodon's",
        ),
        (
            fs::read_to_string(data(EXPORT)).unwrap(),
            &record("new.example", None, NEW_TOKEN),
            "not known",
        ),
    ] {
        let (action, detail, after) = restore(&text, record);
        assert_eq!(action, Action::Refuse, "{detail}");
        assert!(detail.contains(why), "{detail}");
        assert_eq!(after, text);
    }
}

#[test]
fn exports_are_found_where_people_save_them_and_several_must_be_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let downloads = home.join("Downloads");
    fs::create_dir(&downloads).unwrap();
    let (old, older) = (
        downloads.join("mine.thedeskconfigv2"),
        home.join("export.thedeskconfig"),
    );
    fs::copy(data(EXPORT), &old).unwrap();
    fs::copy(data(EXPORT), &older).unwrap();
    fs::write(home.join("thedeskconfig.json5"), "").unwrap();
    let surroundings = Surroundings {
        home: home.to_owned(),
        ..Surroundings::default()
    };
    assert_eq!(TheDesk.usual_places(&surroundings), [old, older]);
    assert_eq!(import(&downloads).tokens.len(), 5);
    fs::copy(data(EXPORT), downloads.join("b.thedeskconfig.json5")).unwrap();
    let error = TheDesk.read(&read(&downloads)).unwrap_err();
    assert!(error.to_string().contains("several exports"), "{error}");
    fs::copy(data(EDITED), downloads.join("export.thedeskconfig.json5")).unwrap();
    assert_eq!(import(&downloads).tokens.len(), 1);
    for path in [home.join("Documents"), home.join("Downloads/none")] {
        let error = TheDesk.read(&read(&path)).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn an_export_behind_a_link_is_written_where_it_is() {
    let (folder, path) = copied(EXPORT);
    let link = folder.path().join("link.thedeskconfig.json5");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let ada = record("mastodon.example", Some("ada"), NEW_TOKEN);
    TheDesk
        .plan(&write(&link), &[ada])
        .unwrap()
        .apply()
        .unwrap();
    assert!(link.is_symlink());
    assert!(fs::read_to_string(path).unwrap().contains(NEW_TOKEN));
}

#[test]
fn damage_and_what_is_not_ours_are_told_without_secrets() {
    for sample in [EXPORT, EDITED, STORAGE] {
        assert_survives_damage(&TheDesk, sample);
    }
    for not_ours in [
        "",
        "{}",
        "[]",
        "{accts:1}",
        "{accts:[]}",
        "{accts:[1],columns:[]}",
        r#"{"multi":"1"}"#,
        r#"{"multi":"[{}]"}"#,
        r#"{"multi":"["}"#,
        r#"{"accounts":"[{\"accessToken\":\"t\"}]","servers":"[]"}"#,
        r#"{"accounts":"[]"}"#,
    ] {
        let error = import_text(not_ours).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{not_ours}");
    }
    let account = "{at:'t',domain:'m.example',user:'ada'}";
    for (damaged, what) in [
        ("{at:5,domain:'m.example',user:'eve'}", "string for \"at\""),
        ("{domain:'m.example'}", "string for \"at\""),
        ("7", "string for \"at\""),
        ("{at:'t2',domain:'no host',user:'eve'}", "instance"),
    ] {
        let snapshot = import_text(format!("{{accts:[{account},{damaged}]}}")).unwrap();
        assert_eq!(keys(&snapshot), ["ada@m.example"], "{damaged}");
        assert!(warnings(&snapshot)[0].contains(what), "{damaged}");
        assert_eq!(snapshot.completeness, Completeness::Partial, "{damaged}");
    }
    // Of two keys that are alike the last counts, as in the program.
    let twice = "{accts:[{at:'a',at:'b',domain:'m.example',user:'ada'}]}";
    let found = records(&import_text(twice).unwrap());
    assert_eq!(found[0].access_token.expose(), "b");
}

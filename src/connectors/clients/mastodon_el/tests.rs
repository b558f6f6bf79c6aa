use std::fs;

use super::*;
use crate::{
    connectors::testing::{
        self, NEW_TOKEN, assert_changes_only_the_token, assert_survives_damage,
        assert_takes_back_its_own, copied, data, read, record, records, warnings, write,
    },
    model::{Action, Completeness, Domain},
};

const SAMPLE: &str = "mastodon-el/mastodon.plstore";
const TOKEN_OF_ADA: &str = "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";

/// A plstore with these entries.
fn stored(entries: &str) -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = copied(SAMPLE);
    let text = format!(";;; public entries -*- mode: plstore -*- \n({entries})\n");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// Users with their tokens, and warnings.
fn told(path: &std::path::Path) -> (Vec<(String, String)>, Vec<String>) {
    let snapshot = MastodonEl.read(&read(path)).unwrap();
    let records = records(&snapshot).into_iter().map(|record| {
        let user = record.user.name().unwrap_or("?");
        let key = format!("{user}@{}", record.instance);
        (key, record.access_token.expose().to_owned())
    });
    let warnings = warnings(&snapshot).into_iter().map(str::to_owned);
    (records.collect(), warnings.collect())
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(user, token): &(&str, &str)| ((*user).to_owned(), (*token).to_owned());
    of.iter().map(own).collect()
}

#[test]
fn the_active_user_is_read_once_with_the_name_of_its_app() {
    let snapshot = MastodonEl.read(&read(&data(SAMPLE))).unwrap();
    let records = records(&snapshot);
    assert_eq!(records.len(), 1);
    let ada = &records[0];
    assert_eq!(ada.key().to_string(), "ada@mastodon.example/mastodon.el");
    assert_eq!(ada.access_token.expose(), TOKEN_OF_ADA);
    let id = ada.app.client_id.as_deref();
    assert_eq!(id, Some("vlwohvSvN6SoDACsa6U4pp4d-I-D_VZ2y025-GQxpYo"));
    assert!(
        ada.app
            .client_secret
            .as_ref()
            .unwrap()
            .expose()
            .starts_with("MHfCpw")
    );
    assert_eq!(ada.app.redirect_uris, ["urn:ietf:wg:oauth:2.0:oob"]);
    assert_eq!(
        ada.app.base_url.as_deref(),
        Some("https://mastodon.example")
    );
    assert_eq!((&ada.scopes, ada.created_at), (&None, None));
    assert!(warnings(&snapshot).is_empty());
}

#[test]
fn the_app_is_named_as_it_was_registered() {
    let app = r#"("mastodon-https://M.example/" :name "mine" :redirect_uri "x:y" :client_id "i" :client_secret "s")"#;
    let user = r#"("user-ada@m.example" :instance "https://m.example" :client_id "i" :client_secret "s" :access_token "t1")"#;
    let other = user.replace(r#""i""#, r#""j""#).replace("ada", "bea");
    let (_folder, path) = stored(&format!("{app} {user} {other}"));
    let records = records(&MastodonEl.read(&read(&path)).unwrap());
    let apps = records.iter().map(|record| {
        let name = record.app.name.clone().unwrap();
        (name, record.app.redirect_uris[0].clone())
    });
    let apps: Vec<_> = apps.collect();
    assert_eq!(
        apps,
        pairs(&[
            ("mine", "x:y"),
            ("mastodon.el", "urn:ietf:wg:oauth:2.0:oob")
        ])
    );
}

#[test]
fn a_copy_counts_where_it_is_all_that_is_left() {
    let active = r#"("active-user" :username "ada@m.example" :instance "https://M.example" :access_token "t1")"#;
    for (entries, expected) in [
        (active.to_owned(), vec![("ada@m.example", "t1")]),
        // Of another login.
        (
            format!(r#"{active} ("user-ada@m.example" :access_token "t2")"#),
            vec![("ada@m.example", "t2"), ("ada@m.example", "t1")],
        ),
        (
            format!(r#"{active} ("user-bea@m.example" :access_token "t2")"#),
            vec![("bea@m.example", "t2"), ("ada@m.example", "t1")],
        ),
        // Left to auth-source in one, and in clear in the other.
        (
            format!(r#"{active} ("user-ada@m.example" :instance "https://m.example")"#),
            vec![("ada@m.example", "t1")],
        ),
    ] {
        let (_folder, path) = stored(&entries);
        let (held, warnings) = told(&path);
        assert_eq!(held, pairs(&expected), "{entries}");
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[test]
fn what_emacs_prints_otherwise_is_read() {
    for entry in [
        "(\"user-ada@m.example\"\n  :username\n  \"ada@m.example\" :vapid [1 nil :json-false] :access_token ; mine\n \"t1\")",
        "(\"user-ada@m.example\" :access_token \"\\1641\")",
        "(\"user-ada@m.example\" :access_token \"t1\" :access_token \"t2\")",
        "(\"user-ada@m.example\" :display \"J\\303\\266rg \\377\" :access_token \"t\\\n1\")",
        "(\"user-ada@m.example\" :x \":access_token\" :access_token \"t1\" :odd)",
    ] {
        let (_folder, path) = stored(entry);
        let text = fs::read_to_string(&path).unwrap();
        for newline in ["\n", "\r\n"] {
            fs::write(&path, format!("\u{feff}{}", text.replace('\n', newline))).unwrap();
            assert_eq!(told(&path).0, pairs(&[("ada@m.example", "t1")]), "{entry}");
        }
    }
}

#[test]
fn a_token_that_is_elsewhere_is_told_with_the_way_to_it() {
    let (held, warnings) = told(&data("mastodon-el/encrypted.plstore"));
    assert_eq!((held.len(), warnings.len()), (0, 1));
    assert!(warnings[0].starts_with("account \"ada@mastodon.example\": its token is encrypted"));
    assert!(
        warnings[0].contains("mastodon-client--token-file) \"user-ada@mastodon.example\")"),
        "{warnings:?}"
    );
    let elsewhere = r#"("user-ada@m.example" :username "ada@m.example" :instance "https://m.example")
        ("active-user" :username "ada@m.example" :instance "https://m.example" :secret-access_token t)"#;
    let (_folder, path) = stored(elsewhere);
    let (_, warnings) = told(&path);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("auth-source"), "{warnings:?}");
    assert!(warnings[0].contains("machine m.example login ada password "));
    // A name that would be a command's.
    let (_folder, path) = stored(r#"("user-a\"(x)@m.example" :secret-access_token t)"#);
    let (_, warnings) = told(&path);
    assert!(
        warnings[0].contains("token-file) \"NAME\")"),
        "{warnings:?}"
    );
    for (entry, why, completeness) in [
        (
            "(\"user-a@m.example\" :access_token 5)",
            "expected a string",
            Completeness::Partial,
        ),
        (
            "(\"user-a@m.example\" :access_token nil)",
            "no token",
            Completeness::Complete,
        ),
        (
            "(\"user-a@m.example\" :access_token \"\")",
            "no token",
            Completeness::Complete,
        ),
        (
            "(\"mastodon-https://m.example\" :client_id \"i\")",
            "only",
            Completeness::Complete,
        ),
        (
            "(\"active-user\" :access_token \"\") (\"oauth-x\" :access_token \"t\")",
            "oauth-x",
            Completeness::Complete,
        ),
    ] {
        let (_folder, path) = stored(entry);
        let snapshot = MastodonEl.read(&read(&path)).unwrap();
        assert!(snapshot.tokens.is_empty());
        assert_eq!(snapshot.completeness, completeness, "{entry}");
        let warnings = testing::warnings(&snapshot);
        let why = if why == "only" {
            "apps and no accounts"
        } else {
            why
        };
        assert!(warnings[0].contains(why), "{entry}");
    }
}

#[test]
fn what_emacs_writes_out_in_clear_is_read() {
    // What the command in the warnings makes of the entry.
    let (_folder, path) = copied(SAMPLE);
    let clear = r#"(("user-ada@m.example" :username "ada@m.example" :instance "https://m.example" :access_token "t1"))"#;
    fs::write(&path, clear).unwrap();
    assert_eq!(told(&path).0, pairs(&[("ada@m.example", "t1")]));
    fs::write(
        &path,
        "machine m.example login ada password t1t1t1t1t1t1t1t1t1t1t1t1t1t1t1t1",
    )
    .unwrap();
    let mut request = read(&path);
    request.instance = Some(Domain::parse("m.example").unwrap());
    assert_eq!(MastodonEl.read(&request).unwrap().tokens.len(), 1);
}

#[test]
fn writing_changes_the_account_and_its_copy_and_nothing_else() {
    assert_eq!(assert_takes_back_its_own(&MastodonEl, SAMPLE), 1);
    let notes = assert_changes_only_the_token(&MastodonEl, SAMPLE, "ada@mastodon.example");
    assert!(
        notes.iter().any(|note| note.starts_with("restart Emacs")),
        "{notes:?}"
    );
    let (_folder, path) = copied(SAMPLE);
    let ada = record("mastodon.example", Some("ada"), NEW_TOKEN);
    let plan = MastodonEl.plan(&write(&path), &[ada]).unwrap();
    plan.apply().unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(after.matches(NEW_TOKEN).count(), 2);
    assert!(!after.contains(TOKEN_OF_ADA));
}

#[test]
fn what_cannot_be_written_is_refused() {
    let ada = || record("mastodon.example", Some("ada"), NEW_TOKEN);
    let zoe = record("mastodon.example", Some("zoe"), NEW_TOKEN);
    for (sample, record, why) in [
        (SAMPLE, zoe, "log in with mastodon.el"),
        ("mastodon-el/encrypted.plstore", ada(), "encrypted"),
    ] {
        let (_folder, path) = copied(sample);
        let plan = MastodonEl.plan(&write(&path), &[record]).unwrap();
        let change = &plan.plan().changes[0];
        assert_eq!(change.action, Action::Refuse);
        assert!(change.detail.contains(why), "{}", change.detail);
        plan.apply().unwrap();
        assert_eq!(fs::read(&path).unwrap(), fs::read(data(sample)).unwrap());
    }
    let (_folder, path) = copied(SAMPLE);
    fs::write(&path, "machine mastodon.example login ada password x").unwrap();
    let error = MastodonEl.plan(&write(&path), &[ada()]).err().unwrap();
    assert!(matches!(error, Error::NotWritable { .. }), "{error}");
}

#[test]
fn a_link_to_the_store_stays_one() {
    let (folder, path) = copied(SAMPLE);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let ada = record("mastodon.example", Some("ada"), NEW_TOKEN);
    let plan = MastodonEl.plan(&write(&link), &[ada]).unwrap();
    plan.apply().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&path).unwrap().contains(NEW_TOKEN));
}

#[test]
fn damage_is_told_without_secrets() {
    assert_survives_damage(&MastodonEl, SAMPLE);
    assert_survives_damage(&MastodonEl, "mastodon-el/encrypted.plstore");
    for not_ours in [
        "",
        ";;; public entries -*- mode: plstore -*- \nnil\n",
        "(\"user-a@m.example\" :access_token \"t\")",
        "((\"oauth\" :access_token \"t\"))",
        "((\"user-a@m.example\" :access_token \"t\")) \"text\"",
        "((\"user-a@m.example\" :access_token \"t\") x)",
        "(setq x '((\"user-a@m.example\")))",
    ] {
        let (_folder, path) = copied(SAMPLE);
        fs::write(&path, not_ours).unwrap();
        let error = MastodonEl.read(&read(&path)).err().unwrap();
        assert!(
            matches!(error, Error::Malformed { .. }),
            "{not_ours}: {error}"
        );
    }
}

#[test]
fn it_is_found_where_emacs_keeps_things() {
    let folder = tempfile::tempdir().unwrap();
    let surroundings = Surroundings {
        home: folder.path().to_owned(),
        config: folder.path().join(".config"),
        ..Surroundings::default()
    };
    for place in [
        ".emacs.d",
        ".config/emacs",
        ".emacs.d/var",
        ".config/emacs/var/mastodon",
    ] {
        let file = folder.path().join(place).join("mastodon.plstore");
        assert!(
            MastodonEl.usual_places(&surroundings).contains(&file),
            "{place}"
        );
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::copy(data(SAMPLE), &file).unwrap();
        assert_eq!(told(folder.path()).0.len(), 1, "{place}");
        fs::remove_file(file).unwrap();
    }
    assert!(matches!(
        MastodonEl.read(&read(folder.path())),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn of_a_file_of_passwords_only_the_token_asked_for_is_read() {
    let token = "tokentokentokentokentokentokentoken_of-zoe1";
    let text = format!(
        "# machine m.example login c password {token}\n\
         macdef init\n machine m.example login d password {token}\n\n\
         machine m.example login zoe@mail.example password hunter2-of-the-mail\n\
         machine m.example login ada password \"correct horse battery staple, all of it\"\n\
         machine m.example port https login zoe password {token}\n\
         machine imap.mail.example login zoe password secret-of-mail\n\
         machine m.example\n  login 'zoe' password {token}\n\
         machine m.example login eve password gpg:LS0tLS1CRUdJTiBQR1AgTUVTU0FHRS0tLS0tLS0t\n\
         machine other.example login zoe password {token}2\n\
         default login anonymous password secret-of-all\n"
    );
    let (_folder, path) = copied(SAMPLE);
    fs::write(&path, &text).unwrap();
    let mut request = read(&path);
    assert!(!MastodonEl.fits(&request), "nobody asked for it");
    let error = MastodonEl.read(&request).unwrap_err().to_string();
    assert!(error.contains("--instance"), "{error}");
    request.instance = Some(Domain::parse("nobody.example").unwrap());
    assert!(matches!(
        MastodonEl.read(&request),
        Err(Error::Malformed { .. })
    ));
    request.instance = Some(Domain::parse("m.example").unwrap());
    assert!(!MastodonEl.fits(&request), "nobody named the connector");
    let snapshot = MastodonEl.read(&request).unwrap();
    let held: Vec<_> = records(&snapshot)
        .iter()
        .map(|it| it.key().to_string())
        .collect();
    assert_eq!(held, ["zoe@m.example/mastodon.el"]);
    assert!(
        snapshot
            .source
            .location
            .ends_with("mastodon.plstore (m.example)")
    );
    let told = warnings(&snapshot).join("\n");
    let lines: Vec<_> = told
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(lines, ["line 5", "line 6", "line 7", "line 11"]);
    for secret in ["hunter2", "horse", "secret", "LS0t", "mail.example", token] {
        assert!(
            !told.contains(secret) && !error.contains(secret),
            "{secret}"
        );
    }
    request.user = Some("ADA".to_owned());
    let snapshot = MastodonEl.read(&request).unwrap();
    assert_eq!((snapshot.tokens.len(), snapshot.warnings.len()), (0, 1));
    assert_eq!(snapshot.scope, crate::model::Scope::User("ADA".to_owned()));
}

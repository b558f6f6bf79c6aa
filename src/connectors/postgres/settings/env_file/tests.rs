use std::{collections::BTreeMap, fs};

use proptest::prelude::*;

use crate::model::Secret;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter();
    Environment {
        variables: variables
            .map(|(name, value)| ((*name).to_owned(), Secret::from(*value)))
            .collect::<BTreeMap<_, _>>(),
        home: "/nonexistent".into(),
        user: "me".to_owned(),
    }
}

fn of(
    file: &str,
    which: Which,
    variables: &[(&str, &str)],
) -> Result<(Settings, Vec<String>), String> {
    let mut warnings = Vec::new();
    let settings = settings(
        file.as_bytes(),
        &environment(variables),
        which,
        &mut warnings,
    );
    settings
        .map(|settings| (settings, warnings))
        .map_err(|Problem(what)| what)
}

fn primary(file: &str) -> Settings {
    let (settings, warnings) = of(file, Which::Primary, &[]).unwrap();
    assert_eq!(warnings, [""; 0], "{file}");
    settings
}

fn password(file: &str) -> String {
    let password = primary(file).password;
    password
        .map(|password| password.expose().to_owned())
        .unwrap_or_default()
}

#[test]
fn an_empty_file_means_what_mastodon_takes_it_for() {
    let settings = primary("");
    assert_eq!(settings.location(), "localhost:5432/mastodon_production");
    assert_eq!(
        (settings.user.as_str(), &settings.password),
        ("mastodon", &None)
    );
    assert_eq!(settings.tls.mode, super::super::SslMode::Prefer);
    assert!(settings.prepared_statements);
    assert_eq!((settings.local_domain, settings.web_domain), (None, None));
}

#[test]
fn a_file_of_the_setup_wizard_is_read() {
    let settings = primary(
        "# Generated with mastodon:setup on 2026-01-02 03:04:05 UTC\n\nLOCAL_DOMAIN=m.example\nWEB_DOMAIN=www.m.example\nSINGLE_USER_MODE=false\nSECRET_KEY_BASE=abc\nDB_HOST=/var/run/postgresql\nDB_PORT=6432\nDB_NAME=mastodon\nDB_USER='me'\nDB_PASS='pa ss'\nDB_SSLMODE=require\nPREPARED_STATEMENTS=false\nSMTP_PASSWORD=\"x\"\n",
    );
    assert_eq!(settings.location(), "/var/run/postgresql:6432/mastodon");
    assert!(settings.is_socket());
    assert_eq!(settings.user, "me");
    assert_eq!(settings.password, Some(Secret::from("pa ss")));
    assert_eq!(settings.tls.mode, super::super::SslMode::Require);
    assert!(!settings.prepared_statements);
    assert_eq!(settings.local_domain.unwrap().as_str(), "m.example");
    assert_eq!(settings.web_domain.unwrap().as_str(), "www.m.example");
    assert_eq!(settings.password_note, Some(PasswordNote::Quoted));
}

/// dotenv 3 (Ruby) read 20,000 random values as they are read here, where they are not refused.
#[test]
fn values_are_what_rubys_dotenv_makes_of_them() {
    for (line, value) in [
        ("DB_PASS=plain", "plain"),
        ("DB_PASS='a#$X\\b'", "a#$X\\b"),
        ("DB_PASS=a#b", "a"),
        ("DB_PASS=a # b", "a"),
        ("DB_PASS=\"a#b\"", "a#b"),
        (r#"DB_PASS="it's \"q\" \\ \$X""#, r#"it's "q" \ $X"#),
        (r"DB_PASS=a\b\$c", "ab$c"),
        ("X=1\nDB_PASS=a${X}b$X", "a1b1"),
        ("X=1\nDB_PASS=\"<$X}>\"", "<1>"),
        ("X=1\nDB_PASS='$X'", "$X"),
        ("X=1\nDB_PASS=$ $$ ${", "$ $$ ${"),
        ("X='$Y'\nY=2\nDB_PASS=$X", "$Y"),
        ("X=1\nDB_PASS=$X\nX=2", "1"),
        ("DB_PASS=old\nDB_PASS=new$DB_PASS", "newold"),
        ("export DB_PASS=a", "a"),
        ("DB_PASS=$(x", "$(x"),
    ] {
        assert_eq!(password(line), value, "{line}");
    }
}

#[test]
fn a_variable_that_is_not_set_is_empty_with_a_warning() {
    let (settings, warnings) = of("DB_PASS=a${NONE}b$ALSO", Which::Primary, &[]).unwrap();
    assert_eq!(settings.password, Some(Secret::from("ab")));
    assert_eq!(warnings.len(), 1);
}

#[test]
fn commands_are_never_run() {
    for file in [
        "DB_PASS=$(cat /x)",
        "DB_PASS=\"a$(cat /x)\"",
        "X=$(id)\nDB_NAME=$X",
    ] {
        let what = of(file, Which::Primary, &[]).unwrap_err();
        assert!(what.contains("commands are never run"), "{what}");
        assert!(!what.contains("cat"), "{what}");
    }
    // Of what is not asked for, nobody wants to know.
    assert_eq!(password("OTHER=$(id)\nDB_PASS='$(id)'"), "$(id)");
    let set = [("DB_PASS", "env")];
    let (settings, _) = of("DB_PASS=$(id)", Which::Primary, &set).unwrap();
    assert_eq!(settings.password, Some(Secret::from("env")));
}

#[test]
fn the_environment_wins_over_the_file_and_database_url_over_the_rest() {
    let file = "DB_HOST=file\nDB_PASS='file'\nDB_PORT=1\nDB_SSLMODE=disable\nDB_NAME=n";
    let set = [("DB_HOST", "env"), ("DB_PASS", "env")];
    let (settings, _) = of(file, Which::Primary, &set).unwrap();
    assert_eq!(settings.location(), "env:1/n");
    assert_eq!(settings.password, Some(Secret::from("env")));
    assert_eq!(settings.password_note, None);
    for (url, location, user, password) in [
        ("postgres://u:p%40@h:7/d", "h:7/d", "u", "p@"),
        (
            "postgresql://u@h/d?pool=5&prepared_statements=x",
            "h:1/d",
            "u",
            "file",
        ),
        (
            "postgres:///?host=/run/pg",
            "/run/pg:1/n",
            "mastodon",
            "file",
        ),
    ] {
        let (settings, _) =
            of(&format!("{file}\nDATABASE_URL={url}"), Which::Primary, &[]).unwrap();
        assert_eq!(settings.location(), location, "{url}");
        assert_eq!(settings.user, user, "{url}");
        assert_eq!(settings.password, Some(Secret::from(password)), "{url}");
        assert_eq!(settings.tls.mode, super::super::SslMode::Disable);
    }
}

#[test]
fn a_replica_has_its_own_settings_or_the_primarys() {
    let file = "DB_HOST=a\nDB_USER=u\nDB_PASS=p\nREPLICA_DB_HOST=b\nREPLICA_DB_PASS='q'\nPREPARED_STATEMENTS=false";
    let (settings, _) = of(file, Which::Replica, &[]).unwrap();
    assert_eq!(settings.location(), "b:5432/mastodon_production");
    assert_eq!(settings.user, "u");
    assert_eq!(settings.password, Some(Secret::from("q")));
    assert_eq!(settings.password_note, Some(PasswordNote::Quoted));
    assert!(!settings.prepared_statements);
    assert_eq!(primary(file).location(), "a:5432/mastodon_production");
    let with_url =
        format!("{file}\nDATABASE_URL=postgres://x/y\nREPLICA_DATABASE_URL=postgres://r/s");
    let (settings, _) = of(&with_url, Which::Replica, &[]).unwrap();
    assert_eq!(settings.location(), "r:5432/s");
    let (settings, _) = of("DATABASE_URL=postgres://x/y", Which::Replica, &[]).unwrap();
    assert_eq!(settings.location(), "x:5432/y");
}

#[test]
fn quotes_and_hashes_that_others_read_differently_are_noted() {
    for (file, note) in [
        ("DB_PASS=plain # c", None),
        ("DB_PASS='quoted'", Some(PasswordNote::Quoted)),
        ("DB_PASS=a#b", Some(PasswordNote::CutAtHash)),
        ("DB_PASS=''", None),
        (
            "DB_PASS=x\nDATABASE_URL=\"postgres://u:p@h\"",
            Some(PasswordNote::Quoted),
        ),
        ("DB_PASS='x'\nDATABASE_URL=postgres://u:p@h", None),
        (
            "DB_PASS='x'\nDATABASE_URL=postgres://u@h",
            Some(PasswordNote::Quoted),
        ),
    ] {
        assert_eq!(primary(file).password_note, note, "{file}");
    }
}

#[test]
fn what_libpq_would_find_in_the_file_counts() {
    let settings = primary("PGPASSWORD=p\nPGSSLROOTCERT=/x/root.crt");
    assert_eq!(settings.password, Some(Secret::from("p")));
    let roots = super::super::Roots::File("/x/root.crt".into());
    assert_eq!(settings.tls.roots, roots);
    // An empty DB_HOST leaves it to libpq.
    assert_ne!(primary("DB_HOST=\nDB_PORT=1").host, "");
    assert_eq!(
        primary("DB_HOST=/no/socket\nDB_PORT=1").location(),
        "/no/socket:1/mastodon_production"
    );
}

#[test]
fn what_is_wrong_is_told_without_values() {
    for (file, told) in [
        ("DB_PORT=hunter2", "DB_PORT: port is not a number"),
        ("DB_PORT=0", "DB_PORT"),
        ("DB_PORT=65536", "DB_PORT"),
        ("DB_SSLMODE=hunter2", "DB_SSLMODE"),
        ("DB_HOST=hunter2@x", "DB_HOST: host is neither"),
        ("DB_HOST=a,hunter2", "DB_HOST: host names several hosts"),
        (
            "\nDB_PASS='hunter2",
            "line 2: DB_PASS: a quote is not closed",
        ),
        (
            "export DB_PASS=\"a\"hunter2",
            "line 1: DB_PASS: text follows",
        ),
        ("DB_PASS=hunter2\0", "DB_PASS: password holds a NUL"),
        (
            "DATABASE_URL=mysql2://u:hunter2@h/d",
            "DATABASE_URL: this is no URL",
        ),
        (
            "DATABASE_URL=postgres://u:hunter2@h:x/d",
            "DATABASE_URL: port can't be used",
        ),
        (
            "DATABASE_URL=postgres://u:hunter2@x@h/d",
            "DATABASE_URL: there is an @ too many",
        ),
        (
            "DB_SSLMODE=verify-full",
            "sslmode=verify-full needs a certificate",
        ),
    ] {
        let what = of(file, Which::Primary, &[]).unwrap_err();
        assert!(what.starts_with(told), "{file}: {what}");
        assert!(!what.contains("hunter2"), "{file}: {what}");
    }
    let (settings, warnings) = of(
        "nonsense hunter2\nWHAT?\nLOCAL_DOMAIN=a b",
        Which::Primary,
        &[],
    )
    .unwrap();
    assert_eq!(settings.local_domain, None);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(!warnings.concat().contains("hunter2"));
}

#[test]
fn hostile_files_are_refused_or_read_in_no_time() {
    assert!(
        settings(
            b"DB_PASS=\xff",
            &environment(&[]),
            Which::Primary,
            &mut Vec::new()
        )
        .is_err()
    );
    // Each level doubles the one before: 2^10000 in all.
    let levels = (1..10_000).map(|level| format!("A{level}=$A{0}$A{0}\n", level - 1));
    let doubling = levels.collect::<Vec<_>>().concat();
    assert!(
        of(
            &format!("A0=x\n{doubling}DB_PASS=$A9999"),
            Which::Primary,
            &[]
        )
        .is_err()
    );
    let wide = format!("A=\n{}", "B=$A$A$A$A$A$A$A$A$A$A\n".repeat(10_000));
    assert!(
        of(
            &format!("{wide}DB_PASS={}", "$B".repeat(10_000)),
            Which::Primary,
            &[]
        )
        .is_err()
    );
    let long = format!("A={}\nDB_PASS={}", "x".repeat(60_000), "$A".repeat(100));
    assert!(of(&long, Which::Primary, &[]).is_err());
    assert!(of("DB_PASS=$DB_PASS", Which::Primary, &[]).is_ok());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env.production");
    fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    let read = Settings::from_env_file(&path, &environment(&[]));
    assert!(matches!(read, Err(Error::File { .. })));
}

#[test]
fn nothing_else_of_the_file_is_kept() {
    let settings = primary(
        "SECRET_KEY_BASE=s3cret\nOTP_SECRET=s3cret\nVAPID_PRIVATE_KEY=s3cret\nDB_PASS=s3cret",
    );
    assert!(!format!("{settings:?}").contains("s3cret"));
    assert_eq!(settings.password, Some(Secret::from("s3cret")));
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(
        text in "(DB_PASS=|DB_HOST=|DATABASE_URL=|postgres://|export |[$(){}'\"\\\\#= \nA]|\\PC){0,40}",
    ) {
        drop(of(&text, Which::Primary, &[]));
    }

    #[test]
    fn a_password_in_single_quotes_is_itself(password in "[^'\0\r]{1,20}") {
        let (settings, _) = of(&format!("DB_PASS='{password}'"), Which::Primary, &[]).unwrap();
        prop_assert_eq!(settings.password, Some(Secret::from(password.as_str())));
    }
}

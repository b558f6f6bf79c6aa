use std::{fs, os::unix::fs::PermissionsExt};

use super::*;

fn environment(home: &Path, variables: &[(&str, &str)]) -> Environment {
    Environment {
        variables: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::from(*value)))
            .collect(),
        home: home.to_owned(),
        user: "me".to_owned(),
    }
}

fn url(text: &str) -> Settings {
    let (settings, warnings) =
        Settings::from_url(text, &environment(Path::new("/none"), &[])).unwrap();
    assert_eq!(warnings, [""; 0]);
    settings
}

fn refused(text: &str) -> String {
    match Settings::from_url(text, &environment(Path::new("/none"), &[])) {
        Err(Error::Typed { detail }) => detail,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_nobody_says_is_as_libpq_has_it() {
    let settings = url("host=h");
    assert_eq!(settings.location(), "h:5432/me");
    assert_eq!((settings.user.as_str(), &settings.password), ("me", &None));
    assert_eq!(settings.tls, Tls::default());
    assert_eq!(settings.connect_timeout, Some(Duration::from_secs(10)));
    assert_eq!(url("host=h user=you").location(), "h:5432/you");
    assert_eq!(url("hostaddr=::1").location(), "[::1]:5432/me");
    assert_eq!(url("postgres://[::1]:7/d").location(), "[::1]:7/d");
    assert_eq!(
        url("host=/run/pg hostaddr=127.0.0.1").location(),
        "127.0.0.1:5432/me"
    );
    assert_eq!(url("host=h connect_timeout=0").connect_timeout, None);
    let nobody = Environment::default();
    assert!(matches!(
        Settings::from_url("host=h", &nobody),
        Err(Error::Typed { .. })
    ));
    // No server listens at port 1, and so there is no socket of it either.
    let (settings, _) =
        Settings::from_environment(&environment(Path::new("/none"), &[("PGPORT", "1")])).unwrap();
    assert_eq!(settings.location(), "localhost:1/me");
}

#[test]
fn the_string_comes_before_the_service_and_that_before_the_variables() {
    let home = tempfile::tempdir().unwrap();
    fs::write(
        home.path().join(".pg_service.conf"),
        "[s]\nhost=service\nport=2\n",
    )
    .unwrap();
    let variables = [
        ("PGSERVICE", "s"),
        ("PGHOST", "variable"),
        ("PGPORT", "3"),
        ("PGDATABASE", "d"),
        ("PGPASSWORD", "p"),
        ("PGUSER", ""),
    ];
    let environment = environment(home.path(), &variables);
    let (settings, _) = Settings::from_url("host=typed", &environment).unwrap();
    assert_eq!(settings.location(), "typed:2/d");
    assert_eq!(settings.password, Some(Secret::from("p")));
    assert_eq!(settings.user, "me");
    let (settings, _) = Settings::from_environment(&environment).unwrap();
    assert_eq!(settings.location(), "service:2/d");
    let (settings, _) = Settings::from_url("postgres://h/?service=s", &environment).unwrap();
    assert_eq!(settings.location(), "h:2/d");
    let gone = Settings::from_url("service=other", &environment);
    assert!(matches!(gone, Err(Error::Typed { .. })));
}

#[test]
fn a_password_that_is_typed_is_refused_whatever_else_is_wrong() {
    for text in [
        "postgres://u:hunter2@h/d",
        "postgres://h/d?password=hunter2",
        "postgres://h/d?p%61ssword=hunter2",
        "host=h password=hunter2 port=x",
        "nonsense=1 password='hunter2'",
        "sslpassword=hunter2",
    ] {
        let error = Settings::from_url(text, &Environment::default()).unwrap_err();
        assert!(matches!(error, Error::PasswordTyped), "{text}: {error:?}");
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
    assert_eq!(url("postgres://u:@h").password, None);
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (text, told) in [
        ("host=h options=-cx", "options is not supported"),
        (
            "postgres://h?target_session_attrs=read-write",
            "target_session_attrs is not supported",
        ),
        ("host=h nonsense=1", "nonsense is not supported"),
        ("host=h hunter2!=1", "it holds a keyword that is not known"),
        ("host=a,b", "host names several hosts"),
        ("postgres://a,b/d", "it names several hosts"),
        ("host=h port=5432,5433", "port is not a number"),
        ("host=h port=0", "port is not a number"),
        ("hostaddr=h", "hostaddr is not one IP address"),
        ("host=h sslmode=yes", "sslmode is none of disable, allow"),
        ("host=h channel_binding=yes", "channel_binding is none of"),
        (
            "host=h connect_timeout=soon",
            "connect_timeout is not a number",
        ),
        ("host='a b'", "host is neither"),
        ("host=h gssencmode=require", "gssencmode is not supported"),
    ] {
        let detail = refused(text);
        assert!(detail.starts_with(told), "{text}: {detail}");
    }
    let settings = url(
        "host=h application_name=x client_encoding=latin1 gssencmode=disable target_session_attrs=any channel_binding=require",
    );
    assert_eq!(settings.channel_binding, ChannelBinding::Require);
}

#[test]
fn roots_and_identities_are_where_libpq_looks_for_them() {
    let home = tempfile::tempdir().unwrap();
    let of =
        |text: &str| Settings::from_url(text, &environment(home.path(), &[])).map(|it| it.0.tls);
    for mode in ["verify-ca", "verify-full"] {
        let error = of(&format!("host=h sslmode={mode}")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("sslmode={mode} needs a certificate"))
        );
        assert!(of(&format!("host=/run/pg sslmode={mode}")).is_ok());
        let named = of(&format!("host=h sslmode={mode} sslrootcert=/x")).unwrap();
        assert_eq!(named.roots, Roots::File("/x".into()));
    }
    let system = of("host=h sslrootcert=system").unwrap();
    assert_eq!(
        (system.mode, system.roots),
        (SslMode::VerifyFull, Roots::System)
    );
    assert!(of("host=h sslrootcert=system sslmode=require").is_err());
    assert_eq!(of("host=h").unwrap(), Tls::default());
    let folder = home.path().join(".postgresql");
    fs::create_dir(&folder).unwrap();
    for name in ["root.crt", "postgresql.crt"] {
        fs::write(folder.join(name), "").unwrap();
    }
    let found = of("host=h sslmode=verify-full").unwrap();
    assert_eq!(found.roots, Roots::File(folder.join("root.crt")));
    let identity = found.identity.unwrap();
    assert_eq!(identity.cert, folder.join("postgresql.crt"));
    assert_eq!(identity.key, folder.join("postgresql.key"));
}

#[test]
fn the_password_file_is_the_named_one_or_the_one_at_home() {
    let home = tempfile::tempdir().unwrap();
    for (name, password) in [(".pgpass", "home"), ("named", "named")] {
        let path = home.path().join(name);
        fs::write(&path, format!("*:*:*:*:{password}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let named = home.path().join("named");
    let password = |text: &str, variables: &[(&str, &str)]| {
        let settings = Settings::from_url(text, &environment(home.path(), variables))
            .unwrap()
            .0;
        settings.password.unwrap().expose().to_owned()
    };
    let variable = [("PGPASSFILE", named.to_str().unwrap())];
    assert_eq!(password("host=h", &[]), "home");
    assert_eq!(password("host=h", &variable), "named");
    assert_eq!(
        password(&format!("host=h passfile={}", named.display()), &[]),
        "named"
    );
    assert_eq!(password("host=h", &[("PGPASSWORD", "p"), variable[0]]), "p");
}

#[test]
fn variables_that_cannot_be_used_are_named_without_their_values() {
    for (name, value) in [
        ("PGPORT", "hunter2"),
        ("PGSSLMODE", "hunter2"),
        ("PGHOST", "u:hunter2@h"),
    ] {
        let error = Settings::from_environment(&environment(Path::new("/none"), &[(name, value)]));
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}: ")), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn nothing_that_is_shown_holds_the_password() {
    let environment = environment(Path::new("/none"), &[("PGPASSWORD", "hunter2")]);
    let (settings, _) = Settings::from_url("host=h", &environment).unwrap();
    let shown = format!("{settings:?} {environment:?} {}", settings.location());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn usual_places_are_asked_once_each() {
    let places = usual_env_files(Path::new("/home/mastodon"), Path::new("/opt/mastodon"));
    assert_eq!(places[0], Path::new("/opt/mastodon/.env.production"));
    assert_eq!(places[1], Path::new("/home/mastodon/live/.env.production"));
    let mut unique = places.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), places.len());
}

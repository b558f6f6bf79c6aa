//! Getting in, and being told why not: by every way and in every mode of encryption.

use std::{net::TcpListener, path::Path, time::Duration};

use tuskvault::{
    connectors::postgres::{
        CertificateFault, ChannelBinding, Environment, Error, Identity, PasswordNote, Roots,
        Settings, SslMode, connect,
    },
    model::Secret,
};

use crate::{
    certificates::Validity,
    cluster::{Cluster, PASSWORD, Role, cluster},
    database::{Database, Way},
    home::{Home, INIT},
    pooler::Pooler,
};

fn environment(password: &str) -> Environment {
    let mut environment = Environment::default();
    if !password.is_empty() {
        let variables = &mut environment.variables;
        variables.insert("PGPASSWORD".to_owned(), Secret::from(password));
    }
    environment
}

fn settings(url: &str, password: &str) -> Settings {
    Settings::from_url(url, &environment(password)).unwrap().0
}

/// Whom the server let in, and whether the connection is encrypted.
fn asked(settings: &Settings) -> Result<(String, bool), Error> {
    let mut client = connect(settings)?;
    let row = client.query_one(
        "SELECT current_user::text, current_setting('application_name'),
                coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)",
        &[],
    );
    let row = row.unwrap();
    assert_eq!(row.get::<_, &str>(1), "tuskvault");
    Ok((row.get(0), row.get(2)))
}

#[track_caller]
fn is_encrypted(settings: &Settings) -> bool {
    asked(settings).unwrap().1
}

#[track_caller]
fn why(settings: &Settings) -> Error {
    let error = asked(settings).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains(PASSWORD) && !shown.contains("hunter2"),
        "{shown}"
    );
    error
}

/// The first error once the server has heard of what was changed.
fn first_error(settings: &Settings) -> Error {
    let error = (0..10_000).find_map(|_| asked(settings).err());
    error.expect("the server hears of it")
}

fn own_settings(cluster: &Cluster, host: &str) -> Settings {
    let port = cluster.port;
    settings(
        &format!("postgres://mastodon@{host}:{port}/postgres"),
        PASSWORD,
    )
}

#[test]
fn every_role_comes_in_by_its_way() {
    let Some(database) = Database::bare() else {
        return;
    };
    for (role, way, password, encrypted) in [
        (Role::Superuser, Way::Socket, "", false),
        (Role::Peer, Way::Socket, "", false),
        (Role::Mastodon, Way::Socket, PASSWORD, false),
        (Role::Mastodon, Way::Tcp, PASSWORD, true),
        (Role::TlsOnly, Way::Tcp, PASSWORD, true),
    ] {
        let settings = settings(&database.url_as(role, way), password);
        let expected = (role.name().to_owned(), encrypted);
        assert_eq!(asked(&settings).unwrap(), expected, "{role:?}");
    }
}

#[test]
fn the_wizards_file_leads_in() {
    let Some(database) = Database::bare() else {
        return;
    };
    let home = Home::new();
    for way in [Way::Socket, Way::Tcp] {
        let path = database.env_file(home.path(), Role::Mastodon, way);
        let (settings, warnings) = Settings::from_env_file(&path, &environment("")).unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(
            settings.local_domain.as_ref().unwrap().as_str(),
            "m.example"
        );
        assert_eq!(asked(&settings).unwrap().0, "mastodon");
        // As Docker would have it: the quotes are a part of the password.
        let quoted = Secret::from("\"quoted\"");
        let wrong = Settings {
            password: Some(quoted),
            ..settings
        };
        let error = why(&wrong);
        let note = Some(PasswordNote::Quoted);
        assert!(
            matches!(&error, Error::PasswordRefused { note: found, .. } if *found == note),
            "{error:?}"
        );
    }
}

#[test]
fn every_mode_encrypts_and_verifies_as_libpq_does() {
    use SslMode as M;
    let Some(database) = Database::bare() else {
        return;
    };
    let tcp = settings(&database.url_as(Role::Mastodon, Way::Tcp), PASSWORD);
    let other_name = settings(&database.url_as(Role::Mastodon, Way::OtherName), PASSWORD);
    let authority = Roots::File(database.cluster.authority());
    let other = Roots::File(database.cluster.other_authority());
    let with = |settings: &Settings, mode: SslMode, roots: &Roots| {
        let mut settings = settings.clone();
        settings.tls.mode = mode;
        settings.tls.roots = roots.clone();
        settings
    };
    for (mode, encrypted) in [
        (M::Disable, false),
        (M::Allow, false),
        (M::Prefer, true),
        (M::Require, true),
    ] {
        for settings in [&tcp, &other_name] {
            assert_eq!(
                is_encrypted(&with(settings, mode, &Roots::None)),
                encrypted,
                "{mode}"
            );
        }
    }
    for mode in [M::Require, M::VerifyCa, M::VerifyFull] {
        assert!(is_encrypted(&with(&tcp, mode, &authority)), "{mode}");
        let error = why(&with(&tcp, mode, &other));
        let source = CertificateFault::UnknownIssuer;
        assert!(
            matches!(&error, Error::Untrusted { source: found, .. } if *found == source),
            "{mode}: {error:?}"
        );
    }
    assert!(is_encrypted(&with(&other_name, M::VerifyCa, &authority)));
    let error = why(&with(&other_name, M::VerifyFull, &authority));
    assert!(matches!(error, Error::WrongName { .. }), "{error:?}");
    // The name is the host's, wherever that is.
    let mut elsewhere = with(&tcp, M::VerifyFull, &authority);
    elsewhere.hostaddr = Some([127, 0, 0, 2].into());
    assert!(is_encrypted(&elsewhere));
    elsewhere.host = "elsewhere".to_owned();
    assert!(matches!(why(&elsewhere), Error::WrongName { .. }));
    let error = why(&with(&tcp, M::VerifyFull, &Roots::System));
    assert!(matches!(error, Error::Untrusted { .. }), "{error:?}");
    let missing = Roots::File("/nonexistent".into());
    assert!(matches!(
        why(&with(&tcp, M::Require, &missing)),
        Error::File { .. }
    ));
}

#[test]
fn the_login_can_be_bound_to_the_encrypted_connection() {
    let Some(database) = Database::bare() else {
        return;
    };
    let mut settings = settings(&database.url_as(Role::Mastodon, Way::Tcp), PASSWORD);
    settings.channel_binding = ChannelBinding::Require;
    assert!(is_encrypted(&settings));
    settings.tls.mode = SslMode::Disable;
    assert!(matches!(why(&settings), Error::Connect { .. }));
}

#[test]
fn a_role_for_encrypted_connections_alone_comes_in_on_the_second_try() {
    let Some(database) = Database::bare() else {
        return;
    };
    let mut settings = settings(&database.url_as(Role::TlsOnly, Way::Tcp), PASSWORD);
    settings.tls.mode = SslMode::Allow;
    assert!(is_encrypted(&settings));
    settings.password = Some(Secret::from("hunter2"));
    let error = why(&settings);
    assert!(matches!(error, Error::PasswordRefused { .. }), "{error:?}");
    settings.tls.mode = SslMode::Disable;
    let error = why(&settings);
    assert!(
        matches!(error, Error::NotAdmitted { is_peer: false, .. }),
        "{error:?}"
    );
}

#[test]
fn what_the_server_refuses_is_told_apart() {
    let Some(database) = Database::bare() else {
        return;
    };
    let at = |role, way, password| settings(&database.url_as(role, way), password);
    for way in [Way::Socket, Way::Tcp] {
        let error = why(&at(Role::Mastodon, way, "hunter2"));
        assert!(
            matches!(error, Error::PasswordRefused { note: None, .. }),
            "{error:?}"
        );
        let error = why(&at(Role::Mastodon, way, ""));
        assert!(matches!(error, Error::PasswordMissing { .. }), "{error:?}");
    }
    let error = why(&at(Role::Superuser, Way::Tcp, "hunter2"));
    assert!(
        matches!(error, Error::NotAdmitted { is_peer: false, .. }),
        "{error:?}"
    );
    let mut settings = at(Role::Superuser, Way::Socket, "");
    settings.dbname = "nonexistent".to_owned();
    assert!(matches!(why(&settings), Error::NoSuchDatabase { .. }));
    database.execute(&format!(
        "ALTER DATABASE {} CONNECTION LIMIT 0",
        database.name
    ));
    let error = why(&at(Role::Mastodon, Way::Tcp, PASSWORD));
    assert!(matches!(error, Error::Busy { .. }), "{error:?}");
}

#[test]
fn peer_authentication_of_another_user_is_told_as_such() {
    if cluster().is_none() {
        return;
    }
    let cluster = Cluster::start(Validity::Valid).unwrap();
    let (folder, port) = (cluster.socket(), cluster.port);
    let map = folder.join("data/pg_ident.conf");
    std::fs::write(&map, "tests somebody_else peer\n").unwrap();
    let mut client = cluster.client(Role::Superuser, "postgres");
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    let words = format!(
        "host={} port={port} user=peer dbname=postgres",
        folder.display()
    );
    let peer = settings(&words, "");
    let error = first_error(&peer);
    assert!(
        matches!(error, Error::NotAdmitted { is_peer: true, .. }),
        "{error:?}"
    );
}

#[test]
fn a_self_signed_certificate_is_trusted_where_it_is_named() {
    if cluster().is_none() {
        return;
    }
    let cluster = Cluster::start(Validity::SelfSigned).unwrap();
    let mut settings = own_settings(&cluster, "127.0.0.1");
    assert!(is_encrypted(&settings));
    settings.tls.mode = SslMode::VerifyFull;
    settings.tls.roots = Roots::File(cluster.authority());
    assert!(is_encrypted(&settings));
    settings.tls.roots = Roots::File(cluster.other_authority());
    assert!(matches!(why(&settings), Error::Untrusted { .. }));
    let mut other_name = own_settings(&cluster, "127.0.0.2");
    other_name.tls.mode = SslMode::VerifyFull;
    other_name.tls.roots = Roots::File(cluster.authority());
    assert!(matches!(why(&other_name), Error::WrongName { .. }));
}

#[test]
fn what_a_server_no_longer_offers_is_told() {
    if cluster().is_none() {
        return;
    }
    let cluster = Cluster::start(Validity::Expired).unwrap();
    let mut settings = own_settings(&cluster, "127.0.0.1");
    assert!(is_encrypted(&settings));
    settings.tls.mode = SslMode::VerifyCa;
    settings.tls.roots = Roots::File(cluster.authority());
    let error = why(&settings);
    let source = CertificateFault::Expired;
    assert!(
        matches!(&error, Error::Untrusted { source: found, .. } if *found == source),
        "{error:?}"
    );

    let mut client = cluster.client(Role::Superuser, "postgres");
    client.batch_execute("ALTER SYSTEM SET ssl = off").unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    settings.tls.mode = SslMode::Require;
    settings.tls.roots = Roots::None;
    let error = first_error(&settings);
    assert!(matches!(error, Error::NoTls { .. }), "{error:?}");
    settings.tls.mode = SslMode::Prefer;
    assert!(!is_encrypted(&settings));

    // As long as somebody is connected, a server that shuts down answers that it does.
    let postmaster = std::fs::read_to_string(cluster.socket().join("data/postmaster.pid")).unwrap();
    let id = postmaster.lines().next().unwrap();
    let ended = std::process::Command::new("kill")
        .args(["-TERM", id])
        .status();
    assert!(ended.unwrap().success());
    let error = first_error(&settings);
    assert!(matches!(error, Error::NotReady { .. }), "{error:?}");
    drop(client);
    cluster.crash();
    let error = why(&settings);
    assert!(
        matches!(error, Error::Unreachable { socket: None, .. }),
        "{error:?}"
    );
}

#[test]
fn where_nobody_is_nobody_is_reached() {
    let unused = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = unused.local_addr().unwrap().port();
    // Nobody answers: the system takes the connection, and no program does.
    let mut silent = settings(&format!("host=127.0.0.1 port={port} user=u"), "");
    silent.connect_timeout = Some(Duration::from_millis(50));
    for mode in [SslMode::Disable, SslMode::Require] {
        silent.tls.mode = mode;
        assert!(matches!(why(&silent), Error::TimedOut { .. }), "{mode}");
    }
    drop(unused);
    let error = why(&silent);
    assert!(
        matches!(error, Error::Unreachable { socket: None, .. }),
        "{error:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let no_socket = settings(
        &format!("host={} port=7 user=u", folder.path().display()),
        "",
    );
    let socket = folder.path().join(".s.PGSQL.7");
    let error = why(&no_socket);
    assert!(
        matches!(&error, Error::Unreachable { socket: Some(found), .. } if *found == socket),
        "{error:?}"
    );
    let error = why(&settings("host=no..host user=u", ""));
    assert!(matches!(error, Error::NoSuchHost { .. }), "{error:?}");
}

#[test]
fn keys_and_certificates_that_cannot_be_used_are_named() {
    let home = Home::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["us".into()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let cert = home.write("us.crt", certificate);
    let good = home.write("us.key", key.serialize_pem());
    let open = home.write("open.key", key.serialize_pem());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&open, mode).unwrap();
    let empty = home.write("empty", "");
    let mut settings = settings("host=127.0.0.1 port=1 user=u", "");
    let mut with = |cert: &Path, key: &Path| {
        settings.tls.identity = Some(Identity {
            cert: cert.to_owned(),
            key: key.to_owned(),
        });
        why(&settings)
    };
    assert!(matches!(with(&cert, &good), Error::Unreachable { .. }));
    for (cert, key, wrong) in [
        (&cert, &open, &open),
        (&cert, &empty, &empty),
        (&cert, &cert, &cert),
        (&empty, &good, &empty),
    ] {
        let error = with(cert, key);
        assert!(
            matches!(&error, Error::Settings { path, .. } if path == wrong),
            "{error:?}"
        );
    }
    let missing = home.file("missing");
    assert!(matches!(with(&cert, &missing), Error::File { .. }));
}

#[test]
fn a_pooler_lets_us_in_and_says_why_not() {
    let Some(database) = Database::bare() else {
        return;
    };
    let Some(pooler) = Pooler::start(&database) else {
        return;
    };
    let url = pooler.url_as(Role::Mastodon, &database);
    let mut settings = settings(&url, PASSWORD);
    let mut client = connect(&settings).unwrap();
    client.batch_execute("SELECT 1").unwrap();
    settings.password = Some(Secret::from("hunter2"));
    let error = why(&settings);
    assert!(
        matches!(error, Error::PasswordRefused { .. } | Error::Refused { .. }),
        "{error:?}"
    );
    settings.tls.mode = SslMode::Require;
    assert!(matches!(why(&settings), Error::NoTls { .. }));
}

#[test]
fn the_program_says_what_to_do_next() {
    let Some(database) = Database::bare() else {
        return;
    };
    let home = Home::new();
    let path = database.env_file(home.path(), Role::Mastodon, Way::Tcp);
    let text = std::fs::read_to_string(&path).unwrap();
    let wrong = home.write("wrong", text.replace("it's #1", "it's #2"));
    let (path, wrong) = (path.to_str().unwrap(), wrong.to_str().unwrap());
    let superuser = database.url();
    home.run(&INIT).ok();
    let typed = superuser.replace("postgres@", "postgres:hunter2@");
    for (arguments, code, said) in [
        (
            ["--env-file", wrong],
            8,
            "Docker takes them for a part of it",
        ),
        (["--env-file", "/nonexistent"], 8, "--env-file"),
        (["--url", &typed], 2, "~/.pgpass"),
        (["--url", "host=h options=x"], 2, "options is not supported"),
        (
            ["--url", "host=127.0.0.1 port=1 user=u"],
            8,
            "check host and port",
        ),
        (["--env-file", path], 8, "Mastodon"),
    ] {
        let ran = home.run(
            &[
                &["import", "postgres", "--instance", "m.example"],
                &arguments[..],
            ]
            .concat(),
        );
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
        assert!(
            !ran.err.contains("hunter2") && !ran.err.contains("\\o/"),
            "{}",
            ran.err
        );
    }
}

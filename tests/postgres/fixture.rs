//! The cluster and the databases themselves: what the other tests rest on.

use crate::{
    certificates::Validity,
    cluster::{Cluster, Role, cluster, finish},
    database::{Database, GENERATIONS, INSTANCE, Way},
    home::Home,
    pooler::Pooler,
};

#[test]
fn every_generation_loads_and_is_filled_alike() {
    for generation in GENERATIONS {
        let Some(database) = Database::new(generation, 400) else {
            return;
        };
        let counts = database.query_strings(
            "SELECT (SELECT count(*) FROM oauth_access_tokens), (SELECT count(*) FROM oauth_applications),
                    (SELECT count(*) FROM users), (SELECT count(*) FROM accounts WHERE domain IS NULL),
                    (SELECT count(*) FROM oauth_access_tokens WHERE revoked_at IS NOT NULL),
                    (SELECT count(*) FROM oauth_access_tokens WHERE length(token) = 64),
                    (SELECT count(*) FROM oauth_access_tokens t JOIN oauth_applications a ON a.id = t.application_id
                     WHERE a.superapp),
                    (SELECT username FROM accounts WHERE id = -99)",
        );
        assert_eq!(
            counts,
            [format!("400|40|100|101|51|12|121|{INSTANCE}")],
            "{generation}"
        );
    }
}

#[test]
fn each_role_may_what_the_document_grants_and_no_more() {
    for generation in GENERATIONS {
        let Some(database) = Database::new(generation, 400) else {
            return;
        };
        let answer = |role: Role, sql: &str| database.client_as(role).batch_execute(sql).is_ok();
        let connects = |role: Role| {
            let mut psql = database.cluster.program("psql");
            psql.args(["-X", "-c", "SELECT 1", &database.url_as(role, Way::Socket)]);
            psql.output().unwrap().status.success()
        };
        let all = "SELECT id, xmin, token FROM oauth_access_tokens";
        for role in [Role::Backup, Role::Restore] {
            assert!(!connects(role), "{generation}, {role:?}: before the grants");
            database.grant(role);
            assert!(connects(role), "{generation}, {role:?}");
            for sql in [
                "SELECT token, scopes, resource_owner_id FROM oauth_access_tokens",
                "SELECT uid, secret, confidential FROM oauth_applications",
                "SELECT u.id, a.username FROM users u JOIN accounts a ON a.id = u.account_id WHERE a.domain IS NULL",
            ] {
                assert!(answer(role, sql), "{generation}, {role:?}: {sql}");
            }
            for sql in [
                "SELECT email FROM users",
                "SELECT encrypted_password FROM users",
                "SELECT * FROM oauth_access_tokens",
                "DELETE FROM oauth_access_tokens",
                "UPDATE oauth_access_tokens SET revoked_at = NULL",
                "INSERT INTO oauth_applications (name, uid, secret, redirect_uri, superapp) VALUES ('n', 'u', 's', 'r', true)",
            ] {
                // The oldest generations have no more columns than the granted ones.
                let is_all =
                    sql.contains('*') && answer(Role::Superuser, all) && generation < "3.5";
                assert!(
                    is_all || !answer(role, sql),
                    "{generation}, {role:?}: {sql}"
                );
            }
        }
        assert!(answer(Role::Backup, all), "{generation}");
        let insert = "BEGIN; CREATE TEMPORARY TABLE wanted (id bigint);
            INSERT INTO oauth_applications (name, uid, secret, redirect_uri, created_at) VALUES ('n', 'u', 's', 'r', now());
            INSERT INTO oauth_access_tokens (token, application_id, created_at) VALUES ('t', 2, now()); ROLLBACK";
        assert!(answer(Role::Restore, insert), "{generation}");
        assert!(!answer(Role::Backup, insert), "{generation}");
        let states = "SELECT confirmed_at, disabled, memorial, moved_to_account_id
            FROM users u JOIN accounts a ON a.id = u.account_id";
        assert!(answer(Role::Restore, states), "{generation}");
        assert!(!answer(Role::Backup, states), "{generation}");
        let revive = "UPDATE oauth_access_tokens SET revoked_at = NULL WHERE token = 't'";
        assert!(!answer(Role::Restore, revive), "{generation}");
        database.grant_revival();
        assert!(answer(Role::Restore, revive), "{generation}");
        let alter = "UPDATE oauth_access_tokens SET scopes = 'read write'";
        assert!(!answer(Role::Restore, alter), "{generation}");
    }
}

#[test]
fn each_way_in_asks_for_what_it_should() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let comes_in_by = |url: String, settings: &[(&str, &str)]| {
        let mut psql = database.cluster.program("psql");
        psql.args(["-X", "-w", "-c", "SELECT count(*) FROM oauth_access_tokens"])
            .arg(url)
            .envs(settings.iter().copied());
        psql.output().unwrap().status.success()
    };
    let comes_in = |role: Role, way: Way, settings: &[(&str, &str)]| {
        comes_in_by(database.url_as(role, way), settings)
    };
    let password = ("PGPASSWORD", crate::cluster::PASSWORD);
    let authority = database.cluster.authority();
    let authority = ("PGSSLROOTCERT", authority.to_str().unwrap());
    let other = database.cluster.other_authority();
    let other = ("PGSSLROOTCERT", other.to_str().unwrap());
    let full = ("PGSSLMODE", "verify-full");
    let plain = ("PGSSLMODE", "disable");
    assert!(comes_in_by(database.url(), &[]));
    assert!(!comes_in(Role::Mastodon, Way::Socket, &[]));
    assert!(comes_in(Role::Mastodon, Way::Socket, &[password]));
    assert!(comes_in(Role::Peer, Way::Socket, &[]));
    assert!(!comes_in(Role::Superuser, Way::Tcp, &[]));
    assert!(!comes_in(Role::Mastodon, Way::Tcp, &[]));
    assert!(comes_in(Role::Mastodon, Way::Tcp, &[password, plain]));
    assert!(!comes_in(Role::TlsOnly, Way::Tcp, &[password, plain]));
    assert!(comes_in(
        Role::TlsOnly,
        Way::Tcp,
        &[password, authority, full]
    ));
    assert!(!comes_in(Role::TlsOnly, Way::Tcp, &[password, other, full]));
    assert!(comes_in(
        Role::TlsOnly,
        Way::OtherName,
        &[password, authority, ("PGSSLMODE", "verify-ca")]
    ));
    assert!(!comes_in(
        Role::TlsOnly,
        Way::OtherName,
        &[password, authority, full]
    ));
}

#[test]
fn a_pooler_stands_before_the_cluster() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let Some(pooler) = Pooler::start(&database) else {
        return;
    };
    database.grant(Role::Backup);
    for (password, comes_in) in [(crate::cluster::PASSWORD, true), ("wrong", false)] {
        let mut psql = database.cluster.program("psql");
        psql.args([
            "-X",
            "-w",
            "-c",
            "SELECT count(token) FROM oauth_access_tokens",
        ])
        .arg(pooler.url_as(Role::Backup, &database))
        .env("PGPASSWORD", password);
        let output = psql.output().unwrap();
        assert_eq!(output.status.success(), comes_in, "{output:?}");
    }
}

#[test]
fn a_cluster_that_crashed_or_ended_is_gone() {
    if cluster().is_none() {
        return;
    }
    let own = Cluster::start(Validity::Expired).unwrap();
    let folder = own.socket().to_owned();
    let mut psql = own.program("psql");
    psql.args([
        "-X",
        "-w",
        "-c",
        "SELECT 1",
        "-h",
        "localhost",
        "-U",
        "mastodon",
    ])
    .args(["-p", &own.port.to_string(), "postgres"])
    .env("PGPASSWORD", crate::cluster::PASSWORD)
    .env("PGSSLROOTCERT", own.authority())
    .env("PGSSLMODE", "verify-full");
    let refused = psql.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("certificate verify failed"), "{said}");
    psql.env("PGSSLMODE", "require").env_remove("PGSSLROOTCERT");
    finish(&mut psql);
    own.crash();
    assert!(!psql.output().unwrap().status.success());
    drop(own);
    assert!(!folder.exists());
}

#[test]
fn a_rebuilt_database_has_the_same_people_and_nothing_of_theirs() {
    for generation in ["2.4", "4.7"] {
        let Some(before) = Database::new(generation, 400) else {
            return;
        };
        let after = Database::rebuilt(generation, 400).unwrap();
        let names = "SELECT username, u.created_at FROM users u JOIN accounts a ON a.id = account_id ORDER BY u.id";
        assert_eq!(before.query_strings(names), after.query_strings(names));
        let ids = "SELECT id FROM users ORDER BY id";
        assert_ne!(before.query_strings(ids), after.query_strings(ids));
        assert_eq!(after.count("SELECT count(*) FROM oauth_access_tokens"), 0);
        assert_eq!(
            after.query_strings("SELECT id, superapp FROM oauth_applications"),
            ["900|t"]
        );
    }
}

#[test]
fn the_environment_file_is_as_the_wizard_writes_it() {
    let Some(database) = Database::bare() else {
        return;
    };
    let home = Home::new();
    let path = database.env_file(home.path(), Role::Mastodon, Way::Tcp);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains("\nLOCAL_DOMAIN=m.example\n"));
    assert!(text.contains("\nDB_HOST=127.0.0.1\n"));
    assert!(
        text.contains("\nDB_PASS=\"it's #1 \\\"\\$x\\\" \\\\o/\"\n"),
        "{text}"
    );
    assert!(text.contains("\nSMTP_FROM_ADDRESS='Mastodon <notifications@m.example>'\n"));
}

//! `import postgres` and `backup`: what is read, what is recorded of it, and what happens when it can't be.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use crate::{
    cluster::{PASSWORD, Role},
    database::{Database, GENERATIONS, INSTANCE, Way},
    home::{Home, Ran},
    pooler::Pooler,
};

/// A home with an empty vault.
fn home() -> Home {
    Home::with_vault()
}

/// Imports over the socket as the superuser.
fn import(home: &Home, database: &Database, more: &[&str]) -> Ran {
    let url = database.url();
    home.run(&[&["import", "postgres", "--url", &url, "--json"], more].concat())
}

/// The same in words; answers whether only what was written since the last run was read.
fn only_reads_changes(home: &Home, database: &Database) -> bool {
    let ran = home.run(&["import", "postgres", "--url", &database.url(), "-v"]);
    ran.ok().err.contains("only what was written")
}

/// The run recorded last.
fn last_run(home: &Home) -> Value {
    home.json(&["log"]).pop().unwrap()
}

/// The run that was printed.
fn run_of(ran: &Ran) -> Value {
    ran.objects().pop().unwrap()
}

fn counts(run: &Value, relation: &str) -> [u64; 5] {
    ["seen", "added", "changed", "gone", "unchanged"]
        .map(|count| run[relation][count].as_u64().unwrap())
}

/// Every token that the vault knows, by its text, in the words of `EXPECTED`.
fn known(home: &Home) -> BTreeMap<String, String> {
    let records = home.json(&["export", "json", "--reveal", "--all"]);
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let joined = |value: &Value, by: &str| {
        let list = value
            .as_array()
            .map(|list| list.iter().map(text).collect::<Vec<_>>().join(by));
        list.unwrap_or_else(|| "-".to_owned())
    };
    let told = records.iter().map(|record| {
        let app = &record["app"];
        let fields = [
            text(&record["instance"]),
            text(&record["user"]),
            text(&record["refresh_token"]),
            joined(&record["scopes"], " "),
            text(&record["created_at"]),
            text(&record["expires_at"]),
            text(&record["revoked_at"]),
            text(&app["name"]),
            text(&app["client_id"]),
            text(&app["client_secret"]),
            joined(&app["redirect_uris"], ","),
            joined(&app["scopes"], " "),
            text(&app["website"]),
        ];
        (text(&record["access_token"]), fields.join("|"))
    });
    told.collect()
}

/// The same, asked of PostgreSQL.
fn expected(database: &Database) -> BTreeMap<String, String> {
    let time = |column: &str| {
        format!(
            "coalesce(regexp_replace(to_char({column}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '\\.?0*$', '') || 'Z', '-')"
        )
    };
    let sql = format!(
        "SELECT token || '|' || concat_ws('|', '{INSTANCE}', coalesce(c.username, '-'), coalesce(refresh_token, '-'),
            coalesce(t.scopes, '-'), {}, {}, {}, a.name, a.uid, a.secret, replace(a.redirect_uri, E'\\n', ','), a.scopes,
            coalesce(website, '-'))
         FROM oauth_access_tokens t JOIN oauth_applications a ON a.id = t.application_id
         LEFT JOIN users u ON u.id = t.resource_owner_id LEFT JOIN accounts c ON c.id = u.account_id",
        time("t.created_at"),
        time("t.created_at + expires_in * interval '1 second'"),
        time("revoked_at"),
    );
    let rows = database.query_strings(&sql).into_iter();
    rows.map(|row| {
        let (token, rest) = row.split_once('|').unwrap();
        (token.to_owned(), rest.to_owned())
    })
    .collect()
}

#[test]
fn every_token_of_every_generation_is_read_as_it_is() {
    for generation in GENERATIONS {
        let Some(database) = Database::new(generation, 400) else {
            return;
        };
        let home = home();
        let run = run_of(&import(&home, &database, &[]).ok());
        assert_eq!(counts(&run, "tokens"), [400, 400, 0, 0, 0], "{generation}");
        assert_eq!(counts(&run, "apps"), [40, 40, 0, 0, 0], "{generation}");
        assert_eq!(
            counts(&run, "accounts"),
            [100, 100, 0, 0, 0],
            "{generation}"
        );
        assert_eq!(run["instance"], INSTANCE);
        let (known, expected) = (known(&home), expected(&database));
        assert_eq!(known.len(), 400);
        for (token, fields) in &expected {
            assert_eq!(known.get(token), Some(fields), "{generation}");
        }
    }
}

#[test]
fn columns_in_any_order_and_columns_that_are_missing_are_no_matter() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let expected = expected(&database);
    database.execute(
        "ALTER TABLE oauth_access_tokens DROP COLUMN last_used_ip, ADD COLUMN another text DEFAULT 'x';
         ALTER TABLE oauth_access_tokens RENAME COLUMN scopes TO old;
         ALTER TABLE oauth_access_tokens ADD COLUMN scopes varchar;
         UPDATE oauth_access_tokens SET scopes = old; ALTER TABLE oauth_access_tokens DROP COLUMN old;
         ALTER TABLE oauth_applications DROP COLUMN superapp, DROP COLUMN owner_type, DROP COLUMN confidential;",
    );
    let home = home();
    import(&home, &database, &[]).ok();
    assert_eq!(known(&home), expected);
}

#[test]
fn kinds_of_tokens_are_told_apart() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let home = home();
    import(&home, &database, &[]).ok();
    let records = home.json(&["list", "--all"]);
    let count =
        |is: &dyn Fn(&Value) -> bool| records.iter().filter(|record| is(record)).count() as u64;
    let asked = |filter: &str| {
        database.count(&format!(
            "SELECT count(*) FROM oauth_access_tokens t JOIN oauth_applications a ON a.id = application_id WHERE {filter}"
        ))
    };
    assert_eq!(
        count(&|r| r["user"].is_null()),
        asked("resource_owner_id IS NULL")
    );
    assert_eq!(
        count(&|r| r["status"] == "revoked"),
        asked("revoked_at IS NOT NULL")
    );
    assert_eq!(
        count(&|r| r["status"] == "expired"),
        asked("revoked_at IS NULL AND t.created_at + expires_in * interval '1 second' < now()")
    );
    assert_eq!(count(&|r| r["app"]["superapp"] == true), asked("superapp"));
    let revealed = home.json(&["export", "json", "--reveal", "--all"]);
    let refreshable = revealed
        .iter()
        .filter(|record| record["refresh_token"].is_string());
    assert_eq!(
        refreshable.count() as u64,
        asked("refresh_token IS NOT NULL")
    );
}

#[test]
fn the_second_night_reads_only_what_was_written_and_says_the_same() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let home = home();
    assert!(!only_reads_changes(&home, &database));
    database.execute(
        "UPDATE oauth_access_tokens SET last_used_at = now();
         UPDATE oauth_access_tokens SET revoked_at = now() WHERE id IN (SELECT id FROM oauth_access_tokens
            WHERE revoked_at IS NULL ORDER BY id LIMIT 3);
         DELETE FROM oauth_access_tokens WHERE id IN (SELECT id FROM oauth_access_tokens ORDER BY id DESC LIMIT 2);
         INSERT INTO oauth_access_tokens (token, application_id, resource_owner_id, scopes, created_at)
            VALUES ('new', 2, 1, 'read', '2026-01-02 03:04:05');
         UPDATE accounts SET username = 'alice_2' WHERE username = 'alice' AND domain IS NULL;
         UPDATE users SET created_at = created_at + interval '1 day' WHERE id = 7;
         UPDATE oauth_applications SET secret = 'other' WHERE id = 3;",
    );
    assert!(only_reads_changes(&home, &database));
    let run = last_run(&home);
    assert_eq!(counts(&run, "tokens"), [399, 1, 3, 2, 395]);
    assert_eq!(counts(&run, "accounts"), [100, 0, 2, 0, 98]);
    assert_eq!(counts(&run, "apps"), [40, 0, 1, 0, 39]);
    let run = run_of(&import(&home, &database, &["--full"]).ok());
    assert_eq!(counts(&run, "tokens"), [399, 0, 0, 0, 399]);
    assert_eq!(counts(&run, "accounts"), [100, 0, 0, 0, 100]);
    home.run(&["check"]).ok();
    assert_eq!(known(&home).len(), 401);
}

#[test]
fn a_token_that_was_only_used_costs_the_vault_nothing() {
    let Some(database) = Database::new("4.7", 10_000) else {
        return;
    };
    let home = home();
    import(&home, &database, &[]).ok();
    let before = std::fs::metadata(home.vault()).unwrap().len();
    database.execute("UPDATE oauth_access_tokens SET last_used_at = now() WHERE id % 3 = 0");
    let run = run_of(&import(&home, &database, &[]).ok());
    assert_eq!(counts(&run, "tokens"), [10_000, 0, 0, 0, 10_000]);
    let after = std::fs::metadata(home.vault()).unwrap().len();
    assert!(after - before < 64 << 10, "{before} {after}");
}

#[test]
fn when_every_account_was_written_the_one_that_changed_is_found() {
    let Some(database) = Database::new("4.7", 10_000) else {
        return;
    };
    let home = home();
    import(&home, &database, &[]).ok();
    database.execute(
        "UPDATE accounts SET updated_at = now();
         UPDATE accounts SET username = 'alice_2' WHERE username = 'alice' AND domain IS NULL",
    );
    assert!(only_reads_changes(&home, &database));
    assert_eq!(
        counts(&last_run(&home), "accounts"),
        [2_500, 0, 1, 0, 2_499]
    );
}

#[test]
fn the_documented_role_is_enough_and_without_xmin_everything_is_read() {
    for generation in GENERATIONS {
        let Some(database) = Database::new(generation, 400) else {
            return;
        };
        database.grant(Role::Backup);
        let home = home();
        let url = database.url_as(Role::Backup, Way::Socket);
        let import = |home: &Home| {
            let mut command = home.command(&["import", "postgres", "--url", &url, "-v"]);
            Ran::of(&[], command.env("PGPASSWORD", PASSWORD).output().unwrap()).ok()
        };
        import(&home).keeps_to_itself(PASSWORD);
        import(&home).says("only what was written");
        assert_eq!(known(&home), expected(&database), "{generation}");
        database.execute("REVOKE SELECT (xmin) ON oauth_access_tokens FROM tuskvault_backup");
        import(&home).says("GRANT SELECT (xmin)");
        let run = last_run(&home);
        assert_eq!(counts(&run, "tokens"), [400, 0, 0, 0, 400], "{generation}");
        assert_eq!(run["warnings"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn what_may_not_be_read_is_named_with_the_grant_that_helps() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    database.grant(Role::Backup);
    database.execute("REVOKE SELECT (token, scopes) ON oauth_access_tokens FROM tuskvault_backup");
    let home = home();
    let url = database.url_as(Role::Backup, Way::Socket);
    let before = home.contents();
    let mut command = home.command(&["import", "postgres", "--url", &url]);
    let ran = Ran::of(&[], command.env("PGPASSWORD", PASSWORD).output().unwrap()).exits(8);
    assert!(
        ran.err
            .contains("GRANT SELECT (token, scopes) ON oauth_access_tokens"),
        "{}",
        ran.err
    );
    drop(before);
    assert_eq!(home.json(&["log"]).len(), 0);
}

#[test]
fn a_database_that_is_not_mastodons_or_not_there_is_refused() {
    let (Some(bare), Some(cut)) = (Database::bare(), Database::new("4.7", 0)) else {
        return;
    };
    let home = home();
    let ran = import(&home, &bare, &[]).exits(8);
    assert!(
        ran.err.contains("no table oauth_access_tokens"),
        "{}",
        ran.err
    );
    cut.execute("ALTER TABLE oauth_access_tokens DROP COLUMN resource_owner_id");
    let ran = import(&home, &cut, &[]).exits(8);
    assert!(
        ran.err
            .contains("no column oauth_access_tokens.resource_owner_id"),
        "{}",
        ran.err
    );
    let gone = bare.url().replace(&bare.name, "no_such_database");
    home.run(&["import", "postgres", "--url", &gone])
        .exits(8)
        .says("does not exist");
    home.run(&[
        "import",
        "postgres",
        "--url",
        "postgres://a:secret@localhost/x",
    ])
    .exits(2)
    .keeps_to_itself("secret");
    home.run(&["import", "postgres", "--path", "x"]).exits(2);
    assert_eq!(home.json(&["log"]).len(), 0);
}

#[test]
fn one_users_backup_leaves_the_others_alone() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let home = home();
    let of_alice =
        "resource_owner_id = (SELECT u.id FROM users u JOIN accounts a ON a.id = account_id
        WHERE username = 'alice' AND domain IS NULL)";
    let alices = database.count(&format!(
        "SELECT count(*) FROM oauth_access_tokens WHERE {of_alice}"
    ));
    assert!(alices > 1);
    let run = run_of(&import(&home, &database, &["--user", "ALICE"]).ok());
    assert_eq!(counts(&run, "tokens"), [alices, alices, 0, 0, 0]);
    assert_eq!(counts(&run, "accounts"), [1, 1, 0, 0, 0]);
    import(&home, &database, &[]).ok();
    database.execute(&format!(
        "DELETE FROM oauth_access_tokens WHERE id = (SELECT min(id) FROM oauth_access_tokens WHERE {of_alice});
         DELETE FROM oauth_access_tokens WHERE id IN (SELECT id FROM oauth_access_tokens WHERE NOT {of_alice} LIMIT 5)"
    ));
    let run = run_of(&import(&home, &database, &["--user", "alice"]).ok());
    assert_eq!(counts(&run, "tokens"), [alices - 1, 0, 0, 1, alices - 1]);
    assert_eq!(counts(&run, "apps")[3], 0);
    let active = home.json(&["list", "--all"]);
    let gone = active
        .iter()
        .filter(|record| record["sources"][0]["gone_at"].is_string());
    assert_eq!(gone.count(), 1);
    import(&home, &database, &["--user", "nobody"]).exits(5);
    // Nor does it stand for a backup of the whole.
    assert!(!only_reads_changes(&home, &database));
    assert_eq!(counts(&last_run(&home), "tokens")[3], 5);
}

#[test]
fn a_database_that_lost_everything_or_is_another_ends_nothing() {
    let (Some(database), Some(other)) = (Database::new("4.7", 400), Database::new("4.7", 400))
    else {
        return;
    };
    let home = home();
    import(&home, &database, &[]).ok();
    // The same name leads to another database, whose rows are other tokens.
    other.execute("UPDATE oauth_access_tokens SET token = 'other' || token");
    let swap = |a: &str, b: &str| {
        let mut client = database.cluster.client(Role::Superuser, "postgres");
        for (from, to) in [(a, "swapped"), (b, a), ("swapped", b)] {
            client
                .batch_execute(&format!("ALTER DATABASE {from} RENAME TO {to}"))
                .unwrap();
        }
    };
    swap(&database.name, &other.name);
    let ran = import(&home, &database, &[]).exits(9);
    assert!(
        ran.err
            .contains("400 of 400 rows hold other tokens, and it is another server"),
        "{}",
        ran.err
    );
    assert_eq!(home.json(&["log"]).len(), 1);
    swap(&database.name, &other.name);
    database.execute("TRUNCATE oauth_access_tokens CASCADE");
    let run = run_of(&import(&home, &database, &[]).exits(9));
    assert_eq!(counts(&run, "tokens"), [0; 5]);
    assert_eq!(home.json(&["list", "--all"]).len(), 400);
    let run = run_of(&import(&home, &database, &["--accept-shrink"]).ok());
    assert_eq!(counts(&run, "tokens"), [0, 0, 0, 400, 0]);
}

#[test]
fn applications_that_vanish_are_told_the_next_morning() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let home = home();
    import(&home, &database, &[]).ok();
    database.execute("DELETE FROM oauth_access_tokens WHERE application_id IN (5, 6); DELETE FROM oauth_applications WHERE id IN (5, 6)");
    let ran = import(&home, &database, &[]).ok();
    assert!(
        ran.err.contains("2 applications are gone from the server"),
        "{}",
        ran.err
    );
    let gone = home.json(&["log", "2"]);
    let apps = gone
        .iter()
        .filter(|line| line["relation"] == "apps" && line["change"] == "gone");
    assert_eq!(apps.count(), 2);
    let gone = home.json(&["diff", "run:1", "run:2"]);
    let apps = gone
        .iter()
        .filter(|line| line["relation"] == "apps" && line["change"] == "went");
    assert_eq!(apps.count(), 2);
    home.run(&["diff", "run:1", "run:2"])
        .ok()
        .prints("not in the server's database any more");
}

#[test]
fn hostile_values_are_left_out_with_a_word_and_never_stop_a_backup() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    database.execute(
        "UPDATE oauth_applications SET name = repeat('x', 3000000) WHERE id = 2;
         UPDATE oauth_applications SET name = E'\\u001b]0;pwned\\u0007 \\u202e', website = 'javascript:alert(1)' WHERE id = 3;
         UPDATE oauth_applications SET redirect_uri = '', name = '', created_at = 'infinity' WHERE id = 4;
         UPDATE oauth_access_tokens SET scopes = repeat('read ', 30000) WHERE id = 1;
         UPDATE oauth_access_tokens SET expires_in = 2147483647, revoked_at = '-infinity', created_at = '294000-01-01' WHERE id = 2;
         UPDATE oauth_access_tokens SET token = E'tab\\tquote\\'\\u0001' WHERE id = 3;",
    );
    let home = home();
    let ran = import(&home, &database, &[]).exits(9);
    let run = run_of(&ran);
    assert_eq!(counts(&run, "tokens")[0], 399);
    assert!(!ran.err.contains('\u{1b}') && !ran.out.contains('\u{1b}'));
    let warnings = run["warnings"].as_array().unwrap();
    // The third tells of a token whose date makes it look hashed.
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(known(&home).contains_key("tab\tquote'\u{1}"));
    home.run(&["check"]).ok();
}

#[test]
fn the_environment_file_and_pooler_and_tls_lead_to_the_same_rows() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    database.grant(Role::Backup);
    let home = home();
    let env_file = database.env_file(home.path(), Role::Mastodon, Way::Tcp);
    let env_file = env_file.to_str().unwrap();
    let ran = home
        .run(&["import", "postgres", "--env-file", env_file, "--json"])
        .ok();
    ran.keeps_to_itself("it's #1");
    let expected = expected(&database);
    assert_eq!(known(&home), expected);
    let authority = database.cluster.authority();
    let verified = [
        ("PGPASSWORD", PASSWORD),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", authority.to_str().unwrap()),
    ];
    let urls = [
        (
            database.url_as(Role::TlsOnly, Way::Tcp),
            verified.as_slice(),
        ),
        (database.url_as(Role::Backup, Way::Socket), &verified[..1]),
    ];
    for (url, variables) in urls {
        let mut command = home.command(&["import", "postgres", "--url", &url, "--json"]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let run = run_of(&Ran::of(&[], output).ok());
        assert_eq!(counts(&run, "tokens")[0], 400, "{url}");
    }
    let Some(pooler) = Pooler::start(&database) else {
        return;
    };
    let url = pooler.url_as(Role::Backup, &database);
    for only_changes in [false, true, true] {
        let mut command = home.command(&["import", "postgres", "--url", &url, "-v"]);
        let output = command.env("PGPASSWORD", PASSWORD).output().unwrap();
        let ran = Ran::of(&[], output).ok();
        assert_eq!(
            ran.err.contains("only what was written"),
            only_changes,
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_backup_finds_the_settings_and_remembers_where_they_were() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let home = home();
    let folder = home.file("live");
    std::fs::create_dir(&folder).unwrap();
    database.env_file(&folder, Role::Mastodon, Way::Tcp);
    // `live/.env.production` in the home folder is a usual place.
    let found = home.json(&["discover"]);
    let found: Vec<_> = found
        .iter()
        .filter(|found| found["connector"] == "postgres")
        .collect();
    assert_eq!(found.len(), 1);
    assert!(
        found[0]["database"]
            .as_str()
            .unwrap()
            .ends_with(&database.name)
    );
    let run = run_of(&home.run(&["backup", "--json"]).ok());
    assert_eq!(counts(&run, "tokens"), [400, 400, 0, 0, 0]);
    // Where it is afterwards, only the memory of it leads.
    let elsewhere = home.file("elsewhere");
    std::fs::rename(&folder, &elsewhere).unwrap();
    let env_file = elsewhere.join(".env.production");
    home.run(&["backup", "postgres"]).exits(8);
    home.run(&[
        "import",
        "postgres",
        "--env-file",
        env_file.to_str().unwrap(),
    ])
    .ok();
    let run = run_of(&home.run(&["backup", "--json"]).ok());
    assert_eq!(counts(&run, "tokens"), [400, 0, 0, 0, 400]);
    home.run(&["status"]).ok().prints("fine");
    // A server that is gone is told, and `status` tells it again.
    let text = std::fs::read_to_string(&env_file).unwrap();
    std::fs::write(&env_file, text.replace("\nDB_PORT=", "\nDB_PORT=1 #")).unwrap();
    home.run(&["backup"]).exits(9).says("cannot reach");
    let told = home.run(&["status", "--json"]).exits(9).objects();
    let failed = told.iter().filter(|source| source["outcome"] == "failed");
    let places: Vec<_> = failed.map(|source| source["location"].clone()).collect();
    assert_eq!(places, [format!("127.0.0.1:1/{}", database.name)]);
    // Nor does one that is there and can't be read.
    std::fs::write(&env_file, &text).unwrap();
    database.execute("ALTER TABLE oauth_access_tokens RENAME TO away");
    home.run(&["backup"])
        .exits(9)
        .says("no table oauth_access_tokens");
    let told = home.run(&["status", "--json"]).exits(9).objects();
    let failed = told.iter().filter(|source| source["outcome"] == "failed");
    assert_eq!(failed.count(), 2);
}

#[test]
fn variables_that_lead_elsewhere_do_not_lead_another_database_into_the_vault() {
    let (Some(database), Some(other)) = (Database::new("4.7", 400), Database::new("4.7", 0)) else {
        return;
    };
    let home = home();
    let run = |arguments: &[&str], database: &Database| {
        let mut command = home.command(arguments);
        command
            .env("PGHOST", database.cluster.socket())
            .env("PGPORT", database.cluster.port.to_string())
            .env("PGUSER", Role::Superuser.name())
            .env("PGDATABASE", &database.name);
        Ran::of(arguments, command.output().unwrap())
    };
    run(&["import", "postgres"], &database).ok();
    run(&["backup"], &database).ok();
    run(&["backup"], &other)
        .exits(9)
        .says("leads to")
        .says(&other.name);
    let runs = home.json(&["log"]);
    let of_database = runs.iter().filter(|run| run["source"] == "postgres");
    assert_eq!(of_database.count(), 2);
    home.run(&["status"]).exits(9).prints("failed");
}

#[test]
fn a_dry_run_records_nothing() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let home = home();
    let before = home.contents();
    let would = run_of(&import(&home, &database, &["--dry-run"]).ok());
    assert_eq!(
        (&would["tokens"], &would["apps"]),
        (&400.into(), &40.into())
    );
    assert!(home.contents() == before);
}

#[test]
fn an_instance_that_nothing_names_must_be_named() {
    let Some(database) = Database::new("2.4", 400) else {
        return;
    };
    database.execute("DELETE FROM accounts WHERE id = -99");
    let home = home();
    import(&home, &database, &[]).exits(2).says("--instance");
    let run = run_of(&import(&home, &database, &["--instance", "Other.Example"]).ok());
    assert_eq!(run["instance"], "other.example");
}

/// Starts an import that waits for a lock on the users, and does something to it.
fn interrupted(
    home: &Home,
    database: &Database,
    what: impl FnOnce(&mut postgres::Client, u32),
) -> std::process::Output {
    let mut holder = database.client();
    let mut lock = holder.transaction().unwrap();
    lock.batch_execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let url = database.url();
    let mut command = home.command(&["import", "postgres", "--url", &url]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let mut client = database.client();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tuskvault'
        AND datname = current_database() AND wait_event_type = 'Lock'";
    while client.query_one(waiting, &[]).unwrap().get::<_, i64>(0) == 0 {
        std::thread::yield_now();
    }
    what(&mut client, child.id());
    let output = child.wait_with_output().unwrap();
    drop(lock);
    output
}

#[test]
fn a_server_that_goes_away_or_a_person_who_gives_up_leaves_the_vault_as_it_was() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let home = home();
    import(&home, &database, &[]).ok();
    database.execute("UPDATE oauth_applications SET secret = 'other'");
    let ran = interrupted(&home, &database, |client, _| {
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'tuskvault' AND datname = current_database()";
        client.execute(kill, &[]).unwrap();
    });
    Ran::of(&["import"], ran)
        .exits(1)
        .says("run the same again");
    let ran = interrupted(&home, &database, |_, pid| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    });
    assert!(!ran.status.success());
    assert_eq!(home.json(&["log"]).len(), 1);
    home.run(&["check"]).ok();
    let run = run_of(&import(&home, &database, &[]).ok());
    assert_eq!(counts(&run, "apps"), [40, 0, 40, 0, 0]);
}

#[test]
fn wrong_passwords_are_told_from_servers_that_are_not_there() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let home = home();
    let url = database.url_as(Role::Mastodon, Way::Tcp);
    let import = |url: &str, password: Option<&str>| {
        let mut command = home.command(&["import", "postgres", "--url", url]);
        command.envs(password.map(|password| ("PGPASSWORD", password)));
        Ran::of(&[], command.output().unwrap()).exits(8)
    };
    import(&url, Some("hunter2"))
        .keeps_to_itself("hunter2")
        .says("refuses the password");
    import(&url, None).says("asks for the password");
    let nobody = url.replace(&format!(":{}/", database.cluster.port), ":1/");
    import(&nobody, None).says("cannot reach");
    let _: &Path = home.path();
}

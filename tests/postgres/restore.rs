//! `restore --to postgres`: what was in one database is in another, and nobody gets what is not theirs.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

use crate::{
    cluster::{PASSWORD, Role},
    database::{Database, GENERATIONS, INSTANCE, Way},
    home::{Home, INIT, Ran, texts},
    pooler::Pooler,
};

/// A home whose vault holds what the database holds now.
fn backed_up(database: &Database) -> Home {
    let home = Home::new();
    home.run(&INIT).ok();
    back_up(&home, database);
    home
}

fn back_up(home: &Home, database: &Database) {
    let arguments = [
        "import",
        "postgres",
        "--instance",
        INSTANCE,
        "--accept-shrink",
    ];
    let mut command = home.command(&arguments);
    into(&mut command, database, Role::Peer);
    Ran::of(&arguments, command.output().unwrap()).ok();
}

/// Runs `restore --to postgres --yes` with more arguments.
fn restore(home: &Home, database: &Database, role: Role, more: &[&str]) -> Ran {
    let arguments = [&["restore", "--to", "postgres", "--yes"], more].concat();
    let mut command = home.command(&arguments);
    into(&mut command, database, role);
    Ran::of(&arguments, command.output().unwrap())
}

pub(crate) fn into(command: &mut Command, database: &Database, role: Role) {
    command
        .env("PGHOST", database.cluster.socket())
        .env("PGPORT", database.cluster.port.to_string())
        .env("PGUSER", role.name())
        .env("PGDATABASE", &database.name);
}

/// The same as the database's owner would.
fn restored(home: &Home, database: &Database, more: &[&str]) -> Ran {
    restore(home, database, Role::Peer, more)
}

/// What becomes of the one record.
fn fate(home: &Home, database: &Database, more: &[&str]) -> (i32, String, String) {
    let ran = restored(home, database, &[more, &["--json"]].concat());
    let objects = ran.objects();
    let [object] = objects.as_slice() else {
        panic!("not one object: {}\n{}", ran.out, ran.err);
    };
    let text = |key: &str| object[key].as_str().unwrap().to_owned();
    (ran.code, text("action"), text("detail"))
}

/// Ids of the vault's records by access token.
fn ids(home: &Home) -> BTreeMap<String, String> {
    let all = home.json(&["export", "json", "--reveal", "--all"]);
    let text = |object: &Value, key: &str| object[key].as_str().unwrap().to_owned();
    all.iter()
        .map(|object| (text(object, "access_token"), text(object, "id")))
        .collect()
}

/// Everything of a token that a restore is about, its app by client_id, its user by name.
fn tokens(database: &Database, condition: &str) -> Vec<String> {
    database.query_strings(&format!(
        "SELECT t.token, t.refresh_token, t.expires_in, t.revoked_at, t.created_at, t.scopes,
                CASE WHEN a.superapp THEN 'web' ELSE concat_ws('|', a.uid, a.name, a.secret, a.redirect_uri, a.scopes,
                    a.website, a.confidential, a.created_at, a.owner_type, b.username) END, c.username
         FROM oauth_access_tokens t LEFT JOIN oauth_applications a ON a.id = t.application_id
         LEFT JOIN users o ON o.id = a.owner_id LEFT JOIN accounts b ON b.id = o.account_id
         LEFT JOIN users u ON u.id = t.resource_owner_id LEFT JOIN accounts c ON c.id = u.account_id
         WHERE {condition} ORDER BY t.token"
    ))
}

/// Tokens that a restore of all puts back by default.
const WORKING: &str = "t.revoked_at IS NULL AND (t.expires_in IS NULL \
     OR t.created_at + t.expires_in * interval '1 second' > now() AT TIME ZONE 'UTC') AND NOT a.superapp";

/// The whole database as text, its sequences included.
fn dump(database: &Database) -> String {
    let mut pg_dump = database.cluster.program("pg_dump");
    pg_dump.arg(database.url());
    let output = pg_dump.output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    // Later versions fence a dump with a random word.
    let lines = text.lines().filter(|line| !line.starts_with('\\'));
    lines.collect::<Vec<_>>().join("\n")
}

/// An app token that works, of a user who can use it.
const ONE: &str = "SELECT t.token FROM oauth_access_tokens t JOIN oauth_applications a ON a.id = t.application_id
     WHERE NOT a.superapp AND t.revoked_at IS NULL AND t.expires_in IS NULL AND t.refresh_token IS NULL
     AND t.resource_owner_id <= 8 ORDER BY t.id LIMIT 1";

/// A database, a vault of it, the token of [`ONE`] and its id.
pub(crate) fn one() -> Option<(Database, Home, String, String)> {
    let database = Database::new("4.7", 400)?;
    let home = backed_up(&database);
    let token = database.query_strings(ONE).remove(0);
    let id = ids(&home).remove(&token).unwrap();
    Some((database, home, token, id))
}

pub(crate) fn delete(database: &Database, token: &str) {
    database.execute(&format!(
        "DELETE FROM oauth_access_tokens WHERE token = '{token}'"
    ));
}

#[test]
fn a_token_comes_back_as_it_was_and_only_once() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    let (all, others) = ("true".to_owned(), format!("token <> '{token}'"));
    let before = tokens(&database, &all);
    let last = database.count("SELECT max(id) FROM oauth_access_tokens");
    delete(&database, &token);
    assert_eq!(tokens(&database, &others).len() + 1, before.len());
    let entries = home.audit_entries();
    let (code, action, detail) = fate(&home, &database, &[&id]);
    assert_eq!((code, &*action), (0, "inserted"), "{detail}");
    assert!(detail.starts_with("token of "), "{detail}");
    assert_eq!(tokens(&database, &all), before);
    let row = format!("SELECT id FROM oauth_access_tokens WHERE token = '{token}'");
    assert!(database.count(&row) > last);
    assert_eq!(home.audit_entries(), entries + 1);
    let (code, action, _) = fate(&home, &database, &[&id]);
    assert_eq!((code, &*action), (0, "unchanged"));
    assert_eq!(tokens(&database, &all), before);
    assert_eq!(home.audit_entries(), entries + 1);
}

#[test]
fn all_tokens_come_back_into_a_rebuilt_database_of_every_generation() {
    for generation in GENERATIONS {
        let Some(before) = Database::new(generation, 400) else {
            return;
        };
        let home = backed_up(&before);
        let after = Database::rebuilt(generation, 400).unwrap();
        after.grant(Role::Restore);
        restore(&home, &after, Role::Restore, &["m.example", "--all"])
            .ok()
            .says("left out: ")
            .says("made anew");
        assert_eq!(
            tokens(&after, "true"),
            tokens(&before, WORKING),
            "{generation}"
        );
        // Old posts name their app by its id.
        let apps = "SELECT id, uid FROM oauth_applications WHERE NOT superapp ORDER BY id";
        let known = before.query_strings(apps);
        let made = after.query_strings(apps);
        assert!(
            !made.is_empty() && made.iter().all(|app| known.contains(app)),
            "{generation}"
        );
        let superapps = "SELECT id, uid FROM oauth_applications WHERE superapp";
        assert_eq!(after.query_strings(superapps), ["900|rebuilt-uid"]);
        // The next login finds free ids.
        after.execute(
            "INSERT INTO oauth_applications (name, uid, secret, redirect_uri) VALUES ('n', 'u', 's', 'r');
             INSERT INTO oauth_access_tokens (token, created_at) VALUES ('next', now())",
        );
        let again = restored(&home, &after, &["m.example", "--all"]).ok();
        assert!(again.out.starts_with("0 tokens added"), "{}", again.out);
    }
}

#[test]
fn a_rehearsal_runs_everything_and_changes_nothing() {
    let Some(before) = Database::new("4.7", 400) else {
        return;
    };
    let home = backed_up(&before);
    let after = Database::rebuilt("4.7", 400).unwrap();
    let (dumped, vault) = (dump(&after), std::fs::read(home.vault()).unwrap());
    for more in [&["--all"][..], &["--all", "--rebuild-indexes"], &["--apps"]] {
        let arguments = [&["m.example", "--dry-run", "--json"], more].concat();
        let would = restored(&home, &after, &arguments).ok().objects();
        assert!(texts(&would, "action").contains(&"inserted"));
        assert!(would.iter().all(|object| object["dry_run"] == true));
        assert!(dump(&after) == dumped, "{more:?}");
        assert!(std::fs::read(home.vault()).unwrap() == vault, "{more:?}");
    }
}

#[test]
fn without_a_terminal_only_yes_restores() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    delete(&database, &token);
    let dumped = dump(&database);
    let arguments = ["restore", "--to", "postgres", &id];
    let mut command = home.command(&arguments);
    into(&mut command, &database, Role::Peer);
    Ran::of(&arguments, command.output().unwrap())
        .exits(2)
        .prints("add tk_")
        .says("--yes");
    assert!(dump(&database) == dumped);
}

#[test]
fn what_is_there_is_never_overwritten_by_accident() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    let row = format!(
        "SELECT revoked_at IS NULL, resource_owner_id FROM oauth_access_tokens WHERE token = '{token}'"
    );
    let of = |sql: &str| {
        database.execute(&sql.replace("IT", &format!("token = '{token}'")));
        database.query_strings(&row)
    };
    // Revoked there.
    let revoked = of("UPDATE oauth_access_tokens SET revoked_at = now() WHERE IT");
    let (code, action, detail) = fate(&home, &database, &[&id]);
    assert_eq!((code, &*action), (8, "refused"), "{detail}");
    assert!(detail.contains("--revoked clear"), "{detail}");
    assert_eq!(database.query_strings(&row), revoked);
    database.grant(Role::Restore);
    let (code, action, detail) = {
        let ran = restore(
            &home,
            &database,
            Role::Restore,
            &[&id, "--revoked", "clear", "--json"],
        );
        let object = ran.objects().remove(0);
        (
            ran.code,
            object["action"].to_string(),
            object["detail"].to_string(),
        )
    };
    assert_eq!((code, &*action), (8, "\"refused\""), "{detail}");
    assert!(detail.contains("GRANT UPDATE (revoked_at)"), "{detail}");
    let (code, action, _) = fate(&home, &database, &[&id, "--revoked", "clear"]);
    assert_eq!((code, &*action), (0, "updated"));
    assert!(database.query_strings(&row)[0].starts_with("t|"));
    // Another user's, and another app's.
    for (change, back) in [
        (
            "resource_owner_id = resource_owner_id + 1",
            "resource_owner_id = resource_owner_id - 1",
        ),
        ("application_id = 1", "application_id = application_id"),
    ] {
        let others = of(&format!("UPDATE oauth_access_tokens SET {change} WHERE IT"));
        let (code, action, detail) = fate(&home, &database, &[&id]);
        assert_eq!((code, &*action), (8, "refused"), "{change}");
        assert!(
            detail.contains("belongs to another user or application"),
            "{detail}"
        );
        assert_eq!(database.query_strings(&row), others);
        of(&format!("UPDATE oauth_access_tokens SET {back} WHERE IT"));
    }
}

#[test]
fn a_refresh_token_that_is_there_is_not_doubled() {
    let Some(database) = Database::new("4.7", 1_000) else {
        return;
    };
    let home = backed_up(&database);
    let with_refresh = format!(
        "SELECT t.token FROM oauth_access_tokens t JOIN oauth_applications a ON a.id = application_id
         WHERE t.refresh_token IS NOT NULL AND t.resource_owner_id IS NOT NULL AND {WORKING} LIMIT 1"
    );
    let token = database.query_strings(&with_refresh).remove(0);
    let id = ids(&home).remove(&token).unwrap();
    database.execute(&format!(
        "UPDATE oauth_access_tokens SET token = 'renewed' WHERE token = '{token}'"
    ));
    let (code, action, detail) = fate(&home, &database, &[&id]);
    assert_eq!((code, &*action), (8, "refused"));
    assert!(detail.contains("refresh token"), "{detail}");
    database.execute("UPDATE oauth_access_tokens SET refresh_token = NULL WHERE token = 'renewed'");
    let (code, action, _) = fate(&home, &database, &[&id]);
    assert_eq!((code, &*action), (0, "inserted"));
}

#[test]
fn one_bad_record_does_not_sink_the_others() {
    let Some(database) = Database::rebuilt("4.7", 400) else {
        return;
    };
    let home = Home::new();
    home.run(&INIT).ok();
    let app = r#"{"name": "bot", "client_id": "bot-id", "client_secret": "bot-secret"}"#;
    let record = |token: &str, more: &str| {
        format!(
            r#"{{"instance": "m.example", "user": "alice", "access_token": "{token}", "created_at": "2025-01-01T00:00:00Z", "app": {app}{more}}}"#
        )
    };
    let records = [
        record("good", ""),
        record("first", r#", "refresh_token": "same""#),
        record("second", r#", "refresh_token": "same""#),
        record(&"long".repeat(1_000), ""),
        record("nobodys", "").replace("alice", "nobody-of-that-name"),
        record("secretless", "").replace(app, r#"{"name": "other", "client_id": "other-id"}"#),
        record("appless", "").replace(app, r#"{"name": "other"}"#),
        record("unknown", "").replace(r#""user": "alice", "#, ""),
    ];
    home.run_with_input(&["import", "json", "-"], records.join("\n").as_bytes())
        .ok();
    let ran = restored(&home, &database, &["m.example", "--all", "--json"]).exits(9);
    let mut actions = texts(&ran.objects(), "action")
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    actions.sort();
    assert_eq!(actions[..2], ["inserted", "inserted"]);
    assert_eq!(actions[2..], ["refused"; 6]);
    for token in ["good", "nobodys", "same", "longlong"] {
        assert!(!ran.out.contains(&format!("\"{token}\"")), "{token}");
    }
    assert_eq!(
        database.count("SELECT count(*) FROM oauth_access_tokens"),
        2
    );
    let apps = "SELECT uid FROM oauth_applications WHERE NOT superapp";
    assert_eq!(database.query_strings(apps), ["bot-id"]);
    // The short way gives up over such records, and the long way does the same.
    let other = Database::rebuilt("4.7", 400).unwrap();
    restored(&home, &other, &["m.example", "--all"])
        .exits(9)
        .prints("2 tokens added, 6 refused");
    assert_eq!(other.query_strings(apps), ["bot-id"]);
    let dumped = dump(&database);
    restored(
        &home,
        &database,
        &["m.example", "--all", "--on-conflict", "fail"],
    )
    .exits(8)
    .says("nothing was changed");
    assert!(dump(&database) == dumped);
}

#[test]
fn a_name_that_somebody_else_bears_now_gets_no_token() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    delete(&database, &token);
    for table in [
        "users SET created_at = now()",
        "accounts SET created_at = now() WHERE domain IS NULL",
    ] {
        database.execute(&format!("BEGIN; UPDATE {table}; COMMIT"));
        let (code, action, detail) = fate(&home, &database, &[&id]);
        assert_eq!((code, &*action), (8, "refused"), "{table}");
        assert!(detail.contains("--reused-names"), "{detail}");
        database.execute("UPDATE users SET created_at = '2017-01-01'");
    }
    let (code, action, _) = fate(&home, &database, &[&id, "--reused-names"]);
    assert_eq!((code, &*action), (0, "inserted"));
}

#[test]
fn a_remote_account_of_the_same_name_gets_no_token() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    delete(&database, &token);
    let name = "(SELECT a.username FROM accounts a WHERE a.id = account_id)";
    database.execute(&format!(
        "UPDATE accounts SET username = 'gone_' || username WHERE domain IS NULL AND id > 0;
         SELECT {name} FROM users LIMIT 1"
    ));
    let (code, action, detail) = fate(&home, &database, &[&id]);
    assert_eq!((code, &*action), (8, "refused"));
    assert!(detail.contains("no such user"), "{detail}");
}

#[test]
fn users_are_found_whatever_the_case_of_their_names() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    let before = tokens(&database, "true").len();
    delete(&database, &token);
    database
        .execute("UPDATE accounts SET username = upper(username) WHERE domain IS NULL AND id > 0");
    assert_eq!(fate(&home, &database, &[&id]).1, "inserted");
    assert_eq!(tokens(&database, "true").len(), before);
}

#[test]
fn what_keeps_a_user_from_using_the_token_is_said() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    let user =
        format!("id = (SELECT resource_owner_id FROM oauth_access_tokens WHERE token = '{token}')");
    let user = database
        .query_strings(&format!("SELECT id, account_id FROM users WHERE {user}"))
        .remove(0);
    let (user, account) = user.split_once('|').unwrap();
    for (change, back, words) in [
        (
            "users SET confirmed_at = NULL",
            "users SET confirmed_at = now()",
            "confirmed the e-mail",
        ),
        (
            "users SET disabled = true",
            "users SET disabled = false",
            "is disabled",
        ),
        (
            "users SET approved = false",
            "users SET approved = true",
            "waits for approval",
        ),
        (
            "accounts SET suspended_at = now()",
            "accounts SET suspended_at = NULL",
            "is suspended",
        ),
        (
            "accounts SET memorial = true",
            "accounts SET memorial = false",
            "is a memorial",
        ),
        (
            "accounts SET moved_to_account_id = id",
            "accounts SET moved_to_account_id = NULL",
            "has moved away",
        ),
        (
            "accounts SET requested_deletion_at = now()",
            "accounts SET requested_deletion_at = NULL",
            "asked for deletion",
        ),
    ] {
        let whose = if change.starts_with("users") {
            user
        } else {
            account
        };
        database.execute(&format!("UPDATE {change} WHERE id = {whose}"));
        delete(&database, &token);
        let (code, action, detail) = fate(&home, &database, &[&id]);
        assert_eq!((code, &*action), (0, "inserted"), "{change}");
        assert!(detail.contains(words), "{change}: {detail}");
        database.execute(&format!("UPDATE {back} WHERE id = {whose}"));
    }
    delete(&database, &token);
    assert!(!fate(&home, &database, &[&id]).2.contains("does not work"));
}

#[test]
fn sessions_go_to_the_web_interface_that_is_there_and_only_when_asked_for() {
    let Some(before) = Database::new("4.7", 400) else {
        return;
    };
    let home = backed_up(&before);
    let after = Database::rebuilt("4.7", 400).unwrap();
    let session = before
        .query_strings("SELECT token FROM oauth_access_tokens WHERE application_id = 1 AND revoked_at IS NULL LIMIT 1")
        .remove(0);
    let id = ids(&home).remove(&session).unwrap();
    let (code, action, detail) = fate(&home, &after, &[&id]);
    assert_eq!((code, &*action), (8, "refused"));
    assert!(detail.contains("--sessions"), "{detail}");
    restored(&home, &after, &["m.example", "--all", "--sessions"]).ok();
    let working = WORKING.replace("AND NOT a.superapp", "");
    assert_eq!(tokens(&after, "true"), tokens(&before, &working));
    let superapps = "SELECT id, uid, secret FROM oauth_applications WHERE superapp";
    assert_eq!(
        after.query_strings(superapps),
        ["900|rebuilt-uid|rebuilt-secret"]
    );
    // A server whose web interface has no application gets none from a vault.
    let bare = Database::rebuilt("4.7", 400).unwrap();
    bare.execute("DELETE FROM oauth_applications");
    let (code, action, _) = fate(&home, &bare, &[&id, "--sessions"]);
    assert_eq!((code, &*action), (8, "refused"));
    assert_eq!(bare.count("SELECT count(*) FROM oauth_applications"), 0);
    // Nor do other tokens get into an app that skips the page that asks for consent.
    let app = "SELECT a.uid FROM oauth_applications a JOIN oauth_access_tokens t ON t.application_id = a.id WHERE t.token";
    let token = before.query_strings(ONE).remove(0);
    let uid = before
        .query_strings(&format!("{app} = '{token}'"))
        .remove(0);
    bare.execute(&format!(
        "INSERT INTO oauth_applications (name, uid, secret, redirect_uri, superapp) VALUES ('Web', '{uid}', 's', 'r', true)"
    ));
    let id = ids(&home).remove(&token).unwrap();
    let (code, action, detail) = fate(&home, &bare, &[&id]);
    assert_eq!((code, &*action), (8, "refused"));
    assert!(detail.contains("web interface"), "{detail}");
}

#[test]
fn revoked_tokens_stay_out_come_back_revoked_or_work_again_as_asked_for() {
    let Some(before) = Database::new("4.7", 400) else {
        return;
    };
    let home = backed_up(&before);
    let web = "NOT a.superapp";
    let expired =
        "t.expires_in IS NOT NULL AND t.created_at + t.expires_in * interval '1 second' <= now()";
    for (how, expected) in [
        ("skip", tokens(&before, WORKING)),
        ("keep", tokens(&before, web)),
        (
            "clear",
            tokens(&before, &format!("{web} AND NOT ({expired})")),
        ),
    ] {
        let after = Database::rebuilt("4.7", 400).unwrap();
        restored(&home, &after, &["m.example", "--all", "--revoked", how]).ok();
        let without_time = |rows: Vec<String>| -> Vec<String> {
            let rows = rows.into_iter();
            rows.map(|row| {
                let mut parts: Vec<&str> = row.split('|').collect();
                if how == "clear" {
                    parts[3] = "∅";
                }
                parts.join("|")
            })
            .collect()
        };
        assert_eq!(tokens(&after, "true"), without_time(expected), "{how}");
    }
    let revoked = before
        .query_strings("SELECT token FROM oauth_access_tokens WHERE revoked_at IS NOT NULL AND expires_in IS NULL AND application_id <> 1 AND resource_owner_id <= 8 LIMIT 1")
        .remove(0);
    let id = ids(&home).remove(&revoked).unwrap();
    delete(&before, &revoked);
    let (code, action, detail) = fate(&home, &before, &[&id]);
    assert_eq!((code, &*action), (8, "refused"));
    assert!(detail.contains("--revoked keep"), "{detail}");
    assert_eq!(
        fate(&home, &before, &[&id, "--revoked", "keep"]).1,
        "inserted"
    );
    let row =
        format!("SELECT revoked_at IS NULL FROM oauth_access_tokens WHERE token = '{revoked}'");
    assert_eq!(before.query_strings(&row), ["f"]);
}

/// Everything that a restore writes, without the ids and times that it makes up.
fn written(database: &Database) -> (Vec<String>, Vec<String>) {
    let apps = "SELECT id, uid, name, secret, redirect_uri, scopes, website, confidential, superapp, owner_type, \
         owner_id, created_at FROM oauth_applications ORDER BY uid";
    (tokens(database, "true"), database.query_strings(apps))
}

#[test]
fn the_short_way_of_a_whole_instance_does_what_the_long_way_does() {
    for generation in ["2.4", "4.7"] {
        let Some(before) = Database::new(generation, 1_000) else {
            return;
        };
        // Some are refused for every reason that there is.
        before.execute(
            "UPDATE oauth_applications SET secret = 'other' WHERE id = 5;
             UPDATE accounts SET username = upper(username) WHERE id % 10 = 3 AND domain IS NULL AND id > 0",
        );
        let home = backed_up(&before);
        let prepared = || {
            let after = Database::rebuilt(generation, 1_000).unwrap();
            after.execute(
                "DELETE FROM users WHERE id % 7 = 1; UPDATE users SET created_at = '2024-01-01' WHERE id % 7 = 2;
                 INSERT INTO oauth_applications (id, name, uid, secret, redirect_uri)
                 VALUES (7, 'n', 'u', 's', 'r')",
            );
            after
        };
        for more in [
            &[][..],
            &["--sessions", "--revoked", "keep"],
            &["--reused-names", "--revoked", "clear"],
        ] {
            let (short, long) = (prepared(), prepared());
            let arguments = [&["m.example", "--all"], more].concat();
            let ran = restored(&home, &short, &arguments).exits(9);
            let in_full = restored(&home, &long, &[&arguments[..], &["--json"]].concat());
            assert_eq!(written(&short), written(&long), "{generation} {more:?}");
            // What is counted and shown is the same too.
            let objects = in_full.exits(9).objects();
            let refused = |action: &&&str| **action == "refused";
            let refused = texts(&objects, "action").iter().filter(refused).count();
            let counted = ran.out.lines().last().unwrap().to_owned();
            assert!(
                counted.contains(&format!(" {refused} refused")),
                "{counted}"
            );
            let again = restored(&home, &long, &arguments).exits(9);
            let notes = |ran: &Ran| -> Vec<String> {
                let lines = ran.err.lines().filter(|line| line.starts_with("left out"));
                lines.map(str::to_owned).collect()
            };
            assert_eq!(notes(&again), notes(&ran));
        }
    }
}

#[test]
fn looking_back_does_not_undo_a_revocation_that_is_known_since() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    database.execute(&format!(
        "UPDATE oauth_access_tokens SET revoked_at = '2026-01-02 03:04:05' WHERE token = '{token}'"
    ));
    back_up(&home, &database);
    delete(&database, &token);
    let row = format!("SELECT revoked_at FROM oauth_access_tokens WHERE token = '{token}'");
    let then = ["--as-of", "run:1"];
    restored(
        &home,
        &database,
        &[&["m.example", "--all"], &then[..]].concat(),
    )
    .ok();
    assert!(database.query_strings(&row).is_empty());
    let (code, action, detail) = fate(&home, &database, &[&[&*id], &then[..]].concat());
    assert_eq!((code, &*action), (8, "refused"));
    assert!(detail.contains("it was revoked"), "{detail}");
    fate(
        &home,
        &database,
        &[&[&*id, "--revoked", "keep"], &then[..]].concat(),
    );
    assert_eq!(database.query_strings(&row), ["2026-01-02 03:04:05"]);
}

#[test]
fn it_works_through_a_pooler_and_leaves_no_trace_in_its_connections() {
    let Some(before) = Database::new("4.7", 400) else {
        return;
    };
    let home = backed_up(&before);
    let after = Database::rebuilt("4.7", 400).unwrap();
    let Some(pooler) = Pooler::start(&after) else {
        return;
    };
    let id = ids(&home)
        .remove(&before.query_strings(ONE).remove(0))
        .unwrap();
    let through = |more: &[&str]| {
        let arguments = [&["restore", "--to", "postgres", "--yes"], more].concat();
        let mut command = home.command(&arguments);
        into(&mut command, &after, Role::Mastodon);
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", pooler.port.to_string())
            .env("PGSSLMODE", "disable")
            .env("PGPASSWORD", PASSWORD);
        Ran::of(&arguments, command.output().unwrap()).ok();
    };
    // One after the other through the same connection to the server.
    through(&[&id]);
    through(&["m.example", "--all"]);
    through(&["m.example", "--apps"]);
    assert_eq!(tokens(&after, "true"), tokens(&before, WORKING));
}

#[test]
fn all_means_what_the_server_held_then_not_what_a_client_kept_since() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    // The client still has it in its file; the server has it no more.
    let record =
        format!(r#"{{"instance": "m.example", "user": "alice", "access_token": "{token}"}}"#);
    home.run_with_input(&["import", "json", "-"], record.as_bytes())
        .ok();
    delete(&database, &token);
    back_up(&home, &database);
    restored(&home, &database, &["m.example", "--all"]);
    let there = format!("SELECT count(*) FROM oauth_access_tokens WHERE token = '{token}'");
    assert_eq!(database.count(&there), 0);
    restored(
        &home,
        &database,
        &["m.example", "--all", "--as-of", "run:1"],
    )
    .ok();
    assert_eq!(database.count(&there), 1);
    assert_eq!(fate(&home, &database, &[&id]).1, "unchanged");
}

#[test]
fn tokens_of_another_instance_are_refused_unless_they_are_meant() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    delete(&database, &token);
    database.execute("UPDATE accounts SET username = 'other.example' WHERE id = -99");
    let (code, action, detail) = fate(&home, &database, &[&id]);
    assert_eq!((code, &*action), (8, "refused"));
    assert!(detail.contains("--other-instance"), "{detail}");
    // Who says which instance it is knows better than the database.
    let (code, action, _) = fate(
        &home,
        &database,
        &[&id, "--instance", "m.example", "--dry-run"],
    );
    assert_eq!((code, &*action), (0, "inserted"));
    assert_eq!(
        fate(&home, &database, &[&id, "--other-instance"]).1,
        "inserted"
    );
    delete(&database, &token);
    database.execute("DELETE FROM accounts WHERE id = -99");
    restored(&home, &database, &[&id])
        .exits(2)
        .says("which instance the database is of is not known");
    let there = format!("SELECT count(*) FROM oauth_access_tokens WHERE token = '{token}'");
    assert_eq!(database.count(&there), 0);
    let said = [&id, "--instance", "m.example"];
    assert_eq!(fate(&home, &database, &said).1, "inserted");
    // Two that contradict each other are not chosen from.
    let env_file = database.env_file(home.path(), Role::Mastodon, Way::Tcp);
    let env_file = env_file.to_str().unwrap();
    home.run(&[
        "restore",
        &id,
        "--to",
        "postgres",
        "--yes",
        "--env-file",
        env_file,
        "--instance",
        "other.example",
    ])
    .exits(2)
    .says("LOCAL_DOMAIN says m.example");
}

#[test]
fn apps_come_back_alone_with_what_they_were() {
    for generation in ["2.4", "4.7"] {
        let Some(database) = Database::new(generation, 1_000) else {
            return;
        };
        let home = backed_up(&database);
        let all = "SELECT a.*, u.id FROM oauth_applications a LEFT JOIN users u ON u.id = a.owner_id ORDER BY a.id";
        let columns = "SELECT id, uid, name, secret, redirect_uri, scopes, website, confidential, superapp, owner_type, \
             owner_id, created_at FROM oauth_applications ORDER BY id";
        assert_eq!(database.query_strings(all).len(), 100);
        let before = database.query_strings(columns);
        // As Mastodon's clean-up once did.
        database.execute("DELETE FROM oauth_applications WHERE NOT superapp");
        database.grant(Role::Restore);
        restore(&home, &database, Role::Restore, &["m.example", "--apps"]).ok();
        assert_eq!(database.query_strings(columns), before, "{generation}");
        let again = restored(&home, &database, &["m.example", "--apps", "--json"])
            .ok()
            .objects();
        assert_eq!(texts(&again, "action"), vec!["unchanged"; 99]);
        // The server's word counts.
        database.execute(
            "UPDATE oauth_applications SET secret = 'new' WHERE id = 2;
             UPDATE oauth_applications SET redirect_uri = 'x:y' WHERE id = 3",
        );
        let kept = database.query_strings(columns);
        let ran = restored(&home, &database, &["m.example", "--apps"]).exits(9);
        let ran = ran
            .prints("another client_secret")
            .prints("other scopes or redirect URIs");
        assert!(!ran.out.contains("new"), "{}", ran.out);
        assert_eq!(database.query_strings(columns), kept);
        // One of them.
        database.execute("DELETE FROM oauth_applications WHERE NOT superapp");
        let uid = before[4].split('|').nth(1).unwrap();
        restored(&home, &database, &[&format!("m.example/{uid}"), "--apps"]).ok();
        assert_eq!(
            database.count("SELECT count(*) FROM oauth_applications WHERE NOT superapp"),
            1
        );
    }
}

#[test]
fn an_app_gets_its_former_id_only_where_it_is_free_and_its_owner_only_where_it_is_the_same() {
    let Some(before) = Database::new("4.7", 400) else {
        return;
    };
    let home = backed_up(&before);
    let after = Database::rebuilt("4.7", 400).unwrap();
    after.execute(
        "INSERT INTO oauth_applications (id, name, uid, secret, redirect_uri) VALUES (2, 'n', 'u', 's', 'r');
         UPDATE users SET created_at = now()",
    );
    restored(&home, &after, &["m.example", "--apps"])
        .ok()
        .prints("under another id");
    let ids = |database: &Database| {
        database.query_strings("SELECT id FROM oauth_applications ORDER BY id")
    };
    let (old, new) = (ids(&before), ids(&after));
    assert_eq!(new.len(), old.len() + 1);
    assert_eq!(
        after.query_strings("SELECT uid FROM oauth_applications WHERE id = 2"),
        ["u"]
    );
    assert!(before.count("SELECT count(*) FROM oauth_applications WHERE owner_id IS NOT NULL") > 0);
    assert_eq!(
        after.count("SELECT count(*) FROM oauth_applications WHERE owner_id IS NOT NULL"),
        0
    );
}

#[test]
fn indexes_and_keys_are_made_again_as_they_were() {
    for generation in GENERATIONS {
        let Some(before) = Database::new(generation, 400) else {
            return;
        };
        let home = backed_up(&before);
        let after = Database::rebuilt(generation, 400).unwrap();
        after.execute("ALTER TABLE oauth_access_tokens OWNER TO mastodon");
        let indexes =
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'oauth%' ORDER BY 1";
        let keys = "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint ORDER BY 1, 2";
        let known = (after.query_strings(indexes), after.query_strings(keys));
        let arguments = ["m.example", "--all", "--rebuild-indexes"];
        after.grant(Role::Restore);
        restore(&home, &after, Role::Restore, &arguments)
            .exits(8)
            .says("only the owner");
        restored(&home, &after, &arguments).ok();
        assert_eq!(
            tokens(&after, "true"),
            tokens(&before, WORKING),
            "{generation}"
        );
        assert_eq!(
            (after.query_strings(indexes), after.query_strings(keys)),
            known,
            "{generation}"
        );
        restored(&home, &after, &arguments)
            .exits(8)
            .says("not empty");
    }
}

#[test]
fn what_the_role_lacks_is_named_as_a_grant() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    delete(&database, &token);
    database.grant(Role::Backup);
    let ran = restore(&home, &database, Role::Backup, &[&id]).exits(8);
    for grant in [
        "GRANT INSERT ON oauth_access_tokens TO tuskvault_backup;",
        "GRANT USAGE ON SEQUENCE public.oauth_access_tokens_id_seq TO tuskvault_backup;",
        "GRANT TEMP ON DATABASE",
    ] {
        assert!(ran.err.contains(grant), "{grant}: {}", ran.err);
    }
    database.grant(Role::Restore);
    database.execute("REVOKE USAGE ON SEQUENCE oauth_applications_id_seq FROM tuskvault_restore");
    restore(&home, &database, Role::Restore, &[&id, "--dry-run"]).ok();
    database.execute("DELETE FROM oauth_applications WHERE NOT superapp");
    restore(&home, &database, Role::Restore, &[&id])
        .exits(8)
        .says("GRANT USAGE ON SEQUENCE public.oauth_applications_id_seq");
    assert_eq!(database.count("SELECT count(*) FROM oauth_applications"), 1);
}

#[test]
fn where_nothing_can_be_restored_it_says_why() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    delete(&database, &token);
    let entries = home.audit_entries();
    database.execute(&format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        database.name
    ));
    restored(&home, &database, &[&id])
        .exits(8)
        .says("takes no writes");
    let other = Database::bare().unwrap();
    restored(&home, &other, &[&id])
        .exits(8)
        .says("no Mastodon's database");
    let torn = Database::new("4.7", 0).unwrap();
    torn.execute("ALTER TABLE oauth_access_tokens DROP COLUMN scopes");
    restored(&home, &torn, &[&id])
        .exits(8)
        .says("column oauth_access_tokens.scopes");
    for (arguments, says) in [
        (&["m.example", "--all", "--path", "x"][..], "no path"),
        (&["alice@m.example", "--apps"], "INSTANCE"),
        (&["m.example~1", "--all"], "~N"),
        (&["m.example", "--rebuild-indexes"], "--all"),
    ] {
        restored(&home, &other, arguments).exits(2).says(says);
    }
    assert_eq!(home.audit_entries(), entries);
}

/// Waits until the restore waits for a lock in the database.
#[track_caller]
fn wait_for_waiting<T>(database: &Database, restoring: &std::thread::ScopedJoinHandle<'_, T>) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while database.count(waiting) == 0 {
        assert!(!restoring.is_finished(), "it did not wait");
        database.execute("SELECT pg_sleep(0.01)");
    }
}

#[test]
fn a_token_that_the_server_writes_meanwhile_is_not_written_twice() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    let of = format!("token = '{token}'");
    let row = database.query_strings(&format!(
        "SELECT application_id, resource_owner_id, created_at, scopes FROM oauth_access_tokens WHERE {of}"
    ));
    let row: Vec<&str> = row[0].split('|').collect();
    delete(&database, &token);
    let mut server = database.client();
    server
        .batch_execute(&format!(
            "BEGIN; INSERT INTO oauth_access_tokens (token, application_id, resource_owner_id, created_at, scopes) \
             VALUES ('{token}', {}, {}, '{}', '{}')",
            row[0], row[1], row[2], row[3]
        ))
        .unwrap();
    std::thread::scope(|scope| {
        let restoring = scope.spawn(|| fate(&home, &database, &[&id]));
        wait_for_waiting(&database, &restoring);
        server.batch_execute("COMMIT").unwrap();
        let (code, action, _) = restoring.join().unwrap();
        assert_eq!((code, &*action), (0, "unchanged"));
    });
    assert_eq!(
        database.count(&format!(
            "SELECT count(*) FROM oauth_access_tokens WHERE {of}"
        )),
        1
    );
}

#[test]
fn a_server_that_goes_away_leaves_nothing_behind() {
    let Some((database, home, token, _)) = one() else {
        return;
    };
    delete(&database, &token);
    let mut server = database.client();
    let lock = "BEGIN; LOCK TABLE oauth_access_tokens IN EXCLUSIVE MODE";
    server.batch_execute(lock).unwrap();
    let entries = home.audit_entries();
    std::thread::scope(|scope| {
        let restoring = scope.spawn(|| restored(&home, &database, &["m.example", "--all"]));
        wait_for_waiting(&database, &restoring);
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
             AND wait_event_type = 'Lock'",
        );
        restoring
            .join()
            .unwrap()
            .exits(1)
            .says("nothing was changed");
    });
    server.batch_execute("ROLLBACK").unwrap();
    assert_eq!(home.audit_entries(), entries);
    assert_eq!(
        database.count(&format!(
            "SELECT count(*) FROM oauth_access_tokens WHERE token = '{token}'"
        )),
        0
    );
}

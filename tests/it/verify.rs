//! `verify` and `restore --verify`: a real server is asked over TLS, and what it answers is kept.

use std::sync::Mutex;

use serde_json::Value;

use crate::{
    home::{Home, INIT, Ran, texts},
    instance::{Behaviour, Reply, Request, Server},
};

const ACCOUNT: &str = "/api/v1/accounts/verify_credentials";
const APP: &str = "/api/v1/apps/verify_credentials";

/// A server whose answer is named by the token: that of `token-revoked` is the sample of this name.
fn by_token(request: &Request) -> Reply {
    let name = request.token().unwrap_or("none");
    match (request.path(), name) {
        (ACCOUNT, "app-ok-4.3") => Reply::sample("scope-missing"),
        (ACCOUNT | APP, "busy") => Reply::json(503, "{}"),
        (ACCOUNT | APP, "none") => Reply::json(404, "{}"),
        (ACCOUNT | APP, name) => Reply::sample(name),
        _ => Reply::json(404, "{}"),
    }
}

fn server() -> Server {
    Server::start(Behaviour::new(by_token))
}

/// A vault with tokens of these names: `user token`.
fn home(tokens: &[(&str, &str)]) -> Home {
    let home = Home::new();
    home.run(&INIT).ok();
    let records = tokens.iter().map(|(user, token)| {
        let user = if *user == "?" {
            Value::Null
        } else {
            (*user).into()
        };
        let app = serde_json::json!({ "name": "toot" });
        let record = serde_json::json!({
            "instance": "m.example", "user": user, "access_token": token, "app": app,
        });
        record.to_string() + "\n"
    });
    home.write("records", records.collect::<String>());
    home.run(&["import", "json", "records"]).ok();
    home
}

/// A file that `to_env` restores into.
const ENV: &str = "MASTODON_BASE_URL=https://m.example\nMASTODON_ACCESS_TOKEN=old\n";

fn to_env(selector: &str) -> [&str; 7] {
    [
        "restore", selector, "--to", "dotenv", "--path", "bot/.env", "--yes",
    ]
}

/// Runs the program so that every name leads to the server.
fn ask(home: &Home, server: &Server, arguments: &[&str]) -> Ran {
    let ca_file = server.ca_file();
    let all = [arguments, &["--ca-file", ca_file.to_str().unwrap()]].concat();
    let mut command = home.command(&all);
    command.env("HTTPS_PROXY", server.proxy_url());
    Ran::of(&all, command.output().unwrap())
}

#[test]
fn every_answer_is_told_with_what_it_means_and_kept() {
    let server = server();
    let home = home(&[
        ("alice", "account-ok"),
        ("bob", "token-revoked"),
        ("carol", "token-invalid"),
        ("dora", "token-expired"),
        ("erik", "user-disabled"),
        ("frida", "app-ok-4.3"),
        ("gert", "busy"),
    ]);
    let ran = ask(&home, &server, &["verify"]).exits(9);
    for text in [
        "works as alice@m.example",
        "revoked",
        "not known to the instance",
        "expired",
        "known, but the account's login is disabled",
        "works, but may not tell whose it is",
        "no answer: ",
        "asked about 7 tokens: 2 work, 4 don't, or not as they should, 1 without an answer",
    ] {
        assert!(ran.out.contains(text), "{text:?} is not in\n{}", ran.out);
    }
    let ran = ran
        .says("log in again")
        .says("its admin")
        .keeps_to_itself("account-ok");
    ran.keeps_to_itself("token-revoked");

    let listed = home.run(&["list"]).ok();
    listed
        .prints("VERIFIED")
        .prints("just now: works as")
        .prints("never");
    let mut broken = home.json(&["list", "--broken"]);
    broken.sort_by_key(|record| record["user"].to_string());
    assert_eq!(texts(&broken, "user"), ["bob", "carol", "dora", "erik"]);
    assert_eq!(broken[0]["verified"]["verdict"], "revoked");
    assert_eq!(
        broken[0]["verified"]["words"],
        "The access token was revoked"
    );
    let old = home.json(&["list", "--verified-before", "1 hour ago"]);
    assert_eq!(texts(&old, "user"), ["gert"]);
    assert_eq!(home.json(&["list", "--verified-before", "now"]).len(), 7);
    let then = home.json(&["list", "--all", "--as-of", "2 hours ago"]);
    assert!(then.is_empty(), "nothing was known yet");
    assert!(
        home.json(&["list", "alice@m.example", "--broken"])
            .is_empty()
    );
    home.run(&["list", "alicia@m.example", "--broken"]).exits(5);
    home.run(&["show", "frida@m.example"])
        .ok()
        .prints("works, but may not tell");
    home.run(&["show", "bob@m.example"])
        .ok()
        .prints("revoked (\"The access token was revoked\")");
    let history = home.run(&["history", "bob@m.example"]).ok();
    history.prints("verified: revoked");
    let audit = home.run(&["audit"]).ok();
    audit
        .prints("4 active, and not working when their instance was last asked")
        .prints("instances were asked about 6 of the 7: 2 worked")
        .prints("asked instances about 7 tokens: 2 work, 4 don't, 1 without an answer");
    let findings = home.json(&["audit"]);
    let dora = findings
        .iter()
        .find(|object| object["user"] == "dora")
        .unwrap();
    assert!(
        dora["findings"]
            .as_array()
            .unwrap()
            .contains(&"not_working".into())
    );
    home.run(&["check"]).ok();
}

#[test]
fn in_json_each_answer_is_an_object_as_it_comes() {
    let server = server();
    let home = home(&[("alice", "account-ok"), ("bob", "busy")]);
    let ran = ask(&home, &server, &["verify", "--json"]).exits(9);
    let mut objects = ran.objects();
    objects.sort_by_key(|object| object["user"].to_string());
    let [alice, bob] = objects.as_slice() else {
        panic!("{objects:?}")
    };
    assert_eq!(alice["verified"]["verdict"], "works");
    assert_eq!(alice["verified"]["works"], true);
    assert_eq!(alice["verified"]["account"]["username"], "alice");
    assert_eq!(alice["unanswered"], Value::Null);
    assert_eq!(bob["verified"], Value::Null);
    assert_eq!(bob["unanswered"]["why"], "unreachable");
    assert_eq!(bob["id"], home.json(&["show", "bob@m.example"])[0]["id"]);
}

#[test]
fn a_name_that_no_source_knows_is_known_from_then_on() {
    let server = server();
    let home = home(&[("?", "account-ok")]);
    home.run(&["show", "alice@m.example"]).exits(5);
    ask(&home, &server, &["verify"])
        .ok()
        .prints("works as alice@m.example");
    assert_eq!(home.json(&["show", "alice@m.example"])[0]["user"], "alice");
    home.run(&["show", "alice@m.example", "--as-of", "1 hour ago"])
        .exits(5);
    // What is exported carries it, and comes back whole in both ways.
    let exports: [&[&str]; 2] = [&[], &["--history"]];
    for more in exports {
        let export = [&["export", "json", "--reveal"], more].concat();
        let exported = home.run(&export).ok().out;
        let other = Home::new();
        other.run(&INIT).ok();
        other.write("records", exported);
        other.run(&["import", "json", "records"]).ok();
        let record = &other.json(&["show", "alice@m.example"])[0];
        assert_eq!(
            record["verified"],
            home.json(&["show", "alice@m.example"])[0]["verified"]
        );
        other.run(&["check"]).ok();
    }
}

#[test]
fn somebody_elses_account_is_shouted() {
    let server = server();
    let home = home(&[("mallory", "account-ok")]);
    ask(&home, &server, &["verify"])
        .exits(9)
        .says("WORKS AS SOMEBODY ELSE: alice@m.example");
    // The record stays its own.
    assert_eq!(home.json(&["list"])[0]["user"], "mallory");
}

#[test]
fn where_nobody_answers_the_last_verdict_stays() {
    let home = home(&[("alice", "account-ok")]);
    {
        let server = server();
        ask(&home, &server, &["verify"]).ok();
    }
    let before = home.json(&["show", "alice@m.example"]);
    let silent = Server::start(Behaviour::new(|_| Reply::json(500, "{}")));
    ask(&home, &silent, &["verify"])
        .exits(1)
        .says("nothing could be asked: m.example")
        .prints("last known: works as alice@m.example");
    assert_eq!(home.json(&["show", "alice@m.example"]), before);
    home.run(&["audit"])
        .ok()
        .prints("0 work, 0 don't, 1 without an answer");
}

#[test]
fn nobody_is_asked_where_that_is_forbidden_or_only_tried_out() {
    let server = server();
    let home = home(&[("alice", "account-ok")]);
    ask(&home, &server, &["verify", "--offline"])
        .exits(2)
        .says("forbidden by `--offline`");
    let mut command = home.command(&["verify"]);
    command.env("TUSKVAULT_OFFLINE", "1");
    command.env("HTTPS_PROXY", server.proxy_url());
    Ran::of(&["verify"], command.output().unwrap()).exits(2);
    let ran = ask(&home, &server, &["verify", "--dry-run"]).ok();
    ran.prints("would ask 1 instance about 1 token");
    assert!(server.requests().is_empty());
    let ca_file = server.ca_file();
    let arguments = ["verify", "--ca-file", ca_file.to_str().unwrap()];
    let mut command = home.command(&arguments);
    command.env("TUSKVAULT_OFFLINE", "0");
    command.env("HTTPS_PROXY", server.proxy_url());
    Ran::of(&arguments, command.output().unwrap()).ok();
}

#[test]
#[cfg(feature = "pgdump")]
fn a_whole_instance_is_asked_about_only_by_name() {
    let server = Server::start(Behaviour::new(|request| match request.path() {
        ACCOUNT => Reply::sample("token-revoked"),
        _ => Reply::json(404, "{}"),
    }));
    let home = Home::new();
    home.run(&INIT).ok();
    home.copy("pgdump/mastodon.sql", "dump.sql");
    home.run(&["import", "pgdump", "dump.sql"]).ok();
    ask(&home, &server, &["verify"])
        .exits(2)
        .says("counts as use")
        .says("--all");
    assert!(server.requests().is_empty());
    let some = ask(&home, &server, &["verify", "alice@m.example"]).exits(9);
    some.says("asking counts as use: that each of 9 tokens of m.example");
    let asked = server.with_token().len();
    ask(&home, &server, &["verify", "--all"]).exits(9);
    assert!(server.with_token().len() > asked + 20);
    // Its users' passwords are none of its business, and no address but the API's was asked with a token.
    let with_token = server.with_token();
    assert!(
        with_token
            .iter()
            .all(|seen| seen.starts_with("m.example /api/v1/"))
    );
}

#[test]
fn tokens_of_many_people_are_asked_about_only_by_name() {
    let server = Server::start(Behaviour::new(|request| match request.path() {
        ACCOUNT => Reply::sample("token-revoked"),
        _ => Reply::json(404, "{}"),
    }));
    let users: Vec<String> = (0..11).map(|n| format!("user{n}")).collect();
    let users = users.iter().map(String::as_str);
    let tokens: Vec<(&str, &str)> = users.map(|user| (user, user)).collect();
    // What a person may have.
    ask(&home(&tokens[..10]), &server, &["verify"]).exits(9);
    let asked = server.with_token().len();
    let home = home(&tokens);
    ask(&home, &server, &["verify"])
        .exits(2)
        .says("everybody at m.example");
    assert_eq!(server.with_token().len(), asked);
    ask(&home, &server, &["verify", "*@m.example"])
        .exits(9)
        .says("asking counts as use");
}

#[test]
fn what_is_gone_from_its_app_is_asked_about_and_listed_as_broken() {
    let server = server();
    let home = home(&[]);
    for token in ["token-revoked", "account-ok"] {
        home.write("bot/.env", ENV.replace("old", token));
        home.run(&["import", "dotenv", "--path", "bot/.env"]).ok();
    }
    assert_eq!(texts(&home.json(&["list"]), "status"), ["active"]);
    ask(&home, &server, &["verify"]).exits(9).prints("revoked");
    let broken = home.json(&["list", "--broken"]);
    assert_eq!(texts(&broken, "status"), ["gone"]);
    let mut old = home.json(&["list", "--verified-before", "now"]);
    old.sort_by_key(|record| record["status"].to_string());
    assert_eq!(texts(&old, "status"), ["active", "gone"]);
}

#[test]
fn the_vault_is_free_while_instances_are_asked() {
    let home = home(&[("alice", "account-ok")]);
    home.write("more", r#"{"instance":"m.example","access_token":"more"}"#);
    let others = Mutex::new(Vec::new());
    let mut import = home.command(&["import", "json", "more", "--lock-timeout", "0"]);
    let import = Mutex::new(move || import.status().unwrap().code());
    let server = {
        let import = std::sync::Arc::new(import);
        let codes = std::sync::Arc::new(others);
        let (own, seen) = (import.clone(), codes.clone());
        let server = Server::start(Behaviour::new(move |request| {
            if request.path() == ACCOUNT {
                seen.lock().unwrap().push(own.lock().unwrap()());
            }
            by_token(request)
        }));
        ask(&home, &server, &["verify", "alice@m.example"]).ok();
        assert_eq!(*codes.lock().unwrap(), [Some(0)]);
        server
    };
    drop(server);
    assert_eq!(home.json(&["list"]).len(), 2);
    assert_eq!(
        home.json(&["show", "alice@m.example"])[0]["verified"]["works"],
        true
    );
}

#[test]
fn what_was_restored_is_asked_about() {
    let server = server();
    let home = home(&[("alice", "account-ok"), ("bob", "token-revoked")]);
    home.write("bot/.env", ENV);
    let to = |user: &str, more: &[&str]| {
        let selector = format!("{user}@m.example");
        let restore = [&to_env(&selector)[..], &["--verify"], more].concat();
        ask(&home, &server, &restore)
    };
    to("alice", &[]).ok().prints("works as alice@m.example");
    assert!(
        std::fs::read_to_string(home.file("bot/.env"))
            .unwrap()
            .contains("account-ok")
    );
    to("bob", &[]).exits(9).prints("revoked");
    let restored = std::fs::read_to_string(home.file("bot/.env")).unwrap();
    assert!(restored.contains("token-revoked"), "it stays restored");
    let before = server.requests().len();
    to("alice", &["--offline"]).exits(2);
    assert_eq!(server.requests().len(), before);
    assert!(std::fs::read_to_string(home.file("bot/.env")).unwrap() == restored);
}

#[test]
fn what_can_not_be_asked_with_is_said() {
    let server = server();
    let home = home(&[("alice", "account-ok")]);
    home.write("empty.pem", "");
    let ran = home.run(&["verify", "--ca-file", "empty.pem"]).exits(8);
    ran.says("empty.pem");
    home.run(&["verify", "bob@m.example"]).exits(5);
    home.run(&["verify", "--timeout", "0"]).exits(2);
    assert!(server.requests().is_empty());
}

#[test]
fn vaults_that_come_together_bring_their_answers() {
    let server = server();
    let here = home(&[("alice", "account-ok"), ("bob", "token-revoked")]);
    let there = home(&[("alice", "account-ok"), ("carol", "token-invalid")]);
    ask(&there, &server, &["verify"]).exits(9);
    let other = there.vault();
    let merge = ["merge", other.to_str().unwrap()];
    here.run(&merge).ok().says("2 answers of instances");
    let works = here.json(&["show", "alice@m.example"]);
    assert_eq!(
        works[0]["verified"],
        there.json(&["show", "alice@m.example"])[0]["verified"]
    );
    here.run(&merge)
        .ok()
        .says("everything that they hold is here already");
    here.run(&["forget", "carol@m.example", "--yes"]).ok();
    here.run(&["check"]).ok();
    let all = here.run(&["export", "json", "--all", "--reveal"]).ok();
    all.keeps_to_itself("carol");
}

#[test]
fn answers_are_told_where_they_can_not_be_kept_now() {
    let home = home(&[("alice", "token-revoked")]);
    let (vault, held) = (home.vault(), std::sync::Arc::new(Mutex::new(None)));
    let holding = held.clone();
    let server = Server::start(Behaviour::new(move |request| {
        if request.path() == ACCOUNT {
            // A backup that takes long begins.
            let file = std::fs::File::open(&vault).unwrap();
            file.lock().unwrap();
            holding.lock().unwrap().replace(file);
        }
        by_token(request)
    }));
    ask(&home, &server, &["verify", "--lock-timeout", "0"])
        .exits(7)
        .prints("revoked")
        .says("1 answer could not be kept");
    held.lock().unwrap().take();
    assert_eq!(home.json(&["list"])[0]["verified"], Value::Null);
}

#[test]
fn answers_are_kept_where_nobody_hears_them() {
    let server = server();
    let home = home(&[("alice", "account-ok"), ("bob", "token-revoked")]);
    let ca_file = server.ca_file();
    let mut command = home.command(&["verify", "--json", "--ca-file", ca_file.to_str().unwrap()]);
    command.env("HTTPS_PROXY", server.proxy_url());
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    child.wait().unwrap();
    let kept = home.json(&["list"]);
    let kept = kept.iter().filter(|record| !record["verified"].is_null());
    // The one that could not be told broke it off.
    assert!(kept.count() >= 1);
}

#[test]
fn what_a_restore_needs_to_ask_is_looked_at_before_it_writes() {
    let server = server();
    let home = home(&[("alice", "account-ok")]);
    let path = home.write("bot/.env", ENV);
    home.write("empty.pem", "");
    let restore = |more: &[&str]| home.run(&[&to_env("alice@m.example")[..], more].concat());
    restore(&["--verify", "--ca-file", "empty.pem"])
        .exits(8)
        .says("empty.pem");
    restore(&["--timeout", "5"])
        .exits(2)
        .says("`--timeout` goes with `--verify`");
    assert_eq!(std::fs::read_to_string(path).unwrap(), ENV);
    assert!(server.requests().is_empty());
}

#[test]
fn answers_from_elsewhere_are_bounded_and_not_of_the_future() {
    let home = Home::new();
    home.run(&INIT).ok();
    let long = "n".repeat(5_000);
    let record = |token: &str, at: &str| {
        serde_json::json!({
            "instance": "m.example", "access_token": token,
            "verified": { "at": at, "verdict": "refused", "words": long, "account": { "id": "1", "username": long } },
        })
        .to_string()
    };
    let records = [
        record("one", "2026-01-01T00:00:00Z"),
        record("two", "2100-01-01T00:00:00Z"),
    ];
    home.write("records", records.join("\n"));
    let ran = home.run(&["import", "json", "records"]).ok();
    ran.says("1 answers of instances are dated in the future");
    let kept = home.json(&["list"]);
    let kept: Vec<&Value> = kept
        .iter()
        .map(|record| &record["verified"])
        .filter(|it| !it.is_null())
        .collect();
    let [kept] = kept.as_slice() else {
        panic!("{kept:?}")
    };
    assert_eq!(kept["words"].as_str().unwrap().len(), 2_000);
    assert_eq!(kept["account"], Value::Null);
}

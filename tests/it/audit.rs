//! `audit`: how well sources and tokens are backed up, what was done with the vault, and its log's chain.

use std::time::Duration;

use redb::TableDefinition;
use serde_json::Value;
use tuskvault::{
    crypto::{Credentials, Passphrase},
    storage::{Access, LockedVault, Redb, open_redb},
};

use crate::home::{ADA, CHEAP, Home, PASSPHRASE};

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let objects = objects.iter();
    objects.filter(|object| object["kind"] == kind).collect()
}

fn audit(home: &Home, more: &[&str]) -> Vec<Value> {
    home.json(&[&["audit"], more].concat())
}

fn summary(home: &Home, more: &[&str]) -> Value {
    let objects = audit(home, more);
    let last = objects.last().unwrap();
    assert_eq!(last["kind"], "summary");
    last.clone()
}

/// The keys of the tokens that have this finding, sorted.
fn found(objects: &[Value], finding: &str) -> Vec<String> {
    let tokens = of_kind(objects, "token").into_iter();
    let mut keys: Vec<String> = tokens
        .filter(|token| {
            token["findings"]
                .as_array()
                .unwrap()
                .contains(&finding.into())
        })
        .map(|token| {
            format!(
                "{}@{}",
                token["user"].as_str().unwrap_or("?"),
                token["instance"].as_str().unwrap()
            )
        })
        .collect();
    keys.sort();
    keys
}

/// The words for what was done.
fn events(objects: &[Value]) -> Vec<&str> {
    let events = of_kind(objects, "event").into_iter();
    events
        .map(|event| event["event"].as_str().unwrap())
        .collect()
}

#[test]
fn a_source_is_overdue_after_its_own_rhythm() {
    let home = Home::backed_up();
    home.import_bot();
    home.run(&["backup", "toot"]).ok();
    let sources = audit(&home, &[]);
    let sources = of_kind(&sources, "source");
    assert_eq!(sources.len(), 2);
    assert_eq!(sources[0]["source"], "toot");
    assert_eq!(sources[0]["runs"], 2);
    assert_eq!(sources[0]["backups"], 2);
    assert_eq!(sources[0]["first_backup"]["run"], 1);
    assert_eq!(sources[0]["last_backup"]["run"], 3);
    assert_eq!(sources[0]["last_backup"]["recorded_by"]["user"], "tester");
    assert_eq!(sources[0]["active_tokens"], 4);
    assert_eq!(sources[0]["overdue"], false);
    assert_eq!(sources[1]["source"], "generic");
    assert_eq!(sources[1]["rhythm_secs"], Value::Null);
    assert_eq!(summary(&home, &[])["overdue"], 0);
    let last = sources[0]["last_backup"]["recorded_at"].as_str().unwrap();
    let last: jiff::Timestamp = last.parse().unwrap();
    let in_days = |days: i64| (last + jiff::SignedDuration::from_hours(24 * days)).to_string();
    assert_eq!(summary(&home, &["--as-of", &in_days(34)])["overdue"], 0);
    let late = in_days(36);
    assert_eq!(summary(&home, &["--as-of", &late])["overdue"], 2);
    // What is overdue is for `status` to fail about.
    let ran = home.run(&["audit", "--as-of", &late]).ok();
    assert_eq!(ran.out.matches("overdue").count(), 2, "{}", ran.out);
    let ran = home.run(&["audit"]).ok();
    assert!(!ran.out.contains("overdue"), "{}", ran.out);
}

#[test]
fn old_copies_and_what_another_vault_recorded_give_no_rhythm() {
    let home = Home::with_past();
    let objects = audit(&home, &[]);
    let source = of_kind(&objects, "source")[0];
    assert_eq!(source["runs"], 2);
    assert_eq!(source["backups"], 2);
    assert_eq!(source["last_backup"]["recorded_at"], "2026-03-03T12:00:00Z");
    assert_eq!(source["rhythm_secs"], Value::Null);
    assert_eq!(source["overdue"], false);
    assert_eq!(summary(&home, &["--as-of", "2036-01-01"])["overdue"], 0);

    let home = Home::backed_up();
    home.copy("toot/config.json", "old/config.json");
    let of = "--of=~/.config/toot/config.json";
    let import = [
        "import",
        "toot",
        "old/config.json",
        of,
        "--at",
        "2025-01-01",
    ];
    home.run(&import).ok();
    let objects = audit(&home, &[]);
    let source = of_kind(&objects, "source")[0];
    assert_eq!(source["runs"], 2);
    assert_eq!(source["backups"], 1);
    assert_eq!(source["first_backup"]["run"], 1);
    home.run(&["audit"])
        .ok()
        .prints("1 backup (and 1 run of old copies or of one user): ");
}

#[test]
fn a_backup_in_part_is_told_apart_from_the_last_complete_one() {
    let home = Home::backed_up();
    // Nearly everything is missing: suspicious.
    home.copy("toot/config-empty.json", ".config/toot/config.json");
    home.run(&["backup"]).exits(9);
    let objects = audit(&home, &[]);
    let source = of_kind(&objects, "source")[0];
    assert_eq!(source["last_backup"]["run"], 2);
    assert_eq!(source["last_backup"]["outcome"], "shrunk");
    assert_eq!(source["last_complete"]["run"], 1);
    home.run(&["audit"])
        .ok()
        .prints("the last one is shrunk; the last complete one: ");
}

#[test]
fn tokens_in_one_source_and_those_that_cannot_be_revoked_are_named() {
    let home = Home::backed_up();
    home.import_bot();
    // A second copy of ada's token alone.
    let copy = format!(r#"{{"instance":"mastodon.example","user":"ada","access_token":"{ADA}"}}"#);
    home.run_with_input(&["import", "json", "-"], copy.as_bytes())
        .ok();
    let objects = audit(&home, &[]);
    let others = [
        "?@social.example",
        "ada_bot@mastodon.example",
        "b_orges@fosstodon.example",
        "chiyo@mstdn.example.jp",
    ];
    assert_eq!(found(&objects, "one_source"), others);
    assert_eq!(found(&objects, "no_app_secret"), ["?@social.example"]);
    let tokens = &objects.last().unwrap()["tokens"];
    assert_eq!(tokens["active"], 5);
    assert_eq!(tokens["one_source"], 4);
    assert_eq!(tokens["no_app_secret"], 1);
    let ran = home.run(&["audit"]).ok();
    let (backups, findings) = ran
        .out
        .split_once("4 active, and in one source alone")
        .unwrap();
    let (one_source, others) = findings
        .split_once("1 active, and the app's secret is not known")
        .unwrap();
    let names = |text: &str, name: &str| text.contains(name);
    assert!(names(one_source, "b_orges@fosstodon.example/toot"));
    assert!(!names(one_source, " ada@mastodon.example") && names(others, "?@social.example"));
    // Of each token, the one in two sources too, when it was backed up and from where.
    let of_ada = backups.split("ada@mastodon.example/toot  active\n").nth(1);
    let of_ada: Vec<&str> = of_ada.unwrap().lines().take(2).collect();
    for (line, place) in of_ada.iter().zip(["toot ", "json "]) {
        assert!(line.trim().starts_with(place), "{line}");
        assert!(
            line.contains(": first 2") && line.contains("; last "),
            "{line}"
        );
    }
    let object = objects
        .iter()
        .find(|object| object["user"] == "ada")
        .unwrap();
    assert_eq!(object["findings"], serde_json::json!([]));
    assert_eq!(object["sources"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_revoked_expired_or_gone_is_told() {
    let home = Home::backed_up();
    home.back_up_new_token();
    let records = br#"{"instance":"m.example","user":"r","access_token":"a1","revoked_at":"2026-01-02T00:00:00Z"}
{"instance":"m.example","user":"e","access_token":"a2","expires_at":"2026-01-03T00:00:00Z"}"#;
    home.run_with_input(&["import", "json", "-"], records).ok();
    let objects = audit(&home, &[]);
    assert_eq!(found(&objects, "revoked"), ["r@m.example"]);
    assert_eq!(found(&objects, "expired"), ["e@m.example"]);
    assert_eq!(found(&objects, "gone"), ["chiyo@mstdn.example.jp"]);
    let tokens = &objects.last().unwrap()["tokens"];
    for (key, count) in [
        ("total", 7),
        ("active", 4),
        ("revoked", 1),
        ("expired", 1),
        ("gone", 1),
    ] {
        assert_eq!(tokens[key], count, "{key}");
    }
    home.run(&["audit"])
        .ok()
        .prints("7 tokens: 4 active, 1 revoked, 1 expired, 1 gone")
        .prints("r@m.example  2026-01-02 00:00")
        .prints("e@m.example  2026-01-03 00:00");
}

#[test]
fn a_selector_narrows_the_tokens_and_not_the_events() {
    let home = Home::backed_up();
    let objects = audit(&home, &["*@mastodon.example"]);
    let tokens = &objects.last().unwrap()["tokens"];
    assert_eq!(tokens["active"], 2);
    assert_eq!(of_kind(&objects, "source")[0]["active_tokens"], 2);
    assert_eq!(events(&objects), ["created", "imported"]);
    home.run(&["audit", "adda@mastodon.example"])
        .exits(5)
        .says("did you mean");
    home.run(&["audit", "ada@mastodon.example~1"])
        .exits(2)
        .says("~N");
}

#[test]
fn what_was_done_with_the_vault_is_told_and_the_audit_itself_is_not() {
    let home = Home::backed_up();
    home.run(&["show", "ada@mastodon.example", "--reveal"]).ok();
    home.run(&["export", "json", "--reveal", "-o", "out.json"])
        .ok();
    home.back_up_new_token();
    let restore = [
        "restore",
        "chiyo@mstdn.example.jp/toot~1",
        "--to",
        "toot",
        "--yes",
    ];
    home.run(&restore).ok();
    home.write("new.txt", "a second passphrase\n");
    let mut change = vec!["key", "change", "--new-password-file", "new.txt"];
    change.extend(CHEAP);
    home.run(&change).ok();
    home.write("passphrase", "a second passphrase\n");

    let before = home.audit_entries();
    let objects = audit(&home, &[]);
    let done = [
        "created",
        "imported",
        "revealed",
        "exported",
        "imported",
        "restored",
        "key_changed",
    ];
    assert_eq!(events(&objects), done);
    let events = of_kind(&objects, "event");
    assert_eq!(events[0]["entry"], 1);
    assert_eq!(events[1]["run"], 1);
    assert_eq!(events[2]["selector"], "ada@mastodon.example");
    assert_eq!(events[2]["records"], 1);
    assert_eq!(events[3]["format"], "json");
    assert_eq!(events[3]["records"], 4);
    assert_eq!(events[5]["tokens"], 1);
    assert!(events[5]["ids"][0].as_str().unwrap().starts_with("tk_"));
    assert!(events[5]["target"].as_str().unwrap().contains("toot"));
    assert_eq!(events[6]["slot"], 0);
    for event in &events {
        assert_eq!(event["by"]["user"], "tester");
        assert!(event["at"].as_str().unwrap().ends_with('Z'));
    }
    let ran = home.run(&["audit"]).ok();
    for words in [
        " made the vault\n",
        " showed secrets of 1 record (\"ada@mastodon.example\")\n",
        " exported 4 records with secrets as json (\"*\")\n",
        " restored 1 token (tk_",
        " changed what opens key slot 0\n",
    ] {
        assert!(ran.out.contains(words), "{words} in\n{}", ran.out);
    }
    let line = ran
        .out
        .lines()
        .find(|line| line.contains("showed"))
        .unwrap();
    assert!(line.contains(" tester@"), "{line}");
    assert_eq!(home.audit_entries(), before, "an audit is no event");
}

#[test]
fn an_audit_shows_no_secret_and_changes_nothing() {
    let home = Home::backed_up();
    home.back_up_new_token();
    for more in [&[][..], &["--json"], &["--chain"], &["--chain", "--json"]] {
        let ran = home.run_changing_nothing(&[&["audit"], more].concat()).ok();
        let all = home
            .run(&["export", "json", "--all", "--reveal"])
            .ok()
            .objects();
        for record in &all {
            for secret in [&record["access_token"], &record["app"]["client_secret"]] {
                let secret = secret.as_str().unwrap();
                assert!(!ran.out.contains(secret) && !ran.err.contains(secret));
            }
        }
        assert_eq!(all.len(), 5);
    }
    let mut command = home.command(&["audit"]);
    command.env_remove("TUSKVAULT_PASSWORD_FILE");
    assert_eq!(command.output().unwrap().status.code(), Some(2));
}

#[test]
fn an_audit_as_of_then_knows_nothing_of_later() {
    let home = Home::backed_up();
    let then = home.json(&["log"])[0]["recorded_at"]
        .as_str()
        .unwrap()
        .to_owned();
    home.back_up_new_token();
    home.run(&["show", "ada@mastodon.example", "--reveal"]).ok();
    let now = audit(&home, &[]);
    assert_eq!(
        events(&now),
        ["created", "imported", "imported", "revealed"]
    );
    assert_eq!(now.last().unwrap()["tokens"]["gone"], 1);
    assert_eq!(now.last().unwrap()["as_of"], Value::Null);
    for when in [then.as_str(), "run:1"] {
        let objects = audit(&home, &["--as-of", when]);
        assert_eq!(events(&objects), ["created", "imported"], "{when}");
        assert_eq!(of_kind(&objects, "source")[0]["runs"], 1);
        let summary = objects.last().unwrap();
        assert_eq!(summary["tokens"]["active"], 4);
        assert_eq!(summary["tokens"]["gone"], 0);
        assert_eq!(summary["as_of"], then.as_str());
    }
    assert_eq!(events(&audit(&home, &["--as-of", "run:2"])).len(), 3);
    let early = summary(&home, &["--as-of", "2020-01-01"]);
    assert_eq!(early["tokens"]["total"], 0);
    assert_eq!(early["sources"], 0);
    assert_eq!(early["events"], 0);
    home.run(&["audit", "--as-of", "run:7"]).exits(5);
    home.run(&["audit", "--as-of", "whenever"]).exits(2);
}

#[test]
fn the_run_of_an_old_copy_is_in_the_audit_of_its_own_moment() {
    let home = Home::backed_up();
    home.copy("toot/config.json", "old/config.json");
    let of = "--of=~/.config/toot/config.json";
    home.run(&[
        "import",
        "toot",
        "old/config.json",
        of,
        "--at",
        "2025-01-01",
    ])
    .ok();
    let objects = audit(&home, &["--as-of", "run:2"]);
    assert_eq!(of_kind(&objects, "source")[0]["runs"], 2);
    assert_eq!(events(&objects), ["created", "imported", "imported"]);
    // The vault learnt of that time only later.
    let objects = audit(&home, &["--as-of", "2025-02-01"]);
    assert_eq!(events(&objects), [""; 0]);
    assert_eq!(of_kind(&objects, "source")[0]["runs"], 0);
    assert_eq!(objects.last().unwrap()["tokens"]["active"], 4);
}

#[test]
fn long_lists_are_cut_in_words_and_whole_in_json() {
    let home = Home::with_vault();
    let record = |n: u32| {
        format!("{{\"instance\":\"m.example\",\"user\":\"u{n}\",\"access_token\":\"a{n}\"}}\n")
    };
    let records: String = (0..30).map(record).collect();
    home.run_with_input(&["import", "json", "-"], records.as_bytes())
        .ok();
    for _ in 0..25 {
        home.run(&["show", "u1@m.example", "--reveal"]).ok();
    }
    let ran = home.run(&["audit"]).ok();
    assert_eq!(ran.out.matches("@m.example\n").count(), 20, "{}", ran.out);
    assert!(!ran.out.contains("; last "), "{}", ran.out);
    ran.prints("and 10 more tokens: `tuskvault audit --json` lists all")
        .prints("and 6 more earlier events")
        .prints("when each was backed up, and from where: `tuskvault audit SELECTOR` of few");
    home.run(&["audit", "u1@m.example"])
        .ok()
        .prints("json -: first ");
    let objects = audit(&home, &[]);
    assert_eq!(found(&objects, "no_app_secret").len(), 30);
    assert_eq!(events(&objects).len(), 27);
}

#[test]
fn a_chain_that_holds_is_told_with_what_it_cannot_show() {
    let home = Home::backed_up();
    home.run(&["audit", "--chain"])
        .ok()
        .prints("2 entries, each follows the one before")
        .prints("cut off")
        .prints("entry 2");
    let objects = audit(&home, &["--chain"]);
    let chain = of_kind(&objects, "chain")[0];
    assert_eq!(chain["holds"], true);
    assert_eq!(chain["entries"], 2);
    assert_eq!(chain["last_entry"], 2);
    assert_eq!(chain["broken"], serde_json::json!([]));
    assert_eq!(of_kind(&audit(&home, &[]), "chain").len(), 0);
}

/// A home with four entries in its vault's audit log, in which `change` was made by somebody with the password.
fn tampered(change: impl Fn(Vec<u8>) -> Option<Vec<u8>>) -> Home {
    let home = Home::backed_up();
    for _ in 0..2 {
        home.run(&["show", "ada@mastodon.example", "--reveal"]).ok();
    }
    let credentials = Credentials {
        passphrase: Some(Passphrase::new(PASSPHRASE.to_owned())),
        key_file: None,
    };
    let locked = LockedVault::open(&home.vault(), Access::Write, Duration::ZERO).unwrap();
    let file = locked.unlock(&credentials).unwrap();
    let Redb::Write(database) = open_redb(&file, 1 << 20).unwrap() else {
        panic!("it was opened for writing");
    };
    let rows: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(rows).unwrap();
        // The tag of the audit log, and the number of the entry.
        let key = [&[3][..], &3_u64.to_be_bytes()].concat();
        let entry = table.remove(&*key).unwrap().unwrap().value().to_vec();
        if let Some(entry) = change(entry) {
            table.insert(&*key, &*entry).unwrap();
        }
    }
    transaction.commit().unwrap();
    home
}

#[test]
fn an_entry_that_was_taken_away_breaks_the_chain() {
    let home = tampered(|_| None);
    home.run(&["audit", "--chain"])
        .exits(4)
        .prints("entry 4 does not follow the one before")
        .says("the audit log is broken: entry 4");
    let ran = home.run(&["audit", "--chain", "--json"]).exits(4);
    assert_eq!(ran.error()["code"], 4);
    let objects = ran.objects();
    let chain = of_kind(&objects, "chain")[0];
    assert_eq!(chain["holds"], false);
    let broken = serde_json::json!([{"entry": 4, "why": "unlinked"}]);
    assert_eq!(chain["broken"], broken);
    assert_eq!(events(&objects), ["created", "imported", "revealed"]);
}

#[test]
fn an_entry_that_was_altered_breaks_the_chain() {
    let home = tampered(|mut entry| {
        let at = entry.windows(3).position(|word| word == b"ada").unwrap();
        entry[at..at + 3].copy_from_slice(b"eve");
        Some(entry)
    });
    home.run(&["audit", "--chain"])
        .exits(4)
        .says("the audit log is broken: entry 3 does not follow");
    home.run(&["audit"]).ok().says("the audit log is broken");
    // What is wrong with the log keeps nobody from the rest, and stays to be seen.
    let other = Home::backed_up();
    std::fs::copy(other.vault(), home.file("other.tusk")).unwrap();
    home.run(&["merge", "other.tusk"])
        .ok()
        .says("does not hold together at entry 3");
    home.run(&["forget", "--keep-last", "1", "--even-last", "--yes"])
        .ok();
    home.run(&["audit", "--chain"]).exits(4);
    home.run(&["check"]).exits(4);
}

#[test]
fn an_entry_that_cannot_be_read_is_named_and_the_others_are_told() {
    for shorten in [40, 3] {
        let home = tampered(|mut entry| {
            entry.truncate(shorten);
            Some(entry)
        });
        let ran = home.run(&["audit", "--chain", "--json"]).exits(4);
        let objects = ran.objects();
        let chain = of_kind(&objects, "chain")[0];
        assert_eq!(chain["broken"][0]["entry"], 3);
        assert_eq!(chain["broken"][0]["why"], "unreadable");
        assert_eq!(chain["entries"], 4);
        assert_eq!(events(&objects), ["created", "imported", "revealed"]);
        home.run(&["audit"])
            .exits(4)
            .says("entry 3 of the audit log can't be read")
            .says("--chain");
    }
}

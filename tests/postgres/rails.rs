//! `export rails` against the real Doorkeeper: what the program writes runs in Ruby, and PostgreSQL tells what it did.
//!
//! Skipped with a word where Ruby or its packages are missing.

use std::{path::Path, process::Command, sync::OnceLock};

use serde_json::{Value, json};

use crate::{
    cluster::{PASSWORD, Role, finish, skipped},
    database::{Database, INSTANCE, Way},
    home::{Home, INIT},
};

/// Generations with the newest and with an old form of the tables.
const TESTED: [&str; 2] = ["3.0", "4.7"];

/// Everything that can go wrong in quoting: quotes, line ends, interpolation, backslashes, other scripts, escape
/// sequences, and what closes the hash or the heredoc around it.
const HOSTILE: [&str; 6] = [
    "it's \"quoted\" \\ \\' \\n #{exit!} #$0 %s",
    "line\none\r\ntwo\t",
    "'}]; system('touch', 'owned'); [{'",
    "\u{1b}[201~\u{7}\u{202e}drow",
    "Größe 象 🦣 #{`id`}",
    "__END__\n=begin",
];

struct Rails {
    database: Database,
    home: Home,
}

impl Rails {
    /// A rebuilt database, a vault that knows these records; none where something is missing.
    fn new(generation: &str, records: &[Value]) -> Option<Self> {
        if !has_ruby() {
            return None;
        }
        let database = Database::rebuilt(generation, 400)?;
        let home = Home::new();
        home.run(&INIT).ok();
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        home.run_with_input(&["import", "json", "-"], lines.join("\n").as_bytes())
            .ok();
        let left_out =
            |record: &Value| record["app"]["superapp"] == true || !record["revoked_at"].is_null();
        home.run(&["export", "rails", "--reveal", "-o", "restore.rb"])
            .exits(if records.iter().any(left_out) { 9 } else { 0 });
        Some(Self { database, home })
    }

    /// Runs the exported script as `bin/rails runner` does; gives its lines, sorted.
    fn run(&self) -> Vec<String> {
        self.run_on(INSTANCE)
    }

    fn run_on(&self, domain: &str) -> Vec<String> {
        let script = self.home.file("restore.rb");
        lines(&finish(self.ruby(domain).arg(script)))
    }

    fn ruby(&self, domain: &str) -> Command {
        let mut ruby = Command::new("ruby");
        ruby.args(["-W0", "-r"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rails/mastodon.rb"))
            .current_dir(self.home.path())
            .env("PGHOST", self.database.cluster.socket())
            .env("PGPORT", self.database.cluster.port.to_string())
            .env("PGDATABASE", &self.database.name)
            .env("PGUSER", Role::Mastodon.name())
            .env("PGPASSWORD", PASSWORD)
            .env("LC_ALL", "C.UTF-8")
            .env("LOCAL_DOMAIN", domain);
        ruby
    }

    /// Every row of both tables.
    fn rows(&self) -> Vec<String> {
        let mut rows = self
            .database
            .query_strings("SELECT * FROM oauth_access_tokens ORDER BY id");
        rows.extend(
            self.database
                .query_strings("SELECT * FROM oauth_applications ORDER BY id"),
        );
        rows
    }
}

#[test]
fn the_script_puts_back_what_was_saved_and_changes_nothing_twice() {
    for generation in TESTED {
        let mut full = record("alice", "token-of-alice");
        full["refresh_token"] = "refresh-of-alice".into();
        full["scopes"] = json!(["read", "write:accounts", "gone:scope"]);
        full["created_at"] = "2024-05-06T07:08:09.123456Z".into();
        full["expires_at"] = "2050-05-06T07:08:09.123456Z".into();
        full["app"] = json!({
            "name": "An app with a name that is longer than the sixty characters that its form takes",
            "client_id": "uid-1", "client_secret": "secret-1", "website": "not a web site",
            "redirect_uris": ["urn:ietf:wg:oauth:2.0:oob", "https://app.example/callback", "bare"],
            "scopes": ["read", "crypto"], "confidential": false, "owner": "bob_2",
            "created_at": "2023-01-02T03:04:05.000006Z",
        });
        let mut second = record("BOB_2", "token-of-bob");
        second["app"] = full["app"].clone();
        let mut own = record("nobody", "token-of-the-app");
        own["user"] = Value::Null;
        own["application_token"] = true.into();
        own["app"] = full["app"].clone();
        let Some(rails) = Rails::new(generation, &[full, second, own]) else {
            return;
        };
        let said = rails.run();
        assert_eq!(outcomes(&said), ["inserted"; 3], "{said:?}");
        let anew = said.iter().filter(|line| line.contains("made anew"));
        assert_eq!(anew.count(), 1, "{said:?}");
        assert_eq!(
            rails.database.query_strings(
                "SELECT t.token, refresh_token, t.scopes, t.created_at, expires_in, revoked_at, a.username, p.uid
                 FROM oauth_access_tokens t LEFT JOIN users u ON u.id = resource_owner_id
                 LEFT JOIN accounts a ON a.id = u.account_id JOIN oauth_applications p ON p.id = application_id
                 ORDER BY token",
            ),
            [
                "token-of-alice|refresh-of-alice|read write:accounts gone:scope|2024-05-06 07:08:09.123456|820454400|∅|alice|uid-1",
                "token-of-bob|∅|read write|2025-12-24 01:02:03|∅|∅|Bob_2|uid-1",
                "token-of-the-app|∅|read write|2025-12-24 01:02:03|∅|∅|∅|uid-1",
            ],
            "{generation}"
        );
        assert_eq!(
            rails.database.query_strings(
                "SELECT p.id > 1000, name, uid, p.secret, replace(redirect_uri, E'\\n', ' '), scopes, website, superapp,
                        confidential, owner_type, a.username, p.created_at
                 FROM oauth_applications p JOIN users u ON u.id = owner_id JOIN accounts a ON a.id = u.account_id",
            ),
            ["t|An app with a name that is longer than the sixty characters that its form takes|uid-1|secret-1|\
              urn:ietf:wg:oauth:2.0:oob https://app.example/callback bare|read crypto|not a web site|f|f|User|Bob_2|\
              2023-01-02 03:04:05.000006"],
            "{generation}"
        );
        let rows = rails.rows();
        let said = rails.run();
        assert_eq!(outcomes(&said), ["unchanged"; 3], "{said:?}");
        assert!(rails.rows() == rows, "{generation}");
    }
}

#[test]
fn hostile_text_comes_back_byte_for_byte() {
    let records: Vec<Value> = HOSTILE
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let mut record = record("alice", &format!("{text}-token"));
            record["app"] = json!({
                "name": text, "client_id": format!("{text}-uid"), "client_secret": format!("{text}-secret"),
                "website": text, "redirect_uris": [format!("urn:{number}")], "scopes": ["read"],
            });
            record
        })
        .collect();
    let Some(rails) = Rails::new("4.7", &records) else {
        return;
    };
    for round in ["inserted", "unchanged"] {
        let said = rails.run();
        assert_eq!(outcomes(&said), [round; HOSTILE.len()], "{said:?}");
        let printed = said.concat();
        assert!(!printed.contains(|c: char| c.is_control() || c == '\u{202e}'));
    }
    let mut client = rails.database.client();
    for text in HOSTILE {
        let sql = "SELECT count(*) FROM oauth_access_tokens t JOIN oauth_applications p ON p.id = application_id
                   WHERE token = $1 || '-token' AND name = $1 AND uid = $1 || '-uid' AND secret = $1 || '-secret'
                   AND website = $1";
        let count: i64 = client.query_one(sql, &[&text]).unwrap().get(0);
        assert_eq!(count, 1, "{text:?}");
    }
    assert!(!rails.home.file("owned").exists());
}

#[test]
fn what_is_pasted_into_a_console_does_the_same() {
    let record = record("alice", HOSTILE[4]);
    let Some(rails) = Rails::new("4.7", &[record]) else {
        return;
    };
    if Command::new("irb").arg("--version").output().is_err() {
        return skipped("irb is missing: the script is not pasted into a console");
    }
    let mut irb = Command::new("irb");
    let script = std::fs::File::open(rails.home.file("restore.rb")).unwrap();
    for (key, value) in rails.ruby(INSTANCE).get_envs() {
        irb.env(key, value.unwrap());
    }
    // A terminal without a language must not make a difference.
    irb.env("LC_ALL", "C");
    irb.args(["-f", "--noprompt", "--nomultiline", "-r"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rails/mastodon.rb"))
        .current_dir(rails.home.path())
        .stdin(script);
    let said = finish(&mut irb);
    assert!(said.contains(": inserted"), "{said}");
    assert_eq!(
        rails
            .database
            .query_strings("SELECT token FROM oauth_access_tokens"),
        [HOSTILE[4]]
    );
}

#[test]
fn what_should_not_live_again_stays_out() {
    for generation in TESTED {
        let mut revoked = record("alice", "revoked");
        revoked["revoked_at"] = "2025-12-25T00:00:00Z".into();
        let mut session = record("alice", "session");
        session["app"]["client_id"] = "web-uid".into();
        session["app"]["superapp"] = true.into();
        let mut reused = record("user_90", "reused");
        reused["created_at"] = "2018-06-01T00:00:00Z".into();
        let stranger = record("no_such_user", "stranger");
        let mut remote = record("far_2", "remote");
        remote["app"]["client_id"] = "uid-of-far".into();
        let mut forged = record("alice", "forged");
        forged["app"] = json!({"client_id": "rebuilt-uid", "client_secret": "rebuilt-secret"});
        let mut elsewhere = record("alice", "elsewhere");
        elsewhere["instance"] = "other.example".into();
        let mut appless = record("alice", "appless");
        appless["app"] = json!({"name": "unknown"});
        let records = [
            revoked, session, reused, stranger, remote, forged, elsewhere, appless,
        ];
        let Some(rails) = Rails::new(generation, &records) else {
            return;
        };
        let before = rails.rows();
        let said = rails.run();
        assert_eq!(outcomes(&said), ["refused"; 6], "{said:?}");
        for why in [
            "the account is younger than the token",
            "there is no such user",
            "that application is the web interface",
            "this server is m.example",
            "its client_id or client_secret is not known",
        ] {
            assert!(
                said.iter().any(|line| line.contains(why)),
                "{why}: {said:?}"
            );
        }
        assert!(rails.rows() == before, "{generation}");
        let said = rails.run_on("Other.Example");
        let there = said.iter().filter(|line| line.contains(": inserted"));
        assert_eq!(there.count(), 1, "{said:?}");
    }
}

#[test]
fn what_is_there_already_is_never_changed() {
    let mut other_secret = record("alice", "new-token");
    other_secret["app"] =
        json!({"client_id": "there", "client_secret": "saved-secret", "redirect_uris": ["saved:"]});
    let revoked_here = record("alice", "revoked-here");
    let somebody_elses = record("alice", "token-of-bob");
    let mut refresh = record("alice", "other-token");
    refresh["refresh_token"] = "refresh-of-bob".into();
    let records = [other_secret, revoked_here, somebody_elses, refresh];
    for generation in TESTED {
        let Some(rails) = Rails::new(generation, &records) else {
            return;
        };
        rails.database.execute(
            "INSERT INTO oauth_applications (id, name, uid, secret, redirect_uri, created_at)
               VALUES (500, 'There', 'there', 'secret-here', 'here:', '2025-01-01'),
                      (501, 'App', 'uid-of-app', 'secret-of-app', 'here:', '2025-01-01');
             INSERT INTO oauth_access_tokens (token, refresh_token, application_id, resource_owner_id, revoked_at, created_at)
               SELECT token, refresh, 501, u.id, revoked, '2025-12-24 01:02:03' FROM users u
               JOIN accounts a ON a.id = u.account_id
               JOIN (VALUES ('alice', 'revoked-here', NULL, timestamp '2026-01-01'),
                            ('Bob_2', 'token-of-bob', 'refresh-of-bob', NULL)) t (name, token, refresh, revoked) ON name = username",
        );
        let before = rails.rows();
        let said = rails.run();
        assert_eq!(
            outcomes(&said),
            ["inserted", "refused", "refused", "refused"],
            "{said:?}"
        );
        for why in [
            "another client_secret here, which is kept",
            "the token is there and was revoked",
            "belongs to another user",
            "the refresh token belongs to another token",
        ] {
            assert!(
                said.iter().any(|line| line.contains(why)),
                "{why}: {said:?}"
            );
        }
        let after = rails.rows();
        assert!(before.iter().all(|row| after.contains(row)), "{generation}");
        assert_eq!(after.len(), before.len() + 1, "{generation}");
    }
}

#[test]
fn an_error_on_the_way_leaves_the_database_as_it_was() {
    let records = [record("alice", "first"), record("bob_2", "second")];
    let Some(rails) = Rails::new("4.7", &records) else {
        return;
    };
    rails.database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN IF new.token = 'second' THEN RAISE 'not this one'; END IF; RETURN new; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE ON oauth_access_tokens FOR EACH ROW EXECUTE FUNCTION refuse();",
    );
    let before = rails.rows();
    let said = rails.run();
    assert!(
        said.len() == 1 && said[0].starts_with("nothing was changed: "),
        "{said:?}"
    );
    assert!(rails.rows() == before);
}

#[test]
fn an_instance_that_was_backed_up_comes_back_into_a_rebuilt_one() {
    for generation in TESTED {
        if !has_ruby() {
            return;
        }
        let Some(database) = Database::new(generation, 400) else {
            return;
        };
        let home = Home::new();
        home.run(&INIT).ok();
        let env_file = database.env_file(home.path(), Role::Mastodon, Way::Tcp);
        home.run(&[
            "import",
            "postgres",
            "--env-file",
            env_file.to_str().unwrap(),
        ])
        .ok();
        // Revoked tokens and sessions are left out.
        home.run(&["export", "rails", "--reveal", "-o", "restore.rb"])
            .exits(9);
        let rails = Rails {
            database: Database::rebuilt(generation, 400).unwrap(),
            home,
        };
        let said = rails.run();
        assert!(
            said.iter().all(|line| line.contains(": inserted")),
            "{said:?}"
        );
        let tokens = "SELECT token, t.refresh_token, t.scopes, t.created_at, t.expires_in, a.username, p.name, p.uid,
                p.secret, p.redirect_uri, p.scopes, p.website, p.confidential, o.username, p.created_at
             FROM oauth_access_tokens t JOIN oauth_applications p ON p.id = application_id
             LEFT JOIN users u ON u.id = resource_owner_id LEFT JOIN accounts a ON a.id = u.account_id
             LEFT JOIN users v ON v.id = p.owner_id LEFT JOIN accounts o ON o.id = v.account_id
             WHERE NOT superapp AND t.revoked_at IS NULL
             AND (t.expires_in IS NULL OR t.created_at + t.expires_in * interval '1 second' > now()) ORDER BY token";
        let before = database.query_strings(tokens);
        assert!(before.len() > 200, "{}", before.len());
        assert_eq!(rails.database.query_strings(tokens), before, "{generation}");
        assert_eq!(
            rails
                .database
                .count("SELECT count(*) FROM oauth_access_tokens"),
            before.len() as u64
        );
    }
}

/// Why this export exists: README and docs/server.md say so.
#[test]
fn the_recipe_that_circulates_stores_another_token() {
    let Some(rails) = Rails::new("4.7", &[record("alice", "unused")]) else {
        return;
    };
    let trap = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rails/trap.rb");
    let said = finish(rails.ruby(INSTANCE).arg(trap));
    assert_eq!(said, "true\nfalse\nfalse\n", "saved, kept, found");
    assert_eq!(
        rails
            .database
            .query_strings("SELECT length(token) FROM oauth_access_tokens"),
        ["43"]
    );
}

/// A live token of an app that the rebuilt server does not have.
fn record(user: &str, token: &str) -> Value {
    json!({
        "instance": INSTANCE, "user": user, "access_token": token, "scopes": ["read", "write"],
        "created_at": "2025-12-24T01:02:03Z",
        "app": {"name": "App", "client_id": "uid-of-app", "client_secret": "secret-of-app",
                "redirect_uris": ["urn:ietf:wg:oauth:2.0:oob"], "scopes": ["read", "write"]},
    })
}

fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The word after the label of each line, sorted.
fn outcomes(said: &[String]) -> Vec<&str> {
    let words = said.iter().map(|line| {
        let word = ["inserted", "unchanged", "refused"];
        let found = word.iter().find(|word| line.contains(&format!(": {word}")));
        *found.unwrap_or(&line.as_str())
    });
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    words
}

fn has_ruby() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    let found = *FOUND.get_or_init(|| {
        let mut ruby = Command::new("ruby");
        ruby.args(["-W0", "-e"]).arg(
            "require 'rails'; require 'active_record'; require 'pg'; require 'addressable/idna'; require 'doorkeeper'",
        );
        ruby.output().is_ok_and(|output| output.status.success())
    });
    if !found {
        skipped(
            "Ruby with Doorkeeper is missing: `export rails` is not run (Debian: apt install ruby-doorkeeper \
             ruby-activerecord ruby-pg ruby-railties ruby-addressable)",
        );
    }
    found
}

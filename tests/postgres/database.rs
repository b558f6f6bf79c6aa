//! Databases of Mastodon's, filled or empty, each test's own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::cluster::{Cluster, PASSWORD, Role, cluster};

/// A release of each generation of Mastodon's tables (tests/data/mastodon).
pub(crate) const GENERATIONS: [&str; 7] = ["2.4", "3.0", "3.5", "4.2", "4.3", "4.5", "4.7"];

/// The instance that populate.sql fills.
pub(crate) const INSTANCE: &str = "m.example";

/// How a client reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Socket,
    /// 127.0.0.1.
    Tcp,
    /// 127.0.0.2, for which the server's certificate is not.
    OtherName,
}

/// A database; dropped when dropped.
pub(crate) struct Database {
    pub(crate) cluster: &'static Cluster,
    pub(crate) name: String,
}

impl Database {
    /// One of this generation with so many tokens, the same every time; with 0 tokens, the tables without a row. None
    /// where PostgreSQL is missing: then the test is skipped.
    pub(crate) fn new(generation: &str, tokens: u32) -> Option<Self> {
        let cluster = cluster()?;
        let template = template(cluster, generation, tokens);
        Some(Self::create(
            cluster,
            &format!("TEMPLATE \"{template}\" OWNER mastodon"),
        ))
    }

    /// One without any table.
    pub(crate) fn bare() -> Option<Self> {
        Some(Self::create(cluster()?, "OWNER mastodon"))
    }

    /// The same instance after a disaster: the same people with their old dates but other ids, no token, and no
    /// application but the web interface's, which has another id and client_id.
    pub(crate) fn rebuilt(generation: &str, tokens: u32) -> Option<Self> {
        let database = Self::new(generation, tokens)?;
        database.execute(
            "TRUNCATE oauth_access_tokens CASCADE;
             DELETE FROM oauth_applications WHERE NOT superapp;
             SET session_replication_role = replica;
             UPDATE oauth_applications SET id = 900, uid = 'rebuilt-uid', secret = 'rebuilt-secret';
             UPDATE users SET id = id + 50000, account_id = account_id + 700000;
             UPDATE accounts SET id = id + 700000 WHERE id > 0;
             UPDATE accounts SET moved_to_account_id = moved_to_account_id + 700000;
             RESET session_replication_role;
             SELECT setval('oauth_applications_id_seq', 1000), setval('oauth_access_tokens_id_seq', 3),
                    setval('users_id_seq', 90000);",
        );
        Some(database)
    }

    fn create(cluster: &'static Cluster, how: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("mastodon_{number}");
        cluster
            .client(Role::Superuser, "postgres")
            .batch_execute(&format!("CREATE DATABASE {name} {how}"))
            .unwrap();
        let database = Self { cluster, name };
        database.execute(&format!(
            "REVOKE ALL ON DATABASE {} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC;
             GRANT ALL ON SCHEMA public TO mastodon;",
            database.name
        ));
        database
    }

    /// A connection as the superuser, on the socket.
    pub(crate) fn client(&self) -> postgres::Client {
        self.client_as(Role::Superuser)
    }

    /// A connection on the socket.
    pub(crate) fn client_as(&self, role: Role) -> postgres::Client {
        self.cluster.client(role, &self.name)
    }

    /// `postgres://…` for the superuser, who needs no password, on the socket.
    pub(crate) fn url(&self) -> String {
        self.url_as(Role::Superuser, Way::Socket)
    }

    /// `postgres://…` without a password.
    pub(crate) fn url_as(&self, role: Role, way: Way) -> String {
        let (role, port, name) = (role.name(), self.cluster.port, &self.name);
        match way {
            Way::Socket => {
                let socket = self.cluster.socket().display();
                format!("postgres://{role}@/{name}?host={socket}&port={port}")
            }
            Way::Tcp => format!("postgres://{role}@127.0.0.1:{port}/{name}"),
            Way::OtherName => format!("postgres://{role}@127.0.0.2:{port}/{name}"),
        }
    }

    /// Runs statements as the superuser.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        self.client()
            .batch_execute(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Each row as text, its columns joined by `|`, NULL as `∅`.
    #[track_caller]
    pub(crate) fn query_strings(&self, sql: &str) -> Vec<String> {
        let answer = self.client().simple_query(sql);
        let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let mut rows = Vec::new();
        for message in answer {
            if let postgres::SimpleQueryMessage::Row(row) = message {
                let columns = (0..row.len()).map(|column| row.get(column).unwrap_or("∅"));
                rows.push(columns.collect::<Vec<_>>().join("|"));
            }
        }
        rows
    }

    /// The one number that a query answers.
    #[track_caller]
    pub(crate) fn count(&self, sql: &str) -> u64 {
        let rows = self.query_strings(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].parse().unwrap()
    }

    /// Gives a role what docs/server.md grants for it, by the statements that stand there, without the columns that
    /// this generation lacks.
    pub(crate) fn grant(&self, role: Role) {
        self.execute_documented(&format!("CREATE ROLE {} ", role.name()));
    }

    /// Gives the role for restores what docs/server.md grants besides, for `--revoked clear`.
    pub(crate) fn grant_revival(&self) {
        self.execute_documented("GRANT UPDATE (revoked_at)");
    }

    /// Executes the block of docs/server.md that begins so.
    fn execute_documented(&self, beginning: &str) {
        let document = fs::read_to_string("docs/server.md").unwrap();
        let block = document
            .split("```sql\n")
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap())
            .find(|block| block.starts_with(beginning))
            .expect("docs/server.md has the block");
        for statement in block.split(';').map(str::trim) {
            // Roles belong to the cluster: this one is there.
            if !statement.is_empty() && !statement.starts_with("CREATE ROLE") {
                let statement = statement.replace("mastodon_production", &self.name);
                self.execute(&self.without_missing_columns(&statement));
            }
        }
    }

    fn without_missing_columns(&self, statement: &str) -> String {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let table = words.iter().position(|word| *word == "ON").unwrap() + 1;
        let columns = self.query_strings(&format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('{}') AND NOT attisdropped",
            words[table]
        ));
        let has = |name: &str| columns.iter().any(|column| column == name);
        let mut kept = String::new();
        let mut rest = statement;
        while let Some((before, after)) = rest.split_once('(') {
            let (list, after) = after.split_once(')').unwrap();
            let names = list.split(", ").map(|name| match name {
                "suspended_at" if !has(name) => "suspended",
                _ => name,
            });
            let list: Vec<&str> = names.filter(|name| has(name)).collect();
            kept.extend([before, "(", &list.join(", "), ")"]);
            rest = after;
        }
        kept + rest
    }

    /// Writes `.env.production` into a folder, as Mastodon's set-up wizard does.
    pub(crate) fn env_file(&self, folder: &Path, role: Role, way: Way) -> PathBuf {
        let socket = self.cluster.socket().to_str().unwrap();
        let host = match way {
            Way::Socket => socket,
            Way::Tcp => "127.0.0.1",
            Way::OtherName => "127.0.0.2",
        };
        let port = self.cluster.port.to_string();
        let password = match role {
            Role::Superuser | Role::Peer => "",
            _ => PASSWORD,
        };
        let mut text =
            "# Generated with mastodon:setup on 2026-03-01 12:00:00 UTC\n\n# Some variables in this file will be \
             interpreted differently whether you are\n# using docker-compose or not.\n\n"
                .to_owned();
        for (key, value) in [
            ("LOCAL_DOMAIN", INSTANCE),
            ("SINGLE_USER_MODE", "false"),
            (
                "SECRET_KEY_BASE",
                "0f0e0d0c0b0a09080706050403020100ffeeddccbbaa99887766554433221100",
            ),
            ("VAPID_PUBLIC_KEY", "BPq5t3YkXW7w=="),
            ("DB_HOST", host),
            ("DB_PORT", &port),
            ("DB_NAME", &self.name),
            ("DB_USER", role.name()),
            ("DB_PASS", password),
            ("REDIS_HOST", "localhost"),
            ("REDIS_PASSWORD", ""),
            ("SMTP_FROM_ADDRESS", "Mastodon <notifications@m.example>"),
        ] {
            text.extend([key, "=", &as_the_wizard_quotes(value), "\n"]);
        }
        let path = folder.join(".env.production");
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The cluster may be gone, and a test that fails must not fail twice: it all goes with the cluster anyway.
        let mut config = postgres::Config::new();
        config
            .host_path(self.cluster.socket())
            .port(self.cluster.port)
            .user(Role::Superuser.name())
            .dbname("postgres");
        if let Ok(mut client) = config.connect(postgres::NoTls) {
            drop(client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)));
        }
    }
}

/// Bare, in single quotes, or (where it holds one) in double quotes with backslashes (Mastodon 4.2 to 4.7,
/// `lib/tasks/mastodon.rake`).
fn as_the_wizard_quotes(value: &str) -> String {
    let special = |c: char| c.is_whitespace() || "#\\\"'$".contains(c);
    if !value.contains(special) {
        return value.to_owned();
    }
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut quoted = String::from("\"");
    for c in value.chars() {
        if "\\\"$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted + "\""
}

/// The database that others of this generation and size are copies of, filled once.
fn template(cluster: &'static Cluster, generation: &str, tokens: u32) -> String {
    static TEMPLATES: Mutex<BTreeMap<String, Arc<OnceLock<()>>>> = Mutex::new(BTreeMap::new());
    let name = format!("template_{generation}_{tokens}");
    let made = TEMPLATES
        .lock()
        .unwrap()
        .entry(name.clone())
        .or_default()
        .clone();
    made.get_or_init(|| {
        let mut client = cluster.client(Role::Superuser, "postgres");
        client
            .batch_execute(&format!("CREATE DATABASE \"{name}\" OWNER mastodon"))
            .unwrap();
        cluster
            .client(Role::Superuser, &name)
            .batch_execute("ALTER SCHEMA public OWNER TO mastodon")
            .unwrap();
        let data = "tests/data/mastodon";
        cluster.psql(&name, &["-f", &format!("{data}/schema-{generation}.sql")]);
        if tokens > 0 {
            let populate = format!("{data}/populate.sql");
            cluster.psql(&name, &["-v", &format!("n={tokens}"), "-f", &populate]);
        }
    });
    name
}

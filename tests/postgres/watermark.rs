//! Asking only for what was written since the last run comes to the same as reading everything: whatever is inserted,
//! changed, deleted, vacuumed, rolled back, or still under way.

use jiff::{SignedDuration, Timestamp};
use postgres::Client;
use proptest::{collection::vec, prelude::*};
use redb::backends::InMemoryBackend;
use tuskvault::{
    connectors::postgres::{Environment, ImportRequest, ReadError, Reading, Settings},
    model::{Actor, Keys, Moment, Run, Scope, Selector, SourceKey},
    progress::Silent,
    vault::{Query, RunStart, Vault},
};

use crate::{cluster::Role, database::Database};

/// One thing that happens; numbers choose the row.
#[derive(Debug, Clone)]
enum Deed {
    Insert(u8),
    InsertAt(u8),
    Revoke(u8),
    Rescope(u8),
    Use(u8),
    Delete(u8),
    ChangeApp(u8),
    DeleteApp(u8),
    InsertApp(u8),
    Rename(u8),
    TouchUser(u8),
    SignUp(u8),
    DeleteUser(u8),
}

#[derive(Debug, Clone)]
enum Step {
    /// At once.
    Now(Deed),
    /// In one of two transactions that stay open.
    Within(bool, Deed),
    /// One of them ends.
    Commit(bool),
    RollBack(bool),
    Vacuum,
    VacuumFull,
    Back,
    Backup,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => any::<u8>().prop_map(Deed::Insert),
        1 => any::<u8>().prop_map(Deed::InsertAt),
        2 => any::<u8>().prop_map(Deed::Revoke),
        1 => any::<u8>().prop_map(Deed::Rescope),
        3 => any::<u8>().prop_map(Deed::Use),
        3 => any::<u8>().prop_map(Deed::Delete),
        1 => any::<u8>().prop_map(Deed::ChangeApp),
        1 => any::<u8>().prop_map(Deed::DeleteApp),
        1 => any::<u8>().prop_map(Deed::InsertApp),
        2 => any::<u8>().prop_map(Deed::Rename),
        2 => any::<u8>().prop_map(Deed::TouchUser),
        1 => any::<u8>().prop_map(Deed::SignUp),
        1 => any::<u8>().prop_map(Deed::DeleteUser),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => deed().prop_map(Step::Now),
        4 => (any::<bool>(), deed()).prop_map(|(which, deed)| Step::Within(which, deed)),
        1 => any::<bool>().prop_map(Step::Commit),
        1 => any::<bool>().prop_map(Step::RollBack),
        1 => Just(Step::Vacuum),
        1 => Just(Step::VacuumFull),
        1 => Just(Step::Back),
        5 => Just(Step::Backup),
    ]
}

impl Deed {
    fn sql(&self) -> String {
        let pick = |table: &str, n: u8| {
            format!(
                "(SELECT id FROM {table} ORDER BY id OFFSET {n} % (SELECT greatest(count(*), 1) FROM {table}) LIMIT 1)"
            )
        };
        let token = |n| pick("oauth_access_tokens", n);
        let insert = |n: u8, id: &str| {
            format!(
                "INSERT INTO oauth_access_tokens (id, token, application_id, resource_owner_id, scopes, created_at)
                 VALUES ({id}, gen_random_uuid()::text, {}, {}, 'read', now())",
                pick("oauth_applications", n),
                pick("users", n)
            )
        };
        match self {
            Self::Insert(n) => insert(*n, "nextval('oauth_access_tokens_id_seq')"),
            // Below others, as a restore by hand may do.
            Self::InsertAt(n) => insert(*n, &format!("-{n}")),
            Self::Revoke(n) => format!("UPDATE oauth_access_tokens SET revoked_at = now() WHERE id = {}", token(*n)),
            Self::Rescope(n) => format!("UPDATE oauth_access_tokens SET scopes = scopes || ' push' WHERE id = {}", token(*n)),
            Self::Use(n) => format!("UPDATE oauth_access_tokens SET last_used_at = now() WHERE id % 7 = {n} % 7"),
            Self::Delete(n) => format!("DELETE FROM oauth_access_tokens WHERE id = {}", token(*n)),
            Self::ChangeApp(n) => {
                format!("UPDATE oauth_applications SET secret = secret || '{n}' WHERE id = {}", pick("oauth_applications", *n))
            }
            Self::DeleteApp(n) => format!("DELETE FROM oauth_applications WHERE id = {}", pick("oauth_applications", *n)),
            Self::InsertApp(n) => format!(
                "INSERT INTO oauth_applications (name, uid, secret, redirect_uri) VALUES ('{n}', gen_random_uuid()::text, 's', 'r')"
            ),
            Self::Rename(n) => format!(
                "UPDATE accounts SET username = 'r{n}_' || (random() * 1e9)::int WHERE id = (SELECT account_id FROM users WHERE id = {})",
                pick("users", *n)
            ),
            Self::TouchUser(n) => format!(
                "UPDATE users SET sign_in_count = sign_in_count + 1, created_at = created_at + ({n} % 2) * interval '1 second' WHERE id = {}",
                pick("users", *n)
            ),
            Self::SignUp(n) => format!(
                "WITH a AS (INSERT INTO accounts (username, created_at, updated_at, uri) VALUES ('n{n}_' || (random() * 1e9)::int, now(), now(), NULL) RETURNING id)
                 INSERT INTO users (account_id, email, created_at, updated_at) SELECT id, gen_random_uuid()::text, now(), now() FROM a"
            ),
            Self::DeleteUser(n) => format!("DELETE FROM users WHERE id = {}", pick("users", *n)),
        }
    }
}

/// A vault, and how often it asked only for changes.
struct Side {
    vault: Vault,
    full: bool,
    only_changes: u32,
}

impl Side {
    fn new(full: bool) -> Self {
        let backend = InMemoryBackend::new();
        let database = redb::Database::builder()
            .create_with_backend(backend)
            .unwrap();
        Self {
            vault: Vault::in_database(database).unwrap(),
            full,
            only_changes: 0,
        }
    }

    fn back_up(&mut self, client: &mut Client, settings: &Settings, now: Timestamp) -> Run {
        let request = ImportRequest {
            instance: None,
            user: None,
            full: self.full,
            now,
        };
        let mut reading = Reading::begin(client, settings, &request).unwrap();
        let mut run = self
            .vault
            .begin_run(RunStart {
                source: SourceKey {
                    connector: "postgres".to_owned(),
                    location: settings.location(),
                    host: "here".to_owned(),
                },
                instance: Some(reading.instance().clone()),
                scope: Scope::All,
                keys: Keys::Server,
                effective_at: None,
                now,
                actor: Actor {
                    user: "me".to_owned(),
                    host: "here".to_owned(),
                },
                note: None,
                accept_shrink: true,
                origin: None,
            })
            .unwrap();
        let bookmark = run.bookmark().filter(|found| found.is_current).cloned();
        let bookmark = bookmark.as_ref().map(|found| found.bytes.as_slice());
        let read = match reading.rows(&mut run, bookmark, &Silent) {
            Ok(read) => read,
            Err(ReadError::Doubtful) => panic!("nothing gives reason to doubt"),
            Err(other) => panic!("{other:?}"),
        };
        self.only_changes += u32::from(read.only_changes);
        run.leave(read.bookmark.unwrap());
        run.finish(read.completeness).unwrap()
    }

    /// Everything that the vault says, without ids, which are its own.
    fn told(&self) -> Vec<String> {
        let query = Query {
            selector: &Selector::all(),
            at: Moment::MAX,
            all: true,
        };
        let mut told = Vec::new();
        self.vault
            .records::<tuskvault::vault::Error>(&query, |record| {
                told.push(format!(
                    "{} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                    record.access_token.expose(),
                    record.user,
                    record.account_created_at,
                    record.app.client_id,
                    record
                        .app
                        .client_secret
                        .as_ref()
                        .map(|secret| secret.expose().to_owned()),
                    record.scopes,
                    record.created_at,
                    record.revoked_at,
                    record.status,
                    record
                        .sightings
                        .iter()
                        .map(|seen| (seen.first_seen, seen.last_seen, seen.gone_at))
                        .collect::<Vec<_>>(),
                ));
                Ok(())
            })
            .unwrap();
        told.sort();
        told
    }
}

/// Does it, unless a lock or a constraint is in the way.
fn attempt(client: &mut Client, sql: &str) {
    drop(client.batch_execute(sql));
}

fn play(steps: &[Step], database: &Database) -> u32 {
    let url = database.url();
    let (settings, _) = Settings::from_url(&url, &Environment::default()).unwrap();
    let mut reader = tuskvault::connectors::postgres::connect(&settings).unwrap();
    let mut now_client = database.client();
    attempt(&mut now_client, "SET lock_timeout = '5ms'");
    let mut open = [database.client(), database.client()];
    for client in &mut open {
        // Not in one: a rollback would undo it.
        attempt(client, "SET lock_timeout = '5ms'");
        attempt(client, "BEGIN");
    }
    let (mut changes, mut everything) = (Side::new(false), Side::new(true));
    let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let first_and_last = [Step::Backup];
    for step in first_and_last.iter().chain(steps).chain(&first_and_last) {
        match step {
            Step::Now(deed) => attempt(&mut now_client, &deed.sql()),
            Step::Within(which, deed) => {
                let client = &mut open[usize::from(*which)];
                // Subtransactions have numbers of their own.
                attempt(client, "SAVEPOINT s");
                let sql = deed.sql();
                if client.batch_execute(&sql).is_err() {
                    attempt(client, "ROLLBACK TO s");
                }
            }
            Step::Commit(which) => attempt(&mut open[usize::from(*which)], "COMMIT; BEGIN"),
            Step::RollBack(which) => attempt(&mut open[usize::from(*which)], "ROLLBACK; BEGIN"),
            Step::Vacuum => attempt(&mut now_client, "VACUUM (FREEZE) oauth_access_tokens"),
            Step::VacuumFull => attempt(&mut now_client, "VACUUM FULL oauth_access_tokens"),
            // A clock that is set back makes the next run lie before the last: nothing is current then.
            Step::Back => now = now.checked_sub(SignedDuration::from_secs(90)).unwrap(),
            Step::Backup => {
                now = now.checked_add(SignedDuration::from_secs(60)).unwrap();
                let run = changes.back_up(&mut reader, &settings, now);
                let expected = everything.back_up(&mut reader, &settings, now);
                assert_eq!(run.counts, expected.counts);
                assert_eq!(changes.told(), everything.told());
            }
        }
    }
    assert_eq!(everything.only_changes, 0);
    changes.only_changes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_since_is_all_that_changed(steps in vec(step(), 5..40)) {
        let Some(database) = Database::new("4.7", 50) else {
            return Ok(());
        };
        play(&steps, &database);
    }
}

#[test]
fn a_transaction_that_was_under_way_is_seen_when_it_ends() {
    let Some(database) = Database::new("4.7", 50) else {
        return;
    };
    let steps = [
        Step::Within(true, Deed::Insert(1)),
        Step::Now(Deed::Revoke(3)),
        Step::Backup,
        Step::Now(Deed::Revoke(4)),
        Step::Backup,
        Step::Commit(true),
        Step::Backup,
        Step::Within(false, Deed::Delete(5)),
        Step::Backup,
        Step::RollBack(false),
    ];
    assert_eq!(play(&steps, &database), 5);
}

#[test]
fn a_server_that_went_back_in_time_is_read_in_full() {
    let (Some(database), Some(copy)) = (Database::new("4.7", 50), Database::new("4.7", 50)) else {
        return;
    };
    // Two databases of the same contents under one name, one after the other: what a restored one is.
    let (settings, _) = Settings::from_url(&database.url(), &Environment::default()).unwrap();
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let later = now.checked_add(SignedDuration::from_hours(1)).unwrap();
    let mut side = Side::new(false);
    let mut reader = tuskvault::connectors::postgres::connect(&settings).unwrap();
    side.back_up(&mut reader, &settings, now);
    side.back_up(&mut reader, &settings, later);
    assert_eq!(side.only_changes, 1);
    drop(reader);
    let mut client = database.cluster.client(Role::Superuser, "postgres");
    let (own, other) = (&database.name, &copy.name);
    for (from, to) in [(own.as_str(), "aside"), (other, own), ("aside", other)] {
        let sql = format!("ALTER DATABASE {from} RENAME TO {to}");
        client.batch_execute(&sql).unwrap();
    }
    let mut reader = tuskvault::connectors::postgres::connect(&settings).unwrap();
    let later = later.checked_add(SignedDuration::from_hours(1)).unwrap();
    side.back_up(&mut reader, &settings, later);
    assert_eq!(side.only_changes, 1);
    // Once a week everything is read, whatever the watermark says.
    let soon = later.checked_add(SignedDuration::from_hours(100)).unwrap();
    side.back_up(&mut reader, &settings, soon);
    assert_eq!(side.only_changes, 2);
    let week = soon.checked_add(SignedDuration::from_hours(100)).unwrap();
    side.back_up(&mut reader, &settings, week);
    assert_eq!(side.only_changes, 2);
}

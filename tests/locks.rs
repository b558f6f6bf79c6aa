//! One vault, several processes: who may have it, what the others are told, and which file a waiter gets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers outside of #[test] functions"
)]

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use jiff::Timestamp;
use tuskvault::{
    crypto::{Credentials, KdfParams, Passphrase},
    model::{Account, Actor, Domain, Keys, RowSink, Scope, SourceKey},
    progress::{Progress, Silent},
    storage::{self, Access},
    vault::{Error, RunStart, Vault, compact, rekey},
};

const NOW: Duration = Duration::ZERO;
/// Of a vault that nobody has. A process that another test starts holds our files for the moment until it has become
/// another program, and with them their locks.
const FREE: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(120);

/// What the other process does, by name, with the vault that the environment names. It says when it is in the middle of
/// it and then waits for the end of its standard input.
#[test]
#[ignore = "the other process of the tests here"]
fn other_process() {
    let path = std::env::var("TUSKVAULT_TEST_VAULT").unwrap();
    let access = match std::env::var("TUSKVAULT_TEST_ACCESS").unwrap().as_str() {
        "read" => Access::Read,
        _ => Access::Write,
    };
    let mut vault = Vault::open(Path::new(&path), &passphrase("a"), access, FREE).unwrap();
    if access == Access::Read {
        println!("\nREADY");
        std::io::stdin().lines().for_each(drop);
        return;
    }
    let mut run = vault.begin_run(run_start()).unwrap();
    for key in 0..1_000 {
        run.account(key, &account(key)).unwrap();
    }
    println!("\nREADY");
    std::io::stdin().lines().for_each(drop);
    run.finish(tuskvault::model::Completeness::Complete)
        .unwrap();
}

fn start_other(path: &Path, access: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process", "--ignored", "--nocapture"])
        .env("TUSKVAULT_TEST_VAULT", path)
        .env("TUSKVAULT_TEST_ACCESS", access)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let ready = output
        .by_ref()
        .lines()
        .any(|line| line.is_ok_and(|line| line == "READY"));
    assert!(ready, "the other process ended early");
    child.stdout = Some(output.into_inner());
    child
}

fn assert_in_use(result: Result<Vault, Error>, child: &Child) {
    let error = result.unwrap_err();
    let Error::Storage(storage::Error::InUse { pid, .. }) = &error else {
        panic!("{error:?}");
    };
    if cfg!(target_os = "linux") {
        assert_eq!(*pid, Some(child.id()));
        assert!(error.to_string().contains(&format!("(pid {})", child.id())));
    }
}

#[test]
fn who_comes_while_a_run_is_recorded_is_told_who_has_the_vault() {
    let (_folder, path) = created();
    let mut child = start_other(&path, "write");
    for access in [Access::Read, Access::Write] {
        assert_in_use(open(&path, "a", access, NOW), &child);
    }
    // Whoever waits gets it once the other is done, with its run.
    let waiter = {
        let path = path.clone();
        thread::spawn(move || open(&path, "a", Access::Read, LONG).unwrap().runs())
    };
    drop(child.stdin.take());
    assert_eq!(waiter.join().unwrap().unwrap().len(), 1);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_process_that_is_killed_leaves_no_lock_and_no_half_run() {
    let (_folder, path) = created();
    for access in [Access::Read, Access::Write] {
        let mut child = start_other(&path, "write");
        child.kill().unwrap();
        child.wait().unwrap();
        let mut vault = open(&path, "a", access, FREE).unwrap();
        assert_eq!(vault.runs().unwrap().len(), 0);
        assert_eq!(vault.audit().unwrap().len(), 1);
        assert_eq!(vault.check(&Silent).unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn readers_share_the_vault_and_keep_writers_out() {
    let (_folder, path) = created();
    let mut child = start_other(&path, "read");
    assert_eq!(
        open(&path, "a", Access::Read, FREE)
            .unwrap()
            .audit()
            .unwrap()
            .len(),
        1
    );
    assert_in_use(open(&path, "a", Access::Write, NOW), &child);
    drop(child.stdin.take());
    child.wait().unwrap();
    open(&path, "a", Access::Write, FREE).unwrap();
}

/// Stops a rewrite at its beginning until somebody has come for the vault.
struct Met {
    begun: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

impl Progress for Met {
    fn start(&self, what: &str, _total: Option<u64>) {
        if what == "copying" {
            self.begun.send(()).unwrap();
            self.go_on.recv().unwrap();
        }
    }
    fn at(&self, _done: u64) {}
    fn finish(&self) {}
}

#[test]
fn a_waiter_gets_the_file_that_took_the_place_of_the_one_it_waited_for() {
    for rekeyed in [false, true] {
        let (_folder, path) = created();
        let vault = open(&path, "a", Access::Write, FREE).unwrap();
        let commits = vault.file().unwrap().commit_counter();
        let (begun, has_begun) = mpsc::channel();
        let (may_go_on, go_on) = mpsc::channel();
        let waiter = {
            let path = path.clone();
            thread::spawn(move || {
                has_begun.recv().unwrap();
                let told = open(&path, "a", Access::Write, NOW).unwrap_err();
                may_go_on.send(()).unwrap();
                let word = if rekeyed { "b" } else { "a" };
                (told, open(&path, word, Access::Write, LONG).unwrap())
            })
        };
        let (met, now) = (Met { begun, go_on }, Timestamp::from_second(50).unwrap());
        let rewritten = if rekeyed {
            let key = (&passphrase("b"), KdfParams::LEAST);
            rekey(vault, key, true, &actor(), now, &met)
        } else {
            compact(vault, true, &actor(), now, &met)
        };
        let previous = rewritten.unwrap().previous.unwrap();
        let (told, mut got) = waiter.join().unwrap();
        assert!(matches!(told, Error::Storage(storage::Error::InUse { .. })));
        assert!(got.file().unwrap().found_commit_counter() > commits);
        assert_eq!(got.audit().unwrap().len(), 2);
        // What it writes is in the file that is there.
        let event = tuskvault::vault::AuditEvent::KeyAdded { slot: 1 };
        got.audit_append(&event, &actor(), now).unwrap();
        drop(got);
        let word = if rekeyed { "b" } else { "a" };
        let there = open(&path, word, Access::Read, FREE).unwrap();
        assert_eq!(there.audit().unwrap().len(), 3);
        let former = open(&previous, "a", Access::Read, FREE).unwrap();
        assert_eq!(former.audit().unwrap().len(), 1);
    }
}

fn created() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tusk");
    let now = Timestamp::from_second(1).unwrap();
    drop(Vault::create(&path, &passphrase("a"), KdfParams::LEAST, &actor(), now).unwrap());
    (folder, path)
}

fn open(path: &Path, word: &str, access: Access, wait: Duration) -> Result<Vault, Error> {
    Vault::open(path, &passphrase(word), access, wait)
}

fn passphrase(text: &str) -> Credentials {
    Credentials {
        passphrase: Some(Passphrase::new(text.to_owned())),
        key_file: None,
    }
}

fn actor() -> Actor {
    Actor {
        user: "alice".to_owned(),
        host: "laptop.example".to_owned(),
    }
}

fn account(number: u64) -> Account {
    Account {
        instance: Domain::parse("m.example").unwrap(),
        username: Some(format!("user{number}")),
        created_at: None,
    }
}

fn run_start() -> RunStart {
    RunStart {
        source: SourceKey {
            connector: "toot".to_owned(),
            location: "/config.json".to_owned(),
            host: "laptop.example".to_owned(),
        },
        instance: None,
        scope: Scope::All,
        keys: Keys::Server,
        effective_at: None,
        now: Timestamp::from_second(9).unwrap(),
        actor: actor(),
        note: None,
        accept_shrink: false,
        origin: None,
    }
}

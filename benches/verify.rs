//! Asking instances, as a person does it: the real program against a server that stands for 50 hosts and answers each
//! request after 50 ms. Prints, for 1,000 and for 10,000 tokens, how long it took, the least that two requests at once
//! per host allow, how many requests were under way per host, and how much memory the program took.

#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]
#![allow(clippy::print_stdout, clippy::indexing_slicing, reason = "figures")]

#[path = "../tests/instance/mod.rs"]
mod instance;

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use instance::{Behaviour, Reply, Request, Server};

const HOSTS: usize = 50;
const LATENCY: Duration = Duration::from_millis(50);

fn main() {
    for tokens in [1_000, 10_000] {
        measure(tokens);
    }
}

fn measure(tokens: usize) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let passphrase = home.join("passphrase");
    fs::write(&passphrase, "a\n").unwrap();
    fs::set_permissions(passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    let mut records = String::new();
    for n in 0..tokens {
        let host = n % HOSTS;
        let _written = writeln!(
            records,
            r#"{{"instance":"m{host}.example","user":"alice","access_token":"token-{n}"}}"#
        );
    }
    fs::write(home.join("records"), records).unwrap();
    let server = Server::start(Behaviour::new(reply));
    let kdf = "--kdf-memory 8 --kdf-iterations 1 --kdf-parallelism 1";
    let init: Vec<&str> = std::iter::once("init").chain(kdf.split(' ')).collect();
    run(home, &server, &init);
    run(home, &server, &["import", "json", "records"]);
    let ca_file = server.ca_file();
    let verify = ["verify", "--ca-file", ca_file.to_str().unwrap()];
    let (time, memory_kib) = run(home, &server, &verify);
    let hosts = (0..HOSTS).map(|host| server.most_in_flight(&format!("m{host}.example")));
    let per_host = u32::try_from(tokens / HOSTS / 2).unwrap();
    println!(
        "{tokens} tokens on {HOSTS} hosts, {LATENCY:?} each: {time:.1?} (two at once per host: {:.1?} at least), at most {} at once on \
         a host, {} requests, {} MiB",
        LATENCY * per_host,
        hosts.max().unwrap(),
        server.requests().len(),
        memory_kib / 1024
    );
}

fn reply(request: &Request) -> Reply {
    thread::sleep(LATENCY);
    match request.path() {
        "/api/v1/accounts/verify_credentials" => Reply::sample("account-ok"),
        _ => Reply::json(404, "{}"),
    }
}

/// Runs the program; answers how long it took, and the most memory that it had in KiB.
fn run(home: &Path, server: &Server, arguments: &[&str]) -> (Duration, u64) {
    let begun = Instant::now();
    let mut program = Command::new(env!("CARGO_BIN_EXE_tuskvault"))
        .arg("--quiet")
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("TUSKVAULT_PASSWORD_FILE", home.join("passphrase"))
        .env("HTTPS_PROXY", server.proxy_url())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut most = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", program.id()));
        let peak = status.unwrap_or_default();
        let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().split(' ').next()?.parse().ok());
        most = most.max(kib.unwrap_or(0));
        if let Some(status) = program.try_wait().unwrap() {
            assert!(status.success(), "{arguments:?}");
            return (begun.elapsed(), most);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

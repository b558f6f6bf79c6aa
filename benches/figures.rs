//! The figures that the design promises, measured in one run: `cargo bench --bench figures [TOKENS]`.
//! Ratios are against a plain, unencrypted redb that keeps the same rows and indexes, one row per key.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that prints figures"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    clippy::unreadable_literal,
    reason = "figures"
)]

mod synthetic;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use redb::{Database, TableDefinition, backends::FileBackend};
use synthetic::{Instance, mix};
use tuskvault::{
    crypto::{Credentials, KdfParams, Passphrase},
    model::{Actor, Moment, Selector},
    storage::Access,
    vault::{Query, Vault},
};

fn main() {
    let tokens = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tusk");
    let instance = Instance::new(tokens);

    let start = Instant::now();
    let rows = instance.apps().count() + instance.accounts().count() + instance.tokens().count();
    let making = start.elapsed();
    println!(
        "{rows} rows, of which {tokens} tokens; making them takes {making:.2?}, left out below"
    );

    let mut vault = created(&path);
    let start = Instant::now();
    let run = instance.record(&mut vault, 0);
    let load = start.elapsed().saturating_sub(making);
    assert_eq!(run.counts.tokens.added, tokens);
    let file = vault.file().unwrap().clone();
    let bytes = file.file_len().unwrap();
    println!(
        "load, encrypted and synced: {load:.2?}; {:.1} bytes of file per token",
        bytes as f64 / tokens as f64
    );
    println!("peak memory so far: {} MB", peak_mb());

    let written = file.bytes_written();
    let start = Instant::now();
    let run = instance.record(&mut vault, 1);
    let again = start.elapsed().saturating_sub(making);
    assert_eq!(run.counts.tokens.unchanged, tokens);
    println!(
        "a second identical run: {again:.2?}, writes {} KiB",
        (file.bytes_written() - written) / 1024
    );

    let start = Instant::now();
    let lookups = 200;
    for n in 0..lookups {
        let (_, account) = instance
            .accounts()
            .nth((mix(n, 99) % (tokens / 4)) as usize)
            .unwrap();
        drop(account);
    }
    let finding = start.elapsed();
    let start = Instant::now();
    let mut found = 0;
    for n in 0..lookups {
        let (_, account) = instance
            .accounts()
            .nth((mix(n, 99) % (tokens / 4)) as usize)
            .unwrap();
        let selector: Selector = format!("{}@mastodon.example", account.username.unwrap())
            .parse()
            .unwrap();
        found += vault
            .records_sorted(&Query {
                selector: &selector,
                at: Moment::MAX,
                all: true,
            })
            .unwrap()
            .len();
    }
    let each = start.elapsed().saturating_sub(finding) / lookups as u32;
    println!("one lookup by user in the open vault: {each:.2?} ({found} records in {lookups})");

    let start = Instant::now();
    let mut listed = 0u64;
    let all = Selector::all();
    vault
        .records::<tuskvault::vault::Error>(
            &Query {
                selector: &all,
                at: Moment::MAX,
                all: true,
            },
            |_| {
                listed += 1;
                Ok(())
            },
        )
        .unwrap();
    println!("listing all {listed} records: {:.2?}", start.elapsed());
    drop((vault, file));

    let start = Instant::now();
    let vault = Vault::open(&path, &credentials(), Access::Read, Duration::ZERO).unwrap();
    let opening = start.elapsed();
    let start = Instant::now();
    KdfParams::LEAST.derive(b"a", &[0; 32]).unwrap();
    println!(
        "opening: {:.2?} more than deriving the key",
        opening.saturating_sub(start.elapsed())
    );
    drop(vault);
    println!("peak memory: {} MB", peak_mb());

    let plain = plain(&folder.path().join("plain.redb"), instance, making);
    println!(
        "plain redb, one row per key: {plain:.2?}; ours takes {:.2} of it",
        load.as_secs_f64() / plain.as_secs_f64()
    );

    runs_of_a_month(&folder.path().join("month.tusk"), tokens / 10);
    small(&folder.path().join("small.tusk"));
}

fn credentials() -> Credentials {
    Credentials {
        passphrase: Some(Passphrase::new("a".to_owned())),
        key_file: None,
    }
}

fn created(path: &Path) -> Vault {
    let actor = Actor {
        user: "me".to_owned(),
        host: "here".to_owned(),
    };
    Vault::create(
        path,
        &credentials(),
        KdfParams::LEAST,
        &actor,
        Timestamp::UNIX_EPOCH,
    )
    .unwrap()
}

fn runs_of_a_month(path: &Path, tokens: u64) {
    let mut vault = created(path);
    let instance = Instance::new(tokens);
    instance.record(&mut vault, 0);
    let file = vault.file().unwrap().clone();
    let first = file.file_len().unwrap();
    let mut written = 0;
    for night in 1..31 {
        let before = file.bytes_written();
        Instance {
            changed: Some(night * 7),
            ..instance
        }
        .record(&mut vault, night as i64 * 86_400);
        written += file.bytes_written() - before;
    }
    let last = file.file_len().unwrap();
    println!(
        "31 runs of {tokens} tokens, 0.1 % changed each night (and changed back the next): {:.3} of the file of one run; {} KiB written a night",
        last as f64 / first as f64,
        written / 30 / 1024
    );
}

fn small(path: &Path) {
    let mut vault = created(path);
    Instance::new(20).record(&mut vault, 0);
    let bytes = vault.file().unwrap().file_len().unwrap();
    drop(vault);
    println!(
        "a vault with 20 tokens: {bytes} bytes, {} when closed",
        std::fs::metadata(path).unwrap().len()
    );
}

/// The same rows and indexes, one row per key, unencrypted, sorted where the input is, one durable transaction of the
/// same kind.
fn plain(path: &Path, instance: Instance, making: Duration) -> Duration {
    const APPS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("apps");
    const ACCOUNTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("accounts");
    const TOKENS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("tokens");
    const BY_DIGEST: TableDefinition<'_, (u64, u64), ()> = TableDefinition::new("by digest");
    const BY_ACCOUNT: TableDefinition<'_, (u64, u64), ()> = TableDefinition::new("by account");
    const BY_NAME: TableDefinition<'_, (&str, u64), ()> = TableDefinition::new("by name");
    const CHANGES: TableDefinition<'_, (u64, u8, u64), u8> = TableDefinition::new("changes");
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap();
    let mut builder = Database::builder();
    builder.set_cache_size(64 << 20);
    let database = builder
        .create_with_backend(FileBackend::new(file).unwrap())
        .unwrap();
    let start = Instant::now();
    let mut transaction = database.begin_write().unwrap();
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    {
        let mut changes = transaction.open_table(CHANGES).unwrap();
        let mut apps = transaction.open_table(APPS).unwrap();
        for (key, app) in instance.apps() {
            let value = [
                app.client_id.unwrap().as_bytes(),
                app.client_secret.unwrap().expose().as_bytes(),
                app.name.unwrap().as_bytes(),
                app.redirect_uris[0].as_bytes(),
                app.website.unwrap().as_bytes(),
                &[0; 12],
            ]
            .concat();
            apps.insert(key, value.as_slice()).unwrap();
            changes.insert((1, 0, key), 0).unwrap();
        }
        let mut accounts = transaction.open_table(ACCOUNTS).unwrap();
        let mut names = Vec::new();
        for (key, account) in instance.accounts() {
            let name = account.username.unwrap();
            accounts
                .insert(key, [name.as_bytes(), &[0; 10]].concat().as_slice())
                .unwrap();
            changes.insert((1, 1, key), 0).unwrap();
            names.push((name, key));
        }
        names.sort_unstable();
        let mut by_name = transaction.open_table(BY_NAME).unwrap();
        for (name, key) in &names {
            by_name.insert((name.as_str(), *key), ()).unwrap();
        }
        let mut tokens = transaction.open_table(TOKENS).unwrap();
        let (mut digests, mut of_accounts) = (Vec::new(), Vec::new());
        for token in instance.tokens() {
            // 32 bytes of token and 24 of app, account, times and scopes: what the packed form says, unpacked.
            let mut value = [0; 56];
            let raw = match token.text.len() {
                64 => data_encoding::HEXLOWER
                    .decode(token.text.as_bytes())
                    .unwrap(),
                _ => data_encoding::BASE64URL_NOPAD
                    .decode(token.text.as_bytes())
                    .unwrap(),
            };
            value[..32].copy_from_slice(&raw);
            value[32..40].copy_from_slice(&token.created_at.to_le_bytes());
            value[40..48].copy_from_slice(&token.revoked_at.unwrap_or(0).to_le_bytes());
            tokens.insert(token.key, value.as_slice()).unwrap();
            changes.insert((1, 2, token.key), 0).unwrap();
            let digest = blake3::keyed_hash(&[0; 32], token.text.as_bytes());
            digests.push((
                u64::from_le_bytes(*digest.as_bytes().first_chunk().unwrap()),
                token.key,
            ));
            of_accounts.extend(token.account.map(|account| (account, token.key)));
        }
        digests.sort_unstable();
        of_accounts.sort_unstable();
        let mut by_digest = transaction.open_table(BY_DIGEST).unwrap();
        for entry in digests {
            by_digest.insert(entry, ()).unwrap();
        }
        let mut by_account = transaction.open_table(BY_ACCOUNT).unwrap();
        for entry in of_accounts {
            by_account.insert(entry, ()).unwrap();
        }
    }
    transaction.commit().unwrap();
    let took = start.elapsed().saturating_sub(making);
    println!(
        "plain redb has {:.1} bytes of file per token",
        std::fs::metadata(path).unwrap().len() as f64 / instance.tokens as f64
    );
    took
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

//! The figures that the design promises, measured in one run: `cargo bench --bench figures [TOKENS]`. What they mean
//! and what they were is in docs/performance.md. Ratios are against a plain, unencrypted redb that keeps the same rows
//! and indexes, one row per key.

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
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    backends::FileBackend,
};
use synthetic::{Instance, mix};
use tuskvault::{
    crypto::{Credentials, KdfParams, Passphrase},
    model::{Actor, Moment, Selector},
    progress::Silent,
    storage::{Access, LockedVault, Redb, open_redb},
    vault::{Query, Vault, compact},
};

fn main() {
    let tokens = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let instance = Instance::new(tokens);

    let start = Instant::now();
    let rows = instance.apps().count() + instance.accounts().count() + instance.tokens().count();
    let making = start.elapsed();
    println!(
        "{rows} rows, {tokens} of them tokens; making them takes {making:.2?}, left out below"
    );

    let first = load(&path("v.tusk"), instance, making);
    let bytes = std::fs::metadata(path("v.tusk")).unwrap().len();
    let each = bytes as f64 / tokens as f64;
    println!("file after the load, with all indexes: {each:.1} bytes per token (at most 95)");
    println!("peak memory of the load: {} MB (at most 150)", peak_mb());
    where_the_bytes_go(&path("v.tusk"), tokens);
    open_vault(&path("v.tusk"), instance, making);
    println!("peak memory of all that: {} MB (at most 150)", peak_mb());

    let mut loads = vec![first];
    let mut plains = Vec::new();
    for round in 0..ROUNDS {
        if round > 0 {
            loads.push(load(&path(&format!("{round}.tusk")), instance, making));
        }
        plains.push(plain(&path(&format!("{round}.redb")), instance, making));
    }
    println!("loads, encrypted and synced: {loads:.2?}; plain redb, one row per key: {plains:.2?}");
    let fastest = |times: &[Duration]| times.iter().min().copied().unwrap_or_default();
    println!(
        "of the fastest, a load takes {:.2} (at most 0.5)",
        fastest(&loads).as_secs_f64() / fastest(&plains).as_secs_f64()
    );
    runs_of_a_month(&path("month.tusk"), tokens / 10);
    small(&path("small.tusk"));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn load(path: &Path, instance: Instance, making: Duration) -> Duration {
    let mut vault = created(path);
    let start = Instant::now();
    let run = instance.record(&mut vault, 0);
    let took = start.elapsed().saturating_sub(making);
    assert_eq!(run.counts.tokens.added, instance.tokens);
    took
}

/// What the entries of each kind take, and redb around them.
fn where_the_bytes_go(path: &Path, tokens: u64) {
    let locked = LockedVault::open(path, Access::Read, Duration::ZERO).unwrap();
    let file = locked.unlock(&credentials()).unwrap();
    let Redb::Read(database) = open_redb(&file, 64 << 20).unwrap() else {
        return;
    };
    let transaction = database.begin_read().unwrap();
    let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
    let table = transaction.open_table(table).unwrap();
    let mut kinds: BTreeMap<u8, (u64, usize)> = BTreeMap::new();
    for entry in table.iter().unwrap() {
        let (key, value) = entry.unwrap();
        let kind = kinds.entry(key.value()[0]).or_default();
        *kind = (kind.0 + 1, kind.1 + key.value().len() + value.value().len());
    }
    for (tag, (entries, bytes)) in kinds.into_iter().filter(|(_, (entries, _))| *entries > 2) {
        println!(
            "    kind {tag}: {entries} entries of {:.0} bytes; {:.2} bytes per token",
            bytes as f64 / entries as f64,
            bytes as f64 / tokens as f64
        );
    }
    let stats = table.stats().unwrap();
    println!(
        "    {} leaves, {} branches, {} units of file",
        stats.leaf_pages(),
        stats.branch_pages(),
        file.file_len().unwrap() / 4096
    );
}

fn open_vault(path: &Path, instance: Instance, making: Duration) {
    let open = |access| Vault::open(path, &credentials(), access, Duration::ZERO).unwrap();
    let took = |run: &dyn Fn()| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    let openings = (0..9).map(|_| took(&|| drop(open(Access::Read))));
    let derivations = (0..9).map(|_| took(&|| drop(KdfParams::LEAST.derive(b"a", &[0; 32]))));
    let opening = median(openings.collect()).saturating_sub(median(derivations.collect()));
    println!("opening: {opening:.2?} more than deriving the key (at most 10 ms)");

    let mut vault = open(Access::Write);
    let file = vault.file().unwrap().clone();
    let before = file.bytes_written();
    let start = Instant::now();
    let run = instance.record(&mut vault, 1);
    let again = start.elapsed().saturating_sub(making);
    assert_eq!(run.counts.tokens.unchanged, instance.tokens);
    let written = (file.bytes_written() - before) / 1024;
    println!("a second identical run: {again:.2?}, writes {written} KiB (at most 256)");

    let names: Vec<String> = instance
        .accounts()
        .filter(|(key, _)| mix(*key, 99) % (instance.tokens / 4) < 200)
        .filter_map(|(_, account)| account.username)
        .collect();
    let start = Instant::now();
    let mut found = 0;
    for name in &names {
        let selector: Selector = format!("{name}@mastodon.example").parse().unwrap();
        found += vault.records_sorted(&all(&selector)).unwrap().len();
    }
    let each = start.elapsed() / u32::try_from(names.len()).unwrap_or(1).max(1);
    let lookups = names.len();
    println!("a lookup by user: {each:.2?}, {found} records in {lookups} (at most 1 ms)");

    let start = Instant::now();
    let mut listed = 0u64;
    let each = |_| -> Result<(), tuskvault::vault::Error> {
        listed += 1;
        Ok(())
    };
    vault.records(&all(&Selector::all()), each).unwrap();
    println!("listing all {listed} records: {:.2?}", start.elapsed());
}

fn all(selector: &Selector) -> Query<'_> {
    Query {
        selector,
        at: Moment::MAX,
        all: true,
    }
}

fn credentials() -> Credentials {
    Credentials {
        passphrase: Some(Passphrase::new("a".to_owned())),
        key_file: None,
    }
}

fn actor() -> Actor {
    Actor {
        user: "me".to_owned(),
        host: "here".to_owned(),
    }
}

fn created(path: &Path) -> Vault {
    let now = Timestamp::UNIX_EPOCH;
    Vault::create(path, &credentials(), KdfParams::LEAST, &actor(), now).unwrap()
}

fn runs_of_a_month(path: &Path, tokens: u64) {
    let mut vault = created(path);
    let instance = Instance::new(tokens);
    instance.record(&mut vault, 0);
    let file = vault.file().unwrap().clone();
    let first = file.file_len().unwrap();
    let before = file.bytes_written();
    let mut changed = 0;
    for nights in 1..=30 {
        let instance = Instance { nights, ..instance };
        let run = instance.record(&mut vault, nights as i64 * 86_400);
        changed += run.counts.tokens.changed;
    }
    let last = file.file_len().unwrap();
    let written = (file.bytes_written() - before) / 30 / 1024;
    println!(
        "31 runs of {tokens} tokens, {} changed a night: {:.3} of the file of one run (at most 1.08), {written} KiB written a night",
        changed / 30,
        last as f64 / first as f64,
    );
    drop(file);
    let actor = actor();
    let done = compact(vault, false, &actor, Timestamp::UNIX_EPOCH, &Silent).unwrap();
    let ratio = done.after_bytes as f64 / first as f64;
    println!("    and {ratio:.3} of it once compacted");
}

fn small(path: &Path) {
    let mut vault = created(path);
    Instance::new(20).record(&mut vault, 0);
    drop(vault);
    let bytes = std::fs::metadata(path).unwrap().len();
    println!("a vault with 20 tokens: {bytes} bytes (at most 131072)");
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
    start.elapsed().saturating_sub(making)
}

/// So many loads of each kind, taken in turns: the machine may be busy with other things.
const ROUNDS: usize = 3;

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

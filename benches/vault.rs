//! criterion: packed bulk load, merge join of unchanged rows, point lookup; a plain redb table beside them.

#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    clippy::unreadable_literal,
    reason = "figures"
)]

mod synthetic;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use redb::{Database, TableDefinition, backends::FileBackend};
use synthetic::{Instance, mix};
use tuskvault::{
    model::{Moment, Selector},
    vault::{Query, Vault},
};

const TOKENS: u64 = 1_000_000;

fn database() -> Database {
    let file = tempfile::tempfile().unwrap();
    Database::builder()
        .set_cache_size(64 << 20)
        .create_with_backend(FileBackend::new(file).unwrap())
        .unwrap()
}

fn history(c: &mut Criterion) {
    let mut group = c.benchmark_group("a million tokens");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .throughput(Throughput::Elements(TOKENS));
    let instance = Instance::new(TOKENS);
    group.bench_function("making the rows", |b| b.iter(|| instance.tokens().count()));
    group.bench_function("load, packed with indexes", |b| {
        b.iter_with_large_drop(|| {
            let mut vault = Vault::in_database(database()).unwrap();
            instance.record(&mut vault, 0);
            vault
        });
    });
    group.bench_function("load of the tokens alone into a plain table", |b| {
        b.iter_with_large_drop(|| {
            const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("tokens");
            let database = database();
            let mut transaction = database.begin_write().unwrap();
            transaction.set_two_phase_commit(true);
            {
                let mut table = transaction.open_table(TABLE).unwrap();
                for token in instance.tokens() {
                    table.insert(token.key, token.text.as_bytes()).unwrap();
                }
            }
            transaction.commit().unwrap();
            database
        });
    });
    let mut vault = Vault::in_database(database()).unwrap();
    instance.record(&mut vault, 0);
    let mut at = 1;
    group.bench_function("merge join of unchanged rows", |b| {
        b.iter(|| {
            at += 1;
            instance.record(&mut vault, at)
        });
    });
    group.finish();

    let names: Vec<String> = instance
        .accounts()
        .map(|(_, account)| account.username.unwrap())
        .collect();
    let mut n = 0;
    c.bench_function("lookup by user among a million tokens", |b| {
        b.iter(|| {
            n += 1;
            let name = &names[mix(n, 1) as usize % names.len()];
            let selector: Selector = format!("{name}@mastodon.example").parse().unwrap();
            vault
                .records_sorted(&Query {
                    selector: &selector,
                    at: Moment::MAX,
                    all: true,
                })
                .unwrap()
        });
    });
}

criterion_group!(benches, history);
criterion_main!(benches);

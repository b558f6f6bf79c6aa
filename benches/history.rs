//! criterion: questions about the past of a vault with many runs. `TUSKVAULT_BENCH_TOKENS` and `TUSKVAULT_BENCH_RUNS` set
//! its size (20,000 and 30 unless set; a million and 365 are what docs/performance.md promises, and take minutes to make).
//! The runs are a day apart, and each changes one token in a thousand, here and there (`TUSKVAULT_BENCH_CHANGES_ONE_IN`).
//! `TUSKVAULT_BENCH_VAULT` names a file that the vault is made in, or taken from where it is there already.

#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]
#![allow(
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    reason = "figures"
)]

mod synthetic;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use jiff::Timestamp;
use synthetic::{Instance, mix};
use tuskvault::{
    crypto::{Credentials, KdfParams, Passphrase},
    model::{Actor, Moment, Selector},
    storage::Access,
    vault::{Error, Query, Vault},
};

const NIGHT: i64 = 86_400;

fn set(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A vault in a file, as a person has it: opened for reading after the last run.
fn vault(path: &Path, tokens: u64, runs: u64) -> Vault {
    let credentials = Credentials {
        passphrase: Some(Passphrase::new("a".to_owned())),
        key_file: None,
    };
    let actor = Actor {
        user: "me".to_owned(),
        host: "here".to_owned(),
    };
    let now = Timestamp::UNIX_EPOCH;
    if !path.exists() {
        eprintln!("making {runs} runs of {tokens} tokens");
        let mut vault = Vault::create(path, &credentials, KdfParams::LEAST, &actor, now).unwrap();
        for nights in 0..runs {
            let instance = Instance {
                nights,
                changes_one_in: set("TUSKVAULT_BENCH_CHANGES_ONE_IN", 1_000).max(1),
                ..Instance::new(tokens)
            };
            instance.record(&mut vault, nights as i64 * NIGHT);
        }
    }
    let vault = Vault::open(path, &credentials, Access::Read, Duration::ZERO).unwrap();
    assert_eq!(vault.runs().unwrap().len() as u64, runs);
    vault
}

fn count(vault: &Vault, at: Moment) -> u64 {
    let mut count = 0;
    let each = |_| -> Result<(), Error> {
        count += 1;
        Ok(())
    };
    let query = Query {
        selector: &Selector::all(),
        at,
        all: false,
    };
    vault.records(&query, each).unwrap();
    count
}

fn past(c: &mut Criterion) {
    let tokens = set("TUSKVAULT_BENCH_TOKENS", 20_000);
    let runs = set("TUSKVAULT_BENCH_RUNS", 30).max(2);
    let folder = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("TUSKVAULT_BENCH_VAULT").map(PathBuf::from);
    let path = kept.unwrap_or_else(|| folder.path().join("vault.tusk"));
    let vault = vault(&path, tokens, runs);
    let moments: Vec<Moment> = vault
        .runs()
        .unwrap()
        .iter()
        .map(|run| run.effective_at.into())
        .collect();
    let (last, middle) = (moments.len() - 1, moments.len() / 2);

    let mut group = c.benchmark_group(format!("{runs} runs of {tokens} tokens"));
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    let names: Vec<String> = Instance::new(tokens)
        .accounts()
        .filter_map(|(_, account)| account.username)
        .collect();
    let mut n = 0;
    group.bench_function("history KEY", |b| {
        b.iter(|| {
            n += 1;
            let name = &names[mix(n, 1) as usize % names.len()];
            let selector: Selector = format!("{name}@mastodon.example").parse().unwrap();
            vault.history(&selector, Moment::MAX).unwrap()
        });
    });
    for run in [2, middle as u64, runs] {
        group.bench_with_input(BenchmarkId::new("log RUN", run), &run, |b, run| {
            b.iter(|| vault.run_changes(*run).unwrap());
        });
    }
    for later in [1, middle, last] {
        let pair = [moments[later - 1], moments[later]];
        group.bench_with_input(
            BenchmarkId::new("diff to run", later + 1),
            &pair,
            |b, pair| {
                b.iter(|| vault.differences(pair[0], pair[1]).unwrap());
            },
        );
    }
    for (name, at) in [
        ("list", Moment::MAX),
        ("list as of the middle run", moments[middle]),
        ("list as of the first run", moments[0]),
    ] {
        group.bench_function(name, |b| b.iter(|| count(&vault, at)));
    }
    group.finish();
}

criterion_group!(benches, past);
criterion_main!(benches);

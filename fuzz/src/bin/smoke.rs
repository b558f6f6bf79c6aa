//! Runs every target for some seconds with mutated samples: `cargo run --release --bin smoke -- [SECONDS [TARGET]]`.
//!
//! Not guided by coverage, but it needs no more than the stable toolchain. The seed is printed and taken from
//! `FUZZ_SEED`. An input that makes a target panic is kept below `artifacts/`.

use std::{
    fs, panic,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tuskvault_fuzz::Target;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3.0);
    let only = arguments.next();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seed = std::env::var("FUZZ_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(now.as_nanos() as u64);
    println!("FUZZ_SEED={seed}");
    let mut failed = false;
    for target in tuskvault_fuzz::all() {
        if only.as_deref().is_some_and(|only| only != target.name) {
            continue;
        }
        let mut random = Random(seed | 1);
        match fuzz(target, &mut random, Duration::from_secs_f64(seconds)) {
            Ok(runs) => println!("{:<14} {runs:>9} inputs", target.name),
            Err(path) => {
                println!(
                    "{:<14} panicked: the input is {}",
                    target.name,
                    path.display()
                );
                failed = true;
            }
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn fuzz(target: &Target, random: &mut Random, time: Duration) -> Result<u64, PathBuf> {
    let seeds = seeds(target);
    let start = Instant::now();
    let mut runs = 0;
    loop {
        let first = seeds.get(runs as usize);
        let input = match first {
            Some(seed) => seed.clone(),
            None => mutated(&seeds, random),
        };
        if panic::catch_unwind(|| (target.run)(&input)).is_err() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("artifacts")
                .join(target.name);
            let path = folder.join(format!("panic-{runs}"));
            fs::create_dir_all(&folder)
                .and_then(|()| fs::write(&path, &input))
                .expect("the artifact is written");
            return Err(path);
        }
        runs += 1;
        if first.is_none() && start.elapsed() >= time {
            return Ok(runs);
        }
    }
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data");
    let mut seeds = vec![Vec::new()];
    for name in target.seeds {
        read(&data.join(name), &mut seeds);
    }
    seeds.extend(tuskvault_fuzz::made_seeds(target));
    assert!(seeds.len() > 1, "{} has no seeds", target.name);
    seeds
}

fn read(path: &Path, into: &mut Vec<Vec<u8>>) {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        entries.iter().for_each(|entry| read(entry, into));
    } else {
        into.push(fs::read(path).unwrap());
    }
}

fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        mutate(&mut input, seeds, random);
    }
    input.truncate(MAX_BYTES);
    input
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + 1 + random.below(16)).min(input.len());
    match random.below(8) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = INTERESTING[random.below(INTERESTING.len())],
        2 => input.insert(at, random.next() as u8),
        3 => drop(input.drain(at..end)),
        4 => input.truncate(at),
        5 => {
            let part: Vec<u8> = input[at..end].to_vec();
            for _ in 0..=random.below(40) {
                input.splice(at..at, part.iter().copied());
            }
        }
        6 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            let to = (from + random.below(64)).min(other.len());
            input.splice(at..at, other[from..to].iter().copied());
        }
        _ => {
            let word = WORDS[random.below(WORDS.len())];
            input.splice(at..at, word.bytes());
        }
    }
}

struct Random(u64);

impl Random {
    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound.max(1)
    }
}

const MAX_BYTES: usize = 64 << 10;
const INTERESTING: &[u8] = b"\0\x01\x7f\x80\xff\"'\\{}[],:=#\n\r\t ~@/%$`&*!|>-";
const WORDS: &[&str] = &[
    "[",
    "{",
    "[[",
    "]]",
    "\"\"\"",
    "'''",
    "&a",
    "*a",
    "<<: ",
    "---\n",
    "\r\n",
    "\u{feff}",
    "\u{202e}",
    "\u{1b}[2J",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "1e999",
    "18446744073709551616",
    "-0",
    "0x",
    "access_token",
    "instance",
    "https://",
    "export ",
    "# ",
    "// ",
    "/*",
    "!!binary ",
    "tk_",
    "~1",
    "run:",
    "*",
];

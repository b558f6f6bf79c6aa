//! One coverage-guided binary for all targets: `FUZZ_TARGET=toml cargo fuzz run --features libfuzzer target`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tuskvault_fuzz::{Target, find};

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_else(|_| "header".to_owned());
    find(&name).unwrap_or_else(|| panic!("there is no target {name}"))
});

fuzz_target!(|data: &[u8]| (TARGET.run)(data));

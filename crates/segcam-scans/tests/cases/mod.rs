//! Random cases.

use proptest::test_runner::{Config, RngSeed};

/// As many cases, the same ones in every run.
pub(crate) fn same_every_run(cases: u32) -> Config {
    let rng_seed = RngSeed::Fixed(1);
    Config { cases, failure_persistence: None, rng_seed, ..Config::default() }
}

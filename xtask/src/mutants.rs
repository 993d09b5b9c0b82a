//! How much of the code is held by tests: faults are put in one at a time, and a test must fail.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{root, run, target};

/// Crates with their shard (every so many-th mutant, from the first) and the tests that hold them.
const CRATES: [(&str, &str, &[&str]); 4] = [
    ("segcam-pixels", "0/5", &["sets", "parts", "text"]),
    ("segcam-metrics", "0/4", &["metrics", "protocol", "rounding"]),
    ("segcam-graph", "0/11", &["rules", "weights", "concrete", "engine", "certificates"]),
    (
        "segcam-core",
        "0/11",
        &[
            "plan",
            "engine",
            "methods",
            "oracles",
            "certificates",
            "perturbation",
            "fusion_smoothing",
            "rounding",
            "metrics",
        ],
    ),
];

/// All crates, or those named. Takes hours.
pub(crate) fn run_all(wanted: &[String]) -> Result<()> {
    let known = |name: &String| CRATES.iter().any(|(package, ..)| package == name);
    if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
        let known: Vec<&str> = CRATES.iter().map(|(package, ..)| *package).collect();
        bail!("no mutants of {unknown}: there are those of {}", known.join(", "));
    }
    let mut survived = vec![];
    for (package, shard, tests) in CRATES {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == package) {
            continue;
        }
        let out = target().join("mutants").join(package);
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(root()).args(["mutants", "--package", package, "--shard", shard]);
        // All features as in every other build, so that nothing below is compiled again.
        command.args(["--test-workspace", "true", "--no-shuffle", "--timeout", "120"]);
        command.arg("--output").arg(&out).arg("--").arg("--lib");
        command.args(tests.iter().flat_map(|test| ["--test", test]));
        let environment = [
            ("CARGO_TARGET_DIR", target().join("mutants").display().to_string()),
            // Quick to build, and incremental.
            ("CARGO_PROFILE_DEV_OPT_LEVEL", "0".into()),
            ("CARGO_PROFILE_DEV_DEBUG", "0".into()),
        ];
        std::fs::create_dir_all(&out)?;
        let status = command.envs(environment).status();
        let status = status.context("is cargo-mutants there? `cargo install cargo-mutants --locked`")?;
        // 2: some survived, 3: some took too long.
        ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo mutants failed on {package}");
        let list = out.join("mutants.out/missed.txt");
        let missed = std::fs::read_to_string(&list).unwrap_or_default();
        survived.extend(missed.lines().map(String::from));
    }
    survived.iter().for_each(|mutant| println!("not caught: {mutant}"));
    Ok(())
}

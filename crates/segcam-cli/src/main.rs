//! The `segcam` program.

use std::process::ExitCode;

use segcam_cli::terminal::{program, run};

fn main() -> ExitCode {
    program(run)
}

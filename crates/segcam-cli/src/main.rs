//! The `segcam` program.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use segcam_cli::terminal::{program, run};

/// Tensors come and go by the dozen megabytes: the system's allocator gives each back to the system, and
/// takes it page by page again.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    program(run)
}

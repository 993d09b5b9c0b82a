//! Files that are no part of the project.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A folder of the real data: `$SEGCAM_DATA`, or `../shared/data` beside the project. Where it is missing
/// the test says that it is skipped; `SEGCAM_REQUIRE_DATA` makes that an error.
pub(crate) fn real_data(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SEGCAM_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("SEGCAM_REQUIRE_DATA").is_none(), "{} is missing", path.display());
    // Past the test harness, which hides what passing tests print.
    let _ = writeln!(std::io::stderr(), "SKIPPED: no {}", path.display());
    None
}

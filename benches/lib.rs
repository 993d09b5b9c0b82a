//! `cargo bench -p segcam-benches`

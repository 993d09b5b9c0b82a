//! Lists: networks, layers, methods, sets, devices, operations.

use std::process::Command;

use serde_json::Value;

use crate::{folder_with_image, works};

#[test]
fn lists_are_tables_or_json() {
    let folder = folder_with_image();
    let layers = works(folder.path(), "layers");
    let names: Vec<&str> =
        layers.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["enc1", "enc2", "enc3", "mid", "dec3", "dec2", "dec1", "out"]);
    // What lies between them is not listed, but can be asked.
    works(folder.path(), "explain --input spots.png --layer dec1.up mid.conv2");
    for (list, member) in [
        ("models", "espnet"),
        ("methods", "seg-hires-grad-cam"),
        ("pixels", "component@y,x"),
        ("devices", "flex"),
    ] {
        assert!(works(folder.path(), list).contains(member));
        let rows: Value =
            serde_json::from_str(&works(folder.path(), &format!("{list} --json"))).expect("json");
        assert!(rows.to_string().contains(member));
    }
    for model in
        ["nuclei-unet", "retina-unet", "vanilla-unet", "espnet", "meshnet", "lesions-meshnet"]
    {
        assert!(works(folder.path(), &format!("layers --model {model}")).contains("out"));
    }
    assert!(works(folder.path(), "explain --help").contains("Examples:"));
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_segcam"))
        .arg("models")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_graph_is_shown_and_its_operations_can_be_explained() {
    let folder = folder_with_image();
    let path = folder.path();
    let said = works(path, "graph --input spots.png");
    assert!(said.contains("captured, 59 operations") && said.contains("simplified, "), "{said}");
    let (_, simplified) = said.split_once("simplified").expect("both");
    assert!(!simplified.contains("= batch_norm("), "{simplified}");
    assert!(works(path, "layers --all").contains("batch_norm.1"));
    works(path, "explain --input spots.png --layer batch_norm.1 --out out");
    assert!(path.join("out/seg-hires-grad-cam.batch_norm.1.png").exists());
}

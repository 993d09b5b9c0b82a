//! `onnx-zoo FOLDER [JSON]`: every network of a folder beside PyTorch, as a Markdown table.

use std::path::Path;
use std::process::ExitCode;

use segcam_tests::zoo::{Row, compare};

/// Limits of relative errors: class scores, maps.
const LIMITS: (f32, f32) = (1e-4, 1e-3);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((folder, json)) = arguments.split_first() else {
        eprintln!("usage: onnx-zoo FOLDER [JSON]");
        return ExitCode::from(2);
    };
    let folder = Path::new(folder);
    let entries = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let mut names: Vec<String> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();

    println!(
        "| network | nodes | weights | export | logits | maps | PyTorch f32 | engine | load | forward | 8 maps |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let (mut rows, mut wrong): (Vec<Row>, Vec<String>) = (vec![], vec![]);
    for name in names {
        let Ok(row) = std::panic::catch_unwind(|| compare(folder, &name)) else {
            wrong.push(name);
            continue;
        };
        println!(
            "| {} | {} | {:.1} M | {} | {:.1e} | {:.1e} | {:.1e} | {} | {:.2} s | {:.2} s | {:.2} s |",
            row.network,
            row.nodes,
            row.parameters as f64 / 1e6,
            row.export,
            row.logits_error,
            row.maps_error,
            row.torch_float32_error,
            row.engine,
            row.load_seconds,
            row.forward_seconds,
            row.maps_seconds
        );
        if row.logits_error > LIMITS.0 || row.maps_error > LIMITS.1 || row.engine != "graph" {
            wrong.push(name);
        }
        rows.push(row);
    }
    if let [path] = json {
        let text = serde_json::to_string_pretty(&rows).expect("plain numbers");
        std::fs::write(path, text).expect("a place to write to");
    }
    println!("\n{} networks, {} of them wrong: {}", rows.len(), wrong.len(), wrong.join(" "));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

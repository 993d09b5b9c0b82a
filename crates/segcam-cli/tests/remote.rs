//! `segcam serve` in one process and `segcam explain` in another: the maps are those of this machine,
//! and what was finished is kept when the server is killed.
#![cfg(feature = "remote")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::{GrayImage, Luma};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

struct Server {
    process: Child,
    /// As `--device` takes it.
    name: String,
}

impl Server {
    fn start() -> Self {
        let mut process = segcam(&["serve", "--device", "flex", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut said = BufReader::new(process.stdout.take().expect("its output"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        let name = line.split_whitespace().last().expect("an address").to_string();
        assert!(name.starts_with("remote:ws://127.0.0.1:"), "{line}");
        // Its log is read so that it can go on writing.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { process, name }
    }

    /// No goodbye: the operating system closes what was open.
    fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn segcam(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segcam"));
    command.args(arguments);
    command
}

/// A client at work in the folder.
fn client(folder: &TempDir, device: &str, arguments: &[&str]) -> Child {
    segcam(arguments)
        .args(["--device", device])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// The last line that a client says whose server was killed.
fn error_of(client: Child) -> String {
    let output = client.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    said.lines().last().expect("an error").to_string()
}

/// A folder with a picture of a bright spot.
fn folder() -> TempDir {
    let folder = tempdir().expect("a folder");
    let spot = |x: u32, y: u32| (x as f32 - 30.0).hypot(y as f32 - 24.0) < 9.0;
    let image = GrayImage::from_fn(64, 64, |x, y| Luma([if spot(x, y) { 200 } else { 20 }]));
    image.save(folder.path().join("spot.png")).expect("saved");
    folder
}

fn report(folder: &Path) -> Value {
    let text = fs::read(folder.join("report.json")).expect("a report");
    serde_json::from_slice(&text).expect("json")
}

/// Until a file is there whose name starts so.
fn wait_for(folder: &Path, name: &str) {
    let start = Instant::now();
    let found = |file: &fs::DirEntry| file.file_name().to_string_lossy().starts_with(name);
    while !fs::read_dir(folder).into_iter().flatten().flatten().any(|file| found(&file)) {
        assert!(start.elapsed() < Duration::from_secs(120), "no {name}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_same_maps_as_here() {
    let folder = folder();
    let server = Server::start();
    let maps = |device: &str, out: &str| {
        let asked = ["explain", "--input", "spot.png", "--quiet", "--device", device, "--out", out];
        let status = segcam(&asked).current_dir(folder.path()).status();
        assert!(status.expect("it starts").success(), "{device}");
        report(&folder.path().join(out))["maps"].as_array().expect("maps").clone()
    };
    let (here, there) = (maps("flex", "here"), maps(&server.name, "there"));
    assert_eq!((here.len(), there.len()), (4, 4));
    for (here, there) in here.iter().zip(&there) {
        for field in ["method", "layer", "pixel_set", "pixels", "status"] {
            assert_eq!(here[field], there[field]);
        }
        for field in ["score", "raw_min", "raw_max"] {
            let number = |map: &Value| map[field][0].as_f64().expect("a number");
            let (here, there) = (number(here), number(there));
            assert!((here - there).abs() <= 1e-4 * here.abs(), "{field}: {here} and {there}");
        }
    }
}

#[test]
fn a_server_that_is_killed() {
    let folder = folder();
    let mut server = Server::start();
    // More figures than are drawn before the server is gone.
    let boxes: Vec<String> = (0..60).map(|row| format!("box:{row},0,{},64", row + 4)).collect();
    let mut asked = vec!["explain", "--input", "spot.png", "--pixels"];
    asked.extend(boxes.iter().map(String::as_str));
    let client = client(&folder, &server.name, &asked);
    let out = folder.path().join("segcam-out");
    wait_for(&out, "compare");
    server.kill();

    let error = error_of(client);
    assert!(error.starts_with("error: the backend failed: "), "{error}");
    assert!(error.contains("Failed to read tensor") && error.contains("`segcam serve`"), "{error}");
    assert!(error.contains("segcam-out"), "{error}");
    let report = report(&out);
    let maps = report["maps"].as_array().expect("maps");
    assert!((4..4 * boxes.len()).contains(&maps.len()), "{} maps", maps.len());
    let pictures = maps.iter().flat_map(|map| map["files"].as_array().expect("files"));
    let figures = report["files"].as_array().expect("files").iter();
    for file in pictures.chain(figures).filter_map(Value::as_str) {
        let path = out.join(file);
        assert!(path.exists(), "{file}");
        if file.ends_with(".png") {
            image::open(&path).expect("a picture");
        }
    }
    assert_eq!(report["failures"].as_array().expect("failures").len(), 1, "{report}");
}

#[test]
fn a_server_that_is_killed_while_images_are_measured() {
    let folder = folder();
    let mut server = Server::start();
    fs::create_dir(folder.path().join("in")).expect("a folder");
    for name in ["a.png", "b.png", "c.png", "d.png", "e.png"] {
        fs::copy(folder.path().join("spot.png"), folder.path().join("in").join(name))
            .expect("copied");
    }
    let asked = ["evaluate", "--input", "in", "--out", "out", "--cells", "8", "--metric", "road"];
    let on = |device: &str| client(&folder, device, &asked);
    let client = on(&server.name);
    let kept = folder.path().join("out/images");
    wait_for(&kept, "a.png.json");
    server.kill();
    let error = error_of(client);
    assert!(error.contains("goes on"), "{error}");
    let first = || fs::read(kept.join("a.png.json")).expect("what was measured");
    let before = first();
    assert!(!kept.join("e.png.json").exists(), "it was over before the server was killed");

    // The rest is measured elsewhere; nothing that failed was kept.
    let output = on("flex").wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(first(), before);
    let text = fs::read_to_string(folder.path().join("out/evaluation.csv")).expect("a table");
    assert_eq!(text.lines().count(), 1 + 5 * (4 + 3), "{text}");
    assert!(text.lines().skip(1).all(|row| row.ends_with(',')), "something is missing: {text}");
}

#[test]
fn places_where_nothing_can_listen() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("an address").to_string();
    for place in ["nowhere", "localhost:99999", &taken] {
        let output = segcam(&["serve", "--listen", place]).output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("error: cannot listen on {place}: ")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

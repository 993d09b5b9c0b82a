//! One folder of images, explained by `segcam batch`, by a plan in this process, and by clusters: the same table.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use clap::Parser;
use segcam_batch::{Row, Table};
use segcam_cli::nuclei::Nuclei;
use segcam_cli::terminal::Args;
use tempfile::{TempDir, tempdir};

const IMAGES: u64 = 24;
/// Of these, and of no others, there is a row with an error.
const BAD: [u64; 3] = [3, 11, 17];
const OPTIONS: [&str; 6] = ["--certify", "--class", "all", "--save", "raw", "--layer=auto"];

/// A folder with images, and in it the table of `segcam batch`.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempdir().expect("a folder");
        let images = folder.path().join("images");
        fs::create_dir(&images).expect("made");
        for number in 0..IMAGES {
            let path = match number {
                5 => images.join(std::ffi::OsStr::from_bytes(b"05 \xff.png")),
                6 => images.join("06 it's \"6\".png"),
                _ => images.join(format!("{number:02}.png")),
            };
            Nuclei::new(number).image.save(&path).expect("saved");
            if BAD.contains(&number) {
                let bytes = fs::read(&path).expect("read");
                let half = [&b"no image"[..], &bytes[..bytes.len() / 2], b""];
                fs::write(&path, half[number as usize % 3]).expect("written");
            }
        }
        let words = words(folder.path(), "batch");
        let args = ["segcam", "--quiet", "batch"].map(String::from).into_iter().chain(words);
        let args = Args::try_parse_from(args).expect("options");
        let finished = segcam_cli::terminal::run(args).expect("a run");
        assert_eq!(finished.code, Some(3));
        assert_eq!(finished.failures.len(), BAD.len());
        folder
    });
    folder.path()
}

/// What is asked of each.
fn words(folder: &Path, out: &str) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let paths = ["--input".into(), path("images"), "--out".into(), path(out)];
    paths.into_iter().chain(OPTIONS.map(String::from)).collect()
}

fn rows(folder: &Path) -> (Vec<String>, Vec<Row>) {
    let table = Table::open(&folder.join("results.parquet")).expect("a table");
    let columns = table.schema().columns().iter().map(|column| column.name.clone()).collect();
    (columns, table.rows().collect::<Result<_, _>>().expect("rows"))
}

/// The same rows, but for the time that they took, the same settings, and the same files.
fn assert_same(out: &Path) {
    let expected = folder().join("batch");
    let ((columns, rows), (_, found)) = (rows(&expected), rows(out));
    assert_eq!(found.len(), rows.len());
    assert!(rows.len() > 4 * (IMAGES as usize - BAD.len()), "{}", rows.len());
    for (expected, found) in rows.iter().zip(&found) {
        for column in columns.iter().filter(|column| *column != "seconds") {
            let cells = [expected, found].map(|row| row.get(column).map(|cell| cell.to_text()));
            assert_eq!(cells[0], cells[1], "{column} of {:?}", expected.text("input"));
        }
    }
    let settings = |folder: &Path| {
        let table = Table::open(&folder.join("results.parquet")).expect("a table");
        table.settings().expect("settings").clone()
    };
    assert_eq!(settings(&expected), settings(out));
    let files = |folder: &Path| -> BTreeSet<PathBuf> {
        let below = |path: &Path| path.strip_prefix(folder).expect("below").to_path_buf();
        all_files(folder).iter().map(|path| below(path)).collect()
    };
    assert_eq!(files(&expected), files(out));
    let named = rows.iter().filter_map(|row| row.text("files")).flat_map(str::lines);
    for name in named {
        let bytes = [&expected, out].map(|folder| fs::read(folder.join(name)).expect(name));
        assert!(bytes[0] == bytes[1], "{name}");
    }
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_segcam-cluster"))
}

fn batch(out: &str, cluster: &[&str]) -> Output {
    let words = words(folder(), out);
    program().arg("batch").args(cluster).args(words).output().expect("runs")
}

/// Exit code 3, and a line for each bad image.
fn assert_some_failed(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), BAD.len(), "{stderr}");
    for (line, number) in lines.iter().zip(BAD) {
        assert!(line.starts_with(&format!("error: {number:02}.png: ")), "{line}");
    }
}

#[test]
fn a_plan_in_this_process_makes_the_table_of_segcam_batch() {
    let output = batch("here", &["--per-task", "3", "--per-query", "10"]);
    assert_some_failed(&output);
    assert!(String::from_utf8_lossy(&output.stdout).contains("24 inputs"));
    assert_same(&folder().join("here"));
    // All is known.
    let output = batch("here", &["--json"]);
    assert_some_failed(&output);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains("\"computed\": 0") && stdout.contains("\"known\": 24"), "{stdout}");
    assert_same(&folder().join("here"));
}

#[test]
fn ballista_in_this_process_makes_the_same_table() {
    let output = batch("standalone", &["--cluster", "standalone", "--per-task", "2"]);
    assert_some_failed(&output);
    assert_same(&folder().join("standalone"));
}

#[test]
fn sql_is_asked_of_tables() {
    let table = folder().join("batch/results.parquet");
    let sql = |query: &str, more: &[&str]| {
        let output = program().arg("sql").args(more).arg(&table).arg(query).output();
        let output = output.expect("runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), stderr)
    };
    let (_, rows) = rows(&folder().join("batch"));
    let count = |layer: &str| rows.iter().filter(|row| row.text("layer") == Some(layer)).count();
    let query = "select layer, count(*) as maps, min(\"item\") as first from maps \
                 where error is null group by 1 order by 1";
    let expected = format!("layer,maps,first\ndec1,{},0\nmid,{},0\n", count("dec1"), count("mid"));
    assert_eq!(sql(query, &["--csv"]), (Some(0), expected, String::new()));
    let (code, stdout, _) = sql("select count(*) as n from maps", &["--json"]);
    assert_eq!((code, stdout.trim()), (Some(0), &*format!("[{{\"n\":{}}}]", rows.len())));
    let (code, stdout, _) = sql("select item from maps where item < 0", &[]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("| item |"), "{stdout}");
    // The function, as others call it, is asked with words.
    let image = folder().join("images/00.png").display().to_string();
    let query = format!(
        "select r['layer'] as layer, r['score'] as score from \
         (select unnest(explain('{image}', '--class 1 --method seg-grad-cam')) as r)"
    );
    let (code, stdout, stderr) = sql(&query, &["--csv"]);
    assert_eq!(code, Some(0), "{stderr}");
    let of_class =
        |row: &&Row| row.number("class") == Some(1.0) && row.text("method") == Some("seg-grad-cam");
    let first = rows.iter().find(of_class).expect("a row");
    let expected = format!(
        "{},{:?}",
        first.text("layer").expect("a layer"),
        first.number("score").expect("a score")
    );
    assert_eq!(stdout.lines().nth(1), Some(&*expected), "{stdout}");
    for (query, said) in [
        ("select nothing from maps", "nothing"),
        ("select explain('a.png') from maps", "explain(path, asked)"),
        ("selec", "selec"),
    ] {
        let (code, _, stderr) = sql(query, &[]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(said) && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn what_is_wrong_with_the_words_is_said_once() {
    for (words, said) in [
        (&["--input", "nowhere", "--out", "o"][..], "there is no such file or folder"),
        (&["--out", "o"], "--input"),
        (&["--input", ".", "--wrong"], "--wrong"),
        (&["--cluster", "nowhere", "--input", "."], "df://HOST:PORT"),
    ] {
        let output = program().arg("batch").args(words).current_dir(folder()).output();
        let output = output.expect("runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said) && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn a_scheduler_that_is_not_there_is_said() {
    let nobody = format!("localhost:{}", free_port());
    let address = format!("df://{nobody}");
    let batch = ["batch", "--cluster", &address, "--input", ".", "--out", "nobody"];
    let executor = ["executor", "--scheduler", &nobody, "--patience", "1"];
    for words in [&batch[..], &executor[..]] {
        let output = program().args(words).current_dir(folder().join("images")).output();
        let output = output.expect("runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains("no scheduler answers at") && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
}

/// A program that is killed when it is no longer needed.
struct Running {
    child: Child,
    stderr: Receiver<String>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("starts");
        let stderr = BufReader::new(child.stderr.take().expect("stderr"));
        let (to, from) = channel();
        spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        Self { child, stderr: from }
    }

    /// How many networks were loaded since this was asked.
    fn loaded(&self) -> usize {
        self.stderr.try_iter().filter(|line| line.starts_with("loaded in ")).count()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let taken = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr());
    taken.expect("a port").port()
}

fn scheduler() -> (Running, u16) {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut command = program();
    (Running::start(command.args(["scheduler", "--lost-after", "10", "--listen", &listen])), port)
}

fn executor(port: u16) -> Running {
    let scheduler = format!("localhost:{port}");
    Running::start(program().args(["executor", "--scheduler", &scheduler]))
}

fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited for {what}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_executor_that_is_killed_loses_nothing() {
    let (_scheduler, port) = scheduler();
    let (mut killed, other) = (executor(port), executor(port));
    let out = "killed";
    let address = format!("df://localhost:{port}");
    let mut command = program();
    command.args(["batch", "--cluster", &address, "--per-task", "2", "--per-query", "16"]);
    let mut client = command
        .args(words(folder(), out))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    // Both have begun, and some images are finished.
    let mut loaded = [0, 0];
    wait_for("two executors", || {
        loaded[0] += killed.loaded();
        loaded[1] += other.loaded();
        loaded == [1, 1]
    });
    let maps = folder().join(out).join("maps");
    wait_for("some images", || fs::read_dir(&maps).is_ok_and(|done| done.count() >= 5));
    killed.child.kill().expect("killed");
    assert!(client.try_wait().expect("a state").is_none(), "it was killed in mid-run");
    let done = fs::read_dir(&maps).expect("maps").count();
    assert!(done < IMAGES as usize - BAD.len(), "it was killed in mid-run");

    let output = client.wait_with_output().expect("ends");
    assert_some_failed(&output);
    assert_same(&folder().join(out));
    assert_eq!(other.loaded(), 0, "it was loaded once");
}

//! Runs that are stopped, killed, repeated and shared out.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segcam_batch::{
    Batch, BatchError, Column, Finished, Item, Kind, Progress, Row, Settings, Shard, Stop, Summary,
    Table, What, Work, WorkError, every_file, list, manifest, merge, sha256,
};
use serde_json::json;
use tempfile::{TempDir, tempdir};

/// Writes how long each text is, twice, and a file beside the table.
#[derive(Default)]
struct Lengths {
    out: PathBuf,
    /// A line for each input that was computed.
    log: Option<PathBuf>,
    wait: Duration,
    made: AtomicUsize,
    stop_after: Option<(usize, Stop)>,
    full_after: Option<usize>,
}

impl Work for Lengths {
    type Found = ();
    type Read = String;
    type Made = usize;

    fn contents(&self, item: &Item) -> Result<(String, ()), WorkError> {
        Ok((sha256([&item.path]).map_err(WorkError::item)?, ()))
    }

    fn read(&self, item: &Item, (): ()) -> Result<String, WorkError> {
        fs::read_to_string(&item.path).map_err(WorkError::item)
    }

    fn make(&self, item: &Item, text: String) -> Result<usize, WorkError> {
        if let Some(log) = &self.log {
            let mut log =
                File::options().append(true).create(true).open(log).map_err(WorkError::run)?;
            log.write_all(format!("{}\n", item.name).as_bytes()).map_err(WorkError::run)?;
        }
        sleep(self.wait);
        let made = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some((_, stop)) = self.stop_after.as_ref().filter(|(after, _)| made == *after) {
            stop.ask();
        }
        match self.full_after {
            Some(after) if made > after => Err(WorkError::Run("the disk is full".into())),
            _ => Ok(text.len()),
        }
    }

    fn write(&self, item: &Item, length: usize) -> Result<Vec<Row>, WorkError> {
        let file = item.folder().with_extension("length");
        let path = self.out.join(&file);
        fs::create_dir_all(path.parent().ok_or(WorkError::Run("no folder".into()))?)
            .map_err(WorkError::run)?;
        fs::write(path, length.to_string()).map_err(WorkError::run)?;
        let third = length as f64 / 3.0;
        let row = Row::new().with("length", length).with("third", third);
        let file = file.display().to_string();
        Ok(vec![row.clone().with("which", "one").with("files", file), row.with("which", "two")])
    }
}

fn columns() -> [Column; 3] {
    [
        Column::new("length", Kind::Integer, "bytes"),
        Column::new("third", Kind::Number, "a third of them"),
        Column::new("which", Kind::Text, "`one` or `two`"),
    ]
}

fn settings(version: u32) -> Settings {
    [("version".to_string(), json!(version))].into()
}

/// Texts of different lengths; of each ten one is none.
fn texts(count: usize) -> TempDir {
    let folder = tempdir().expect("a folder");
    for number in 0..count {
        let name = folder.path().join(format!("{}/{number:04}.txt", number % 3));
        fs::create_dir_all(name.parent().expect("a folder")).expect("written");
        let bad = number % 10 == 7;
        let bytes = if bad { vec![0xff; 3] } else { vec![b'a'; number * 7 % 1000] };
        fs::write(name, bytes).expect("written");
    }
    folder
}

fn items(folder: &Path) -> Vec<Item> {
    list(folder, &every_file).expect("a list").items
}

fn work(out: &Path) -> Lengths {
    Lengths { out: out.to_path_buf(), ..Lengths::default() }
}

fn run(out: &Path, items: &[Item], work: &Lengths) -> Result<Summary, BatchError> {
    let mut batch = Batch::create(out, columns(), settings(1))?.with_jobs(2);
    batch.run(items, work, &|_| (), &Stop::new())
}

fn rows(table: &Path) -> Vec<Row> {
    let rows = Table::open(table).expect("a table").rows();
    rows.collect::<Result<_, _>>().expect("rows")
}

/// Everything in a folder and below it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let everything = |path: &Path| if path.is_dir() { What::Other } else { What::Input };
    let Ok(found) = list(folder, &everything) else { return BTreeMap::new() };
    found.items.into_iter().map(|item| (item.name, fs::read(item.path).expect("read"))).collect()
}

#[test]
fn bad_inputs_are_rows() {
    let (texts, out) = (texts(40), tempdir().expect("a folder"));
    let items = items(texts.path());
    assert_eq!(items.len(), 40);
    let summary = run(out.path(), &items, &work(out.path())).expect("a run");
    assert_eq!((summary.computed, summary.known, summary.failed.len()), (40, 0, 4));
    let rows = rows(&out.path().join("results.parquet"));
    assert_eq!(rows.len(), 36 * 2 + 4);
    for row in &rows {
        let input = row.text("input").expect("an input");
        let place = row.number("item").expect("a place") as usize;
        assert_eq!(items[place].name, input);
        let number: usize = input[2..6].parse().expect("a number");
        assert_eq!(row.text("contents"), sha256([&items[place].path]).ok().as_deref());
        if number % 10 == 7 {
            assert!(row.text("error").expect("an error").contains("UTF-8"));
            assert_eq!(row.get("length"), None);
        } else {
            assert_eq!(row.text("error"), None);
            assert_eq!(row.number("length"), Some((number * 7 % 1000) as f64));
            assert_eq!(row.number("third"), Some((number * 7 % 1000) as f64 / 3.0));
        }
    }
    assert!(rows.is_sorted_by_key(|row| row.number("item").map(|place| place as usize)));
    assert!(!out.path().join("unfinished.jsonl").exists());
}

#[test]
fn what_is_finished_is_not_computed_again() {
    let (texts, out) = (texts(30), tempdir().expect("a folder"));
    let items = items(texts.path());
    let first = run(out.path(), &items[..10], &work(out.path())).expect("a run");
    assert_eq!((first.computed, first.known), (10, 0));
    // More inputs, in between.
    let more = work(out.path());
    let second = run(out.path(), &items, &more).expect("a run");
    assert_eq!((second.computed, second.known), (20, 10));
    // Nothing new; what is wrong with bad inputs is known, too.
    let before = rows(&out.path().join("results.parquet"));
    let third = run(out.path(), &items, &work(out.path())).expect("a run");
    assert_eq!((third.computed, third.known, third.failed.len()), (0, 30, 3));
    assert_eq!(rows(&out.path().join("results.parquet")), before);
    // Other contents.
    fs::write(&items[3].path, "four").expect("written");
    let fourth = run(out.path(), &items, &work(out.path())).expect("a run");
    assert_eq!((fourth.computed, fourth.known), (1, 29));
    let after = rows(&out.path().join("results.parquet"));
    let changed: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
    assert!(changed.iter().all(|row| row.number("length") == Some(4.0)));
    assert_eq!(changed.len(), 2);
}

#[test]
fn what_was_found_elsewhere_makes_the_same_table() {
    let (texts, here, elsewhere) =
        (texts(40), tempdir().expect("a folder"), tempdir().expect("a folder"));
    let (items, out) = (items(texts.path()), elsewhere.path());
    run(here.path(), &items, &work(here.path())).expect("a run");
    let work = work(out);
    let contents = |item: &Item| work.contents(item).ok().map(|(contents, ())| contents);
    let mut left = 40;
    // Two runs, the first of which keeps half.
    for count in [20, 40] {
        let mut batch = Batch::create(out, columns(), settings(1)).expect("a batch");
        let missing = batch.missing(&items, contents).expect("inputs");
        assert_eq!(missing.len(), left);
        for item in missing.into_iter().rev().take(count) {
            batch.keep(item, &Finished::of(item, &work).expect("rows")).expect("kept");
            left -= 1;
        }
        if left == 0 {
            assert_eq!(batch.write_table(&items).expect("a table").len(), 4);
        }
    }
    assert_eq!(files(out), files(here.path()));
    let mut batch = Batch::create(out, columns(), settings(1)).expect("a batch");
    assert_eq!(batch.missing(&items, contents).expect("inputs"), Vec::<&Item>::new());
    batch.write_table(&items).expect("a table");
    fs::write(&items[3].path, "changed").expect("written");
    let mut batch = Batch::create(out, columns(), settings(1)).expect("a batch");
    assert_eq!(batch.missing(&items, contents).expect("inputs"), [&items[3]]);
    assert!(batch.missing(&items[1..], contents).is_err(), "of other inputs");
    let full = Lengths { full_after: Some(0), ..Lengths::default() };
    let reason = Finished::of(&items[3], &full).expect_err("nothing can be computed");
    assert_eq!(reason, "the disk is full");
    batch.write_table(&items).expect("a table");
}

#[test]
fn other_settings_compute_everything_anew() {
    let (texts, out) = (texts(6), tempdir().expect("a folder"));
    let items = items(texts.path());
    run(out.path(), &items, &work(out.path())).expect("a run");
    let file = out.path().join(items[0].folder().with_extension("length"));
    assert!(file.exists());
    let refused = Batch::create(out.path(), columns(), settings(2)).expect_err("other settings");
    let said = refused.to_string();
    assert!(said.contains("6 inputs with other settings (version was 1, is 2)"), "{said}");
    assert!(file.exists() && !out.path().join("unfinished.jsonl").exists(), "nothing is lost");
    let mut batch = Batch::replacing(out.path(), columns(), settings(2)).expect("a batch");
    assert_eq!((batch.dropped(), batch.known()), (6, 0));
    assert!(!file.exists(), "what the earlier run wrote is gone");
    let summary = batch.run(&items, &work(out.path()), &|_| (), &Stop::new()).expect("a run");
    assert_eq!((summary.computed, summary.known), (6, 0));
}

#[test]
fn one_folder_belongs_to_one_run() {
    let (texts, out) = (texts(5), tempdir().expect("a folder"));
    let items = items(texts.path());
    let first = Batch::create(out.path(), columns(), settings(1)).expect("a batch");
    let second = Batch::create(out.path(), columns(), settings(1));
    assert!(matches!(second, Err(BatchError::Locked { .. })), "{second:?}");
    drop(first);
    run(out.path(), &items, &work(out.path())).expect("a run");
    let fewer = run(out.path(), &items[1..], &work(out.path()));
    let Err(BatchError::OtherInputs { count, first, .. }) = fewer else { panic!("{fewer:?}") };
    assert_eq!((count, first.as_str()), (1, "0/0000.txt"));
}

#[test]
fn a_stopped_run_goes_on() {
    let (texts, out) = (texts(50), tempdir().expect("a folder"));
    let items = items(texts.path());
    let stop = Stop::new();
    let stopping = Lengths { stop_after: Some((20, stop.clone())), ..work(out.path()) };
    let mut batch = Batch::create(out.path(), columns(), settings(1)).expect("a batch");
    let summary = batch.run(&items, &stopping, &|_| (), &stop).expect("a run");
    drop(batch);
    assert!(summary.stopped && (20..30).contains(&summary.computed), "{summary:?}");
    assert!(!out.path().join("results.parquet").exists());
    let rest = run(out.path(), &items, &work(out.path())).expect("a run");
    assert_eq!(rest.known, summary.computed);
    assert_eq!(rest.known + rest.computed, 50);
}

#[test]
fn what_is_wrong_with_all_ends_the_run() {
    let (texts, out) = (texts(50), tempdir().expect("a folder"));
    let items = items(texts.path());
    let full = Lengths { full_after: Some(10), ..work(out.path()) };
    let error = run(out.path(), &items, &full).expect_err("a full disk");
    assert!(
        error.to_string().starts_with("the disk is full; what was finished is kept"),
        "{error}"
    );
    let rest = run(out.path(), &items, &work(out.path())).expect("a run");
    assert!(rest.known >= 8, "{rest:?}");
    assert_eq!(rest.known + rest.computed, 50);
}

#[test]
fn shards_together_are_the_whole() {
    let (texts, out) = (texts(60), tempdir().expect("a folder"));
    let items = items(texts.path());
    let whole = out.path().join("whole");
    run(&whole, &items, &work(&whole)).expect("a run");
    let tables: Vec<PathBuf> = (1..=4)
        .map(|number| {
            let shard: Shard = format!("{number}/4").parse().expect("a shard");
            let mine: Vec<Item> = items.iter().filter(|item| shard.holds(item)).cloned().collect();
            let folder = out.path().join(number.to_string());
            run(&folder, &mine, &work(&folder)).expect("a run");
            folder.join("results.parquet")
        })
        .collect();
    let merged = out.path().join("merged.parquet");
    let count = merge(&tables, &merged).expect("merged");
    assert_eq!(rows(&merged), rows(&whole.join("results.parquet")));
    assert_eq!(count, rows(&merged).len());

    let twice = merge(&[tables[0].clone(), tables[0].clone()], &merged).expect_err("twice");
    assert!(twice.to_string().contains("both have"), "{twice}");
    let other = out.path().join("other");
    let mut batch = Batch::create(&other, columns(), settings(2)).expect("a batch");
    batch.run(&items, &work(&other), &|_| (), &Stop::new()).expect("a run");
    let other = merge(&[tables[0].clone(), other.join("results.parquet")], &merged);
    let other = other.expect_err("other settings").to_string();
    assert!(other.ends_with("version is 1 and 2"), "{other}");
}

#[test]
fn lines_that_are_cut_off_are_computed_again() {
    let (texts, out) = (texts(20), tempdir().expect("a folder"));
    let items = items(texts.path());
    let stop = Stop::new();
    let stopping = Lengths { stop_after: Some((6, stop.clone())), ..work(out.path()) };
    let mut batch = Batch::create(out.path(), columns(), settings(1)).expect("a batch");
    batch.run(&items, &stopping, &|_| (), &stop).expect("a run");
    drop(batch);
    let journal = fs::read(out.path().join("unfinished.jsonl")).expect("a journal");
    let lines: Vec<usize> =
        journal.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    for length in 0..journal.len() {
        let other = tempdir().expect("a folder");
        fs::write(other.path().join("unfinished.jsonl"), &journal[..length]).expect("written");
        let batch = Batch::create(other.path(), columns(), settings(1)).expect("a batch");
        let whole = lines.iter().filter(|end| **end < length).count().saturating_sub(1);
        assert_eq!(batch.known(), whole, "{length}");
    }
}

const CHILD: &str = "SEGCAM_BATCH_CHILD";

/// A run in a process of its own, which the next test kills.
#[test]
#[ignore = "started by the next test"]
fn child() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let folder = Path::new(&folder);
    let out = folder.join("out");
    let log = Some(folder.join("log"));
    let work = Lengths { log, wait: Duration::from_millis(4), ..work(&out) };
    run(&out, &items(&folder.join("texts")), &work).expect("a run");
    fs::write(folder.join("done"), "").expect("written");
}

#[test]
fn killed_runs_lose_nothing_and_repeat_only_what_was_in_flight() {
    let (texts, folder) = (texts(200), tempdir().expect("a folder"));
    fs::rename(texts.path(), folder.path().join("texts")).expect("moved");
    let mut random = ChaCha8Rng::seed_from_u64(17);
    let mut kills = 0;
    while kills < 100 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "child", "--ignored"])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        sleep(Duration::from_micros(random.random_range(0..30_000)));
        child.kill().expect("killed");
        child.wait().expect("ended");
        kills += 1;
        if folder.path().join("done").exists() {
            break;
        }
    }
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child", "--ignored"])
        .env(CHILD, folder.path())
        .stdout(Stdio::null())
        .status()
        .expect("run");
    assert!(status.success());
    let undisturbed = tempdir().expect("a folder");
    let items = items(&folder.path().join("texts"));
    run(undisturbed.path(), &items, &work(undisturbed.path())).expect("a run");
    let out = folder.path().join("out");
    let table = Path::new("results.parquet");
    assert_eq!(rows(&out.join(table)), rows(&undisturbed.path().join(table)));
    let names = |folder: &Path| files(folder).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&out), names(undisturbed.path()), "no file is left that does not belong");

    let log = fs::read_to_string(folder.path().join("log")).expect("a log");
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    log.lines().for_each(|line| *times.entry(line).or_default() += 1);
    let good = 180;
    assert_eq!(times.len(), good);
    // Two are computed, one waits and one is written.
    assert!(log.lines().count() - good <= 4 * kills, "{} for {kills} kills", log.lines().count());
    assert!(kills > 20, "{kills}");
}

#[test]
fn progress_tells_of_each_input() {
    let (texts, out) = (texts(20), tempdir().expect("a folder"));
    let items = items(texts.path());
    run(out.path(), &items[..5], &work(out.path())).expect("a run");
    let [known, done, failed] = [(); 3].map(|()| AtomicUsize::new(0));
    let count = |progress: Progress| {
        let which = match progress {
            Progress::Known(_) => &known,
            Progress::Failed(..) => &failed,
            _ => &done,
        };
        which.fetch_add(1, Ordering::SeqCst);
    };
    let mut batch = Batch::create(out.path(), columns(), settings(1)).expect("a batch");
    batch.run(&items, &work(out.path()), &count, &Stop::new()).expect("a run");
    let counts = [known, done, failed].map(|count| count.into_inner());
    assert_eq!(counts, [5, 15, 2]);
}

#[test]
fn tables_name_inputs() {
    let folder = tempdir().expect("a folder");
    let csv = folder.path().join("cases.csv");
    let write = |text: &str| fs::write(&csv, text).expect("written");
    write(
        "\u{feff}input,class,age\n a.png ,3,41\nb c.png,,7\n\"d\"\"e,.png\",1,\n a.png ,3,41\na.png,4,41\n",
    );
    let found = manifest(&csv, &["truth", "class"]).expect("a manifest");
    let named: Vec<_> = found.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(named, ["a.png", "b c.png", "d\"e,.png", "a.png"]);
    assert_eq!(found.items[0].path, folder.path().join("a.png"));
    assert_eq!(found.items[0].fields, [("class".to_string(), "3".to_string())].into());
    assert!(found.items[1].fields.is_empty());
    assert_ne!(found.items[0].folder(), found.items[3].folder());
    assert_eq!((found.repeated, found.unused_columns), (1, vec!["age".to_string()]));

    write("image,class\na.png,3\n");
    let error = manifest(&csv, &["class"]).expect_err("no column").to_string();
    assert!(
        error.ends_with("wanted a column `input` with paths, there are: image, class"),
        "{error}"
    );
    write("input,class\na.png,3\n,4\n");
    let error = manifest(&csv, &["class"]).expect_err("no name").to_string();
    assert!(error.ends_with("row 2 names no input"), "{error}");
    write("input,class\na.png\n");
    assert!(manifest(&csv, &["class"]).is_err());
    write("input\n");
    let error = manifest(&csv, &[]).expect_err("no rows").to_string();
    assert!(error.ends_with("the table has no rows"), "{error}");

    // The table of a run names inputs, too.
    let (texts, out) = (texts(3), tempdir().expect("a folder"));
    run(out.path(), &items(texts.path()), &work(out.path())).expect("a run");
    let table = out.path().join("results.parquet");
    let found = manifest(&table, &["which"]).expect("a manifest");
    assert_eq!(found.items.len(), 6);
}

#[test]
fn sources_name_inputs() {
    let texts = texts(9);
    let at = |name: &str| texts.path().join(name);
    fs::write(at(".hidden"), "").expect("written");
    fs::write(at("list.txt"), "0/0000.txt\r\n\n 1/0001.txt\n0/0000.txt\nnot there\n")
        .expect("written");
    let found = list(&at("list.txt"), &every_file).expect("a list");
    let named: Vec<_> = found.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!((named, found.repeated), (vec!["0/0000.txt", "1/0001.txt", "not there"], 1));

    let found = list(&at("*/*[02468].txt"), &every_file).expect("a pattern");
    assert_eq!(found.items.len(), 5);
    let only_texts = |path: &Path| match path.extension() {
        Some(_) => What::Input,
        None => What::Other,
    };
    fs::write(at("0/README"), "").expect("written");
    let found = list(texts.path(), &only_texts).expect("a folder");
    assert_eq!((found.items.len(), found.others), (10, 2));
    assert!(found.items.iter().enumerate().all(|(number, item)| item.number == number));

    for (source, reason) in [("none", "no such file"), ("*.png", "nothing matches")] {
        let error = list(&at(source), &every_file).expect_err(source).to_string();
        assert!(error.contains(reason), "{error}");
    }
    let pattern = list(&at("a**b"), &every_file).expect_err("a pattern that says nothing");
    let text = at("text.csv");
    fs::write(&text, b"input\n\xff\n").expect("written");
    let text = manifest(&text, &[]).expect_err("bytes that are no text");
    for error in [pattern, text] {
        let source = error.source().expect("what said so").to_string();
        assert!(error.to_string().ends_with(&source), "{error}");
    }
    fs::create_dir(at("empty")).expect("made");
    let error = list(&at("empty"), &every_file).expect_err("empty").to_string();
    assert!(error.ends_with("the folder holds no inputs (0 other files)"), "{error}");
}

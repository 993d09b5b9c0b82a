//! `--html`: what many inputs say, in one file to send on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};
use segcam_batch::{Row, Table};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::{json, npy, same, segcam, spots, works};

/// A report that loads nothing, and the data in it.
pub(crate) fn report(path: &Path) -> (String, Value) {
    let page = fs::read_to_string(path).expect("a page");
    assert!(!page.contains("http://") && !page.contains("https://"));
    // Its policy allows one script, which has no attribute and no other beside it.
    assert!(page.contains("default-src 'none'; img-src data:; style-src 'sha256-"));
    assert_eq!(page.matches("<script").count(), 2, "the data and what shows it");
    let start = page.find("id=\"data\">").expect("data") + "id=\"data\">".len();
    let end = start + page[start..].find("</script>").expect("its end");
    let around = [&page[..start], &page[end..]].concat();
    assert!(!around.contains(" src=") && !page.contains("<link"), "it loads something");
    let data = serde_json::from_str(&page[start..end]).expect("json");
    (page, data)
}

fn folder_with_images(count: u32) -> TempDir {
    let folder = tempdir().expect("a folder");
    fs::create_dir(folder.path().join("images")).expect("made");
    for number in 0..count {
        let image = spots(48 + 4 * (number % 5), 40);
        image.save(folder.path().join(format!("images/{number:02}.png"))).expect("saved");
    }
    folder
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("{name} of {value}"))
}

fn table<'a>(data: &'a Value, title: &str) -> &'a Value {
    let found = list(data, "tables").iter().find(|table| table["title"] == title);
    let titles = list(data, "tables").iter().map(|table| &table["title"]);
    found.unwrap_or_else(|| panic!("no table {title}: {:?}", titles.collect::<Vec<_>>()))
}

/// A column of a table.
fn column<'a>(table: &'a Value, name: &str) -> Vec<&'a Value> {
    let at = list(table, "columns").iter().position(|column| column["name"] == name);
    let at = at.unwrap_or_else(|| panic!("no column {name} in {}", table["columns"]));
    list(table, "rows").iter().map(|row| &row["cells"][at]).collect()
}

fn rows(path: &Path) -> Vec<Row> {
    Table::open(path).expect("a table").rows().collect::<Result<_, _>>().expect("rows")
}

#[test]
fn a_batch_is_reported_with_the_numbers_of_its_table() {
    let folder = folder_with_images(7);
    let path = folder.path();
    let hostile = "<img src=x onerror=alert(1)>.png";
    fs::rename(path.join("images/02.png"), path.join("images").join(hostile)).expect("renamed");
    fs::rename(path.join("images/03.png"), path.join("images/</script>\".png")).ok();
    fs::write(path.join("images/05.png"), "no image").expect("written");
    let command = "batch --input images --out out --certify --metric leak --html";
    let output = segcam(path, command);
    assert_eq!(output.status.code(), Some(3), "one cannot be read");
    assert!(String::from_utf8_lossy(&output.stdout).contains("out/report.html"));
    let (page, data) = report(&path.join("out/report.html"));
    assert!(!page.contains("<img src=x"), "a name is a name");

    let rows = rows(&path.join("out/results.parquet"));
    let maps: Vec<&Row> = rows.iter().filter(|row| row.get("raw_max").is_some()).collect();
    assert_eq!(maps.len(), 6 * 4);
    let all = table(&data, "All maps");
    for name in ["score", "raw_min", "raw_max", "leak", "impossible", "layer_share"] {
        let given: Vec<Option<f64>> = column(all, name).into_iter().map(Value::as_f64).collect();
        let wanted: Vec<Option<f64>> = maps.iter().map(|row| row.number(name)).collect();
        assert_eq!(given.len(), wanted.len(), "{name}");
        for (given, wanted) in given.into_iter().zip(wanted) {
            assert!(same(given, wanted), "{name}: {given:?} {wanted:?}");
        }
    }
    assert!(column(all, "input").contains(&&Value::from(hostile)));
    assert!(column(table(&data, "Errors"), "Error")[0].as_str().is_some_and(|e| e.contains("PNG")));
    // All inputs fit, and each row leads to its maps.
    assert_eq!(list(&data, "cases").len(), 6);
    for (row, line) in maps.iter().zip(list(all, "rows")) {
        let [case, figure] = [0, 1].map(|at| line["shown"][at].as_u64().expect("shown") as usize);
        let case = &data["cases"][case];
        assert_eq!(case["look"]["name"].as_str(), row.text("input"));
        let mut shown = list(&case["figures"][figure], "maps").iter();
        let is = |map: &&Value| {
            map["report"]["method"].as_str() == row.text("method")
                && map["layer"].as_str() == row.text("layer")
        };
        let map = shown.find(is).expect("its map");
        let report = &map["report"];
        assert!(same(report["raw_max"][0].as_f64(), row.number("raw_max")), "{report}");
        let impossible = report["certificate"]["impossible"].as_f64();
        assert!(same(impossible, row.number("impossible")), "{report}");
    }
    let means = table(&data, "Means over inputs");
    let of_table: Value =
        serde_json::from_str(&works(path, "table out/results.parquet --json")).expect("json");
    let wanted = list(&of_table, "means").iter().filter(|mean| mean["column"] == "leak");
    let wanted: Vec<Option<f64>> = wanted.map(|mean| mean["mean"].as_f64()).collect();
    let given = column(means, "leak").into_iter();
    assert_eq!(given.map(|cell| cell[0].as_f64()).collect::<Vec<_>>(), wanted);

    // Everything is known; the file is the same to the byte.
    assert_eq!(segcam(path, command).status.code(), Some(3));
    assert!(fs::read_to_string(path.join("out/report.html")).expect("read") == page);
    fs::remove_dir_all(path.join("out")).expect("removed");
    assert_eq!(segcam(path, command).status.code(), Some(3));
    assert!(fs::read_to_string(path.join("out/report.html")).expect("read") == page);
}

#[test]
fn of_many_inputs_those_to_look_at_first_are_shown() {
    let folder = folder_with_images(30);
    let path = folder.path();
    works(path, "batch --input images --out out --layer mid --html --quiet");
    let (_, data) = report(&path.join("out/report.html"));
    let cases = list(&data, "cases");
    assert_eq!(cases.len(), 12);
    let words = list(&data, "words").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    assert!(words.contains("Maps of 12 of 30 inputs are in this file"), "{words}");
    let reasons: BTreeSet<&str> =
        cases.iter().flat_map(|case| list(case, "why")).filter_map(Value::as_str).collect();
    for end in ["smallest score", "largest score", "smallest raw_min", "largest raw_max"] {
        assert!(reasons.iter().any(|reason| reason.starts_with(end)), "{reasons:?}");
    }
    // What is shown for the largest score has it.
    let largest = table(&data, "All maps");
    let scores = column(largest, "score").into_iter().filter_map(Value::as_f64);
    let most = scores.fold(f64::MIN, f64::max);
    let shown = cases.iter().find(|case| {
        let mut reasons = list(case, "why").iter().filter_map(Value::as_str);
        reasons.any(|reason| reason.starts_with("largest score"))
    });
    let maps = list(&shown.expect("the largest")["figures"][0], "maps");
    assert!(maps.iter().any(|map| map["report"]["score"][0] == most));
}

#[test]
fn a_report_can_be_sent_however_large_its_pictures() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    fs::create_dir(path.join("images")).expect("made");
    for number in 0..6u32 {
        // Noise cannot be compressed.
        let mut state = 1 + number;
        let noise = GrayImage::from_fn(640, 640, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Luma([(state >> 24) as u8])
        });
        noise.save(path.join(format!("images/{number}.png"))).expect("saved");
    }
    let methods = "--method seg-grad-cam seg-hires-grad-cam layer-cam";
    let asked = format!("--class 1 --pixels all --layer mid,dec2,dec1 {methods}");
    works(path, &format!("batch --input images --out out {asked} --html --quiet"));
    let (page, data) = report(&path.join("out/report.html"));
    assert!(page.len() < 18 << 20, "{} bytes", page.len());
    let cases = list(&data, "cases");
    assert_eq!(cases.len(), 6);
    let all: Vec<&Value> =
        cases.iter().flat_map(|case| list(&case["figures"][0], "maps")).collect();
    let too_large = |map: &&&Value| map["error"].as_str().is_some_and(|e| e.contains("too large"));
    let left_out = all.iter().filter(too_large).count();
    assert!(left_out > 0 && left_out < all.len(), "{left_out} of {}", all.len());
    for case in cases {
        let figure = &case["figures"][0];
        for (map, packed) in list(figure, "maps").iter().zip(list(&figure["sheets"][0], "maps")) {
            assert_eq!(packed.is_null(), map["error"].is_string(), "each says what it lacks");
        }
        assert!(list(&figure["sheets"][0], "maps").iter().any(Value::is_object));
    }
}

#[test]
fn an_evaluation_is_reported_with_its_statistics() {
    let folder = folder_with_images(6);
    let path = folder.path();
    GrayImage::new(48, 48).save(path.join("images/empty.png")).expect("saved");
    let command = "evaluate --input images --class 1 --metric leak road --out out --html";
    let output = segcam(path, command);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("out/report.html"), "{said}");
    let (page, data) = report(&path.join("out/report.html"));
    let evaluation = json(&path.join("out/evaluation.json"));
    assert!(list(&evaluation, "files").contains(&"report.html".into()));

    let means = table(&data, "Means: class 1 (nucleus), pixel set class");
    for metric in ["leak", "road"] {
        let summaries = list(&evaluation["questions"][0], "summaries").iter();
        let wanted: Vec<_> = summaries.filter(|row| row["metric"] == metric).collect();
        let given: Vec<_> =
            column(means, metric).into_iter().filter(|cell| !cell.is_null()).collect();
        assert_eq!(given.len(), wanted.len());
        for (given, wanted) in given.into_iter().zip(wanted) {
            assert_eq!((&given[0], &given[1]), (&wanted["mean"], &wanted["interval"]));
        }
    }
    let differences = column(
        table(&data, "Methods beside the first one: class 1 (nucleus), pixel set class"),
        "p",
    );
    assert!(differences.iter().any(|p| p.as_f64().is_some_and(|p| (0.0..=1.0).contains(&p))));
    let why = column(table(&data, "Not measured"), "Why");
    assert!(why.iter().any(|why| why.as_str().is_some_and(|why| why.contains("empty"))), "{why:?}");
    let csv = fs::read_to_string(path.join("out/evaluation.csv")).expect("read");
    assert_eq!(list(table(&data, "All maps"), "rows").len(), csv.lines().count() - 1);
    // The chart is the one beside it.
    let chart = base64_of(&data["charts"][0][1]);
    assert_eq!(chart, fs::read(path.join("out/evaluation.svg")).expect("read"));
    let cases = list(&data, "cases");
    assert_eq!(cases.len(), 6);
    let reasons: Vec<&str> =
        cases.iter().flat_map(|case| list(case, "why")).filter_map(Value::as_str).collect();
    assert!(reasons.iter().any(|reason| reason.starts_with("worst road: class, ")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.starts_with("best road: class, ")), "{reasons:?}");
    segcam(path, command);
    assert!(fs::read_to_string(path.join("out/report.html")).expect("read") == page);
}

fn base64_of(value: &Value) -> Vec<u8> {
    use base64::Engine;
    let text = value.as_str().expect("text");
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

#[test]
fn what_cannot_be_shown_is_said() {
    let folder = folder_with_images(1);
    let path = folder.path();
    npy(&path.join("images/two.npy"), &[2, 1, 32, 32], &[0.5; 2048]);
    works(path, "batch --input images --class 1 --pixels all --layer mid --out out --html --quiet");
    let (_, data) = report(&path.join("out/report.html"));
    assert_eq!(list(&data, "cases").len(), 1);
    let words = list(&data, "words").iter().filter_map(Value::as_str).collect::<Vec<_>>();
    let said = words.iter().any(|word| word.contains("two.npy") && word.contains("2 images"));
    assert!(said, "{words:?}");
    assert_eq!(list(table(&data, "All maps"), "rows").len(), 2 + 4);
}

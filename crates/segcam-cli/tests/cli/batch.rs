//! `segcam batch`: one table of many inputs, in one run or several.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use segcam_batch::{Cell, Row, Table};
use tempfile::{TempDir, tempdir};

use crate::{fails, in_two_files, json, same, segcam, spots, works};

/// Images in two folders, two of which are none.
fn folder_with_images(count: u32) -> TempDir {
    let folder = tempdir().expect("a folder");
    for number in 0..count {
        let below = folder.path().join(format!("images/{}", number % 2));
        fs::create_dir_all(&below).expect("made");
        let path = below.join(format!("{number:02}.png"));
        spots(48 + 4 * (number % 3), 40).save(&path).expect("saved");
        match number {
            3 => fs::write(path, "no image").expect("written"),
            4 => {
                let bytes = fs::read(&path).expect("read");
                fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
            }
            _ => {}
        }
    }
    folder
}

fn rows(table: PathBuf) -> Vec<Row> {
    Table::open(&table).expect("a table").rows().collect::<Result<_, _>>().expect("rows")
}

/// Everything but the time that it took.
fn cells(rows: &[Row]) -> Vec<Vec<(&'static str, String)>> {
    const COLUMNS: [&str; 18] = [
        "item",
        "input",
        "contents",
        "error",
        "files",
        "class",
        "method",
        "layer",
        "pixel_set",
        "pixels",
        "score",
        "raw_min",
        "raw_max",
        "status",
        "layer_share",
        "leak",
        "height",
        "width",
    ];
    let cells = |row: &Row| {
        let cell =
            |name: &&'static str| Some((*name, row.get(name)?)).map(|(n, c)| (n, c.to_text()));
        COLUMNS.iter().filter_map(cell).collect()
    };
    rows.iter().map(cells).collect()
}

/// Exit code 3, and a line for each failure.
fn some_fail(folder: &Path, arguments: &str) -> (String, String) {
    let output = segcam(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "segcam {arguments}\n{stderr}");
    assert!(stderr.lines().all(|line| line.starts_with("error: ")), "{stderr}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), stderr)
}

#[test]
fn each_map_is_a_row_with_the_numbers_of_explain() {
    let folder = folder_with_images(8);
    let path = folder.path();
    fs::write(path.join("images/notes.md"), "not an input").expect("written");
    let (stdout, stderr) = some_fail(
        path,
        "batch --input images --out out --certify --metric leak --figures --save raw --csv",
    );
    assert!(stdout.contains("8 inputs; 1 other files are left out"), "{stdout}");
    assert!(stdout.contains("no --model") && stdout.contains("`confidence`"), "{stdout}");
    assert!(stderr.contains("1/03.png: it is no PNG"), "{stderr}");
    assert!(stderr.contains("0/04.png: the file is cut off"), "{stderr}");
    assert_eq!(stderr.lines().count(), 2);

    let rows = rows(path.join("out/results.parquet"));
    assert_eq!(rows.len(), 6 * 4 + 2);
    works(path, "explain --input images/0/06.png --out one --certify --save raw");
    let report = json(&path.join("one/report.json"));
    let of_image = rows.iter().filter(|row| row.text("input") == Some("0/06.png"));
    let of_image: Vec<&Row> = of_image.collect();
    let sure = of_image[0].number("confidence").expect("how sure");
    assert!(report["notes"].to_string().contains(&format!("predicts is {sure:.2}")), "{report}");
    for (row, map) in of_image.iter().zip(report["maps"].as_array().expect("maps")) {
        for (column, value) in [
            ("score", &map["score"][0]),
            ("raw_min", &map["raw_min"][0]),
            ("raw_max", &map["raw_max"][0]),
            ("pixels", &map["pixels"][0]),
            ("class", &map["class"]),
            ("impossible", &map["certificate"]["impossible"]),
            ("height", &map["shape"][2]),
            ("width", &map["shape"][3]),
        ] {
            assert!(same(value.as_f64(), row.number(column)), "{column}: {value} {row:?}");
        }
        let part = map["certificate"]["layer"].as_f64().expect("a part");
        let share = part / map["score"][0].as_f64().expect("a score");
        let given = row.number("layer_share").expect("a share");
        assert!((given - share).abs() <= 4.0 * f64::EPSILON * share.abs(), "{given} {share}");
        for column in ["method", "layer", "pixel_set", "class_name"] {
            assert_eq!(row.text(column), map[column].as_str(), "{column}");
        }
        assert_eq!(row.text("status"), map["status"][0].as_str());
        assert!(row.number("leak").is_some_and(|leak| (0.0..=1.0).contains(&leak)));
        assert!(row.number("seconds").is_some_and(|seconds| seconds > 0.0));
        for file in map["files"].as_array().expect("files") {
            let name = file.as_str().expect("a name");
            let ours = format!("maps/0/06.png/{name}");
            assert!(row.text("files").expect("files").lines().any(|file| file == ours), "{ours}");
            if name.ends_with(".npy") {
                let read = |path: &Path| fs::read(path).expect("read");
                assert_eq!(read(&path.join("out").join(&ours)), read(&path.join("one").join(name)));
            }
        }
    }
    assert_eq!(of_image.len(), 4);
    let named = rows.iter().filter_map(|row| row.text("files")).flat_map(str::lines);
    assert!(named.clone().all(|file| path.join("out").join(file).is_file()));
    assert!(named.clone().any(|file| file.ends_with("compare.png")));
    let csv = fs::read_to_string(path.join("out/results.csv")).expect("a table");
    assert!(csv.starts_with("item,input,"));

    // All is known, and the failures are still failures.
    let (stdout, stderr) = some_fail(
        path,
        "batch --input images --out out --certify --metric leak --figures --save raw",
    );
    assert!(stdout.contains("0 inputs in") && stdout.contains("8 known from before"), "{stdout}");
    assert_eq!(stderr.lines().count(), 2);
}

#[test]
fn killed_runs_go_on() {
    let folder = folder_with_images(12);
    let path = folder.path();
    let arguments = "batch --input images --save raw --certify --quiet --out";
    some_fail(path, &format!("{arguments} whole"));
    for number in 1..=8 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_segcam"))
            .current_dir(path)
            .args(format!("{arguments} out").split_whitespace())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        sleep(Duration::from_millis(60 * number));
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    some_fail(path, &format!("{arguments} out"));
    let [whole, out] = ["whole", "out"].map(|name| rows(path.join(name).join("results.parquet")));
    assert_eq!(cells(&out), cells(&whole));
    let files = |folder: &str| {
        let found =
            segcam_batch::list(&path.join(folder), &segcam_batch::every_file).expect("files");
        found.items.into_iter().map(|item| item.name).collect::<Vec<_>>()
    };
    assert_eq!(files("out"), files("whole"));
}

#[test]
fn shards_are_merged() {
    let folder = folder_with_images(10);
    let path = folder.path();
    let arguments = "batch --input images --layer mid --quiet --out";
    some_fail(path, &format!("{arguments} whole"));
    for shard in 1..=3 {
        let output = segcam(path, &format!("{arguments} part{shard} --shard {shard}/3"));
        assert!([Some(0), Some(3)].contains(&output.status.code()), "{output:?}");
    }
    works(
        path,
        "merge part1/results.parquet part2/results.parquet part3/results.parquet --out all.parquet",
    );
    let [whole, all] = ["whole/results.parquet", "all.parquet"].map(|name| rows(path.join(name)));
    assert_eq!(cells(&all), cells(&whole));

    let output = segcam(path, "batch --input images --layer dec1 --quiet --out other");
    assert_eq!(output.status.code(), Some(3));
    fails(
        path,
        "merge all.parquet other/results.parquet --out all.parquet",
        &["all.parquet", "other/results.parquet", "layers is [\"mid\"] and [\"dec1\"]"],
    );
    fails(path, &format!("{arguments} whole --shard 4/3"), &["4/3", "3/16"]);
    fails(path, "merge images/0/00.png", &["cannot use images/0/00.png"]);
}

#[test]
fn a_manifest_says_more_of_each_input() {
    let folder = folder_with_images(3);
    let path = folder.path();
    let mask = |image: &str, name: &str| {
        let image = image::open(path.join(image)).expect("an image").to_luma8();
        let mask = image::GrayImage::from_fn(image.width(), image.height(), |x, y| {
            image::Luma([u8::from(image.get_pixel(x, y).0[0] > 100) * 255])
        });
        mask.save(path.join(name)).expect("saved");
    };
    mask("images/0/00.png", "first mask.png");
    mask("images/1/01.png", "second.png");
    let manifest = "input,truth,class,pixels,patient\n\
                    images/0/00.png,first mask.png,1,tp; box:0,0,20,20,x\n\
                    images/1/01.png,second.png,nucleus,fn,y\n\
                    images/0/02.png,,,,z\n\
                    images/0/00.png,first mask.png,0,class,x\n";
    // The set's own commas need quotes.
    fails(path, "batch --input cases.csv", &["cases.csv"]);
    fs::write(path.join("cases.csv"), manifest).expect("written");
    fails(path, "batch --input cases.csv", &["cases.csv", "fields"]);
    let manifest = manifest.replace("tp; box:0,0,20,20", "\"tp; box:0,0,20,20\"");
    fs::write(path.join("cases.csv"), manifest).expect("written");
    let said =
        works(path, "batch --input cases.csv --layer mid --method seg-hires-grad-cam --out out");
    assert!(said.contains("4 inputs; unused columns: patient"), "{said}");
    let rows = rows(path.join("out/results.parquet"));
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let number = |name| row.number(name).unwrap_or(-1.0);
            (row.text("pixel_set").unwrap_or(""), number("class"), row.text("status").unwrap_or(""))
        })
        .collect();
    let sets: Vec<_> = told.iter().map(|(set, class, _)| (*set, *class)).collect();
    assert_eq!(
        sets,
        [("tp", 1.0), ("box:0,0,20,20", 1.0), ("fn", 1.0), ("class", 1.0), ("class", 0.0)]
    );
    assert!(rows[0].number("dice").is_some_and(|dice| dice > 0.8), "{:?}", rows[0]);
    assert_eq!(rows[3].number("dice"), None);
    assert!(rows.iter().all(|row| row.text("error").is_none()), "no such pixels is no error");
}

/// Means over hits and misses say little: a line says that they are, and an empty column is no table.
#[test]
fn what_means_are_over_is_said() {
    let folder = folder_with_images(2);
    let path = folder.path();
    let ask = "--pixels class box:0,0,20,20 --layer mid --method seg-hires-grad-cam --out out";
    works(path, &format!("batch --input images {ask}"));
    let said = works(path, "table out/results.parquet");
    assert!(said.contains("means over 2 pixel sets: --by class,layer,method,pixel_set"), "{said}");
    let said = works(path, "table out --by class,layer,method,pixel_set");
    assert!(!said.contains("means over"), "{said}");
    fails(path, "table out --column leak", &["leak", "--metric leak"]);
    fails(path, "table out --order-by leak --sheet sheet.png", &["leak", "--metric leak"]);
}

#[test]
fn what_is_wrong_with_all_inputs_is_said_at_once() {
    let folder = folder_with_images(6);
    let path = folder.path();
    for (arguments, says) in [
        ("--input images --layer midd", vec!["midd", "did you mean `mid`"]),
        ("--input images --class nucleuss", vec!["nucleuss", "nucleus"]),
        ("--input images --pixels clas", vec!["clas"]),
        ("--input images --pixels tp", vec!["--truth"]),
        ("--input images --method cam", vec!["cam"]),
        ("--input nowhere", vec!["nowhere", "no such file"]),
        ("--input images/*/*.jpg", vec!["nothing matches"]),
        ("--input images --jobs 0", vec!["--jobs"]),
        ("--input images --memory x", vec!["--memory"]),
        ("--input images --out images/0/00.png", vec!["images/0/00.png"]),
    ] {
        fails(path, &format!("batch {arguments}"), &says);
        assert!(!path.join("segcam-batch/results.parquet").exists());
    }
    // Where results go is not taken for inputs.
    let (stdout, _) = some_fail(path, "batch --input . --figures --layer mid --out out");
    assert!(stdout.starts_with("6 inputs"), "{stdout}");
    let (stdout, _) = some_fail(path, "batch --input . --figures --layer mid --out out");
    assert!(stdout.starts_with("6 inputs") && stdout.contains("6 known"), "{stdout}");
    // Another question in the same folder is refused, a mistyped annotation before anything is looked at.
    let others = ["6 inputs with other settings", "figures was", "--out", "--replace"];
    fails(path, "batch --input . --layer dec1 --out out", &others);
    fails(path, "batch --input . --truth typo --out out", &["typo", "no such file or folder"]);
    assert!(path.join("out/maps/images/0/00.png/compare.png").exists());
    // With --replace everything anew, and the former pictures are gone.
    let (stdout, _) = some_fail(path, "batch --input . --layer dec1 --out out --replace");
    assert!(stdout.contains("6 inputs were explained with other settings: replaced"), "{stdout}");
    assert!(!path.join("out/maps/images/0/00.png/compare.png").exists());
}

#[cfg(unix)]
#[test]
fn any_name_will_do() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempdir().expect("a folder");
    let images = folder.path().join("my images");
    fs::create_dir(&images).expect("made");
    let names: [&[u8]; 5] =
        [b"a b.png", b"it's \"it\".png", b"\xff\xfe.png", "\u{e4}.png".as_bytes(), b"a:b.png"];
    for name in names {
        let path = images.join(OsStr::from_bytes(name));
        spots(48, 40).save_with_format(path, image::ImageFormat::Png).expect("saved");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_segcam"))
        .current_dir(folder.path())
        .args(["batch", "--input", "my images", "--figures", "--layer", "mid"])
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    let rows = rows(folder.path().join("segcam-batch/results.parquet"));
    let mut names: Vec<_> = rows.iter().filter_map(|row| row.text("input")).collect();
    names.dedup();
    assert_eq!(names, ["a b.png", "a:b.png", "it's \"it\".png", "\u{e4}.png", "\\xFF\\xFE.png"]);
    let mut files: BTreeMap<&str, usize> = BTreeMap::new();
    rows.iter().filter_map(|row| row.text("files")).flat_map(str::lines).for_each(|file| {
        assert!(folder.path().join("segcam-batch").join(file).is_file(), "{file}");
        *files.entry(file).or_default() += 1;
    });
    assert!(files.values().all(|count| *count == 1) && files.len() == 15, "{files:?}");
}

#[test]
fn a_table_is_summarised() {
    let folder = folder_with_images(8);
    let path = folder.path();
    some_fail(path, "batch --input images --out out --certify --figures");
    let said = works(path, "table out/results.parquet");
    assert!(said.starts_with("8 inputs, 24 maps"), "{said}");
    assert!(said.contains("2 errors") && said.contains("impossible"), "{said}");
    let said = works(path, "table out/results.parquet --by layer --column impossible,score --json");
    let found: serde_json::Value = serde_json::from_str(&said).expect("json");
    let rows = rows(path.join("out/results.parquet"));
    for mean in found["means"].as_array().expect("means") {
        let (layer, column) = (mean["group"][0].as_str(), mean["column"].as_str().expect("a name"));
        let values = rows.iter().filter(|row| row.text("layer") == layer && layer.is_some());
        let values: Vec<f64> = values.filter_map(|row| row.number(column)).collect();
        let wanted = values.iter().sum::<f64>() / values.len() as f64;
        let given = mean["mean"].as_f64().expect("a number");
        assert!((given - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{given} {wanted}");
        assert_eq!(mean["images"], 6);
    }
    assert_eq!(found["means"].as_array().map(Vec::len), Some(4));
    works(path, "table out/results.parquet --sheet sheet.png --order-by impossible");
    let sheet = image::open(path.join("sheet.png")).expect("a picture");
    assert!(sheet.width() > 1000 && sheet.height() > 500);
    for (arguments, says) in [
        ("out/results.parquet --column impossibel", "did you mean `impossible`"),
        ("out/results.parquet --by clas", "did you mean `class`"),
        ("images/0/00.png", "images/0/00.png is no table of `segcam batch`: Parquet error"),
        ("nowhere.parquet", "nowhere.parquet"),
        ("out/results.csv", "give out/results.parquet"),
    ] {
        fails(path, &format!("table {arguments}"), &[says]);
    }
    let (of_file, of_folder) = ("table out/results.parquet", "table out");
    assert_eq!(works(path, of_file), works(path, of_folder));
    some_fail(path, "batch --input images --out plain");
    fails(path, "table plain/results.parquet --sheet s.png --order-by score", &["--figures"]);
}

#[test]
fn scans_are_inputs() {
    let folder = crate::scans::folder_with_scan();
    let path = folder.path();
    fs::create_dir_all(path.join("cases/one")).expect("made");
    fs::rename(path.join("scan.nii.gz"), path.join("cases/one/scan.nii.gz")).expect("moved");
    let said =
        works(path, "batch --input cases --slice 1 --layer dec1 --save raw,prediction --out out");
    assert!(said.starts_with("1 inputs"), "{said}");
    let rows = rows(path.join("out/results.parquet"));
    let files: Vec<&str> =
        rows.iter().filter_map(|row| row.text("files")).flat_map(str::lines).collect();
    for file in ["prediction.nii.gz", "seg-hires-grad-cam.dec1.nii.gz"] {
        let file = format!("maps/one/scan.nii.gz/{file}");
        assert!(files.contains(&file.as_str()), "{files:?}");
    }
    assert_eq!(rows[0].get("class").map(Cell::to_text).as_deref(), Some("1"));
}

/// Each header names the file of its voxels, which decides about what is known as well.
#[test]
fn masks_in_two_files_are_read_again() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let image = spots(48, 40);
    let write = |name: &str, value: &dyn Fn(f32) -> f32| {
        let values = image.pixels().map(|pixel| value(f32::from(pixel.0[0]) / 255.0));
        in_two_files(path, name, [48, 40, 1], values);
    };
    write("scan", &|value| value);
    fs::write(path.join("cases.csv"), "input,truth\nscan.mhd,mask.mhd\n").expect("written");
    let dice = |above: f32| {
        write("mask", &|value| f32::from(u8::from(value > above)));
        works(path, "batch --input cases.csv --slice 0 --class 1 --layer dec1 --quiet --out out");
        rows(path.join("out/results.parquet"))[0].number("dice").expect("a number")
    };
    let [all, bright] = [0.0, 0.5].map(dice);
    assert!(bright > all, "{bright} and {all}");
}

#[test]
fn the_page_lists_every_column() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/batch.md");
    let page = fs::read_to_string(page).expect("the page");
    let own = segcam_batch::OWN_COLUMNS.iter().map(|(name, ..)| name.to_string());
    for column in own.chain(segcam_cli::columns::columns().into_iter().map(|c| c.name)) {
        assert!(page.contains(&format!("`{column}`")), "{column}");
    }
    for field in segcam_cli::batch::FIELDS {
        assert!(page.contains(&format!("`{field}`")), "{field}");
    }
}

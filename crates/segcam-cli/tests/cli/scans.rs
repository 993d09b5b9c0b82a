//! Scans: files of every kind in, maps on their own voxels out, windows.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};
use segcam::scans::{Grid, NiftiTemplate, Scan};
use segcam_tests::{real_data, relative_error};
use tempfile::{TempDir, tempdir};

use crate::{copy_network, fails, json, npy, partly, read_npy, segcam, spots, works};

const SIDES: [usize; 3] = [48, 40, 3];

/// A folder with a stack of three slices, of which the second has bright spots, as a scan with oblique
/// axes, and the spots as an array.
pub(crate) fn folder_with_scan() -> TempDir {
    let folder = tempdir().expect("a folder");
    let image = spots(48, 40);
    let values: Vec<f32> = image.pixels().map(|pixel| f32::from(pixel.0[0]) / 255.0).collect();
    let ends = |first: f32, pick: fn(f32, f32) -> f32| values.iter().copied().fold(first, pick);
    let (low, high) = (ends(f32::INFINITY, f32::min), ends(f32::NEG_INFINITY, f32::max));
    // As the network wants it: a scan is stretched on the way.
    let stretched: Vec<f32> = values.iter().map(|value| (value - low) / (high - low)).collect();
    npy(&folder.path().join("spots.npy"), &[1, 1, 40, 48], &stretched);
    let affine = [[-0.8, 0.0, 0.3, 12.0], [0.0, -0.9, 0.0, -30.0], [0.0, 0.1, 2.5, 4.0]];
    let grid = Grid::new(SIDES, affine).expect("a grid");
    let flat = vec![0.1; values.len()];
    let stack = [&flat[..], &values, &flat].concat();
    let write = |name: &str, values: &[f32]| {
        let path = folder.path().join(name);
        NiftiTemplate::new(grid.clone()).write(path, values, "a test").expect("written");
    };
    write("scan.nii.gz", &stack);
    folder
}

fn scan(path: &Path) -> Scan {
    Scan::open(path).expect("a scan")
}

/// A region of a scan is a scan, too, and means the same as a mask of what the network sees.
#[test]
fn regions_may_be_scans() {
    let folder = folder_with_scan();
    let path = folder.path();
    let stack = scan(&path.join("scan.nii.gz"));
    let slice = stack.cropped([0, 0, 1], [48, 40, 1]).expect("a slice");
    for (name, image) in [("region.nii.gz", &slice), ("stack.nii.gz", &stack)] {
        let inside = image.values().iter().map(|value| f32::from(u8::from(*value > 0.5)));
        let template = NiftiTemplate::new(image.grid().clone());
        let inside: Vec<f32> = inside.collect();
        template.write(path.join(name), &inside, "a test").expect("written");
    }
    let mask = spots(48, 40);
    let mask = GrayImage::from_fn(48, 40, |x, y| {
        Luma([u8::from(f32::from(mask.get_pixel(x, y).0[0]) / 255.0 > 0.5)])
    });
    mask.save(path.join("region.png")).expect("saved");
    let mass = |region: &str| -> f64 {
        works(
            path,
            &format!(
                "batch --input scan.nii.gz --slice 1 --class 1 --pixels class --layer mid \
                 --method hires-cam --metric mass --region {region} --csv --out {region}.out"
            ),
        );
        let mut table = csv::Reader::from_path(path.join(format!("{region}.out/results.csv")))
            .expect("a table");
        let at = table.headers().expect("names").iter().position(|name| name == "mass");
        let row = table.records().next().expect("a row").expect("cells");
        row[at.expect("a column")].parse().expect("a number")
    };
    let share = mass("region.nii.gz");
    assert!(share > 0.1 && share < 1.0, "{share}");
    assert_eq!(share, mass("region.png"));

    // All slices are another grid than one of them.
    let all = "batch --input scan.nii.gz --slice 1 --class 1 --metric mass --region stack.nii.gz";
    let said = segcam(path, all);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("--region-resize") && !said.contains("--truth-resize"), "{said}");
}

#[test]
fn maps_lie_on_the_voxels_of_their_scan() {
    let folder = folder_with_scan();
    let path = folder.path();
    let how = "--layer dec1 --method seg-hires-grad-cam --class 1 --pixels class --save raw,prediction,heat";
    works(path, &format!("explain --input spots.npy {how} --out plain"));
    works(path, &format!("explain --input scan.nii.gz --slice 1 {how} --out out"));
    let wanted = scan(&path.join("scan.nii.gz"));
    let wanted = wanted.cropped([0, 0, 1], [48, 40, 1]).expect("a slice");
    let map = scan(&path.join("out/seg-hires-grad-cam.dec1.nii.gz"));
    assert!(map.grid().same_space(wanted.grid(), 1e-4), "{:?}", map.grid());
    let (_, raw) = read_npy(&path.join("plain/seg-hires-grad-cam.dec1.raw.npy"));
    assert_eq!(raw.len(), map.values().len());
    assert!(relative_error(map.values(), &raw) < 1e-6);
    let (_, heat) = read_npy(&path.join("plain/seg-hires-grad-cam.dec1.heat.npy"));
    let found = scan(&path.join("out/seg-hires-grad-cam.dec1.heat.nii.gz"));
    assert!(relative_error(found.values(), &heat) < 1e-6);
    let labels = scan(&path.join("out/prediction.nii.gz")).labels().expect("labels");
    let predicted = labels.iter().filter(|label| **label == 1).count();
    let report = json(&path.join("out/report.json"));
    assert_eq!(report["predicted_pixels"][0][1], predicted);
    let files = report["maps"][0]["files"].as_array().expect("files");
    assert!(
        files.iter().all(|file| path.join("out").join(file.as_str().expect("a name")).is_file())
    );
    // The header says nothing but where the map lies and what it is.
    let bytes = fs::read(path.join("out/seg-hires-grad-cam.dec1.nii.gz")).expect("read");
    assert!(!bytes.is_empty());
}

/// A slice that is not square, for a network of images whose first side is x.
#[test]
fn a_slice_may_have_its_sides_in_another_order() {
    let folder = folder_with_scan();
    let path = folder.path();
    crate::onnx::write_small(path, [48, 40]);
    fs::write(path.join("small.toml"), "[scan]\naxes = \"xyz\"").expect("written");
    let slice = scan(&path.join("scan.nii.gz")).cropped([0, 0, 1], [48, 40, 1]).expect("a slice");
    let turned = |values: &[f32]| -> Vec<f32> {
        (0..48 * 40).map(|at| values[at % 40 * 48 + at / 40]).collect()
    };
    npy(&path.join("turned.npy"), &[1, 1, 48, 40], &turned(slice.values()));
    let how = "explain --model small.onnx --class 1 --pixels all --layer auto --save raw";
    works(path, &format!("{how} --input scan.nii.gz --slice 1 --out scan"));
    works(path, &format!("{how} --input turned.npy --out plain"));
    let report = json(&path.join("plain/report.json"));
    let maps = report["maps"].as_array().expect("maps").iter();
    let files = maps.flat_map(|map| map["files"].as_array().expect("files"));
    let maps: Vec<&str> =
        files.filter_map(|file| file.as_str()?.strip_suffix(".raw.npy")).collect();
    // Files of a scan have its size, arrays that of their layer: dec1 is as large as the slice.
    let mut compared = 0;
    for map in maps {
        let (_, raw) = read_npy(&path.join(format!("plain/{map}.raw.npy")));
        let found = scan(&path.join(format!("scan/{map}.nii.gz")));
        if raw.len() == found.values().len() {
            assert!(relative_error(&turned(found.values()), &raw) < 1e-6, "{map}");
            compared += 1;
        }
    }
    assert_eq!(compared, 2);
}

/// Where the network sees other voxels than the scan's own, a figure shows both, through the same place.
#[test]
fn a_resampled_scan_is_shown_beside_what_the_network_sees() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    crate::onnx::write_small(path, [40, 48]);
    copy_network("tiny-vnet.onnx", &path.join("volume.onnx"));
    let fine = |name: &str, [i, j, k]: [usize; 3]| {
        let affine = [[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.]];
        let values: Vec<f32> = (0..i * j * k).map(|at| (at * 37 % 101) as f32).collect();
        let template = NiftiTemplate::new(Grid::new([i, j, k], affine).expect("a grid"));
        template.write(path.join(name), &values, "a test").expect("written");
    };
    let figure = |model: &str, scan: &str, ask: &str| -> String {
        works(
            path,
            &format!(
                "explain --model {model}.onnx --input {scan} --class 1 --layer auto {ask} --svg --out out"
            ),
        );
        fs::read_to_string(path.join("out/compare.svg")).expect("a figure")
    };
    fine("slice.nii", [144, 120, 2]);
    fine("small.nii", [48, 40, 2]);
    fine("volume.nii", [48, 48, 36]);
    let card = |name: &str, spacing: &str| {
        let card = format!("[scan]\nspacing = {spacing}\nscale = \"min-max\"\n");
        fs::write(path.join(name), card).expect("written");
    };
    card("volume.toml", "[3.0, 3.0, 3.0]");
    // Sixteen by sixteen by twelve voxels of three millimetres: the middle one of twenty-seven.
    let shown = figure("volume", "volume.nii", "--pixels pixel:3,5,7");
    assert!(shown.contains("36 × 48 × 48 voxels"), "{}", shown.len());
    assert!(shown.contains("axial 3, coronal 5, sagittal 7"));
    assert!(shown.contains("axial 10, coronal 16, sagittal 22"));
    card("small.toml", "[3.0, 3.0, 1.0]");
    let shown = figure("small", "slice.nii --slice 1", "--pixels all");
    assert!(shown.contains("own 120 × 144 voxels"), "{}", shown.len());
    // What is not resampled is there once.
    fs::remove_file(path.join("small.toml")).expect("there");
    assert!(!figure("small", "small.nii --slice 1", "--pixels all").contains(" voxels"));
}

/// What goes into a network unscaled is no surprise, and three channels are filled.
#[test]
fn values_of_scans_go_as_they_are_only_with_a_word() {
    let folder = folder_with_scan();
    let path = folder.path();
    let said = |model: &str, ask: &str| {
        let ask = "--slice 1 --class 1 --pixels all --layer auto --out out ".to_string() + ask;
        works(path, &format!("explain --model {model} --input scan.nii.gz {ask}"));
        json(&path.join("out/report.json"))["notes"].to_string()
    };
    assert!(!said("nuclei-unet", "--method hires-cam").contains("as they are"));
    copy_network("tiny-unet-11.onnx", &path.join("net.onnx"));
    let notes = said("net.onnx", "--method hires-cam --window 32x48");
    assert!(notes.contains("all three") && notes.contains("as they are"), "{notes}");
    fs::write(path.join("net.toml"), "[scan]\nscale = \"min-max\"\n").expect("written");
    assert!(!said("net.onnx", "--method hires-cam --window 32x48").contains("as they are"));
}

#[test]
fn spheres_are_given_in_millimetres() {
    let folder = folder_with_scan();
    let path = folder.path();
    let centre = scan(&path.join("scan.nii.gz")).grid().world([12.0, 12.0, 1.0]);
    let [x, y, z] = centre.map(|at| format!("{at:.3}"));
    let how = "--layer dec1 --method seg-hires-grad-cam --class 1 --slice 1 --out out";
    works(path, &format!("explain --input scan.nii.gz {how} --pixels sphere:{x},{y},{z},2"));
    let report = json(&path.join("out/report.json"));
    let pixels = report["maps"][0]["pixels"][0].as_u64().expect("pixels");
    // Within 2 mm on a lattice of 0.8 × 0.906 mm.
    assert_eq!(pixels, 5 + 2 * 5 + 2 * 3);
    fails(path, "explain --input spots.npy --pixels sphere:1,2,3,4", &["millimetres", "scan"]);
    fails(
        path,
        &format!("explain --input scan.nii.gz {how} --pixels sphere:1,2,x,4"),
        &["millimetres"],
    );
}

#[test]
fn windows_are_explained_as_one_network() {
    let folder = folder_with_scan();
    let how = "explain --input spots.npy --layer mid,dec1 --method seg-hires-grad-cam --certify --save raw";
    let windows = "--window 24x32 --overlap 0.5 --blend gaussian";
    works(folder.path(), &format!("{how} {windows} --out out"));
    let report = json(&folder.path().join("out/report.json"));
    let notes = report["notes"].to_string();
    assert!(notes.contains("24×32 windows, 0.5 overlap, Gaussian blending"), "{notes}");
    for map in report["maps"].as_array().expect("maps") {
        let certificate = &map["certificate"];
        let number = |name: &str| certificate[name].as_f64().expect(name);
        assert!(number("lost").abs() < 1e-4 * number("layer").abs());
        assert!(number("completeness_error") < 1e-4);
        assert_eq!(number("impossible"), 0.0);
        let file = map["files"].as_array().expect("files").iter().filter_map(|file| file.as_str());
        let raw = file.clone().find(|file| file.ends_with("raw.npy")).expect("an array");
        assert_eq!(read_npy(&folder.path().join("out").join(raw)).0, [1, 1, 40, 48]);
    }
    // nnU-Net's windows, mirrored.
    works(folder.path(), &format!("{how} --window 24x24 --blend nn-unet --mirror --out out"));
    let said = json(&folder.path().join("out/report.json"))["notes"].to_string();
    assert!(said.contains("4 mirrored passes"), "{said}");
}

#[test]
fn info_says_what_a_scan_is() {
    let folder = folder_with_scan();
    let said = works(folder.path(), "info scan.nii.gz");
    for word in ["48 × 40 × 3", "LPS", "0.8000 ×", "to 0.784", "not orthogonal"] {
        assert!(said.contains(word), "{said}");
    }
    let said = works(folder.path(), "info scan.nii.gz --json");
    let info: serde_json::Value = serde_json::from_str(&said).expect("json");
    assert_eq!(info[0]["orientation"], "LPS");
    fs::write(folder.path().join("broken.nii"), b"nothing").expect("written");
    let said = partly(folder.path(), "info scan.nii.gz broken.nii");
    assert!(said.contains("broken.nii"), "{said}");
}

#[test]
fn an_annotation_on_another_grid_is_resampled_if_that_is_asked() {
    let folder = folder_with_scan();
    let path = folder.path();
    let image = spots(48, 40);
    let spot = |x: usize, y: usize| image.get_pixel(x as u32, y as u32).0[0] > 100;
    let write = |name: &str, grid: &Grid, value: &dyn Fn(usize, usize) -> f32| {
        let [i, j, k] = grid.size();
        let values: Vec<f32> = (0..i * j * k).map(|at| value(at % i, at / i % j)).collect();
        NiftiTemplate::new(grid.clone())
            .write(path.join(name), &values, "a test")
            .expect("written");
    };
    let grid = scan(&path.join("scan.nii.gz")).grid().clone();
    write("truth.nii.gz", &grid, &|x, y| f32::from(u8::from(spot(x, y))));
    // Twice as fine in the plane: each of its voxels lies in one of the scan's.
    let [x, y, z] = grid.affine();
    let fine = [x, y, z]
        .map(|row| [row[0] / 2.0, row[1] / 2.0, row[2], row[3] - row[0] / 4.0 - row[1] / 4.0]);
    let fine = Grid::new([96, 80, 3], fine).expect("a grid");
    write("fine.nii.gz", &fine, &|x, y| f32::from(u8::from(spot(x / 2, y / 2))));
    let away = [x, y, z].map(|row| [row[0], row[1], row[2], row[3] + 5000.0]);
    write("away.nii.gz", &Grid::new(grid.size(), away).expect("a grid"), &|_, _| 1.0);

    let explain = "explain --input scan.nii.gz --slice 1 --layer mid --pixels tp --json --truth";
    let judged = |truth: &str| -> serde_json::Value {
        let report = works(path, &format!("{explain} {truth}"));
        serde_json::from_str::<serde_json::Value>(&report).expect("json")["judged"].clone()
    };
    // The annotation is of one slice, too.
    let sliced = |name: &str| {
        let whole = scan(&path.join(name));
        let [i, j, _] = whole.grid().size();
        let one = whole.cropped([0, 0, 1], [i, j, 1]).expect("a slice");
        let out = path.join(format!("one-{name}"));
        NiftiTemplate::new(one.grid().clone()).write(out, one.values(), "a test").expect("written");
    };
    ["truth.nii.gz", "fine.nii.gz", "away.nii.gz"].into_iter().for_each(sliced);
    fails(
        path,
        &format!("{explain} one-fine.nii.gz").replace(" --json", ""),
        &["96 × 80 × 1 voxels of 0.40", "--truth-resize"],
    );
    assert_eq!(judged("one-fine.nii.gz --truth-resize"), judged("one-truth.nii.gz"));
    fails(path, &format!("{explain} one-away.nii.gz --truth-resize"), &["within the scan"]);
}

#[test]
fn what_cannot_be_done_with_a_scan_is_one_line() {
    let folder = folder_with_scan();
    let path = folder.path();
    let explain = |input: &str| format!("explain --input {input}");
    fails(path, &explain("scan.nii.gz"), &["3 slices", "--slice"]);
    fails(path, &explain("scan.nii.gz --slice 3"), &["slice 3", "has 3"]);
    fails(path, &explain("spots.npy --slice 0"), &["--slice is for scans"]);
    fails(path, &explain("scan.nii.gz --slice 1 --save dicom"), &["DICOM"]);
    fails(path, &explain("scan.nii.gz --slice 1 --keep-patient"), &["--save dicom"]);
    fails(path, &explain("missing.nii.gz"), &["missing.nii.gz"]);
    fails(path, &explain("."), &["DICOM"]);
    let whole = fs::read(path.join("scan.nii.gz")).expect("read");
    fs::write(path.join("cut.nii.gz"), &whole[..whole.len() / 2]).expect("written");
    fails(path, &explain("cut.nii.gz --slice 1"), &["cut.nii.gz"]);
    for (windows, says) in [
        ("--window 24", "96x96x96"),
        ("--window 0x24", "96x96x96"),
        ("--window 24x24x24", "height and width"),
        ("--window 24x24 --overlap 1", "below 1"),
        ("--window 24x24 --mirror 2", "0 to 1"),
        ("--window 24x24 --blend smooth", "gaussian"),
        ("--overlap 0.5", "--window"),
        ("--window 24x24 --method eigen-cam", "seg-hires-grad-cam"),
        ("--window 24x24 --method seg-score-cam", "seg-hires-grad-cam"),
    ] {
        fails(path, &explain(&format!("spots.npy {windows}")), &[says]);
    }
}

#[test]
fn a_brain_is_labelled_as_pytorch_labels_it() {
    let Some(data) = real_data("brain_meshnet") else { return };
    let folder = tempdir().expect("a folder");
    let file = |name: &str| data.join(name).display().to_string();
    let explain = format!(
        "explain --model meshnet --weights {} --input {} --truth {} --class 2 --layer conv8 \
         --method seg-hires-grad-cam --json",
        file("meshnet5_gwm.safetensors"),
        file("t1_crop.nii.gz"),
        file("t1_crop_meshnet5_pred.nii.gz"),
    );
    let said = works(folder.path(), &explain);
    let report: serde_json::Value = serde_json::from_str(&said).expect("json");
    let dice = report["judged"][0]["dice"].as_f64().expect("a Dice score");
    println!("Dice beside PyTorch's prediction: {dice}");
    assert!(dice > 0.999, "{dice}");
    let map = scan(&folder.path().join("segcam-out/seg-hires-grad-cam.conv8.nii.gz"));
    assert_eq!(map.grid(), scan(&data.join("t1_crop.nii.gz")).grid());
    // An annotation of another scan.
    let other =
        format!("{explain} --truth {}", data.join("../ct_volume/example_seg.nii.gz").display());
    let other = other.replace(&format!("--truth {} ", file("t1_crop_meshnet5_pred.nii.gz")), "");
    fails(folder.path(), &other, &["256", "122"]);
}

#[test]
fn slices_of_dicom_become_a_volume_and_maps_become_dicom() {
    let Some(data) = real_data("ct_volume") else { return };
    let folder = tempdir().expect("a folder");
    let ct = data.join("example_ct_dicom");
    let said = works(folder.path(), &format!("info {}", ct.display()));
    assert!(said.contains("512 × 512 × 20") && said.contains("LPS"), "{said}");
    fails(folder.path(), &format!("explain --input {}", ct.display()), &["20 slices", "--slice"]);
    let slice = fs::read_dir(&ct).expect("a folder").flatten().map(|file| file.path()).min();
    let slice = slice.expect("a slice");
    works(
        folder.path(),
        &format!(
            "explain --input {} --layer mid --method seg-hires-grad-cam --class 0 --pixels all \
             --save dicom --out out",
            slice.display()
        ),
    );
    let map = segcam::scans::dicom::open(folder.path().join("out/seg-hires-grad-cam.mid.dcm"));
    let map = map.expect("a Parametric Map").scan;
    let nifti = scan(&folder.path().join("out/seg-hires-grad-cam.mid.nii.gz"));
    assert!(map.grid().same_space(nifti.grid(), 1e-3), "{:?} {:?}", map.grid(), nifti.grid());
    assert_eq!(map.values(), nifti.values());
    let picture = folder.path().join("out/seg-hires-grad-cam.mid.0001.dcm");
    let picture = segcam::scans::dicom::open(&picture).expect("a Secondary Capture").scan;
    assert_eq!(picture.channels(), 3);
}

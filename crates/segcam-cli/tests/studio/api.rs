//! What the API says, beside what `segcam explain` does.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{Options, Server, folder, png, request, spots};

/// Runs a command as the API words it, and gives its report.
fn explained(command: &str, folder: &Path) -> Value {
    let words = command.strip_prefix("segcam ").expect("a command of ours");
    let line = format!("{words} --quiet --save raw --out '{}'", folder.join("out").display());
    let shell = format!("exec '{}' {line}", env!("CARGO_BIN_EXE_segcam"));
    let output = Command::new("sh").args(["-c", &shell]).output().expect("a shell");
    assert!(output.status.success(), "{shell}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&fs::read(folder.join("out/report.json")).expect("a report"))
        .expect("json")
}

#[test]
fn numbers_and_maps_are_those_of_explain() {
    let folder = folder();
    let server = Server::start(&[folder.path()]);
    let images = server.json("/api/v1/images");
    assert_eq!(images["images"][0]["name"], "spots.png");
    let look = server.json("/api/v1/images/i0");
    assert_eq!(look["input_shape"], json!([1, 1, 40, 48]));
    assert_eq!(look["classes"][1]["name"], "nucleus");
    assert_eq!((&look["engine"], &look["fallback"]), (&"graph".into(), &false.into()));
    for (class, pixels) in [
        (json!("nucleus"), "component@12,12"),
        (json!(1), "contrast(box:2,3,30,40, 0)"),
        (Value::Null, "class"),
    ] {
        let answer = server.ask(json!({
            "image": "i0", "class": class, "pixels": pixels, "layers": ["mid", "dec1"],
            "methods": ["seg-grad-cam", "seg-hires-grad-cam", "layer-cam"],
        }));
        let id = answer["id"].as_str().expect("an id");
        let certificates = server.post(&format!("/api/v1/questions/{id}/certificates"), &json!({}));
        let certificates = certificates.ok().json();
        let again = tempdir().expect("a folder");
        let report = explained(answer["command"].as_str().expect("a command"), again.path());
        let maps = report["maps"].as_array().expect("maps");
        assert_eq!(maps.len(), 6);
        for (at, wanted) in maps.iter().enumerate() {
            let given = &answer["maps"][at]["report"];
            for number in [
                "class",
                "class_name",
                "method",
                "layer",
                "shape",
                "pixel_set",
                "pixels",
                "score",
                "status",
                "raw_min",
                "raw_max",
                "rounding",
            ] {
                assert_eq!(given[number], wanted[number], "{number} of {pixels}");
            }
            assert_eq!(certificates["maps"][at]["certificate"], wanted["certificate"], "{pixels}");
            let array =
                server.get(&format!("/api/v1/questions/{id}/maps/{at}/array?kind=raw")).ok();
            let file = wanted["files"].as_array().expect("files").iter();
            let mut file = file.filter_map(Value::as_str).filter(|name| name.ends_with(".raw.npy"));
            let file = again.path().join("out").join(file.next().expect("an array"));
            assert_eq!(array.body, fs::read(file).expect("read"), "{pixels}");
        }
        let mask = server.get(&format!("/api/v1/questions/{id}/pixels")).ok();
        assert_eq!(mask.header("Segcam-Size"), Some("40x48"));
        let inside = mask.body.iter().filter(|member| **member == 1).count();
        assert_eq!(answer["pixels"], inside);
    }
}

#[test]
fn the_parts_of_a_set_are_answered_one_by_one() {
    let folder = folder();
    let server = Server::start(&[folder.path()]);
    let ask = |set: &str, part: Value| {
        server.ask(json!({
            "image": "i0", "class": 1, "pixels": set, "part": part, "layers": ["mid", "dec1"],
        }))
    };
    for set in ["each", "each:20", "each & box:0,0,30,40", "contrast(each,0)"] {
        let first = ask(set, Value::Null);
        assert_eq!(first["part"], 0);
        let parts = first["parts"].as_array().expect("parts");
        assert_eq!(parts.len(), 2, "{parts:?}");
        let again = tempdir().expect("a folder");
        let image = folder.path().join("spots.png");
        let all = format!(
            "segcam explain --input '{}' --class 1 --pixels '{set}' --layer mid,dec1 --method \
             seg-hires-grad-cam --certify",
            image.display()
        );
        let report = explained(&all, again.path());
        let maps = report["maps"].as_array().expect("maps");
        assert_eq!(maps.len(), 2 * parts.len());
        for (at, part) in parts.iter().enumerate() {
            let answer = ask(set, json!(at));
            assert_eq!((&answer["part"], &answer["parts"]), (&json!(at), &first["parts"]));
            assert_eq!(answer["pixel_set"], part["pixel_set"]);
            let own = tempdir().expect("a folder");
            let own = explained(answer["command"].as_str().expect("a command"), own.path());
            assert_eq!(own["maps"].as_array().map(Vec::len), Some(2), "its command is about it");
            for layer in 0..2 {
                let given = &answer["maps"][layer]["report"];
                for number in ["pixel_set", "pixels", "score", "raw_min", "raw_max", "status"] {
                    assert_eq!(given[number], maps[2 * at + layer][number], "{number}");
                    assert_eq!(given[number], own["maps"][layer][number], "{number}");
                }
                assert_eq!(part["score"], given["score"][0]);
                assert_eq!(part["pixels"], given["pixels"][0]);
            }
            let id = answer["id"].as_str().expect("an id");
            let mask = server.get(&format!("/api/v1/questions/{id}/pixels")).ok();
            let inside = mask.body.iter().filter(|member| **member == 1).count();
            assert_eq!(part["pixels"], inside);
            server.get(&format!("/api/v1/questions/{id}/figure")).ok();
            server.get(&format!("/api/v1/questions/{id}/maps/1/array")).ok();
            server.post(&format!("/api/v1/questions/{id}/certificates"), &json!({})).ok();
        }
    }
    let one = ask("class", Value::Null);
    assert_eq!((&one["part"], &one["parts"]), (&Value::Null, &json!([])));
    // A set of no parts is empty, as any other is.
    let none = json!({ "image": "i0", "class": 1, "pixels": "each:5000" });
    server.post("/api/v1/questions", &none).refused(422, "each:5000");
}

#[test]
fn more_parts_than_anyone_looks_through_are_refused() {
    let folder = tempdir().expect("a folder");
    image::GrayImage::new(320, 320).save(folder.path().join("dark.png")).expect("saved");
    let server = Server::start(&[folder.path()]);
    let question =
        json!({ "image": "i0", "pixels": "each(random:3000,1)", "layers": ["mid"], "class": 1 });
    server.post("/api/v1/questions", &question).refused(422, "at most 1000 can be looked through");
}

#[test]
fn rasters_lie_on_the_picture() {
    let folder = folder();
    let server = Server::start(&[&folder.path().join("spots.png")]);
    let look = server.json("/api/v1/images/i0");
    let picture = server.get("/api/v1/images/i0/picture").ok();
    let picture = image::load_from_memory(&picture.body).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (48, 40));
    let labels = server.get("/api/v1/images/i0/labels").ok();
    assert_eq!(labels.body.len(), 2 * 40 * 48);
    let label = |y: usize, x: usize| labels.body[2 * (y * 48 + x)];
    assert_eq!((label(12, 12), label(26, 34), label(35, 5)), (1, 1, 0));
    let nuclei = labels.body.iter().step_by(2).filter(|label| **label == 1).count();
    assert_eq!(look["classes"][1]["pixels"], nuclei);
    let answer =
        server.ask(json!({ "image": "i0", "pixels": "component@12,12", "layers": ["dec1"] }));
    let map = server.get("/api/v1/questions/q1/maps/0").ok();
    let values: Vec<f32> = map
        .body
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four")))
        .collect();
    assert_eq!(values.len(), 40 * 48);
    // The layer has the size of the image: nothing is interpolated.
    let most = values.iter().fold(f32::MIN, |most, value| most.max(*value));
    let told = answer["maps"][0]["report"]["raw_max"][0].as_f64().expect("a number");
    assert_eq!(told as f32, most);
    let thumbnail = server.get("/api/v1/images/i0/thumbnail").ok();
    assert!(image::load_from_memory(&thumbnail.body).is_ok());
    assert_eq!(server.json("/api/v1/questions/q1")["id"], "q1");
}

#[test]
fn figures_are_those_of_the_program() {
    let folder = folder();
    let server = Server::start(&[folder.path()]);
    let answer = server.ask(json!({ "image": "i0", "layers": ["mid", "dec1"] }));
    // Certificates are in the captions once they were asked for, as `--certify` has them.
    server.post("/api/v1/questions/q1/certificates", &json!({})).ok();
    let figure = |query: &str| server.get(&format!("/api/v1/questions/q1/figure?{query}")).ok();
    let again = tempdir().expect("a folder");
    let command = answer["command"].as_str().expect("a command");
    explained(command, again.path());
    let ours = image::load_from_memory(&figure("format=png").body).expect("a picture");
    let file = fs::read(again.path().join("out/compare.png")).expect("read");
    assert_eq!(ours, image::load_from_memory(&file).expect("a picture"));
    let svg = figure("format=svg");
    assert!(svg.header("Content-Disposition").is_some_and(|name| name.contains("compare.svg")));
    assert!(svg.text().contains("Seg-HiRes-Grad-CAM at mid"));
    assert!(figure("format=pdf").body.starts_with(b"%PDF"));
    let positive = figure("format=png&normalize=max&colormap=viridis").body;
    assert_ne!(positive, figure("format=png").body);
    for (query, words) in [
        ("format=gif", "png, svg or pdf"),
        ("normalize=most", "max-abs"),
        ("colormap=grey", "viridis"),
    ] {
        server.get(&format!("/api/v1/questions/q1/figure?{query}")).refused(422, words);
    }
}

#[test]
fn annotations_are_judged_and_asked_about() {
    let (folder, masks) = (folder(), tempdir().expect("a folder"));
    // The second spot is unknown to the annotation.
    let mut truth = spots();
    truth.enumerate_pixels_mut().for_each(|(x, _, pixel)| {
        pixel.0[0] = u8::from(pixel.0[0] > 100 && x < 24);
    });
    truth.save(masks.path().join("spots.png")).expect("saved");
    let options = Options { truth: Some(masks.path().into()), ..Options::default() };
    let server = Server::with(&[folder.path()], options);
    let look = server.json("/api/v1/images/i0");
    assert_eq!(look["truth"], true);
    assert!(look["classes"][1]["judged"]["false_positives"].as_u64() > Some(50));
    let labels = server.get("/api/v1/images/i0/truth").ok();
    assert_eq!((labels.body[2 * (12 * 48 + 12)], labels.body[2 * (26 * 48 + 34)]), (1, 0));
    let answer = server.ask(json!({ "image": "i0", "class": 1, "pixels": "component@26,34(fp)" }));
    let again = tempdir().expect("a folder");
    let report = explained(answer["command"].as_str().expect("a command"), again.path());
    assert_eq!(report["maps"][0]["pixels"], answer["maps"][0]["report"]["pixels"]);
    assert_eq!(report["judged"][0], look["classes"][1]["judged"]);
    // Of an upload nothing is known.
    let bytes = png(&spots());
    let upload = server.send("POST", "/api/v1/images?name=spots.png", &[], &bytes).ok().json();
    let look = server.json(&format!("/api/v1/images/{}", upload["id"].as_str().expect("an id")));
    assert_eq!((look["truth"].as_bool(), look["notes"][0].as_str().is_some()), (Some(false), true));
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    let folder = folder();
    fs::write(folder.path().join("broken.png"), b"no picture").expect("written");
    let server = Server::start(&[folder.path()]);
    let wrong = |body: Value, status: u16, words: &str| {
        let answer = server.post("/api/v1/questions", &body);
        answer.refused(status, words);
        answer.json()
    };
    let spots = "i1";
    let error = wrong(json!({"image": spots, "pixels": "class & pixle:1,2"}), 422, "pixel");
    assert_eq!(error["column"], 9);
    wrong(json!({"image": spots, "pixels": "component@39,1"}), 422, "39,1 is not in");
    wrong(json!({"image": spots, "pixels": "pixel:40,1"}), 422, "outside the image");
    wrong(json!({"image": spots, "pixels": "fn"}), 422, "--truth");
    wrong(json!({"image": spots, "pixels": "instances"}), 422, "--instances");
    wrong(json!({"image": spots, "pixels": "each", "part": 2}), 422, "2 sets, from 0");
    wrong(json!({"image": spots, "pixels": "class", "part": 0}), 422, "one set");
    wrong(json!({"image": spots, "part": -1}), 400, "-1");
    wrong(json!({"image": spots, "class": 7}), 422, "class 7");
    wrong(json!({"image": spots, "class": "nuclei"}), 422, "nucleus");
    wrong(json!({"image": spots, "class": "all"}), 422, "one class");
    wrong(json!({"image": spots, "layers": ["middle"]}), 422, "mid");
    wrong(json!({"image": spots, "methods": ["seg-gradcam"]}), 422, "seg-grad-cam");
    wrong(json!({"image": spots, "layers": []}), 422, "1 to 64");
    let most: Vec<String> = (1..=9).map(|pool| format!("seg-xres-cam:{pool}")).collect();
    wrong(json!({"image": spots, "layers": ["all"], "methods": most}), 422, "too many");
    wrong(json!({"image": "i9"}), 404, "no image");
    wrong(json!({"image": spots, "colour": 1}), 400, "colour");
    wrong(json!({"image": spots, "view": "../.."}), 422, "letters");
    wrong(json!([]), 400, "");
    server.send("POST", "/api/v1/questions", &[], b"{").refused(400, "EOF");
    server.get("/api/v1/images/i0").refused(422, "broken.png");
    server.get("/api/v1/images/i0/picture").refused(410, "ask again");
    server.get("/api/v1/questions/q77").refused(410, "ask again");
    server.get("/api/v1/questions/q77/figure").refused(410, "ask again");
    server.post("/api/v1/questions/q77/certificates", &json!({})).refused(410, "ask again");
    server.get("/api/v1/nothing").refused(404, "nothing");
    server.ask(json!({ "image": spots }));
    server.get("/api/v1/questions/q1/maps/99").refused(404, "nothing");
    server.get("/api/v1/questions/q1/maps/0?plane=0").refused(422, "plane");
    server.get("/api/v1/questions/q1/maps/0?plane=0&at=1").refused(404, "nothing");
}

#[test]
fn a_file_that_is_written_anew_is_looked_at_anew() {
    let folder = folder();
    let server = Server::start(&[folder.path()]);
    let nuclei = || server.json("/api/v1/images/i0")["classes"][1]["pixels"].as_u64();
    assert!(nuclei() > Some(100));
    thread::sleep(Duration::from_millis(20));
    image::GrayImage::new(48, 40).save(folder.path().join("spots.png")).expect("saved");
    assert!(nuclei() < Some(100));
    // Numbers of images that are gone are not given to others.
    fs::remove_file(folder.path().join("spots.png")).expect("removed");
    spots().save(folder.path().join("other.png")).expect("saved");
    let listed = server.json("/api/v1/images");
    assert_eq!(listed["images"][0]["id"], "i1");
    server.get("/api/v1/images/i0").refused(404, "no image");
}

/// A question that takes seconds.
fn slow(view: &str) -> Value {
    json!({
        "view": view, "image": "i0", "layers": ["enc1", "dec1", "enc2", "dec2"],
        "methods": ["seg-score-cam", "seg-ablation-cam"],
    })
}

/// A studio with a large image, looked at.
fn large() -> (tempfile::TempDir, Arc<Server>) {
    let folder = tempdir().expect("a folder");
    let image = image::imageops::resize(&spots(), 480, 400, image::imageops::FilterType::Nearest);
    image.save(folder.path().join("large.png")).expect("saved");
    let server = Arc::new(Server::start(&[folder.path()]));
    server.json("/api/v1/images/i0");
    (folder, server)
}

fn until(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_new_question_takes_the_place_of_the_one_before() {
    let (_folder, server) = large();
    let busy = |view: &str| server.json(&format!("/api/v1/views/{view}"))["busy"] == true;
    let asking = {
        let server = server.clone();
        thread::spawn(move || server.post("/api/v1/questions", &slow("page")))
    };
    until("it began", || busy("page"));
    let answer = server.ask(json!({ "view": "page", "image": "i0", "layers": ["mid"] }));
    assert_eq!(answer["maps"][0]["error"], Value::Null);
    let first = asking.join().expect("an answer");
    first.refused(409, "cancel");
    assert_eq!(first.json()["cancelled"], true);
}

#[test]
fn a_question_can_be_cancelled_and_tells_how_far_it_is() {
    let (_folder, server) = large();
    let asking = {
        let server = server.clone();
        thread::spawn(move || server.post("/api/v1/questions", &slow("page")))
    };
    let steps = || server.json("/api/v1/views/page");
    until("it says how far it is", || steps()["all"].as_u64() > Some(1));
    assert_eq!(server.send("DELETE", "/api/v1/views/page", &[], b"").status, 204);
    asking.join().expect("an answer").refused(409, "cancel");
    assert_eq!(steps()["busy"], false);
    // Nobody asks there: nothing happens.
    assert_eq!(server.send("DELETE", "/api/v1/views/other", &[], b"").status, 204);
}

#[test]
fn a_question_whose_page_goes_away_is_cancelled() {
    let (_folder, server) = large();
    let body = slow("page").to_string();
    let host = server.address.to_string();
    let mut stream = server.connect();
    let bytes = request(&host, "POST", "/api/v1/questions", &[], body.as_bytes());
    stream.write_all(&bytes).expect("sent");
    let busy = || server.json("/api/v1/views/page")["busy"] == true;
    until("it began", busy);
    drop(stream);
    let start = Instant::now();
    until("it ended", || !busy());
    // Another page does not wait for what nobody wants.
    server.ask(json!({ "view": "other", "image": "i0", "layers": ["mid"] }));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn the_api_is_described() {
    let folder = folder();
    let server = Server::start(&[folder.path()]);
    let described = server.json("/api/v1/openapi.json");
    assert_eq!(described["openapi"], "3.1.0");
    for path in ["/studio", "/images", "/questions", "/questions/{question}/maps/{map}"] {
        assert!(described["paths"][path].is_object(), "{path}");
    }
    assert_eq!(described["info"]["version"], env!("CARGO_PKG_VERSION"));
    let about = server.json("/api/v1/studio");
    assert_eq!(about["titles"]["seg-hires-grad-cam"], "Seg-HiRes-Grad-CAM");
    let look = server.json("/api/v1/images/i0");
    let answer = server.ask(json!({ "image": "i0", "layers": ["mid"] }));
    for (name, said) in [("Studio", &about), ("Look", &look), ("Answer", &answer)] {
        let promised = &described["components"]["schemas"][name]["properties"];
        let fields =
            |of: &Value| of.as_object().expect("fields").keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(fields(said), fields(promised), "{name}");
    }
    let names: Vec<&str> = about["colormaps"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|c| c["name"].as_str())
        .collect();
    assert!(names.contains(&"blue-orange"), "{names:?}");
}

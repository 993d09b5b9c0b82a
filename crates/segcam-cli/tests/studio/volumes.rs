//! Volumes, slice by slice.

use std::path::Path;

use segcam::models::{Phantom, Pretrained};
use segcam::scans::NiftiTemplate;
use serde_json::json;
use tempfile::tempdir;

use super::{Options, Server};

#[test]
fn planes_of_a_scan_are_drawn_and_asked_about() {
    let folder = tempdir().expect("a folder");
    let phantom = Phantom::new(4);
    let template = NiftiTemplate::new(phantom.scan.grid().clone());
    let bytes = template.bytes(phantom.scan.values(), "a phantom").expect("a scan");
    std::fs::write(folder.path().join("scan.nii.gz"), bytes).expect("written");
    let options = Options { model: Pretrained::LesionsMeshNet, ..Options::default() };
    let server = Server::with(&[folder.path()], options);
    let look = server.json("/api/v1/images/i0");
    let planes = look["planes"].as_array().expect("planes");
    let names: Vec<&str> = planes.iter().filter_map(|plane| plane["name"].as_str()).collect();
    assert_eq!(names, ["axial", "coronal", "sagittal"]);
    let [z, y, x] = phantom.largest_lesion();
    let answer = server.ask(json!({
        "image": "i0", "class": "lesion", "pixels": format!("component@{z},{y},{x}"),
    }));
    let id = answer["id"].as_str().expect("an id");
    let mut voxels = 0;
    for (number, plane) in planes.iter().enumerate() {
        let size = ["rows", "columns"].map(|side| plane[side]["pixels"].as_u64().expect("pixels"));
        let at = [z, y, x][plane["across"].as_u64().expect("a side") as usize];
        let place = format!("plane={number}&at={at}");
        let picture = server.get(&format!("/api/v1/images/i0/picture?{place}")).ok();
        let picture = image::load_from_memory(&picture.body).expect("a picture");
        assert_eq!([picture.height(), picture.width()].map(u64::from), size);
        let [rows, columns] = size;
        let wanted = format!("{rows}x{columns}");
        for path in [format!("images/i0/labels?{place}"), format!("questions/{id}/maps/0?{place}")]
        {
            let raster = server.get(&format!("/api/v1/{path}")).ok();
            assert_eq!(raster.header("Segcam-Size"), Some(wanted.as_str()), "{path}");
        }
        // The lesion is in every plane that goes through it.
        let mask = server.get(&format!("/api/v1/questions/{id}/pixels?{place}")).ok();
        assert!(mask.body.contains(&1));
        if number == 0 {
            let count = plane["count"].as_u64().expect("slices");
            for at in 0..count {
                let path = format!("/api/v1/questions/{id}/pixels?plane=0&at={at}");
                let slice = server.get(&path).ok();
                voxels += slice.body.iter().filter(|member| **member == 1).count();
            }
            assert_eq!(size[0] * size[1], slice_size(plane));
        }
        let path = format!("/api/v1/images/i0/picture?plane={number}&at=9999");
        server.get(&path).refused(404, "nothing");
    }
    assert_eq!(answer["pixels"], voxels);
    let dark = server.get("/api/v1/images/i0/picture?plane=0&at=20&low=1000&high=2000").ok();
    let dark = image::load_from_memory(&dark.body).expect("a picture").into_rgb8();
    assert!(dark.pixels().all(|pixel| pixel.0 == [0; 3]));
    server.get("/api/v1/images/i0/picture?plane=0&at=20&low=2&high=1").refused(422, "low below");
    server.get("/api/v1/images/i0/picture?plane=0&at=20&low=NaN&high=1").refused(422, "low below");
    server.get("/api/v1/images/i0/picture").refused(404, "nothing");
    server.get("/api/v1/images/i0/picture?plane=3&at=0").refused(404, "nothing");
}

/// Voxels of a slice that are not interpolated: the phantom's are as wide as they are high.
fn slice_size(plane: &serde_json::Value) -> u64 {
    ["rows", "columns"].iter().filter_map(|side| plane[*side]["voxels"].as_u64()).product()
}

#[test]
fn patients_are_not_named() {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../segcam-scans/tests/reference/dicom/oblique");
    let options = Options { model: Pretrained::LesionsMeshNet, ..Options::default() };
    let server = Server::with(&[&fixture], options);
    let mut said = server.get("/api/v1/studio").ok().text();
    said += &server.get("/api/v1/images/i0").text();
    let answer =
        server.post("/api/v1/questions", &json!({ "image": "i0", "class": 0, "pixels": "all" }));
    said += &answer.text();
    if answer.status == 200 {
        said += &server.get("/api/v1/questions/q1/figure?format=svg").ok().text();
    }
    for secret in ["Nobody", "NOBODY", "20200229", "19000101", "1.2.826.0.1.3680043"] {
        assert!(!said.contains(secret), "{secret}");
    }
    assert_eq!(server.json("/api/v1/images/i0")["planes"].as_array().map(Vec::len), Some(3));
}

//! Reads a DICOM folder or file and writes a map and pictures that lie on it.
//!
//! `cargo run -p segcam-scans --example dicom_results -- SOURCE OUT [keep]` is also what
//! `tests/reference/check_dicom.py` reads back: the map is the share of a value between the least and the
//! greatest, less a half, and the pictures are red where it is above zero.

use std::error::Error;
use std::path::PathBuf;

use segcam_scans::{Scan, dicom};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(source), Some(out)) = (words.next(), words.next().map(PathBuf::from)) else {
        return Err("wanted: SOURCE OUT [keep]".into());
    };
    let keep = words.next().as_deref() == Some("keep");
    let image = dicom::open(source)?;
    image.notes.iter().for_each(|note| println!("note: {note}"));

    let grid = image.scan.grid().clone();
    let values = &image.scan.values()[..grid.voxels()];
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let share = |value: &f32| (value - low) / (high - low).max(1.0);
    let map: Vec<f32> = values.iter().map(|value| share(value) - 0.5).collect();
    let plane = grid.size()[0] * grid.size()[1];
    let colour = |value: &f32| {
        let grey = ((value + 0.5) * 255.0) as u8;
        if *value > 0.0 { [255, grey, grey] } else { [grey; 3] }
    };
    let slices: Vec<Vec<u8>> =
        map.chunks(plane).map(|slice| slice.iter().flat_map(colour).collect()).collect();

    let writer = dicom::DicomWriter::new(&image.source, "Example map").keep_patient(keep);
    std::fs::create_dir_all(&out)?;
    writer.write_map(out.join("map.dcm"), &Scan::new(grid, 1, map)?)?;
    let written = writer.series_number(9001).write_overlay(out.join("overlay"), &slices)?;
    println!("wrote map.dcm and {} pictures", written.len());
    Ok(())
}

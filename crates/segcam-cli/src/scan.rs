//! Scans: files and folders in, and what lies on their own voxels out.

use std::borrow::Cow;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use image::{Rgb, RgbImage};
use segcam::annotations::GroundTruth;
use segcam::burn::tensor::{Device, Tensor, TensorData};
use segcam::pixels::Word;
use segcam::render::{Colormap, Plane, overlay};
use segcam::scans::dicom::{self, DicomError, DicomScan, DicomSource, DicomWriter};
use segcam::scans::{Interpolation, NiftiTemplate, Recipe, Scale, Scan, ScanError, Way};
use segcam::{CamError, PixelSet, Prediction};
use tempfile::tempdir;

use crate::files::File;
use crate::network::{Model, is_volume};
use crate::own_voxels::{OwnPicture, OwnVoxels};
use crate::view::{Side, View, flat_sides, sides_of};

/// A scan on its way to the network, and back.
#[derive(Debug, Clone)]
pub struct ScanInput {
    way: Way,
    template: NiftiTemplate,
    dicom: Option<(DicomInput, Scan)>,
    own: Option<OwnVoxels>,
}

/// What results refer to.
#[derive(Debug, Clone)]
struct DicomInput {
    source: DicomSource,
    /// The values that are shown as black and white.
    window: Option<(f32, f32)>,
    /// Whether low values are shown white.
    inverted: bool,
}

/// Endings of files that hold scans.
pub(crate) const ENDINGS: [&str; 12] = [
    ".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz", ".mgh", ".mgz", ".nrrd", ".nhdr",
    ".mha", ".mhd",
];
pub(crate) const DICOM_ENDINGS: [&str; 2] = [".dcm", ".dicom"];

/// Whether this is a scan by its name, or what it begins with: a folder of DICOM files, too.
pub fn is_scan(path: &Path) -> bool {
    ends_in(path, &ENDINGS) || is_dicom(path)
}

/// Whether a name ends so, in small letters or large ones.
pub(crate) fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

fn is_dicom(path: &Path) -> bool {
    path.is_dir() || is_dicom_file(path)
}

/// Whether a file is DICOM by its name or says so after its preamble.
pub(crate) fn is_dicom_file(path: &Path) -> bool {
    if ends_in(path, &DICOM_ENDINGS) {
        return true;
    }
    let mut head = [0; 132];
    let begun = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    begun.is_ok() && &head[128..] == b"DICM"
}

/// Endings of headers whose values lie in files beside them.
pub(crate) const HEADERS: [&str; 4] = [".hdr", ".hdr.gz", ".nhdr", ".mhd"];
/// Endings of those files.
pub(crate) const PIXELS: [&str; 2] = [".img", ".img.gz"];

/// All files that an input consists of: those of a folder, or a scan's header and the file of its values.
///
/// # Errors
/// Folders and headers that cannot be read.
pub fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        let is_scan = ends_in(path, &ENDINGS);
        return Ok(if is_scan { Scan::files(path)? } else { vec![path.to_path_buf()] });
    }
    let read = || format!("cannot read {}", path.display());
    let mut files = vec![];
    for file in fs::read_dir(path).with_context(read)? {
        let file = file.with_context(read)?.path();
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// A scan as it lies in its files.
struct Found {
    scan: Scan,
    /// What results refer to, if it is DICOM.
    dicom: Option<DicomInput>,
    notes: Vec<String>,
}

fn open(path: &Path) -> Result<Found> {
    if is_dicom(path) {
        let found = dicom::open(path).map_err(|error| match error {
            ScanError::Dicom(DicomError::Nothing { .. }) if path.is_dir() && has_pictures(path) => anyhow!(
                "it is a folder of pictures without DICOM slices: give one of them, or explain all with \
                 `segcam batch --input {}`",
                path.display()
            ),
            error => error.into(),
        });
        let DicomScan { scan, window, inverted, notes, source, .. } = found?;
        let window = window.map(|(centre, width)| (centre - width / 2.0, centre + width / 2.0));
        let window = window.map(|(low, high)| (low as f32, high as f32));
        let dicom = Some(DicomInput { source, window, inverted });
        return Ok(Found { scan, dicom, notes });
    }
    Ok(Found { scan: Scan::open(path)?, dicom: None, notes: vec![] })
}

fn has_pictures(folder: &Path) -> bool {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .map(|file| file.path())
        .any(|file| ends_in(&file, &[".png", ".jpg", ".jpeg", ".tif", ".tiff"]))
}

impl ScanInput {
    /// Reads a scan and prepares it as the network wants it: the tensor `[1, C, …]`, and the way back.
    ///
    /// # Errors
    /// Files that are no scan, and scans that the network does not take.
    pub(crate) fn open<const D: usize>(
        path: &Path,
        slice: Option<usize>,
        model: &Model,
        device: &Device,
        notes: &mut Vec<String>,
    ) -> Result<(Self, Tensor<D>)> {
        let Found { scan, dicom, notes: found } = open(path)?;
        notes.extend(found);
        notes.extend(skewed(&scan));
        let scan = sliced::<D>(scan, slice)?;
        let template = scan.nifti_template();
        // A single slice is no part of the series.
        let dicom = dicom.filter(|_| slice.is_none()).map(|dicom| (dicom, scan.clone()));
        let recipe = model.scan_recipe(scan.grid());
        notes.extend(unscaled(&recipe, &scan));
        let prepared = recipe.apply(&scan)?;
        let own = OwnVoxels::new(&scan, &prepared)?;
        drop(scan);
        let (values, [channels, sides @ ..], way) = prepared.into_input();
        let mut shape = [1; D];
        shape[1] = channels;
        match (is_volume::<D>(), flat_sides(sides)) {
            (true, _) => shape[2..].copy_from_slice(&sides),
            (false, Some(flat)) => shape[2..].copy_from_slice(&flat.map(|side| sides[side])),
            (false, None) => bail!("the network takes images, and the slice became {sides:?}"),
        }
        let mut tensor = Tensor::from_data(TensorData::new(values, shape), device);
        if (is_volume::<D>(), channels, model.channels) == (false, 1, Some(3)) {
            tensor = tensor.repeat_dim(1, 3);
            notes.push("the scan has one channel: it goes into all three of the network".into());
        }
        Ok((Self { way, template, dicom, own }, tensor))
    }

    /// The scan on its own voxels, if the network sees it on others: a volume by planes through the place
    /// of the voxel `at` of the network's input.
    pub(crate) fn own_voxels(&self, at: Option<[usize; 3]>) -> Option<OwnPicture> {
        self.own.as_ref().map(|own| own.picture(at))
    }

    /// How a single slice is laid out.
    pub(crate) fn slice_view(&self) -> View {
        View::slice(self.way.sizes(), self.sides())
    }

    /// The sides of the network's input.
    pub(crate) fn sides(&self) -> [Side; 3] {
        sides_of(&self.way)
    }

    /// A map at the size of the network's input as a NIfTI file on the scan's voxels.
    pub(crate) fn map<'a>(
        &self,
        name: &str,
        values: impl Into<Cow<'a, [f32]>>,
        what: &str,
    ) -> Result<File> {
        let on_scan = self.way.back(values, Interpolation::Trilinear)?;
        let bytes = self.template.bytes(&on_scan, what)?;
        Ok(File { name: format!("{name}.nii.gz"), bytes })
    }

    /// Labels at the size of the network's input, the same way.
    pub(crate) fn labels(&self, name: &str, labels: Vec<u32>, what: &str) -> Result<File> {
        let values: Vec<f32> = labels.into_iter().map(|label| label as f32).collect();
        let on_scan = self.way.back(values, Interpolation::Nearest)?;
        let on_scan: Vec<u32> = on_scan.into_iter().map(|label| label as u32).collect();
        let bytes = self.template.label_bytes(&on_scan, what)?;
        Ok(File { name: format!("{name}.nii.gz"), bytes })
    }

    /// A map at the size of the network's input as DICOM objects beside the scan: a Parametric Map of its
    /// values, and of the `heat` from -1 to 1 in colours a picture for each slice.
    ///
    /// # Errors
    /// A scan that is not DICOM.
    pub(crate) fn dicom(
        &self,
        name: &str,
        (values, heat): (&[f32], &[f32]),
        colormap: Colormap,
        what: &str,
        keep_patient: bool,
    ) -> Result<Vec<File>> {
        let no_series =
            "--save dicom needs a whole DICOM scan: a file or a folder, without --slice";
        let (dicom, scan) = self.dicom.as_ref().context(no_series)?;
        let back = |values: &[f32]| self.way.back(values, Interpolation::Trilinear);
        let writer = DicomWriter::new(&dicom.source, what).keep_patient(keep_patient);
        let folder = tempdir()?;
        let map = folder.path().join("map.dcm");
        writer.write_map(&map, &scan.with_values(1, back(values)?)?)?;
        let pictures = dicom.pictures(scan, &back(heat)?, colormap);
        let series = writer.write_overlay(folder.path().join("overlay"), &pictures)?;
        let file = |name: String, path: &Path| -> Result<File> {
            Ok(File { name, bytes: fs::read(path)? })
        };
        let mut files = vec![file(format!("{name}.dcm"), &map)?];
        for (number, path) in series.iter().enumerate() {
            files.push(file(format!("{name}.{:04}.dcm", number + 1), path)?);
        }
        Ok(files)
    }

    /// The word for voxels around a place in millimetres.
    pub fn sphere<const D: usize>(scan: Option<&Arc<Self>>) -> Word<D> {
        let scan = scan.cloned();
        Word::new(
            "sphere:x,y,z,r",
            "within r mm of a place in a scan (right, anterior, superior)",
            move |reader| {
                let Some(scan) = scan.clone() else {
                    let wanted = "millimetres need a scan, see docs/scans.md";
                    return Err(reader.fail_without("scan", wanted));
                };
                let mut numbers = [0.0; 4];
                for (at, number) in numbers.iter_mut().enumerate() {
                    reader.symbol(if at == 0 { ':' } else { ',' })?;
                    let sign = if at < 3 && reader.take_if('-') { -1.0 } else { 1.0 };
                    *number = sign * reader.number("a number of millimetres")?;
                }
                let [x, y, z, radius] = numbers;
                Ok(Box::new(Sphere { scan, centre: [x, y, z], radius }))
            },
        )
    }

    /// An annotation of the scan at the size of the network's input. On another grid it is resampled, by
    /// nearest voxel, if that is wanted.
    ///
    /// # Errors
    /// Files that are no scan, hold no labels, or lie on another grid.
    pub(crate) fn annotation(
        &self,
        path: &Path,
        size: &[usize],
        resample: bool,
    ) -> Result<GroundTruth> {
        let mut annotation = open(path)?.scan;
        let _whole_numbers = annotation.labels()?;
        if resample {
            let labelled = |scan: &Scan| scan.values().iter().any(|label| *label != 0.0);
            let there =
                annotation.resampled(self.way.original().clone(), Interpolation::Nearest, 0.0)?;
            ensure!(
                labelled(&there) || !labelled(&annotation),
                "nothing of the annotation lies within the scan: are they of one patient and one space?"
            );
            annotation = there;
        }
        let there = self.way.forth(&annotation)?;
        let labels: Vec<u32> = there.into_iter().map(|label| label as u32).collect();
        Ok(GroundTruth::from_labels(labels, size)?)
    }
}

/// What is said of values that nothing scales.
fn unscaled(recipe: &Recipe, scan: &Scan) -> Option<String> {
    let Recipe { clip: None, percentiles: None, scale: Scale::None, channels, .. } = recipe else {
        return None;
    };
    let (low, high) = range(scan.values());
    channels.is_empty().then(|| {
        format!(
            "the scan's values go into the network as they are, {low} to {high}: `[scan]` in a card beside \
             an .onnx file says otherwise"
        )
    })
}

/// The smallest and the largest value.
fn range(values: &[f32]) -> (f32, f32) {
    let ends = (f32::INFINITY, f32::NEG_INFINITY);
    values.iter().fold(ends, |(low, high), value| (low.min(*value), high.max(*value)))
}

/// What is said of axes that are not at right angles.
fn skewed(scan: &Scan) -> Option<String> {
    let degrees = scan.grid().shear().asin().to_degrees();
    (degrees > 0.05).then(|| format!("the axes are not orthogonal: {degrees:.1}° are missing"))
}

/// Voxels within so many millimetres of a place.
struct Sphere {
    scan: Arc<ScanInput>,
    centre: [f64; 3],
    radius: f64,
}

impl<const D: usize> PixelSet<D> for Sphere {
    fn weights(&self, prediction: &Prediction<D>, _class: usize) -> Result<Tensor<D>, CamError> {
        let way = &self.scan.way;
        let grid = way.grid();
        let [columns, rows, slices] = grid.size();
        let mut inside = Vec::with_capacity(columns * rows * slices);
        for k in 0..slices {
            for j in 0..rows {
                for i in 0..columns {
                    let at = grid.world([i, j, k].map(|index| index as f64));
                    let far: f64 = (0..3).map(|axis| (at[axis] - self.centre[axis]).powi(2)).sum();
                    inside.push(if far <= self.radius * self.radius { 1.0f32 } else { 0.0 });
                }
            }
        }
        let wrong = |reason: String| CamError::PixelSet { set: PixelSet::<D>::name(self), reason };
        let inside = way.in_order(&inside).map_err(|error| wrong(error.to_string()))?;
        let shape = prediction.shape();
        if shape[2..].iter().product::<usize>() != inside.len() {
            return Err(wrong("the network's output has another size than the scan".into()));
        }
        let values = TensorData::new(inside, shape);
        Ok(Tensor::from_data(values, &prediction.device()))
    }

    fn name(&self) -> String {
        let [x, y, z] = self.centre;
        format!("sphere:{x},{y},{z},{}", self.radius)
    }
}

impl DicomInput {
    /// Every slice in grey, under the heat.
    fn pictures(&self, scan: &Scan, heat: &[f32], colormap: Colormap) -> Vec<Vec<u8>> {
        let [width, height, _] = scan.grid().size();
        let (low, high) = self.window.unwrap_or_else(|| range(scan.values()));
        let gray = |value: f32| {
            let part = ((value - low) / (high - low).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
            ((if self.inverted { 1.0 - part } else { part }) * 255.0) as u8
        };
        let slices = scan.values()[..scan.grid().voxels()].chunks(width * height);
        let slices = slices.zip(heat.chunks(width * height));
        let picture = |(values, heat): (&[f32], &[f32])| {
            let below = RgbImage::from_fn(width as u32, height as u32, |x, y| {
                Rgb([gray(values[y as usize * width + x as usize]); 3])
            });
            let heat = Plane::from_fn(height, width, |y, x| heat[y * width + x]);
            overlay(&below, &heat, colormap).into_raw()
        };
        slices.map(picture).collect()
    }
}

/// The slice that a network for images looks at.
fn sliced<const D: usize>(scan: Scan, slice: Option<usize>) -> Result<Scan> {
    let [columns, rows, slices] = scan.grid().size();
    match slice {
        Some(_) if is_volume::<D>() => bail!("--slice is for networks that take images"),
        Some(slice) => {
            ensure!(slice < slices, "slice {slice} does not exist: the scan has {slices}, from 0");
            Ok(scan.cropped([0, 0, slice], [columns, rows, 1])?)
        }
        None if !is_volume::<D>() && slices > 1 => {
            bail!(
                "the network takes images, and the scan has {slices} slices: choose one with --slice, \
                 or a network for volumes with --model"
            )
        }
        None => Ok(scan),
    }
}

/// What a scan is, for `segcam info`: lines of a name and what it says.
///
/// # Errors
/// Files that are no scan.
pub fn describe(path: &Path) -> Result<Vec<(&'static str, String)>> {
    let found = open(path).with_context(|| format!("cannot use {}", path.display()))?;
    let Found { scan, notes, .. } = found;
    let grid = scan.grid();
    let [i, j, k] = grid.size();
    let millimetres = grid.spacing().map(|spacing| format!("{spacing:.4}")).join(" × ");
    let (mut low, mut high, mut missing) = (f32::INFINITY, f32::NEG_INFINITY, 0);
    for value in scan.values() {
        if value.is_finite() {
            (low, high) = (low.min(*value), high.max(*value));
        } else {
            missing += 1;
        }
    }
    let first = grid.world([0.0; 3]).map(|at| format!("{at:.2}")).join(", ");
    let mut lines = vec![
        ("voxels", format!("{i} × {j} × {k}")),
        ("channels", scan.channels().to_string()),
        ("spacing", format!("{millimetres} mm")),
        ("orientation", grid.orientation().to_string()),
        ("first voxel", format!("{first} mm (right, anterior, superior)")),
        ("values", format!("{low} to {high}")),
    ];
    if missing > 0 {
        lines.push(("not finite", format!("{missing} values")));
    }
    let notes = notes.into_iter().chain(skewed(&scan));
    lines.extend(notes.map(|note| ("note", note)));
    Ok(lines)
}

//! The first step: what a file holds becomes the network's input.

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use half::f16;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use npyz::{DType, NpyFile, Order, TypeChar, TypeStr};
use segcam::burn::tensor::{Device, Tensor, TensorData};
use segcam::models::Placement;

use crate::grey::grey_of;
use crate::network::{Model, is_volume};
use crate::scan::{ScanInput, is_scan};
use crate::view::Side;

/// What a network looks at.
#[derive(Debug, Clone)]
pub struct Input<const D: usize> {
    /// Its path, or what else says where it comes from.
    pub name: String,
    /// `[N, C, …]` as the network sees it.
    pub tensor: Tensor<D>,
    /// What lies under its maps, if it came from an image file.
    pub picture: Option<Picture>,
    /// The values of a volume that are shown as black and white.
    pub grey: Option<(f32, f32)>,
    /// Where it came from, if it is a scan.
    pub scan: Option<Arc<ScanInput>>,
    /// How it was understood.
    pub notes: Vec<String>,
}

/// What lies under a map.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The picture as people see it: at the image's size, or at the network's.
    pub image: RgbImage,
    /// Where the image's pixels went.
    pub placement: Placement,
}

/// The bytes of a file.
///
/// # Errors
/// A file that cannot be read.
pub fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot use {}", path.display()))
}

/// Reads a file: see [`read`]; or a scan, of which a network for images sees one `slice`.
///
/// # Errors
/// As [`read`], and files that cannot be read.
pub fn open<const D: usize>(
    path: &Path,
    slice: Option<usize>,
    model: &Model,
    device: &Device,
) -> Result<Input<D>> {
    let name = path.display().to_string();
    if !is_scan(path) {
        ensure!(slice.is_none(), "--slice is for scans, and {name} is none");
        return read(&name, &bytes_of(path)?, model, device);
    }
    if let Some(option) = model.image_option {
        bail!(
            "cannot use {name}: {option} is for image files, and a scan is prepared as `[scan]` in the \
             card beside the network says: drop it"
        );
    }
    let mut notes = vec![];
    let scan = ScanInput::open(path, slice, model, device, &mut notes);
    let (scan, tensor) = scan.with_context(|| format!("cannot use {name}"))?;
    let grey = grey_of(&tensor)?;
    Ok(Input { name, tensor, picture: None, grey, scan: Some(Arc::new(scan)), notes })
}

/// Reads the bytes of an image (prepared as the network wants it) or of a `.npy` array (taken as it
/// is). The name says which.
///
/// # Errors
/// What is neither, or not what the network takes.
pub fn read<const D: usize>(
    name: &str,
    bytes: &[u8],
    model: &Model,
    device: &Device,
) -> Result<Input<D>> {
    let npy = name.len() > 4 && name.as_bytes()[name.len() - 4..].eq_ignore_ascii_case(b".npy");
    let input = if npy { array(bytes, model, device) } else { picture(bytes, model, device) };
    let (tensor, picture, notes) = input.with_context(|| format!("cannot use {name}"))?;
    let grey = grey_of(&tensor)?;
    Ok(Input { name: name.to_string(), tensor, picture, grey, scan: None, notes })
}

impl<const D: usize> Input<D> {
    /// Its name as figures say it: that of the file, without folders.
    pub fn short_name(&self) -> &str {
        self.name.rsplit(['/', '\\']).next().unwrap_or(&self.name)
    }

    /// Where the pixels of an image file went; arrays are taken as they are.
    pub fn placement(&self) -> Option<Placement> {
        self.picture.as_ref().map(|picture| picture.placement)
    }

    /// What is known of the sides of a volume.
    pub(crate) fn sides(&self) -> [Side; 3] {
        self.scan.as_ref().map_or([Side::PLAIN; 3], |scan| scan.sides())
    }

    /// A picture as the network wants it.
    ///
    /// # Errors
    /// Colours that the network cannot use, and a network that takes no pictures.
    pub fn of_picture(
        name: &str,
        image: &DynamicImage,
        model: &Model,
        device: &Device,
    ) -> Result<Self> {
        let (tensor, picture, notes) = prepared(image, model, device)?;
        Ok(Self { name: name.to_string(), tensor, picture, grey: None, scan: None, notes })
    }
}

type Found<const D: usize> = Result<(Tensor<D>, Option<Picture>, Vec<String>)>;

fn prepared<const D: usize>(image: &DynamicImage, model: &Model, device: &Device) -> Found<D> {
    let prepared = model.prepare(image, device)?;
    let shape: Option<[usize; D]> = prepared.input.dims().as_slice().try_into().ok();
    let shape = shape.context(VOLUMES)?;
    let picture = Picture { image: prepared.picture, placement: prepared.placement };
    let grey = "the image is grey: its brightness goes into all three channels";
    let notes = model.image_note.clone().into_iter();
    let notes = notes.chain(prepared.replicated.then(|| grey.into()));
    let notes = notes.chain(resized(prepared.placement)).collect();
    Ok((prepared.input.reshape(shape), Some(picture), notes))
}

/// What is said of an image that the network sees at another size.
fn resized(place: Placement) -> Option<String> {
    let Placement { image: [rows, columns], resized: [height, width], .. } = place;
    let stretched = (rows * width).abs_diff(columns * height) * 50 > rows * width;
    let distorted = if stretched { ", which changes its proportions" } else { "" };
    ([rows, columns] != [height, width]).then(|| {
        format!(
            "the image is resized from {rows} × {columns} to {height} × {width} pixels{distorted}"
        )
    })
}

const VOLUMES: &str =
    "the network takes volumes: give a scan (NIfTI, DICOM, …) or a .npy array [N, C, D, H, W]";

fn picture<const D: usize>(bytes: &[u8], model: &Model, device: &Device) -> Found<D> {
    ensure!(!is_volume::<D>(), VOLUMES);
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff];
    let known = reader.format().is_some_and(|format| known.contains(&format));
    ensure!(known, "it is no PNG, JPEG or TIFF image, no .npy array, and no scan by its name");
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    // As the camera was held, and as viewers show it.
    image.apply_orientation(orientation);
    prepared(&image, model, device)
}

/// An array of the network's rank; of an image it may lack the side of the batch.
fn array<const D: usize>(bytes: &[u8], model: &Model, device: &Device) -> Found<D> {
    if let Some(option) = model.image_option {
        bail!("{option} is for image files: an array is taken as it is");
    }
    let npy = NpyFile::new(bytes).context("it is no .npy array")?;
    let DType::Plain(kind) = npy.dtype() else {
        bail!("the array must hold one real number in each place, it holds {}", npy.dtype().descr())
    };
    let shape: Vec<usize> = npy.shape().iter().map(|&side| side as usize).collect();
    // Before memory is taken on the word of the header.
    let needed =
        npy.shape().iter().try_fold(kind.size_field(), |size, &side| size.checked_mul(side));
    let given = bytes.len();
    let whole = needed.is_some_and(|needed| needed < given as u64);
    ensure!(whole, "the array is cut off: {given} bytes are too few for shape {shape:?}");
    let order = npy.order();
    let values = single_precision(npy, &kind)?;
    let values = if order == Order::Fortran { in_c_order(&values, &shape) } else { values };
    let batch = if !is_volume::<D>() && shape.len() == 3 { vec![1] } else { vec![] };
    let whole: [usize; D] = [batch, shape].concat().try_into().map_err(|shape| {
        let wanted = match is_volume::<D>() {
            true => "volumes [N, C, D, H, W]",
            false => "images [C, H, W] or [N, C, H, W]",
        };
        anyhow!("the network takes {wanted}, the array has shape {shape:?}")
    })?;
    Ok((Tensor::from_data(TensorData::new(values, whole), device), None, vec![]))
}

/// The numbers of an array, whatever real type they have.
fn single_precision<R: Read>(npy: NpyFile<R>, kind: &TypeStr) -> Result<Vec<f32>> {
    macro_rules! values {
        ($number:ty, $convert:expr) => {
            npy.into_vec::<$number>().map(|values| values.into_iter().map($convert).collect())
        };
    }
    let values = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => npy.into_vec::<f32>(),
        (TypeChar::Float, 8) => values!(f64, |value| value as f32),
        (TypeChar::Float, 2) => values!(f16, f16::to_f32),
        (TypeChar::Bool, _) => values!(bool, |value| f32::from(u8::from(value))),
        (TypeChar::Uint, 1) => values!(u8, f32::from),
        (TypeChar::Uint, 2) => values!(u16, f32::from),
        (TypeChar::Uint, 4) => values!(u32, |value| value as f32),
        (TypeChar::Uint, 8) => values!(u64, |value| value as f32),
        (TypeChar::Int, 1) => values!(i8, f32::from),
        (TypeChar::Int, 2) => values!(i16, f32::from),
        (TypeChar::Int, 4) => values!(i32, |value| value as f32),
        (TypeChar::Int, 8) => values!(i64, |value| value as f32),
        _ => bail!("the array must hold real numbers, it holds {kind}"),
    };
    values.context("the array is cut off")
}

/// From first index fastest, as medical images are often stored, to last index fastest.
fn in_c_order(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let strides = shape.iter().scan(1, |stride, side| {
        let this = *stride;
        *stride *= side;
        Some(this)
    });
    let axes: Vec<(usize, usize)> = shape.iter().copied().zip(strides).collect();
    let place = |mut index: usize| {
        axes.iter().rev().fold(0, |at, (side, stride)| {
            let along = index % side;
            index /= side;
            at + along * stride
        })
    };
    (0..values.len()).map(|index| values[place(index)]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn fortran_order_is_turned() {
        // [[0, 1, 2], [3, 4, 5]] column by column.
        let turned = super::in_c_order(&[0.0, 3.0, 1.0, 4.0, 2.0, 5.0], &[2, 3]);
        assert_eq!(turned, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let turned = super::in_c_order(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[2, 2, 2]);
        assert_eq!(turned, [1.0, 5.0, 3.0, 7.0, 2.0, 6.0, 4.0, 8.0]);
    }
}

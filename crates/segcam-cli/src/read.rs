//! The first step: what a file holds becomes the network's input.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use npyz::{DType, NpyFile, Order, TypeChar};
use segcam::burn::tensor::{Device, Tensor, TensorData};

use crate::network::Model;

/// What a network looks at.
#[derive(Debug, Clone)]
pub struct Input<const D: usize> {
    /// Its path, or what else says where it comes from.
    pub name: String,
    /// `[N, C, …]` as the network sees it.
    pub tensor: Tensor<D>,
    /// What lies under its maps, if it came from an image file.
    pub picture: Option<Picture>,
}

/// What lies under a map.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The picture as people see it.
    pub image: RgbImage,
    /// Whether it shows all of the input, at another size. Otherwise its pixels are the input's.
    pub resized: bool,
}

/// The bytes of a file.
///
/// # Errors
/// A file that cannot be read.
pub fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot use {}", path.display()))
}

/// Reads a file: see [`read`].
///
/// # Errors
/// As [`read`], and files that cannot be read.
pub fn open<const D: usize>(path: &Path, model: &Model, device: &Device) -> Result<Input<D>> {
    read(&path.display().to_string(), &bytes_of(path)?, model, device)
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
    let input = if npy { array(bytes, device) } else { picture(bytes, model, device) };
    let (tensor, picture) = input.with_context(|| format!("cannot use {name}"))?;
    Ok(Input { name: name.to_string(), tensor, picture })
}

impl<const D: usize> Input<D> {
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
        let (tensor, picture) = prepared(image, model, device)?;
        Ok(Self { name: name.to_string(), tensor, picture })
    }
}

type Read<const D: usize> = Result<(Tensor<D>, Option<Picture>)>;

fn prepared<const D: usize>(image: &DynamicImage, model: &Model, device: &Device) -> Read<D> {
    let prepared = model.prepare(image, device)?;
    let shape: Option<[usize; D]> = prepared.input.dims().as_slice().try_into().ok();
    let shape = shape.context(VOLUMES)?;
    let picture = Picture { image: prepared.picture, resized: prepared.resized };
    Ok((prepared.input.reshape(shape), Some(picture)))
}

const VOLUMES: &str = "the network takes volumes: give a .npy array [N, C, D, H, W]";

fn picture<const D: usize>(bytes: &[u8], model: &Model, device: &Device) -> Read<D> {
    ensure!(D == 4, VOLUMES);
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff];
    let known = reader.format().is_some_and(|format| known.contains(&format));
    ensure!(known, "it is no PNG, JPEG or TIFF image and no .npy array");
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    // As the camera was held, and as viewers show it.
    image.apply_orientation(orientation);
    prepared(&image, model, device)
}

/// A float32 array of the network's rank; of an image it may lack the side of the batch.
fn array<const D: usize>(bytes: &[u8], device: &Device) -> Read<D> {
    let npy = NpyFile::new(bytes).context("it is no .npy array")?;
    let float32 = match npy.dtype() {
        DType::Plain(kind) => kind.type_char() == TypeChar::Float && kind.size_field() == 4,
        _ => false,
    };
    ensure!(float32, "the array must be float32, it is {}", npy.dtype().descr());
    let shape: Vec<usize> = npy.shape().iter().map(|&side| side as usize).collect();
    // Before memory is taken on the word of the header.
    let needed = npy.shape().iter().try_fold(4u64, |size, &side| size.checked_mul(side));
    let given = bytes.len();
    let whole = needed.is_some_and(|needed| needed < given as u64);
    ensure!(whole, "the array is cut off: {given} bytes are too few for shape {shape:?}");
    let order = npy.order();
    let values = npy.into_vec::<f32>().context("the array is cut off")?;
    let values = if order == Order::Fortran { in_c_order(&values, &shape) } else { values };
    let batch = if D == 4 && shape.len() == 3 { vec![1] } else { vec![] };
    let whole: [usize; D] = [batch, shape].concat().try_into().map_err(|shape| {
        let wanted = match D {
            4 => "images [C, H, W] or [N, C, H, W]",
            _ => "volumes [N, C, D, H, W]",
        };
        anyhow!("the network takes {wanted}, the array has shape {shape:?}")
    })?;
    Ok((Tensor::from_data(TensorData::new(values, whole), device), None))
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

//! What is read of a picture that is larger than memory.

use std::ops::Range;

use anyhow::{Context, Result};
use image::{DynamicImage, GrayImage, Rgb, RgbImage};
use segcam::CamError;
use segcam::burn::tensor::{Device, Tensor, TensorData};
use segcam::models::Recipe;
use segcam::windows::Rows;
use segcam_tiles::TiffRows;

/// Rows of a picture as the network wants them.
pub(super) struct BigPicture<'a> {
    pub(super) tiff: &'a TiffRows,
    pub(super) recipe: Recipe,
    pub(super) device: Device,
}

impl Rows for BigPicture<'_> {
    fn size(&self) -> [usize; 2] {
        self.tiff.size()
    }

    fn read(&self, rows: Range<usize>) -> Result<Tensor<4>, CamError> {
        let image = image(self.tiff, rows).map_err(|error| CamError::model(Wrapped(error)))?;
        Ok(self.recipe.apply(&image, &self.device).map_err(CamError::model)?.input)
    }
}

/// An error of any kind where one that is an error itself is wanted.
#[derive(Debug)]
struct Wrapped(anyhow::Error);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Wrapped {}

/// Some rows as an image.
fn image(tiff: &TiffRows, rows: Range<usize>) -> Result<DynamicImage> {
    const SIDE: &str = "a picture of more than four billion columns";
    let (width, height) = (u32::try_from(tiff.size()[1]), u32::try_from(rows.len()));
    let (width, height, bytes) = (width.context(SIDE)?, height.context(SIDE)?, tiff.read(rows)?);
    let image = match tiff.channels() {
        1 => GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
    };
    image.context("a byte for each channel of each pixel")
}

/// How many rows are read at a time where no window says it.
const AT_ONCE: usize = 256;

/// The smallest and the largest brightness, from 0 to 1.
pub(super) fn brightness(tiff: &TiffRows) -> Result<(f32, f32)> {
    let height = tiff.size()[0];
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for top in (0..height).step_by(AT_ONCE) {
        let rows = image(tiff, top..(top + AT_ONCE).min(height))?.to_luma32f();
        for value in rows.into_raw() {
            (low, high) = (low.min(value), high.max(value));
        }
    }
    Ok((low, high))
}

/// How large a picture is drawn on a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    /// Rows and columns of the picture.
    pub(super) size: [usize; 2],
    /// So many of its pixels along each side become one.
    pub(super) factor: usize,
}

/// The longer side on a page.
const PAGE: usize = 2048;

impl Page {
    pub(super) fn of(size: [usize; 2]) -> Self {
        let longest = size[0].max(size[1]);
        Self { size, factor: longest.div_ceil(PAGE).max(1) }
    }

    /// Rows and columns on the page.
    pub(super) fn reduced(&self) -> [usize; 2] {
        self.size.map(|side| side.div_ceil(self.factor))
    }

    /// The picture with the mean of the pixels that become one.
    pub(super) fn picture(&self, tiff: &TiffRows) -> Result<RgbImage> {
        let ([height, width], channels) = (self.size, tiff.channels());
        let columns = self.reduced()[1];
        let mut page: Vec<u8> = vec![];
        for top in (0..height).step_by(self.factor) {
            let rows = top..(top + self.factor).min(height);
            let many = rows.len();
            let mut sums = vec![0u64; columns * channels];
            for row in tiff.read(rows)?.chunks(width * channels) {
                for (x, pixel) in row.chunks(channels).enumerate() {
                    let sums = &mut sums[x / self.factor * channels..];
                    sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
                }
            }
            for (x, sums) in sums.chunks(channels).enumerate() {
                let across = self.factor.min(width - x * self.factor);
                page.extend(sums.iter().map(|sum| (sum / (many * across) as u64) as u8));
            }
        }
        Ok(RgbImage::from_fn(columns as u32, self.reduced()[0] as u32, |x, y| {
            let at = (y as usize * columns + x as usize) * channels;
            Rgb([0, 1, 2].map(|channel| page[at + channel.min(channels - 1)]))
        }))
    }

    /// Of the values that become one the strongest.
    pub(super) fn strongest(&self, page: &mut Vec<f32>, first: usize, rows: &[f32]) {
        let [height, columns] = self.reduced();
        page.resize(height * columns, 0.0);
        for (row, values) in rows.chunks(self.size[1]).enumerate() {
            let page = &mut page[(first + row) / self.factor * columns..];
            for (values, most) in values.chunks(self.factor).zip(page) {
                let stronger = |most: f32, value: &f32| match value.abs() > most.abs() {
                    true => *value,
                    false => most,
                };
                *most = values.iter().fold(*most, stronger);
            }
        }
    }

    /// 1 where any of the pixels that become one is a member.
    pub(super) fn mask(&self, member: impl Fn(usize) -> bool, device: &Device) -> Tensor<4> {
        let [height, width] = self.size;
        let mut page = vec![];
        for row in 0..height {
            let values: Vec<f32> =
                (row * width..(row + 1) * width).map(|pixel| f32::from(member(pixel))).collect();
            self.strongest(&mut page, row, &values);
        }
        self.tensor(page, device)
    }

    /// Values of the page as `[1, 1, H, W]`.
    pub(super) fn tensor(&self, page: Vec<f32>, device: &Device) -> Tensor<4> {
        let [height, width] = self.reduced();
        let data = TensorData::new(page, [1, 1, height, width]);
        Tensor::from_data(data, device)
    }
}

//! A scan on its own voxels, to be shown beside what a network sees of it on others.

use anyhow::Result;
use image::RgbImage;
use segcam::burn::tensor::{Device, Tensor, TensorData};
use segcam::scans::{Scan, Way};

use crate::grey::{draw, grey_of};
use crate::view::{View, sides_of};

/// The scan on its own voxels, turned and cropped as the network has it.
#[derive(Debug, Clone)]
pub(crate) struct OwnVoxels {
    way: Way,
    seen: Way,
    /// `[1, C, …]` with the sides in the network's order.
    values: Tensor<5>,
    /// The values that are shown as black and white.
    grey: Option<(f32, f32)>,
}

/// What is drawn of it.
pub(crate) struct OwnPicture {
    pub(crate) picture: RgbImage,
    pub(crate) view: View,
    pub(crate) caption: String,
}

impl OwnVoxels {
    /// `None` of a scan that the network sees as it is.
    pub(crate) fn new(scan: &Scan, seen: &Way) -> Result<Option<Self>> {
        if !seen.is_resampled() {
            return Ok(None);
        }
        let way = seen.without_resampling();
        let [a, b, c] = way.sizes();
        let values = TensorData::new(way.forth(scan)?, [1, scan.channels(), a, b, c]);
        let values = Tensor::<5>::from_data(values, &Device::flex());
        let grey = grey_of(&values)?;
        Ok(Some(Self { way, seen: seen.clone(), values, grey }))
    }

    /// Laid out as the network's input is: a volume by planes through the place of the voxel `at` of that
    /// input, a slice as it is.
    pub(crate) fn picture(&self, at: Option<[usize; 3]>) -> OwnPicture {
        let sizes = self.way.sizes();
        let view = match at {
            Some(at) => {
                View::planes(sizes, sides_of(&self.way), self.way.nearest_to(&self.seen, at))
            }
            None => View::slice(sizes, sides_of(&self.way)),
        };
        let flat = view.flat(&self.values, 0, true);
        let mut picture = draw(&flat, self.grey);
        view.blacken(&mut picture);
        let voxels = sizes.iter().filter(|side| at.is_some() || **side > 1);
        let voxels: Vec<String> = voxels.map(usize::to_string).collect();
        let place = view.name().replacen(", ", "\n", 1);
        let caption = format!("the scan's own {} voxels{place}", voxels.join(" × "));
        OwnPicture { picture, view, caption }
    }
}

use std::fmt;
use std::sync::Arc;

use segcam_core::{Cancel, Explainer};

use crate::engine::WindowEngine;
use crate::weights::{monai_gaussian, nnunet_gaussian};

/// Where windows lie, and how what the network says about them is blended.
///
/// Sizes and positions are in pixels or voxels, in the order of the input's sides: `[y, x]` or
/// `[z, y, x]`. An image that is smaller than a window is padded with zeros on both sides, and the padding
/// is cut off from predictions and maps.
///
/// # Example
/// ```
/// use segcam_windows::Windows;
///
/// let windows = Windows::monai([96, 96, 96]).with_overlap(0.5).gaussian();
/// let places = windows.starts(&[96, 96, 160])?;
/// assert_eq!(places, [[0, 0, 0], [0, 0, 48], [0, 0, 64]]);
/// # Ok::<(), segcam_windows::WindowError>(())
/// ```
#[derive(Clone)]
pub struct Windows {
    size: Vec<usize>,
    scheme: Scheme,
    overlap: f64,
    blending: Blending,
    mirrored: Vec<usize>,
    pub(crate) averages_each: bool,
    pub(crate) memory: usize,
    pub(crate) cancel: Cancel,
    pub(crate) progress: Option<Arc<Progress>>,
}

type Progress = dyn Fn(usize, usize) + Send + Sync;

/// Whose rule says where windows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Monai,
    NnUnet,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Blending {
    Constant,
    Gaussian(f64),
    NnUnet,
}

/// What is wrong with windows.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// Windows of another number of sides than the image.
    #[error("windows have {given} sides, the image has {wanted}: give {}", if *.wanted == 2 { "height and width" } else { "depth, height and width" })]
    Sides {
        /// Number of the image's sides.
        wanted: usize,
        /// Number of the window's sides.
        given: usize,
    },
    /// A window with a side of length zero, or of more pixels than can be counted.
    #[error("windows of {given:?} hold no pixels: every side needs at least one")]
    Empty {
        /// The size.
        given: Vec<usize>,
    },
    /// Windows that would never come to an end.
    #[error("windows overlap by {given}: give a part of their size, at least 0 and below 1")]
    Overlap {
        /// What was given.
        given: f64,
    },
    /// A Gaussian without width.
    #[error("a Gaussian's width is a part of the window's size above 0, not {given}")]
    Sigma {
        /// What was given.
        given: f64,
    },
    /// More classes than labels of a byte can tell apart.
    #[error("labels of a picture that is read by tiles are bytes: 256 classes, not {given}")]
    Classes {
        /// Number of classes.
        given: usize,
    },
    /// A mirrored side that the image does not have.
    #[error("side {given} cannot be mirrored: the image has sides 0 to {}", .wanted - 1)]
    Mirrored {
        /// Number of the image's sides.
        wanted: usize,
        /// The side.
        given: usize,
    },
}

impl Windows {
    /// MONAI's `SlidingWindowInferer`: a quarter of a window overlaps the next, the last one is shifted
    /// back to end with the image, and all pixels of a window count the same, unless it is
    /// [`gaussian`](Self::gaussian).
    ///
    /// Source: `monai.inferers.sliding_window_inference`, MONAI 1.6.1.
    pub fn monai(size: impl Into<Vec<usize>>) -> Self {
        Self::of(size.into(), Scheme::Monai, 0.25, Blending::Constant)
    }

    /// nnU-Net's predictor: windows overlap by half at least, are spread evenly over the image, and count
    /// by nnU-Net's own Gaussian. It adds the outputs up in half precision, where this is exact.
    ///
    /// Source: `nnunetv2.inference.sliding_window_prediction`, nnU-Net 2.8.1.
    pub fn nnunet(size: impl Into<Vec<usize>>) -> Self {
        Self::of(size.into(), Scheme::NnUnet, 0.5, Blending::NnUnet)
    }

    fn of(size: Vec<usize>, scheme: Scheme, overlap: f64, blending: Blending) -> Self {
        Self {
            size,
            scheme,
            overlap,
            blending,
            mirrored: vec![],
            averages_each: false,
            memory: 2 << 30,
            cancel: Cancel::default(),
            progress: None,
        }
    }

    /// The part of a window that the next one covers, too: from 0, to below 1. nnU-Net's `step_size` is 1
    /// minus this.
    pub fn with_overlap(self, overlap: f64) -> Self {
        Self { overlap, ..self }
    }

    /// Outputs count less towards the edge of their window, by MONAI's Gaussian with a standard deviation
    /// of an eighth of the window.
    pub fn gaussian(self) -> Self {
        self.gaussian_of(0.125)
    }

    /// The same with another standard deviation, as a part of the window (MONAI's `sigma_scale`).
    pub fn gaussian_of(self, sigma: f64) -> Self {
        Self { blending: Blending::Gaussian(sigma), ..self }
    }

    /// All pixels of a window count the same.
    pub fn constant(self) -> Self {
        Self { blending: Blending::Constant, ..self }
    }

    /// In each window the mean over all flips of these sides is taken (nnU-Net's mirroring): 2 passes for
    /// one side, 4 for two, 8 for three. The maps are flipped back and averaged with it.
    pub fn mirrored(self, sides: impl IntoIterator<Item = usize>) -> Self {
        let mut mirrored: Vec<usize> = sides.into_iter().collect();
        mirrored.sort_unstable();
        mirrored.dedup();
        Self { mirrored, ..self }
    }

    /// Methods that average over the layer, such as Grad-CAM, average over each window by itself, and not
    /// over the cells of all windows.
    pub fn averaging_each(self) -> Self {
        Self { averages_each: true, ..self }
    }

    /// About so many bytes may be taken for maps that are put together at the same time, 2 GiB unless it
    /// is said. Where one map needs more, it gets it. The layers of all windows are held together only where
    /// that fits: otherwise Seg-Grad-CAM and Grad-CAM go over the windows a second time, with the means of the
    /// first, and other methods that need the whole layer are errors.
    pub fn with_memory(self, bytes: usize) -> Self {
        Self { memory: bytes, ..self }
    }

    /// Calls `progress` with the number of windows that were predicted, and of all.
    pub fn with_progress(self, progress: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        Self { progress: Some(Arc::new(progress)), ..self }
    }

    /// Predicting ends with [`CamError::Cancelled`](segcam_core::CamError::Cancelled) once `cancel` says
    /// so.
    pub fn with_cancel(self, cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), ..self }
    }

    /// The network of `explainer`, run over these windows.
    ///
    /// # Errors
    /// Windows that do not fit images of `D - 2` sides, and options that make no sense.
    pub fn explainer<const D: usize>(
        &self,
        explainer: &Explainer<D>,
    ) -> Result<Explainer<D>, WindowError> {
        self.expect_sides(D - 2)?;
        Ok(Explainer::with_engine(WindowEngine::new(explainer.engine().clone(), self.clone())))
    }

    /// Size of a window.
    pub fn size(&self) -> &[usize] {
        &self.size
    }

    /// Where windows begin on an image of this size, after it was padded to the size of a window where it
    /// is smaller; the last side changes first.
    ///
    /// # Errors
    /// As [`explainer`](Self::explainer).
    pub fn starts(&self, image: &[usize]) -> Result<Vec<Vec<usize>>, WindowError> {
        self.expect_sides(image.len())?;
        let sides = image.iter().zip(&self.size).map(|(&image, &window)| {
            let image = image.max(window);
            match self.scheme {
                Scheme::Monai => monai_starts(image, window, self.overlap),
                Scheme::NnUnet => nnunet_starts(image, window, 1.0 - self.overlap),
            }
        });
        let none: Vec<Vec<usize>> = vec![vec![]];
        Ok(sides.fold(none, |places, side| {
            let with = |place: &Vec<usize>, &start: &usize| [&**place, &[start]].concat();
            let places = places.iter();
            places.flat_map(|place| side.iter().map(move |start| with(place, start))).collect()
        }))
    }

    /// How much each pixel of a window counts, the last side fastest.
    ///
    /// # Errors
    /// As [`explainer`](Self::explainer).
    pub fn weights(&self) -> Result<Vec<f32>, WindowError> {
        self.expect_sides(self.size.len())?;
        Ok(match self.blending {
            Blending::Constant => vec![1.0; self.size.iter().product()],
            Blending::Gaussian(sigma) => monai_gaussian(&self.size, sigma),
            Blending::NnUnet => nnunet_gaussian(&self.size),
        })
    }

    /// Every combination of flips that is averaged, the one without flips first.
    pub(crate) fn flips(&self) -> Vec<Vec<usize>> {
        self.mirrored.iter().fold(vec![vec![]], |flips, &side| {
            let with = flips.iter().map(|flip| [&**flip, &[side]].concat());
            flips.iter().cloned().chain(with).collect()
        })
    }

    fn expect_sides(&self, wanted: usize) -> Result<(), WindowError> {
        let given = self.size.len();
        if given != wanted {
            return Err(WindowError::Sides { wanted, given });
        }
        let pixels = self.size.iter().try_fold(1usize, |pixels, side| pixels.checked_mul(*side));
        if pixels.is_none_or(|pixels| pixels == 0) {
            return Err(WindowError::Empty { given: self.size.clone() });
        }
        if !(0.0..1.0).contains(&self.overlap) {
            return Err(WindowError::Overlap { given: self.overlap });
        }
        if let Blending::Gaussian(given) = self.blending
            && !(given > 0.0 && given.is_finite())
        {
            return Err(WindowError::Sigma { given });
        }
        match self.mirrored.last() {
            Some(&given) if given >= wanted => Err(WindowError::Mirrored { wanted, given }),
            _ => Ok(()),
        }
    }
}

/// MONAI's: whole steps, the last one shifted back.
fn monai_starts(image: usize, window: usize, overlap: f64) -> Vec<usize> {
    let step = ((window as f64 * (1.0 - overlap)) as usize).max(1);
    let step = if image == window { window } else { step };
    let last = image - window;
    let whole = (0..).map(|i| i * step).take_while(|start| *start < last);
    whole.chain([last]).collect()
}

/// nnU-Net's: as few windows as will do, spread evenly.
fn nnunet_starts(image: usize, window: usize, step: f64) -> Vec<usize> {
    let (last, step) = ((image - window) as f64, window as f64 * step);
    let more = (last / step).ceil();
    if more == 0.0 {
        return vec![0];
    }
    let even = last / more;
    (0..=more as usize).map(|i| (even * i as f64).round_ties_even() as usize).collect()
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windows")
            .field("size", &self.size)
            .field("scheme", &self.scheme)
            .field("overlap", &self.overlap)
            .field("blending", &self.blending)
            .field("mirrored", &self.mirrored)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size: Vec<String> = self.size.iter().map(ToString::to_string).collect();
        write!(f, "{} windows, {} overlap", size.join("×"), self.overlap)?;
        match self.blending {
            Blending::Constant => write!(f, ", blended evenly")?,
            Blending::Gaussian(sigma) => write!(f, ", Gaussian blending ({sigma})")?,
            Blending::NnUnet => write!(f, ", nnU-Net's blending")?,
        }
        match self.flips().len() {
            1 => Ok(()),
            flips => write!(f, ", {flips} mirrored passes"),
        }
    }
}

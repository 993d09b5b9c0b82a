//! What a network saw, as a page shows it: a picture, labels, layers, and the numbers beside them.

use anyhow::{Result, bail};
use image::RgbImage;
use segcam::annotations::{Confusion, GroundTruth};
use segcam::burn::tensor::{Tensor, TensorData};
use segcam::models::Placement;
use segcam::{CamError, EngineKind, Layer, Observation, device_name, guarded};
use serde::Serialize;

use crate::annotations::Annotations;
use crate::drawing::here;
use crate::grey::draw;
use crate::network::{Model, is_volume};
use crate::read::Input;
use crate::report::JudgedReport;
use crate::view::{PlaneReport, View, midst};

/// What is known of an image after the network looked at it.
#[derive(Debug, Serialize)]
pub(crate) struct LookReport {
    /// What it is called.
    pub(crate) name: String,
    /// `[N, C, …]` as the network saw it.
    pub(crate) input_shape: Vec<usize>,
    /// Rows and columns of the picture; of a volume those of its first plane.
    pub(crate) picture: [usize; 2],
    /// Rows and columns of labels and of pixel sets, as far as they lie on the picture.
    pub(crate) labels: [usize; 2],
    /// Rows and columns of maps.
    pub(crate) maps: [usize; 2],
    /// Height and width of a label in pixels of the picture.
    pub(crate) label_size: [f64; 2],
    /// Height and width of a map's value in pixels of the picture.
    pub(crate) map_size: [f64; 2],
    /// Of a volume its three planes.
    pub(crate) planes: Vec<PlaneReport>,
    /// Of a volume the voxel to begin with.
    pub(crate) start: Option<[usize; 3]>,
    /// Of a volume the values that are shown as black and white, and its smallest and largest one.
    pub(crate) grey: Option<[f32; 4]>,
    /// Every class of the network.
    pub(crate) classes: Vec<ClassReport>,
    /// The layers with names, in forward order.
    pub(crate) layers: Vec<LayerReport>,
    /// What computes gradients.
    pub(crate) engine: String,
    /// Whether it is another engine than the usual one.
    pub(crate) fallback: bool,
    /// Where.
    pub(crate) device: String,
    /// Whether there is an annotation.
    pub(crate) truth: bool,
    /// Whether there are instance ids.
    pub(crate) instances: bool,
    /// How the image and its annotation were understood.
    pub(crate) notes: Vec<String>,
}

/// A class, and how much of the image is predicted as it.
#[derive(Debug, Serialize)]
pub(crate) struct ClassReport {
    /// Its number.
    pub(crate) class: usize,
    /// What it is called, if that is known.
    pub(crate) name: Option<String>,
    /// Whether it stands for nothing of interest.
    pub(crate) background: bool,
    /// Pixels that are predicted as it.
    pub(crate) pixels: usize,
    /// What an annotation says of them.
    pub(crate) judged: Option<JudgedReport>,
}

/// A layer.
#[derive(Debug, Serialize)]
pub(crate) struct LayerReport {
    /// Its name.
    pub(crate) name: String,
    /// `[N, C, …]`
    pub(crate) shape: Vec<usize>,
    /// Whether it is one of those to look at first.
    pub(crate) auto: bool,
    /// What computes it, of an ONNX file.
    pub(crate) operator: Option<String>,
}

/// Values of an image or of a plane, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Raster {
    pub(crate) size: [usize; 2],
    pub(crate) values: Vec<f32>,
}

/// A plane of a volume: which one of three, and where it stands.
pub(crate) type Place = Option<(usize, usize)>;

/// Everything that a page shows of an image.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) report: LookReport,
    shown: Shown,
    labels: Tensor<5>,
    truth: Option<Tensor<5>>,
    view: View,
}

#[derive(Debug)]
enum Shown {
    Picture(RgbImage),
    Volume(Box<Tensor<5>>),
}

/// Labels that are left out of an annotation, where others are numbers of classes.
const LEFT_OUT: f32 = 65535.0;

/// The sides of a tensor of images or volumes as those of a volume.
pub(crate) fn as_volume<const D: usize>(tensor: &Tensor<D>) -> Result<Tensor<5>, CamError> {
    let dims = tensor.dims();
    let depth = if is_volume::<D>() { dims[2] } else { 1 };
    Ok(here(tensor)?.reshape([dims[0], dims[1], depth, dims[D - 2], dims[D - 1]]))
}

impl Looked {
    pub(crate) fn new<const D: usize>(
        input: &Input<D>,
        seen: &Observation<D>,
        annotations: &Annotations,
        model: &Model,
    ) -> Result<Self> {
        let dims = input.tensor.dims();
        if dims[0] != 1 {
            bail!("the array holds {} images: the studio looks at one at a time", dims[0]);
        }
        let prediction = seen.prediction();
        let size = prediction.size();
        if is_volume::<D>() && size != dims[2..] {
            bail!(
                "the network's output has another size than the volume, which planes cannot show"
            );
        }
        let labels = guarded(|| Ok::<_, CamError>(prediction.labels().float()))?;
        let labels = as_volume(&labels)?;
        let (view, start) = match size[..] {
            [z, y, x] => {
                let classes = prediction.classes();
                let inside = match model.background(classes) {
                    Some(background) => labels.clone().not_equal_elem(background as f32).float(),
                    None => labels.clone(),
                };
                let at = midst(&inside, 0).unwrap_or([z / 2, y / 2, x / 2]);
                (View::planes([z, y, x], input.sides(), at), Some(at))
            }
            _ => (View::image(), None),
        };
        let whole = as_volume(&input.tensor)?;
        let shown = match &input.picture {
            Some(picture) => Shown::Picture(picture.image.clone()),
            None if is_volume::<D>() => Shown::Volume(Box::new(whole.clone())),
            None => {
                let flat = here(&input.tensor)?.reshape([1, dims[1], dims[D - 2], dims[D - 1]]);
                Shown::Picture(draw(&flat, None))
            }
        };
        let grey = is_volume::<D>().then(|| {
            let first = whole.narrow(1, 0, 1);
            let (low, high) = (first.clone().min().into_scalar(), first.max().into_scalar());
            let (black, white) = input.grey.unwrap_or((low, high));
            [black, white, low, high]
        });
        let truth = annotations.truth.as_ref();
        let sizes = Sizes::new(&shown, &view, input, [dims[D - 2], dims[D - 1]], &size);
        let report = LookReport {
            name: input.short_name().to_string(),
            input_shape: dims.to_vec(),
            picture: sizes.picture,
            labels: sizes.labels,
            maps: sizes.maps,
            label_size: sizes.label_size,
            map_size: sizes.map_size,
            planes: view.reports(),
            start,
            grey,
            classes: classes(&labels, seen, truth, model)?,
            layers: layers::<D>(seen.layers(), model),
            engine: seen.engine().to_string(),
            fallback: seen.engine() != &EngineKind::Graph,
            device: device_name(&input.tensor.device()),
            truth: truth.is_some(),
            instances: annotations.ids.is_some(),
            notes: [&model.notes[..], &input.notes, &annotations.notes].concat(),
        };
        let truth = truth.map(|truth| field(truth, labels.dims()));
        Ok(Self { report, shown, labels, truth, view })
    }

    /// The picture, or a plane of the volume whose values between two are shown as black to white.
    pub(crate) fn picture(&self, place: Place, window: Option<(f32, f32)>) -> Option<RgbImage> {
        match (&self.shown, place) {
            (Shown::Picture(picture), None) => Some(picture.clone()),
            (Shown::Volume(volume), Some((plane, at))) => {
                let flat = self.view.plane(volume, plane, at, true)?;
                let usual = self.report.grey.map(|[black, white, ..]| (black, white));
                Some(draw(&flat.narrow(1, 0, 1), window.or(usual)))
            }
            _ => None,
        }
    }

    /// The predicted class of each pixel; of a binary network 1 or 0.
    pub(crate) fn labels(&self, place: Place) -> Option<Raster> {
        self.raster(&self.labels, place, false, self.report.labels)
    }

    /// The right class of each pixel; 65535 where an annotation leaves it out.
    pub(crate) fn truth(&self, place: Place) -> Option<Raster> {
        self.raster(self.truth.as_ref()?, place, false, self.report.labels)
    }

    /// A map or a pixel set as it lies on the picture.
    pub(crate) fn raster(
        &self,
        field: &Tensor<5>,
        place: Place,
        smooth: bool,
        [rows, columns]: [usize; 2],
    ) -> Option<Raster> {
        let flat: Tensor<4> = match (&self.shown, place) {
            (Shown::Picture(_), None) => {
                let flat = field.clone().narrow(3, 0, rows).narrow(4, 0, columns);
                flat.reshape([1, 1, rows, columns])
            }
            (Shown::Volume(_), Some((plane, at))) => self.view.plane(field, plane, at, smooth)?,
            _ => return None,
        };
        let [_, _, rows, columns] = flat.dims();
        Some(Raster { size: [rows, columns], values: flat.into_data().iter::<f32>().collect() })
    }
}

/// How the grids of picture, labels and maps lie on each other.
struct Sizes {
    picture: [usize; 2],
    labels: [usize; 2],
    maps: [usize; 2],
    label_size: [f64; 2],
    map_size: [f64; 2],
}

impl Sizes {
    fn new<const D: usize>(
        shown: &Shown,
        view: &View,
        input: &Input<D>,
        whole: [usize; 2],
        output: &[usize],
    ) -> Self {
        if let [plane, ..] = &view.reports()[..] {
            let size = [plane.rows.pixels, plane.columns.pixels];
            let one = [1.0; 2];
            return Self {
                picture: size,
                labels: size,
                maps: size,
                label_size: one,
                map_size: one,
            };
        }
        let picture = match shown {
            Shown::Picture(picture) => [picture.height() as usize, picture.width() as usize],
            Shown::Volume(_) => whole,
        };
        // What was padded is not shown.
        let placement = input.placement().unwrap_or(Placement::same(whole));
        let maps = placement.resized;
        let output = [output[output.len() - 2], output[output.len() - 1]];
        let labels = [0, 1].map(|axis| (maps[axis] * output[axis]).div_ceil(whole[axis]));
        let map_size = [0, 1].map(|axis| picture[axis] as f64 / maps[axis] as f64);
        let label_size =
            [0, 1].map(|axis| map_size[axis] * whole[axis] as f64 / output[axis] as f64);
        Self { picture, labels, maps, label_size, map_size }
    }
}

/// An annotation at the size of the labels.
fn field(truth: &GroundTruth, shape: [usize; 5]) -> Tensor<5> {
    let label = |label: &u32| match *label {
        GroundTruth::IGNORED => LEFT_OUT,
        label => label as f32,
    };
    let values: Vec<f32> = truth.labels().iter().map(label).collect();
    let device = segcam::burn::tensor::Device::flex();
    Tensor::from_data(TensorData::new(values, shape), &device)
}

fn classes<const D: usize>(
    labels: &Tensor<5>,
    seen: &Observation<D>,
    truth: Option<&GroundTruth>,
    model: &Model,
) -> Result<Vec<ClassReport>> {
    let count = seen.prediction().classes();
    let mut pixels = vec![0; count.max(2)];
    for label in labels.to_data().iter::<f32>() {
        pixels[label as usize] += 1;
    }
    if count == 1 {
        // Of a binary network 1 stands for its only class.
        pixels.remove(0);
    }
    let background = model.background(count);
    let report = |(class, pixels): (usize, usize)| {
        let counts =
            truth.map(|truth| Confusion::new(truth, seen.prediction(), class)).transpose()?;
        Ok(ClassReport {
            class,
            name: model.classes.get(class).cloned(),
            background: Some(class) == background,
            pixels,
            judged: counts.map(|counts| JudgedReport::new(class, model, &counts)),
        })
    };
    pixels.into_iter().take(count).enumerate().map(report).collect()
}

fn layers<const D: usize>(layers: &[Layer], model: &Model) -> Vec<LayerReport> {
    let auto = model.default_layers(layers);
    let layers = layers.iter().filter(|layer| layer.shape.len() == D);
    let report = |layer: &Layer| LayerReport {
        name: layer.name.clone(),
        shape: layer.shape.clone(),
        auto: auto.contains(&layer.name),
        operator: model.operator(&layer.name).map(String::from),
    };
    layers.map(report).collect()
}

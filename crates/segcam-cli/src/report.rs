use segcam::Certificate;
use serde::Serialize;

/// `report.json`: every number needed to repeat a run. The schema is in `docs/report.md`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Version of segcam.
    pub(crate) segcam: &'static str,
    /// The command line.
    pub(crate) command: Vec<String>,
    pub(crate) model: String,
    /// Path of the weights, or `embedded`.
    pub(crate) weights: String,
    /// How an ONNX file was understood.
    pub(crate) notes: Vec<String>,
    /// Path of the input, or `generated`.
    pub(crate) input: String,
    /// `[N, C, …]` as the network saw it.
    pub(crate) input_shape: Vec<usize>,
    pub(crate) classes: usize,
    /// `asked` or `most frequent prediction`.
    pub(crate) class_chosen: &'static str,
    /// Pixels predicted as each class, for each image of the batch.
    pub(crate) predicted_pixels: Vec<Vec<usize>>,
    pub(crate) normalize: String,
    pub(crate) colormap: String,
    pub(crate) engine: String,
    pub(crate) device: String,
    /// Of a volume, the slice in the pictures, for each image of the batch.
    pub(crate) slices: Option<Vec<usize>>,
    pub(crate) maps: Vec<MapReport>,
    /// Classes and pixel sets that could not be explained, and why.
    pub(crate) failures: Vec<Failure>,
    pub(crate) files: Vec<String>,
}

/// What could not be explained.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) class: usize,
    pub(crate) pixel_set: String,
    pub(crate) error: String,
}

/// One map in [`Report`]; the vectors have one entry for each image of the batch.
#[derive(Debug, Serialize)]
pub(crate) struct MapReport {
    pub(crate) class: usize,
    pub(crate) class_name: Option<String>,
    pub(crate) method: String,
    pub(crate) layer: String,
    /// Shape of the raw map, `[N, 1, …]`.
    pub(crate) shape: Vec<usize>,
    pub(crate) pixel_set: String,
    pub(crate) pixels: Vec<usize>,
    /// The explained score: the class's logits summed over the pixel set.
    pub(crate) score: Vec<f64>,
    /// `positive`, `all-zero` or `all-negative`.
    pub(crate) status: Vec<String>,
    pub(crate) raw_min: Vec<f64>,
    pub(crate) raw_max: Vec<f64>,
    /// With `--certify`.
    pub(crate) certificate: Option<CertificateReport>,
    pub(crate) seconds: f64,
    /// Names of the files with this map.
    pub(crate) files: Vec<String>,
}

/// Exact statements about a map, summed over the batch. A field is `null` where the engine cannot
/// tell.
#[derive(Debug, Serialize)]
pub(crate) struct CertificateReport {
    /// Part of the score that comes through the layer.
    pub(crate) layer: f64,
    /// Parts that come through each value that goes past the layer.
    pub(crate) bypasses: Option<Vec<(String, f64)>>,
    /// Part that comes from biases and constants.
    pub(crate) bias: Option<f64>,
    /// How far the parts are from the score, relative to the sum of their absolute values.
    pub(crate) completeness_error: Option<f64>,
    /// What the map adds up to.
    pub(crate) map: f64,
    /// What the map leaves out of the layer's part.
    pub(crate) lost: f64,
    /// Share of the map's absolute values where influence is impossible.
    pub(crate) impossible: Option<f64>,
}

impl From<&Certificate> for CertificateReport {
    fn from(certificate: &Certificate) -> Self {
        let shares = certificate.shares.as_ref();
        Self {
            layer: certificate.exact,
            bypasses: shares.map(|shares| shares.bypasses.clone()),
            bias: shares.map(|shares| shares.bias),
            completeness_error: certificate.completeness_error(),
            map: certificate.map,
            lost: certificate.lost(),
            impossible: certificate.impossible,
        }
    }
}

use std::path::Path;

use burn::tensor::Device;
use bytes::Bytes;
use prost::Message;

use crate::program::Program;
use crate::{OnnxError, OnnxModel, proto};

/// A parsed ONNX file, checked as far as that needs no input.
///
/// # Example
/// ```no_run
/// use segcam_core::burn::tensor::Device;
/// use segcam_onnx::OnnxFile;
///
/// let file = OnnxFile::open("net.onnx")?;
/// println!("{} dimensions, {:?} channels", file.rank(), file.channels());
/// let model = file.load::<4>(&Device::flex())?;
/// # Ok::<(), segcam_onnx::OnnxError>(())
/// ```
#[derive(Debug)]
pub struct OnnxFile {
    whole: Program,
    /// The part that leads to the class scores.
    program: Program,
    weights: Vec<Vec<f32>>,
}

impl OnnxFile {
    /// Reads a file. Weights in other files must lie in the same folder, or below it.
    ///
    /// # Errors
    /// A file that cannot be read or is no ONNX model, unsupported operators, a broken graph.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OnnxError> {
        let path = path.as_ref();
        let read = |source| OnnxError::Read { path: path.to_path_buf(), source };
        let bytes = std::fs::read(path).map_err(read)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Self::new(bytes.into(), Some(parent.unwrap_or(Path::new("."))))
    }

    /// Reads a model that lies in memory and has no weights elsewhere.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Example
    /// ```
    /// use segcam_onnx::{OnnxError, OnnxFile};
    ///
    /// let error = OnnxFile::from_bytes(b"no model".to_vec()).unwrap_err();
    /// assert!(matches!(error, OnnxError::Malformed { .. }));
    /// ```
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, OnnxError> {
        Self::new(bytes.into(), None)
    }

    fn new(bytes: Bytes, folder: Option<&Path>) -> Result<Self, OnnxError> {
        let size = bytes.len();
        let malformed = |error: prost::DecodeError| OnnxError::Malformed { source: error.into() };
        let model = proto::Model::decode(bytes).map_err(malformed)?;
        let (whole, weights) = Program::read(&model, folder, size)?;
        Ok(Self { program: whole.towards(None)?, whole, weights })
    }

    /// Takes the tensor `name` for the class scores, instead of the file's first output before
    /// softmax, sigmoid and argmax.
    ///
    /// # Errors
    /// [`OnnxError::UnknownName`] if no node computes such a tensor.
    pub fn with_output(mut self, name: &str) -> Result<Self, OnnxError> {
        self.program = self.whole.towards(Some(name))?;
        Ok(self)
    }

    /// 4 if the network takes images `[N, C, H, W]`, 5 if it takes volumes `[N, C, D, H, W]`.
    pub fn rank(&self) -> usize {
        self.program.input_shape.len()
    }

    /// Images that a batch must have, if the file fixes that.
    pub fn batch(&self) -> Option<usize> {
        self.program.input_shape[0]
    }

    /// Channels that the input must have, if the file fixes them.
    pub fn channels(&self) -> Option<usize> {
        self.program.input_shape[1]
    }

    /// Spatial size that the input must have, `[H, W]` or `[D, H, W]`; `None` for a side that the
    /// file leaves open.
    pub fn size(&self) -> &[Option<usize>] {
        &self.program.input_shape[2..]
    }

    /// Names of the file's outputs, in its order.
    pub fn outputs(&self) -> Vec<&str> {
        self.whole.outputs.iter().map(String::as_str).collect()
    }

    /// Name of the tensor that holds the class scores.
    pub fn scores(&self) -> &str {
        &self.program.names[self.program.scores]
    }

    /// Operators between the class scores and the file's output, last first: `["Softmax"]`.
    pub fn skipped(&self) -> &[String] {
        &self.program.skipped
    }

    /// The network with its weights on `device`.
    ///
    /// # Errors
    /// [`OnnxError::NotSegmentation`] if it takes inputs of another rank than `D`.
    pub fn load<const D: usize>(self, device: &Device) -> Result<OnnxModel<D>, OnnxError> {
        if self.rank() != D {
            let kind = |rank| if rank == 4 { "images" } else { "volumes" };
            let reason = format!(
                "the network takes {}: load it with rank {}",
                kind(self.rank()),
                self.rank()
            );
            return Err(OnnxError::NotSegmentation { reason });
        }
        Ok(OnnxModel::new(self.program, self.weights, device))
    }
}

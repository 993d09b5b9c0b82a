use std::any::Any;
use std::collections::HashSet;
use std::fmt;

use burn::tensor::Tensor;

use crate::CamError;

/// A named layer of a network: its name and the shape of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Layer {
    /// The name given to [`Layers::name`], with the prefixes of [`Layers::scope`].
    pub name: String,
    /// Shape of the layer's output, `[N, C, …]`.
    pub shape: Vec<usize>,
}

/// Handed to [`SegmentationModel::forward`](crate::SegmentationModel::forward), so that a model can
/// say which of its tensors are layers worth explaining.
///
/// An engine sees each tensor on its way and may replace it; the forward pass must go on with the
/// tensor that [`name`](Layers::name) returns.
pub struct Layers<'a> {
    prefix: String,
    visitor: Option<&'a mut dyn FnMut(LayerView<'_>)>,
}

impl<'a> Layers<'a> {
    /// For a plain forward pass: names are ignored.
    ///
    /// # Example
    /// ```
    /// use segcam_core::{Layers, burn::tensor::{Device, Tensor}};
    ///
    /// let x = Tensor::<4>::ones([1, 1, 2, 2], &Device::flex());
    /// let y = Layers::ignored().name("mid", x);
    /// assert_eq!(y.dims(), [1, 1, 2, 2]);
    /// ```
    pub fn ignored() -> Self {
        Self { prefix: String::new(), visitor: None }
    }

    /// For engines: `visitor` sees every named layer in forward order and may replace its tensor.
    pub fn visited(visitor: &'a mut dyn FnMut(LayerView<'_>)) -> Self {
        Self { prefix: String::new(), visitor: Some(visitor) }
    }

    /// Names `tensor` and hands it back. Go on with the returned tensor.
    ///
    /// Tensors of any rank can be named; those of the model's own rank can be explained.
    pub fn name<const R: usize>(&mut self, name: &str, tensor: Tensor<R>) -> Tensor<R> {
        self.visit(name, tensor, false)
    }

    /// Names a tensor that few will ask about: it can be explained, too, but is not among the
    /// [`Observation::layers`](crate::Observation::layers), and its values are not kept from the
    /// first forward pass.
    ///
    /// # Example
    /// ```
    /// use segcam_core::{Layers, burn::tensor::{Device, Tensor}};
    ///
    /// let x = Tensor::<4>::ones([1, 1, 2, 2], &Device::flex());
    /// let y = Layers::ignored().detail("conv1.before_relu", x);
    /// assert_eq!(y.dims(), [1, 1, 2, 2]);
    /// ```
    pub fn detail<const R: usize>(&mut self, name: &str, tensor: Tensor<R>) -> Tensor<R> {
        self.visit(name, tensor, true)
    }

    fn visit<const R: usize>(
        &mut self,
        name: &str,
        mut tensor: Tensor<R>,
        detail: bool,
    ) -> Tensor<R> {
        if let Some(visitor) = &mut self.visitor {
            let name = format!("{}{name}", self.prefix);
            let shape = tensor.dims().to_vec();
            visitor(LayerView { layer: Layer { name, shape }, detail, tensor: &mut tensor });
        }
        tensor
    }

    /// Runs a part of the forward pass with `name.` before the names of its layers.
    ///
    /// # Example
    /// ```
    /// use segcam_core::{Layers, burn::tensor::{Device, Tensor}};
    ///
    /// let mut names = vec![];
    /// let mut visitor = |view: segcam_core::LayerView| names.push(view.layer.name);
    /// let x = Tensor::<4>::ones([1, 1, 2, 2], &Device::flex());
    /// Layers::visited(&mut visitor).scope("enc1", |layers| layers.name("conv1", x));
    /// assert_eq!(names, ["enc1.conv1"]);
    /// ```
    pub fn scope<T>(&mut self, name: &str, forward: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.prefix.len();
        self.prefix.push_str(name);
        self.prefix.push('.');
        let result = forward(self);
        self.prefix.truncate(outer);
        result
    }
}

/// A named layer as an engine sees it during a forward pass.
pub struct LayerView<'a> {
    /// Name and shape.
    pub layer: Layer,
    /// Whether it came through [`Layers::detail`].
    pub detail: bool,
    tensor: &'a mut dyn Any,
}

impl LayerView<'_> {
    /// The layer's output, to read or replace; `None` if its rank is not `D`.
    pub fn tensor<const D: usize>(&mut self) -> Option<&mut Tensor<D>> {
        self.tensor.downcast_mut()
    }
}

impl fmt::Debug for Layers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl fmt::Debug for LayerView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerView")
            .field("layer", &self.layer)
            .field("detail", &self.detail)
            .finish_non_exhaustive()
    }
}

/// Each layer must have its own name.
pub(crate) fn expect_unique<'a>(
    layers: impl IntoIterator<Item = &'a Layer>,
) -> Result<(), CamError> {
    let mut names = HashSet::new();
    match layers.into_iter().find(|layer| !names.insert(&layer.name)) {
        Some(twice) => Err(CamError::DuplicateLayer { name: twice.name.clone() }),
        None => Ok(()),
    }
}

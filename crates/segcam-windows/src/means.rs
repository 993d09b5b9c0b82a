use segcam_core::burn::tensor::{Tensor, TensorData};
use segcam_core::{CamError, CamMethod, combine};

use crate::engine::host;

/// Sums of gradients over the cells of a layer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Means {
    /// Number of cells in a window.
    pub(crate) cells: usize,
    /// Of each channel of each image.
    pub(crate) sums: Vec<f64>,
    /// The same of absolute values.
    pub(crate) magnitudes: Vec<f64>,
}

impl Means {
    /// Adds those of other windows.
    pub(crate) fn join(&mut self, others: &Self) {
        self.cells = self.cells.max(others.cells);
        for (sums, others) in
            [(&mut self.sums, &others.sums), (&mut self.magnitudes, &others.magnitudes)]
        {
            sums.resize(sums.len().max(others.len()), 0.0);
            sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
        }
    }

    /// Adds the gradients of a window.
    pub(crate) fn add<const D: usize>(&mut self, gradients: &Tensor<D>) -> Result<(), CamError> {
        let dims = gradients.dims();
        self.cells = dims[2..].iter().product();
        self.sums.resize(dims[0] * dims[1], 0.0);
        self.magnitudes.resize(dims[0] * dims[1], 0.0);
        let values = host(gradients.clone())?;
        let sums = self.sums.iter_mut().zip(&mut self.magnitudes);
        for ((sum, magnitude), channel) in sums.zip(values.chunks(self.cells)) {
            *sum += channel.iter().map(|value| f64::from(*value)).sum::<f64>();
            *magnitude += channel.iter().map(|value| f64::from(value.abs())).sum::<f64>();
        }
        Ok(())
    }

    /// The map that a method which averages gradients makes of a window's activations by the means over so
    /// many windows, and of absolute values.
    pub(crate) fn weight<const D: usize>(
        &self,
        method: &dyn CamMethod<D>,
        activations: Tensor<D>,
        windows: usize,
    ) -> Result<(Tensor<D>, Tensor<D>), CamError> {
        let cells = (self.cells * windows).max(1) as f64;
        let dims = activations.dims();
        let means = |sums: &[f64]| {
            let mut means: Vec<f32> = sums.iter().map(|sum| (sum / cells) as f32).collect();
            means.resize(dims[0] * dims[1], 0.0);
            let mut shape = [1; D];
            shape[..2].copy_from_slice(&dims[..2]);
            Tensor::<D>::from_data(TensorData::new(means, shape), &activations.device())
                .cast(activations.dtype())
                .expand(dims)
        };
        let (mean, magnitude) = (means(&self.sums), means(&self.magnitudes));
        let raw = combine(method, activations.clone(), mean)?;
        Ok((raw, combine(method, activations.abs(), magnitude)?))
    }
}

use segcam_core::burn::tensor::{Device, Tensor, TensorData};

use crate::part::Place;

/// A picture in host memory, `[N, C, …]`, to which windows are added.
pub(crate) struct Canvas<const D: usize> {
    shape: [usize; D],
    values: Vec<f32>,
}

impl<const D: usize> Canvas<D> {
    pub(crate) fn zeros(shape: [usize; D]) -> Self {
        Self { shape, values: vec![0.0; shape.iter().product()] }
    }

    /// Adds the part of `window` `[N, C, …]` that lies on the picture, times `weights` of the window's
    /// pixels if there are any.
    pub(crate) fn add(&mut self, place: &Place, window: &[f32], weights: Option<&[f32]>) {
        let pixels: usize = place.size.iter().product();
        let picture: usize = self.shape[2..].iter().product();
        for (window, picture) in window.chunks(pixels).zip(self.values.chunks_mut(picture)) {
            place.each_row(&self.shape[2..], |from, to, length| {
                let (from, to) = (from..from + length, &mut picture[to..to + length]);
                let window = &window[from.clone()];
                match weights {
                    None => to.iter_mut().zip(window).for_each(|(sum, value)| *sum += value),
                    Some(weights) => {
                        let terms = window.iter().zip(&weights[from]);
                        to.iter_mut().zip(terms).for_each(|(sum, (value, w))| *sum += value * w);
                    }
                }
            });
        }
    }

    /// Of values that are there already.
    pub(crate) fn of(shape: [usize; D], values: Vec<f32>) -> Self {
        Self { shape, values }
    }

    /// Divides every channel by the same picture.
    pub(crate) fn divide(&mut self, by: &Self) {
        for channel in self.values.chunks_mut(by.values.len()) {
            channel.iter_mut().zip(&by.values).for_each(|(value, by)| *value /= by);
        }
    }

    pub(crate) fn into_values(self) -> Vec<f32> {
        self.values
    }

    pub(crate) fn into_tensor(self, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.values, self.shape), device)
    }
}

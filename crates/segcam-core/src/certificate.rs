use segcam_graph::Shares;

use crate::checks::sum;
use crate::{CamError, Explanation, Observation, Target, Wanted, guarded};

/// Exact statements about one map, summed over the images of a batch.
///
/// In a network that is piecewise linear after the layer (ReLU, max pooling, fixed BatchNorm, linear
/// interpolation) the score is the sum of what comes through the layer, what goes past it, and the
/// biases after it. HiResCAM's map adds up to the layer's share; averaged gradients lose
/// `N·Σ_k cov_u(g_k, A_k)` of it, and put the rest also where no influence is possible.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Certificate {
    /// The explained score.
    pub score: f64,
    /// Where it comes from when the network is cut at the layer; `None` with the tape engine.
    pub shares: Option<Shares>,
    /// `Σ A·∂s/∂A` over the layer: what a map must add up to that loses nothing.
    pub exact: f64,
    /// What the map adds up to.
    pub map: f64,
    /// Share of the map's absolute values in cells that no explained pixel can depend on, whatever
    /// the image; `None` with the tape engine, and for a map of zeros or of nothing but rounding.
    pub impossible: Option<f64>,
}

impl Certificate {
    /// `|s − Σ shares| / Σ |shares|`: rounding only, if what follows the layer is piecewise linear.
    pub fn completeness_error(&self) -> Option<f64> {
        let shares = self.shares.as_ref()?;
        let past: f64 = shares.bypasses.iter().map(|(_, share)| share.abs()).sum();
        let all = shares.node.abs() + past + shares.bias.abs();
        Some(if all == 0.0 { 0.0 } else { (self.score - shares.total()).abs() / all })
    }

    /// What the map leaves out of the layer's exact share; zero for HiResCAM.
    pub fn lost(&self) -> f64 {
        self.exact - self.map
    }
}

impl<const D: usize> Observation<D> {
    /// The certificate of a map of this observation. Costs about one forward and one backward pass for
    /// the first map of a layer, and one backward pass for each further one, in any order.
    ///
    /// # Errors
    /// [`CamError::OtherObservation`] if the map is of another, and whatever makes the engine fail.
    ///
    /// # Example
    /// ```
    /// # use segcam_core::burn::{self, module::Module, nn::conv::{Conv2d, Conv2dConfig}};
    /// # use segcam_core::burn::tensor::{Device, Tensor, activation::relu};
    /// # use segcam_core::*;
    /// # #[derive(Module, Debug)]
    /// # struct Net { conv: Conv2d, head: Conv2d }
    /// # impl SegmentationModel for Net {
    /// #     fn forward(&self, image: Tensor<4>, layers: &mut Layers) -> Tensor<4> {
    /// #         self.head.forward(layers.name("conv", relu(self.conv.forward(image))))
    /// #     }
    /// # }
    /// # let device = Device::flex();
    /// # let net = Net {
    /// #     conv: Conv2dConfig::new([3, 4], [3, 3]).init(&device),
    /// #     head: Conv2dConfig::new([4, 2], [1, 1]).init(&device),
    /// # };
    /// let seen = Explainer::new(net).observe(Tensor::ones([1, 3, 8, 8], &device))?;
    /// let map = seen.explain(&HiResCam, "conv", 1)?;
    /// let certificate = seen.certify(&map)?;
    /// assert!(certificate.completeness_error() < Some(1e-5));
    /// assert!(certificate.lost().abs() < 1e-4);
    /// # Ok::<(), CamError>(())
    /// ```
    pub fn certify(&self, map: &Explanation<D>) -> Result<Certificate, CamError> {
        if !map.is_of(self) {
            return Err(CamError::OtherObservation { layer: map.layer().to_string() });
        }
        self.expect_going_on()?;
        guarded(|| {
            let (target, layer) = (map.target(), map.layer());
            let certifier = self.pass().certifier();
            let certified = certifier.map(|certifier| certifier.certify(target, layer));
            let (shares, reachable) = certified.transpose()?.unzip();
            let exact = match &shares {
                Some(shares) => shares.node,
                None => self.share_of_layer(target, layer)?,
            };
            let cells = map.signal().abs();
            let all = sum(cells.clone());
            let reachable = reachable.filter(|_| all > 0.0);
            let impossible = reachable.map(|reachable| sum(cells * (reachable.neg() + 1.0)) / all);
            let (score, map) = (map.score().iter().sum(), map.total().iter().sum());
            Ok(Certificate { score, shares, exact, map, impossible })
        })
    }

    /// `Σ A·∂s/∂A` over the layer.
    fn share_of_layer(&self, target: &Target<D>, layer: &str) -> Result<f64, CamError> {
        let mut share = 0.0;
        let wanted = [Wanted { target: target.clone(), layers: vec![layer] }];
        self.pass().gradients(&wanted, &mut |_, _, found| {
            share = sum(found.activations * found.gradients);
            Ok(())
        })?;
        Ok(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_relative_to_all_shares() {
        let bypasses = vec![("skip".to_string(), -2.0), ("deep".to_string(), 0.5)];
        let shares = Shares { node: 3.0, bypasses, bias: -1.0 };
        let mut certificate = Certificate {
            score: 0.25,
            shares: Some(shares),
            exact: 3.0,
            map: 2.0,
            impossible: None,
        };
        assert_eq!(certificate.completeness_error(), Some(0.25 / 6.5));
        assert_eq!(certificate.lost(), 1.0);
        certificate.shares = None;
        assert_eq!(certificate.completeness_error(), None);
        certificate.shares = Some(Shares { node: 0.0, bypasses: vec![], bias: 0.0 });
        assert_eq!(certificate.completeness_error(), Some(0.0));
    }
}

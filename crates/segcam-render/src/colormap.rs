use std::fmt;
use std::str::FromStr;

use colorgrad::{Gradient, GradientBuilder, LinearGradient, preset};
use image::Rgb;
use segcam_core::UnknownName;

/// From a number in `[0, 1]` to a colour.
///
/// # Example
/// ```
/// use segcam_render::Colormap;
///
/// let low_and_high: Vec<_> = Colormap::Viridis.colors([0.0, 1.0]);
/// assert_eq!(low_and_high[0].0, [68, 1, 84]);
/// assert_eq!("turbo".parse(), Ok(Colormap::Turbo));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colormap {
    /// Perceptually uniform, dark blue to yellow.
    Viridis,
    /// Perceptually uniform, black to pale yellow over purple.
    Magma,
    /// Perceptually uniform, black to pale yellow over red.
    #[default]
    Inferno,
    /// A rainbow with smooth brightness.
    Turbo,
    /// The rainbow of many papers; it invents edges. For comparison only.
    Jet,
}

impl Colormap {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Viridis, Self::Magma, Self::Inferno, Self::Turbo, Self::Jet];

    /// Colours of `values`; values outside `[0, 1]` take the nearest end.
    pub fn colors(self, values: impl IntoIterator<Item = f32>) -> Vec<Rgb<u8>> {
        let gradient: Box<dyn Gradient> = match self {
            Self::Viridis => Box::new(preset::viridis()),
            Self::Magma => Box::new(preset::magma()),
            Self::Inferno => Box::new(preset::inferno()),
            Self::Turbo => Box::new(preset::turbo()),
            Self::Jet => Box::new(jet()),
        };
        let color = |value: f32| {
            let [r, g, b, _] = gradient.at(value.clamp(0.0, 1.0)).to_rgba8();
            Rgb([r, g, b])
        };
        values.into_iter().map(color).collect()
    }
}

/// Breakpoints as in matplotlib.
fn jet() -> LinearGradient {
    GradientBuilder::new()
        .html_colors(&["#000080", "#0000ff", "#00ffff", "#ffff00", "#ff0000", "#800000"])
        .domain(&[0.0, 0.125, 0.375, 0.625, 0.875, 1.0])
        .build()
        .expect("six colours at six places")
}

impl fmt::Display for Colormap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viridis => "viridis",
            Self::Magma => "magma",
            Self::Inferno => "inferno",
            Self::Turbo => "turbo",
            Self::Jet => "jet",
        })
    }
}

impl FromStr for Colormap {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("colour map", name, &Self::ALL)
    }
}

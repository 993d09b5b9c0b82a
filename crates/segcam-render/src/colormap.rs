use std::fmt;
use std::str::FromStr;

use colorgrad::{BlendMode, Color, Gradient, GradientBuilder, LinearGradient, preset};
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
#[non_exhaustive]
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
    /// Two hues that colour-blind readers tell apart: blue to pale cyan below the middle, orange to
    /// pale yellow above it, each as light as the other at the same distance from the dark middle.
    /// Perceptually uniform on both sides. For values that speak for or against.
    BlueOrange,
}

impl Colormap {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Viridis, Self::Magma, Self::Inferno, Self::Turbo, Self::Jet, Self::BlueOrange];

    /// Whether its middle means nothing, and its two sides opposite things.
    pub fn is_diverging(self) -> bool {
        self == Self::BlueOrange
    }

    /// Colours of `values`; values outside `[0, 1]` take the nearest end.
    pub fn colors(self, values: impl IntoIterator<Item = f32>) -> Vec<Rgb<u8>> {
        let gradient: Box<dyn Gradient> = match self {
            Self::Viridis => Box::new(preset::viridis()),
            Self::Magma => Box::new(preset::magma()),
            Self::Inferno => Box::new(preset::inferno()),
            Self::Turbo => Box::new(preset::turbo()),
            Self::Jet => Box::new(jet()),
            Self::BlueOrange => Box::new(blue_orange()),
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

/// Lightness rises evenly from the middle to both ends; made in Oklab, where equal distances look
/// equal (Ottosson 2020).
fn blue_orange() -> LinearGradient {
    // Lightness, chroma, and the hue in degrees below and above the middle.
    const SIDE: [(f32, f32, [f32; 2]); 4] = [
        (0.92, 0.09, [205.0, 100.0]),
        (0.76, 0.15, [238.0, 68.0]),
        (0.60, 0.16, [252.0, 50.0]),
        (0.44, 0.11, [262.0, 38.0]),
    ];
    let color = |side: usize| {
        move |&(lightness, chroma, hues): &(f32, f32, [f32; 2])| {
            Color::from_oklcha(lightness, chroma, hues[side].to_radians(), 1.0)
        }
    };
    let middle = Color::from_oklcha(0.28, 0.0, 0.0, 1.0);
    let below = SIDE.iter().map(color(0));
    let above = SIDE.iter().rev().map(color(1));
    let colors: Vec<Color> = below.chain([middle]).chain(above).collect();
    GradientBuilder::new()
        .colors(&colors)
        .mode(BlendMode::Oklab)
        .build()
        .expect("nine colours at even places")
}

impl fmt::Display for Colormap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viridis => "viridis",
            Self::Magma => "magma",
            Self::Inferno => "inferno",
            Self::Turbo => "turbo",
            Self::Jet => "jet",
            Self::BlueOrange => "blue-orange",
        })
    }
}

impl FromStr for Colormap {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("colour map", name, Self::ALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lightness and place in Oklab.
    fn oklab(color: &Rgb<u8>) -> [f32; 3] {
        let [r, g, b] = color.0;
        let [l, a, b, _] = Color::from_rgba8(r, g, b, 255).to_oklaba();
        [l, a, b]
    }

    #[test]
    fn opposite_values_look_equally_strong_and_equal_steps_equal() {
        let colors = Colormap::BlueOrange.colors((0..=64).map(|i| i as f32 / 64.0));
        let places: Vec<[f32; 3]> = colors.iter().map(oklab).collect();
        for (below, above) in places.iter().zip(places.iter().rev()) {
            assert!((below[0] - above[0]).abs() < 0.02, "{below:?} {above:?}");
        }
        let steps = places.windows(2).map(|pair| {
            let squares = (0..3).map(|i| (pair[0][i] - pair[1][i]).powi(2));
            squares.sum::<f32>().sqrt()
        });
        let steps: Vec<f32> = steps.collect();
        let mean = steps.iter().sum::<f32>() / steps.len() as f32;
        for (at, step) in steps.iter().enumerate() {
            assert!((0.6..1.6).contains(&(step / mean)), "step {at}: {step} of {mean}");
        }
        // Lightness rises on either side.
        assert!(places[..33].windows(2).all(|pair| pair[0][0] > pair[1][0]));
    }

    /// A colour as people without one kind of cones see it: Machado, Oliveira and Fernandes, "A
    /// Physiologically-based Model for Simulation of Color Vision Deficiency", 2009.
    fn simulated([r, g, b]: [u8; 3], cones: [[f32; 3]; 3]) -> [f32; 3] {
        let [r, g, b, _] = Color::from_rgba8(r, g, b, 255).to_linear_rgba();
        let [r, g, b] = cones.map(|[red, green, blue]| red * r + green * g + blue * b);
        let [l, a, b, _] = Color::from_linear_rgba(r, g, b, 1.0).to_oklaba();
        [l, a, b]
    }

    #[test]
    fn colour_blind_readers_tell_for_from_against() {
        const PROTANOPIA: [[f32; 3]; 3] = [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ];
        const DEUTERANOPIA: [[f32; 3]; 3] = [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ];
        const TRITANOPIA: [[f32; 3]; 3] = [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ];
        let apart = |colors: &[Rgb<u8>], cones| {
            let [below, above] = [colors[0], colors[1]].map(|color| simulated(color.0, cones));
            (1..3).map(|axis| (below[axis] - above[axis]).powi(2)).sum::<f32>().sqrt()
        };
        for cones in [PROTANOPIA, DEUTERANOPIA, TRITANOPIA] {
            for strength in [0.3, 0.5, 0.8, 1.0] {
                let ends = [0.5 - strength / 2.0, 0.5 + strength / 2.0];
                let hues = apart(&Colormap::BlueOrange.colors(ends), cones);
                assert!(hues > 0.08, "{hues} at {strength}");
            }
        }
        // What they mix up is near by this measure.
        let red_green = [Rgb([210, 90, 90]), Rgb([110, 140, 80])];
        assert!(apart(&red_green, DEUTERANOPIA) < 0.01);
    }
}

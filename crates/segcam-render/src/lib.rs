//! Pictures of `segcam`'s heat maps: overlays, outlines, colour bars, figures with captions, and
//! [`charts`] of what was measured.
//!
//! ```
//! use image::{Rgb, RgbImage};
//! use segcam_render::{Bar, Colormap, Panel, Plane, figure, outline, overlay};
//!
//! let picture = RgbImage::from_pixel(32, 32, Rgb([90, 90, 90]));
//! let heat = Plane::from_fn(32, 32, |y, x| (y * x) as f32 / 1024.0);
//! let mask = Plane::from_fn(32, 32, |y, x| f32::from(u8::from(y > 8 && x > 8)));
//!
//! let mut image = overlay(&picture, &heat, Colormap::Viridis);
//! outline(&mut image, &mask, Rgb([255, 255, 255]));
//! let bar = Bar { colormap: Colormap::Viridis, low: 0.0, high: 12.5 };
//! let panel = Panel { image, caption: "Seg-HiRes-Grad-CAM at mid".into(), bar: Some(bar) };
//! figure("One object", &[vec![panel]]).save(std::env::temp_dir().join("figure.png"))?;
//! # Ok::<(), image::ImageError>(())
//! ```

mod canvas;
mod chart;
mod colormap;
mod figure;
mod overlay;
mod pdf;
mod picture;
mod plane;
mod sheet;
mod text;

pub use chart::{Chart, Point, Series, charts, charts_svg};
pub use colormap::Colormap;
pub use figure::{Bar, Figure, Panel, figure, short_number};
pub use overlay::{MOST, SOLID_FROM, outline, overlay, tint};
pub use picture::picture;
pub use plane::Plane;
pub use text::label;

/// The image library whose pictures these functions take and give.
pub use image;

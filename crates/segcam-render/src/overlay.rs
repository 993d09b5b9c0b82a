use image::{Rgb, RgbImage};

use crate::{Colormap, Plane};

/// Where the heat is nothing the picture shows through; from this heat on it is covered most.
pub const SOLID_FROM: f32 = 0.35;
/// A mask smaller than this many pixels in both directions gets a ring.
const TINY: usize = 10;
/// How dark the edge of an outline is.
const EDGE: f32 = 0.55;
/// How much of the picture is covered at most.
pub const MOST: f32 = 0.9;
/// Of the table of colours.
const STEPS: usize = 4096;

/// Lays heat over a picture, the more opaque the stronger. Heat lies in `[0, 1]`; under a
/// [diverging](Colormap::is_diverging) map in `[-1, 1]`, and what is below zero speaks against.
/// Where `heat` does not reach, the picture stays as it is.
pub fn overlay(picture: &RgbImage, heat: &Plane, colormap: Colormap) -> RgbImage {
    // A table: neighbouring colours of it differ by a step of 8 bits at most.
    let colors = colormap.colors((0..=STEPS).map(|step| step as f32 / STEPS as f32));
    let place = |heat: f32| if colormap.is_diverging() { (heat + 1.0) / 2.0 } else { heat };
    let mut image = picture.clone();
    let rows = image.rows_mut().zip(heat.values().chunks(heat.width().max(1)));
    for (pixel, &heat) in rows.flat_map(|(pixels, heat)| pixels.zip(heat)) {
        let strength = if colormap.is_diverging() { heat.abs() } else { heat };
        let cover = MOST * (strength / SOLID_FROM).clamp(0.0, 1.0);
        if cover > 0.0 {
            let step = (place(heat).clamp(0.0, 1.0) * STEPS as f32).round() as usize;
            mix(pixel, colors[step], cover);
        }
    }
    image
}

/// Mixes a colour into the members (above 0) of a mask: 0 changes nothing, 1 covers the picture.
pub fn tint(image: &mut RgbImage, mask: &Plane, color: Rgb<u8>, cover: f32) {
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        if mask.has(y as usize, x as usize) {
            mix(pixel, color, cover);
        }
    }
}

fn mix(below: &mut Rgb<u8>, above: Rgb<u8>, cover: f32) {
    for (below, above) in below.0.iter_mut().zip(above.0) {
        *below = (f32::from(*below) * (1.0 - cover) + f32::from(above) * cover + 0.5) as u8;
    }
}

/// Draws the [border](Plane::border) of a mask with a dark edge outside, so that it stands out on
/// bright colours, and a ring around one that is too small to see.
pub fn outline(image: &mut RgbImage, mask: &Plane, color: Rgb<u8>) {
    let border = mask.border();
    for (y, x) in mask.rim() {
        if let Some(pixel) = image.get_pixel_mut_checked(x as u32, y as u32) {
            mix(pixel, Rgb([0; 3]), EDGE);
        }
    }
    for &(y, x) in &border {
        if let Some(pixel) = image.get_pixel_mut_checked(x as u32, y as u32) {
            *pixel = color;
        }
    }
    let range = |at: fn(&(usize, usize)) -> usize| {
        let places = border.iter().map(at);
        Some((places.clone().min()?, places.max()?))
    };
    if let (Some((top, bottom)), Some((left, right))) = (range(|at| at.0), range(|at| at.1))
        && (bottom - top).max(right - left) < TINY
    {
        let center = ((left + right) as i32 / 2, (top + bottom) as i32 / 2);
        for radius in [TINY as i32, TINY as i32 + 1] {
            ring(image, center, radius, color);
        }
    }
}

/// A circle of single pixels; what lies outside the image is left out.
fn ring(image: &mut RgbImage, center: (i32, i32), radius: i32, color: Rgb<u8>) {
    // Eight steps for each pixel of the radius leave no gaps.
    for step in 0..8 * radius {
        let angle = f64::from(step) * std::f64::consts::TAU / f64::from(8 * radius);
        let place = |middle: i32, part: f64| middle + (f64::from(radius) * part).round() as i32;
        let at = (place(center.0, angle.cos()), place(center.1, angle.sin()));
        if let (Ok(x), Ok(y)) = (u32::try_from(at.0), u32::try_from(at.1))
            && let Some(pixel) = image.get_pixel_mut_checked(x, y)
        {
            *pixel = color;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_all_colours() {
        for &colormap in Colormap::ALL {
            let (low, most) = if colormap.is_diverging() { (-1.0, 2.0) } else { (0.0, 1.0) };
            let values = (0..10_007).map(|step| step as f32 / 10_006.0);
            let heat: Vec<f32> = values.clone().map(|value| low + most * value).collect();
            let picture = RgbImage::new(10_007, 1);
            let plane = Plane::from_fn(1, 10_007, |_, x| heat[x]);
            let drawn = overlay(&picture, &plane, colormap);
            for ((pixel, color), heat) in drawn.pixels().zip(colormap.colors(values)).zip(heat) {
                let cover = MOST * (heat.abs() / SOLID_FROM).min(1.0);
                for (here, wanted) in pixel.0.iter().zip(color.0) {
                    let wanted = f32::from(wanted) * cover;
                    assert!((f32::from(*here) - wanted).abs() < 1.5, "{colormap} at {heat}");
                }
            }
        }
    }

    #[test]
    fn an_outline_has_a_dark_edge_on_bright_colours() {
        let yellow = Rgb([255, 240, 60]);
        let mut image = RgbImage::from_pixel(40, 40, yellow);
        let inside = |y: usize, x: usize| (10..30).contains(&y) && (10..30).contains(&x);
        let mask = Plane::from_fn(40, 40, |y, x| f32::from(u8::from(inside(y, x))));
        outline(&mut image, &mask, Rgb([255; 3]));
        assert_eq!(image.get_pixel(20, 10).0, [255; 3], "the outline");
        for (x, y) in [(20, 9), (20, 30), (9, 20), (30, 20)] {
            let Rgb([r, g, _]) = *image.get_pixel(x, y);
            assert!(r < 128 && g < 128, "{r} {g} beside it at {x}, {y}");
        }
        for at in [(20, 8), (20, 20), (20, 11)] {
            assert_eq!(*image.get_pixel(at.0, at.1), yellow, "{at:?}");
        }
    }
}

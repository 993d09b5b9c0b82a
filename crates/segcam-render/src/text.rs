//! Letters on pictures.

use ab_glyph::{Font, FontRef, GlyphId, OutlinedGlyph, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

/// The file of the font of all text.
pub(crate) const FONT: &[u8] = epaint_default_fonts::UBUNTU_LIGHT;

/// The font of all text.
pub(crate) fn font() -> FontRef<'static> {
    FontRef::try_from_slice(FONT).expect("a font that ships whole")
}

/// The width of a line in pixels.
pub(crate) fn width(text: &str, size: f32, font: &FontRef) -> u32 {
    set(text, size, font).1.ceil() as u32
}

/// Writes a short line onto a picture, `at` being the left and the top of it, in letters of so many pixels.
/// What does not fit is cut off.
///
/// ```
/// use image::{Rgb, RgbImage};
///
/// let mut picture = RgbImage::new(40, 20);
/// segcam_render::label(&mut picture, (2, 2), 14.0, Rgb([255; 3]), "L");
/// assert!(picture.pixels().any(|pixel| pixel.0[0] > 128));
/// ```
pub fn label(picture: &mut RgbImage, at: (u32, u32), size: f32, ink: Rgb<u8>, text: &str) {
    write(picture, at, size, &font(), ink, text);
}

/// Writes a line whose top left corner is at `(left, top)`. What does not fit is cut off.
pub(crate) fn write(
    canvas: &mut RgbImage,
    (left, top): (u32, u32),
    size: f32,
    font: &FontRef,
    ink: Rgb<u8>,
    text: &str,
) {
    for letter in set(text, size, font).0 {
        let corner = letter.px_bounds().min;
        letter.draw(|x, y, cover| {
            let x = f64::from(left) + f64::from(corner.x) + f64::from(x);
            let y = f64::from(top) + f64::from(corner.y) + f64::from(y);
            if x < 0.0 || y < 0.0 {
                return;
            }
            if let Some(pixel) = canvas.get_pixel_mut_checked(x as u32, y as u32) {
                for (below, ink) in pixel.0.iter_mut().zip(ink.0) {
                    let mixed = f32::from(*below) * (1.0 - cover) + f32::from(ink) * cover;
                    *below = mixed.round() as u8;
                }
            }
        });
    }
}

/// The outlines of a line's letters, each in its place, and the line's width.
fn set(text: &str, size: f32, font: &FontRef) -> (Vec<OutlinedGlyph>, f32) {
    let (scale, ascent) = (PxScale::from(size), font.as_scaled(size).ascent());
    let (places, width) = places(text, size, font);
    let outline = |(id, at): (GlyphId, f32)| {
        font.outline_glyph(id.with_scale_and_position(scale, point(at, ascent)))
    };
    (places.into_iter().filter_map(outline).collect(), width)
}

/// The glyph of each letter of a line and where it begins, and the line's width.
pub(crate) fn places(text: &str, size: f32, font: &FontRef) -> (Vec<(GlyphId, f32)>, f32) {
    let scaled = font.as_scaled(size);
    let (mut at, mut before, mut places) = (0.0, None, vec![]);
    for letter in text.chars() {
        let id = scaled.glyph_id(letter);
        at += before.map_or(0.0, |before| scaled.kern(before, id));
        places.push((id, at));
        at += scaled.h_advance(id);
        before = Some(id);
    }
    (places, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_where_their_width_says_and_what_does_not_fit_is_cut() {
        let font = font();
        assert_eq!(width("", 20.0, &font), 0);
        let wide = width("Why nuclei?", 20.0, &font);
        let white = Rgb([255, 255, 255]);
        let mut canvas = RgbImage::from_pixel(wide + 20, 30, white);
        write(&mut canvas, (5, 2), 20.0, &font, Rgb([0, 0, 0]), "Why nuclei?");
        let inked: Vec<u32> = canvas
            .enumerate_pixels()
            .filter(|(_, _, pixel)| pixel.0 != white.0)
            .map(|(x, ..)| x)
            .collect();
        assert!(inked.len() > 200, "{} pixels", inked.len());
        assert!(inked.iter().all(|x| (4..=wide + 6).contains(x)));
        write(&mut canvas, (wide + 15, 25), 20.0, &font, Rgb([0, 0, 0]), "cut");
    }
}

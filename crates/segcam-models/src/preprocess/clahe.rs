use image::GrayImage;

/// Contrast-limited adaptive histogram equalisation with the conventions of OpenCV, which the
/// retina network was trained with (Zuiderveld, "Contrast Limited Adaptive Histogram
/// Equalization", Graphics Gems IV, 1994).
///
/// Those conventions: 256 bins over all bytes, excess counts spread once, tiles of equal size over a
/// mirrored border, bilinear blending between tile centres, rounding to even. The crate `clahe`
/// 0.1.3 bins between each tile's own extremes and truncates.
pub(super) fn clahe(image: &GrayImage, tiles: usize, clip: f64) -> GrayImage {
    let (width, height) = (image.width() as usize, image.height() as usize);
    // Like OpenCV, a whole extra tile row or column where one side does not divide.
    let divides = width.is_multiple_of(tiles) && height.is_multiple_of(tiles);
    let tile = |side: usize| {
        if divides { side / tiles } else { side / tiles + 1 }
    };
    let (tile_width, tile_height) = (tile(width), tile(height));

    let luts: Vec<[f32; 256]> = (0..tiles * tiles)
        .map(|i| {
            let (top, left) = (i / tiles * tile_height, i % tiles * tile_width);
            let mut histogram = [0usize; 256];
            for y in top..top + tile_height {
                for x in left..left + tile_width {
                    let pixel = image.get_pixel(mirror(x, width), mirror(y, height));
                    histogram[usize::from(pixel.0[0])] += 1;
                }
            }
            equalize(histogram, tile_width * tile_height, clip)
        })
        .collect();

    let place = |at: u32, tile: usize| {
        let position = at as f32 / tile as f32 - 0.5;
        let below = position.floor();
        let cell = |at: f32| (at.max(0.0) as usize).min(tiles - 1);
        (cell(below), cell(below + 1.0), position - below)
    };
    GrayImage::from_fn(image.width(), image.height(), |x, y| {
        let value = usize::from(image.get_pixel(x, y).0[0]);
        let (left, right, across) = place(x, tile_width);
        let (top, bottom, down) = place(y, tile_height);
        let row = |row: usize| {
            let (a, b) = (luts[row * tiles + left][value], luts[row * tiles + right][value]);
            a * (1.0 - across) + b * across
        };
        let blended = row(top) * (1.0 - down) + row(bottom) * down;
        image::Luma([blended.round_ties_even() as u8])
    })
}

fn equalize(mut histogram: [usize; 256], pixels: usize, clip: f64) -> [f32; 256] {
    let limit = ((clip * pixels as f64 / 256.0) as usize).max(1);
    let excess: usize = histogram.iter().map(|&count| count.saturating_sub(limit)).sum();
    histogram.iter_mut().for_each(|count| *count = (*count).min(limit) + excess / 256);
    let rest = excess % 256;
    if let Some(step) = 256usize.checked_div(rest) {
        histogram.iter_mut().step_by(step.max(1)).take(rest).for_each(|count| *count += 1);
    }
    let mut sum = 0;
    histogram.map(|count| {
        sum += count;
        (sum as f32 * (255.0 / pixels as f32)).round_ties_even().min(255.0)
    })
}

/// Mirrors at the last pixel without repeating it.
fn mirror(at: usize, side: usize) -> u32 {
    let last = side - 1;
    if at <= last { at as u32 } else { last.saturating_sub(at - last) as u32 }
}

//! A figure as a page of a PDF file: pictures as they are, and text whose font the file brings.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;

use ab_glyph::{Font, FontRef, GlyphId, ScaleFont};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::RgbImage;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Name, Pdf, Rect, Ref, Str, TextStr};
use subsetter::{GlyphRemapper, subset};

use crate::sheet::{INK, Sheet};
use crate::text::{self, FONT, font};

/// What the page calls its font.
const PAGE_FONT: Name<'static> = Name(b"F");
/// Glyphs have no numbers but those of the font itself.
const IDENTITY: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// The file of a sheet that is `width` points wide.
pub(crate) fn of_sheet(title: &str, sheet: &Sheet, width: f32) -> Vec<u8> {
    let mut ids = (1..).map(Ref::new);
    let mut id = || ids.next().expect("there are more numbers than objects");
    let (catalog, pages, page, contents, info, font) = (id(), id(), id(), id(), id(), id());
    let mut pdf = Pdf::new();
    let mut letters = Letters::default();
    let scale = width / sheet.width as f32;
    let mut content = Content::new();
    content.transform([scale, 0.0, 0.0, scale, 0.0, 0.0]);
    content.set_fill_rgb(1.0, 1.0, 1.0);
    content.rect(0.0, 0.0, sheet.width as f32, sheet.height as f32).fill_nonzero();

    // The y of a page goes up.
    let up = |y: f32| sheet.height as f32 - y;
    let mut pictures = vec![];
    for (left, top, picture) in &sheet.pictures {
        let name = format!("P{}", pictures.len());
        let [width, height] = [picture.width(), picture.height()].map(|side| side as f32);
        let corner = [*left as f32, up(*top as f32 + height)];
        content.save_state();
        content.transform([width, 0.0, 0.0, height, corner[0], corner[1]]);
        content.x_object(Name(name.as_bytes()));
        content.restore_state();
        pictures.push((name, id(), &**picture));
    }
    content.begin_text();
    let ink = INK.0.map(|part| f32::from(part) / 255.0);
    content.set_fill_rgb(ink[0], ink[1], ink[2]);
    for ((left, top), size, line) in &sheet.texts {
        letters.show(&mut content, (*left as f32, up(*top as f32)), *size, line);
    }
    content.end_text();

    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    let mut of_page = pdf.page(page);
    of_page.media_box(Rect::new(0.0, 0.0, width, sheet.height as f32 * scale));
    of_page.parent(pages).contents(contents);
    let mut resources = of_page.resources();
    resources.fonts().pair(PAGE_FONT, font);
    let mut named = resources.x_objects();
    for (name, id, _) in &pictures {
        named.pair(Name(name.as_bytes()), *id);
    }
    drop(named);
    drop(resources);
    drop(of_page);
    pdf.stream(contents, &packed(&content.finish())).filter(Filter::FlateDecode);
    for (_, id, picture) in pictures {
        add_picture(&mut pdf, id, picture);
    }
    letters.add_font(&mut pdf, font, [id(), id(), id(), id()]);
    let program = concat!("segcam ", env!("CARGO_PKG_VERSION"));
    pdf.document_info(info).title(TextStr(title)).producer(TextStr(program));
    pdf.finish()
}

fn add_picture(pdf: &mut Pdf, id: Ref, picture: &RgbImage) {
    let bytes = packed(picture.as_raw());
    let mut object = pdf.image_xobject(id, &bytes);
    object.width(picture.width() as i32).height(picture.height() as i32);
    object.bits_per_component(8).color_space().device_rgb();
    object.filter(Filter::FlateDecode);
}

/// As PDF's `FlateDecode` reads it.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing in memory")
}

/// The letters that were used, by their numbers in the file's font, which has no others.
#[derive(Default)]
struct Letters {
    numbers: GlyphRemapper,
    used: BTreeMap<u16, (GlyphId, char)>,
}

impl Letters {
    /// Writes a line below `top`, each letter where [`text::write`] puts it.
    fn show(&mut self, content: &mut Content, (left, top): (f32, f32), size: f32, line: &str) {
        let font = font();
        let scaled = font.as_scaled(size);
        // The size of the field is the font's height; PDF counts in its em.
        let em = size * units(&font) / font.height_unscaled();
        content.set_font(PAGE_FONT, em);
        content.set_text_matrix([1.0, 0.0, 0.0, 1.0, left, top - scaled.ascent()]);
        let mut shown = content.show_positioned();
        let mut items = shown.items();
        let mut end = 0.0;
        for ((glyph, at), letter) in text::places(line, size, &font).0.into_iter().zip(line.chars())
        {
            if at != end {
                items.adjust((end - at) / em * 1000.0);
            }
            let number = self.numbers.remap(glyph.0);
            self.used.insert(number, (glyph, letter));
            items.show(Str(&number.to_be_bytes()));
            end = at + scaled.h_advance(glyph);
        }
    }

    fn add_font(&self, pdf: &mut Pdf, id: Ref, [of_glyphs, about, file, texts]: [Ref; 4]) {
        let font = font();
        let name = self.font_name();
        let name = Name(name.as_bytes());
        let thousandths = |length: f32| length / units(&font) * 1000.0;
        pdf.type0_font(id)
            .base_font(name)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(of_glyphs)
            .to_unicode(texts);
        let mut glyphs = pdf.cid_font(of_glyphs);
        glyphs.subtype(CidFontType::Type2).base_font(name).system_info(IDENTITY);
        glyphs.font_descriptor(about).cid_to_gid_map_predefined(Name(b"Identity"));
        let mut widths = glyphs.widths();
        for (number, (glyph, _)) in &self.used {
            widths.same(*number, *number, thousandths(font.h_advance_unscaled(*glyph)));
        }
        drop(widths);
        drop(glyphs);

        let [ascent, descent] = [font.ascent_unscaled(), font.descent_unscaled()].map(thousandths);
        let widest = self.used.values().map(|(glyph, _)| font.h_advance_unscaled(*glyph));
        let widest = thousandths(widest.fold(0.0, f32::max));
        let capital =
            font.outline(font.glyph_id('H')).map_or(0.0, |outline| outline.bounds.height());
        let capital = thousandths(capital.abs());
        pdf.font_descriptor(about)
            .name(name)
            .flags(FontFlags::NON_SYMBOLIC)
            .bbox(Rect::new(0.0, descent, widest, ascent))
            .italic_angle(0.0)
            .ascent(ascent)
            .descent(descent)
            .cap_height(capital)
            .stem_v(70.0)
            .font_file2(file);
        let bytes = subset(FONT, 0, &self.numbers).expect("a font that ships whole");
        pdf.stream(file, &packed(&bytes)).filter(Filter::FlateDecode);
        let mut cmap = UnicodeCmap::new(Name(b"Letters"), IDENTITY);
        self.used.iter().for_each(|(number, (_, letter))| cmap.pair(*number, *letter));
        pdf.cmap(texts, &packed(&cmap.finish())).filter(Filter::FlateDecode);
    }

    /// A part of a font has six letters before its name, so that other parts are not taken for it.
    fn font_name(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.used.hash(&mut hasher);
        let hash = hasher.finish();
        let letter = |at: u32| char::from(b'A' + (hash / 26_u64.pow(at) % 26) as u8);
        (0..6).map(letter).chain("+Ubuntu-Light".chars()).collect()
    }
}

/// Units of the font in its em.
fn units(font: &FontRef) -> f32 {
    font.units_per_em().expect("a font with a head")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use hayro_syntax::content::ops::TypedInstruction;
    use hayro_syntax::object::{Array, Dict, Name, Stream, String as Bytes};
    use hayro_syntax::page::Page;
    use image::Rgb;

    use super::*;
    use crate::{Figure, Panel};

    fn named(name: &[u8]) -> Name<'_> {
        Name::new(name).expect("a name")
    }

    fn unpacked(stream: &Stream) -> Vec<u8> {
        stream.decoded().expect("decoded").to_vec()
    }

    /// A line for each operator that shows text, as the file says which letters its glyphs are.
    fn words(page: &Page) -> String {
        let font = page.resources().get_font(&named(b"F")).expect("a font");
        let letters = unpacked(&font.get("ToUnicode").expect("letters"));
        let hex = |text: &str| u32::from_str_radix(text.trim_matches(['<', '>']), 16).ok();
        let pair = |line: &str| {
            let (glyph, letter) = line.split_once(' ')?;
            Some((hex(glyph)?, char::from_u32(hex(letter)?)?))
        };
        let letters: HashMap<u32, char> =
            std::str::from_utf8(&letters).expect("text").lines().filter_map(pair).collect();
        let mut words = String::new();
        let mut operations = page.typed_operations();
        while let Some(operation) = operations.next() {
            let TypedInstruction::ShowTexts(shown) = operation else { continue };
            for glyphs in shown.0.iter::<Bytes>() {
                let glyphs = glyphs.as_bytes().chunks(2);
                words.extend(
                    glyphs.map(|pair| letters[&(256 * u32::from(pair[0]) + u32::from(pair[1]))]),
                );
            }
            words.push('\n');
        }
        words
    }

    #[test]
    fn a_page_has_the_width_asked_for_and_its_words_and_pictures() {
        let image = RgbImage::from_fn(300, 200, |x, y| Rgb([x as u8, y as u8, 90]));
        let caption = "Seg-HiRes-Grad-CAM at dec1, 40 × 48\nAV: 3.5 %".to_string();
        let panel = Panel { image: image.clone(), caption, bar: None };
        let figure = Figure::new("Why (nuclei)?", vec![vec![panel.clone(), Panel::blank(), panel]]);
        let bytes = figure.clone().with_width(85.0).to_pdf();
        assert_eq!(bytes, figure.clone().with_width(85.0).to_pdf(), "the same file each time");
        let pdf = hayro_syntax::Pdf::new(bytes).expect("a file");
        let [page] = &pdf.pages()[..] else { panic!("one page") };
        assert!((page.media_box().x1 * 25.4 / 72.0 - 85.0).abs() < 1e-3, "{:?}", page.media_box());
        let words = words(page);
        for line in ["Why (nuclei)?", "Seg-HiRes-Grad-CAM at dec1, 40 × 48", "AV: 3.5 %"] {
            assert!(words.lines().any(|shown| shown == line), "{line} in {words}");
        }
        let picture = page.resources().get_x_object(&named(b"P1")).expect("two pictures");
        assert_eq!(unpacked(&picture), image.into_raw());
        let font = page.resources().get_font(&named(b"F")).expect("a font");
        let glyphs = font.get::<Array>("DescendantFonts").expect("glyphs").iter::<Dict>().next();
        let about: Dict =
            glyphs.and_then(|font| font.get("FontDescriptor")).expect("a description");
        let file = unpacked(&about.get("FontFile2").expect("a font file"));
        assert!((1000..FONT.len() / 4).contains(&file.len()), "{} bytes", file.len());

        let screen = hayro_syntax::Pdf::new(figure.to_pdf()).expect("a file");
        let inches = screen.pages()[0].media_box().x1 / 72.0;
        assert!((inches * 96.0 - f64::from(figure.to_image().width())).abs() < 1e-2, "{inches}");
    }
}

use std::fmt;
use std::sync::Arc;

use super::{
    AblationCam, EigenCam, EigenGradCam, GradCam, GradCamPlusPlus, HiResCam, LayerCam, ScoreCam,
    SegEigenCam, XGradCam, XResCam, seg_name,
};
use crate::{CamMethod, UnknownName};

/// One row of the [table of methods](methods): how they are written, and what they do.
pub struct NamedMethod<const D: usize = 4> {
    /// Its text form when it explains the whole image; `None` if it is meant for pixel sets.
    pub whole_image: Option<&'static str>,
    /// Its text form when it explains a pixel set; `None` if it asks about no score.
    pub pixel_set: Option<&'static str>,
    /// What its papers call the two; `None` where figures write the text forms.
    pub titles: Option<[&'static str; 2]>,
    /// What the map is, in one line.
    pub help: &'static str,
    /// Its papers: over the whole image, then over a pixel set.
    pub papers: &'static str,
    make: fn(usize) -> Arc<dyn CamMethod<D>>,
}

impl<const D: usize> NamedMethod<D> {
    /// Its text forms, each with its title, if it has titles.
    ///
    /// # Example
    /// ```
    /// let methods = segcam_core::methods::<4>();
    /// let titled: Vec<_> = methods[1].titled().collect();
    /// assert_eq!(titled[0], ("hires-cam", "HiResCAM"));
    /// assert_eq!(titled[1], ("seg-hires-grad-cam", "Seg-HiRes-Grad-CAM"));
    /// ```
    pub fn titled(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let forms = [self.whole_image, self.pixel_set].into_iter().flatten();
        forms.zip(self.titles.into_iter().flatten())
    }
}

impl<const D: usize> fmt::Debug for NamedMethod<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedMethod")
            .field("whole_image", &self.whole_image)
            .field("pixel_set", &self.pixel_set)
            .finish_non_exhaustive()
    }
}

/// Every method of this crate in text form. The number after a colon is an example: any number from 1
/// will do.
///
/// # Example
/// ```
/// let methods = segcam_core::methods::<4>();
/// assert!(methods.iter().any(|method| method.pixel_set == Some("seg-hires-grad-cam")));
/// ```
pub fn methods<const D: usize>() -> Vec<NamedMethod<D>> {
    macro_rules! table {
        ($($whole:expr, $set:expr, $titles:expr, $help:literal, $papers:literal, $make:expr;)*) => {
            vec![$(NamedMethod {
                whole_image: $whole,
                pixel_set: $set,
                titles: $titles,
                help: $help,
                papers: $papers,
                make: $make,
            }),*]
        };
    }
    table! {
        Some("grad-cam"), Some("seg-grad-cam"), Some(["Grad-CAM", "Seg-Grad-CAM"]),
            "activations weighted by mean gradients",
            "1610.02391, 2002.11434", |_| Arc::new(GradCam);
        Some("hires-cam"), Some("seg-hires-grad-cam"), Some(["HiResCAM", "Seg-HiRes-Grad-CAM"]),
            "activations times gradients",
            "2011.08891, 2409.20287", |_| Arc::new(HiResCam);
        Some("xres-cam:4"), Some("seg-xres-cam:4"), None,
            "activations times gradients averaged over windows of N×N cells",
            "Hasany et al., CVPRW 2023", |window| Arc::new(XResCam::new(window));
        Some("grad-cam++"), Some("seg-grad-cam++"), None,
            "as grad-cam, positive gradients weighted by their curvature",
            "1710.11063", |_| Arc::new(GradCamPlusPlus);
        Some("xgrad-cam"), Some("seg-xgrad-cam"), None,
            "as grad-cam, gradients weighted by the activations' share",
            "2008.02312", |_| Arc::new(XGradCam);
        Some("layer-cam"), Some("seg-layer-cam"), None,
            "activations times positive gradients",
            "Jiang et al., TIP 2021", |_| Arc::new(LayerCam);
        Some("eigen-cam"), None, None,
            "first principal component of the activations; no class",
            "2008.00299", |_| Arc::new(EigenCam);
        None, Some("seg-eigen-cam"), None,
            "first principal component of activations times absolute gradients",
            "Chung and Ying, Applied Sciences 2025", |_| Arc::new(SegEigenCam);
        Some("eigen-grad-cam"), Some("seg-eigen-grad-cam"), None,
            "first principal component of activations times gradients",
            "2008.00299", |_| Arc::new(EigenGradCam);
        Some("score-cam"), Some("seg-score-cam"), None,
            "activations weighted by the score of the image they mask; slow",
            "1910.01279", |_| Arc::new(ScoreCam);
        Some("ablation-cam"), Some("seg-ablation-cam"), None,
            "activations weighted by what the score loses without them; slow",
            "Desai and Ramaswamy, WACV 2020", |_| Arc::new(AblationCam);
    }
}

/// A method as its text form says: what it computes, and what it is asked about.
#[derive(Clone)]
pub struct AnyMethod<const D: usize = 4> {
    method: Arc<dyn CamMethod<D>>,
    on_pixels: bool,
}

impl<const D: usize> AnyMethod<D> {
    /// Reads `hires-cam`, `seg-hires-grad-cam`, `xres-cam:4`, …: the text forms of [`methods`].
    ///
    /// # Errors
    /// [`UnknownName`] with the known name most like it.
    ///
    /// # Example
    /// ```
    /// use segcam_core::{AnyMethod, CamMethod};
    ///
    /// let method: AnyMethod = AnyMethod::parse("seg-xres-cam:8")?;
    /// assert_eq!(method.method().name(), "xres-cam:8");
    /// assert!(method.on_pixels());
    /// let error = AnyMethod::<4>::parse("seg-gradcam").err().expect("no method");
    /// assert_eq!(error.closest.as_deref(), Some("seg-grad-cam"));
    /// # Ok::<(), segcam_core::UnknownName>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, UnknownName> {
        let table = methods::<D>();
        let split = |name: &str| {
            let (word, number) = name.split_once(':')?;
            Some((word.to_string(), number.parse().ok().filter(|&number: &usize| number > 0)?))
        };
        let number = |form: &str| match (split(form), split(text)) {
            (None, _) => (form == text).then_some(0),
            (Some((known, _)), Some((word, number))) => (known == word).then_some(number),
            _ => None,
        };
        let forms = table.iter().flat_map(|row| {
            [(row.whole_image, false), (row.pixel_set, true)]
                .into_iter()
                .filter_map(move |(form, on_pixels)| Some((form?, on_pixels, row.make)))
        });
        let found = forms.clone().find_map(|(form, on_pixels, make)| {
            Some(Self { method: make(number(form)?), on_pixels })
        });
        found.ok_or_else(|| UnknownName::new("method", text, forms.map(|(form, ..)| form)))
    }

    /// What it computes.
    pub fn method(&self) -> &dyn CamMethod<D> {
        &*self.method
    }

    /// Whether it is asked about a pixel set and not about the whole image.
    pub fn on_pixels(&self) -> bool {
        self.on_pixels
    }

    /// The text form.
    pub fn name(&self) -> String {
        if self.on_pixels { seg_name(&self.method.name()) } else { self.method.name() }
    }
}

impl<const D: usize> fmt::Debug for AnyMethod<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyMethod").field(&self.name()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_form_is_read_and_is_the_name() {
        for row in methods::<4>() {
            for (form, on_pixels) in [(row.whole_image, false), (row.pixel_set, true)] {
                let Some(form) = form else { continue };
                let (image, volume) = (AnyMethod::<4>::parse(form), AnyMethod::<5>::parse(form));
                let (image, volume) = (image.expect("a method"), volume.expect("a method"));
                assert_eq!((image.name(), image.on_pixels()), (form.to_string(), on_pixels));
                assert_eq!(volume.name(), form);
            }
        }
    }

    #[test]
    fn windows_have_any_size_but_none() {
        assert_eq!(AnyMethod::<4>::parse("xres-cam:17").expect("a method").name(), "xres-cam:17");
        for text in ["xres-cam:0", "xres-cam", "xres-cam:", "xres-cam:-1", "grad-cam:4", ""] {
            let error = AnyMethod::<4>::parse(text).expect_err(text);
            assert!(error.to_string().contains("xres-cam:4"), "{error}");
        }
    }
}

//! The second step: what was asked in words becomes questions to this network about this input.

use std::fmt;
use std::sync::Arc;

use anyhow::{Result, ensure};
use segcam::{
    AllPixels, AnyMethod, CamError, Observation, PixelSet, Request, Target, UnknownName, guarded,
};

use crate::annotations::Annotations;
use crate::network::Model;

/// What is asked, in words.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Names of layers, `auto`, `all`.
    pub layers: Vec<String>,
    /// Numbers or names of classes, `all`; none for the most frequent one.
    pub classes: Vec<String>,
    /// CAM methods, as [`AnyMethod::parse`] reads them.
    pub methods: Vec<String>,
    /// Pixel sets.
    pub pixels: Vec<String>,
}

/// What is asked of a network about one input: every figure at every layer with every method.
#[derive(Debug)]
pub struct Question<const D: usize> {
    /// One for each class and pixel set, or part of a set.
    pub figures: Vec<Figure<D>>,
    /// Layers in the order asked.
    pub layers: Vec<NamedLayer>,
    /// Methods in the order asked.
    pub methods: Vec<AnyMethod<D>>,
    /// How the classes were chosen.
    pub class_chosen: &'static str,
    /// Pixels predicted as each class, for each image of the batch.
    pub predicted_pixels: Vec<Vec<usize>>,
}

/// What one figure shows: the maps of one class over one pixel set.
#[derive(Clone)]
pub struct Figure<const D: usize> {
    /// The class.
    pub class: usize,
    /// The pixels that methods named `seg-…` explain.
    pub pixels: Arc<dyn PixelSet<D>>,
    /// The pixel set as it was asked for.
    pub asked: String,
    /// What comes before the names of its files.
    pub prefix: String,
    /// What comes after them where there are several: `.nucleus.component_8_177`.
    pub suffix: String,
    /// Of a part of a set: what would come after names of files of the whole set.
    pub part_of: Option<String>,
    /// Whether it may be empty without a word: of several classes that were not asked for by name.
    pub optional: bool,
}

impl<const D: usize> fmt::Debug for Figure<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figure")
            .field("class", &self.class)
            .field("pixels", &self.pixels.name())
            .field("optional", &self.optional)
            .finish_non_exhaustive()
    }
}

/// The questions of a figure.
#[derive(Debug, Clone)]
pub struct Targets<const D: usize> {
    /// About its pixels.
    pub pixels: Target<D>,
    whole: Option<Target<D>>,
}

/// A layer, and what it is called in names of files.
#[derive(Debug, Clone)]
pub struct NamedLayer {
    /// Its name.
    pub name: String,
    file: String,
}

/// The sets of pixels that are meant, and how their classes were chosen.
#[derive(Debug)]
pub struct Sets<const D: usize> {
    /// One for each class and pixel set.
    pub figures: Vec<Figure<D>>,
    /// How the classes were chosen.
    pub class_chosen: &'static str,
    /// Pixels predicted as each class, for each image of the batch.
    pub predicted_pixels: Vec<Vec<usize>>,
}

/// No class was asked for, and none but the background is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlyBackground;

impl std::error::Error for OnlyBackground {}

impl fmt::Display for OnlyBackground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the network predicts only background: choose a class with --class and pixels with --pixels",
        )
    }
}

/// Finds out what the words mean for this network and this prediction.
///
/// # Errors
/// Words that mean nothing here, and annotations that do not fit.
pub fn ask<const D: usize>(
    asked: &Asked,
    annotations: &Annotations,
    model: &Model,
    seen: &Observation<D>,
) -> Result<Question<D>> {
    let methods = without_repeats(asked.methods.clone());
    let methods = methods.iter().map(|text| AnyMethod::parse(text)).collect::<Result<_, _>>()?;
    let layers = layers(&asked.layers, model, seen)?;
    let Sets { figures: whole, class_chosen, predicted_pixels } =
        ask_sets(asked, annotations, model, seen)?;
    let mut figures: Vec<Figure<D>> = vec![];
    for figure in whole {
        figures.extend(figure.parts(seen)?);
    }
    without_twins(&mut figures);
    Ok(Question { figures, layers, methods, class_chosen, predicted_pixels })
}

/// Whether words mean something to this network, before its inputs are there: `blank` is what it says of a
/// blank one, and `given` what annotations there will be: `annotation`, `instances`.
///
/// # Errors
/// Words that mean nothing.
pub fn check<const D: usize>(
    asked: &Asked,
    model: &Model,
    blank: &Observation<D>,
    given: &[&str],
) -> Result<()> {
    layers(&asked.layers, model, blank)?;
    for class in asked.classes.iter().filter(|class| *class != "all") {
        named_class(class, model, blank.prediction().classes())?;
    }
    let vocabulary = Annotations::default().vocabulary::<D>(&model.classes)?;
    for text in &asked.pixels {
        match vocabulary.parse(text) {
            // What there will be, and places of scans.
            Err(error) if error.missing.is_some_and(|it| it == "scan" || given.contains(&it)) => {}
            parsed => drop(parsed?),
        }
    }
    Ok(())
}

/// The same for classes and pixel sets alone, each set as a whole.
///
/// # Errors
/// As [`ask`].
pub fn ask_sets<const D: usize>(
    asked: &Asked,
    annotations: &Annotations,
    model: &Model,
    seen: &Observation<D>,
) -> Result<Sets<D>> {
    sets_of(asked, annotations, model, predicted_pixels(seen)?)
}

/// The same where so many pixels are predicted as each class, of each image.
pub(crate) fn sets_of<const D: usize>(
    asked: &Asked,
    annotations: &Annotations,
    model: &Model,
    predicted_pixels: Vec<Vec<usize>>,
) -> Result<Sets<D>> {
    let (classes, class_chosen) = classes(&asked.classes, model, &predicted_pixels)?;
    let optional = asked.classes.iter().any(|class| class == "all");
    let vocabulary = annotations.vocabulary(&model.classes)?;
    let mut figures = vec![];
    for &class in &classes {
        for text in &asked.pixels {
            let pixels = vocabulary.parse(text)?.into();
            let of_class = match (classes.len(), model.classes.get(class)) {
                (0 | 1, _) => String::new(),
                (_, Some(name)) => format!(".{}", file_name(name)),
                _ => format!(".class{class}"),
            };
            let of_set = match asked.pixels.len() {
                1 => String::new(),
                _ => format!(".{}", file_name(text)),
            };
            let (asked, prefix, suffix) = (text.clone(), String::new(), of_class + &of_set);
            figures.push(Figure { class, pixels, asked, prefix, suffix, part_of: None, optional });
        }
    }
    Ok(Sets { figures, class_chosen, predicted_pixels })
}

impl<const D: usize> Question<D> {
    /// Every layer with every method.
    pub fn requests(&self, targets: &Targets<D>) -> Vec<Request<'_, D>> {
        let of_layer =
            |layer| self.methods.iter().map(move |method| targets.request(layer, method));
        self.layers.iter().flat_map(of_layer).collect()
    }

    /// Name of a map's files, without extension; maps are in the order of
    /// [`requests`](Self::requests).
    pub fn stem(&self, figure: &Figure<D>, map: usize) -> String {
        figure.file(&self.map_file(map))
    }

    /// Names of the pictures of all figures and their maps, of one image.
    pub fn pictures(&self) -> impl Iterator<Item = String> {
        let maps = self.layers.len() * self.methods.len();
        self.figures.iter().flat_map(move |figure| {
            let maps = (0..maps).map(|map| self.stem(figure, map));
            let names = maps.chain([figure.file("compare")]);
            names.map(|name| format!("{name}.png")).collect::<Vec<_>>()
        })
    }

    /// What files with a map are called, whatever the figure.
    pub(crate) fn map_file(&self, map: usize) -> String {
        let (method, layer) = self.map(map);
        format!("{}.{}", file_name(&method.name()), layer.file)
    }

    /// The method and the layer of a map.
    pub(crate) fn map(&self, map: usize) -> (&AnyMethod<D>, &NamedLayer) {
        let methods = self.methods.len();
        (&self.methods[map % methods], &self.layers[map / methods])
    }

    /// The questions of one of the figures.
    ///
    /// # Errors
    /// Empty pixel sets, and those that make no sense here.
    pub fn targets(
        &self,
        figure: &Figure<D>,
        seen: &Observation<D>,
    ) -> Result<Targets<D>, CamError> {
        let pixels = seen.target(&figure.pixels, figure.class)?;
        let needed = self.methods.iter().any(|method| !method.on_pixels());
        let whole = needed.then(|| seen.target(&AllPixels, figure.class)).transpose()?;
        Ok(Targets { pixels, whole })
    }
}

impl<const D: usize> Figure<D> {
    /// A file's name with what tells it from those of other figures.
    pub(crate) fn file(&self, name: &str) -> String {
        format!("{}{name}{}", self.prefix, self.suffix)
    }

    /// A figure for each part of the pixel set, or this one if it has none.
    fn parts(self, seen: &Observation<D>) -> Result<Vec<Self>, CamError> {
        let parts = guarded(|| self.pixels.parts(seen.prediction(), self.class))?;
        if parts.is_empty() {
            return Ok(vec![self]);
        }
        let figure = |part: Box<dyn PixelSet<D>>| Self {
            suffix: format!("{}.{}", self.suffix, file_name(&part.name())),
            pixels: part.into(),
            part_of: Some(self.suffix.clone()),
            ..self.clone()
        };
        Ok(parts.into_iter().map(figure).collect())
    }
}

impl<const D: usize> Targets<D> {
    fn request<'a>(&self, layer: &'a NamedLayer, method: &'a AnyMethod<D>) -> Request<'a, D> {
        let whole = self.whole.as_ref().filter(|_| !method.on_pixels());
        Request::new(method.method(), &layer.name, whole.unwrap_or(&self.pixels))
    }
}

pub(crate) fn layers<const D: usize>(
    asked: &[String],
    model: &Model,
    seen: &Observation<D>,
) -> Result<Vec<NamedLayer>> {
    let mut names = vec![];
    for wanted in asked {
        match wanted.as_str() {
            "auto" => names.extend(model.default_layers(seen.layers())),
            "all" => {
                let layers = seen.layers().iter().filter(|layer| layer.shape.len() == D);
                names.extend(layers.map(|layer| layer.name.clone()));
            }
            wanted => names.push(model.layer(wanted, seen).map_err(|error| {
                let auto = model.default_layers(seen.layers()).join(" and ");
                let words = format!("{error}; --layer auto takes {auto}");
                error.context(words)
            })?),
        }
    }
    let mut layers: Vec<NamedLayer> = vec![];
    for name in without_repeats(names) {
        // Tensors of ONNX files are called `/encoder/layer4/Relu_output_0`.
        let mut file = file_name(name.trim_matches('/'));
        let same = |layer: &NamedLayer| layer.file == file;
        if layers.iter().any(same) {
            file += &format!("_{}", layers.len() + 1);
        }
        layers.push(NamedLayer { name, file });
    }
    Ok(layers)
}

/// Figures that would have files of the same names are numbered.
fn without_twins<const D: usize>(figures: &mut [Figure<D>]) {
    let mut taken: Vec<String> = vec![];
    for figure in figures {
        let (name, mut number) = (figure.suffix.clone(), 1);
        while taken.contains(&figure.suffix.to_lowercase()) {
            number += 1;
            figure.suffix = format!("{name}_{number}");
        }
        taken.push(figure.suffix.to_lowercase());
    }
}

/// A name without what not every file system takes, and short enough for each.
pub(crate) fn file_name(name: &str) -> String {
    const ENDS: [usize; 2] = [24, 24];
    let plain = |c: char| c.is_alphanumeric() || "._-+".contains(c);
    let name = name.replace(':', "-").replace(|c| !plain(c), "_");
    without_middle(&name, ENDS, '~')
}

/// A text as it is, or, with a mark between them, so many letters of its beginning and its end.
pub(crate) fn without_middle(text: &str, [start, end]: [usize; 2], mark: char) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= start + end {
        return text.to_string();
    }
    let (start, end) = (&letters[..start], &letters[letters.len() - end..]);
    start.iter().chain(&[mark]).chain(end).collect()
}

/// Each item once.
pub fn without_repeats<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    items.into_iter().fold(vec![], |mut kept, item| {
        if !kept.contains(&item) {
            kept.push(item);
        }
        kept
    })
}

/// The classes asked about, and how they were chosen.
fn classes(
    asked: &[String],
    model: &Model,
    predicted: &[Vec<usize>],
) -> Result<(Vec<usize>, &'static str)> {
    let count = predicted.first().map_or(0, Vec::len);
    if asked.is_empty() {
        return Ok((vec![most_frequent(predicted, model)?], "most frequent prediction"));
    }
    let mut classes = vec![];
    for class in asked {
        match class.as_str() {
            "all" => classes.extend(0..count),
            class => classes.push(named_class(class, model, count)?),
        }
    }
    Ok((without_repeats(classes), "asked"))
}

/// A class by number or by name.
fn named_class(text: &str, model: &Model, classes: usize) -> Result<usize> {
    if let Ok(class) = text.parse() {
        let names: Vec<String> =
            model.classes.iter().enumerate().map(|(at, name)| format!("{at} {name}")).collect();
        let named =
            if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
        ensure!(class < classes, "{}{named}", CamError::ClassOutOfRange { class, classes });
        return Ok(class);
    }
    let names = &model.classes;
    ensure!(
        !names.is_empty(),
        "no class is named `{text}`: the network's classes are the numbers 0 to {}; of an ONNX file, a \
         card beside it can name them",
        classes - 1
    );
    let numbers = (0..classes).map(|number| number.to_string());
    let found = names.iter().position(|name| name == text);
    let unknown = || UnknownName::new("class", text, numbers.chain(names.iter().cloned()));
    Ok(found.ok_or_else(unknown)?)
}

fn most_frequent(predicted: &[Vec<usize>], model: &Model) -> Result<usize> {
    let classes = predicted.first().map_or(0, Vec::len);
    let background = model.background(classes);
    let total = |class: usize| predicted.iter().map(|counts| counts[class]).sum::<usize>();
    (0..classes)
        .filter(|&class| Some(class) != background && total(class) > 0)
        .max_by_key(|&class| (total(class), std::cmp::Reverse(class)))
        .ok_or_else(|| OnlyBackground.into())
}

/// Number of pixels predicted as each class, for each image of the batch.
fn predicted_pixels<const D: usize>(seen: &Observation<D>) -> Result<Vec<Vec<usize>>, CamError> {
    let prediction = seen.prediction();
    let classes = prediction.classes();
    let labels = guarded(|| Ok::<_, CamError>(prediction.label_values()))?;
    let count = |labels: &[u32]| {
        let mut counts = vec![0; classes];
        for label in labels.iter().map(|label| *label as usize) {
            match classes {
                // Of a binary network 1 stands for its only class and 0 for none.
                1 => counts[0] += label,
                _ => counts[label] += 1,
            }
        }
        counts
    };
    Ok(labels.chunks(prediction.size().iter().product()).map(count).collect())
}

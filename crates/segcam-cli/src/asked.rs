//! What is asked of a network: classes, pixel sets, layers and methods.

use anyhow::{Context, Result, ensure};
use segcam::{CamError, CamMethod, Observation, PixelSet, UnknownName, guarded};

use crate::args::QuestionArgs;
use crate::method::{MethodName, SharedSet};
use crate::model::Model;

/// The classes to explain, and how they were chosen.
pub(crate) fn classes(
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

/// What one figure shows: the maps of one class over one pixel set.
pub(crate) struct Group<const D: usize> {
    pub(crate) class: usize,
    pub(crate) class_name: String,
    pub(crate) pixels: SharedSet<D>,
    /// The pixel set as it was asked for.
    pub(crate) asked: String,
    /// `.class7.set2.part3` where there are several.
    pub(crate) suffix: String,
}

pub(crate) fn groups<const D: usize>(
    args: &QuestionArgs,
    model: &Model,
    seen: &Observation<D>,
    classes: &[usize],
) -> Result<Vec<Group<D>>> {
    let vocabulary = args.sets.vocabulary(model, seen.prediction())?;
    let mut groups = vec![];
    for &class in classes {
        for (number, text) in args.pixels.iter().enumerate() {
            let set = vocabulary.parse(text)?;
            let mut suffix = String::new();
            if classes.len() > 1 {
                suffix += &format!(".class{class}");
            }
            if args.pixels.len() > 1 {
                suffix += &format!(".set{}", number + 1);
            }
            let parts = guarded(|| set.parts(seen.prediction(), class))?;
            let (class_name, asked) = (class_name(model, class), text.clone());
            if parts.is_empty() {
                groups.push(Group { class, class_name, pixels: set.into(), asked, suffix });
                continue;
            }
            // Names of files in the order of the parts.
            let digits = parts.len().to_string().len();
            for (number, part) in parts.into_iter().enumerate() {
                let suffix = format!("{suffix}.part{:0digits$}", number + 1);
                let (class_name, asked) = (class_name.clone(), asked.clone());
                groups.push(Group { class, class_name, pixels: part.into(), asked, suffix });
            }
        }
    }
    Ok(groups)
}

impl<const D: usize> Group<D> {
    /// Every layer with every method.
    pub(crate) fn requests(&self, args: &QuestionArgs, layers: &[NamedLayer]) -> Vec<Request<D>> {
        let request = |layer: &NamedLayer, method: MethodName| Request {
            class: self.class,
            method: method.with(&self.pixels),
            layer: layer.name.clone(),
            stem: format!("{method}.{}{}", layer.file, self.suffix),
        };
        let methods = methods(args);
        layers
            .iter()
            .flat_map(|layer| methods.iter().map(move |&method| request(layer, method)))
            .collect()
    }
}

/// What is asked about one map.
pub(crate) struct Request<const D: usize> {
    pub(crate) class: usize,
    pub(crate) method: Box<dyn CamMethod<D>>,
    pub(crate) layer: String,
    /// Name of its files, without extension.
    pub(crate) stem: String,
}

impl<const D: usize> Request<D> {
    /// As the library takes it.
    pub(crate) fn as_core(&self) -> segcam::Request<'_, D> {
        segcam::Request { method: &*self.method, layer: &self.layer, class: self.class }
    }
}

pub(crate) fn methods(args: &QuestionArgs) -> Vec<MethodName> {
    without_repeats(args.methods.clone())
}

/// A layer, and what it is called in names of files.
pub(crate) struct NamedLayer {
    name: String,
    file: String,
}

pub(crate) fn layers<const D: usize>(
    args: &QuestionArgs,
    model: &Model,
    seen: &Observation<D>,
) -> Result<Vec<NamedLayer>> {
    let all = [seen.layers(), seen.operations()].concat();
    let mut names = vec![];
    for wanted in &args.layers {
        match wanted.as_str() {
            "auto" => names.extend(model.default_layers(seen.layers())),
            "all" => {
                let layers = seen.layers().iter().filter(|layer| layer.shape.len() == D);
                names.extend(layers.map(|layer| layer.name.clone()));
            }
            wanted => names.push(model.layer(wanted, &all)?),
        }
    }
    let mut layers: Vec<NamedLayer> = vec![];
    for name in without_repeats(names) {
        // Tensors of ONNX files are called `/encoder/layer4/Relu_output_0`.
        let plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
        let mut file = name.trim_matches('/').replace(|c| !plain(c), "_");
        let same = |layer: &NamedLayer| layer.file == file;
        if layers.iter().any(same) {
            file += &format!("_{}", layers.len() + 1);
        }
        layers.push(NamedLayer { name, file });
    }
    Ok(layers)
}

fn without_repeats<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    items.into_iter().fold(vec![], |mut kept, item| {
        if !kept.contains(&item) {
            kept.push(item);
        }
        kept
    })
}

/// A class by number or by name.
fn named_class(text: &str, model: &Model, classes: usize) -> Result<usize> {
    if let Ok(class) = text.parse() {
        ensure!(class < classes, CamError::ClassOutOfRange { class, classes });
        return Ok(class);
    }
    let names = &model.classes;
    let found = names.iter().position(|name| *name == text);
    ensure!(
        !names.is_empty(),
        "no class is named `{text}`: the network's classes are the numbers 0 to {}; of an ONNX file, a \
         card beside it can name them",
        classes - 1
    );
    let numbers = (0..classes).map(|number| number.to_string());
    let known = || numbers.chain(names.iter().cloned());
    Ok(found.ok_or_else(|| UnknownName::new("class", text, known()))?)
}

fn most_frequent(predicted: &[Vec<usize>], model: &Model) -> Result<usize> {
    let classes = predicted.first().map_or(0, Vec::len);
    let background = model.background(classes);
    let total = |class: usize| predicted.iter().map(|counts| counts[class]).sum::<usize>();
    (0..classes)
        .filter(|&class| Some(class) != background && total(class) > 0)
        .max_by_key(|&class| (total(class), std::cmp::Reverse(class)))
        .context("the network predicts only background: choose a class with --class and pixels with --pixels")
}

pub(crate) fn class_name(model: &Model, class: usize) -> String {
    class_title(class, model.classes.get(class))
}

/// How a class is called where people read it.
pub(crate) fn class_title(class: usize, name: Option<&String>) -> String {
    match name {
        Some(name) => format!("class {class} ({name})"),
        None => format!("class {class}"),
    }
}

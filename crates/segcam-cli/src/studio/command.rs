//! The command line that says what a page asked.

use std::collections::BTreeMap;

use segcam::models::Blend;

use super::Settings;
use super::gallery::Entry;
use crate::annotations::{AnnotationFiles, Ignore, Labels};
use crate::ask::{Asked, Question};
use crate::beside::Folders;
use crate::network::{Model, Name, Source};

impl Settings {
    pub(crate) fn command<const D: usize>(
        &self,
        entry: &Entry,
        asked: &Asked,
        class: usize,
        model: &Model,
        question: &Question<D>,
    ) -> String {
        let mut words = Words(vec!["segcam".into(), "explain".into()]);
        words.network(&self.source);
        words.option("--device", self.device.as_deref());
        let path =
            if entry.uploaded { entry.name.clone() } else { entry.path.display().to_string() };
        words.option("--input", Some(&path));
        words.option("--slice", self.slice.map(|slice| slice.to_string()).as_deref());
        let number = class.to_string();
        let name = model.classes.get(class).filter(|name| !name.contains(','));
        words.option("--class", Some(name.unwrap_or(&number)));
        for set in asked.pixels.iter().filter(|set| *set != "class") {
            words.option("--pixels", Some(set));
        }
        let layers: Vec<&str> = question.layers.iter().map(|layer| layer.name.as_str()).collect();
        words.option("--layer", Some(&layers.join(",")));
        let methods: Vec<String> = question.methods.iter().map(|method| method.name()).collect();
        words.option("--method", Some(&methods.join(",")));
        if !entry.uploaded {
            words.annotations(&self.truth, entry);
        }
        words.0.push("--certify".into());
        words.line()
    }
}

/// The options that say which network it is, and through which windows it sees.
pub(crate) fn of_network(source: &Source) -> String {
    let mut words = Words(vec![]);
    words.network(source);
    words.line()
}

/// The words of a command line.
struct Words(Vec<String>);

impl Words {
    /// As a shell takes them.
    fn line(&self) -> String {
        self.0.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    fn option(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            // What begins with a hyphen would be taken for an option.
            match value.starts_with('-') {
                true => self.0.push(format!("{name}={value}")),
                false => self.0.extend([name.to_string(), value.to_string()]),
            }
        }
    }

    fn network(&mut self, source: &Source) {
        let model = match &source.name {
            Name::Known(known) => known.to_string(),
            Name::Onnx(path) => path.display().to_string(),
        };
        let weights = source.weights.as_ref().map(|path| path.display().to_string());
        self.option("--model", Some(&model));
        self.option("--weights", weights.as_deref());
        let onnx = &source.onnx;
        let numbers = |values: &[f32]| (!values.is_empty()).then(|| joined(values, ","));
        let channels = onnx.channels.map(|channels| channels.to_string());
        self.option("--output", onnx.output.as_deref());
        self.option("--channels", channels.as_deref());
        self.option("--scale", onnx.scale.map(|scale| scale.to_string()).as_deref());
        self.option("--mean", numbers(&onnx.mean).as_deref());
        self.option("--std", numbers(&onnx.std).as_deref());
        self.option("--size", onnx.size.map(|size| joined(&size, "x")).as_deref());
        let windows = &source.windows;
        let blend = windows.blend.map(|blend| match blend {
            Blend::Gaussian => "gaussian",
            Blend::NnUnet => "nn-unet",
            _ => "constant",
        });
        self.option("--window", windows.size.as_ref().map(|size| joined(size, "x")).as_deref());
        self.option("--overlap", windows.overlap.map(|part| part.to_string()).as_deref());
        self.option("--blend", blend);
        self.option("--mirror", windows.mirror.as_ref().map(|sides| joined(sides, ",")).as_deref());
    }

    fn annotations(&mut self, files: &AnnotationFiles, entry: &Entry) {
        let file = |path: &Option<std::path::PathBuf>| {
            let path = path.as_ref()?;
            Some(Folders::default().beside(path, &entry.path).ok()?.display().to_string())
        };
        let truth = file(&files.truth);
        self.option("--truth", truth.as_deref());
        if truth.is_some() {
            let map = match &files.truth_map {
                Labels::Classes => None,
                Labels::Cityscapes => Some("cityscapes".to_string()),
                Labels::CityscapesColours => Some("cityscapes-colours".to_string()),
                Labels::Listed(map) => Some(listed(map)),
                Labels::ListedAnd(map, rest) => Some(format!("{},*:{rest}", listed(map))),
            };
            let ignore = match files.ignore {
                Ignore::Auto => None,
                Ignore::Nothing => Some("none".to_string()),
                Ignore::Label(label) => Some(label.to_string()),
            };
            self.option("--truth-map", map.as_deref());
            self.option("--ignore", ignore.as_deref());
            self.0.extend(files.truth_resize.then(|| "--truth-resize".to_string()));
        }
        self.option("--instances", file(&files.instances).as_deref());
    }
}

fn joined<T: ToString>(values: &[T], by: &str) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(by)
}

fn listed(labels: &BTreeMap<u32, u32>) -> String {
    labels.iter().map(|(from, to)| format!("{from}:{to}")).collect::<Vec<_>>().join(",")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_quoted_where_a_shell_would_read_them() {
        assert_eq!(super::quoted("component@120,88"), "component@120,88");
        assert_eq!(super::quoted("fn & dilate(class,3)"), "'fn & dilate(class,3)'");
        assert_eq!(super::quoted("it's"), r"'it'\''s'");
        assert_eq!(super::quoted(""), "''");
    }
}

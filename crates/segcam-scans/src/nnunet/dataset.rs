use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// `dataset.json`.
#[derive(Deserialize)]
pub(super) struct Dataset {
    #[serde(alias = "modality")]
    pub(super) channel_names: BTreeMap<usize, String>,
    pub(super) labels: Labels,
}

/// In the order of the file.
pub(super) struct Labels(Vec<(String, Label)>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a label is a whole number or a list of them")]
enum Label {
    One(u32),
    Region(Vec<u32>),
}

impl Labels {
    pub(super) fn by_region(&self) -> bool {
        self.0.iter().any(|(_, label)| matches!(label, Label::Region(parts) if parts.len() > 1))
    }

    pub(super) fn classes(&self) -> Result<Vec<String>, String> {
        let used = || self.0.iter().filter(|(name, _)| name != "ignore");
        let parts = |label: &Label| match label {
            Label::One(number) => vec![*number],
            Label::Region(parts) => parts.clone(),
        };
        if self.by_region() {
            let regions = used().filter(|(_, label)| parts(label).iter().any(|part| *part != 0));
            return Ok(regions.map(|(name, _)| name.clone()).collect());
        }
        let mut labels: Vec<_> = used().map(|(name, label)| (parts(label), name)).collect();
        labels.sort();
        let numbers: Vec<u32> = labels.iter().flat_map(|(parts, _)| parts).copied().collect();
        if labels.is_empty() || !numbers.iter().copied().eq(0..labels.len() as u32) {
            return Err(format!("labels has {numbers:?}, not numbers from 0 without a gap"));
        }
        Ok(labels.into_iter().map(|(_, name)| name.clone()).collect())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Labels;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "names with their labels")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Labels, M::Error> {
                let mut labels = vec![];
                while let Some(label) = map.next_entry()? {
                    labels.push(label);
                }
                Ok(Labels(labels))
            }
        }
        from.deserialize_map(InOrder)
    }
}

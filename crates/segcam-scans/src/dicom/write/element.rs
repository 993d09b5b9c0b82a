//! Elements by their tags: the dictionary knows what they hold.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::value::{DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;

/// A new UID, from a random UUID (PS3.5, B.2).
pub(super) fn fresh_uid() -> String {
    format!("2.25.{}", uuid::Uuid::new_v4().as_u128())
}

/// Elements that are added one after another.
pub(super) trait Build: Sized {
    fn with(self, tag: Tag, value: impl Into<PrimitiveValue>) -> Self;
    /// Decimal strings, of at most 16 characters each.
    fn decimals(self, tag: Tag, numbers: &[f64]) -> Self;
    fn sequence(self, tag: Tag, items: Vec<InMemDicomObject>) -> Self;
    /// A sequence of one item.
    fn group(self, tag: Tag, item: InMemDicomObject) -> Self {
        self.sequence(tag, vec![item])
    }
    /// A sequence of one item, which is a code.
    fn code(self, tag: Tag, value: &str, scheme: &str, meaning: &str) -> Self {
        let item = empty()
            .with(tags::CODE_VALUE, value)
            .with(tags::CODING_SCHEME_DESIGNATOR, scheme)
            .with(tags::CODE_MEANING, meaning);
        self.group(tag, item)
    }
}

impl Build for InMemDicomObject {
    fn with(mut self, tag: Tag, value: impl Into<PrimitiveValue>) -> Self {
        let vr = StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed());
        self.put(DataElement::new(tag, vr, value.into()));
        self
    }

    fn decimals(self, tag: Tag, numbers: &[f64]) -> Self {
        let texts = numbers.iter().map(|number| decimal(*number));
        self.with(tag, PrimitiveValue::Strs(texts.collect()))
    }

    fn sequence(mut self, tag: Tag, items: Vec<InMemDicomObject>) -> Self {
        let items = Value::Sequence(DataSetSequence::from(items));
        self.put(DataElement::new(tag, VR::SQ, items));
        self
    }
}

pub(super) fn empty() -> InMemDicomObject {
    InMemDicomObject::new_empty()
}

/// A number as text, as exactly as 16 characters can say it.
fn decimal(number: f64) -> String {
    // Zero has one sign.
    let number = number + 0.0;
    let shortest = format!("{number}");
    if shortest.len() <= 16 {
        return shortest;
    }
    let ways = (0..16).rev().flat_map(|digits| {
        let plain = format!("{number:.digits$}");
        [plain, format!("{number:.digits$e}")]
    });
    let fitting = ways.filter(|text| text.len() <= 16);
    let off = |text: &String| (text.parse().unwrap_or(f64::INFINITY) - number).abs();
    fitting.min_by(|a, b| off(a).total_cmp(&off(b))).unwrap_or_else(|| "0".into())
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn decimals_are_short_and_near() {
        for number in [0.0, -0.0, 0.1, 1.0 / 3.0, -1e300 / 3.0, 2e-9 / 3.0, -437.511_718_751_234_6]
        {
            let text = decimal(number);
            assert!(text.len() <= 16, "{text}");
            let back: f64 = text.parse().expect("a number");
            assert!((back - number).abs() <= 1e-9 * number.abs(), "{text} for {number}");
        }
    }
}

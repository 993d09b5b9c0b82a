use segcam_annotations::{FalseNegatives, FalsePositives, GroundTruth, TrueNegatives};
use segcam_annotations::{TruePositives, Truth};
use segcam_components::{
    AtLeast, ComponentAt, Connectivity, Each, Instances, Largest, Nth, Smallest,
};
use segcam_core::PredictedClass;
use segcam_pixels::{AnySet, Reader, SpecError, Vocabulary, Word};

/// Every pixel set in text form: those of [`pixels`](crate::pixels), of
/// [`components`](crate::components), and with an annotation or an image of instance ids those of
/// [`annotations`](crate::annotations).
///
/// Without them their words are there, but texts that use them are errors whose
/// [`missing`](SpecError::missing) is `annotation` or `instances`.
///
/// # Example
/// ```
/// use segcam::{PixelSet, annotations::GroundTruth, vocabulary};
///
/// let truth = GroundTruth::from_labels([0, 1, 1, 0], [2, 2])?;
/// let missed = vocabulary::<4>(Some(&truth), None).parse("fn & dilate(component@1,0, 3)")?;
/// assert_eq!(missed.name(), "fn&dilate(component@1,0,3)");
///
/// let error = vocabulary::<4>(None, None).parse("class | fn").err().expect("no annotation");
/// assert_eq!((error.column, error.missing), (11, Some("annotation")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn vocabulary<const D: usize>(
    truth: Option<&GroundTruth>,
    instances: Option<&Instances>,
) -> Vocabulary<D> {
    Vocabulary::new().with(components(instances)).with(annotations(truth))
}

/// A word with a set in parentheses, or what is predicted as the class, and then with `/corners`, if
/// pixels that touch at their corners are connected, too.
macro_rules! component {
    ($reader:ident, $set:expr) => {{
        let set = $set;
        let inner = $reader.set_if_any()?.unwrap_or_else(|| Box::new(PredictedClass));
        let connectivity = match $reader.take_if('/') {
            true => $reader.keyword("corners").map(|_| Connectivity::Corners)?,
            false => Connectivity::Faces,
        };
        Ok(Box::new(set.within(inner).connectivity(connectivity)))
    }};
}

fn components<const D: usize>(instances: Option<&Instances>) -> Vec<Word<D>> {
    let [one, all] = [instances.cloned(), instances.cloned()];
    vec![
        Word::new("component@y,x", "the connected component there", |reader| {
            component!(reader, ComponentAt::new(reader.symbol('@')?.place()?))
        }),
        Word::new("largest", "the component with most pixels; largest(set)", |reader| {
            component!(reader, Largest::new())
        }),
        Word::new("smallest", "the component with fewest pixels", |reader| {
            component!(reader, Smallest::new())
        }),
        Word::new("nth:n", "the component that is n-th by size", |reader| {
            component!(reader, Nth::new(reader.colon()?.whole(1)?))
        }),
        Word::new("atleast:n", "all components of n pixels or more", |reader| {
            component!(reader, AtLeast::new(reader.colon()?.whole(1)?))
        }),
        Word::new("each", "every component by itself; each:n of n pixels or more", |reader| {
            let least = if reader.take_if(':') { reader.whole(1)? } else { 1 };
            component!(reader, Each::new().at_least(least))
        })
        .of_parts(),
        Word::new("instance:n", "the instance with id n", move |reader| {
            let instances = given(&one, reader, INSTANCES)?;
            Ok(Box::new(instances.id(reader.colon()?.whole_as(1)?)))
        }),
        Word::new("instances", "every instance by itself", move |reader| {
            Ok(Box::new(given(&all, reader, INSTANCES)?))
        })
        .of_parts(),
    ]
}

fn annotations<const D: usize>(truth: Option<&GroundTruth>) -> Vec<Word<D>> {
    fn word<const D: usize>(
        truth: Option<&GroundTruth>,
        form: &'static str,
        help: &'static str,
        set: fn(GroundTruth) -> AnySet<D>,
    ) -> Word<D> {
        let truth = truth.cloned();
        Word::new(form, help, move |reader| Ok(set(given(&truth, reader, TRUTH)?)))
    }
    vec![
        word(truth, "truth", "annotated as the class", |truth| Box::new(Truth::new(&truth))),
        word(truth, "tp", "predicted as the class, and right", |truth| {
            Box::new(TruePositives::new(&truth))
        }),
        word(truth, "fp", "predicted as the class, but wrong", |truth| {
            Box::new(FalsePositives::new(&truth))
        }),
        word(truth, "fn", "annotated as the class, but missed", |truth| {
            Box::new(FalseNegatives::new(&truth))
        }),
        word(truth, "tn", "neither predicted nor annotated as the class", |truth| {
            Box::new(TrueNegatives::new(&truth))
        }),
    ]
}

/// What a vocabulary may be made without, and how errors say that it is needed.
type Source = (&'static str, &'static str);
const TRUTH: Source = ("annotation", "it needs an annotation");
const INSTANCES: Source = ("instances", "it needs an image of instance ids");

fn given<T: Clone, const D: usize>(
    source: &Option<T>,
    reader: &Reader<D>,
    (name, wanted): Source,
) -> Result<T, SpecError> {
    source.clone().ok_or_else(|| reader.fail_without(name, wanted))
}

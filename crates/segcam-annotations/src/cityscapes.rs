use crate::GroundTruth;

/// A class of the [Cityscapes](https://www.cityscapes-dataset.com) data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CityscapesClass {
    /// Its label in `…_labelIds.png`.
    pub id: u32,
    /// Its label in training and in most networks, if it is trained.
    pub train_id: Option<u32>,
    /// Its name.
    pub name: &'static str,
    /// Its colour in `…_color.png`.
    pub colour: [u8; 3],
}

const fn class(
    id: u32,
    train_id: Option<u32>,
    name: &'static str,
    colour: [u8; 3],
) -> CityscapesClass {
    CityscapesClass { id, train_id, name, colour }
}

/// All classes, by id, as in
/// [`labels.py`](https://github.com/mcordts/cityscapesScripts/blob/master/cityscapesscripts/helpers/labels.py).
/// Left out is the licence plate, whose id is −1: in files it is 255 or drawn as a car.
pub const CITYSCAPES: &[CityscapesClass] = &[
    class(0, None, "unlabeled", [0, 0, 0]),
    class(1, None, "ego vehicle", [0, 0, 0]),
    class(2, None, "rectification border", [0, 0, 0]),
    class(3, None, "out of roi", [0, 0, 0]),
    class(4, None, "static", [0, 0, 0]),
    class(5, None, "dynamic", [111, 74, 0]),
    class(6, None, "ground", [81, 0, 81]),
    class(7, Some(0), "road", [128, 64, 128]),
    class(8, Some(1), "sidewalk", [244, 35, 232]),
    class(9, None, "parking", [250, 170, 160]),
    class(10, None, "rail track", [230, 150, 140]),
    class(11, Some(2), "building", [70, 70, 70]),
    class(12, Some(3), "wall", [102, 102, 156]),
    class(13, Some(4), "fence", [190, 153, 153]),
    class(14, None, "guard rail", [180, 165, 180]),
    class(15, None, "bridge", [150, 100, 100]),
    class(16, None, "tunnel", [150, 120, 90]),
    class(17, Some(5), "pole", [153, 153, 153]),
    class(18, None, "polegroup", [153, 153, 153]),
    class(19, Some(6), "traffic light", [250, 170, 30]),
    class(20, Some(7), "traffic sign", [220, 220, 0]),
    class(21, Some(8), "vegetation", [107, 142, 35]),
    class(22, Some(9), "terrain", [152, 251, 152]),
    class(23, Some(10), "sky", [70, 130, 180]),
    class(24, Some(11), "person", [220, 20, 60]),
    class(25, Some(12), "rider", [255, 0, 0]),
    class(26, Some(13), "car", [0, 0, 142]),
    class(27, Some(14), "truck", [0, 0, 70]),
    class(28, Some(15), "bus", [0, 60, 100]),
    class(29, None, "caravan", [0, 0, 90]),
    class(30, None, "trailer", [0, 0, 110]),
    class(31, Some(16), "train", [0, 80, 100]),
    class(32, Some(17), "motorcycle", [0, 0, 230]),
    class(33, Some(18), "bicycle", [119, 11, 32]),
];

/// The train id of a label id, for [`GroundTruth::remap`]; `None` for what is not trained.
///
/// # Example
/// ```no_run
/// use segcam_annotations::{GroundTruth, cityscapes_train_id};
///
/// let truth = GroundTruth::from_image("frankfurt_000001_058914_gtFine_labelIds.png")?;
/// let truth = truth.remap(cityscapes_train_id);
/// # Ok::<(), segcam_annotations::AnnotationError>(())
/// ```
pub fn cityscapes_train_id(label_id: u32) -> Option<u32> {
    CITYSCAPES.iter().find(|class| class.id == label_id)?.train_id
}

/// The train ids of all colours, for [`GroundTruth::from_colours`]; what is not trained is ignored.
/// Where colours cannot tell a class from a trained one (`polegroup` from `pole`), it is the
/// trained one.
pub fn cityscapes_colours() -> Vec<([u8; 3], u32)> {
    let label = |colour| {
        let same = CITYSCAPES.iter().filter(|class| class.colour == colour);
        same.filter_map(|class| class.train_id).next().unwrap_or(GroundTruth::IGNORED)
    };
    CITYSCAPES.iter().map(|class| (class.colour, label(class.colour))).collect()
}

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::image_file::{bounded, unreadable};
use crate::mask::{decompress, paint_polygon, paint_runs};
use crate::{AnnotationError, GroundTruth, MaskError};

/// A file of COCO instances: polygons and run-length encoded masks.
///
/// A polygon holds the pixels whose centre is inside it, by the even-odd rule; several polygons of
/// one annotation are joined. `pycocotools` draws outlines on a finer grid instead, and so may
/// differ by a pixel along them. Masks are exact.
///
/// # Example
/// ```no_run
/// use segcam_annotations::Coco;
///
/// let coco = Coco::open("instances_val2017.json")?;
/// // Pixels of no annotation, or of one that is left out, have label 0.
/// let truth = coco.truth("000000000139.jpg", |category| match category.name.as_str() {
///     "person" => Some(15),
///     "tv" => Some(20),
///     _ => None,
/// })?;
/// let (ids, size) = coco.instances("000000000139.jpg")?;
/// # Ok::<(), segcam_annotations::AnnotationError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Coco {
    path: PathBuf,
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: HashMap<u64, Category>,
}

/// What an annotation is of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Category {
    /// Its number in the file: not a class of a network.
    pub id: u64,
    /// Its name.
    pub name: String,
}

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Debug, Clone, Deserialize)]
struct Image {
    id: u64,
    file_name: String,
    height: usize,
    width: usize,
}

#[derive(Debug, Clone, Deserialize)]
struct Annotation {
    id: u64,
    image_id: u64,
    category_id: u64,
    segmentation: Option<Segmentation>,
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a segmentation is a list of polygons or a mask with size and counts"
)]
enum Segmentation {
    Polygons(Vec<Vec<f64>>),
    Runs { size: [usize; 2], counts: Vec<usize> },
    Compressed { size: [usize; 2], counts: String },
}

impl Coco {
    /// Reads the file, which may be about many images.
    ///
    /// # Errors
    /// If it cannot be read, or is not COCO JSON.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AnnotationError> {
        let path = path.as_ref().to_path_buf();
        let bytes = std::fs::read(&path).map_err(unreadable(&path))?;
        let file: File = match serde_json::from_slice(&bytes) {
            Ok(file) => file,
            Err(source) => return Err(AnnotationError::Json { path, source }),
        };
        let categories = file.categories.into_iter().map(|category| (category.id, category));
        let (images, annotations) = (file.images, file.annotations);
        Ok(Self { path, images, annotations, categories: categories.collect() })
    }

    /// The labels of one image, which is named by its file name or its id. `label` translates a
    /// category; `None` leaves its annotations out. What no annotation covers has label 0, and of
    /// two that overlap the later one wins.
    ///
    /// # Errors
    /// If the file has no such image, or an annotation of it is damaged.
    pub fn truth(
        &self,
        image: &str,
        label: impl Fn(&Category) -> Option<u32>,
    ) -> Result<GroundTruth, AnnotationError> {
        let (labels, size) = self.draw(image, |_, annotation| {
            let Annotation { id: annotation, category_id: category, .. } = *annotation;
            let unknown = || AnnotationError::UnknownCategory { annotation, category };
            Ok(label(self.categories.get(&category).ok_or_else(unknown)?))
        })?;
        GroundTruth::from_labels(labels, size)
    }

    /// The instances of one image, for `segcam_components::Instances`: an id for every pixel and
    /// the size `[H, W]`. The n-th annotation has the id n, what no annotation covers has 0. Crowds
    /// are no instance and left out.
    ///
    /// # Errors
    /// As [`truth`](Self::truth).
    pub fn instances(&self, image: &str) -> Result<(Vec<u32>, Vec<usize>), AnnotationError> {
        self.draw(image, |number, annotation| Ok((annotation.iscrowd == 0).then_some(number)))
    }

    /// Draws the annotations of an image, numbered from 1, with the values that `value` gives them.
    fn draw(
        &self,
        wanted: &str,
        value: impl Fn(u32, &Annotation) -> Result<Option<u32>, AnnotationError>,
    ) -> Result<(Vec<u32>, Vec<usize>), AnnotationError> {
        let is_wanted =
            |image: &&Image| image.file_name == wanted || image.id.to_string() == wanted;
        let Some(image) = self.images.iter().find(is_wanted) else {
            let known = self.images.iter().map(|image| image.file_name.clone()).collect();
            return Err(AnnotationError::UnknownImage { wanted: wanted.to_string(), known });
        };
        let size = bounded(&self.path, image.height, image.width)?;
        let mut drawn = vec![0; image.height * image.width];
        let here = self.annotations.iter().filter(|annotation| annotation.image_id == image.id);
        for (number, annotation) in (1..).zip(here) {
            let Some(value) = value(number, annotation)? else { continue };
            let paint = |pixel: usize| drawn[pixel] = value;
            let outline = annotation.segmentation.as_ref().ok_or(MaskError::Missing);
            outline
                .and_then(|outline| outline.paint([image.height, image.width], paint))
                .map_err(|source| AnnotationError::Mask { annotation: annotation.id, source })?;
        }
        Ok((drawn, size))
    }
}

impl Segmentation {
    fn paint(&self, image: [usize; 2], mut paint: impl FnMut(usize)) -> Result<(), MaskError> {
        match self {
            Self::Polygons(polygons) if polygons.is_empty() => Err(MaskError::Missing),
            Self::Polygons(polygons) => {
                polygons.iter().try_for_each(|polygon| paint_polygon(polygon, image, &mut paint))
            }
            Self::Runs { size, .. } | Self::Compressed { size, .. } if *size != image => {
                Err(MaskError::Size { wanted: image, given: *size })
            }
            Self::Runs { counts, .. } => paint_runs(counts, image, paint),
            Self::Compressed { counts, .. } => paint_runs(&decompress(counts)?, image, paint),
        }
    }
}

impl GroundTruth {
    /// The labels of one image of a COCO file: [`Coco::open`] and [`Coco::truth`] in one, for a
    /// single image.
    ///
    /// # Errors
    /// As those.
    pub fn from_coco(
        path: impl AsRef<Path>,
        image: &str,
        label: impl Fn(&Category) -> Option<u32>,
    ) -> Result<Self, AnnotationError> {
        Coco::open(path)?.truth(image, label)
    }
}

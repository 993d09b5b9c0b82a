//! The images that can be looked at: those of the given files and folders, and those that were uploaded.
//! Whoever asks names them by numbers of ours, never by paths.

use std::fs;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use image::{DynamicImage, ImageReader};
use serde::Serialize;
use tempfile::TempDir;

use crate::kinds::{Kind, ending_of, kind_of};
use crate::print;
use crate::scan::files_of;

/// What may be uploaded.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// How many files.
    pub files: usize,
    /// Bytes of all of them.
    pub all_bytes: u64,
    /// Pixels of an image, wherever it comes from.
    pub pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 256 << 20, files: 200, all_bytes: 2 << 30, pixels: 64 << 20 }
    }
}

/// Why an upload was not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It is of no kind that is read.
    #[error("`{0}` is of no kind that can be looked at: PNG, JPEG, TIFF, .npy or a scan's file")]
    Kind(String),
    /// It is no picture, whatever its name says.
    #[error("`{0}` is no PNG, JPEG or TIFF image, or it is damaged")]
    Damaged(String),
    /// There are too many, or they are too large together.
    #[error("no more can be uploaded: at most {} files of {} MB together", .0.files, .0.all_bytes >> 20)]
    Full(Limits),
    /// The image would be too large in memory.
    #[error("the image has {0} pixels, and at most {1} are taken")]
    TooLarge(u64, u64),
    /// A scan would be too large in memory.
    #[error("the scan has more than {0} voxels, and no more are taken")]
    Unpacked(u64),
    /// It cannot be kept.
    #[error("the upload cannot be kept: {0}")]
    Io(#[from] std::io::Error),
}

/// An image of the gallery.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// What it is asked for by.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whether it came through the page.
    pub uploaded: bool,
    /// Whether it is a picture, which has a thumbnail.
    pub picture: bool,
    /// Where it lies.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// When it was written last.
    #[serde(skip)]
    pub(crate) modified: Option<SystemTime>,
    /// The folder that it must not leave.
    #[serde(skip)]
    root: PathBuf,
}

/// All images, and where uploads go.
#[derive(Debug)]
pub struct Gallery {
    given: Vec<PathBuf>,
    limits: Limits,
    uploads: TempDir,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    entries: Vec<Entry>,
    /// The next number, which no image had before.
    next: usize,
    uploaded: usize,
    bytes: u64,
    thumbnails: Vec<(String, Vec<u8>)>,
}

/// The longer side of a thumbnail.
const THUMBNAIL: u32 = 96;
/// Files of one folder.
const MOST: usize = 10_000;

impl Gallery {
    /// Of these files and folders.
    ///
    /// # Errors
    /// Paths that do not exist.
    pub fn new(given: &[PathBuf], limits: Limits) -> Result<Self> {
        let whole = |path: &PathBuf| {
            path.canonicalize().with_context(|| format!("cannot use {}", path.display()))
        };
        let given = given.iter().map(whole).collect::<Result<_>>()?;
        let uploads = TempDir::with_prefix("segcam-studio-").context("no room for uploads")?;
        let gallery = Self { given, limits, uploads, held: Mutex::default() };
        gallery.look()?;
        Ok(gallery)
    }

    /// What may be uploaded.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every image. Files that came since are there, too.
    ///
    /// # Errors
    /// Folders that cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>> {
        self.look()?;
        Ok(self.held().entries.clone())
    }

    fn look(&self) -> Result<()> {
        let mut found = vec![];
        for given in &self.given {
            if given.is_dir() {
                let files = readable(given)?;
                found.extend(files.into_iter().map(|file| (file, given.clone())));
            } else {
                let folder = given.parent().unwrap_or(given).to_path_buf();
                found.push((given.clone(), folder));
            }
        }
        let mut held = self.held();
        for (path, root) in found {
            if held.entries.iter().all(|entry| entry.path != path) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                held.add(name, false, path, root);
            }
        }
        held.entries.retain(|entry| entry.path.exists());
        Ok(())
    }

    /// The image of this number, if it still lies where it may.
    pub(crate) fn find(&self, id: &str) -> Option<Entry> {
        let entry = self.held().entries.iter().find(|entry| entry.id == id).cloned()?;
        // A link that was put in its place leads elsewhere.
        let path = entry.path.canonicalize().ok()?;
        let modified = fs::metadata(&path).and_then(|file| file.modified()).ok();
        path.starts_with(&entry.root).then_some(Entry { modified, ..entry })
    }

    /// Whether one more file may come.
    pub(crate) fn has_room(&self) -> bool {
        let held = self.held();
        held.uploaded < self.limits.files && held.bytes < self.limits.all_bytes
    }

    /// Keeps a file until the program ends.
    ///
    /// # Errors
    /// [`UploadError`].
    pub fn upload(&self, name: &str, bytes: &[u8]) -> Result<Entry, UploadError> {
        let name = name.rsplit(['/', '\\']).next().unwrap_or("");
        let name: String = name.chars().filter(|c| !c.is_control()).take(120).collect();
        let ending = ending_of(&name).ok_or_else(|| UploadError::Kind(name.clone()))?;
        let mut held = self.held();
        let all = held.bytes + bytes.len() as u64;
        if held.uploaded >= self.limits.files || all > self.limits.all_bytes {
            return Err(UploadError::Full(self.limits));
        }
        let root = self.uploads.path().canonicalize()?;
        let path = root.join(format!("{}{ending}", held.uploaded));
        fs::write(&path, bytes)?;
        let refusal = match pixels_of(&path) {
            None if kind_of(&path) == Some(Kind::Picture) => {
                Some(UploadError::Damaged(name.clone()))
            }
            Some(pixels) if pixels > self.limits.pixels => {
                Some(UploadError::TooLarge(pixels, self.limits.pixels))
            }
            None if values_of(&path, self.limits.pixels)? > self.limits.pixels => {
                Some(UploadError::Unpacked(self.limits.pixels))
            }
            _ => None,
        };
        if let Some(refusal) = refusal {
            fs::remove_file(&path)?;
            return Err(refusal);
        }
        held.uploaded += 1;
        held.bytes = all;
        Ok(held.add(name, true, path, root))
    }

    /// Refuses images whose pixels would not fit into memory, before any is decoded.
    pub(crate) fn check(&self, entry: &Entry) -> Result<()> {
        let pixels = pixels_of(&entry.path).unwrap_or(0);
        let most = self.limits.pixels;
        ensure!(pixels <= most, "the image has {pixels} pixels, and at most {most} are taken");
        Ok(())
    }

    /// A small PNG; `None` of what is no picture.
    ///
    /// # Errors
    /// Pictures that cannot be read.
    pub(crate) fn thumbnail(&self, entry: &Entry) -> Result<Option<Vec<u8>>> {
        let known = self.held().thumbnails.iter().find(|(id, _)| *id == entry.id).cloned();
        if let Some((_, bytes)) = known {
            return Ok(Some(bytes));
        }
        if !entry.picture {
            return Ok(None);
        }
        self.check(entry)?;
        let image = ImageReader::open(&entry.path)?.with_guessed_format()?.decode()?;
        let small = bright(&image).thumbnail(THUMBNAIL, THUMBNAIL).into_rgb8();
        let bytes = print::png("thumbnail", small)?.bytes;
        self.held().thumbnails.push((entry.id.clone(), bytes.clone()));
        Ok(Some(bytes))
    }
}

/// Of 16-bit pictures, which often use a small part of their range, that part.
fn bright(image: &DynamicImage) -> DynamicImage {
    let DynamicImage::ImageLuma16(gray) = image else { return image.clone() };
    let most = gray.iter().copied().max().unwrap_or(1).max(1);
    let mut gray = gray.clone();
    gray.iter_mut().for_each(|value| *value = (u32::from(*value) * 65535 / u32::from(most)) as u16);
    DynamicImage::ImageLuma16(gray)
}

impl Held {
    fn add(&mut self, name: String, uploaded: bool, path: PathBuf, root: PathBuf) -> Entry {
        let (id, modified) = (format!("i{}", self.next), None);
        self.next += 1;
        let picture = kind_of(&path) == Some(Kind::Picture);
        let entry = Entry { id, name, uploaded, picture, path, modified, root };
        self.entries.push(entry.clone());
        entry
    }
}

/// What can be looked at in a folder, by name: a series as a whole, or its files. Links that lead elsewhere are
/// nothing, and so are headers, which name files anywhere.
fn readable(folder: &Path) -> Result<Vec<PathBuf>> {
    let inside = |path: &Path| path.canonicalize().is_ok_and(|whole| whole.starts_with(folder));
    if kind_of(folder) == Some(Kind::Series) {
        let whole = files_of(folder)?.iter().all(|file| inside(file));
        return Ok(whole.then(|| folder.to_path_buf()).into_iter().collect());
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = vec![];
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_one = || matches!(kind_of(&path), Some(Kind::Picture | Kind::File));
        if path.is_file() && inside(&path) && is_one() {
            files.push(path);
        }
        if files.len() > MOST {
            bail!("{} holds more than {MOST} images: give fewer", folder.display());
        }
    }
    files.sort();
    Ok(files)
}

/// Values that a scan has once it is unpacked, or more than `most`: what its text promises, and what there is
/// in compressed bytes.
fn values_of(path: &Path, most: u64) -> std::io::Result<u64> {
    const TEXT: u64 = 4096;
    const BYTES: u64 = 8;
    let mut start = vec![];
    fs::File::open(path)?.take(TEXT).read_to_end(&mut start)?;
    let text = String::from_utf8_lossy(&start);
    // NRRD and MetaImage say in words how many there are.
    let sizes = text.lines().filter_map(|line| {
        let (name, sizes) = line.split_once(['=', ':'])?;
        ["sizes", "DimSize"].contains(&name.trim()).then_some(sizes)
    });
    let promised = sizes.map(|sizes| {
        let sizes = sizes.split_whitespace().map(|size| size.parse().unwrap_or(u64::MAX));
        sizes.fold(1, u64::saturating_mul)
    });
    let promised = promised.max().unwrap_or(0);
    if !start.starts_with(&[0x1f, 0x8b]) {
        return Ok(promised);
    }
    let unpacked = MultiGzDecoder::new(BufReader::new(fs::File::open(path)?));
    let enough = most.saturating_mul(BYTES).saturating_add(BYTES);
    // Damaged bytes are for whoever reads the scan.
    let bytes = std::io::copy(&mut unpacked.take(enough), &mut std::io::sink()).unwrap_or(0);
    Ok(promised.max(bytes / BYTES))
}

/// Pixels that a picture's header promises; `None` of what is no picture.
fn pixels_of(path: &Path) -> Option<u64> {
    let file = BufReader::new(fs::File::open(path).ok()?);
    let reader = ImageReader::new(file).with_guessed_format().ok()?;
    let (width, height) = reader.into_dimensions().ok()?;
    Some(u64::from(width) * u64::from(height))
}

use std::fmt::Display;
use std::fs;
use std::io::{Cursor, ErrorKind, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{EncodableLayout, ImageBuffer, Pixel, PixelWithColorType};
use npyz::WriterBuilder;
use tempfile::{Builder, NamedTempFile};

/// Prints a line. A reader that went away, as `head` does, wants no more of them.
pub(crate) fn say(text: impl Display) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot print"),
    }
}

/// The folder that receives the results. A file is there whole or not at all.
pub(crate) struct Folder {
    path: PathBuf,
    /// Whether it was not there before.
    new: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.new {
            // Only an empty folder can be removed: a failed run leaves nothing behind.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

impl Folder {
    /// Makes the folder and checks that it can be written, before anything is computed for it.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let new = !path.exists();
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the output folder {}", path.display()))?;
        let folder = Self { path: path.to_path_buf(), new };
        folder.temporary()?;
        Ok(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        let save = || -> Result<()> {
            let mut file = self.temporary()?;
            file.write_all(bytes)?;
            file.persist(&path)?;
            Ok(())
        };
        save().with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn png<P, C>(&self, name: &str, image: &ImageBuffer<P, C>) -> Result<()>
    where
        P: Pixel + PixelWithColorType,
        [P::Subpixel]: EncodableLayout,
        C: Deref<Target = [P::Subpixel]>,
    {
        let mut bytes = Cursor::new(vec![]);
        let (kind, filter) = (CompressionType::Default, FilterType::Adaptive);
        image.write_with_encoder(PngEncoder::new_with_quality(&mut bytes, kind, filter))?;
        self.write(name, bytes.get_ref())
    }

    pub(crate) fn npy<T>(&self, name: &str, shape: &[usize], values: &[T]) -> Result<()>
    where
        T: npyz::AutoSerialize + Copy,
    {
        let shape: Vec<u64> = shape.iter().map(|&side| side as u64).collect();
        let mut bytes = vec![];
        let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
        let mut writer = options.writer(&mut bytes).begin_nd()?;
        writer.extend(values.iter().copied())?;
        writer.finish()?;
        self.write(name, &bytes)
    }

    fn temporary(&self) -> Result<NamedTempFile> {
        let mut builder = Builder::new();
        // Readable by others, as far as the user's umask lets them.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder
            .prefix(".segcam-")
            .tempfile_in(&self.path)
            .with_context(|| format!("cannot write into {}", self.path.display()))
    }
}

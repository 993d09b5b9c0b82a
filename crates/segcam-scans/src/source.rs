//! Files that are not trusted: nothing is allocated on the word of a header.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::ZlibDecoder;

use crate::ScanError;
use crate::gzip::{ended, gunzip};
use crate::number::Encoding;

/// How many of the first bytes can be looked at before anything is read.
const HEAD: u64 = 1024;

/// Bytes that are worked on at once: a multiple of every number's size.
pub(crate) const BLOCK: usize = 1 << 16;

/// A file that is read from front to back. gzip is undone, whatever the name.
pub(crate) struct Source<'a> {
    path: PathBuf,
    reader: Box<dyn BufRead + 'a>,
    head: Vec<u8>,
    read: u64,
    on_disk: bool,
}

impl<'a> Source<'a> {
    pub(crate) fn open(path: &Path) -> Result<Self, ScanError> {
        Self::new(path, Self::file(path)?, true)
    }

    /// A file of values alone, in which nothing is undone.
    pub(crate) fn of_values(path: PathBuf) -> Result<Self, ScanError> {
        let reader = Box::new(Self::file(&path)?);
        Ok(Self { path, reader, head: Vec::new(), read: 0, on_disk: true })
    }

    fn file(path: &Path) -> Result<BufReader<File>, ScanError> {
        let file = File::open(path).map_err(|error| ScanError::file(path, error))?;
        Ok(BufReader::with_capacity(BLOCK, file))
    }

    pub(crate) fn of(path: &Path, bytes: &'a [u8]) -> Result<Self, ScanError> {
        Self::new(path, bytes, false)
    }

    fn new(path: &Path, mut file: impl BufRead + 'a, on_disk: bool) -> Result<Self, ScanError> {
        let failed = |error| ScanError::file(path, error);
        let packed = file.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let mut reader: Box<dyn BufRead + 'a> = if packed { gunzip(file) } else { Box::new(file) };
        let mut head = Vec::new();
        match (&mut reader).take(HEAD).read_to_end(&mut head) {
            // What there is may be enough; whoever needs more will say what is missing.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            result => {
                result.map_err(failed)?;
            }
        }
        let reader = Box::new(Cursor::new(head.clone()).chain(reader));
        Ok(Self { path: path.to_owned(), reader, head, read: 0, on_disk })
    }

    /// With gzip undone, if it is compressed.
    pub(crate) fn unpacked(self) -> Result<Self, ScanError> {
        Self::new(&self.path, self.reader, self.on_disk)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The first 1,024 bytes, or as many as there are.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(crate) fn error(&self, reason: impl Into<String>) -> ScanError {
        ScanError::format(&self.path, reason)
    }

    /// Exactly `N` bytes of a header.
    pub(crate) fn header<const N: usize>(&mut self) -> Result<[u8; N], ScanError> {
        let mut bytes = [0; N];
        match self.fill(&mut bytes)? {
            there if there == N => Ok(bytes),
            there => Err(self.error(format!("its header ends after {there} of {N} bytes"))),
        }
    }

    /// A line of a header, without its end; `None` at the end of the file.
    pub(crate) fn line(&mut self) -> Result<Option<String>, ScanError> {
        const LONGEST: u64 = 1 << 16;
        let mut line = Vec::new();
        let read = (&mut self.reader).take(LONGEST).read_until(b'\n', &mut line);
        let read = read.map_err(|error| ScanError::file(&self.path, error))? as u64;
        self.read += read;
        if read == LONGEST || self.read > 16 * LONGEST {
            return Err(self.error(format!(
                "its header does not end: a line has at most {LONGEST} bytes, all of them {}",
                16 * LONGEST
            )));
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        Ok((read > 0).then_some(text))
    }

    /// Leaves out everything before this byte of the file.
    pub(crate) fn skip_to(&mut self, offset: u64) -> Result<(), ScanError> {
        let Some(ahead) = offset.checked_sub(self.read) else {
            let read = self.read;
            return Err(self.error(format!(
                "its values start at byte {offset}, inside of the header, which has {read}"
            )));
        };
        let mut skipped = (&mut self.reader).take(ahead);
        let skipped = io::copy(&mut skipped, &mut io::sink()).or_else(ended(0));
        self.read += skipped.map_err(|error| ScanError::file(&self.path, error))?;
        if self.read < offset {
            let there = self.read;
            return Err(
                self.error(format!("its values start at byte {offset}, and it ends after {there}"))
            );
        }
        Ok(())
    }

    /// Leaves out as many bytes.
    pub(crate) fn skip(&mut self, bytes: u64) -> Result<(), ScanError> {
        self.skip_to(self.read.saturating_add(bytes))
    }

    /// What follows is compressed: zlib, or gzip if it says so.
    pub(crate) fn inflate(&mut self) -> Result<(), ScanError> {
        let mut packed: Box<dyn BufRead + 'a> = Box::new(io::empty());
        std::mem::swap(&mut packed, &mut self.reader);
        let start = packed.fill_buf().map_err(|error| ScanError::file(&self.path, error))?;
        self.reader = match start {
            [0x1f, ..] => gunzip(packed),
            _ => Box::new(BufReader::with_capacity(BLOCK, ZlibDecoder::new(packed))),
        };
        self.read = 0;
        Ok(())
    }

    /// As many values as the header promises.
    pub(crate) fn values(
        &mut self,
        encoding: Encoding,
        count: usize,
    ) -> Result<Vec<f32>, ScanError> {
        let wanted = count.checked_mul(encoding.number.bytes()).ok_or_else(|| {
            self.error(format!("{count} values are more than this machine can count the bytes of"))
        })?;
        // Grows with what arrives.
        let (mut values, mut there) = (Vec::new(), 0);
        let mut block = vec![0; BLOCK];
        while there < wanted {
            let next = (wanted - there).min(BLOCK);
            let read = self.fill(&mut block[..next])?;
            encoding.decode(&block[..read], &mut values);
            there += read;
            if read < next {
                return Err(self.error(format!(
                    "its values end after {there} of {wanted} bytes: is it a part of a file?"
                )));
            }
        }
        self.check_end()?;
        Ok(values)
    }

    /// The values with which the file ends.
    pub(crate) fn last_values(
        &mut self,
        encoding: Encoding,
        count: usize,
    ) -> Result<Vec<f32>, ScanError> {
        let wanted = count.saturating_mul(encoding.number.bytes());
        let (mut bytes, mut block, mut there) = (Vec::new(), vec![0; BLOCK], 0);
        loop {
            let read = self.fill(&mut block)?;
            bytes.extend_from_slice(&block[..read]);
            there += read;
            if read < BLOCK {
                break;
            }
            // Now and then, what cannot be among the last.
            if bytes.len() / 2 > wanted.max(BLOCK) {
                bytes.drain(..bytes.len() - wanted);
            }
        }
        let Some(start) = bytes.len().checked_sub(wanted) else {
            return Err(self.error(format!(
                "its last {wanted} bytes are to be its values, and only {there} follow its header"
            )));
        };
        let mut values = Vec::new();
        encoding.decode(&bytes[start..], &mut values);
        Ok(values)
    }

    /// As many numbers, written out as text.
    pub(crate) fn text_values(&mut self, count: usize) -> Result<Vec<f32>, ScanError> {
        const LONGEST: usize = 64;
        let (mut values, mut word) = (Vec::new(), Vec::new());
        while values.len() < count {
            let mut byte = [0];
            let read = self.fill(&mut byte)?;
            let between = read == 0 || byte[0].is_ascii_whitespace() || byte[0] == b',';
            if !between && word.len() < LONGEST {
                word.push(byte[0]);
                continue;
            }
            if !word.is_empty() {
                let text = String::from_utf8_lossy(&word);
                // Through f64, as a binary file's values are.
                let value = text.parse::<f64>().map_err(|_| {
                    let number = values.len() + 1;
                    self.error(format!("its value {number} of {count} is no number: {text:?}"))
                })?;
                values.push(value as f32);
                word.clear();
            }
            if read == 0 && values.len() < count {
                let there = values.len();
                return Err(self.error(format!("its values end after {there} of {count}")));
            }
        }
        Ok(values)
    }

    /// Where another file lies that a header names: in the same folder or below it.
    pub(crate) fn beside(&self, name: &str) -> Result<PathBuf, ScanError> {
        use std::path::Component::{CurDir, Normal};
        if name.split_whitespace().next() == Some("LIST") || name.contains('%') {
            return Err(self.error("its values lie in several files: write them into one"));
        }
        let other = Path::new(name);
        if !self.on_disk {
            return Err(self.error(format!(
                "its values lie in another file, {name:?}: open it by its path, not from memory"
            )));
        }
        if !other.components().all(|part| matches!(part, Normal(_) | CurDir)) {
            return Err(self.error(format!(
                "its values lie outside of its folder, in {name:?}: move that file beside it"
            )));
        }
        Ok(self.path.with_file_name("").join(other))
    }

    /// Reads until the buffer is full or the file ends.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ScanError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]).or_else(ended(0)) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.corrupt(filled, error)),
            }
        }
        self.read += filled as u64;
        Ok(filled)
    }

    /// At the end of compressed bytes is their checksum.
    fn check_end(&mut self) -> Result<(), ScanError> {
        match self.reader.fill_buf() {
            Err(error) => Err(self.corrupt(0, error)),
            Ok(_) => Ok(()),
        }
    }

    fn corrupt(&self, filled: usize, source: io::Error) -> ScanError {
        let there = self.read + filled as u64;
        let text = format!("damaged after {there} bytes: {source}");
        ScanError::file(&self.path, io::Error::new(source.kind(), text))
    }
}

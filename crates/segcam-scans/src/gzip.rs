//! gzip, as files from anywhere have it.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::GzDecoder;

use crate::source::BLOCK;

/// Compressed bytes that stop in the middle end there.
pub(crate) fn ended<T>(value: T) -> impl FnOnce(io::Error) -> io::Result<T> {
    |error| match error.kind() {
        ErrorKind::UnexpectedEof => Ok(value),
        _ => Err(error),
    }
}

pub(crate) fn gunzip<'a>(packed: impl BufRead + 'a) -> Box<dyn BufRead + 'a> {
    Box::new(BufReader::with_capacity(BLOCK, Members(Some(GzDecoder::new(packed)))))
}

/// gzip's members one after the other. What follows them and is none is left alone, where
/// `MultiGzDecoder` calls the whole file damaged.
struct Members<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(mut rest) = self.0.take().map(GzDecoder::into_inner) else { break };
            if rest.fill_buf()?.first() == Some(&0x1f) {
                self.0 = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use crate::ScanError;
    use crate::number::{Encoding, Number};
    use crate::source::Source;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Compression::default());
        writer.write_all(bytes).expect("in memory");
        writer.finish().expect("in memory")
    }

    fn bytes_of(file: &[u8], count: usize) -> Result<Vec<f32>, ScanError> {
        let encoding = Encoding { number: Number::U8, big_endian: false, scale: None };
        Source::of(Path::new("a.gz"), file)?.values(encoding, count)
    }

    #[test]
    fn gzip_in_several_members_with_rubbish_behind() {
        let mut file = packed(&[1, 2]);
        file.extend(packed(&[3]));
        file.extend([0, 0, 7]);
        assert_eq!(bytes_of(&file, 3).expect("three bytes"), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn what_is_cut_off_or_changed_is_an_error() {
        // Bytes that hardly compress.
        let bytes: Vec<u8> =
            (0..9000u32).map(|n| (n.wrapping_mul(n).wrapping_mul(2_654_435) >> 13) as u8).collect();
        let file = packed(&bytes);
        assert_eq!(bytes_of(&file, 9000).expect("all").len(), 9000);
        let short = bytes_of(&file[..file.len() / 2], 9000).expect_err("half a file").to_string();
        assert!(short.contains("of 9000 bytes"), "{short}");
        let mut wrong = file.clone();
        let checksum = file.len() - 6;
        wrong[checksum] ^= 1;
        let error = bytes_of(&wrong, 9000).expect_err("another checksum").to_string();
        assert!(error.contains("damaged after 9000 bytes"), "{error}");
    }
}

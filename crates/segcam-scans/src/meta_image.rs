//! MetaImage, `.mha` and `.mhd`: <https://docs.itk.org/en/latest/learn/metaio.html>.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::channels::channels_last;
use crate::grid::{affine_of, from_lps};
use crate::matrix::transpose;
use crate::number::{Encoding, Number};
use crate::source::Source;
use crate::{Grid, Scan, ScanError};

/// Whether these are the first bytes of such a file.
pub(crate) fn recognises(head: &[u8]) -> bool {
    let start: String = head.iter().take(40).map(|byte| char::from(*byte)).collect();
    let name = start.split('=').next().unwrap_or("").trim();
    start.contains('=') && ["ObjectType", "NDims", "Comment"].contains(&name)
}

pub(crate) fn read(mut source: Source<'_>) -> Result<Scan, ScanError> {
    let header = Header::parse(&mut source)?;
    let wrong = |reason: String| source.error(reason);
    let in_file = |error: ScanError| error.in_file(source.path());
    let encoding = header.encoding().map_err(wrong)?;
    let (size, steps) = header.shape().map_err(wrong)?;
    let inner = header.numbers::<usize>(&["ElementNumberOfChannels"], 1).map_err(wrong)?;
    let inner = inner.map_or(1, |numbers| numbers[0]);
    if inner > 1 && steps > 1 {
        return Err(source.error(format!(
            "it has {steps} steps along a fourth axis and {inner} channels: write a file for each"
        )));
    }
    let grid = Grid::new(size, header.affine().map_err(wrong)?).map_err(in_file)?;
    let channels = inner.saturating_mul(steps);
    let count = grid.values_of(channels).map_err(in_file)?;
    let values = header.values(source, encoding, count)?;
    Scan::new(grid, channels, if inner > 1 { channels_last(values, 1, inner) } else { values })
}

/// The file that its values lie in, if it is another.
pub(crate) fn values_file(mut source: Source<'_>) -> Result<Option<PathBuf>, ScanError> {
    Header::parse(&mut source)?.values_file(&source)
}

/// Fields by their names.
struct Header(HashMap<String, String>);

impl Header {
    fn parse(source: &mut Source<'_>) -> Result<Self, ScanError> {
        let mut fields = HashMap::new();
        while let Some(line) = source.line()? {
            let Some((name, value)) = line.split_once('=') else {
                return Err(source.error(format!("{line:?} in its header is no field")));
            };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            let last = name == "ElementDataFile";
            fields.insert(name, value);
            if last {
                return Ok(Self(fields));
            }
        }
        Err(source.error("its header ends without ElementDataFile"))
    }

    /// A field by one of its names.
    fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(*name)).map(String::as_str)
    }

    fn is(&self, names: &[&str]) -> bool {
        self.get(names).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }

    /// A field of as many numbers, if it is there.
    fn numbers<T: std::str::FromStr>(
        &self,
        names: &[&str],
        count: usize,
    ) -> Result<Option<Vec<T>>, String> {
        let Some(text) = self.get(names) else { return Ok(None) };
        let numbers: Option<Vec<T>> =
            text.split_whitespace().map(|word| word.parse().ok()).collect();
        match numbers.filter(|numbers| numbers.len() == count) {
            Some(numbers) => Ok(Some(numbers)),
            None => Err(format!("its {} is {text:?}; {count} number(s) are needed", names[0])),
        }
    }

    fn dimensions(&self) -> Result<usize, String> {
        match self.numbers::<usize>(&["NDims"], 1)?.as_deref() {
            Some([dimensions @ 1..=4]) => Ok(*dimensions),
            other => Err(format!("its NDims is {other:?}; 1 to 4 can be read")),
        }
    }

    /// Sides in space, and steps along a fourth axis.
    fn shape(&self) -> Result<([usize; 3], usize), String> {
        let sides = self.numbers(&["DimSize"], self.dimensions()?)?;
        let sides: Vec<usize> = sides.ok_or("its header lacks DimSize")?;
        let side = |axis: usize| sides.get(axis).copied().unwrap_or(1);
        Ok(([side(0), side(1), side(2)], side(3)))
    }

    fn encoding(&self) -> Result<Encoding, String> {
        // As MetaIO has them: a long has four bytes.
        let number = match self.get(&["ElementType"]).ok_or("its header lacks ElementType")? {
            "MET_CHAR" | "MET_ASCII_CHAR" => Number::I8,
            "MET_UCHAR" => Number::U8,
            "MET_SHORT" => Number::I16,
            "MET_USHORT" => Number::U16,
            "MET_INT" | "MET_LONG" => Number::I32,
            "MET_UINT" | "MET_ULONG" => Number::U32,
            "MET_LONG_LONG" => Number::I64,
            "MET_ULONG_LONG" => Number::U64,
            "MET_FLOAT" => Number::F32,
            "MET_DOUBLE" => Number::F64,
            other => {
                return Err(format!(
                    "its ElementType is {other:?}; integers of 8 to 64 bits, MET_FLOAT and \
                     MET_DOUBLE can be read, with ElementNumberOfChannels"
                ));
            }
        };
        let big_endian = self.is(&["BinaryDataByteOrderMSB", "ElementByteOrderMSB"]);
        Ok(Encoding { number, big_endian, scale: None })
    }

    /// Each row of the matrix in the file is the direction of an axis; left, posterior, superior.
    fn affine(&self) -> Result<[[f64; 4]; 3], String> {
        let sides = self.dimensions()?;
        let matrix = ["TransformMatrix", "Rotation", "Orientation"];
        let matrix: Option<Vec<f64>> = self.numbers(&matrix, sides * sides)?;
        let spacing: Option<Vec<f64>> = self.numbers(&["ElementSpacing", "ElementSize"], sides)?;
        let origin: Option<Vec<f64>> = self.numbers(&["Offset", "Position", "Origin"], sides)?;
        let mut axes = [[1., 0., 0.], [0., 1., 0.], [0., 0., 1.]];
        let mut offset = [0.0; 3];
        for axis in 0..sides.min(3) {
            for space in 0..sides.min(3) {
                if let Some(matrix) = &matrix {
                    axes[axis][space] = matrix[axis * sides + space];
                }
                axes[axis][space] *= spacing.as_ref().map_or(1.0, |spacing| spacing[axis]);
            }
            offset[axis] = origin.as_ref().map_or(0.0, |origin| origin[axis]);
        }
        Ok(from_lps(affine_of(&transpose(&axes), offset)))
    }

    fn values_file(&self, source: &Source<'_>) -> Result<Option<PathBuf>, ScanError> {
        let name = self.get(&["ElementDataFile"]).unwrap_or_default();
        let other = !name.eq_ignore_ascii_case("local");
        other.then(|| source.beside(name)).transpose()
    }

    fn values(
        &self,
        mut source: Source<'_>,
        encoding: Encoding,
        count: usize,
    ) -> Result<Vec<f32>, ScanError> {
        let skip: Option<Vec<i64>> =
            self.numbers(&["HeaderSize"], 1).map_err(|reason| source.error(reason))?;
        if let Some(file) = self.values_file(&source)? {
            source = Source::of_values(file)?;
        }
        match skip.map_or(0, |skip| skip[0]) {
            -1 if !self.is(&["CompressedData"]) => return source.last_values(encoding, count),
            bytes => match u64::try_from(bytes) {
                Ok(bytes) => source.skip(bytes)?,
                Err(_) => return Err(source.error(format!("its HeaderSize is {bytes}"))),
            },
        }
        if self.is(&["CompressedData"]) {
            source.inflate()?;
        }
        match self.get(&["BinaryData"]) {
            Some(text) if text.eq_ignore_ascii_case("false") => source.text_values(count),
            _ => source.values(encoding, count),
        }
    }
}

//! NRRD, attached and detached: <https://teem.sourceforge.net/nrrd/format.html>.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::channels::channels_last;
use crate::grid::{affine_of, from_lps};
use crate::matrix::{cross, norm, transpose};
use crate::number::{Encoding, Number};
use crate::source::Source;
use crate::{Grid, Scan, ScanError};

/// Whether these are the first bytes of such a file.
pub(crate) fn recognises(head: &[u8]) -> bool {
    head.starts_with(b"NRRD000")
}

pub(crate) fn read(mut source: Source<'_>) -> Result<Scan, ScanError> {
    let header = Header::parse(&mut source)?;
    let wrong = |reason: String| source.error(reason);
    let encoding = header.encoding().map_err(wrong)?;
    let sizes = header.sizes().map_err(wrong)?;
    let axes = header.axes(&sizes).map_err(wrong)?;
    let in_file = |error: ScanError| error.in_file(source.path());
    let mut size = [1; 3];
    for (side, axis) in size.iter_mut().zip(&axes.space) {
        *side = sizes[*axis];
    }
    let grid = Grid::new(size, header.affine(&axes.space).map_err(wrong)?).map_err(in_file)?;
    let channels = axes.channels.map_or(1, |axis| sizes[axis]);
    let count = grid.values_of(channels).map_err(in_file)?;
    let values = header.values(source, encoding, count)?;
    let block = sizes[..axes.channels.unwrap_or(0)].iter().product();
    Scan::new(grid, channels, channels_last(values, block, channels))
}

/// The file that its values lie in, if it is another.
pub(crate) fn values_file(mut source: Source<'_>) -> Result<Option<PathBuf>, ScanError> {
    Header::parse(&mut source)?.values_file(&source)
}

/// Which axes of the file are which.
struct Axes {
    /// One to three, fastest first.
    space: Vec<usize>,
    channels: Option<usize>,
}

/// Fields by their names; both in lower case.
struct Header(HashMap<String, String>);

impl Header {
    fn parse(source: &mut Source<'_>) -> Result<Self, ScanError> {
        source.line()?;
        let mut fields = HashMap::new();
        while let Some(line) = source.line()?.filter(|line| !line.is_empty()) {
            // Comments, and what the format does not define.
            if line.starts_with('#') || line.contains(":=") {
                continue;
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(source.error(format!("{line:?} in its header is no field")));
            };
            let (name, mut value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
            // Words; names of files are none.
            if !name.starts_with("data") {
                value.make_ascii_lowercase();
            }
            fields.insert(name, value);
        }
        Ok(Self(fields))
    }

    /// A field by one of its names.
    fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(*name)).map(String::as_str)
    }

    fn wanted(&self, name: &str) -> Result<&str, String> {
        self.get(&[name]).ok_or_else(|| format!("its header lacks the field {name:?}"))
    }

    fn sizes(&self) -> Result<Vec<usize>, String> {
        let text = self.wanted("sizes")?;
        let side = |word: &str| word.parse().ok().filter(|side: &usize| *side > 0);
        let sizes: Option<Vec<_>> = text.split_whitespace().map(side).collect();
        let dimension = self.wanted("dimension")?;
        match sizes.filter(|sizes| sizes.len().to_string() == dimension) {
            Some(sizes) => Ok(sizes),
            None => Err(format!("its sizes are {text:?}, its dimension is {dimension:?}")),
        }
    }

    fn encoding(&self) -> Result<Encoding, String> {
        let number = match self.wanted("type")? {
            "signed char" | "int8" | "int8_t" => Number::I8,
            "uchar" | "unsigned char" | "uint8" | "uint8_t" => Number::U8,
            "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => {
                Number::I16
            }
            "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => {
                Number::U16
            }
            "int" | "signed int" | "int32" | "int32_t" => Number::I32,
            "uint" | "unsigned int" | "uint32" | "uint32_t" => Number::U32,
            "longlong"
            | "long long"
            | "long long int"
            | "signed long long"
            | "signed long long int"
            | "int64"
            | "int64_t" => Number::I64,
            "ulonglong"
            | "unsigned long long"
            | "unsigned long long int"
            | "uint64"
            | "uint64_t" => Number::U64,
            "float" => Number::F32,
            "double" => Number::F64,
            other => {
                return Err(format!(
                    "its type is {other:?}; integers of 8 to 64 bits, float and double can be read"
                ));
            }
        };
        let big_endian = match self.get(&["endian"]) {
            Some("big") => true,
            Some("little") => false,
            None if number.bytes() == 1 || self.is_text() => false,
            other => return Err(format!("its endian is {other:?}: little or big is needed")),
        };
        Ok(Encoding { number, big_endian, scale: None })
    }

    fn is_text(&self) -> bool {
        matches!(self.get(&["encoding"]), Some("ascii" | "text" | "txt"))
    }

    /// Directions by axis of the file: `None` for those that are not in space.
    fn directions(&self) -> Result<Option<Vec<Option<Vec<f64>>>>, String> {
        let Some(text) = self.get(&["space directions"]) else { return Ok(None) };
        // Spaces may be anywhere in "(1, 0, 0) none".
        let spread = text.replace(')', ") ");
        let mut directions = Vec::new();
        let mut rest = spread.trim();
        while !rest.is_empty() {
            let end = match rest.starts_with('(') {
                true => rest.find(')').map_or(rest.len(), |end| end + 1),
                false => rest.find(char::is_whitespace).unwrap_or(rest.len()),
            };
            let (word, left) = rest.split_at(end);
            directions.push(if word == "none" { None } else { Some(vector(word)?) });
            rest = left.trim_start();
        }
        Ok(Some(directions))
    }

    fn axes(&self, sizes: &[usize]) -> Result<Axes, String> {
        let kinds: Vec<_> = self.get(&["kinds"]).unwrap_or("").split_whitespace().collect();
        if kinds.contains(&"complex") {
            return Err("its values are complex numbers: write their magnitude".into());
        }
        let directions = self.directions()?;
        let in_space: Vec<bool> = match &directions {
            Some(directions) if directions.len() != sizes.len() => {
                return Err(format!(
                    "it has {} space directions for its {} axes",
                    directions.len(),
                    sizes.len()
                ));
            }
            Some(directions) => directions.iter().map(Option::is_some).collect(),
            None if kinds.len() == sizes.len() => {
                kinds.iter().map(|kind| matches!(*kind, "domain" | "space" | "???")).collect()
            }
            // Of unknown kind: the first three are space.
            None => (0..sizes.len()).map(|axis| axis < 3).collect(),
        };
        let space: Vec<_> = (0..sizes.len()).filter(|axis| in_space[*axis]).collect();
        let others: Vec<_> = (0..sizes.len()).filter(|axis| !in_space[*axis]).collect();
        let mut channels = others.into_iter().filter(|axis| sizes[*axis] > 1);
        match (space.len(), channels.next(), channels.next()) {
            (1..=3, channels, None) => Ok(Axes { space, channels }),
            _ => Err(format!(
                "its axes are {sizes:?} with {} in space: up to three in space and one for channels \
                 can be read",
                space.len()
            )),
        }
    }

    /// Without a space, as ITK has it: left, posterior, superior.
    fn affine(&self, space: &[usize]) -> Result<[[f64; 4]; 3], String> {
        let directions = self.directions()?;
        let mut axes = [[1., 0., 0.], [0., 1., 0.], [0., 0., 1.]];
        if let Some(directions) = &directions {
            let given: Vec<_> =
                space.iter().filter_map(|axis| directions[*axis].as_ref()).collect();
            for (axis, direction) in axes.iter_mut().zip(&given) {
                *axis = in_three(direction)?;
            }
            if given.len() == 2 {
                // A slice: one millimetre thick.
                let across = cross(axes[0], axes[1]);
                axes[2] = across.map(|part| part / norm(across));
            }
        } else if let Some(spacings) = self.get(&["spacings"]) {
            let spacings: Vec<_> = spacings.split_whitespace().collect();
            for (place, axis) in space.iter().enumerate() {
                let step = spacings.get(*axis).and_then(|word| word.parse().ok());
                let step: f64 = step.filter(|step: &f64| step.is_finite()).unwrap_or(1.0);
                axes[place][place] = step;
            }
        }
        let origin = match self.get(&["space origin"]) {
            Some(text) => in_three(&vector(text)?)?,
            None => [0.0; 3],
        };
        let affine = affine_of(&transpose(&axes), origin);
        let named = self.get(&["space"]).unwrap_or("left-posterior-superior");
        let [x, y, z] = affine;
        let left = |row: [f64; 4]| row.map(|number| -number);
        match named {
            "right-anterior-superior" | "ras" => Ok(affine),
            "left-anterior-superior" | "las" => Ok([left(x), y, z]),
            "left-posterior-superior" | "lps" => Ok(from_lps(affine)),
            _ => Err(format!(
                "its space is {named:?}, which does not say where left is: \
                 right-anterior-superior, left-anterior-superior and left-posterior-superior do"
            )),
        }
    }

    fn skip(&self, names: &[&str]) -> Result<i64, String> {
        let Some(text) = self.get(names) else { return Ok(0) };
        text.parse().map_err(|_| format!("its {} is {text:?}, no whole number", names[0]))
    }

    fn values_file(&self, source: &Source<'_>) -> Result<Option<PathBuf>, ScanError> {
        self.get(&["data file", "datafile"]).map(|name| source.beside(name)).transpose()
    }

    fn values(
        &self,
        mut source: Source<'_>,
        encoding: Encoding,
        count: usize,
    ) -> Result<Vec<f32>, ScanError> {
        let packing = self.wanted("encoding").map_err(|reason| source.error(reason))?;
        let lines = self.skip(&["line skip", "lineskip"]).map_err(|reason| source.error(reason))?;
        let bytes = self.skip(&["byte skip", "byteskip"]).map_err(|reason| source.error(reason))?;
        if let Some(file) = self.values_file(&source)? {
            source = Source::of_values(file)?;
        }
        for _ in 0..lines {
            if source.line()?.is_none() {
                return Err(source.error(format!("it ends within the {lines} lines to skip")));
            }
        }
        match packing {
            "raw" => {}
            "gzip" | "gz" => source.inflate()?,
            "ascii" | "text" | "txt" => {}
            _ => {
                return Err(source.error(format!(
                    "its encoding is {packing:?}; raw, gzip and ascii can be read"
                )));
            }
        }
        match u64::try_from(bytes) {
            Ok(bytes) => source.skip(bytes)?,
            Err(_) if bytes == -1 && packing == "raw" => {
                return source.last_values(encoding, count);
            }
            Err(_) => return Err(source.error(format!("its byte skip is {bytes}"))),
        }
        if self.is_text() { source.text_values(count) } else { source.values(encoding, count) }
    }
}

/// Numbers as in `(1,0,0.5)`.
fn vector(text: &str) -> Result<Vec<f64>, String> {
    let inside = text.trim().strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let numbers = inside.map(|text| text.split(',').map(|word| word.trim().parse()).collect());
    match numbers {
        Some(Ok(numbers)) => Ok(numbers),
        _ => Err(format!("{text:?} in its header is no vector")),
    }
}

/// In the plane, if it has two numbers.
fn in_three(vector: &[f64]) -> Result<[f64; 3], String> {
    match *vector {
        [x, y, z] => Ok([x, y, z]),
        [x, y] => Ok([x, y, 0.0]),
        _ => Err(format!("the vector {vector:?} in its header is not of space")),
    }
}

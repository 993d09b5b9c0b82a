//! FreeSurfer's MGH and MGZ: <https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat>.

use crate::grid::affine_of;
use crate::matrix::{Matrix, dot, transpose};
use crate::number::{Encoding, Number};
use crate::source::Source;
use crate::{Grid, Scan, ScanError};

/// At which byte the values start.
const START: u64 = 284;

/// Big-endian fields of a header, one after the other.
struct Fields<'a>(std::slice::Iter<'a, u8>);

impl Fields<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.0.next().copied().unwrap_or(0))
    }

    fn long(&mut self) -> i32 {
        i32::from_be_bytes(self.bytes())
    }

    fn real(&mut self) -> f32 {
        f32::from_be_bytes(self.bytes())
    }

    fn vector(&mut self) -> [f32; 3] {
        [self.real(), self.real(), self.real()]
    }
}

struct Header {
    dims: [i32; 4],
    kind: i32,
    geometry: Geometry,
}

struct Geometry {
    spacing: [f32; 3],
    axes: [[f32; 3]; 3],
    middle: [f32; 3],
}

/// Of files that do not say: coronal slices.
const CORONAL: Geometry = Geometry {
    spacing: [1.0; 3],
    axes: [[-1., 0., 0.], [0., 0., -1.], [0., 1., 0.]],
    middle: [0.0; 3],
};

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 90 {
            return None;
        }
        let mut fields = Fields(bytes.iter());
        let version = fields.long();
        let dims = [fields.long(), fields.long(), fields.long(), fields.long()];
        let kind = fields.long();
        // dof
        fields.long();
        let good = i16::from_be_bytes(fields.bytes()) != 0;
        let geometry = Geometry {
            spacing: fields.vector(),
            axes: [fields.vector(), fields.vector(), fields.vector()],
            middle: fields.vector(),
        };
        let geometry = if good { geometry } else { CORONAL };
        (version == 1).then_some(Self { dims, kind, geometry })
    }

    /// `vox2ras`: directions times spacing, around the middle, in the precision that nibabel uses.
    fn affine(&self) -> [[f64; 4]; 3] {
        let Geometry { spacing, axes, middle } = &self.geometry;
        let columns: Matrix = std::array::from_fn(|axis| {
            axes[axis].map(|direction| f64::from(direction * spacing[axis]))
        });
        let rows = transpose(&columns);
        let sides = [0, 1, 2].map(|axis| f64::from(self.dims[axis]));
        let offset = |row: usize| {
            let offset = f64::from(middle[row]) - dot(rows[row], sides) / 2.0;
            f64::from(offset as f32)
        };
        affine_of(&rows, [offset(0), offset(1), offset(2)])
    }
}

/// Whether these are the first bytes of such a file. They have no mark: the version must be 1, and the
/// sides and the type possible ones.
pub(crate) fn recognises(head: &[u8]) -> bool {
    Header::parse(head).is_some_and(|header| {
        header.dims.iter().all(|side| *side > 0) && (0..=16).contains(&header.kind)
    })
}

pub(crate) fn read(mut source: Source<'_>) -> Result<Scan, ScanError> {
    let Some(header) = Header::parse(source.head()) else {
        return Err(source.error("it is no MGH file"));
    };
    let number = match header.kind {
        0 => Number::U8,
        1 => Number::I32,
        3 => Number::F32,
        4 => Number::I16,
        10 => Number::U16,
        kind => {
            return Err(source.error(format!(
                "its values are of MGH type {kind}; uint8 (0), int32 (1), float (3), int16 (4) and \
                 uint16 (10) can be read"
            )));
        }
    };
    let in_file = |error: ScanError| error.in_file(source.path());
    let [width, height, depth, channels] =
        header.dims.map(|side| usize::try_from(side).unwrap_or(0));
    let grid = Grid::new([width, height, depth], header.affine()).map_err(in_file)?;
    let count = grid.values_of(channels).map_err(in_file)?;
    source.skip_to(START)?;
    let encoding = Encoding { number, big_endian: true, scale: None };
    Scan::new(grid, channels, source.values(encoding, count)?)
}

use super::layout::{Reading, Writing};
use crate::number::Number;

/// The fields of a header that are used. Names, dates and free text are never read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    /// 1 or 2.
    pub(super) version: u8,
    /// Values follow in the same file.
    pub(super) single: bool,
    pub(super) dim_info: i64,
    pub(super) dim: [i64; 8],
    pub(super) datatype: i64,
    pub(super) bitpix: i64,
    pub(super) pixdim: [f64; 8],
    pub(super) vox_offset: f64,
    /// Slope and intercept.
    pub(super) scale: [f64; 2],
    pub(super) cal_max_min: [f64; 2],
    pub(super) slice_start: i64,
    pub(super) slice_end: i64,
    pub(super) slice_code: i64,
    pub(super) slice_duration: f64,
    pub(super) toffset: f64,
    pub(super) xyzt_units: i64,
    pub(super) qform_code: i64,
    pub(super) sform_code: i64,
    pub(super) quaternion: [f64; 3],
    pub(super) offset: [f64; 3],
    pub(super) rows: [[f64; 4]; 3],
}

/// Bytes of a header, by version.
pub(super) fn header_bytes(version: u8) -> usize {
    match version {
        1 => 348,
        _ => 540,
    }
}

impl Header {
    /// An empty one.
    pub(super) fn new(version: u8) -> Self {
        Self {
            version,
            single: true,
            dim_info: 0,
            dim: [0, 1, 1, 1, 1, 1, 1, 1],
            datatype: 16,
            bitpix: 32,
            pixdim: [1.0; 8],
            vox_offset: 0.0,
            scale: [1.0, 0.0],
            cal_max_min: [0.0; 2],
            slice_start: 0,
            slice_end: 0,
            slice_code: 0,
            slice_duration: 0.0,
            toffset: 0.0,
            // Millimetres.
            xyzt_units: 2,
            qform_code: 0,
            sform_code: 0,
            quaternion: [0.0; 3],
            offset: [0.0; 3],
            rows: [[0.0; 4]; 3],
        }
    }

    /// From its bytes, with what nibabel corrects corrected as nibabel does.
    ///
    /// Version 1 or 2, `single` from the magic bytes.
    pub(super) fn parse(bytes: &[u8], version: u8, single: bool, big_endian: bool) -> Self {
        let mut header = Self { single, ..Self::new(version) };
        header.pass(&mut Reading { bytes, big_endian }, "");
        for side in &mut header.pixdim[1..4] {
            *side = if *side == 0.0 { 1.0 } else { side.abs() };
        }
        if header.pixdim[0].abs() != 1.0 {
            header.pixdim[0] = 1.0;
        }
        for code in [&mut header.qform_code, &mut header.sform_code] {
            if !(0..=5).contains(code) {
                *code = 0;
            }
        }
        header
    }

    /// Its bytes, with at most 79 of a description.
    pub(super) fn bytes(&self, description: &str) -> Vec<u8> {
        let end =
            (0..=79.min(description.len())).rev().find(|end| description.is_char_boundary(*end));
        let mut writing = Writing::default();
        self.clone().pass(&mut writing, &description[..end.unwrap_or(0)]);
        writing.0
    }

    /// Sides of space and number of channels, or what is wrong.
    pub(super) fn shape(&self) -> Result<([usize; 3], usize), String> {
        let sides = usize::try_from(self.dim[0]).unwrap_or(0);
        if !(1..=7).contains(&sides) {
            return Err(format!("it has {} dimensions; 1 to 7 are possible", self.dim[0]));
        }
        let mut shape = [1; 7];
        for (side, length) in shape.iter_mut().zip(&self.dim[1..=sides]) {
            let length = usize::try_from(*length).ok().filter(|length| *length > 0);
            *side = length
                .ok_or_else(|| format!("its sides are {:?}: none may be below 1", self.sides()))?;
        }
        let mut more = shape[3..].iter().copied().filter(|side| *side > 1);
        match (more.next().unwrap_or(1), more.next()) {
            (channels, None) => Ok(([shape[0], shape[1], shape[2]], channels)),
            _ => Err(format!(
                "its sides are {:?}: beside three of space one can be read, as channels; write a \
                 file for each step of the others",
                self.sides()
            )),
        }
    }

    fn sides(&self) -> &[i64] {
        &self.dim[1..=self.dim[0].clamp(1, 7) as usize]
    }

    /// How its values are stored, or why they cannot be used.
    pub(super) fn number(&self) -> Result<Number, String> {
        let what = match self.datatype {
            2 => return Ok(Number::U8),
            4 => return Ok(Number::I16),
            8 => return Ok(Number::I32),
            16 => return Ok(Number::F32),
            64 => return Ok(Number::F64),
            256 => return Ok(Number::I8),
            512 => return Ok(Number::U16),
            768 => return Ok(Number::U32),
            1024 => return Ok(Number::I64),
            1280 => return Ok(Number::U64),
            32 | 1792 | 2048 => "complex numbers: write their magnitude",
            128 | 2304 => "colours: write each as a channel of its own",
            1 => "single bits: write them as uint8",
            1536 => "floats of 128 bits: write them as float32",
            _ => "of no type of NIfTI: integers of 8 to 64 bits, float32 and float64 can be read",
        };
        Err(format!("its values (datatype {}) are {what}", self.datatype))
    }

    pub(super) fn set_number(&mut self, number: Number) {
        self.datatype = match number {
            Number::U8 => 2,
            Number::I16 => 4,
            Number::I32 => 8,
            Number::F32 => 16,
            Number::F64 => 64,
            Number::I8 => 256,
            Number::U16 => 512,
            Number::U32 => 768,
            Number::I64 => 1024,
            Number::U64 => 1280,
        };
        self.bitpix = 8 * number.bytes() as i64;
    }

    /// Slope and intercept if there are any: a slope of zero, or one that is not finite, is none.
    pub(super) fn scaling(&self) -> Result<Option<[f64; 2]>, String> {
        let [slope, intercept] = self.scale;
        if slope == 0.0 || !slope.is_finite() || self.scale == [1.0, 0.0] {
            return Ok(None);
        }
        match intercept.is_finite() {
            true => Ok(Some(self.scale)),
            false => Err(format!("its scl_inter is {intercept}, with a scl_slope of {slope}")),
        }
    }

    /// At which byte the values start, or what is wrong.
    pub(super) fn start(&self) -> Result<u64, String> {
        // A header, and four bytes that say whether extensions follow.
        let least = if self.single { header_bytes(self.version) + 4 } else { 0 };
        let start = self.vox_offset;
        if start == 0.0 {
            return Ok(least as u64);
        }
        if !(least as f64..9e15).contains(&start) {
            return Err(format!("its vox_offset is {start}; {least} is the least"));
        }
        Ok(start as u64)
    }
}

//! Where a header's fields lie, written once for reading and writing.

use super::Header;

/// One pass over the fields of a header.
pub(super) trait Pass {
    /// A signed integer of 1, 2, 4 or 8 bytes.
    fn integer(&mut self, bytes: usize, value: &mut i64);
    /// A floating-point number of 4 or 8 bytes.
    fn real(&mut self, bytes: usize, value: &mut f64);
    /// Bytes that are not read, and written as this text, filled with zeros.
    fn text(&mut self, bytes: usize, text: &[u8]);
}

impl Header {
    pub(super) fn pass(&mut self, pass: &mut impl Pass, description: &str) {
        match self.version {
            1 => self.pass_1(pass, description.as_bytes()),
            _ => self.pass_2(pass, description.as_bytes()),
        }
    }

    /// <https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h>: 348 bytes.
    fn pass_1(&mut self, pass: &mut impl Pass, description: &[u8]) {
        pass.integer(4, &mut 348);
        // data_type, db_name, extents, session_error, regular
        pass.text(35, b"");
        pass.integer(1, &mut self.dim_info);
        self.dim.iter_mut().for_each(|side| pass.integer(2, side));
        // intent_p1, intent_p2, intent_p3, intent_code
        pass.text(14, b"");
        pass.integer(2, &mut self.datatype);
        pass.integer(2, &mut self.bitpix);
        pass.integer(2, &mut self.slice_start);
        self.pixdim.iter_mut().for_each(|side| pass.real(4, side));
        pass.real(4, &mut self.vox_offset);
        self.scale.iter_mut().for_each(|number| pass.real(4, number));
        pass.integer(2, &mut self.slice_end);
        pass.integer(1, &mut self.slice_code);
        pass.integer(1, &mut self.xyzt_units);
        self.cal_max_min.iter_mut().for_each(|value| pass.real(4, value));
        pass.real(4, &mut self.slice_duration);
        pass.real(4, &mut self.toffset);
        // glmax, glmin
        pass.text(8, b"");
        pass.text(80, description);
        // aux_file
        pass.text(24, b"");
        pass.integer(2, &mut self.qform_code);
        pass.integer(2, &mut self.sform_code);
        self.quaternion.iter_mut().for_each(|number| pass.real(4, number));
        self.offset.iter_mut().for_each(|number| pass.real(4, number));
        self.rows.iter_mut().flatten().for_each(|number| pass.real(4, number));
        // intent_name
        pass.text(16, b"");
        pass.text(4, if self.single { b"n+1\0" } else { b"ni1\0" });
    }

    /// <https://nifti.nimh.nih.gov/pub/dist/doc/nifti2.h>: 540 bytes.
    fn pass_2(&mut self, pass: &mut impl Pass, description: &[u8]) {
        pass.integer(4, &mut 540);
        pass.text(8, if self.single { b"n+2\0\r\n\x1a\n" } else { b"ni2\0\r\n\x1a\n" });
        pass.integer(2, &mut self.datatype);
        pass.integer(2, &mut self.bitpix);
        self.dim.iter_mut().for_each(|side| pass.integer(8, side));
        // intent_p1, intent_p2, intent_p3
        pass.text(24, b"");
        self.pixdim.iter_mut().for_each(|side| pass.real(8, side));
        let mut vox_offset = self.vox_offset as i64;
        pass.integer(8, &mut vox_offset);
        self.vox_offset = vox_offset as f64;
        self.scale.iter_mut().for_each(|number| pass.real(8, number));
        self.cal_max_min.iter_mut().for_each(|value| pass.real(8, value));
        pass.real(8, &mut self.slice_duration);
        pass.real(8, &mut self.toffset);
        pass.integer(8, &mut self.slice_start);
        pass.integer(8, &mut self.slice_end);
        pass.text(80, description);
        // aux_file
        pass.text(24, b"");
        pass.integer(4, &mut self.qform_code);
        pass.integer(4, &mut self.sform_code);
        self.quaternion.iter_mut().for_each(|number| pass.real(8, number));
        self.offset.iter_mut().for_each(|number| pass.real(8, number));
        self.rows.iter_mut().flatten().for_each(|number| pass.real(8, number));
        pass.integer(4, &mut self.slice_code);
        pass.integer(4, &mut self.xyzt_units);
        // intent_code, intent_name
        pass.text(20, b"");
        pass.integer(1, &mut self.dim_info);
        pass.text(15, b"");
    }
}

/// Reads fields.
pub(super) struct Reading<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) big_endian: bool,
}

impl Reading<'_> {
    /// The next bytes as the lower end of a word; no header is shorter than its layout.
    fn word(&mut self, bytes: usize) -> u64 {
        let (field, rest) = self.bytes.split_at(bytes.min(self.bytes.len()));
        self.bytes = rest;
        let add = |word: u64, byte: &u8| (word << 8) | u64::from(*byte);
        match self.big_endian {
            true => field.iter().fold(0, add),
            false => field.iter().rev().fold(0, add),
        }
    }
}

impl Pass for Reading<'_> {
    fn integer(&mut self, bytes: usize, value: &mut i64) {
        let word = self.word(bytes);
        *value = match bytes {
            1 => i64::from(word as i8),
            2 => i64::from(word as i16),
            4 => i64::from(word as i32),
            _ => word as i64,
        };
    }

    fn real(&mut self, bytes: usize, value: &mut f64) {
        let word = self.word(bytes);
        *value = match bytes {
            4 => f64::from(f32::from_bits(word as u32)),
            _ => f64::from_bits(word),
        };
    }

    fn text(&mut self, bytes: usize, _text: &[u8]) {
        self.bytes = &self.bytes[bytes.min(self.bytes.len())..];
    }
}

/// Writes fields, little-endian.
#[derive(Default)]
pub(super) struct Writing(pub(super) Vec<u8>);

impl Pass for Writing {
    fn integer(&mut self, bytes: usize, value: &mut i64) {
        self.0.extend(&value.to_le_bytes()[..bytes]);
    }

    fn real(&mut self, bytes: usize, value: &mut f64) {
        match bytes {
            4 => self.0.extend((*value as f32).to_le_bytes()),
            _ => self.0.extend(value.to_le_bytes()),
        }
    }

    fn text(&mut self, bytes: usize, text: &[u8]) {
        let end = self.0.len() + bytes;
        self.0.extend(&text[..text.len().min(bytes)]);
        self.0.resize(end, 0);
    }
}

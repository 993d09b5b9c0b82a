//! How values are stored, and what they become: `f32`.

/// A scalar type in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Number {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// Bytes of a file as values: `stored * slope + intercept`, computed in `f64` as nibabel does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    pub(crate) number: Number,
    pub(crate) big_endian: bool,
    /// Slope and intercept.
    pub(crate) scale: Option<[f64; 2]>,
}

impl Encoding {
    /// Appends the values of whole numbers of bytes.
    pub(crate) fn decode(&self, bytes: &[u8], values: &mut Vec<f32>) {
        match self.number {
            Number::U8 => self.each(bytes, values, u8::from_le_bytes, u8::from_be_bytes),
            Number::I8 => self.each(bytes, values, i8::from_le_bytes, i8::from_be_bytes),
            Number::U16 => self.each(bytes, values, u16::from_le_bytes, u16::from_be_bytes),
            Number::I16 => self.each(bytes, values, i16::from_le_bytes, i16::from_be_bytes),
            Number::U32 => self.each(bytes, values, u32::from_le_bytes, u32::from_be_bytes),
            Number::I32 => self.each(bytes, values, i32::from_le_bytes, i32::from_be_bytes),
            Number::U64 => self.each(bytes, values, u64::from_le_bytes, u64::from_be_bytes),
            Number::I64 => self.each(bytes, values, i64::from_le_bytes, i64::from_be_bytes),
            Number::F32 => self.each(bytes, values, f32::from_le_bytes, f32::from_be_bytes),
            Number::F64 => self.each(bytes, values, f64::from_le_bytes, f64::from_be_bytes),
        }
    }

    fn each<const N: usize, T: Value>(
        &self,
        bytes: &[u8],
        values: &mut Vec<f32>,
        little: impl Fn([u8; N]) -> T,
        big: impl Fn([u8; N]) -> T,
    ) {
        let (stored, _) = bytes.as_chunks::<N>();
        match (self.scale, self.big_endian) {
            (None, false) => values.extend(stored.iter().map(|bytes| little(*bytes).single())),
            (None, true) => values.extend(stored.iter().map(|bytes| big(*bytes).single())),
            (Some([slope, intercept]), big_endian) => values.extend(stored.iter().map(|bytes| {
                let value = if big_endian { big(*bytes) } else { little(*bytes) };
                (value.double() * slope + intercept) as f32
            })),
        }
    }
}

/// Conversions that round to the nearest.
trait Value {
    fn single(self) -> f32;
    fn double(self) -> f64;
}

macro_rules! value {
    ($($number:ty)*) => {
        $(impl Value for $number {
            fn single(self) -> f32 {
                self as f32
            }

            fn double(self) -> f64 {
                self as f64
            }
        })*
    };
}

value!(u8 i8 u16 i16 u32 i32 u64 i64 f32 f64);

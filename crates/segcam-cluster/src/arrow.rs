//! Rows of a table as Arrow arrays, and back.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, StringArray, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Int64Type};
use datafusion::arrow::error::ArrowError;
use segcam_batch::{Cell, Column, Kind, Row, Schema};

/// A column beside those of the table: what is wrong with all inputs.
pub(crate) const ENDED: &str = "ended";

/// The columns of the table, and one more.
fn columns() -> Vec<Column> {
    let ended = Column::new(ENDED, Kind::Text, "why nothing can be computed there");
    Schema::new(segcam_cli::columns::columns().into_iter().chain([ended])).columns().to_vec()
}

fn fields(columns: &[Column]) -> Fields {
    let field = |column: &Column| {
        let kind = match column.kind {
            Kind::Text => DataType::Utf8,
            Kind::Integer => DataType::Int64,
            Kind::Number => DataType::Float64,
        };
        Field::new(&column.name, kind, true)
    };
    columns.iter().map(field).collect()
}

fn item(columns: &[Column]) -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(fields(columns)), false))
}

/// The type of the rows of one input.
pub(crate) fn rows_type() -> DataType {
    DataType::List(item(&columns()))
}

/// The rows of several inputs.
pub(crate) fn to_arrow(inputs: &[Vec<Row>]) -> Result<ListArray, ArrowError> {
    let columns = columns();
    let array = |column: &Column| -> ArrayRef {
        let cells = inputs.iter().flatten().map(|row| row.get(&column.name));
        match column.kind {
            Kind::Text => Arc::new(StringArray::from_iter(cells.map(|cell| match cell? {
                Cell::Text(text) => Some(text.as_str()),
                _ => None,
            }))),
            Kind::Integer => Arc::new(Int64Array::from_iter(cells.map(|cell| match cell? {
                Cell::Integer(number) => Some(*number),
                _ => None,
            }))),
            Kind::Number => Arc::new(Float64Array::from_iter(cells.map(|cell| match cell? {
                Cell::Number(number) => Some(*number),
                _ => None,
            }))),
        }
    };
    let arrays = columns.iter().map(array).collect();
    let rows = StructArray::try_new(fields(&columns), arrays, None)?;
    let lengths = OffsetBuffer::from_lengths(inputs.iter().map(Vec::len));
    ListArray::try_new(item(&columns), lengths, Arc::new(rows), None)
}

/// The rows of one input.
pub(crate) fn from_arrow(rows: &dyn Array) -> Option<Vec<Row>> {
    let rows = rows.as_struct_opt()?;
    let cell = |(field, column): (&FieldRef, &ArrayRef), at: usize| {
        if column.is_null(at) {
            return None;
        }
        let cell = match field.data_type() {
            DataType::Utf8 => Cell::from(column.as_string::<i32>().value(at)),
            DataType::Int64 => Cell::Integer(column.as_primitive::<Int64Type>().value(at)),
            DataType::Float64 => Cell::from(column.as_primitive::<Float64Type>().value(at)),
            _ => return None,
        };
        Some((field.name().clone(), cell))
    };
    let row = |at: usize| {
        let cells = rows.fields().iter().zip(rows.columns()).filter_map(|pair| cell(pair, at));
        cells.fold(Row::new(), |row, (name, cell)| row.with(name, cell))
    };
    Some((0..rows.len()).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were() -> Result<(), ArrowError> {
        let numbers = [0.1 + 0.2, -0.0, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY];
        let numbers = numbers.map(|score| Row::new().with("score", score).with("class", 3usize));
        let inputs = [
            numbers[..2].to_vec(),
            vec![],
            vec![Row::new().with("error", "“no”"), Row::new()],
            numbers[2..].to_vec(),
        ];
        let array = to_arrow(&inputs)?;
        assert_eq!(array.data_type(), &rows_type());
        for (at, rows) in inputs.iter().enumerate() {
            let found = from_arrow(&array.value(at)).unwrap_or_default();
            assert_eq!(format!("{found:?}"), format!("{rows:?}"));
        }
        Ok(())
    }
}

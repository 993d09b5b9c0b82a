//! Tables as Parquet files: rows go in and out a few thousand at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::{Field, Row as ParquetRow};
use parquet::schema::types::Type;

use crate::row::{Cell, Column, Kind, Row, Schema};
use crate::{BatchError, Settings};

/// Rows that are written together.
const GROUP: usize = 8192;
const COLUMNS: &str = "segcam.columns";
const SETTINGS: &str = "segcam.settings";

/// A table that is being written.
pub struct TableWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    schema: Schema,
    waiting: Vec<Vec<Option<Cell>>>,
    path: PathBuf,
}

impl<W: Write + Send> std::fmt::Debug for TableWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a table; `path` is what errors call it.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(
        file: W,
        path: &Path,
        schema: &Schema,
        settings: &Settings,
    ) -> Result<Self, BatchError> {
        let fields = schema.columns().iter().map(|column| {
            let (physical, logical) = match column.kind {
                Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
                Kind::Integer => (Physical::INT64, None),
                Kind::Number => (Physical::DOUBLE, None),
            };
            let field = Type::primitive_type_builder(&column.name, physical);
            let field = field.with_repetition(Repetition::OPTIONAL).with_logical_type(logical);
            field.build().map(Arc::new)
        });
        let wrong = BatchError::parquet(path);
        let fields = fields.collect::<Result<_, _>>().map_err(&wrong)?;
        let root = Type::group_type_builder("maps").with_fields(fields).build().map_err(&wrong)?;
        let json = |value: serde_json::Result<String>| {
            value.map_err(|error| wrong(ParquetError::External(error.into())))
        };
        let known = vec![
            KeyValue::new(COLUMNS.into(), json(serde_json::to_string(schema))?),
            KeyValue::new(SETTINGS.into(), json(serde_json::to_string(settings))?),
        ];
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(known))
            .build();
        let file =
            SerializedFileWriter::new(file, root.into(), properties.into()).map_err(&wrong)?;
        Ok(Self { file, schema: schema.clone(), waiting: vec![], path: path.into() })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// Columns that the table does not have, and what the system says.
    pub fn push(&mut self, row: &Row) -> Result<(), BatchError> {
        self.waiting.push(self.schema.cells(row)?);
        if self.waiting.len() == GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), BatchError> {
        let rows = std::mem::take(&mut self.waiting);
        self.write(&rows).map_err(BatchError::parquet(&self.path))
    }

    fn write(&mut self, rows: &[Vec<Option<Cell>>]) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        let mut at = 0;
        while let Some(mut column) = group.next_column()? {
            let there: Vec<i16> = rows.iter().map(|row| i16::from(row[at].is_some())).collect();
            let cells = rows.iter().filter_map(|row| row[at].as_ref());
            match self.schema.columns()[at].kind {
                Kind::Text => {
                    let texts = cells.map(|cell| ByteArray::from(cell.to_text().into_bytes()));
                    let texts: Vec<ByteArray> = texts.collect();
                    column.typed::<ByteArrayType>().write_batch(&texts, Some(&there), None)?;
                }
                Kind::Integer => {
                    let numbers = cells.filter_map(|cell| match cell {
                        Cell::Integer(number) => Some(*number),
                        _ => None,
                    });
                    let numbers: Vec<i64> = numbers.collect();
                    column.typed::<Int64Type>().write_batch(&numbers, Some(&there), None)?;
                }
                Kind::Number => {
                    let numbers = cells.filter_map(|cell| match cell {
                        Cell::Number(number) => Some(*number),
                        _ => None,
                    });
                    let numbers: Vec<f64> = numbers.collect();
                    column.typed::<DoubleType>().write_batch(&numbers, Some(&there), None)?;
                }
            }
            column.close()?;
            at += 1;
        }
        group.close().map(|_| ())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(mut self) -> Result<W, BatchError> {
        if !self.waiting.is_empty() {
            self.flush()?;
        }
        self.file.into_inner().map_err(BatchError::parquet(&self.path))
    }
}

/// A table in a file.
pub struct Table {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    schema: Schema,
    settings: Option<Settings>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Table {
    /// Opens a table, ours or another one of columns that hold texts, numbers or truth values.
    ///
    /// # Errors
    /// Files that are no such table.
    pub fn open(path: &Path) -> Result<Self, BatchError> {
        let file = File::open(path).map_err(BatchError::file("read", path))?;
        let wrong = BatchError::parquet(path);
        let reader = SerializedFileReader::new(file).map_err(&wrong)?;
        let metadata = reader.metadata().file_metadata();
        let known: BTreeMap<&str, &str> = metadata
            .key_value_metadata()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((pair.key.as_str(), pair.value.as_deref()?)))
            .collect();
        let settings = known.get(SETTINGS).and_then(|json| serde_json::from_str(json).ok());
        let schema = known.get(COLUMNS).and_then(|json| serde_json::from_str(json).ok());
        let schema = schema.map_or_else(
            || {
                let fields = metadata.schema_descr().columns().iter();
                let columns = fields.map(|field| {
                    let kind = match field.physical_type() {
                        Physical::INT32 | Physical::INT64 => Kind::Integer,
                        Physical::FLOAT | Physical::DOUBLE => Kind::Number,
                        _ => Kind::Text,
                    };
                    Column::new(field.path().string(), kind, "")
                });
                Schema::of(columns.collect())
            },
            Schema::of,
        );
        Ok(Self { path: path.into(), reader, schema, settings })
    }

    /// Its columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What decided about its rows; `None` if the table is not ours.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// Its rows.
    pub fn rows(self) -> impl Iterator<Item = Result<Row, BatchError>> {
        let wrong = BatchError::parquet(&self.path);
        self.reader.into_iter().map(move |row| row.map(|row| to_row(&row)).map_err(&wrong))
    }
}

fn to_row(row: &ParquetRow) -> Row {
    row.get_column_iter().fold(Row::new(), |found, (name, field)| {
        let cell: Option<Cell> = match field {
            Field::Null => None,
            Field::Byte(number) => Some(Cell::Integer((*number).into())),
            Field::Short(number) => Some(Cell::Integer((*number).into())),
            Field::Int(number) => Some(Cell::Integer((*number).into())),
            Field::Long(number) => Some(Cell::Integer(*number)),
            Field::UByte(number) => Some(Cell::Integer((*number).into())),
            Field::UShort(number) => Some(Cell::Integer((*number).into())),
            Field::UInt(number) => Some(Cell::Integer((*number).into())),
            Field::Float(number) => Some(Cell::Number((*number).into())),
            Field::Double(number) => Some(Cell::Number(*number)),
            Field::Str(text) => Some(Cell::Text(text.clone())),
            other => Some(Cell::Text(other.to_string())),
        };
        found.with_some(name, cell)
    })
}

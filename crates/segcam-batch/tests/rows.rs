//! Cells come back as they were.

use proptest::prelude::*;
use segcam_batch::{Cell, Column, Kind, Row, Schema, Settings, Table, TableWriter};
use tempfile::NamedTempFile;

fn schema() -> Schema {
    Schema::new([
        Column::new("text", Kind::Text, ""),
        Column::new("integer", Kind::Integer, ""),
        Column::new("number", Kind::Number, ""),
    ])
}

/// Told apart by their bits: NaN is NaN.
fn bits(row: &Row) -> (Option<String>, Option<String>, Option<u64>) {
    let integer = row.get("integer").map(Cell::to_text);
    (row.text("text").map(String::from), integer, row.number("number").map(f64::to_bits))
}

proptest! {
    #[test]
    fn tables(cells in prop::collection::vec((any::<Option<String>>(), any::<Option<i64>>(), any::<Option<f64>>()), 0..40)) {
        let rows: Vec<Row> = cells
            .into_iter()
            .map(|(text, integer, number)| {
                let integer = integer.map(Cell::Integer);
                Row::new().with_some("text", text).with_some("integer", integer).with_some("number", number)
            })
            .collect();
        let file = NamedTempFile::new()?;
        let mut writer = TableWriter::new(file.reopen()?, file.path(), &schema(), &Settings::new())?;
        for row in &rows {
            writer.push(row)?;
        }
        writer.finish()?;
        let table = Table::open(file.path())?;
        prop_assert_eq!(table.schema(), &schema());
        let back = table.rows().collect::<Result<Vec<_>, _>>()?;
        prop_assert_eq!(back.iter().map(bits).collect::<Vec<_>>(), rows.iter().map(bits).collect::<Vec<_>>());
    }

    #[test]
    fn texts(number: f64, integer: i64, text: String) {
        for cell in [Cell::Number(number), Cell::Integer(integer), Cell::Text(text)] {
            prop_assert_eq!(cell.kind().read(&cell.to_text()), Some(cell));
        }
    }

    #[test]
    fn files_that_are_no_tables(bytes: Vec<u8>) {
        let file = NamedTempFile::new()?;
        std::fs::write(file.path(), bytes)?;
        prop_assert!(Table::open(file.path()).is_err());
    }
}

#[test]
fn rows_of_other_columns_are_refused() {
    let file = NamedTempFile::new().expect("a file");
    let open = file.reopen().expect("a file");
    let mut writer =
        TableWriter::new(open, file.path(), &schema(), &Settings::new()).expect("a table");
    let error = writer.push(&Row::new().with("txet", "a")).expect_err("no such column");
    assert_eq!(error.to_string(), "the table has no column txet of this kind");
    let error = writer.push(&Row::new().with("text", 1.0)).expect_err("another kind");
    assert_eq!(error.to_string(), "the table has no column text of this kind");
}

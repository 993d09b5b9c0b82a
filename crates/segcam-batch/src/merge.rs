//! One table of several shards.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::run::{self, persist};
use crate::{BatchError, Row, Settings, Table, TableWriter};

/// Joins tables of shards into one, whose rows are in the order of one run. Paths of files are seen from the
/// folder of each table as before. Returns the number of rows.
///
/// # Errors
/// Tables of other settings or columns, an input that is in two of them, files that cannot be read or
/// written.
pub fn merge(tables: &[PathBuf], out: &Path) -> Result<usize, BatchError> {
    let [first, ..] = tables else {
        let reason = "no tables to merge".into();
        return Err(BatchError::NoInputs { source_: "merge".into(), reason });
    };
    let opened = tables.iter().map(|path| Table::open(path)).collect::<Result<Vec<_>, _>>()?;
    for (path, table) in tables.iter().zip(&opened).skip(1) {
        let differs = differs(&opened[0], table);
        if let Some(reason) = differs {
            let (first, second) = (first.clone(), path.clone());
            return Err(BatchError::OtherSettings { first, second, reason });
        }
    }
    let schema = opened[0].schema().clone();
    let none = Settings::new();
    let settings = opened[0].settings().unwrap_or(&none).clone();
    let mut rows: Vec<_> = opened.into_iter().map(|table| table.rows().peekable()).collect();
    persist(out, |file| {
        let mut writer = TableWriter::new(file, out, &schema, &settings)?;
        let mut owners: HashMap<String, usize> = HashMap::new();
        let mut count = 0;
        loop {
            let mut next: Option<(i64, usize)> = None;
            for (number, rows) in rows.iter_mut().enumerate() {
                let place = match rows.peek() {
                    None => continue,
                    Some(Ok(row)) => item(row),
                    // To be met at once.
                    Some(Err(_)) => i64::MIN,
                };
                if next.is_none_or(|(least, _)| place < least) {
                    next = Some((place, number));
                }
            }
            let Some((_, number)) = next else { break };
            let Some(row) = rows[number].next().transpose()? else { break };
            let input = format!("{}\n{}", item(&row), row.text("input").unwrap_or_default());
            if let Some(&other) = owners.get(&input).filter(|owner| **owner != number) {
                let (first, second) = (tables[other].clone(), tables[number].clone());
                let reason = format!("both have {}", row.text("input").unwrap_or_default());
                return Err(BatchError::OtherSettings { first, second, reason });
            }
            owners.insert(input, number);
            writer.push(&row)?;
            count += 1;
        }
        writer.finish()?;
        Ok(count)
    })
}

fn item(row: &Row) -> i64 {
    row.number("item").map_or(i64::MAX, |number| number as i64)
}

fn differs(one: &Table, other: &Table) -> Option<String> {
    let (Some(settings), Some(others)) = (one.settings(), other.settings()) else {
        return Some("one of them is no table of a batch".into());
    };
    run::differs((settings, one.schema()), (others, other.schema()), |name, one, other| {
        format!("{name} is {one} and {other}")
    })
}

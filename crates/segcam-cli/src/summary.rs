//! What the table of a batch says: means, unusual maps, and the extreme ones side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Error, Result, bail, ensure};
use image::ImageReader;
use segcam::UnknownName;
use segcam::metrics::{Metric, Summary, summary};
use segcam::render::{Figure, Panel};
use segcam_batch::{Cell, Kind, Row, Table};
use serde::Serialize;

use crate::ask::file_name;
use crate::columns::metric_column;
use crate::files::File;
use crate::print::png;

/// A table's rows that are maps, and what became of the others.
#[derive(Debug)]
pub struct Results {
    maps: Vec<Row>,
    /// Columns of numbers, in the order of the table.
    numbers: Vec<String>,
    /// All columns.
    columns: Vec<String>,
    /// Inputs, and why there is no map of them.
    errors: Vec<(String, String)>,
    /// What the table holds, in numbers.
    pub counts: Counts,
}

/// What a table holds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Inputs.
    pub inputs: usize,
    /// Maps.
    pub maps: usize,
    /// Rows that say why there is no map.
    pub errors: usize,
    /// Rows by status.
    pub status: BTreeMap<String, usize>,
}

/// The mean of a column over the inputs of one group.
#[derive(Debug, Clone, Serialize)]
pub struct Mean {
    /// What tells the group apart, in the order asked.
    pub group: Vec<String>,
    /// The column.
    pub column: String,
    /// The mean, and its interval.
    #[serde(flatten)]
    pub summary: Summary,
}

/// A map to look at first.
#[derive(Debug, Clone, Serialize)]
pub struct Unusual {
    /// Its input.
    pub input: String,
    /// Its class, layer and method.
    pub map: String,
    /// Why.
    pub why: String,
}

impl Results {
    /// Reads a table.
    ///
    /// # Errors
    /// Files that are no table of a batch.
    pub fn open(path: &Path) -> Result<Self> {
        let no_table = || format!("{} is no table of `segcam batch`", path.display());
        let table = match Table::open(path) {
            Err(error) if path.is_file() => {
                bail!("{}: {}", no_table(), Error::from(error).root_cause())
            }
            table => table?,
        };
        let columns = table.schema().columns().to_vec();
        ensure!(
            table.settings().is_some() && columns.iter().any(|column| column.name == "method"),
            no_table()
        );
        let numbers = columns.iter().filter(|column| column.kind != Kind::Text);
        let numbers = numbers.map(|column| column.name.clone()).collect();
        let columns = columns.into_iter().map(|column| column.name).collect();
        let (mut counts, mut maps, mut last) = (Counts::default(), vec![], None);
        let mut errors = vec![];
        for row in table.rows() {
            let row = row?;
            if last != row.get("item").cloned() {
                last = row.get("item").cloned();
                counts.inputs += 1;
            }
            if let Some(error) = row.text("error") {
                counts.errors += 1;
                errors.push((row.text("input").unwrap_or_default().into(), error.into()));
            }
            if let Some(status) = row.text("status") {
                *counts.status.entry(status.into()).or_default() += 1;
            }
            if row.get("raw_max").is_some() {
                counts.maps += 1;
                maps.push(row);
            }
        }
        Ok(Self { maps, numbers, columns, errors, counts })
    }

    /// The rows that are maps.
    pub(crate) fn maps(&self) -> &[Row] {
        &self.maps
    }

    /// Inputs without maps, and why.
    pub(crate) fn errors(&self) -> &[(String, String)] {
        &self.errors
    }

    /// The columns that are worth a mean if none is asked for: what was certified, measured and annotated;
    /// otherwise what every map has.
    pub(crate) fn usual(&self) -> Vec<String> {
        const NOT: [&str; 8] =
            ["item", "image", "class", "pixels", "rounding", "height", "width", "depth"];
        const ALWAYS: [&str; 3] = ["score", "raw_min", "raw_max"];
        const COUNTS: [&str; 5] =
            ["seconds", "confidence", "true_positives", "false_positives", "false_negatives"];
        // Rounding, and sums whose size is the image's.
        const SUMS: [&str; 3] = ["certificate_error", "map_sum", "lost"];
        let there = |name: &&String| {
            let dull = [&NOT[..], &ALWAYS, &COUNTS, &SUMS];
            let dull = dull.iter().any(|dull| dull.contains(&name.as_str()));
            !dull && self.maps.iter().any(|row| row.get(name).is_some())
        };
        let found: Vec<String> = self.numbers.iter().filter(there).cloned().collect();
        if found.is_empty() { ALWAYS.map(String::from).to_vec() } else { found }
    }

    /// Whether some map has a value in a column of numbers.
    ///
    /// # Errors
    /// Columns that the table does not have, and those in which no map has a value.
    pub fn expect_values(&self, column: &str) -> Result<()> {
        self.known(column, &self.numbers)?;
        let is_metric = Metric::all().iter().find(|metric| metric_column(**metric) == column);
        let advice = is_metric.map(|metric| format!(": give --metric {metric} to `segcam batch`"));
        let there = self.maps.iter().any(|row| row.number(column).is_some());
        ensure!(there, "no map has a value in column {column}{}", advice.unwrap_or_default());
        Ok(())
    }

    /// How many pixel sets are averaged in the groups of these columns; 1 if they are told apart.
    pub fn sets_together(&self, by: &[String]) -> usize {
        if by.iter().any(|column| column == "pixel_set") {
            return 1;
        }
        let sets: BTreeSet<_> = self.maps.iter().filter_map(|row| row.text("pixel_set")).collect();
        sets.len()
    }

    fn known(&self, name: &str, among: &[String]) -> Result<()> {
        if among.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(UnknownName::new("column", name, among).into())
    }

    /// Means with 95 % intervals by group, groups in the order of the table. Maps of one input are averaged
    /// first: they do not count as several.
    ///
    /// # Errors
    /// Columns that the table does not have.
    pub fn means(&self, columns: &[String], by: &[String], seed: u64) -> Result<Vec<Mean>> {
        let columns = if columns.is_empty() { self.usual() } else { columns.to_vec() };
        columns.iter().try_for_each(|name| self.known(name, &self.numbers))?;
        by.iter().try_for_each(|name| self.known(name, &self.columns))?;
        let mut groups: Vec<(Vec<String>, Vec<&Row>)> = vec![];
        for row in &self.maps {
            let group: Vec<String> =
                by.iter().map(|name| row.get(name).map_or(String::new(), Cell::to_text)).collect();
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((group, vec![row])),
            }
        }
        let mut means = vec![];
        for (group, rows) in &groups {
            for column in &columns {
                let values = by_input(rows, column);
                if !values.is_empty() {
                    let (group, column) = (group.clone(), column.clone());
                    means.push(Mean { group, column, summary: summary(&values, seed)? });
                }
            }
        }
        Ok(means)
    }

    /// Maps to look at first: those whose status is not `positive`, those of which much lies where influence
    /// is impossible, and those that do not say what the network does.
    /// Returns the first ones, and how many there are.
    pub fn unusual(&self, most: usize) -> (Vec<Unusual>, usize) {
        let found = self.unusual_rows();
        let line = |(row, why): &(&Row, String)| Unusual {
            input: row.text("input").unwrap_or_default().into(),
            map: map_of(row),
            why: why.clone(),
        };
        (found.iter().take(most).map(line).collect(), found.len())
    }

    /// All of them, and why.
    pub(crate) fn unusual_rows(&self) -> Vec<(&Row, String)> {
        const MUCH: f64 = 0.05;
        let mut found: Vec<(f64, &Row, String)> = vec![];
        for row in &self.maps {
            let (impossible, fidelity) = (row.number("impossible"), row.number("fidelity_r2"));
            match row.text("status").unwrap_or_default() {
                "positive" => {}
                status => {
                    found.push((2.0, row, status.into()));
                    continue;
                }
            }
            if let Some(share) = impossible.filter(|share| *share > MUCH) {
                let why = format!("{:.0} % of it where influence is impossible", share * 100.0);
                found.push((1.0 + share, row, why));
            } else if let Some(fidelity) = fidelity.filter(|fidelity| *fidelity < 0.5) {
                found.push((0.5 - fidelity.max(-0.5), row, format!("fidelity R² {fidelity:.2}")));
            }
        }
        found.sort_by(|one, other| other.0.total_cmp(&one.0));
        found.into_iter().map(|(_, row, why)| (row, why)).collect()
    }

    /// The maps that have a value in a column, from the smallest to the largest.
    pub(crate) fn ordered(&self, column: &str) -> Vec<(&Row, f64)> {
        let mut rows: Vec<(&Row, f64)> =
            self.maps.iter().filter_map(|row| Some((row, row.number(column)?))).collect();
        rows.sort_by(|one, other| one.1.total_cmp(&other.1));
        rows
    }

    /// The maps with the smallest and the largest values of a column, as a picture of their pictures.
    ///
    /// # Errors
    /// Columns that the table does not have, and tables without pictures.
    pub fn sheet(&self, folder: &Path, column: &str, name: &str) -> Result<File> {
        const EACH: usize = 5;
        self.expect_values(column)?;
        let mut rows = self.ordered(column);
        let all = rows.len();
        // What is the image's, such as its Dice score, all its maps have: one of them is enough.
        rows.dedup_by(|one, other| {
            one.1 == other.1 && one.0.text("input") == other.0.text("input")
        });
        let each = EACH.min(rows.len().div_ceil(2));
        let (smallest, largest) =
            (&rows[..each], &rows[rows.len() - each.min(rows.len() - each)..]);
        let panels = |rows: &[(&Row, f64)]| -> Result<Vec<Panel>> {
            rows.iter().map(|(row, value)| panel(folder, row, column, *value)).collect()
        };
        let lines = [smallest, largest].into_iter().filter(|rows| !rows.is_empty());
        let lines = lines.map(panels).collect::<Result<Vec<_>>>()?;
        let title = format!("{column}: the smallest above, the largest below, of {all} maps");
        png(name, Figure::new(title, lines).to_image())
    }
}

/// The mean of each input's values.
fn by_input(rows: &[&Row], column: &str) -> Vec<f64> {
    let mut inputs: Vec<(Option<&Cell>, f64, usize)> = vec![];
    for row in rows {
        let Some(value) = row.number(column) else { continue };
        match inputs.last_mut().filter(|(item, ..)| *item == row.get("item")) {
            Some((_, sum, count)) => {
                *sum += value;
                *count += 1;
            }
            None => inputs.push((row.get("item"), value, 1)),
        }
    }
    inputs.into_iter().map(|(_, sum, count)| sum / count as f64).collect()
}

/// Which map of its input it is.
pub(crate) fn map_of(row: &Row) -> String {
    let class = row.text("class_name").map_or_else(
        || row.number("class").map_or(String::new(), |class| format!("class {class}")),
        String::from,
    );
    let text = |column| row.text(column).unwrap_or_default();
    format!("{class}, {}, {} at {}", text("pixel_set"), text("method"), text("layer"))
}

fn panel(folder: &Path, row: &Row, column: &str, value: f64) -> Result<Panel> {
    let pictures = row.text("files").unwrap_or_default().lines();
    // The map's own picture is named after those of the whole figure.
    let stem = format!("{}.", file_name(row.text("method").unwrap_or_default()));
    let is_map = |file: &&str| {
        let name = file.rsplit('/').next().unwrap_or(file);
        name.starts_with(&stem) && name.ends_with(".png")
    };
    let Some(file) = pictures.clone().find(is_map) else {
        bail!("there are no pictures: give --figures to `segcam batch`");
    };
    let path = folder.join(file);
    let image =
        ImageReader::open(&path).with_context(|| format!("cannot use {}", path.display()))?;
    let image = image.decode().with_context(|| format!("cannot use {}", path.display()))?.to_rgb8();
    let input = row.text("input").unwrap_or_default();
    // The rest stands in the picture.
    let caption = format!("{input}\n{column} {value:.3}");
    Ok(Panel { image, caption, bar: None })
}

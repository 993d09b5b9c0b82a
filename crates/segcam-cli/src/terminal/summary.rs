use std::path::Path;

use anyhow::{Context, Result, bail};
use segcam_cli::summary::{Mean, Results, Unusual};
use serde_json::json;

use super::args::TableArgs;
use super::{Talk, say, table};

/// `segcam table`
pub(crate) fn run(args: &TableArgs, talk: Talk) -> Result<()> {
    let path = match args.table.is_dir() {
        true => args.table.join("results.parquet"),
        false => args.table.clone(),
    };
    if path.extension().is_some_and(|ending| ending == "csv") {
        let table = path.with_extension("parquet");
        bail!("{} is a copy for others: give {}", path.display(), table.display());
    }
    let results = Results::open(&path)?;
    args.columns.iter().chain(&args.order_by).try_for_each(|name| results.expect_values(name))?;
    let means = results.means(&args.columns, &args.by, args.seed)?;
    let (unusual, all) = results.unusual(args.unusual);
    match talk {
        Talk::Quiet => {}
        Talk::Json => {
            let found = json!({
                "counts": results.counts, "means": means, "unusual": unusual, "all_unusual": all,
            });
            say(serde_json::to_string_pretty(&found)?)?;
        }
        Talk::Tables => print(args, &results, &means, (&unusual, all))?,
    }
    if let (Some(sheet), Some(column)) = (&args.sheet, &args.order_by) {
        let folder = path.parent().unwrap_or(Path::new(""));
        let file = results.sheet(folder, column, &sheet.display().to_string())?;
        std::fs::write(sheet, file.bytes)
            .with_context(|| format!("cannot write {}", sheet.display()))?;
        if talk == Talk::Tables {
            say(sheet.display())?;
        }
    }
    Ok(())
}

fn print(
    args: &TableArgs,
    results: &Results,
    means: &[Mean],
    (unusual, all): (&[Unusual], usize),
) -> Result<()> {
    let counts = &results.counts;
    let status = counts.status.iter().map(|(status, count)| format!("{count} {status}"));
    let status = status.collect::<Vec<_>>().join(", ");
    say(format!(
        "{} inputs, {} maps ({status}), {} errors",
        counts.inputs, counts.maps, counts.errors
    ))?;
    let sets = results.sets_together(&args.by);
    if sets > 1 {
        say(format!(
            "means over {sets} pixel sets: --by {},pixel_set tells them apart",
            args.by.join(",")
        ))?;
    }
    let header: Vec<&str> = args
        .by
        .iter()
        .map(String::as_str)
        .chain(["column", "inputs", "mean", "95 % interval"])
        .collect();
    let mut last: &[String] = &[];
    let rows = means.iter().map(|Mean { group, column, summary }| {
        let interval = summary
            .interval
            .map_or(String::new(), |(low, high)| format!("{} to {}", number(low), number(high)));
        let numbers = [summary.images.to_string(), number(summary.mean), interval];
        // Each group once.
        let shown = if group == last { vec![String::new(); group.len()] } else { group.clone() };
        last = group;
        shown.into_iter().chain([column.clone()]).chain(numbers).collect()
    });
    let first = args.by.len() + 1;
    say(table(&header, rows, first..first + 2).trim_fmt())?;
    if !unusual.is_empty() {
        say(format!("\nto look at first, {} of {all}:", unusual.len()))?;
        let rows = unusual
            .iter()
            .map(|Unusual { input, map, why }| vec![input.clone(), map.clone(), why.clone()]);
        say(table(&["input", "map", "why"], rows, 0..0).trim_fmt())?;
    }
    Ok(())
}

/// Four digits, whatever the size.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        1e-3..1e5 => {
            let digits = 3 - value.abs().log10().floor() as i32;
            format!("{value:.*}", digits.clamp(0, 6) as usize)
        }
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_have_four_digits() {
        let shown = [0.0, 0.123456, 12.3456, -1234.56, 98765.4, 1e-7, 1e9].map(super::number);
        assert_eq!(shown, ["0", "0.1235", "12.35", "-1235", "98765", "1.00e-7", "1.00e9"]);
    }
}

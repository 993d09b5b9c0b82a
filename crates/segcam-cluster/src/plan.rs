use std::sync::Arc;

use anyhow::{Context, Result};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, Union, col, lit};
use segcam_batch::Item;

use crate::Place;

/// The plan of some inputs: a table of them, `per_task` to a partition, and the function over it. Its columns
/// are the number of each input and its rows.
///
/// # Errors
/// No inputs at all, and fields that cannot travel.
pub fn plan(
    items: &[&Item],
    asked: &str,
    per_task: usize,
    explain: &ScalarUDF,
) -> Result<LogicalPlan> {
    let parts = items.chunks(per_task.max(1)).map(|part| manifest(part).map(Arc::new));
    let all = match &parts.collect::<Result<Vec<_>>>()?[..] {
        [one] => LogicalPlan::clone(one),
        several => LogicalPlan::Union(Union::try_new(several.to_vec())?),
    };
    let rows = explain.call(vec![col("path"), lit(asked), col("input"), col("fields")]);
    let all = LogicalPlanBuilder::from(all);
    Ok(all.project([col("item"), rows.alias("rows")])?.build()?)
}

/// A table with a row for each input.
fn manifest(items: &[&Item]) -> Result<LogicalPlan> {
    let rows = items.iter().map(|item| row(item)).collect::<Result<_>>()?;
    let names = ["item", "path", "input", "fields"];
    let named =
        names.iter().enumerate().map(|(at, name)| col(format!("column{}", at + 1)).alias(*name));
    Ok(LogicalPlanBuilder::values(rows)?.project(named)?.build()?)
}

fn row(item: &Item) -> Result<Vec<Expr>> {
    let path = match Place::of(&item.path)? {
        Some(_) => item.path.clone(),
        None => std::path::absolute(&item.path)
            .with_context(|| format!("cannot use {}", item.path.display()))?,
    };
    let fields = serde_json::to_string(&item.fields)?;
    let cells = [
        ScalarValue::UInt64(Some(item.number as u64)),
        ScalarValue::Binary(Some(path.as_os_str().as_encoded_bytes().to_vec())),
        ScalarValue::Utf8(Some(item.name.clone())),
        ScalarValue::Utf8(Some(fields)),
    ];
    Ok(cells.map(lit).to_vec())
}

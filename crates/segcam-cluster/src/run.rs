use std::collections::HashMap;
use std::pin::pin;

use anyhow::{Context, Result, anyhow};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{LogicalPlan, ScalarUDF};
use datafusion::prelude::SessionContext;
use futures::future::{self, Either};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use segcam_batch::{Batch, BatchError, Finished, Item, Row, Summary};
use tokio::signal::ctrl_c;

use crate::arrow::{ENDED, from_arrow};
use crate::{Explain, Inputs, Loaded, Options, plan};

/// How inputs are dealt out.
#[derive(Debug, Clone, Copy)]
pub struct Portions {
    /// Inputs of a task: so many are computed again at most if an executor is lost.
    pub per_task: usize,
    /// Inputs of a query: their results come back together, and are kept.
    pub per_query: usize,
}

/// Queries at the same time: while the last tasks of one are computed, others are busy with the next one.
const QUERIES: usize = 2;

/// What is asked for and does not come back is asked for again, so often.
const ROUNDS: usize = 4;

/// Explains what is not finished of some inputs, and writes the table. `progress` is told how many inputs came
/// back, and how many of these have errors. Ctrl-C ends the run; what came back is kept.
///
/// # Errors
/// What the system says, and inputs that did not come back.
pub async fn run(
    context: &SessionContext,
    (loaded, asked): (&Loaded, &Options),
    batch: &mut Batch,
    inputs: &Inputs,
    portions: Portions,
    progress: &dyn Fn(usize, usize),
) -> Result<Summary> {
    let items = &inputs.items;
    let mut left = batch.missing(items, |item| inputs.contents(item, loaded.opened()))?;
    let mut summary = Summary::default();
    summary.known = items.len() - left.len();
    let explain = context.udf(Explain::NAME)?;
    let asked = asked.to_string();
    for round in 1..=ROUNDS {
        if left.is_empty() {
            break;
        }
        let plans = plans(&left, &asked, portions, &explain)?;
        let mut kept = Kept { batch, left: by_number(&left), trouble: None };
        let stopped = kept.gather(answers(context, plans), progress).await?;
        let Kept { left: lost, trouble, .. } = kept;
        summary.computed += left.len() - lost.len();
        left.retain(|item| lost.contains_key(&item.number));
        if stopped {
            summary.stopped = true;
            return Ok(summary);
        }
        if !left.is_empty() && round == ROUNDS {
            let trouble = trouble.unwrap_or_else(|| anyhow!("nothing was said about them"));
            let lost = format!("{} inputs did not come back", left.len());
            return Err(trouble.context(lost));
        }
    }
    summary.failed = batch.write_table(items)?;
    Ok(summary)
}

fn by_number<'a>(items: &[&'a Item]) -> HashMap<usize, &'a Item> {
    items.iter().map(|item| (item.number, *item)).collect()
}

fn plans(
    items: &[&Item],
    asked: &str,
    portions: Portions,
    explain: &ScalarUDF,
) -> Result<Vec<LogicalPlan>> {
    let queries = items.chunks(portions.per_query.max(1));
    queries.map(|items| plan(items, asked, portions.per_task, explain)).collect()
}

/// What comes back of each query.
fn answers(
    context: &SessionContext,
    plans: Vec<LogicalPlan>,
) -> impl Stream<Item = datafusion::common::Result<RecordBatch>> {
    let answer = |plan| {
        let rows = async { context.execute_logical_plan(plan).await?.execute_stream().await };
        stream::once(rows).try_flatten().boxed()
    };
    stream::iter(plans).map(answer).flatten_unordered(QUERIES)
}

/// What came back, and what did not as yet.
struct Kept<'a> {
    batch: &'a mut Batch,
    left: HashMap<usize, &'a Item>,
    trouble: Option<anyhow::Error>,
}

impl Kept<'_> {
    /// Until nothing more comes back, or somebody asks to stop.
    async fn gather(
        &mut self,
        answers: impl Stream<Item = datafusion::common::Result<RecordBatch>>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<bool> {
        let (mut answers, mut asked) = (pin!(answers), pin!(ctrl_c()));
        loop {
            match future::select(answers.next(), &mut asked).await {
                Either::Left((None, _)) => return Ok(false),
                Either::Left((Some(Ok(answer)), _)) => self.keep(&answer, progress)?,
                // Another query may go well.
                Either::Left((Some(Err(error)), _)) => self.trouble = Some(error.into()),
                Either::Right((asked, _)) => return Ok(asked.map(|()| true)?),
            }
        }
    }

    fn keep(&mut self, answer: &RecordBatch, progress: &dyn Fn(usize, usize)) -> Result<()> {
        let column = |name| answer.column_by_name(name);
        let numbers = column("item").and_then(|column| column.as_primitive_opt::<UInt64Type>());
        let rows = column("rows").and_then(|column| column.as_list_opt::<i32>());
        let (numbers, rows) =
            numbers.zip(rows).context("other columns came back than asked for")?;
        for (at, number) in numbers.values().iter().enumerate() {
            let found =
                from_arrow(&rows.value(at)).context("other columns came back than asked for")?;
            let number = *number as usize;
            if let Some(reason) = found.iter().find_map(|row| row.text(ENDED)) {
                let reason = reason.to_string();
                self.trouble = Some(BatchError::Stopped { reason }.into());
            } else if let Some(item) = self.left.remove(&number) {
                let failed = found.iter().any(|row| row.text("error").is_some());
                self.batch.keep(item, &finished(item, found))?;
                progress(1, usize::from(failed));
            }
        }
        Ok(())
    }
}

/// The rows of an input, whose place among all is known here.
fn finished(item: &Item, rows: Vec<Row>) -> Finished {
    let contents = rows.first().and_then(|row| row.text("contents")).unwrap_or_default();
    let contents = contents.to_string();
    let rows = rows.into_iter().map(|row| row.with("item", item.number)).collect();
    Finished::new(contents, rows)
}

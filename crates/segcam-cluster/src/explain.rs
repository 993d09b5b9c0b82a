use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use segcam_batch::{Item, Row, shown};

use crate::Networks;
use crate::arrow::{ENDED, rows_type, to_arrow};

/// `explain(path, asked)`, or `explain(path, asked, name, fields)`: the rows that `segcam batch` writes about
/// an input, as a list of structs. What it is asked goes as the text of [`Options`](crate::Options), fields of
/// a manifest as JSON. There is no error that ends a query: what is wrong with an input is in the column
/// `error`, what is wrong with all of them in `ended`.
#[derive(Debug)]
pub struct Explain {
    networks: Arc<Networks>,
    signature: Signature,
}

impl Explain {
    /// What a query calls it.
    pub const NAME: &'static str = "explain";

    /// The function, on networks that are loaded in this process.
    pub fn new(networks: Arc<Networks>) -> Self {
        // No planner may compute it before its time, nor twice.
        Self { networks, signature: Signature::user_defined(Volatility::Volatile) }
    }

    /// The same for a registry.
    pub fn udf(networks: Arc<Networks>) -> ScalarUDF {
        Self::new(networks).into()
    }

    fn rows(&self, item: &Item, asked: &str) -> Vec<Row> {
        let finished = catch_unwind(AssertUnwindSafe(|| {
            let loaded = self.networks.get(asked).map_err(|error| format!("{error:#}"));
            loaded.and_then(|loaded| loaded.explain(item))
        }));
        let broken = || Err(format!("internal error, please report it, with {}", item.name));
        match finished.unwrap_or_else(|_| broken()) {
            Ok(finished) => finished.rows,
            Err(reason) => {
                vec![Row::new().with("input", item.name.clone()).with(ENDED, reason)]
            }
        }
    }
}

// There is one function of this name.
impl PartialEq for Explain {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Explain {}

impl Hash for Explain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Self::NAME.hash(state);
    }
}

impl ScalarUDFImpl for Explain {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            // Paths may be any bytes.
            [DataType::Binary, rest @ ..] if matches!(rest.len(), 1 | 3) => {
                Ok([DataType::Binary].into_iter().chain(texts(rest.len())).collect())
            }
            _ if matches!(types.len(), 2 | 4) => Ok(texts(types.len()).collect()),
            _ => plan_err!("wanted explain(path, asked) or explain(path, asked, name, fields)"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(rows_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let path = |at: usize| match columns[0].data_type() {
            DataType::Binary => path_of(columns[0].as_binary::<i32>().value(at)),
            _ => Some(columns[0].as_string::<i32>().value(at).into()),
        };
        let text = |column: usize, at: usize| {
            columns.get(column).filter(|column| !column.is_null(at)).map(|column| {
                let column = column.as_string::<i32>();
                column.value(at)
            })
        };
        let mut found = vec![];
        for at in 0..args.number_rows {
            let (Some(path), false) = (path(at), columns[0].is_null(at)) else {
                return exec_err!("explain: row {at} has no path");
            };
            let name = text(2, at).map_or_else(|| shown(&path), String::from);
            let fields = text(3, at).map(serde_json::from_str).transpose();
            let Ok(fields) = fields.map(Option::unwrap_or_default) else {
                return exec_err!("explain: the fields of {name} are no JSON object of texts");
            };
            let mut item = Item::new(path);
            (item.name, item.fields) = (name, fields);
            found.push(self.rows(&item, text(1, at).unwrap_or_default()));
        }
        Ok(ColumnarValue::Array(Arc::new(to_arrow(&found)?)))
    }
}

fn texts(count: usize) -> impl Iterator<Item = DataType> {
    std::iter::repeat_n(DataType::Utf8, count)
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(bytes.to_vec()).into())
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(|text| OsString::from(text).into())
}

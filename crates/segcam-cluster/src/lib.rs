//! `segcam batch` as a [DataFusion](https://datafusion.apache.org) plan: a table of inputs and a function
//! [`explain`](Explain) over it, computed in this process or by the executors of a
//! [Ballista](https://datafusion.apache.org/ballista) cluster; and SQL over the tables that come out.
//!
//! | step | what it does |
//! |---|---|
//! | [`Asked`] | what `segcam batch` is asked, as a text that travels |
//! | [`Explain`] | the function: an input and that text in, the rows of the table out |
//! | [`Networks`] | each network is loaded once in a process |
//! | [`plan`] | a few inputs for each task |
//! | [`Cluster`] | where plans are computed |
//! | [`run`] | what comes back is kept, what does not is asked for again |
//! | [`maps`] | tables as the SQL table `maps` |

mod arrow;
mod asked;
mod cluster;
mod explain;
mod networks;
mod plan;
mod run;
mod server;
mod sql;

pub use asked::Asked;
pub use cluster::Cluster;
pub use explain::Explain;
pub use networks::Networks;
pub use plan::plan;
pub use run::{Portions, run};
pub use server::{Executor, Scheduler};
pub use sql::maps;

//! `segcam batch` as a [DataFusion](https://datafusion.apache.org) plan: a table of inputs and a function
//! [`explain`](Explain) over it, computed in this process or by the executors of a
//! [Ballista](https://datafusion.apache.org/ballista) cluster; and SQL over the tables that come out.
//!
//! | step | what it does |
//! |---|---|
//! | [`Options`] | those of `segcam batch`, as a text that travels |
//! | [`Explain`] | the function: an input and that text in, the rows of the table out |
//! | [`Networks`] | each network is loaded once in a process: a [`Loaded`] |
//! | [`Inputs`] | what is explained: files, or objects of a store |
//! | [`Place`] | an object of a store that speaks S3 |
//! | [`Kept`] | where the table is until it is finished |
//! | [`plan`] | a few inputs for each task |
//! | [`Cluster`] | where plans are computed |
//! | [`run`] | what comes back is kept, what does not is asked for again |
//! | [`maps`] | tables as the SQL table `maps` |

mod arrow;
mod cluster;
mod explain;
mod inputs;
mod kept;
mod loaded;
mod networks;
mod options;
mod plan;
mod run;
mod server;
mod sql;
mod stored;

pub use cluster::Cluster;
pub use explain::Explain;
pub use inputs::Inputs;
pub use kept::Kept;
pub use loaded::Loaded;
pub use networks::Networks;
pub use options::Options;
pub use plan::plan;
pub use run::{Portions, run};
pub use server::{Executor, Scheduler};
pub use sql::maps;
pub use stored::{Place, StoreError};

use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Error, Result, bail};
use ballista::prelude::{SessionConfigExt, SessionContextExt};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio::net::TcpStream;
use url::Url;

use crate::{Explain, Networks};

/// Where plans are computed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cluster {
    /// By DataFusion in this process.
    #[default]
    Here,
    /// By a scheduler and an executor of Ballista in this process.
    Standalone,
    /// By the executors of a scheduler, `df://host:50050`.
    At(String),
}

impl FromStr for Cluster {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "here" => Ok(Self::Here),
            "standalone" => Ok(Self::Standalone),
            address if address.starts_with("df://") => Ok(Self::At(address.into())),
            _ => bail!("wanted here, standalone or df://HOST:PORT"),
        }
    }
}

impl Cluster {
    /// A session that knows the function [`explain`](Explain). In this process `jobs` tasks are computed at
    /// the same time; elsewhere the executors say how many.
    ///
    /// # Errors
    /// Addresses that nobody answers.
    pub async fn context(&self, networks: Arc<Networks>, jobs: usize) -> Result<SessionContext> {
        let config = match self {
            Self::Here => SessionConfig::new(),
            _ => SessionConfig::new_with_ballista()
                .with_ballista_standalone_parallelism(jobs)
                .with_ballista_grpc_client_max_message_size(LONGEST as usize)
                // A task is what is lost with its executor.
                .set_usize("ballista.scheduler.max_partitions_per_task", 1),
        };
        // The partitions of a plan are its tasks.
        let config = config.with_round_robin_repartition(false);
        let state = state(config, networks.clone())?;
        let context = match self {
            Self::Here => SessionContext::new_with_state(state),
            Self::Standalone => SessionContext::standalone_with_state(state).await?,
            Self::At(address) => {
                answers(address).await?;
                SessionContext::remote_with_state(address, state).await?
            }
        };
        context.register_udf(Explain::udf(networks));
        Ok(context)
    }
}

/// Whether a scheduler is there: a query would say it in other words.
async fn answers(address: &str) -> Result<()> {
    let url = Url::parse(address).with_context(|| format!("cannot use {address}"))?;
    let host = url.host_str().with_context(|| format!("{address} names no host"))?;
    let there = TcpStream::connect((host, url.port().unwrap_or(50050))).await;
    there.map(|_| ()).with_context(|| format!("no scheduler answers at {address}"))
}

/// The longest message in bytes: an input may have many maps.
pub(crate) const LONGEST: u32 = 1 << 30;

/// A session's state that knows the function.
pub(crate) fn state(
    config: SessionConfig,
    networks: Arc<Networks>,
) -> datafusion::common::Result<SessionState> {
    let mut state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    state.register_udf(Arc::new(Explain::udf(networks)))?;
    Ok(state)
}

//! The two programs of a cluster.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::cluster::{LONGEST, state};
use crate::{Explain, Networks};

/// Deals out tasks.
#[derive(Debug, Clone)]
pub struct Scheduler {
    /// Where it is asked.
    pub listen: SocketAddr,
    /// What executors and clients call this machine.
    pub host: String,
    /// An executor that has not asked for so long is lost. Executors ask every 5 seconds, whatever they
    /// compute.
    pub lost_after: Duration,
}

impl Scheduler {
    /// Runs until it is killed.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub async fn serve(&self) -> Result<()> {
        let seconds = self.lost_after.as_secs().max(1);
        let config = SchedulerConfig {
            external_host: self.host.clone(),
            bind_host: self.listen.ip().to_string(),
            bind_port: self.listen.port(),
            scheduling_policy: TaskSchedulingPolicy::PullStaged,
            executor_timeout_seconds: seconds,
            expire_dead_executor_interval_seconds: (seconds / 4).clamp(1, 15),
            no_executors_grace_period_seconds: seconds.max(180),
            grpc_server_max_decoding_message_size: LONGEST,
            grpc_server_max_encoding_message_size: LONGEST,
            grpc_client_max_message_size: LONGEST,
            override_session_builder: Some(Arc::new(|config| state(config, Arc::default()))),
            ..SchedulerConfig::default()
        };
        let cluster = BallistaCluster::new_from_config(&config).await?;
        let serving = start_server(cluster, self.listen, Arc::new(config)).await;
        serving.with_context(|| format!("cannot listen on {}", self.listen))
    }
}

/// Computes tasks.
#[derive(Debug, Clone)]
pub struct Executor {
    /// Host and port of the scheduler.
    pub scheduler: (String, u16),
    /// Where results are fetched; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What clients and other executors call this machine.
    pub host: String,
    /// Tasks at the same time; each of them uses all cores.
    pub tasks: usize,
    /// How long it waits for the scheduler.
    pub patience: Duration,
}

impl Executor {
    /// Runs until it is told to stop, by SIGTERM or Ctrl-C, and finishes what it has begun.
    ///
    /// # Errors
    /// A scheduler that does not answer, and an address that cannot be had.
    pub async fn serve(&self) -> Result<()> {
        let mut functions = BallistaFunctionRegistry::default();
        let explain = Arc::new(Explain::udf(Networks::telling().into()));
        functions.scalar_functions.insert(Explain::NAME.into(), explain);
        self.wait_for_scheduler().await?;
        let folder = tempfile::tempdir().context("cannot make a folder for results")?;
        let (host, port) = &self.scheduler;
        let config = ExecutorProcessConfig {
            bind_host: self.listen.ip().to_string(),
            external_host: Some(self.host.clone()),
            port: self.port()?,
            scheduler_host: host.clone(),
            scheduler_port: *port,
            vcores: self.tasks.max(1),
            task_scheduling_policy: TaskSchedulingPolicy::PullStaged,
            work_dir: folder.path().to_str().map(String::from),
            grpc_max_decoding_message_size: LONGEST,
            grpc_max_encoding_message_size: LONGEST,
            override_function_registry: Some(Arc::new(functions)),
            ..ExecutorProcessConfig::default()
        };
        let serving = start_executor_process(Arc::new(config)).await;
        serving.with_context(|| format!("cannot compute for df://{host}:{port}"))
    }

    /// Ballista's own waiting has no end.
    async fn wait_for_scheduler(&self) -> Result<()> {
        let (start, (host, port)) = (Instant::now(), &self.scheduler);
        loop {
            match TcpStream::connect((host.as_str(), *port)).await {
                Ok(_) => return Ok(()),
                Err(error) if start.elapsed() >= self.patience => {
                    return Err(error)
                        .with_context(|| format!("no scheduler answers at {host}:{port}"));
                }
                Err(_) => sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// Others are told the port before it is opened.
    fn port(&self) -> Result<u16> {
        let wrong = || format!("cannot listen on {}", self.listen);
        Ok(TcpListener::bind(self.listen).with_context(wrong)?.local_addr()?.port())
    }
}

//! One worker: its socket, its place in the pool, and how it is started.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use super::config::{SpawnConfig, WorkerSize};
use crate::pool::members::backend::{Backend, BackendConfig};
use crate::program;

pub struct Worker {
    pub listener: TcpListener,
    pub backend: Arc<Backend>,
}

/// How a worker is started.
#[derive(Clone, Debug)]
pub struct Command {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
}

impl Worker {
    pub fn bind(number: u32, config: &SpawnConfig) -> Result<Self, SpawnError> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(SpawnError::Bind)?;
        let address = listener.local_addr().map_err(SpawnError::Bind)?;
        let size = config.size();
        let config = BackendConfig {
            name: Some(format!("worker-{number}")),
            max_conns: config
                .max_conns
                .or_else(|| size.map(|size| size.parallel.saturating_add(size.waiting))),
            ..BackendConfig::at(address)
        };
        Ok(Self {
            listener,
            backend: Arc::new(Backend::spawned(
                &config,
                address.into(),
                size.map(|size| size.parallel),
            )),
        })
    }

    pub fn name(&self) -> &str {
        self.backend.name()
    }
}

impl Command {
    pub fn new(config: &SpawnConfig) -> Result<Self, SpawnError> {
        let (program, mut args, mut env) = match config.command.split_first() {
            Some((program, args)) => (program.into(), args.to_vec(), BTreeMap::new()),
            None if cfg!(feature = "worker") => (
                program::path().map_err(SpawnError::OwnProgram)?.to_owned(),
                BUILT_IN.map(str::to_owned).to_vec(),
                BTreeMap::from([LOG_AS_JSON.map(str::to_owned).into()]),
            ),
            None => return Err(SpawnError::NoWorkerInside),
        };
        if let Some(size) = config.size() {
            env.insert(WorkerSize::PARALLEL.to_owned(), size.parallel.to_string());
            env.insert(WorkerSize::WAITING.to_owned(), size.waiting.to_string());
        }
        args.extend_from_slice(&config.args);
        env.extend(config.env.clone());
        Ok(Self { program, args, env })
    }
}

const BUILT_IN: [&str; 4] = ["worker", "--listen", "stdin", "--die-with-parent"];

/// So that [`output`] can tell a line's level from its text.
const LOG_AS_JSON: [&str; 2] = ["BLUR_LOG_FORMAT", "json"];

#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("cannot bind a socket for a worker: {0}")]
    Bind(#[source] io::Error),
    #[error("cannot find this program's own file to start workers from: {0}")]
    OwnProgram(#[source] io::Error),
    #[error("this program was built without a worker inside: give spawn a command")]
    NoWorkerInside,
}

//! Where backends come from besides the list in the configuration: sources that are asked again and again while the pool
//! runs. What a source said last holds until it says something else; that it fails, or names nobody, changes nothing.

mod address;
mod dns;
mod file;
mod source;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::NetError;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::address::{Address, AddressError};
pub use self::dns::DnsConfig;
pub use self::file::check as check_file;
pub use self::source::{Source, SourceStatus};
use super::backend::BackendConfig;
use super::{Pool, stopped};
use crate::yaml::diagnostic::Diagnostic;

/// One entry of `discover`: `{ dns: { name: worker.internal, port: 5000 } }`, `{ file: backends.yaml }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum DiscoverConfig {
    /// The records of a name.
    Dns(DnsConfig),
    /// A YAML file that holds a list as `backends` does.
    File(PathBuf),
}

impl DiscoverConfig {
    fn asker(&self) -> Asker {
        match self {
            Self::Dns(config) => Asker::Dns(dns::Asker::new(config)),
            Self::File(path) => Asker::File(file::Asker::new(path)),
        }
    }

    /// How long an answer may take.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Dns(config) => config.timeout.get(),
            Self::File(_) => Duration::ZERO,
        }
    }
}

impl fmt::Display for DiscoverConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(config) => write!(f, "dns {} {}", config.r#type, config.name),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// A backend as a source names it, and the address that its own has come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub config: BackendConfig,
    pub address: SocketAddr,
}

/// What a source says.
struct Answer {
    found: Vec<Found>,
    /// After which time it wants to be asked again.
    again: Duration,
}

/// Why a source has nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("names nobody")]
    Nobody,
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("no answer: {0}")]
    Dns(#[from] NetError),
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// What is wrong with a file's contents.
    #[error("{}", lines(.0))]
    Mistakes(Vec<Diagnostic>),
}

fn lines(mistakes: &[Diagnostic]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Asks one source, and remembers what makes the next asking cheaper.
enum Asker {
    Dns(dns::Asker),
    File(file::Asker),
}

impl Asker {
    async fn ask(&mut self) -> Result<Answer, DiscoveryError> {
        let answer = match self {
            Self::Dns(asker) => asker.ask().await,
            Self::File(asker) => asker.ask().await,
        }?;
        match answer.found.is_empty() {
            true => Err(DiscoveryError::Nobody),
            false => Ok(answer),
        }
    }

    /// When to ask again after so many failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        match self {
            Self::Dns(asker) => asker.pause(failures),
            Self::File(_) => file::BETWEEN_LOOKS,
        }
    }
}

/// Asks all of the pool's sources, each when it is due, until told to stop.
pub async fn run(pool: &Arc<Pool>, stop: watch::Receiver<bool>) {
    let mut asking = JoinSet::new();
    for source in &pool.sources {
        asking.spawn(follow(Arc::clone(pool), Arc::clone(source)));
    }
    stopped(stop).await;
    asking.shutdown().await;
}

async fn follow(pool: Arc<Pool>, source: Arc<Source>) {
    let mut asker = source.config().asker();
    let mut failures = 0;
    loop {
        let pause = match asker.ask().await {
            Ok(answer) => {
                failures = 0;
                source.said(&pool, answer.found);
                answer.again
            }
            Err(error) => {
                failures += 1;
                source.failed(&pool, &error);
                asker.pause(failures)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Asks all of the pool's sources once, without running the pool.
pub async fn ask_once(pool: &Arc<Pool>) {
    for source in &pool.sources {
        match source.config().asker().ask().await {
            Ok(answer) => source.said(pool, answer.found),
            Err(error) => source.failed(pool, &error),
        }
    }
}

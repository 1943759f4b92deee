//! Where answers are kept. A store that fails or does not answer in time is not asked again for a moment.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::timeout;

use super::folder::{Folder, FolderConfig};
use super::memory::{Memory, MemoryConfig};
use super::redis::{Redis, RedisConfig};
use super::store::Store;

/// One of them.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum StoreConfig {
    /// This process'; gone when it ends.
    Memory(MemoryConfig),
    /// Files, of this machine or shared.
    Folder(FolderConfig),
    /// Redis or Valkey, which all proxies share.
    Redis(RedisConfig),
}

impl StoreConfig {
    pub fn key_file(&self) -> Option<&Path> {
        match self {
            Self::Memory(_) => None,
            Self::Folder(folder) => Some(&folder.key_file),
            Self::Redis(redis) => Some(&redis.key_file),
        }
    }

    pub fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        match self {
            Self::Memory(_) => Vec::new(),
            Self::Folder(folder) => vec![("path", &mut folder.path), ("key_file", &mut folder.key_file)],
            Self::Redis(redis) => {
                let ca = redis.ca.iter_mut().map(|ca| ("ca", ca));
                [("key_file", &mut redis.key_file)].into_iter().chain(ca).collect()
            }
        }
    }
}

/// What holds for every store.
#[derive(Clone, Copy)]
pub struct Limits {
    pub ttl: Duration,
    pub timeout: Duration,
    /// Bytes of an answer, sealed.
    pub largest: usize,
}

/// A store, and what is thought of it.
pub struct Shelf {
    store: Box<dyn Store>,
    timeout: Duration,
    /// One that is full still gives what it has.
    gives: Opinion,
    takes: Opinion,
}

/// Since when it has failed, if it does. Contended by requests of the route for a moment each.
#[derive(Default)]
struct Opinion(Mutex<Option<Instant>>);

/// It has, or has just before, and its log line says why.
pub struct Failed;

impl Shelf {
    pub fn new(config: &StoreConfig, limits: Limits) -> Result<Self, String> {
        let store: Box<dyn Store> = match config {
            StoreConfig::Memory(config) => Box::new(Memory::new(config)),
            StoreConfig::Folder(config) => Box::new(Folder::new(config, limits)?),
            StoreConfig::Redis(config) => Box::new(Redis::new(config, limits)?),
        };
        Ok(Self {
            store,
            timeout: limits.timeout,
            gives: Opinion::default(),
            takes: Opinion::default(),
        })
    }

    pub async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Failed> {
        self.asked(&self.gives, self.store.get(name)).await
    }

    pub async fn put(&self, name: &str, sealed: Bytes) -> Result<(), Failed> {
        self.asked(&self.takes, self.store.put(name, sealed)).await
    }

    async fn asked<T>(
        &self,
        opinion: &Opinion,
        question: impl Future<Output = Result<T, String>>,
    ) -> Result<T, Failed> {
        if opinion.0.lock().is_some_and(|since| since.elapsed() < SILENCE) {
            return Err(Failed);
        }
        let said = timeout(self.timeout, question).await;
        let said = said.unwrap_or_else(|_| Err(format!("it takes longer than {:?}", self.timeout)));
        if said.is_err() {
            self.store.begin_anew();
        }
        let now = said.is_err().then(Instant::now);
        let before = std::mem::replace(&mut *opinion.0.lock(), now);
        match &said {
            Ok(_) if before.is_some() => tracing::info!("the store of a result_cache answers again"),
            Err(why) if before.is_none() => {
                tracing::warn!("the store of a result_cache fails, backends are asked instead: {why}");
            }
            _ => {}
        }
        said.map_err(|_| Failed)
    }
}

/// How long a store that fails is not asked.
const SILENCE: Duration = Duration::from_secs(1);

//! In Redis or Valkey. What takes too much room there is for its `maxmemory` and `maxmemory-policy` to say.

use std::fs;
use std::path::PathBuf;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, TlsCertificates, cmd};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pingora_rustls::install_default_crypto_provider;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::shelf::Limits;
use super::store::Store;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://user:password@host:6379/0`, `rediss://` for TLS, or `unix:///run/valkey.sock`.
    url: String,
    /// Whose certificates are believed in TLS, in PEM; those whom the system trusts unless given.
    pub ca: Option<PathBuf>,
    /// At least 32 random bytes, which seal the answers; all proxies that share them have the same.
    pub key_file: PathBuf,
    /// What names begin with there.
    #[serde(default = "prefix")]
    prefix: String,
}

fn prefix() -> String {
    "veil:result:".to_owned()
}

pub struct Redis {
    client: Client,
    prefix: String,
    limits: Limits,
    /// One question at a time on each, so that no small answer waits for a large one; whose question was given up is
    /// dropped, for its answer may come yet. Contended for a moment each.
    idle: Mutex<Vec<MultiplexedConnection>>,
    connections: Semaphore,
}

impl Redis {
    /// # Errors
    /// The address is none.
    pub fn new(config: &RedisConfig, limits: Limits) -> Result<Self, String> {
        let client = client(config)?;
        Ok(Self {
            client,
            prefix: config.prefix.clone(),
            limits,
            idle: Mutex::default(),
            connections: Semaphore::new(CONNECTIONS),
        })
    }

    async fn ask<T: FromRedisValue>(&self, question: &Cmd) -> Result<T, String> {
        let _place = self.connections.acquire().await;
        let idle = self.idle.lock().pop();
        if let Some(connection) = idle {
            // It may have ended long since.
            if let Ok(answer) = self.ask_on(connection, question).await {
                return Ok(answer);
            }
            self.begin_anew();
        }
        let asked = async { self.ask_on(self.connect().await?, question).await };
        asked.await.map_err(|error| error.to_string())
    }

    async fn ask_on<T: FromRedisValue>(&self, mut on: MultiplexedConnection, what: &Cmd) -> Result<T, RedisError> {
        let answer = what.query_async(&mut on).await?;
        self.idle.lock().push(on);
        Ok(answer)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        // Time is taken where all stores are asked.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

fn client(config: &RedisConfig) -> Result<Client, String> {
    // The address may hold a password.
    let wrong = |error: RedisError| format!("url: {error}");
    if !config.url.starts_with("rediss:") {
        return match &config.ca {
            Some(_) => Err("ca is for TLS; write url: rediss://…".to_owned()),
            None => Client::open(&*config.url).map_err(wrong),
        };
    }
    install_default_crypto_provider();
    let read = |file: &PathBuf| fs::read(file).map_err(|error| format!("ca: {}: {error}", file.display()));
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: config.ca.as_ref().map(read).transpose()?,
    };
    Client::build_with_tls(&*config.url, certificates).map_err(wrong)
}

#[async_trait]
impl Store for Redis {
    /// Never more than may be: whoever else writes there may write anything.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let question = cmd("GETRANGE").arg(self.name(name)).arg(0).arg(self.limits.largest).take();
        let sealed: Vec<u8> = self.ask(&question).await?;
        Ok(Some(sealed).filter(|sealed| !sealed.is_empty()))
    }

    async fn put(&self, name: &str, sealed: Bytes) -> Result<(), String> {
        let milliseconds = u64::try_from(self.limits.ttl.as_millis()).unwrap_or(u64::MAX);
        let question = cmd("SET").arg(self.name(name)).arg(&*sealed).arg("PX").arg(milliseconds.max(1)).take();
        self.ask(&question).await
    }

    fn begin_anew(&self) {
        self.idle.lock().clear();
    }
}

const CONNECTIONS: usize = 16;

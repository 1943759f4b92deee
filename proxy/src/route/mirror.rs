//! Copies of requests for another pool: a new version that sees real traffic before it serves any.

use std::sync::Arc;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::body::Whole;
use crate::pool::Pool;
use crate::request::RequestCtx;
use crate::request::random_bits;
use crate::upstream::subrequest::PoolClient;
use crate::yaml::units::Ratio;

/// `mirror: { pool: shadow, share: 10% }`: nobody waits for it, and what comes of it is seen in the pool's numbers alone. Requests
/// whose bodies pass as they come (`buffering: off`) are not copied.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct MirrorConfig {
    pub pool: String,
    /// Of the requests, at random.
    #[serde(default = "all")]
    share: Ratio,
    /// Copies under way at a time; further ones are not made.
    #[serde(default = "a_hundred")]
    most: u16,
}

fn all() -> Ratio {
    Ratio::from_percent(100)
}

fn a_hundred() -> u16 {
    100
}

pub struct Mirror {
    pool: Arc<Pool>,
    client: PoolClient,
    share: f64,
    room: Arc<Semaphore>,
}

impl Mirror {
    pub fn new(config: &MirrorConfig, pool: Arc<Pool>, client: &PoolClient) -> Self {
        Self {
            pool,
            client: client.clone(),
            share: config.share.get(),
            room: Arc::new(Semaphore::new(config.most.into())),
        }
    }

    /// Whether this request is one of the share.
    pub fn wants(&self) -> bool {
        // 53 bits make a fraction of double precision.
        ((random_bits() >> 11) as f64) < self.share * (1_u64 << 53) as f64
    }

    /// Sends a copy, which has this head, if there is room.
    pub fn send(&self, head: RequestHeader, body: Option<Arc<Whole>>, ctx: &RequestCtx) {
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            return;
        };
        let (client, pool, account) = (self.client.clone(), Arc::clone(&self.pool), ctx.account());
        tokio::spawn(async move {
            client.copy(&pool, head, body, account).await;
            drop(place);
        });
    }
}

//! Copies of requests for another pool: a new version that sees real traffic before it serves any.

use std::sync::Arc;

use http::Method;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use tokio::sync::Semaphore;

use crate::body::Whole;
use crate::client::forwarded::{self, Tellings};
use crate::filter::{Filter, RequestHeaders};
use crate::pool::Pool;
use crate::request::RequestCtx;
use crate::request::random_bits;
use crate::request::variables::Template;
use crate::script::{Condition, Seen};
use crate::upstream::subrequest::PoolClient;
use crate::yaml::units::Ratio;

/// `mirror: { pool: shadow, share: 10% }`: nobody waits for it, and what comes of it is seen in the pool's numbers alone. Requests
/// whose bodies pass as they come (`buffering: off`) are not copied unless without them.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct MirrorConfig {
    pub pool: String,
    /// Requests that are copied; all of them unless given.
    #[serde(default, deserialize_with = "crate::script::written")]
    when: Option<Condition>,
    /// Of the requests, at random.
    #[serde(default = "all")]
    share: Ratio,
    /// Copies under way at a time; further ones are not made.
    #[serde(default = "a_hundred")]
    most: u16,
    /// What is asked by; the client's unless given.
    #[serde(default, deserialize_with = "method")]
    #[schemars(with = "Option<String>")]
    method: Option<Method>,
    /// Path and query that are asked for; what this route's backends are asked for unless given.
    target: Option<Template>,
    /// What becomes of the client's fields, and this alone; what this route's backends get unless given.
    headers: Option<RequestHeaders>,
    /// With `headers`, the fields of Veil's own that go along.
    #[serde(default)]
    tells: Tellings,
    /// Whether the copy has the request's body; without, also what is not kept of it is no bar. Nginx: `mirror_request_body`.
    #[serde(default = "yes")]
    body: bool,
}

impl MirrorConfig {
    /// Whether a request is one of those that are copied, before its share is drawn. One on which the condition fails is none.
    pub fn is_for(&self, head: &RequestHeader, ctx: &RequestCtx) -> bool {
        let holds = |when: &Condition| when.holds(Seen::of(head, ctx), "mirror").unwrap_or(false);
        self.when.as_ref().is_none_or(holds)
    }
}

fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Method>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let method = text
        .parse()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_uppercase()));
    method
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("{text:?} is not a method; write one such as GET or POST")))
}

fn yes() -> bool {
    true
}

fn all() -> Ratio {
    Ratio::from_percent(100)
}

fn a_hundred() -> u16 {
    100
}

pub struct Mirror {
    config: MirrorConfig,
    pool: Arc<Pool>,
    client: PoolClient,
    room: Arc<Semaphore>,
}

impl Mirror {
    pub fn new(config: &MirrorConfig, pool: Arc<Pool>, client: &PoolClient) -> Self {
        Self {
            config: config.clone(),
            pool,
            client: client.clone(),
            room: Arc::new(Semaphore::new(config.most.into())),
        }
    }

    /// Whether this request is one that is copied.
    pub fn wants(&self, head: &RequestHeader, ctx: &RequestCtx) -> bool {
        // 53 bits make a fraction of double precision.
        let is_drawn = ((random_bits() >> 11) as f64) < self.config.share.get() * (1_u64 << 53) as f64;
        is_drawn && self.config.is_for(head, ctx)
    }

    pub fn has_body(&self) -> bool {
        self.config.body
    }

    pub fn pool(&self) -> &str {
        self.pool.name()
    }

    /// Makes the client's head what the copy has; whether it has. Else that is what this route's backends get.
    ///
    /// # Errors
    /// What it would have cannot be sent.
    pub fn changes(&self, head: &mut RequestHeader, ctx: &RequestCtx) -> pingora::Result<bool> {
        let Some(headers) = &self.config.headers else {
            return Ok(false);
        };
        forwarded::tell_backend(head, ctx, &self.config.tells)?;
        headers.on_upstream_request(head, ctx);
        Ok(true)
    }

    /// Asks by the method and for the target that are said, if they are; `sent` is the client's head.
    ///
    /// # Errors
    /// Such a target cannot be asked for.
    pub fn asks(&self, copy: &mut RequestHeader, sent: &RequestHeader, ctx: &RequestCtx) -> pingora::Result<()> {
        if let Some(method) = &self.config.method {
            copy.set_method(method.clone());
        }
        match &self.config.target {
            Some(target) => copy.set_raw_path(&target.bytes(sent, ctx)),
            None => Ok(()),
        }
    }

    /// Sends a copy, which has this head, if there is room; whether there was.
    pub fn send(&self, head: RequestHeader, body: Option<Arc<Whole>>, ctx: &RequestCtx) -> bool {
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            return false;
        };
        let (client, pool, account) = (self.client.clone(), Arc::clone(&self.pool), ctx.account());
        tokio::spawn(async move {
            client.copy(&pool, head, body, account).await;
            drop(place);
        });
        true
    }
}

//! Requests of Veil's own to its pools, on behalf of a client's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{ErrorType, OrErr};

use crate::body::Whole;
use crate::filter::{Asked, Subrequests};
use crate::pool::{Lease, Opening, Outcome, Pool, head_of_answer};
use crate::request::RequestCtx;

/// Sends requests without bodies to pools.
#[derive(Clone, Default)]
pub struct PoolClient {
    pools: Arc<HashMap<String, Arc<Pool>>>,
    connector: Arc<OnceLock<Connector>>,
}

impl PoolClient {
    pub fn new(pools: HashMap<String, Arc<Pool>>) -> Self {
        Self {
            pools: Arc::new(pools),
            connector: Arc::default(),
        }
    }

    async fn answer(&self, pool: &Arc<Pool>, head: Box<RequestHeader>, client: IpAddr) -> Option<Box<ResponseHeader>> {
        let connector = self.connector.get_or_init(|| Connector::new(None));
        let key = pool.key(&head, client);
        let mut tried = Vec::new();
        for _ in 0..MOST_ATTEMPTS {
            let lease = pool.acquire(&key, &tried).await.ok()?;
            tried.push(Arc::clone(lease.backend()));
            if let Some(answer) = attempt(connector, pool, &lease, head.clone()).await {
                return Some(answer);
            }
        }
        None
    }
}

impl PoolClient {
    /// Sends a copy of a request once, and reads what comes of it.
    pub async fn copy(&self, pool: &Arc<Pool>, head: RequestHeader, body: Option<Arc<Whole>>, client: IpAddr) {
        let connector = self.connector.get_or_init(|| Connector::new(None));
        let key = pool.key(&head, client);
        let Ok(lease) = pool.acquire(&key, &[]).await else {
            return;
        };
        let (began, peer, mut body) = (Instant::now(), peer(pool, &lease), body);
        for _ in 0..2 {
            let Ok((mut session, reused)) = connector.get_http_session(&peer).await else {
                return lease.report(Outcome::ConnectFailed);
            };
            // Once more where a kept connection may have been closed meanwhile, and twice does no harm.
            let may_repeat = reused && head.method.is_idempotent();
            let sent = if may_repeat { body.clone() } else { body.take() };
            match send(&mut session, Box::new(head.clone()), sent).await {
                Ok(status) => {
                    let latency = began.elapsed();
                    lease.report(Outcome::Answered { status, latency });
                    if has_ended(&mut session, u64::MAX).await {
                        let idle = pool.timeouts().idle.get();
                        connector.release_http_session(session, &peer, Some(idle)).await;
                    }
                    return;
                }
                Err(_) if may_repeat => {}
                Err(_) => break,
            }
        }
        lease.report(Outcome::Reset);
    }
}

async fn send(session: &mut HttpSession, head: Box<RequestHeader>, body: Option<Arc<Whole>>) -> pingora::Result<u16> {
    session.write_request_header(head).await?;
    for piece in body.iter().flat_map(|body| body.pieces()) {
        let piece = piece.or_err(ErrorType::InternalError, "reading a kept body")?;
        session.write_request_body(piece, false).await?;
    }
    drop(body);
    session.finish_request_body().await?;
    Ok(head_of_answer(session).await?.status.as_u16())
}

/// As a request's own: it is only a question, and may be put again.
const MOST_ATTEMPTS: usize = 3;

async fn attempt(
    connector: &Connector,
    pool: &Pool,
    lease: &Lease,
    head: Box<RequestHeader>,
) -> Option<Box<ResponseHeader>> {
    let (began, peer) = (Instant::now(), peer(pool, lease));
    // A kept connection may have been closed meanwhile, which is no failure of the backend's.
    for _ in 0..2 {
        let Ok((mut session, reused)) = connector.get_http_session(&peer).await else {
            lease.report(Outcome::ConnectFailed);
            return None;
        };
        match ask(&mut session, head.clone()).await {
            Ok(answer) => {
                let (status, latency) = (answer.status.as_u16(), began.elapsed());
                lease.report(Outcome::Answered { status, latency });
                if has_ended(&mut session, MOST_LEFT).await {
                    let idle = pool.timeouts().idle.get();
                    connector.release_http_session(session, &peer, Some(idle)).await;
                }
                return Some(Box::new(answer));
            }
            Err(_) if reused => {}
            Err(_) => break,
        }
    }
    lease.report(Outcome::Reset);
    None
}

fn peer(pool: &Pool, lease: &Lease) -> HttpPeer {
    let timeouts = pool.timeouts();
    let (backend, transport) = (lease.backend(), pool.transport());
    let mut peer = HttpPeer::new(backend.address().as_inet(), false, String::new());
    if !(transport.is_plain() && backend.address().inet().is_some()) {
        // Such a connection is not kept.
        peer.options.custom_l4 = Some(Arc::new(Opening {
            transport: Arc::clone(transport),
            endpoint: backend.address().clone(),
            host: backend.host().cloned(),
        }));
    }
    peer.options.connection_timeout = Some(timeouts.connect.get());
    peer.options.total_connection_timeout = Some(timeouts.connect.get());
    peer.options.read_timeout = Some(timeouts.read.get());
    peer.options.write_timeout = Some(timeouts.send.get());
    peer.options.idle_timeout = Some(timeouts.idle.get());
    peer
}

async fn ask(session: &mut HttpSession, head: Box<RequestHeader>) -> pingora::Result<ResponseHeader> {
    session.write_request_header(head).await?;
    session.finish_request_body().await?;
    head_of_answer(session).await
}

/// Reads what is left of an answer, if that is little.
async fn has_ended(session: &mut HttpSession, most: u64) -> bool {
    let mut length = 0;
    loop {
        match session.read_response_body().await {
            Ok(Some(piece)) => length += piece.len() as u64,
            Ok(None) => return true,
            Err(_) => return false,
        }
        if length > most {
            return false;
        }
    }
}

/// Bytes.
const MOST_LEFT: u64 = 64 << 10;

impl Subrequests for PoolClient {
    fn ask(&self, pool: &str, head: Box<RequestHeader>, ctx: &RequestCtx) -> Asked {
        let (pool, client, this) = (self.pools.get(pool).cloned(), ctx.account(), self.clone());
        Box::pin(async move { this.answer(&pool?, head, client).await })
    }
}

//! The admin listener: liveness, readiness, numbers, and the operator's commands.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Extract};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::client::connection::ConnectionCounts;
use crate::pool::{Pool, PoolStatus};
use crate::request::problem::Problem;
use crate::state::Shared;

/// Asks the run loop to read the configuration anew; it answers with why it has not, if so.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// What the admin's pages are made of.
#[derive(Clone)]
pub struct Admin {
    pub shared: Arc<Shared>,
    pub reloads: mpsc::Sender<ReloadRequest>,
}

impl Admin {
    pub fn router(self) -> Router {
        let commands = Router::new()
            .route("/reload", post(reload))
            .route("/pools/{pool}/{backend}/drain", post(drain))
            .route("/pools/{pool}/{backend}/undrain", post(undrain))
            .route("/pools/{pool}/{backend}/weight/{weight}", put(weight))
            .route_layer(middleware::from_fn(refuse_web_pages));
        Router::new()
            .route("/", get(async || ENDPOINTS))
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/nginx_status", get(nginx_status))
            .route("/metrics", get(metrics))
            .route("/pools", get(pools))
            .merge(commands)
            .with_state(self)
    }

    fn pool(&self, name: &str) -> Option<Arc<Pool>> {
        self.shared.state.load().pools.get(name).cloned()
    }
}

const ENDPOINTS: &str = "\
GET  /livez         whether the process answers
GET  /readyz        whether requests are welcome; 503 says why not
GET  /metrics       numbers for Prometheus
GET  /pools         backends with their load, health and ejections; `veil pools` shows them as a table
GET  /nginx_status  as Nginx's stub_status
POST /reload        take the configuration file anew
POST /pools/POOL/BACKEND/drain, …/undrain
PUT  /pools/POOL/BACKEND/weight/WEIGHT
";

/// Whether requests are welcome; 503 says why not.
async fn readyz(Extract(admin): Extract<Admin>) -> Response {
    if admin.shared.is_ready() {
        return "ready\n".into_response();
    }
    let state = admin.shared.state.load();
    let unserved: Vec<&str> = state
        .pools
        .iter()
        .filter(|(_, pool)| pool.eligible() == 0)
        .map(|(name, _)| name.as_str())
        .collect();
    let why = if admin.shared.is_draining() {
        "draining\n".to_owned()
    } else if unserved.is_empty() {
        "starting\n".to_owned()
    } else {
        format!("no eligible backend in {}\n", unserved.join(", "))
    };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

/// Nginx's `stub_status`, to the letter. Handled is accepted: nothing that was accepted is dropped.
async fn nginx_status(Extract(admin): Extract<Admin>) -> String {
    let ConnectionCounts {
        active,
        accepted,
        requests,
        reading,
        writing,
        waiting,
        refused_heads: _,
    } = admin.shared.connections.counts();
    format!(
        "Active connections: {active} \nserver accepts handled requests\n {accepted} {accepted} {requests} \n\
         Reading: {reading} Writing: {writing} Waiting: {waiting} \n"
    )
}

async fn metrics(Extract(admin): Extract<Admin>) -> Response {
    let state = admin.shared.state.load_full();
    let counts = admin.shared.connections.counts();
    match admin
        .shared
        .metrics
        .render(counts, state.pools.values(), &state.access_log, &state.body_budget)
    {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "metrics_failed", &error.to_string()),
    }
}

async fn pools(Extract(admin): Extract<Admin>) -> Json<Vec<PoolStatus>> {
    let mut pools: Vec<PoolStatus> = admin
        .shared
        .state
        .load()
        .pools
        .values()
        .map(|pool| pool.status())
        .collect();
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    Json(pools)
}

async fn reload(Extract(admin): Extract<Admin>) -> Response {
    let (reply, answer) = oneshot::channel();
    let stopping = || refusal(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the proxy is stopping");
    if admin.reloads.send(reply).await.is_err() {
        return stopping();
    }
    match answer.await {
        Ok(Ok(())) => Json(json!({ "reloaded": true })).into_response(),
        Ok(Err(why)) => refusal(StatusCode::UNPROCESSABLE_ENTITY, "configuration_refused", &why),
        Err(_) => stopping(),
    }
}

async fn drain(admin: Extract<Admin>, Path((pool, backend)): Path<(String, String)>) -> Response {
    command(&admin, &pool, |pool| pool.set_drained(&backend, true))
}

async fn undrain(admin: Extract<Admin>, Path((pool, backend)): Path<(String, String)>) -> Response {
    command(&admin, &pool, |pool| pool.set_drained(&backend, false))
}

async fn weight(admin: Extract<Admin>, Path((pool, backend, weight)): Path<(String, String, u32)>) -> Response {
    command(&admin, &pool, |pool| pool.set_weight(&backend, weight))
}

/// Does something to a pool's backend, and answers with how the pool stands then.
fn command(admin: &Admin, name: &str, act: impl FnOnce(&Arc<Pool>) -> bool) -> Response {
    let Some(pool) = admin.pool(name) else {
        return refusal(
            StatusCode::NOT_FOUND,
            "no_such_pool",
            &format!("there is no pool {name:?}"),
        );
    };
    match act(&pool) {
        true => Json(pool.status()).into_response(),
        false => refusal(
            StatusCode::NOT_FOUND,
            "no_such_backend",
            &format!("pool {name:?} has no such backend"),
        ),
    }
}

/// Browsers name the page that sends a command; no page has business here.
async fn refuse_web_pages(request: Request, next: Next) -> Response {
    match request.headers().contains_key(header::ORIGIN) {
        true => refusal(
            StatusCode::FORBIDDEN,
            "web_page",
            "commands are not taken from web pages",
        ),
        false => next.run(request).await,
    }
}

fn refusal(status: StatusCode, code: &str, detail: &str) -> Response {
    let title = status.canonical_reason();
    let document = json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": detail,
    });
    (
        status,
        [(header::CONTENT_TYPE, Problem::MEDIA_TYPE)],
        document.to_string(),
    )
        .into_response()
}

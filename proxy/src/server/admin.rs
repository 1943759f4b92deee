//! The admin listener: liveness, readiness, numbers, and the operator's commands.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Path, Request, State as Extract};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use rustix::system::uname;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::client::admin::Allowed;
use crate::observe::changes::LastChanges;
use crate::observe::metrics::Shown;
use crate::pool::{GREATEST_WEIGHT, Pool, PoolStatus};
use crate::request::connection::ConnectionCounts;
use crate::request::problem::Problem;
use crate::server::live;
use crate::state::Shared;

/// Asks the run loop to read the configuration anew; it answers with why it has not, if so.
pub type ReloadRequest = oneshot::Sender<Result<(), NotReloaded>>;

/// Why a configuration was not read anew.
#[derive(Debug)]
pub enum NotReloaded {
    /// It has mistakes, which are told.
    Refused(String),
    /// A successor is about to read it.
    Upgrading,
}

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
            .route_layer(middleware::from_fn(refuse_web_pages))
            .route_layer(middleware::from_fn_with_state(
                (self.clone(), Allowed::Commands),
                ask_for_token,
            ));
        let reading = Router::new()
            .route("/nginx_status", get(nginx_status))
            .route("/metrics", get(metrics))
            .route("/pools", get(pools))
            .route_layer(middleware::from_fn_with_state(
                (self.clone(), Allowed::Reading),
                ask_for_token,
            ));
        let guard = middleware::from_fn_with_state(self.clone(), refuse_strangers);
        Router::new()
            .route("/", get(async || ENDPOINTS))
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .merge(live::router())
            .merge(reading)
            .merge(commands)
            .layer(guard)
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
GET  /live          the same in a browser, every two seconds
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
    let connections = &admin.shared.connections;
    let certificates = admin.shared.certificates();
    let shown = certificates
        .iter()
        .flat_map(|(listener, certificates)| certificates.all.iter().map(move |certificate| (listener, certificate)));
    let files: Vec<_> = shown
        .map(|(listener, certificate)| (listener, certificate, certificate.pair.certificate.to_string_lossy()))
        .collect();
    admin
        .shared
        .metrics
        .certificates(files.iter().map(|(listener, certificate, file)| Shown {
            listener,
            certificate: file,
            name: certificate.facts.names.first().map_or("", String::as_str),
            until: certificate.facts.until,
        }));
    match admin.shared.metrics.render(
        connections,
        state.pools.values(),
        state.logs.lost(),
        state.traces.as_deref(),
        &state.body_budget,
        &state.retry_budget,
    ) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "metrics_failed", &error.to_string()),
    }
}

async fn pools(Extract(admin): Extract<Admin>) -> Json<Vec<ShownPool>> {
    let last = admin.shared.metrics.changes().last();
    let shown = |pool: &Arc<Pool>| ShownPool {
        status: pool.status(),
        last: last.clone(),
    };
    let mut pools: Vec<ShownPool> = admin.shared.state.load().pools.values().map(shown).collect();
    pools.sort_by(|a, b| a.status.name.cmp(&b.status.name));
    Json(pools)
}

/// A pool, and what the last changes of the program have made of it or not.
#[derive(Serialize)]
struct ShownPool {
    #[serde(flatten)]
    status: PoolStatus,
    #[serde(flatten)]
    last: LastChanges,
}

async fn reload(Extract(admin): Extract<Admin>) -> Response {
    let (reply, answer) = oneshot::channel();
    let stopping = || refusal(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the proxy is stopping");
    if admin.reloads.send(reply).await.is_err() {
        return stopping();
    }
    match answer.await {
        Ok(Ok(())) => Json(json!({ "reloaded": true })).into_response(),
        Ok(Err(NotReloaded::Refused(why))) => refusal(StatusCode::UNPROCESSABLE_ENTITY, "configuration_refused", &why),
        Ok(Err(NotReloaded::Upgrading)) => {
            let detail = "an upgrade is under way; the new program reads the configuration";
            refusal(StatusCode::CONFLICT, "upgrade_under_way", detail)
        }
        Err(_) => stopping(),
    }
}

async fn drain(admin: Extract<Admin>, Path((pool, backend)): Path<(String, String)>) -> Response {
    command(&admin, &pool, |pool| pool.operator().set_drained(&backend, true))
}

async fn undrain(admin: Extract<Admin>, Path((pool, backend)): Path<(String, String)>) -> Response {
    command(&admin, &pool, |pool| pool.operator().set_drained(&backend, false))
}

async fn weight(admin: Extract<Admin>, Path((pool, backend, weight)): Path<(String, String, u32)>) -> Response {
    if weight > GREATEST_WEIGHT {
        return refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            "weight_too_great",
            &format!("{weight} is more than {GREATEST_WEIGHT}; only the ratio of weights matters"),
        );
    }
    command(&admin, &pool, |pool| pool.operator().set_weight(&backend, weight))
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

/// A web page of somebody else's may make its reader's browser ask, by another name for this address (DNS rebinding) or
/// openly; it is not to see or do anything.
async fn refuse_strangers(Extract(admin): Extract<Admin>, request: Request, next: Next) -> Response {
    let state = admin.shared.state.load_full();
    let names = state.config.admin.as_ref().map_or(&[][..], |admin| &admin.names);
    if let Some(stranger) = hosts(&request).find(|host| !is_ours(host, names)) {
        let detail =
            format!("{stranger:?} is not a name of this listener; the configuration may say so in admin.names");
        return refusal(StatusCode::MISDIRECTED_REQUEST, "not_our_name", &detail);
    }
    let from = request.headers().get("sec-fetch-site");
    if from.is_some_and(|site| !matches!(site.as_bytes(), b"none" | b"same-origin")) {
        let detail = "another site's web pages have no business here";
        return refusal(StatusCode::FORBIDDEN, "web_page", detail);
    }
    next.run(request).await
}

/// Where the configuration has a token, whoever does not say it is told no more than whether Veil lives and is ready.
async fn ask_for_token(Extract((admin, needed)): Extract<(Admin, Allowed)>, request: Request, next: Next) -> Response {
    let said = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let said = said.and_then(|value| {
        let (scheme, token) = value.split_at_checked(BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
    });
    let state = admin.shared.state.load_full();
    let allowed = state
        .config
        .admin
        .as_ref()
        .map_or(Allowed::Commands, |admin| admin.allows(said));
    if allowed >= needed {
        return next.run(request).await;
    }
    if allowed == Allowed::Reading {
        return refusal(StatusCode::FORBIDDEN, "read_only", "this token is for reading only");
    }
    let detail = "say the token of the configuration: Authorization: Bearer …";
    let mut refusal = refusal(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    refusal
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refusal
}

const BEARER: &[u8] = b"Bearer ";

/// Whom a request says it is for.
fn hosts(request: &Request) -> impl Iterator<Item = String> {
    let fields = request.headers().get_all(header::HOST).into_iter();
    let fields = fields.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    let target = request.uri().authority().map(ToString::to_string);
    fields.chain(target).collect::<Vec<_>>().into_iter()
}

/// An address cannot be somebody else's name for this listener; of names, only those of this machine are ours, and those
/// that the configuration adds.
fn is_ours(host: &str, names: &[String]) -> bool {
    let named = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let address = named.trim_start_matches('[').trim_end_matches(']');
    let is = |ours: &str| !ours.is_empty() && named.eq_ignore_ascii_case(ours);
    address.parse::<IpAddr>().is_ok()
        || is("localhost")
        || uname().nodename().to_str().is_ok_and(is)
        || names.iter().any(|name| is(name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_ours_and_so_is_a_name_of_ours() {
        let names = ["veil.internal".to_owned()];
        for host in [
            "127.0.0.1:8081",
            "10.0.0.7",
            "[::1]:8081",
            "[::1]",
            "localhost:8081",
            "LOCALHOST",
            "Veil.Internal:8081",
        ] {
            assert!(is_ours(host, &names), "{host}");
        }
    }

    #[test]
    fn a_name_that_somebody_else_has_given_this_address_is_not() {
        for host in [
            "",
            ":8081",
            "rebound.example",
            "rebound.example:8081",
            "127.0.0.1.example:8081",
            "localhost.example",
            "localhost:8081:8081",
            "veil.internal",
        ] {
            assert!(!is_ours(host, &[]), "{host}");
        }
    }
}

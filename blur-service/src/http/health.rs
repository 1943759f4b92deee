//! `GET /health`: whether to send pictures here. Reads counters only, so it never waits for work on pictures.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::AppState;

#[derive(Serialize)]
struct Health {
    /// `healthy`, `loading` or `draining`.
    status: &'static str,
    model_loaded: bool,
    /// ISO 8601, in UTC.
    timestamp: String,
    /// The same in seconds since 1970.
    unix_time: f64,
    version: &'static str,
    /// Pictures that have arrived and wait for a thread.
    queue_depth: usize,
    /// Pictures between their head and their answer, those in the queue included.
    in_flight: usize,
    /// Pictures answered since the start.
    processed: u64,
    uptime_seconds: f64,
}

pub(super) async fn health(State(service): AppState) -> Response {
    let model_loaded = service.models().is_ok();
    let (code, status) = match (service.is_draining(), model_loaded) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "loading"),
        (false, true) => (StatusCode::OK, "healthy"),
    };
    let now = SystemTime::now();
    let health = Health {
        status,
        model_loaded,
        timestamp: quantity::moment(now),
        unix_time: now.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
        version: env!("CARGO_PKG_VERSION"),
        queue_depth: service.workers.waiting(),
        in_flight: service.in_flight(),
        processed: service.metrics.processed(),
        uptime_seconds: service.started.elapsed().as_secs_f64(),
    };
    (code, [(header::CACHE_CONTROL, "no-store")], Json(health)).into_response()
}

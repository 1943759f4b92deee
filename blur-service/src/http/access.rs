//! Around every request: its id, its access line, its metrics, and the document if it failed.
//! Neither a client's address nor a file's name is logged.

use std::{sync::Arc, time::Instant};

use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use tracing::{error, info};

use super::{AppState, problem, service::Service};
use crate::error::Error;

/// What a handler adds to the access line.
#[derive(Clone, Copy)]
pub(super) struct Picture {
    pub media_type: &'static str,
    pub pixels: u64,
    pub faces: usize,
}

pub(super) async fn log(
    State(service): AppState,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let id = request_id(request.headers());
    let mut line = Line::begin(
        service,
        &id,
        &request,
        matched.as_ref().map_or("none", MatchedPath::as_str),
    );
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<Arc<Error>>() {
        if let Some(cause) = error.cause() {
            error!(
                request_id = id,
                code = error.code(),
                cause,
                "a picture was not answered"
            );
        }
        line.code = error.code();
        response = problem::document(&error, &id);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    line.end(&response);
    response
}

/// Writes its line when it goes, so that a request whose client left has one too.
struct Line {
    service: Arc<Service>,
    id: String,
    method: Method,
    route: String,
    bytes_in: u64,
    since: Instant,
    status: u16,
    code: &'static str,
    bytes_out: u64,
    picture: Option<Picture>,
}

impl Line {
    fn begin(service: Arc<Service>, id: &str, request: &Request, route: &str) -> Self {
        Self {
            service,
            id: id.to_owned(),
            method: request.method().clone(),
            route: route.to_owned(),
            bytes_in: request.body().size_hint().exact().unwrap_or(0),
            since: Instant::now(),
            status: CLIENT_LEFT,
            code: "client_left",
            bytes_out: 0,
            picture: None,
        }
    }

    fn end(&mut self, response: &Response<Body>) {
        self.status = response.status().as_u16();
        if response.status().is_success() {
            self.code = "ok";
        }
        self.bytes_out = response.body().size_hint().exact().unwrap_or(0);
        self.picture = response.extensions().get().copied();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let taken = self.since.elapsed();
        self.service.metrics.request(&self.route, self.status, self.code, taken);
        if self.route == "/health" {
            // Asked every second by whoever watches over the service.
            return;
        }
        info!(
            request_id = self.id,
            method = %self.method,
            route = self.route,
            status = self.status,
            code = self.code,
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            duration_ms = taken.as_micros() as f64 / 1e3,
            media_type = self.picture.map(|picture| picture.media_type),
            pixels = self.picture.map(|picture| picture.pixels),
            faces = self.picture.map(|picture| picture.faces),
            "request"
        );
    }
}

/// The client's own id if it is a sane one, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(sane);
    given.map_or_else(
        || format!("{:016x}", getrandom::u64().unwrap_or_default()),
        str::to_owned,
    )
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nginx's word for a client that closed the connection; it is never sent.
const CLIENT_LEFT: u16 = 499;

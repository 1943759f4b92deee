//! The service over HTTP: the routes, and what all of them share.

mod accept;
mod access;
mod assets;
mod batch;
mod blur;
mod choices;
mod detect;
mod docs;
mod form;
mod health;
mod intake;
mod listener;
mod metrics;
mod openapi;
mod page;
mod problem;
mod report;
mod service;
mod upload;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{MethodRouter, get, post},
};

use crate::{error::Error, pipeline::Timings};

pub use listener::serve;
pub use service::Service;

type AppState = axum::extract::State<Arc<Service>>;

/// Everything that is answered; the OpenAPI document describes exactly these.
const ROUTES: [Route; 14] = [
    Route {
        path: "/v1/blur",
        method: "POST",
        handler: || post(blur::blur),
    },
    Route {
        path: "/v1/blur/report",
        method: "POST",
        handler: || post(blur::report),
    },
    Route {
        path: "/v1/blur/batch",
        method: "POST",
        handler: || post(batch::batch),
    },
    Route {
        path: "/blur/",
        method: "POST",
        handler: || post(blur::blur),
    },
    Route {
        path: "/v1/detect",
        method: "POST",
        handler: || post(detect::detect),
    },
    Route {
        path: "/v1/options",
        method: "GET",
        handler: || get(choices::choices),
    },
    Route {
        path: "/health",
        method: "GET",
        handler: || get(health::health),
    },
    Route {
        path: "/metrics",
        method: "GET",
        handler: || get(metrics::metrics),
    },
    Route {
        path: "/openapi.json",
        method: "GET",
        handler: || get(openapi::openapi),
    },
    Route {
        path: "/",
        method: "GET",
        handler: || get(page::page),
    },
    Route {
        path: "/v1/page/{file}",
        method: "GET",
        handler: || get(page::file),
    },
    Route {
        path: "/docs",
        method: "GET",
        handler: || get(docs::docs),
    },
    Route {
        path: "/v1/docs/{file}",
        method: "GET",
        handler: || get(docs::file),
    },
    Route {
        path: "/v1/problems/{code}",
        method: "GET",
        handler: || get(docs::problem),
    },
];

struct Route {
    path: &'static str,
    method: &'static str,
    handler: fn() -> MethodRouter<Arc<Service>>,
}

impl Route {
    /// What a 405 lists in its `Allow`.
    fn allow(&self) -> &'static str {
        if self.method == "GET" { "GET, HEAD" } else { self.method }
    }
}

pub fn router(service: Arc<Service>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let allow = route.allow();
        let other_methods = move || async move { problem::Failure(Error::MethodNotAllowed { allow }) };
        router = router.route(route.path, (route.handler)().fallback(other_methods));
    }
    router
        .fallback(async || problem::Failure(Error::NotFound))
        // Multipart has a little around the picture; the picture itself is measured as it arrives.
        .layer(DefaultBodyLimit::max(service.max_bytes as usize + MULTIPART_OVERHEAD))
        .layer(middleware::from_fn_with_state(service.clone(), access::log))
        .with_state(service)
}

/// The steps of a picture and how long each took, in their order.
fn steps(queue: Duration, timings: &Timings) -> [(&'static str, Duration); 6] {
    let Timings {
        decode,
        detect,
        redact,
        verify,
        encode,
    } = *timings;
    [
        ("queue", queue),
        ("decode", decode),
        ("detect", detect),
        ("redact", redact),
        ("verify", verify),
        ("encode", encode),
    ]
}

/// The steps in milliseconds, as browsers' developer tools show them.
fn server_timing(queue: Duration, timings: &Timings) -> String {
    steps(queue, timings)
        .map(|(name, time)| format!("{name};dur={:.2}", time.as_secs_f64() * 1e3))
        .join(", ")
}

const MULTIPART_OVERHEAD: usize = 64 << 10;

//! A page that shows the pools as they are, for whoever has a browser and no dashboard. It reads what `/pools` and
//! `/nginx_status` say, and commands nothing.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// The page and its parts. They say nothing of anybody, and need no token: what they ask for does.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut router = Router::new();
    for (path, media_type, text) in PARTS {
        router = router.route(path, get(async move || part(media_type, text)));
    }
    router
}

const PARTS: [(&str, &str, &str); 3] = [
    ("/live", "text/html; charset=utf-8", include_str!("live.html")),
    ("/live.css", "text/css; charset=utf-8", include_str!("live.css")),
    ("/live.js", "text/javascript; charset=utf-8", include_str!("live.js")),
];

fn part(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let fields: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-cache"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (fields, text)
}

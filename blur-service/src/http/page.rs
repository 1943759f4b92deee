//! `GET /`: the page for people: one file, nothing from outside, and nothing allowed to come from there.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use super::problem::Failure;
use crate::error::Error;

pub(super) async fn page() -> Result<Response, Failure> {
    let nonce = format!("{:016x}", getrandom::u64().map_err(Error::internal)?);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src blob: data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, PAGE.replace("{nonce}", &nonce)).into_response())
}

const PAGE: &str = include_str!("page.html");

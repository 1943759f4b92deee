//! Failures as RFC 9457 problem documents. A handler says what failed; the outermost layer, which knows the request's
//! id, writes the document.

use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::error::Error;

/// An error on its way to the outermost layer.
pub(super) struct Failure(pub Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(Arc::new(self.0));
        response
    }
}

/// The document without the request that it is about.
pub(super) fn fields(error: &Error) -> Value {
    let mut fields = json!({
        "type": format!("{TYPES}{}", error.code()),
        "title": error.title(),
        "status": error.status(),
        "detail": error.to_string(),
        "code": error.code(),
    });
    if let Some(limit) = error.limit() {
        fields["limit"] = limit.into();
    }
    fields
}

/// A problem's type is this with its code, where people read what it means.
const TYPES: &str = "/v1/problems/";

/// The document for an error, with the headers its status asks for.
pub(super) fn document(error: &Error, request_id: &str) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut body = fields(error);
    body["request_id"] = request_id.into();
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match error {
        Error::MethodNotAllowed { allow } => drop(headers.insert(header::ALLOW, HeaderValue::from_static(allow))),
        Error::Busy | Error::Loading => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))),
        _ => {}
    }
    response
}

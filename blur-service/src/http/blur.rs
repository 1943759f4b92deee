//! `POST /v1/blur`: the picture again, with every face hidden.

use std::time::{Duration, Instant};

use axum::{
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::{AppState, access, problem::Failure, upload::Upload};
use crate::pipeline::{self, Timings};

pub(super) async fn blur(State(service): AppState, request: Request) -> Result<Response, Failure> {
    let Upload {
        file,
        header,
        options,
        models,
        deadline,
        memory,
        visit,
    } = Upload::receive(request, &service).await?;
    let arrived = Instant::now();
    let (format, pixels) = (header.format, header.size.pixels());
    let work = move |go_on: &pipeline::GoOn| {
        // What the picture holds is given back when the work ends, also when nobody waits for it any more.
        let _memory = memory;
        pipeline::blur(&file, &header, &options, &models, go_on)
    };
    let done = service.workers.run(deadline, work).await?;
    drop(visit);
    let queue = done.started - arrived;
    let blurred = done.value;
    service.metrics.picture(
        format.media_type(),
        blurred.path,
        blurred.faces.len(),
        queue,
        &blurred.timings,
    );
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (
            header::HeaderName::from_static("x-faces"),
            blurred.faces.len().to_string(),
        ),
        (header::HeaderName::from_static("x-veil-path"), blurred.path.to_owned()),
        (
            header::HeaderName::from_static("server-timing"),
            server_timing(queue, &blurred.timings),
        ),
    ];
    let mut response = (headers, blurred.file).into_response();
    response.extensions_mut().insert(access::Picture {
        media_type: format.media_type(),
        pixels,
        faces: blurred.faces.len(),
    });
    Ok(response)
}

/// The steps in milliseconds, as browsers' developer tools show them.
pub(super) fn server_timing(queue: Duration, timings: &Timings) -> String {
    let Timings {
        decode,
        detect,
        redact,
        encode,
    } = *timings;
    let steps = [
        ("queue", queue),
        ("decode", decode),
        ("detect", detect),
        ("redact", redact),
        ("encode", encode),
    ];
    steps
        .map(|(name, time)| format!("{name};dur={:.2}", time.as_secs_f64() * 1e3))
        .join(", ")
}

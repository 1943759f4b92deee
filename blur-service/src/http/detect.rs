//! `POST /v1/detect`: where the faces are, and nothing else of the picture.

use std::time::Instant;

use axum::{
    Json,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{AppState, access, blur::server_timing, problem::Failure, upload::Upload};
use crate::{geometry::Rect, pipeline};

/// All in upright pixels.
#[derive(Serialize)]
struct Answer {
    width: u32,
    height: u32,
    faces: Vec<ScoredRect>,
}

#[derive(Serialize)]
struct ScoredRect {
    #[serde(flatten)]
    rect: Rect,
    score: f32,
}

pub(super) async fn detect(State(service): AppState, request: Request) -> Result<Response, Failure> {
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
        let _memory = memory;
        pipeline::detect(&file, &header, &options, &models, go_on)
    };
    let done = service.workers.run(deadline, work).await?;
    drop(visit);
    let queue = done.started - arrived;
    let found = done.value;
    service
        .metrics
        .picture(format.media_type(), "detect", found.faces.len(), queue, &found.timings);
    let faces: Vec<_> = found
        .faces
        .iter()
        .map(|face| ScoredRect {
            rect: face.rect,
            score: face.score,
        })
        .collect();
    let noted = access::Picture {
        media_type: format.media_type(),
        pixels,
        faces: faces.len(),
    };
    let headers = [
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (
            header::HeaderName::from_static("server-timing"),
            server_timing(queue, &found.timings),
        ),
    ];
    let answer = Answer {
        width: found.size.width,
        height: found.size.height,
        faces,
    };
    let mut response = (headers, Json(answer)).into_response();
    response.extensions_mut().insert(noted);
    Ok(response)
}

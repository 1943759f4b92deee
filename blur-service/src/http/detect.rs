//! `POST /v1/detect`: where the faces are, and nothing else of the picture.

use axum::{
    Json,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{AppState, access, problem::Failure, server_timing, upload::Upload};
use crate::{detect::Face, error::Error, geometry::Rect, pipeline};

/// All in upright pixels.
#[derive(Serialize)]
struct Answer {
    width: u32,
    height: u32,
    faces: Vec<ScoredRect>,
}

#[derive(Serialize)]
pub(super) struct ScoredRect {
    #[serde(flatten)]
    rect: Rect,
    score: f32,
}

impl ScoredRect {
    pub fn of(face: &Face) -> Self {
        Self {
            rect: face.rect,
            score: face.score,
        }
    }
}

pub(super) async fn detect(State(service): AppState, request: Request) -> Result<Response, Failure> {
    let upload = Upload::receive(request, &service).await?;
    if upload.options().report {
        let why = "/v1/detect makes no picture to report on; ask /v1/blur for a report";
        return Err(Error::BadRequest(why.into()).into());
    }
    let worked = upload.work(&service, pipeline::detect).await?;
    let found = &worked.value;
    let media_type = worked.header.format.media_type();
    service
        .metrics
        .picture(media_type, "detect", found.faces.len(), worked.queue, &found.timings);
    let headers = [
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (
            header::HeaderName::from_static("server-timing"),
            server_timing(worked.queue, &found.timings),
        ),
    ];
    let answer = Answer {
        width: found.size.width,
        height: found.size.height,
        faces: found.faces.iter().map(ScoredRect::of).collect(),
    };
    let mut response = (headers, Json(answer)).into_response();
    response.extensions_mut().insert(access::Picture {
        media_type,
        pixels: worked.header.size.pixels(),
        faces: found.faces.len(),
    });
    Ok(response)
}

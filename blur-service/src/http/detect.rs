//! `POST /v1/detect`: where the faces are, and nothing else of the picture.

use std::iter;

use axum::{
    Json,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{AppState, access, problem::Failure, server_timing, upload::Upload};
use crate::{detect::Face, error::Error, geometry::Rect, marks::Marks, options::Search, pipeline};

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
    /// The frame or page, from 0, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<u32>,
}

impl ScoredRect {
    /// Of all faces; `parts` is empty where there is a single picture.
    pub fn all(faces: &[Face], parts: &[u32]) -> Vec<Self> {
        let parts = parts.iter().copied().map(Some).chain(iter::repeat(None));
        let scored = |(face, part): (&Face, _)| Self {
            rect: face.rect,
            score: face.score,
            part,
        };
        faces.iter().zip(parts).map(scored).collect()
    }
}

pub(super) async fn detect(State(service): AppState, request: Request) -> Result<Response, Failure> {
    let upload = Upload::receive(request, &service).await?;
    if upload.options().marks != Marks::NONE || upload.options().detect == Search::Off {
        let why = "/v1/detect says where the faces are; `regions`, `exclude` and `detect` are for /v1/blur";
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
        faces: ScoredRect::all(&found.faces, &found.parts),
    };
    let mut response = (headers, Json(answer)).into_response();
    response.extensions_mut().insert(access::Picture {
        media_type,
        pixels: worked.header.size.pixels(),
        faces: found.faces.len(),
    });
    Ok(response)
}

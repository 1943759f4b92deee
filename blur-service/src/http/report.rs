//! The answer to `?report=true`: what was found, done and left behind, and the picture inside it, as one JSON document.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{detect::ScoredRect, steps, upload::Worked};
use crate::{
    codec::{Parts, Wanted},
    detect::{Detail, Sensitivity},
    geometry::Size,
    inventory::Inventory,
    jpeg::Leniency,
    options::{Profile, Verify},
    pipeline::{Blurred, SecondLook},
    redact::Look,
};

#[derive(Serialize)]
struct Report<'a> {
    source: Source,
    options: Chosen,
    path: Path<'a>,
    /// Without the margin, in pixels of the upright picture.
    faces: Vec<ScoredRect>,
    second_look: &'a Option<SecondLook>,
    removed: &'a Option<Inventory>,
    milliseconds: serde_json::Map<String, serde_json::Value>,
    picture: Picture,
}

/// The file that came in.
#[derive(Serialize)]
struct Source {
    media_type: &'static str,
    bytes: usize,
    /// In pixels, before the orientation is applied.
    stored: Size,
    /// EXIF's number, 1 to 8.
    orientation: u8,
    upright: Size,
    /// Frames or pages.
    parts: u32,
    /// What is wrong with it and was read all the same.
    leniencies: Vec<Leniency>,
}

#[derive(Serialize)]
struct Chosen {
    detail: Detail,
    sensitivity: Sensitivity,
    effect: Look,
    format: Wanted,
    quality: Option<u8>,
    profile: Profile,
    margin: f32,
    verify: Verify,
}

#[derive(Serialize)]
struct Path<'a> {
    name: &'static str,
    because: &'a str,
    /// Whether the picture was turned upright; if not, its orientation is kept as a tag.
    turned_upright: bool,
}

/// The file that goes out.
#[derive(Serialize)]
struct Picture {
    media_type: &'static str,
    bytes: usize,
    base64: String,
}

pub(super) fn answer(worked: &Worked<Blurred>) -> Response {
    let Worked {
        value: blurred,
        header,
        options,
        bytes,
        queue,
    } = worked;
    let media_type = header.format.media_type();
    let milliseconds =
        steps(*queue, &blurred.timings).map(|(name, time)| (name.to_owned(), (time.as_secs_f64() * 1e3).into()));
    let report = Report {
        source: Source {
            media_type,
            bytes: *bytes,
            stored: header.size,
            orientation: header.orientation.to_exif(),
            upright: header.upright_size(),
            parts: header.parts.count(),
            leniencies: header.leniencies.clone(),
        },
        options: Chosen {
            detail: options.detail,
            sensitivity: options.sensitivity,
            effect: match header.parts {
                Parts::Frames(_) => options.animation_effect,
                Parts::One | Parts::Pages { .. } => options.effect,
            },
            format: options.format,
            quality: options.quality,
            profile: options.profile,
            margin: options.margin,
            verify: options.verify(),
        },
        path: Path {
            name: blurred.road.name,
            because: &blurred.road.why,
            turned_upright: blurred.road.turns_upright,
        },
        faces: ScoredRect::all(&blurred.faces, &blurred.parts),
        second_look: &blurred.second_look,
        removed: &blurred.removed,
        milliseconds: milliseconds.into_iter().collect(),
        picture: Picture {
            media_type: blurred.media_type,
            bytes: blurred.file.len(),
            base64: STANDARD.encode(&blurred.file),
        },
    };
    Json(report).into_response()
}

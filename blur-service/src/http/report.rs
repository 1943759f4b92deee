//! What was found, done and left behind, as a JSON document: with the picture inside, or beside it in a body of several
//! parts.

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{detect::ScoredRect, steps, upload::Worked};
use crate::{
    codec::{Parts, Wanted},
    detect::{Detail, Sensitivity},
    error::Error,
    geometry::{Rect, Size},
    inventory::Inventory,
    jpeg::Leniency,
    keep::Field,
    options::{Profile, Search, Verify},
    pipeline::{Blurred, SecondLook},
    redact::{Look, Shape},
};

#[derive(Serialize)]
pub(super) struct Report<'a> {
    source: Source,
    options: Chosen,
    path: Path<'a>,
    /// Without the margin, in pixels of the upright picture.
    faces: Vec<ScoredRect>,
    /// Faces that were found and are shown.
    spared: Vec<ScoredRect>,
    /// What was hidden because the client drew it.
    regions: &'a [Rect],
    second_look: &'a Option<SecondLook>,
    removed: &'a Option<Inventory>,
    kept: &'a [Field],
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
    detect: Search,
    detail: Detail,
    sensitivity: Sensitivity,
    effect: Look,
    format: Wanted,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<u8>,
    shape: Shape,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl<'a> Report<'a> {
    pub fn of(worked: &'a Worked<Blurred>) -> Self {
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
        Self {
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
                detect: options.detect,
                detail: options.detail,
                sensitivity: options.sensitivity,
                effect: match header.parts {
                    Parts::Frames(_) => options.animation_effect,
                    Parts::One | Parts::Pages { .. } => options.effect,
                },
                format: options.format,
                quality: options.quality,
                shape: options.shape,
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
            spared: ScoredRect::all(&blurred.spared, &[]),
            regions: &blurred.regions,
            second_look: &blurred.second_look,
            removed: &blurred.removed,
            kept: &blurred.kept,
            milliseconds: milliseconds.into_iter().collect(),
            picture: Picture {
                media_type: blurred.media_type,
                bytes: blurred.file.len(),
                base64: None,
            },
        }
    }

    /// The document with the picture inside.
    pub fn with_base64(mut self, file: &[u8]) -> Json<Self> {
        self.picture.base64 = Some(STANDARD.encode(file));
        Json(self)
    }
}

/// Both in one body: the report, and then the picture as it is.
///
/// # Errors
/// The system's, when it has no random numbers.
pub(super) fn with_picture(report: &Report, media_type: &str, file: &[u8]) -> Result<Response, Error> {
    let boundary = boundary()?;
    let report = serde_json::to_vec(report).map_err(Error::internal)?;
    let mut body = Vec::with_capacity(report.len() + file.len() + 256);
    for (media_type, part) in [("application/json", report.as_slice()), (media_type, file)] {
        body.extend(format!("--{boundary}\r\nContent-Type: {media_type}\r\n\r\n").bytes());
        body.extend(part);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    Ok(([(header::CONTENT_TYPE, content_type(&boundary))], body).into_response())
}

/// What no picture holds, but by a chance of one in 2¹²⁸.
///
/// # Errors
/// The system's, when it has no random numbers.
pub(super) fn boundary() -> Result<String, Error> {
    let half = || getrandom::u64().map_err(Error::internal);
    Ok(format!("{:016x}{:016x}", half()?, half()?))
}

pub(super) fn content_type(boundary: &str) -> String {
    format!("multipart/mixed; boundary={boundary}")
}

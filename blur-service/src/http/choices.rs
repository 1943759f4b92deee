//! `GET /v1/options`: how pictures are hidden unless something is chosen, what may be chosen here, and up to which limits.

use axum::{Json, extract::State};
use clap::ValueEnum;
use serde::Serialize;

use super::{AppState, service::Service};
use crate::{
    codec::{Wanted, formats_read},
    detect::{Detail, Sensitivity},
    keep::Field,
    options::{Profile, Search, Verify, name_of},
    redact::{Look, MARGINS, Shape},
};

#[derive(Serialize)]
pub(super) struct Choices {
    detect: Choice<Search>,
    detail: Choice<Detail>,
    sensitivity: Choice<Sensitivity>,
    effect: Choice<Look>,
    shape: Choice<Shape>,
    /// What is read here.
    reads: &'static [&'static str],
    format: Choice<Wanted>,
    profile: Choice<Profile>,
    /// The steps that there are; what lies between is rounded up.
    margin: Choice<f32>,
    verify: Choice<Verify>,
    /// Whether faces that are found may be spared.
    exclude: bool,
    /// What may be kept in words.
    keep: Vec<Field>,
    limits: Limits,
}

#[derive(Serialize)]
struct Choice<T> {
    /// What is used unless something is chosen.
    set: T,
    allowed: Vec<T>,
}

#[derive(Serialize)]
struct Limits {
    bytes: u64,
    pixels: u64,
    /// Of a JPEG of one scan.
    spliced_pixels: u64,
    frames: u32,
}

pub(super) async fn choices(State(service): AppState) -> Json<Choices> {
    let set = &service.options;
    Json(Choices {
        detect: named(&service, "detect", set.detect),
        detail: named(&service, "detail", set.detail),
        sensitivity: named(&service, "sensitivity", set.sensitivity),
        effect: named(&service, "effect", set.effect),
        shape: named(&service, "shape", set.shape),
        reads: formats_read(),
        format: named(&service, "format", set.format),
        profile: named(&service, "profile", set.profile),
        margin: Choice {
            set: set.margin,
            allowed: MARGINS
                .into_iter()
                .filter(|margin| allows(&service, "margin", margin.to_string()))
                .collect(),
        },
        verify: named(&service, "verify", set.verify()),
        exclude: allows(&service, "exclude", "0".to_owned()),
        keep: Field::value_variants()
            .iter()
            .copied()
            .filter(|field| allows(&service, "keep", field.to_string()))
            .collect(),
        limits: Limits {
            bytes: service.max_bytes,
            pixels: service.max_pixels,
            spliced_pixels: service.max_spliced_pixels,
            frames: service.max_frames,
        },
    })
}

fn named<T: ValueEnum + Copy>(service: &Service, name: &str, set: T) -> Choice<T> {
    let allowed = T::value_variants().iter().copied();
    Choice {
        set,
        allowed: allowed.filter(|value| allows(service, name, name_of(*value))).collect(),
    }
}

/// Whether a client may choose this: asked as a request would ask it.
fn allows(service: &Service, name: &str, value: String) -> bool {
    let query = [(name.to_owned(), value)];
    service.options.with_query(&query, &service.leeway).is_ok()
}

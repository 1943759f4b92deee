//! Prints the faces in each picture, as every sensitivity believes them, as a line of JSON: `detect DETAIL PICTURE…`. For
//! measuring, see tests/eval; with the allocator of the service, which clears what it is given back.

use std::{alloc::System, collections::BTreeMap, env, fs};

use anyhow::Context;
use blur_service::{
    clearing::{Clearing, clear_from_now_on},
    detect::{Detail, Detectors, Face, Photo, Sensitivity},
    geometry::Rect,
    jpeg::Scale,
};
use clap::ValueEnum;
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: Clearing<System> = Clearing(System);

#[derive(Serialize)]
struct Line<'a> {
    picture: &'a str,
    cpu_ms: f64,
    faces: BTreeMap<String, Vec<Scored>>,
}

#[derive(Serialize)]
struct Scored {
    #[serde(flatten)]
    rect: Rect,
    score: f32,
}

fn main() -> anyhow::Result<()> {
    clear_from_now_on();
    let mut arguments = env::args().skip(1);
    let detail: Detail = arguments.next().context("which detail?")?.parse()?;
    let detectors = Detectors::load(None)?;
    for path in arguments {
        let picture = image::open(&path).with_context(|| path.clone())?.into_rgb8();
        let Photo { size, pixels } = Photo::whole(&picture);
        // As the pipeline shows it.
        let pixels = &Scale::least(size.long_side(), detectors.long_side(detail, size)).reduced(pixels);
        let begun = cpu_ms()?;
        let seen = detectors.look(Photo { size, pixels }, detail, &|| true)?;
        let cpu_ms = cpu_ms()? - begun;
        let faces = Sensitivity::value_variants()
            .iter()
            .map(|sensitivity| (sensitivity.to_string(), scored(seen.faces(*sensitivity))))
            .collect();
        let line = Line {
            picture: &path,
            cpu_ms,
            faces,
        };
        println!("{}", serde_json::to_string(&line)?);
    }
    Ok(())
}

fn scored(faces: Vec<Face>) -> Vec<Scored> {
    let faces = faces.into_iter();
    faces.map(|Face { rect, score }| Scored { rect, score }).collect()
}

/// CPU time of this thread so far, as Linux counts it.
fn cpu_ms() -> anyhow::Result<f64> {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = statistics.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e6)
}

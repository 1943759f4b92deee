//! Prints the faces in each picture as a line of JSON: `detect DETAIL SENSITIVITY PICTURE…`. For measuring, see tests/eval.

use std::{env, fs};

use anyhow::Context;
use blur_service::{
    detect::{Detectors, Face},
    geometry::Rect,
};
use serde::Serialize;

#[derive(Serialize)]
struct Line<'a> {
    picture: &'a str,
    cpu_ms: f64,
    faces: Vec<Scored>,
}

#[derive(Serialize)]
struct Scored {
    #[serde(flatten)]
    rect: Rect,
    score: f32,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let detail = arguments.next().context("which detail?")?.parse()?;
    let sensitivity = arguments.next().context("which sensitivity?")?.parse()?;
    let detectors = Detectors::load(None)?;
    for path in arguments {
        let picture = image::open(&path).with_context(|| path.clone())?.into_rgb8();
        let begun = cpu_ms()?;
        let faces = detectors.detect(&picture, detail, sensitivity, &|| true)?;
        let cpu_ms = cpu_ms()? - begun;
        let faces = faces
            .into_iter()
            .map(|Face { rect, score }| Scored { rect, score })
            .collect();
        println!(
            "{}",
            serde_json::to_string(&Line {
                picture: &path,
                cpu_ms,
                faces
            })?
        );
    }
    Ok(())
}

/// CPU time of this thread so far, as Linux counts it.
fn cpu_ms() -> anyhow::Result<f64> {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = statistics.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e6)
}

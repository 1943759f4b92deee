//! Any bytes as a result that is to be proven. What the proof lets through shows what was promised and has nothing else
//! in it.

use blur_service::{
    codec::{Header, Output},
    jpeg::{Jpeg, JpegError, Limits, Metadata, Plan, Scan},
    redact::{Effect, Look, Noise, Region},
};
use image::{DynamicImage, metadata::Orientation};
use jpeg_encoder::SamplingFactor;

/// The portrait, 48 × 48 pixels, 4:2:0.
const PICTURE: &[u8] = include_bytes!("portrait.jpg");

const FACE: Region = Region {
    x: 10,
    y: 4,
    width: 20,
    height: 20,
};

pub fn check(data: &[u8]) {
    check_splice(data);
    let (quality, sampling) = (90, SamplingFactor::F_1_1);
    for output in [
        Output::Jpeg { quality, sampling },
        Output::Png,
        Output::WebP { quality: None },
        Output::Gif,
    ] {
        check_output(output, data);
    }
}

/// The result that passes.
pub fn promised() -> Vec<u8> {
    with_plan(|jpeg, scan, plan| scan.write(jpeg, plan, effect(), &Metadata::default(), &|| true))
}

fn check_splice(candidate: &[u8]) {
    let metadata = Metadata::default();
    let proven = |jpeg: &Jpeg, scan: &Scan, plan: &Plan| {
        Ok(scan.prove(jpeg, plan, effect(), &metadata, candidate, &|| true).is_ok())
    };
    if !with_plan(proven) {
        return;
    }
    assert_eq!(pixels(candidate), pixels(&promised()), "it shows something else");
    let proven = Jpeg::parse(candidate, &Limits::default()).expect("a proven file");
    assert_eq!(
        (proven.orientation(), proven.icc().unwrap_or_default()),
        (1, Vec::new())
    );
}

fn with_plan<T>(work: impl Fn(&Jpeg, &Scan, &Plan) -> Result<T, JpegError>) -> T {
    let worked = || {
        let jpeg = Jpeg::parse(PICTURE, &Limits::default())?;
        let scan = jpeg.scan(None, &|| true)?;
        let plan = scan.plan(&jpeg, &[FACE.into()], &Noise::repeatable(0), &|| true)?;
        work(&jpeg, &scan, &plan)
    };
    worked().expect("a sound file")
}

fn effect() -> &'static dyn Effect {
    Look::Smooth.effect()
}

fn check_output(output: Output, candidate: &[u8]) {
    if output.prove(candidate).is_err() {
        return;
    }
    assert!(output.prove(&[candidate, b"x"].concat()).is_err(), "a tail passes");
    if let Ok(header) = Header::read(candidate) {
        assert_eq!(header.orientation, Orientation::NoTransforms, "there is EXIF in it");
    }
}

fn pixels(file: &[u8]) -> Option<DynamicImage> {
    let header = Header::read(file).ok()?;
    Some(header.format.decode(file, &header, &|| true).ok()?.pixels.clone())
}

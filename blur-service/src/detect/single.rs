//! One model by itself, for measuring: see tests/bench/detect.

use fearless_simd::Level;

use super::{DetectError, Detector, centerface::CenterFace, full_range::FullRange, yunet::YuNet};

/// The embedded model of this file's name, with the vectors of `level` or the machine's best; none if there is no such file.
pub fn single(file: &str, level: Option<Level>) -> Option<Result<Box<dyn Detector>, DetectError>> {
    Some(match file {
        FullRange::FILE => boxed(level, FullRange::EMBEDDED, FullRange::load, FullRange::load_for),
        CenterFace::FILE => boxed(level, CenterFace::EMBEDDED, CenterFace::load, CenterFace::load_for),
        YuNet::FILE => boxed(level, YuNet::EMBEDDED, YuNet::load, YuNet::load_for),
        _ => return None,
    })
}

fn boxed<D: Detector + 'static>(
    level: Option<Level>,
    onnx: &[u8],
    load: impl Fn(&[u8]) -> Result<D, DetectError>,
    load_for: impl Fn(Level, &[u8]) -> Result<D, DetectError>,
) -> Result<Box<dyn Detector>, DetectError> {
    let model = match level {
        Some(level) => load_for(level, onnx),
        None => load(onnx),
    };
    Ok(Box::new(model?))
}

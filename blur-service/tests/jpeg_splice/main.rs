//! The lossless JPEG path against independent readers: `dct-io` for coefficients, `zune-jpeg` for pixels.

#![allow(clippy::unwrap_used)]

mod arithmetic;
mod coefficients;
mod irreversibility;
mod leaks;
mod mutations;
mod pictures;
mod preview;
#[path = "../../../tests/src/random.rs"]
mod random;
mod refusals;
mod several;
mod twelve_bits;

use self::random::Random;

use blur_service::{
    jpeg::{Jpeg, JpegError, Limits, Metadata},
    redact::{Look, Noise, Region},
};

/// Hides regions with noise from a seed.
fn redact(file: &[u8], regions: &[Region], look: Look, seed: u8) -> Result<Vec<u8>, JpegError> {
    redact_with(file, regions, look, seed, &Metadata::default())
}

fn redact_with(
    file: &[u8],
    regions: &[Region],
    look: Look,
    seed: u8,
    metadata: &Metadata,
) -> Result<Vec<u8>, JpegError> {
    let jpeg = Jpeg::parse(file, &Limits::default())?;
    let scan = jpeg.scan(None, &|| true)?;
    let noise = Noise::repeatable(seed);
    scan.redact(&jpeg, regions, look.effect(), &noise, metadata, &|| true)
}

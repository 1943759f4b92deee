//! The lossless JPEG path against independent readers: `dct-io` for coefficients, `zune-jpeg` for pixels.

#![allow(clippy::unwrap_used)]

mod arithmetic;
mod coefficients;
mod irreversibility;
mod leaks;
mod mutations;
mod pictures;
mod preview;
mod refusals;
mod several;
mod twelve_bits;

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

/// A repeatable generator (Numerical Recipes' linear congruential one, its upper bits).
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit.max(1)
    }
}

//! The arithmetic of small face detectors, channels last: a pixel's channels lie side by side, in whole vectors of eight.
//!
//! Knows nothing of tract; `layer.rs` puts these kernels into its graphs. All run with the best vector instructions the
//! machine has (AVX2 and FMA, NEON, …), chosen at run time by `fearless_simd`, and go row by row, so that what lies
//! between the convolutions of a block never leaves the cache.

mod block;
mod dense;
mod depthwise;
mod map;
mod pointwise;
mod pool;
mod upsample;

use std::fmt::Debug;

pub use self::{
    block::Block,
    dense::Dense,
    depthwise::Depthwise,
    map::{Map, Shape},
    pointwise::Pointwise,
    pool::MaxPool,
    upsample::{Bilinear, Nearest, Transposed},
};

/// One layer of a network: maps in, one map out.
pub trait Kernel: Debug + Send + Sync {
    fn name(&self) -> &'static str;

    /// Channels of the output.
    fn channels(&self) -> usize;

    /// How the sides of the output follow from those of the first input.
    fn scale(&self) -> Scale;

    /// Fills `out`, which holds zeros.
    fn run(&self, inputs: &[Map<'_>], out: &mut [f32]);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Same,
    /// Rounded up.
    Half,
    Double,
}

impl Scale {
    pub fn of_stride(stride: usize) -> Option<Self> {
        match stride {
            1 => Some(Self::Same),
            2 => Some(Self::Half),
            _ => None,
        }
    }

    pub fn apply(self, side: usize) -> usize {
        match self {
            Self::Same => side,
            Self::Half => side.div_ceil(2),
            Self::Double => side * 2,
        }
    }

    pub fn stride(self) -> usize {
        if self == Self::Half { 2 } else { 1 }
    }
}

/// Values a vector holds.
pub const LANES: usize = 8;

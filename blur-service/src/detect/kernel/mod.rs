//! The arithmetic of small face detectors. A row of a map is laid out in blocks of sixteen channels, one after the other;
//! in each lie all pixels of the row, from a pixel of zeros on the left to one on the right, which are what a window sees
//! beyond the edge.
//!
//! Knows nothing of tract; `layer.rs` puts a flow of these steps into its graph. All run with the vector instructions
//! they are told to (AVX-512, AVX2 and FMA, NEON, …; safe through `fearless_simd`), and each sum is made in the same order
//! whatever these are. A flow goes row by row, so that what lies between two steps never leaves the cache.

mod aligned;
mod convolution;
mod depthwise;
mod flow;
mod matrix;
mod pool;
mod shape;
mod stem;
mod step;
#[cfg(test)]
pub mod testing;
mod upsample;

pub use self::{
    aligned::{Aligned, LINE},
    convolution::Convolution,
    depthwise::Depthwise,
    flow::{Flow, Node},
    matrix::Matrix,
    pool::MaxPool,
    shape::{Rows, Scale, Shape},
    stem::{Picture, Stem},
    step::Step,
    upsample::{Bilinear, Nearest, Transposed},
};

/// Channels in a block.
pub const LANES: usize = 16;

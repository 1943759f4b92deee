//! The lossless JPEG path: an entropy-level splice that rewrites only the blocks a hidden region touches. Every other
//! block keeps its exact coefficients, and without a region the scan keeps its bytes (`jpegtran -drop`'s idea, in one
//! pass and with bounded memory).
//!
//! One pass over the entropy-coded data steps over the symbols, several in one look-up, keeps a checkpoint every few
//! blocks and yields a small picture for the detector. Then bits are copied up to a region, new blocks written, and the
//! one DC difference behind them is corrected. The result is read again and the promise checked before it is returned.
//!
//! ```
//! # fn hide(file: &[u8], faces: &[blur_service::redact::Region]) -> Result<Vec<u8>, blur_service::jpeg::JpegError> {
//! use blur_service::jpeg::{Jpeg, Limits, Metadata, Scale};
//! use blur_service::redact::{Look, operating_system_noise};
//!
//! let go_on = || true;
//! let jpeg = Jpeg::parse(file, &Limits::default())?;
//! let scan = jpeg.scan(Some(Scale::Quarter), &go_on)?;
//! // Here a detector looks at `scan.preview`; its boxes, grown to full-size pixels, become `faces`.
//! let metadata = Metadata { orientation: jpeg.orientation(), icc: None };
//! scan.redact(&jpeg, faces, Look::Smooth.effect(), &mut operating_system_noise, &metadata, &go_on)
//! # }
//! # assert!(hide(b"no picture", &[]).is_err());
//! ```

mod area;
mod bits;
mod coding;
mod coefficients;
mod dct;
mod exif;
mod frame;
mod header;
mod huffman;
mod icc;
pub(crate) mod marker;
mod output;
mod paint;
mod plan;
mod preview;
mod proof;
mod recode;
mod scan;
mod splice;
mod steps;

pub use frame::{Component, Frame, Process};
pub use header::{Jpeg, Limits};
pub use output::Metadata;
pub use plan::Plan;
pub use preview::Scale;
pub use scan::Scan;

/// Why a file was not spliced.
#[derive(Debug, thiserror::Error)]
pub enum JpegError {
    #[error("not a JPEG file")]
    NotJpeg,
    #[error("byte {at}: the file ends inside {what}")]
    Truncated { at: usize, what: &'static str },
    #[error("byte {at}: {what}")]
    Corrupt { at: usize, what: &'static str },
    #[error("{what}: {found}, more than the {limit} allowed")]
    TooLarge { what: &'static str, found: u64, limit: u64 },
    /// A sound JPEG that the splice does not handle: the pixels' road is left.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    #[error("the work was given up")]
    Stopped,
    #[error("no noise for the cells")]
    Noise(#[source] Box<crate::error::Error>),
    /// The result is not what was promised; it must not leave the process.
    #[error("the result does not keep its promise: {0}")]
    Unproven(&'static str),
}

/// What kind of JPEG goes another road.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error("a progressive JPEG")]
    Progressive,
    #[error("an arithmetic-coded JPEG")]
    Arithmetic,
    #[error("a lossless (predictive) JPEG")]
    Lossless,
    #[error("a hierarchical JPEG")]
    Hierarchical,
    #[error("a JPEG of {0} bits a sample")]
    Precision(u8),
    #[error("a JPEG of {0} components")]
    Components(u8),
    #[error("a JPEG whose components lie in several scans")]
    MultipleScans,
    #[error("a JPEG whose height stands behind its scan")]
    LateHeight,
    #[error("a JPEG that codes a part of the spectrum only")]
    SpectralSelection,
    #[error("a JPEG whose quantisation changes between its scans")]
    LateTables,
    #[error("a JPEG whose units would have {0} blocks in one scan")]
    LargeUnits(usize),
}

impl Unsupported {
    /// Whether [`Jpeg::in_one_scan`] may make a file of it that the splice handles.
    pub fn may_be_recoded(self) -> bool {
        matches!(self, Self::Progressive | Self::Arithmetic | Self::MultipleScans)
    }
}

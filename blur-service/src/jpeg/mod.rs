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
//! use blur_service::redact::{Look, NoiseKey};
//!
//! let go_on = || true;
//! let jpeg = Jpeg::parse(file, &Limits::default())?;
//! let scan = jpeg.scan(Some(Scale::Quarter), &go_on)?;
//! // Here a detector looks at `scan.preview`; its boxes, grown to full-size pixels, become `faces`.
//! let noise = NoiseKey::random().expect("random numbers").noise(file);
//! let metadata = Metadata { orientation: jpeg.orientation(), icc: None };
//! scan.redact(&jpeg, faces, Look::Smooth.effect(), &noise, &metadata, &go_on)
//! # }
//! # assert!(hide(b"no picture", &[]).is_err());
//! ```

mod dct;
mod entropy;
mod error;
mod scan;
mod smaller;
mod splice;
pub(crate) mod syntax;
mod transcode;

pub use error::{JpegError, Unsupported};
pub use scan::{
    Pixels, Scan,
    colour::{Channels, Transform},
    preview::Scale,
};
pub use splice::plan::Plan;
pub(crate) use syntax::exif::{density as exif_density, orientation as exif_orientation};
pub use syntax::{
    frame::{Component, Frame, Process},
    header::{Jpeg, Limits},
    leniency::Leniency,
    output::Metadata,
};

//! Hides faces in pictures, irreversibly.
//!
//! The life of a picture: its request's head takes a place (`admission`), its body comes in under a limit (`http`), its
//! own head is read before a pixel is allocated (`codec`), it waits for memory and a thread (`workers`), then goes through
//! the steps in `pipeline`: decode, upright, detect, redact, encode, prove. It fails closed: whatever goes wrong, the
//! answer is a problem document and never the picture that came in.
//!
//! Import order, each only from its left:
//! `geometry, error, wipe → detect → redact → {codec, jpeg} → inventory → options → pipeline → {admission, workers} → args → http → run → main`.

pub mod admission;
pub mod args;
pub mod codec;
pub mod detect;
pub mod error;
pub mod geometry;
pub mod http;
pub mod inventory;
pub mod jpeg;
pub mod options;
pub mod pipeline;
pub mod redact;
mod run;
mod vector;
pub mod wipe;
pub mod workers;

pub use args::Args;
pub use run::run;

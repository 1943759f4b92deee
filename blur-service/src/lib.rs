//! Hides faces in pictures, irreversibly.
//!
//! Import order, each only from its left:
//! `geometry, error → {codec, jpeg, detect, redact, scrub} → pipeline → admission → http → main`.

pub mod detect;
pub mod geometry;
pub mod jpeg;
pub mod redact;

//! The parts of the service that read what strangers send, compiled from its own sources but without the detector,
//! whose dependencies take a quarter of an hour to build for a fuzzer.

#![allow(dead_code)]

#[path = "../../src/codec/mod.rs"]
pub mod codec;
pub mod detect;
#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/geometry.rs"]
pub mod geometry;
#[path = "../../src/jpeg/mod.rs"]
pub mod jpeg;
#[path = "../../src/keep/mod.rs"]
pub mod keep;
#[path = "../../src/marks.rs"]
pub mod marks;
#[path = "../../src/options/mod.rs"]
pub mod options;
#[path = "../../src/redact/mod.rs"]
pub mod redact;
#[path = "../../src/vector.rs"]
mod vector;

//! One picture in HEVC, decoded by libheif where a hostile file finds nothing: neither memory of whoever asks nor a file, a
//! connection, a program, a key. What asks is here; what decodes is the program `veil-heic`, which nothing else is linked with.
//!
//! Three processes. The one that asks starts a *keeper* while it still may start programs, and holds one socket to it. For
//! each picture it sends the keeper one end of a new pair of sockets; the keeper starts a process for that end, which limits
//! itself, shuts itself in, says so, and then decodes what comes over the socket, coded picture by coded picture. The keeper
//! reads no byte of any picture; it ends whom nobody listens to any more.

mod asking;
pub mod boxes;
mod container;
mod words;

pub use asking::{Decoder, Failure, Session};
pub use words::{Coded, Head, Plane, READY, Sampling, Still};

/// The role of a process of the program, its first argument.
pub const KEEPER: &str = "keep";
pub const READER: &str = "read";

//! Pingora asks flate2 for zlib-ng, whose build script needs CMake. This stands in for it by `[patch.crates-io]`: the
//! same C names from libz-sys's own zlib, which a C compiler alone builds. Delete it once Pingora lets the user choose.

pub use libz_sys::*;

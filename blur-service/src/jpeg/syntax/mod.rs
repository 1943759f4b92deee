//! What stands in a file beside its coded data: read, and written anew.

pub mod conditioning;
pub mod density;
pub mod exif;
pub mod frame;
pub mod header;
pub mod icc;
pub mod leniency;
pub mod marker;
pub mod output;
pub mod spec;
pub mod standard;
pub mod tables;

//! How a request gets its answer from backends: a connection to one, a race of two where one is slow, and what follows a failure.

pub mod link;
pub mod poison;
pub mod race;
pub mod reach;
pub mod retry;
pub mod subrequest;

//! Whether and when a request gets a place at a backend: at once, after a wait in the queue, or at one kept for it alone.

pub mod dispatcher;
pub mod quarantine;
pub mod queue;
pub mod silence;

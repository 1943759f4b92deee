//! The request body: checked where it is framed, read under limits before a worker's place is taken, kept within one
//! memory budget, and sent again in full where the first backend fails.

mod authority;
mod budget;
mod buffer;
mod config;
mod framing;
mod pace;
mod read;
mod replay;
mod stand_in;
mod stream;

pub use authority::{settle as settle_authority, settle_on_arrival};
pub use budget::Budget;
pub use config::{BodyConfig, Buffering, Limits, RouteBodyConfig};
pub use framing::{HeadLimits, Next, Violation, Watch, Wire};
pub use read::{ReadError, linger, take};
pub use replay::Whole;
pub use stand_in::Taken;

#[cfg(test)]
mod tests;

//! Requests' and answers' bodies. A request's is checked where it is framed, read under limits before a worker's place is
//! taken, kept within one memory budget, and sent again in full where the first backend fails. An answer's is kept out of
//! the same budget, for as long as its client takes.

mod answer;
mod authority;
mod budget;
mod buffer;
mod config;
mod error;
mod framing;
mod pace;
mod protocol;
mod read;
mod replay;
mod spill;
mod stand_in;
mod stream;

pub use answer::{AnswerLimits, AnswersConfig, Demand, Keeping, Pacer, Progress, RouteAnswersConfig};
pub use authority::{settle as settle_authority, settle_on_arrival, violation_over_http2};
pub use budget::Budget;
pub use config::{BodyConfig, Buffering, Limits, RouteBodyConfig};
pub use error::{ReadError, is_answered_early};
pub use framing::{Chunked, FLOOD, HeadLimits, Next, RefusedHead, Violation, Watch, Wire};
pub use read::{linger, take};
pub use replay::Whole;
pub use stand_in::Taken;

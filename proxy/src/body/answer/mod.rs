//! A backend's answer on its way to the client: kept for a moment, so that a backend that dies amid it costs the client
//! nothing, and from then on apart from the client's pace, so that nobody holds a backend by reading slowly.

mod config;
mod delivery;
mod demand;
mod flow;
mod held;
mod kept;
mod pacer;
mod progress;
mod taking;

pub use config::{AnswerLimits, AnswersConfig, RouteAnswersConfig};
pub(super) use delivery::{Outlet, deliver};
pub use demand::Demand;
pub use flow::Keeping;
pub(super) use flow::{Ending, Flow, Room};
pub(super) use held::Held;
pub use pacer::Pacer;
pub use progress::Progress;

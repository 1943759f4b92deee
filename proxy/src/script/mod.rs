//! What a user programs: conditions (`when:`) and hooks, in Rhai. They see a request and its answer, never a body, a file or a
//! socket; they are compiled when the configuration is read, and stopped when they take more than their limits say.
//!
//! One engine serves all threads without a lock; each call has a scope of its own. What a script sees of the request is
//! shown to it for the time of the call (`view`), and what it does is noted and done once it has ended (`draft`).

mod bounds;
mod condition;
mod draft;
mod engine;
mod hook;
#[cfg(test)]
mod hostile;
mod inspect;
mod library;
mod limits;
mod plain;
mod program;
mod relation;
mod store;
mod tally;
mod view;
mod wording;

pub use self::condition::{CONDITIONS, Condition, written};
pub use self::draft::{Decision, Draft};
pub use self::hook::{Failure, Hook, Mistake};
pub use self::inspect::functions;
pub use self::limits::Limits;
pub use self::program::{Program, decision, text};
pub use self::store::Store;
pub use self::tally::{Count, Tally, since_start, tallies};
pub use self::view::{Kept, Seen};

//! Local worker processes. Each gets a listening socket, bound here, as its standard input: no port is raced for, and
//! the address outlives a restart. One that dies is out of rotation at once and is started again, ever more slowly if it
//! keeps dying.

pub mod backoff;
pub mod config;
pub mod keeper;
pub mod output;
pub mod process;
pub mod worker;
pub mod workers;

pub use self::config::SpawnConfig;
pub use self::worker::SpawnError;
pub use self::workers::Workers;

//! Who is in a pool: backends that the configuration writes, that are discovered, and that are spawned here; and how
//! each of them is, by its checks and by what becomes of requests.

pub mod address;
pub mod backend;
pub mod discovery;
pub mod ejection;
pub mod health;
pub mod outcome;
pub mod passive;
pub mod roster;
pub mod spawned;
pub mod written;

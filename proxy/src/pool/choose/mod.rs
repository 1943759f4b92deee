//! Which member serves a request: what requests are told apart by, whose turn it is, and whom a cookie leads back to.

pub mod chooser;
pub mod key;
pub mod key_config;
pub mod selection;
pub mod selection_order;
pub mod sticky;
pub mod tiers;

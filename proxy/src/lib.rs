//! Veil's proxy: HTTP in front of pools of workers, told by YAML.
//!
//! The modules, each of which knows only those above it:

pub mod path;
pub mod units;

pub mod diagnostic;
pub mod document;

pub mod request;

pub mod problem;

pub mod body;

pub mod filter;
pub mod pool;
pub mod retry;

pub mod route;

pub mod config;

pub mod admin;
pub mod server;

//! The body's parts at work in a small Pingora proxy of the tests' own, over loopback sockets.
#![allow(clippy::unwrap_used)]

mod framing;
mod harness;
mod limits;
mod replay;

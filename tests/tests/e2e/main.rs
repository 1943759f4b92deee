//! The whole of Veil: real binaries, real sockets, real pictures.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

mod admin;
mod answers;
mod asking;
mod blur;
mod connections;
mod deadlines;
mod discovery;
mod examples;
mod extension;
mod failover;
mod filters;
mod first_contact;
mod framing;
mod hedge;
mod http2;
mod lifecycle;
mod listeners;
mod logs;
mod malformed;
mod nginx;
mod nginx_cli;
mod overload;
mod parity;
mod protocols;
mod reload;
mod replay;
mod routing;
mod runbook;
mod script;
mod soak;
mod spawn;
mod sticky;
mod supervisor;
mod systemd;
mod targets;
mod tls;
mod traces;
mod transport;
mod unusual;
mod upgrade;
mod uploads;

//! Veil's proxy: HTTP in front of pools of workers, told by YAML.
//!
//! # The life of a request
//!
//! 1. [`server::accept`] takes a connection from a listener's socket and enters it among the [`client::connection`]s,
//!    whose sweep ends those that overstay.
//! 2. Pingora reads the head; [`exchange::phases`] is called phase by phase from here on. The request takes the present
//!    [`state`], immutable, and keeps it: a reload does not change the rules under a request.
//! 3. [`client::forwarded`] tells who the client is, and the request gets its id.
//! 4. [`route`] finds who serves it; the route's [`filter`]s may change the head or answer.
//! 5. [`body`] has watched the framing since the first byte, and now holds the request's body, read under limits.
//! 6. The route's [`pool`] picks a backend that the request has not tried; where it takes unusually long, a second one
//!    enters an [`upstream::race`] with it.
//! 7. Where that fails, [`upstream::retry`] decides: another backend, or a [`request::problem`] document.
//! 8. The answer passes the filters in reverse and goes out.
//! 9. One line goes to the [`observe::access_log`], the [`observe::metrics`] count, and the backend's place is free again.
//!
//! # The modules
//!
//! Each knows only those above it; a test below holds them to it. ARCHITECTURE.md draws them.

#[cfg(test)]
mod chance;

pub mod accounts;
pub mod heap;
pub mod memory;
pub mod program;
pub mod stamp;
pub mod yaml;

pub mod request;

pub mod body;
pub mod script;

pub mod client;

pub mod filter;
pub mod keepalived;
pub mod pool;

pub mod upstream;

pub mod observe;

pub mod nginx;
pub mod route;

pub mod config;

pub mod state;

pub mod exchange;

pub mod server;

pub mod cli;

pub mod extension;

pub use cli::main;

/// As the program's, so that limits on memory hold in tests too.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: heap::Counted<std::alloc::System> = heap::Counted(std::alloc::System);

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The lowest first. Modules of one row do not know each other.
    const ORDER: &[&[&str]] = &[
        &["chance"],
        &["accounts", "heap", "memory", "program", "stamp", "yaml"],
        &["request"],
        &["body", "script"],
        &["client"],
        &["filter", "keepalived", "pool"],
        &["upstream"],
        &["observe"],
        &["nginx", "route"],
        &["config"],
        &["state"],
        &["exchange"],
        &["server"],
        &["cli", "extension"],
    ];

    #[test]
    fn each_module_knows_only_those_below_it_and_no_files_stand_in_a_circle() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let without_circles = ["script", "body", "pool"];
        assert_eq!(
            import_order::check(&source, ORDER, &without_circles),
            Vec::<String>::new()
        );
    }
}

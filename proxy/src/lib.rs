//! Veil's proxy: HTTP in front of pools of workers, told by YAML.
//!
//! # The life of a request
//!
//! 1. [`accept`] takes a connection from a listener's socket and enters it among the [`connection`]s, whose sweep ends
//!    those that overstay.
//! 2. Pingora reads the head; [`edge`] is called phase by phase from here on. The request takes the present [`state`],
//!    immutable, and keeps it: a reload does not change the rules under a request.
//! 3. [`forwarded`] tells who the client is, and the request gets its id.
//! 4. [`route`] finds who serves it; the route's [`filter`]s may change the head or answer.
//! 5. [`body`] has watched the framing since the first byte, and now holds the request's body, read under limits.
//! 6. The route's [`pool`] picks a backend that the request has not tried; where it takes unusually long, a second one
//!    enters a [`race`] with it.
//! 7. Where that fails, [`retry`] decides: another backend, or a [`problem`] document.
//! 8. The answer passes the filters in reverse and goes out.
//! 9. One line goes to the [`access_log`], the [`metrics`] count, and the backend's place is free again.
//!
//! # The modules
//!
//! Each knows only those above it; a test below holds them to it.

pub mod columns;
pub mod path;
pub mod program;
pub mod text;
pub mod units;

pub mod diagnostic;
pub mod document;
pub mod template;

pub mod request;

pub mod problem;

pub mod body;
pub mod tls;

pub mod listener;

pub mod access_log;
pub mod connection;
pub mod forwarded;

pub mod filter;
pub mod keepalived;
pub mod pool;
pub mod retry;

pub mod route;

pub mod check;
pub mod config;
pub mod schema;

pub mod metrics;

pub mod state;

pub mod race;

pub mod exchange;

pub mod edge;

pub mod accept;

pub mod admin;

pub mod signals;
pub mod takeover;

pub mod operate;
pub mod server;

pub mod diff;
pub mod explain;

pub mod cli;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::path::{Path, PathBuf};

    /// Modules that stand side by side do not know each other.
    const ORDER: &[&[&str]] = &[
        &["columns", "path", "program", "text", "units"],
        &["diagnostic"],
        &["document", "template"],
        &["request"],
        &["problem"],
        &["body", "tls"],
        &["listener"],
        &["access_log", "connection", "forwarded"],
        &["filter", "keepalived", "pool", "retry"],
        &["route"],
        &["config"],
        &["check", "schema"],
        &["metrics"],
        &["state"],
        &["race"],
        &["exchange"],
        &["edge"],
        &["accept"],
        &["admin"],
        &["signals", "takeover"],
        &["server", "operate"],
        &["diff", "explain"],
        &["cli"],
    ];

    #[test]
    fn each_module_knows_only_those_above_it() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut wrong = Vec::new();
        for file in rust_files(&source) {
            let inside = file.strip_prefix(&source).unwrap();
            let module = inside
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_str()
                .unwrap()
                .trim_end_matches(".rs");
            if matches!(module, "lib" | "main") {
                continue;
            }
            for used in used_modules(&fs::read_to_string(&file).unwrap()) {
                if used != module && rank(&used) >= rank(module) {
                    wrong.push(format!("{} uses {used}", inside.display()));
                }
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    fn rank(module: &str) -> usize {
        let group = ORDER.iter().position(|group| group.contains(&module));
        group.unwrap_or_else(|| panic!("{module} has no place in the order"))
    }

    fn rust_files(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        let nested = directories.iter().flat_map(|directory| rust_files(directory));
        files
            .into_iter()
            .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
            .chain(nested)
            .collect()
    }

    /// The first name after `use crate::` of each line that has one.
    fn used_modules(text: &str) -> Vec<String> {
        let paths = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("use crate::"));
        paths
            .map(|path| path.split([':', ';']).next().unwrap_or_default().to_owned())
            .collect()
    }
}

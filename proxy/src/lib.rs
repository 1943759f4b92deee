//! Veil's proxy: HTTP in front of pools of workers, told by YAML.
//!
//! # The life of a request
//!
//! 1. [`server::accept`] takes a connection from a listener's socket and enters it among the [`client::connection`]s, whose sweep ends
//!    those that overstay.
//! 2. Pingora reads the head; [`exchange::phases`] is called phase by phase from here on. The request takes the present [`state`],
//!    immutable, and keeps it: a reload does not change the rules under a request.
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
//! Each knows only those above it; a test below holds them to it.

pub mod program;
pub mod yaml;

pub mod request;

pub mod body;

pub mod client;

pub mod filter;
pub mod keepalived;
pub mod pool;

pub mod upstream;

pub mod observe;
pub mod route;

pub mod config;

pub mod state;

pub mod exchange;

pub mod server;

pub mod cli;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::path::{Path, PathBuf};

    /// Modules that stand side by side do not know each other.
    const ORDER: &[&[&str]] = &[
        &["program", "yaml"],
        &["request"],
        &["body"],
        &["client"],
        &["filter", "keepalived", "pool"],
        &["upstream"],
        &["observe", "route"],
        &["config"],
        &["state"],
        &["exchange"],
        &["server"],
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

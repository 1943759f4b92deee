//! Hides faces in pictures, irreversibly.
//!
//! The life of a picture: its request's head takes a place (`admission`), its body comes in under a limit (`http`), its
//! own head is read before a pixel is allocated (`codec`), it waits for memory and a thread (`workers`), then goes through
//! the steps in `pipeline`: decode, upright, detect, redact, encode, prove. It fails closed: whatever goes wrong, the
//! answer is a problem document and never the picture that came in.
//!
//! Each module knows only those below it in the order that the test at the end of this file holds them to.

pub mod admission;
pub mod args;
pub mod clearing;
pub mod client;
pub mod codec;
pub mod cores;
pub mod detect;
pub mod error;
pub mod files;
pub mod geometry;
pub mod http;
pub mod inventory;
pub mod jpeg;
pub mod keep;
pub mod marks;
pub mod options;
pub mod pipeline;
pub mod queue;
pub mod redact;
mod run;
pub mod sandbox;
mod vector;
pub mod work;
pub mod workers;

pub use args::Args;
pub use run::run;

/// What was built in, by choice.
pub const FEATURES: &[&str] = &[
    #[cfg(feature = "avif")]
    "avif",
    #[cfg(feature = "object-store")]
    "object-store",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The lowest first. Modules of one row do not know each other.
    const ORDER: &[&[&str]] = &[
        &["geometry", "error", "vector", "clearing", "cores", "client", "sandbox"],
        &["detect"],
        &["redact"],
        &["jpeg"],
        &["codec"],
        &["inventory", "keep"],
        &["marks"],
        &["options"],
        &["pipeline"],
        &["queue", "work"],
        &["admission", "workers"],
        &["args"],
        &["http", "files"],
        &["run"],
    ];

    #[test]
    fn each_module_knows_only_those_below_it_and_no_files_stand_in_a_circle() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert_eq!(import_order::check(&source, ORDER, &["jpeg"]), Vec::<String>::new());
    }
}

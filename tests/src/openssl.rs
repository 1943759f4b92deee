//! Certificates, made by openssl.

use std::path::Path;
use std::process::{Command, Stdio};

/// A certificate signed by its own key, which no password guards; behind it whose it is, and where both go.
pub const OWN: [&str; 7] = [
    "req",
    "-x509",
    "-nodes",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
];

/// Runs openssl in `folder`, on files that are named from there.
///
/// # Panics
/// It is not there, or fails.
pub fn openssl(folder: &Path, arguments: &[&str]) {
    let made = Command::new("openssl")
        .current_dir(folder)
        .args(arguments)
        .stderr(Stdio::null())
        .status()
        .expect("openssl is there");
    assert!(made.success(), "{arguments:?}");
}

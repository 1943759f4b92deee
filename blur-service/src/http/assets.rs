//! Files that lie in the program, as browsers take them: nothing from outside, and nothing allowed to come from there.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use super::problem::Failure;
use crate::error::Error;

/// Names and contents.
pub(super) type Files = &'static [(&'static str, &'static [u8])];

/// The files of these names beside the one that names them.
macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_bytes!($name))),*] };
}
pub(super) use files;

/// # Errors
/// [`Error::NotFound`].
pub(super) fn find(files: Files, name: &str) -> Result<Response, Failure> {
    let file = files.iter().find(|(known, _)| *known == name);
    let (name, bytes) = file.ok_or(Error::NotFound)?;
    Ok(sent(name, *bytes))
}

pub(super) fn sent(name: &str, body: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type(name)),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body).into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("sh" | "py") => "text/plain; charset=utf-8",
        Some("webp") => "image/webp",
        _ => "application/octet-stream",
    }
}

/// Scripts and styles are files of this service alone: nothing inline, nothing evaluated.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::BTreeSet, fs, path::Path};

    use super::Files;

    /// Every file of a folder is in its list, but for the code and `others`.
    pub fn all_are_listed(folder: &str, files: Files, others: &[&str]) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http").join(folder);
        let beside: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".rs") && !others.contains(&name.as_str()))
            .collect();
        assert_eq!(beside, files.iter().map(|(name, _)| (*name).to_owned()).collect());
    }
}

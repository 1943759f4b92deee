//! `GET /`: the page for people, and the files that it is made of: plain HTML, CSS and ES modules, as they lie here. Nothing
//! comes from outside, and nothing is allowed to.

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};

use super::problem::Failure;
use crate::error::Error;

pub(super) async fn page() -> Response {
    sent("index.html", include_bytes!("index.html"))
}

pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Failure> {
    let file = FILES.iter().find(|(known, _)| *known == name);
    let (name, bytes) = file.ok_or(Error::NotFound)?;
    Ok(sent(name, bytes))
}

fn sent(name: &str, bytes: &'static [u8]) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type(name)),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, bytes).into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("webp") => "image/webp",
        _ => "application/octet-stream",
    }
}

/// Scripts and styles are files of this service alone: nothing inline, nothing evaluated.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_bytes!($name))),*] };
}

/// By their names under `/v1/page/`.
const FILES: &[(&str, &[u8])] = files![
    "album.js",
    "bar.js",
    "boxes.js",
    "compare.js",
    "decode.js",
    "dom.js",
    "draft.js",
    "en.js",
    "faces.js",
    "history.js",
    "inspector.js",
    "list.js",
    "look-gaussian.webp",
    "look-mosaic.webp",
    "look-smooth.webp",
    "look-solid.webp",
    "main.js",
    "multipart.js",
    "names.js",
    "panes.css",
    "picture.js",
    "queue.js",
    "service.js",
    "settings.js",
    "stage.css",
    "stage.js",
    "style.css",
    "viewer.js",
    "words.js",
    "zh.js",
    "zip.js",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_file_beside_this_one_is_sent() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/page");
        let beside: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !["mod.rs", "index.html"].contains(&name.as_str()))
            .collect();
        assert_eq!(beside, FILES.iter().map(|(name, _)| (*name).to_owned()).collect());
    }
}

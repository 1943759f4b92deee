//! `GET /`: the page for people, and the files that it is made of: plain HTML, CSS and ES modules, as they lie here.

use axum::{extract::Path, response::Response};

use super::{
    assets::{self, Files, files},
    problem::Failure,
};

pub(super) async fn page() -> Response {
    assets::sent("index.html", include_bytes!("index.html"))
}

pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Failure> {
    assets::find(FILES, &name)
}

/// By their names under `/v1/page/`.
const FILES: Files = files![
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
    use super::*;

    #[test]
    fn every_file_beside_this_one_is_sent() {
        assets::tests::all_are_listed("page", FILES, &["index.html"]);
    }
}

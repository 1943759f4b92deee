//! `GET /docs`: the reference, drawn from the OpenAPI document, with examples that the tests run; and a page for each code
//! of a problem, which the problem's type leads to.

mod problems;

use axum::{extract::Path, response::Response};

use self::problems::{PROBLEMS, Problem};
use super::{
    assets::{self, Files, files},
    problem::Failure,
};
use crate::error::Error;

pub(super) async fn docs() -> Response {
    let rows: String = PROBLEMS.iter().map(Problem::row).collect();
    assets::sent("docs.html", include_str!("docs.html").replace("{problems}", &rows))
}

pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Failure> {
    assets::find(FILES, &name)
}

pub(super) async fn problem(Path(code): Path<String>) -> Result<Response, Failure> {
    let problem = PROBLEMS.iter().find(|problem| problem.code == code);
    let problem = problem.ok_or(Error::NotFound)?;
    Ok(assets::sent("problem.html", problem.page()))
}

/// By their names under `/v1/docs/`.
const FILES: Files = files![
    "blur.mjs",
    "blur.py",
    "blur.sh",
    "detect.mjs",
    "detect.py",
    "detect.sh",
    "docs.css",
    "docs.js",
    "report.mjs",
    "report.py",
    "report.sh",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_beside_this_one_is_sent() {
        assets::tests::all_are_listed("docs", FILES, &["docs.html", "problem.html"]);
    }
}

//! What is looked for in the place of a request's path. Nginx: `try_files`.

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::request::RequestCtx;
use crate::request::variables::Template;

/// `/offline.html`, a file, or `$path/`, a folder.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Tried {
    path: Template,
    is_folder: bool,
}

impl TryFrom<String> for Tried {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let folder = text.strip_suffix('/');
        Ok(Self {
            path: Template::parse(folder.unwrap_or(&text))?,
            is_folder: folder.is_some(),
        })
    }
}

impl Tried {
    /// None where it is no text.
    pub fn by(&self, request: &RequestHeader, ctx: &RequestCtx) -> Option<Candidate> {
        Some(Candidate {
            path: String::from_utf8(self.path.bytes(request, ctx)).ok()?,
            is_folder: self.is_folder,
        })
    }
}

/// What one request would have.
pub struct Candidate {
    pub path: String,
    pub is_folder: bool,
}

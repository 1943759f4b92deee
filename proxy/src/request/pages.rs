//! What Veil's own errors look like: problem documents, or short pages of HTML as Nginx's.

use bytes::Bytes;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::notes::PLAIN_HTTP;
use super::problem::{self, Problem};

/// `problems: { form: pages, signature: nginx }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ProblemsConfig {
    pub form: Form,
    /// What pages end with.
    pub signature: String,
    /// What is said where no backend is there to be asked, or has a place.
    pub unserved: Unserved,
    /// Caches may keep them as they keep answers of their status: without `Cache-Control: no-store`, as Nginx has them.
    pub storable: bool,
}

/// The answer to a request that no backend can be given.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Unserved {
    /// 503, with `Retry-After`.
    #[default]
    Unavailable,
    /// 502, as Nginx has it.
    BadGateway,
}

/// What is sent in place of an answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// RFC 9457, for programs.
    #[default]
    Documents,
    /// Short ones of HTML, which answers of `respond` and `redirect` without a body have too.
    Pages,
}

impl Default for ProblemsConfig {
    fn default() -> Self {
        Self {
            form: Form::default(),
            signature: "veil".to_owned(),
            unserved: Unserved::default(),
            storable: false,
        }
    }
}

impl ProblemsConfig {
    /// The problem of a request that no backend can be given.
    pub fn unserved(&self, problem: Problem) -> Problem {
        match self.unserved {
            Unserved::Unavailable => problem,
            Unserved::BadGateway => Problem {
                status: StatusCode::BAD_GATEWAY,
                retry_after: None,
                ..problem
            },
        }
    }

    /// The page of a status, where there are pages and one for it.
    pub fn page(&self, status: StatusCode, known_as: Option<u16>) -> Option<Bytes> {
        if self.form == Form::Documents || status.as_u16() < 301 || status == StatusCode::NOT_MODIFIED {
            return None;
        }
        let heading = format!("{} {}", status.as_u16(), title(status));
        let (title, more) = match known_as {
            Some(PLAIN_HTTP) => {
                let why = problem::PLAIN_HTTP.detail;
                (format!("400 {why}"), format!("<center>{why}</center>\r\n"))
            }
            _ => (heading.clone(), String::new()),
        };
        let mut signature = String::new();
        for c in self.signature.chars() {
            match c {
                '<' => signature.push_str("&lt;"),
                '&' => signature.push_str("&amp;"),
                c => signature.push(c),
            }
        }
        let page = format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{heading}</h1></center>\r\n{more}\
             <hr><center>{signature}</center>\r\n</body>\r\n</html>\r\n"
        );
        Some(Bytes::from(page))
    }
}

/// As Nginx has them.
fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "Authorization Required",
        405 => "Not Allowed",
        408 => "Request Time-out",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        416 => "Requested Range Not Satisfiable",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_page_is_nginxs() {
        let pages: ProblemsConfig = serde_yaml::from_str("{ form: pages, signature: nginx }").unwrap();
        let expected = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n\
                        <center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
        assert_eq!(pages.page(StatusCode::NOT_FOUND, None).unwrap(), expected);
        for (status, has_page) in [
            (200, false),
            (204, false),
            (301, true),
            (304, false),
            (405, true),
            (599, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(pages.page(status, None).is_some(), has_page, "{status}");
            assert!(ProblemsConfig::default().page(status, None).is_none());
        }
    }
}

//! What is asked: a request that is not sent.

use std::net::IpAddr;
use std::time::Instant;

use http::{Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};

use super::Config;
use crate::filter::FilterError;
use crate::request::notes::Notes;
use crate::request::path::{self, PathError, Paths};
use crate::request::{RequestCtx, RequestId, Scheme};
use crate::yaml::diagnostic::suggest;

/// A request that is not sent.
pub struct Asked {
    pub head: RequestHeader,
    pub ctx: RequestCtx,
    /// By which it came.
    pub listener: String,
    /// The head that a backend answers with: 200 without fields, unless it is said.
    pub answer: ResponseHeader,
    pub(super) paths: Paths,
}

/// Why a request cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    #[error("{0:?} is not a URL; write https://host/path?query")]
    Url(String),
    #[error("{0:?} cannot be asked for")]
    Target(String),
    #[error("{0:?} cannot stand in a header")]
    Field(String),
    #[error("{0} is no status of an answer; write 200 to 599")]
    Status(u16),
    #[error("{path:?}: {error}")]
    Path { path: String, error: PathError },
    #[error("there is no listener {listener:?}{}", help.as_deref().map(|help| format!("\n  help: {help}")).unwrap_or_default())]
    NoListener { listener: String, help: Option<String> },
    #[error(transparent)]
    Filter(#[from] FilterError),
}

impl Asked {
    /// `target` is path and query.
    pub fn new(
        method: &Method,
        scheme: Scheme,
        host: &str,
        target: &str,
        client: IpAddr,
    ) -> Result<Self, RehearsalError> {
        let wrong = |_| RehearsalError::Target(target.to_owned());
        let mut head = RequestHeader::build(method.clone(), target.as_bytes(), None).map_err(wrong)?;
        head.insert_header(header::HOST, host).map_err(wrong)?;
        let sent = target.split('?').next().unwrap_or_default();
        let path = path::normal(sent.as_bytes()).map_err(|error| RehearsalError::Path {
            path: target.to_owned(),
            error,
        })?;
        let ctx = RequestCtx {
            id: RequestId::random(),
            peer: (client, 0).into(),
            client: Some(client),
            path: Some(path.as_ref().into()),
            scheme,
            received: Instant::now(),
            tables: None,
            notes: Notes::default(),
        };
        Ok(Self {
            head,
            ctx,
            listener: String::new(),
            answer: ResponseHeader::build(StatusCode::OK, None).map_err(wrong)?,
            paths: Paths::default(),
        })
    }

    /// Fields that the listener lets nobody see.
    fn forget_underscores(&mut self) {
        let names = self.head.headers.keys().filter(|name| name.as_str().contains('_'));
        for name in names.cloned().collect::<Vec<_>>() {
            self.head.remove_header(&name);
        }
    }

    /// By this listener, or the first; with all its fields.
    pub fn comes_by(&mut self, listener: Option<&String>, config: &Config) -> Result<(), RehearsalError> {
        let found = match listener {
            Some(name) => config.listeners.get_key_value(name),
            None => config.listeners.iter().next(),
        };
        match (found, listener) {
            (Some((name, listener)), _) => {
                (self.listener, self.paths) = (name.clone(), listener.paths);
                if !listener.underscores_in_headers {
                    self.forget_underscores();
                }
            }
            (None, None) => {}
            (None, Some(name)) => {
                let names = config.listeners.keys().map(String::as_str);
                return Err(RehearsalError::NoListener {
                    listener: name.clone(),
                    help: suggest("the listeners", name, names),
                });
            }
        }
        Ok(())
    }
}

/// Scheme, host, and path with query.
pub fn url(text: &str) -> Result<(Scheme, &str, String), RehearsalError> {
    let wrong = || RehearsalError::Url(text.to_owned());
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(wrong()),
    };
    if host.is_empty() {
        return Err(wrong());
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    let target = target.split('#').next().unwrap_or_default();
    Ok((scheme, host, format!("{slash}{target}")))
}

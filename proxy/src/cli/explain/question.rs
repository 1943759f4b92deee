//! What is asked about: a request that is not sent.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use clap::Args;
use http::{HeaderName, HeaderValue, Method, header};
use pingora::http::RequestHeader;

use super::ExplainError;
use crate::cli::pools::AdminListener;
use crate::client::listener::ListenerConfig;
use crate::config::Config;
use crate::request::notes::Notes;
use crate::request::path::{self, Paths};
use crate::request::{RequestCtx, RequestId, Scheme};
use crate::yaml::diagnostic::suggest;

/// A request that is not sent.
#[derive(Args, Clone, Debug)]
pub struct Question {
    /// Who asks
    #[arg(long, value_name = "ADDRESS")]
    pub client: IpAddr,
    /// Scheme, host, path and query in one, in place of --host, --path and --https
    #[arg(long, value_name = "URL", conflicts_with_all = ["path", "host", "https"])]
    pub url: Option<String>,
    /// What is asked for, with its query if it has one
    #[arg(long, default_value = "/")]
    pub path: String,
    #[arg(long, default_value = "GET")]
    pub method: Method,
    #[arg(long, default_value = "localhost")]
    pub host: String,
    /// The listener that the client came by; the first by its name unless given
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// Whether the client came over HTTPS
    #[arg(long)]
    pub https: bool,
    /// A header, for instance 'Cookie: session=7'; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header_field)]
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A backend to suppose down; may be given several times
    #[arg(long, value_name = "BACKEND")]
    pub down: Vec<String>,
    /// Ask the running Veil with this admin listener how its backends are; otherwise all are supposed to be well
    #[arg(long, value_name = "ADDRESS", value_parser = admin_address)]
    pub admin: Option<SocketAddr>,
    /// What that listener wants to hear, where its configuration has a token
    #[arg(long, value_name = "TOKEN", env = "VEIL_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
}

/// `127.0.0.1:8081`, or as the URL that Veil prints.
fn admin_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    address.parse().map_err(|_| "write 127.0.0.1:8081".to_owned())
}

/// `Name: value`
fn header_field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is NAME: VALUE")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("{name:?} is not a header's name"))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| format!("{value:?} cannot stand in a header"))?;
    Ok((name, value))
}

impl Question {
    /// With what its URL says.
    pub fn taken_apart(&self) -> Result<Self, ExplainError> {
        let Some(url) = &self.url else { return Ok(self.clone()) };
        let wrong = || ExplainError::Url(url.clone());
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let start = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(start);
        if !matches!(scheme, "http" | "https") || host.is_empty() {
            return Err(wrong());
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            host: host.to_owned(),
            path: format!("{slash}{}", target.split('#').next().unwrap_or_default()),
            https: scheme == "https",
            ..self.clone()
        })
    }

    pub fn head(&self) -> Result<RequestHeader, ExplainError> {
        let target = || ExplainError::Target(self.path.clone());
        let mut head = RequestHeader::build(self.method.clone(), self.path.as_bytes(), None).map_err(|_| target())?;
        for (name, value) in &self.headers {
            head.append_header(name.clone(), value.clone()).map_err(|_| target())?;
        }
        head.insert_header(header::HOST, self.host.as_str())
            .map_err(|_| target())?;
        Ok(head)
    }

    /// The listener that it comes by, and what that is called.
    pub fn listener_of<'a>(&self, config: &'a Config) -> Option<(&'a String, &'a ListenerConfig)> {
        match &self.listener {
            Some(name) => config.listeners.get_key_value(name),
            None => config.listeners.iter().next(),
        }
    }

    /// How that listener has paths.
    pub fn paths(&self, config: &Config) -> Result<Paths, ExplainError> {
        let names = config.listeners.keys().map(String::as_str);
        match (self.listener_of(config), &self.listener) {
            (Some((_, listener)), _) => Ok(listener.paths),
            (None, None) => Ok(Paths::default()),
            (None, Some(name)) => Err(ExplainError::NoListener {
                listener: name.clone(),
                help: suggest("the listeners", name, names),
            }),
        }
    }

    /// The path that routes match.
    pub fn normal_path(&self) -> Result<String, ExplainError> {
        let path = self.path.split('?').next().unwrap_or_default();
        let normal = path::normal(path.as_bytes()).map_err(|error| ExplainError::Path {
            path: self.path.clone(),
            error,
        })?;
        Ok(normal.into_owned())
    }

    pub fn admin(&self) -> Option<AdminListener> {
        Some(AdminListener {
            address: self.admin?,
            token: self.admin_token.clone(),
        })
    }

    pub fn ctx(&self, path: &str) -> RequestCtx {
        RequestCtx {
            id: RequestId::random(),
            peer: (self.client, 0).into(),
            client: Some(self.client),
            path: Some(path.into()),
            scheme: if self.https { Scheme::Https } else { Scheme::Http },
            received: Instant::now(),
            notes: Notes::default(),
        }
    }
}

//! What is asked about: a request that is not sent.

use std::net::IpAddr;

use clap::Args;
use http::{HeaderName, HeaderValue, Method};

use super::ExplainError;
use crate::cli::pools::{AdminListener, admin_address};
use crate::client::endpoint::Endpoint;
use crate::config::Config;
use crate::config::rehearsal::{self, Asked, RehearsalError};
use crate::request::Scheme;

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
    pub admin: Option<Endpoint>,
    /// What that listener wants to hear, where its configuration has a token
    #[arg(long, value_name = "TOKEN", env = "VEIL_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
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
        let (scheme, host, path) = rehearsal::url(url)?;
        Ok(Self {
            host: host.to_owned(),
            path,
            https: scheme == Scheme::Https,
            ..self.clone()
        })
    }

    /// The request itself.
    pub fn asked(&self, config: &Config) -> Result<Asked, ExplainError> {
        let scheme = if self.https { Scheme::Https } else { Scheme::Http };
        let mut asked = Asked::new(&self.method, scheme, &self.host, &self.path, self.client)?;
        for (name, value) in &self.headers {
            let target = |_| RehearsalError::Target(self.path.clone());
            asked.head.append_header(name.clone(), value.clone()).map_err(target)?;
        }
        asked.comes_by(self.listener.as_ref(), config)?;
        Ok(asked)
    }

    pub fn admin(&self) -> Option<AdminListener> {
        Some(AdminListener {
            address: self.admin.clone()?,
            token: self.admin_token.clone(),
        })
    }
}

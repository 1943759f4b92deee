//! One check: a request over Pingora's connector, under one deadline and a cap on the body. Pingora's own
//! `HttpHealthCheck` looks at the header alone and drains a body without end.

use std::sync::Arc;

use pingora::ErrorType;
use pingora::connectors::L4Connect;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::{HttpPeer, Peer};

use super::config::HealthConfig;
use super::expect::Unexpected;
use crate::client::endpoint::Endpoint;
use crate::pool::members::backend::{Backend, Cause};
use crate::pool::transport::{Opening, Transport, head_of_answer};
use crate::program;

/// What a check found.
#[derive(Debug)]
pub enum CheckResult {
    Well,
    Unwell(Reason),
    /// Says that it is about to end: no new requests, but no failure either.
    Draining,
    /// Says that it has no room: neither well nor unwell.
    Busy,
    /// This host has no descriptor or port left to ask it: nothing is known.
    Unasked,
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    #[error("no answer within {0}")]
    TimedOut(crate::yaml::units::Duration),
    #[error("{}", described(.0))]
    Connection(#[from] Box<pingora::Error>),
    #[error("the answer is longer than {0}")]
    TooLong(crate::yaml::units::ByteSize),
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
}

impl Reason {
    pub fn cause(&self) -> Cause {
        match self {
            Self::TimedOut(_) => Cause::Timeout,
            Self::Connection(_) => Cause::Connection,
            Self::Unexpected(Unexpected::Status { .. }) => Cause::Status,
            Self::Unexpected(_) | Self::TooLong(_) => Cause::Answer,
        }
    }
}

pub struct Check {
    config: HealthConfig,
    transport: Arc<Transport>,
    connector: Connector,
}

impl Check {
    /// Over the same transport as requests.
    pub fn new(config: &HealthConfig, transport: &Arc<Transport>) -> Self {
        Self {
            config: config.clone(),
            transport: Arc::clone(transport),
            connector: Connector::new(None),
        }
    }

    pub fn config(&self) -> &HealthConfig {
        &self.config
    }

    /// Asks a backend.
    pub async fn run(&self, backend: &Backend) -> CheckResult {
        let timeout = self.config.timeout;
        match tokio::time::timeout(timeout.get(), self.ask(backend)).await {
            Ok(Ok(result)) => result,
            Ok(Err(Reason::Connection(error))) if is_local(&error) => {
                program::tell_of_lack(&error);
                CheckResult::Unasked
            }
            Ok(Err(reason)) => CheckResult::Unwell(reason),
            Err(_) => CheckResult::Unwell(Reason::TimedOut(timeout)),
        }
    }

    async fn ask(&self, backend: &Backend) -> Result<CheckResult, Reason> {
        let opening = Opening {
            transport: Arc::clone(&self.transport),
            endpoint: backend.address().at_port(self.config.port),
            host: backend.host().cloned(),
        };
        let host = self.host(&opening.endpoint);
        // A new connection each time: one that is kept can hide that new ones are refused.
        let mut peer = HttpPeer::new(opening.endpoint.as_inet(), false, String::new());
        let opening = Arc::new(opening);
        if self.config.tcp {
            opening.connect(peer.address()).await?;
            return Ok(CheckResult::Well);
        }
        peer.options.custom_l4 = Some(opening);
        let (mut session, _) = self.connector.get_http_session(&peer).await?;
        session.write_request_header(Box::new(self.request(host)?)).await?;
        session.finish_request_body().await?;
        let head = head_of_answer(&mut session).await?;
        let status = head.status.as_u16();
        let body = match status == BUSY_OR_DRAINING || self.config.expect.wants_body() {
            true => self.body(&mut session).await?,
            false => Vec::new(),
        };
        let json = serde_json::from_slice(&body).ok();
        if status == BUSY_OR_DRAINING {
            match json
                .as_ref()
                .and_then(|json: &serde_json::Value| json.get("status")?.as_str())
            {
                Some("draining") => return Ok(CheckResult::Draining),
                Some("busy") => return Ok(CheckResult::Busy),
                _ => {}
            }
        }
        self.config
            .expect
            .matches(status, &head.headers, &body, json.as_ref())?;
        Ok(CheckResult::Well)
    }

    /// The `Host` to ask for. A Unix socket has no name of its own.
    fn host(&self, endpoint: &Endpoint) -> String {
        let usual = || {
            endpoint
                .inet()
                .map_or("localhost".to_owned(), |address| address.to_string())
        };
        self.config.host.clone().unwrap_or_else(usual)
    }

    fn request(&self, host: String) -> Result<RequestHeader, Box<pingora::Error>> {
        let mut head = RequestHeader::build(self.config.method.as_str(), self.config.path.as_bytes(), None)?;
        head.insert_header("Host", host)?;
        head.insert_header(
            "User-Agent",
            concat!("veil/", env!("CARGO_PKG_VERSION"), " (health check)"),
        )?;
        head.insert_header("Connection", "close")?;
        for (name, value) in &self.config.headers {
            head.insert_header(name.clone(), value)?;
        }
        Ok(head)
    }

    async fn body(&self, session: &mut HttpSession) -> Result<Vec<u8>, Reason> {
        let mut body = Vec::new();
        while let Some(chunk) = session.read_response_body().await? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > self.config.max_body.get() {
                return Err(Reason::TooLong(self.config.max_body));
            }
        }
        Ok(body)
    }
}

/// With its cause, where there is one: that of a handshake says what to do.
fn described(error: &pingora::Error) -> String {
    match &error.cause {
        Some(cause) => format!("{}: {cause:.200}", error.etype().as_str()),
        None => error.etype().as_str().to_owned(),
    }
}

/// What Pingora makes of errors before the backend had a part in it.
fn is_local(error: &pingora::Error) -> bool {
    matches!(
        error.etype(),
        ErrorType::InternalError | ErrorType::SocketError | ErrorType::BindError
    )
}

const BUSY_OR_DRAINING: u16 = 503;

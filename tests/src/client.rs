//! The tests' HTTP client: a status is never an error, no redirect is followed, and no proxy of the environment is
//! asked. It reads an answer only once it has sent its body, so a refusal amid an upload may be an error here.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use ureq::http::request::Builder;
use ureq::http::{HeaderMap, Method, StatusCode};
use ureq::{Agent, Body, Error};

/// Keeps its connections; those of two clients are apart.
pub struct Client(Agent);

pub fn client() -> Client {
    let settings = Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE));
    Client(settings.build().into())
}

impl Client {
    pub fn get(&self, url: impl AsRef<str>) -> Request {
        self.request(Method::GET, url.as_ref())
    }

    pub fn post(&self, url: impl AsRef<str>) -> Request {
        self.request(Method::POST, url.as_ref())
    }

    pub fn put(&self, url: impl AsRef<str>) -> Request {
        self.request(Method::PUT, url.as_ref())
    }

    fn request(&self, method: Method, url: &str) -> Request {
        Request {
            agent: self.0.clone(),
            head: Builder::new().method(method).uri(url),
            body: Bytes::new(),
            timeout: PATIENCE,
        }
    }
}

#[must_use = "nothing is sent before `send`"]
pub struct Request {
    agent: Agent,
    head: Builder,
    body: Bytes,
    timeout: Duration,
}

impl Request {
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.head = self.head.header(name, value.as_ref());
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// For the whole exchange, until the end of the answer's body.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Waits for the answer's head.
    pub fn send(self) -> Result<Response, Error> {
        let has_body = self.head.method_ref() != Some(&Method::GET);
        let answer = match has_body {
            true => run(&self.agent, self.timeout, self.head.body(&self.body[..])?),
            false => run(&self.agent, self.timeout, self.head.body(())?),
        };
        answer.map(Response)
    }
}

fn run(
    agent: &Agent,
    timeout: Duration,
    request: ureq::http::Request<impl ureq::AsSendBody>,
) -> Result<ureq::http::Response<Body>, Error> {
    let request = agent.configure_request(request).timeout_global(Some(timeout)).build();
    agent.run(request)
}

pub struct Response(ureq::http::Response<Body>);

impl Response {
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    pub fn bytes(self) -> Result<Vec<u8>, Error> {
        let body = self.0.into_body().into_with_config();
        body.limit(LARGEST_ANSWER).read_to_vec()
    }

    pub fn text(self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.bytes()?).into_owned())
    }

    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes()?).map_err(|error| Error::Other(error.into()))
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes.
const LARGEST_ANSWER: u64 = 1 << 30;

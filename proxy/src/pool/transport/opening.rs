//! A new connection to a backend where Pingora asks for one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::VirtualSocketStream;
use pingora::{Error, ErrorType};

use super::connect::{Target, Transport};
use crate::client::endpoint::Endpoint;
use crate::program;

pub struct Opening {
    pub transport: Arc<Transport>,
    pub endpoint: Endpoint,
    /// As it was written, for TLS.
    pub host: Option<Arc<str>>,
}

#[async_trait]
impl L4Connect for Opening {
    async fn connect(&self, _: &SocketAddr) -> pingora::Result<Stream> {
        let target = Target {
            endpoint: &self.endpoint,
            host: self.host.as_deref(),
        };
        let channel = self.transport.open(target, None).await.map_err(|error| {
            let kind = match program::lacks_means(&error) {
                true => ErrorType::InternalError,
                false => ErrorType::ConnectError,
            };
            Error::because(kind, "connecting to a backend", error)
        })?;
        Ok(VirtualSocketStream::new(Box::new(channel)).into())
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({})", self.endpoint)
    }
}

//! What a client speaks.

use http::Version;
use pingora::protocols::http::ServerSession;

/// Whether a client's session is one of several on its connection. It is none of Pingora's own then.
pub(super) fn is_http2(session: &ServerSession) -> bool {
    session.req_header().version == Version::HTTP_2
}

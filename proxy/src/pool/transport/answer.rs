//! What comes back to a request of Veil's own.

use http::StatusCode;
use pingora::http::ResponseHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::{Error, ErrorType};

/// The head of the answer itself. What only announces it says nothing of it (RFC 9110, section 15.2), and has no body to be read.
pub async fn head_of_answer(session: &mut HttpSession) -> pingora::Result<ResponseHeader> {
    for _ in 0..MOST_HEADS {
        session.read_response_header().await?;
        match session.response_header() {
            Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => break,
            Some(head) if head.status.is_informational() => {}
            Some(head) => return Ok(head.clone()),
            None => break,
        }
    }
    Err(Error::new(ErrorType::InvalidHTTPHeader))
}

const MOST_HEADS: usize = 16;

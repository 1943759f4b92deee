//! The one way in which Veil answers in a backend's place: a refusal, which goes through Pingora as an error's cause
//! wherever the request is, and is written when Pingora has given the request up.

use std::error;
use std::fmt;

use bytes::Bytes;
use http::{Method, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};

use super::Exchange;
use crate::body::{self, ReadError, Violation};
use crate::request::problem::Problem;
use crate::request::problem::{self, X_REQUEST_ID};

/// What the client is told.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub problem: Problem,
    /// The methods that would do.
    allow: Option<String>,
}

impl Refusal {
    pub fn of_method(allowed: &[Method]) -> Self {
        let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        Self {
            problem: problem::METHOD_NOT_ALLOWED,
            allow: Some(names.join(", ")),
        }
    }

    /// The refusal that an error carries.
    pub fn behind(error: &Error) -> Option<Self> {
        error.cause.as_ref()?.downcast_ref::<Self>().cloned()
    }

    /// What to tell the client of an error; nothing where it has left.
    pub fn in_error(error: &Error) -> Option<Self> {
        if let Some(refusal) = Self::behind(error) {
            return Some(refusal);
        }
        if let Some(problem) = ReadError::problem_in(error) {
            return Some(problem.into());
        }
        let problem = match (error.esource(), error.etype()) {
            (ErrorSource::Downstream, ErrorType::ReadTimedout) => problem::REQUEST_TIMEOUT,
            // Pingora has looked through Connection for what not to pass on.
            (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader) => Violation::Connection.problem(),
            (ErrorSource::Downstream, _) => return None,
            _ => problem::INTERNAL,
        };
        Some(problem.into())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, allow: None }
    }
}

impl From<Refusal> for Box<Error> {
    fn from(refusal: Refusal) -> Self {
        let status = ErrorType::HTTPStatus(refusal.problem.status.as_u16());
        let mut error = Error::because(status, "refused", refusal);
        error.esource = ErrorSource::Internal;
        error
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.problem.code)
    }
}

impl error::Error for Refusal {}

impl Exchange {
    /// Answers with a problem in a backend's place.
    pub(super) async fn refuse(&mut self, session: &mut Session, refusal: Refusal) -> pingora::Result<()> {
        self.refused = Some(refusal.problem);
        let (mut head, body) = refusal.problem.response(&self.request()?.id)?;
        if let Some(allow) = refusal.allow {
            head.insert_header(header::ALLOW, allow)?;
        }
        self.send(session, head, body).await
    }

    /// Answers with what a filter made.
    pub(super) async fn answer(
        &mut self,
        session: &mut Session,
        response: http::Response<Bytes>,
    ) -> pingora::Result<()> {
        let (parts, body) = response.into_parts();
        let mut head = ResponseHeader::from(parts);
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
        self.send(session, head, body).await
    }

    /// A request's body that has not been read ends its connection with the answer.
    async fn send(&mut self, session: &mut Session, mut head: ResponseHeader, content: Bytes) -> pingora::Result<()> {
        self.let_body_go(session).await;
        self.dress(&mut head, session)?;
        let is_head = session.req_header().method == Method::HEAD;
        let content = if is_head { Bytes::new() } else { content };
        session
            .write_response_header(Box::new(head), content.is_empty())
            .await?;
        session.write_response_body(Some(content), true).await?;
        body::linger(&mut session.downstream_session).await;
        Ok(())
    }

    /// What every answer gets on its way out.
    pub(super) fn dress(&self, head: &mut ResponseHeader, session: &Session) -> pingora::Result<()> {
        let request = self.request()?;
        head.insert_header(X_REQUEST_ID, request.id.as_str())?;
        for filter in self.filters().iter().rev() {
            filter.on_response(head, session.req_header(), request);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_through_pingora_unharmed() {
        let refusal = Refusal::of_method(&[Method::GET, Method::PUT]);
        let error: Box<Error> = refusal.into();
        assert_eq!(error.etype(), &ErrorType::HTTPStatus(405));
        let found = Refusal::in_error(&error).map(|refusal| (refusal.problem.code, refusal.allow));
        assert_eq!(found, Some(("method_not_allowed", Some("GET, PUT".to_owned()))));
    }

    #[test]
    fn says_nothing_to_a_client_that_has_left() {
        let left = Error::new_down(ErrorType::ConnectionClosed);
        assert!(Refusal::in_error(&left).is_none());
        let inside = Refusal::in_error(&Error::new_up(ErrorType::ReadError));
        assert_eq!(inside.map(|refusal| refusal.problem.code), Some("internal"));
    }
}

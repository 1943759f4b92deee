//! The one way in which Veil answers in a backend's place: a refusal, which goes through Pingora as an error's cause
//! wherever the request is, and is written when Pingora has given the request up.

use std::error;
use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};

use super::body_changes::BodyChanges;
use super::{Exchange, Stage};
use crate::body::{ReadError, Violation};
use crate::filter::{Besides, Content};
use crate::request::connection::OnConnection;
use crate::request::problem::Problem;
use crate::request::problem::{self, X_REQUEST_ID};
use crate::request::syntax::titled;

/// What the client is told.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub problem: Problem,
    /// What would do: `Allow`, or `WWW-Authenticate`.
    field: Option<Box<(HeaderName, HeaderValue)>>,
    /// In the place of the problem's own words.
    detail: Option<Box<str>>,
}

impl Refusal {
    pub fn of_method(allowed: &[Method]) -> Self {
        let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        let names = HeaderValue::try_from(names.join(", ")).ok();
        Self {
            problem: problem::METHOD_NOT_ALLOWED,
            field: names.map(|names| Box::new((header::ALLOW, names))),
            detail: None,
        }
    }

    pub fn with(problem: Problem, besides: Besides) -> Self {
        Self {
            problem,
            field: besides.field.map(Box::new),
            detail: besides.detail,
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
            // Amid its answer, or in what follows a change of protocol.
            (ErrorSource::Upstream, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => problem::UPSTREAM_TIMEOUT,
            (ErrorSource::Upstream, _) => problem::UPSTREAM_FAILED,
            _ => problem::INTERNAL,
        };
        Some(problem.into())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::with(problem, Besides::default())
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

/// Nginx's status for a connection that ends without a word, which scanners are left with.
pub(super) const NO_ANSWER: u16 = 444;

impl Exchange {
    /// Answers with a problem in a backend's place.
    pub(super) async fn refuse(&mut self, session: &mut Session, refusal: Refusal) -> pingora::Result<()> {
        if self.is_answered_elsewhere(session, refusal.problem.status).await? {
            return Ok(());
        }
        self.refused = Some(refusal.problem);
        let request = self.request()?;
        let script = request.notes.failed_script.place();
        let script = script
            .as_deref()
            .filter(|_| refusal.problem == problem::SCRIPT_FAILED)
            .map(|script| ("script", script));
        let detail = refusal.detail.as_deref().map(|detail| ("detail", detail));
        let more: Vec<_> = script.into_iter().chain(detail).collect();
        let (mut head, mut body) = refusal.problem.response_with(&request.id, &more)?;
        if let Some(page) = self.page_of(head.status, &mut head)? {
            body = page;
        }
        if self.rules.state.config.problems.storable {
            head.remove_header(&header::CACHE_CONTROL);
        }
        if let Some((name, value)) = refusal.field.map(|field| *field) {
            head.insert_header(name, value)?;
        }
        self.send(session, head, body.into()).await
    }

    /// Answers with what a filter made; not at all where its status is [`NO_ANSWER`].
    pub(super) async fn answer(
        &mut self,
        session: &mut Session,
        response: http::Response<Content>,
    ) -> pingora::Result<()> {
        if response.status() == NO_ANSWER {
            session.set_keepalive(None);
            self.request_mut()?.notes.status = Some(NO_ANSWER);
            return Ok(());
        }
        let (parts, mut body) = response.into_parts();
        let mut head = ResponseHeader::build(parts.status, Some(parts.headers.len()))?;
        for (name, value) in &parts.headers {
            head.append_header(titled(name), value)?;
        }
        if body.length() == 0
            && let Some(page) = self.page_of(head.status, &mut head)?
        {
            body = page.into();
        }
        let is_empty = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if is_empty || head.status == StatusCode::RESET_CONTENT {
            body = Bytes::new().into();
        }
        if !is_empty {
            head.insert_header(header::CONTENT_LENGTH, body.length())?;
        }
        self.send(session, head, body).await
    }

    /// The page of a status, where Veil's own answers are pages.
    fn page_of(&self, status: StatusCode, head: &mut ResponseHeader) -> pingora::Result<Option<Bytes>> {
        let known_as = self.request()?.notes.known_as;
        let page = self.rules.state.config.problems.page(status, known_as);
        if let Some(page) = &page {
            head.insert_header(header::CONTENT_TYPE, "text/html")?;
            head.insert_header(header::CONTENT_LENGTH, page.len())?;
        }
        Ok(page)
    }

    /// Whether a further request may follow on the client's connection, and how long that is waited for.
    pub(super) fn keeps_connection(&self) -> bool {
        self.arrived().is_none_or(|arrived| {
            let (keeping, connection) = (arrived.request.notes.keeping, &arrived.connection);
            connection.waits_for(keeping.and_then(|keeping| keeping.idle));
            connection.is_kept_after(keeping)
        })
    }

    /// What every answer gets on its way out. What its body is to become is told, and its length fits that.
    pub(super) fn dress(&mut self, head: &mut ResponseHeader, session: &Session) -> pingora::Result<BodyChanges> {
        let mut changes = BodyChanges::default();
        let is_backends = matches!(self.stage, Stage::Answered(_));
        let request = self.request_mut()?;
        if let Some(status) = request
            .notes
            .answer_with
            .filter(|_| is_backends || head.status.is_success())
        {
            let had_no_body = head.status == StatusCode::NO_CONTENT;
            head.set_status(status)?;
            if let Some(location) = request.notes.location.take() {
                head.insert_header(titled(&header::LOCATION), location)?;
            }
            if had_no_body {
                head.insert_header(header::CONTENT_LENGTH, 0)?;
            }
        }
        request.notes.status = Some(head.status.as_u16());
        request.notes.answer_type = head.headers.get(header::CONTENT_TYPE).cloned();
        head.insert_header(X_REQUEST_ID, request.id.as_str())?;
        // What comes before the answer is none, nor is another protocol's beginning.
        if head.status.is_informational() {
            return Ok(changes);
        }
        let request = self.request()?;
        for filter in self.filters().iter().rev() {
            let Some(change) = filter.on_response(head, session.req_header(), request) else {
                continue;
            };
            changes.add(change);
            if let Some(body) = &changes.replaced {
                head.remove_header(&header::TRANSFER_ENCODING);
                head.insert_header(header::CONTENT_LENGTH, body.len())?;
            }
        }
        self.request_mut()?.notes.take_late();
        if changes.transforms() {
            head.remove_header(&header::CONTENT_LENGTH);
            head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        Ok(changes)
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
        let found = Refusal::in_error(&error).map(|refusal| (refusal.problem.code, refusal.field));
        let allow = (header::ALLOW, HeaderValue::from_static("GET, PUT"));
        assert_eq!(found, Some(("method_not_allowed", Some(Box::new(allow)))));
    }

    #[test]
    fn says_nothing_to_a_client_that_has_left() {
        let left = Error::new_down(ErrorType::ConnectionClosed);
        assert!(Refusal::in_error(&left).is_none());
    }

    #[test]
    fn tells_a_backends_fault_from_its_own() {
        for (error, code) in [
            (Error::new_in(ErrorType::InternalError), "internal"),
            (Error::new_up(ErrorType::ReadError), "upstream_failed"),
            (Error::new_up(ErrorType::ConnectionClosed), "upstream_failed"),
            (Error::new_up(ErrorType::ReadTimedout), "upstream_timeout"),
            (Error::new_up(ErrorType::WriteTimedout), "upstream_timeout"),
        ] {
            let told = Refusal::in_error(&error).map(|refusal| refusal.problem.code);
            assert_eq!(told, Some(code), "{error}");
        }
    }
}

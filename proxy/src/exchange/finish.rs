//! The end of a request: its line in the access log, its numbers, its backend's place.

use std::net::IpAddr;
use std::time::SystemTime;

use http::Version;
use pingora::proxy::Session;

use super::{Exchange, host};
use crate::observe::access_log::Line;
use crate::observe::metrics::{Finished, NO_ROUTE};
use crate::pool::Outcome;

impl Exchange {
    /// Ends the request: its line, its numbers, its backend's place.
    pub fn finish(&mut self, session: &Session, error: Option<&pingora::Error>) {
        self.end_race();
        self.report(Outcome::Cancelled);
        let Some(request) = &self.request else { return };
        let status = match session.response_written() {
            Some(head) if !head.status.is_informational() => head.status.as_u16(),
            _ => CLIENT_LEFT,
        };
        let duration = request.received.elapsed();
        let route = self.service.as_ref().map(|service| service.route.name.as_str());
        let (request_bytes, response_bytes) = (session.body_bytes_read() as u64, session.body_bytes_sent() as u64);
        let route_label = route.unwrap_or(NO_ROUTE);
        self.shared.metrics.finished(&Finished {
            route: route_label,
            status,
            duration,
            request_bytes,
            response_bytes,
        });
        if self.state.access_log.is_on() {
            let head = session.req_header();
            self.state.access_log.write(&Line {
                time: SystemTime::now(),
                id: request.id.as_str(),
                client: self.logged_client(request.client),
                method: head.method.as_str(),
                host: host(head),
                path: head.uri.path(),
                protocol: protocol(head.version),
                status,
                code: self.problem.as_ref().map(|problem| problem.code),
                request_bytes,
                response_bytes,
                duration,
                route,
                pool: self
                    .service
                    .as_ref()
                    .and_then(|service| service.pool.as_ref())
                    .map(|pool| pool.name()),
                backend: self.trial.as_ref().map(|trial| trial.lease.backend().name()),
                attempts: self.attempt.sent,
                upstream: self.trial.as_ref().and_then(|trial| trial.answered),
                error: self.named(error),
            });
        }
        self.trial = None;
    }

    /// What the line calls an error; where Veil has refused the request itself, the rule behind that.
    fn named<'a>(&self, error: Option<&'a pingora::Error>) -> Option<&'a str> {
        match error.map(pingora::Error::etype) {
            None | Some(pingora::ErrorType::HTTPStatus(_)) => self.problem.and_then(|problem| problem.reason),
            Some(etype) => Some(etype.as_str()),
        }
    }

    fn logged_client(&self, client: IpAddr) -> Option<IpAddr> {
        self.state.access_log.config().client_address.keep(client)
    }
}

/// Nginx's status for a client that left before its answer.
const CLIENT_LEFT: u16 = 499;

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP",
    }
}

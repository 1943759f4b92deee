//! A head that no request could be made of: its line in the access log, with what can be read of it.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderName, HeaderValue, Version};
use memchr::memmem;
use pingora::http::RequestHeader;

use super::arrived::Arrived;
use crate::body::RefusedHead;
use crate::client::connection::Connection;
use crate::observe::access_log::Line;
use crate::request::syntax::{host, is_token, protocol};
use crate::script::Seen;
use crate::state::Shared;

/// Writes the line of what came over `connection`.
pub fn log(shared: &Shared, connection: &Arc<Connection>, refused: &RefusedHead) {
    let state = shared.state.load();
    let log = state.logs.main();
    let duration = connection.reading_for();
    let first_line = first_line(&refused.bytes);
    let (is_readable, head) = match readable(&refused.bytes) {
        Some(head) => (true, head),
        None => (false, nothing_readable()),
    };
    let mut request = Arrived::over(Arc::clone(connection), &head, None).request;
    let status = refused.problem.status.as_u16();
    request.notes.status = Some(status);
    if !log.wants(Seen::of(&head, &request)) {
        return;
    }
    let known = |text| if is_readable { text } else { "" };
    log.write(&Line {
        time: SystemTime::now(),
        id: request.id.as_str(),
        client: request
            .client
            .and_then(|client| log.config().client_address.keep(client)),
        method: known(head.method.as_str()),
        host: host(&head),
        path: known(head.uri.path()),
        protocol: protocol(head.version),
        status,
        code: Some(refused.problem.code),
        request_bytes: 0,
        response_bytes: body_length(&refused.words),
        duration,
        route: None,
        pool: None,
        backend: None,
        attempts: 0,
        upstream: None,
        error: refused.problem.reason,
        user: None,
        api_key: None,
        trace_id: None,
        request: &head,
        refused_line: Some(first_line),
        ctx: Some(&request),
        response: None,
        scheme: request.scheme.as_str(),
        backend_address: None,
        upstream_status: None,
        tls: request.notes.tls.as_deref(),
        script: None,
        noted: &[],
    });
}

fn first_line(head: &[u8]) -> &[u8] {
    lines(head).next().unwrap_or_default()
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end)
}

/// As much of a head as can be; none where its first line is none.
fn readable(head: &[u8]) -> Option<RequestHeader> {
    let mut lines = lines(head);
    let mut words = lines.next()?.splitn(3, |byte| *byte == b' ');
    let method = words.next().filter(|method| is_token(method))?;
    let target = words.next().filter(|target| !target.is_empty())?;
    let mut request = RequestHeader::build(method, target, None).ok()?;
    if words.next() == Some(b"HTTP/1.0") {
        request.set_version(Version::HTTP_10);
    }
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = field(line) {
            let _ = request.append_header(name, value);
        }
    }
    Some(request)
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
}

/// What stands for a request in conditions and formats.
fn nothing_readable() -> RequestHeader {
    RequestHeader::build("-", b"/", None).expect("a token and a path")
}

fn body_length(answer: &[u8]) -> u64 {
    let end = memmem::find(answer, b"\r\n\r\n").map_or(answer.len(), |end| end + 4);
    (answer.len() - end) as u64
}

//! A client's HTTP/2 connection: its streams handed to Pingora, its idling, its end.

mod stream;
mod window;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use h2::Reason;
use http::{HeaderValue, header};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::v2::server::default_h2_options;
use pingora::protocols::{Digest, Stream as Transport};
use pingora::server::ShutdownWatch;
use tokio::time::{sleep, timeout};

use self::stream::Stream;
use self::window::{LOOK_AGAIN, WIDEST, Window};
use crate::body::FLOOD;
use crate::client::connection::{Cause, Entered};
use crate::server::proxy::{FAREWELL, Proxy};

/// Serves its requests, until the client leaves or idles for too long, or, at the end of the process, those that were
/// under way have been answered.
pub async fn serve(stream: Transport, entered: &Entered, proxy: &Arc<Proxy>, shutdown: &ShutdownWatch) {
    entered.multiplex();
    let digest = Arc::new(digest_of(&stream));
    // A client that leaves meanwhile is no news.
    let mut options = default_h2_options();
    options.initial_window_size(WIDEST);
    options.max_concurrent_streams(entered.listener.config.max_streams.get());
    let mut connection = match options.handshake(stream).await {
        Ok(connection) => connection,
        Err(error) => return tell_end(entered, &error),
    };
    let mut window = Window::default();
    let mut stopping = shutdown.clone();
    let mut told = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = told_to_stop(&mut stopping), if !told => {
                connection.graceful_shutdown();
                told = true;
                continue;
            }
            () = entered.is_to_end(), if !told => {
                connection.graceful_shutdown();
                told = true;
                continue;
            }
            accepted = connection.accept() => accepted,
            () = entered.asked_to_leave() => break,
            () = sleep(LOOK_AGAIN), if window.is_wide() => {
                if window.is_wanted_by_others() && !entered.is_busy() {
                    break;
                }
                continue;
            }
        };
        match accepted {
            Some(Ok((request, answer))) => {
                let stream = Stream::new(request, answer, &digest);
                if stream.has_body() && window.widen_for(stream.promised_length()) {
                    connection.set_target_window_size(window.bytes());
                }
                begin(stream, entered, proxy, shutdown);
            }
            None => return,
            Some(Err(error)) => return tell_end(entered, &error),
        }
    }
    // Says which request was the last one taken, so that the client can send the next one elsewhere.
    connection.abrupt_shutdown(Reason::NO_ERROR);
    let _ = timeout(FAREWELL, poll_fn(|cx| connection.poll_closed(cx))).await;
}

fn digest_of(stream: &Transport) -> Digest {
    Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    }
}

/// Serves one request, beside those that are served already.
fn begin(mut stream: Stream, entered: &Entered, proxy: &Arc<Proxy>, shutdown: &ShutdownWatch) {
    join_cookies(stream.req_header_mut());
    let guard = entered.begin_stream();
    let (proxy, shutdown) = (Arc::clone(proxy), shutdown.clone());
    tokio::spawn(async move {
        let session = ServerSession::new_custom(Box::new(stream));
        proxy.serve(session, &shutdown).await;
        drop(guard);
    });
}

/// Counts a connection that has ended because its client would not keep to the rules. One that has left is no news.
fn tell_end(entered: &Entered, error: &h2::Error) {
    let cause = match error.get_io().map(io::Error::kind) {
        Some(FLOOD) => Cause::Flood,
        Some(io::ErrorKind::TimedOut) => Cause::Late,
        None if error.is_library() => Cause::Http2,
        _ => return,
    };
    entered.ends_because(cause);
}

/// An end of the sender is such a word as well.
async fn told_to_stop(stopping: &mut ShutdownWatch) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Browsers send a field for each cookie; HTTP/1.1 has one for all (RFC 9113, section 8.2.3).
fn join_cookies(head: &mut RequestHeader) {
    let cookies: Vec<&[u8]> = head
        .headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if cookies.len() < 2 {
        return;
    }
    // Values that are fit one by one are so together.
    if let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..])) {
        let _ = head.insert_header(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cookies_become_one_field_in_their_order() {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        for cookie in ["a=1", "b=2; c=3", "d="] {
            head.append_header(header::COOKIE, cookie).unwrap();
        }
        join_cookies(&mut head);
        let all: Vec<_> = head.headers.get_all(header::COOKIE).iter().collect();
        assert_eq!(all, ["a=1; b=2; c=3; d="]);
    }
}

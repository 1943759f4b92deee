//! What Veil says of itself while it runs.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::process;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::observe::outlet::{Outlet, Sink};
use crate::request::text::push_moment;

/// Libraries report what clients do wrong as their own errors, a line each; the access line says those things once, and
/// metrics count them.
const LOG_FILTER: &str =
    "info,h2=off,pingora_core=off,pingora_load_balancing=off,pingora_pool=off,pingora_proxy=off,rustls=off";

/// `VEIL_LOG` overrides what is logged, in the form of tracing's filters. For a person at a terminal it is text; anywhere
/// else each line is a JSON object, as the access log's are, between which it may stand. Where Veil stands for Nginx, lines are as those of its error log. Nobody waits for who reads it. Lines wait until the outlet is started.
pub fn log_to(sink: Sink, is_nginxs: bool) -> io::Result<Arc<Outlet>> {
    let is_read_by_a_person = matches!(sink, Sink::Stderr) && io::stderr().is_terminal();
    let outlet = Arc::new(Outlet::prepare(sink, "log", Duration::ZERO)?);
    let writer = Arc::clone(&outlet);
    let filter = EnvFilter::try_from_env("VEIL_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .with_target(false);
    if is_nginxs {
        log.event_format(NginxLines).init();
    } else if is_read_by_a_person {
        log.init();
    } else {
        log.json().flatten_event(true).with_current_span(false).init();
    }
    Ok(outlet)
}

/// An event in JSON that passes on what a worker said in JSON: tracing knows text alone, and here it becomes an object of the
/// event's own.
fn nested(event: &[u8]) -> Option<String> {
    event.windows(SAID.len()).position(|at| at == SAID)?;
    let mut event: Map<String, Value> = serde_json::from_slice(event).ok()?;
    let said = event.get_mut("said")?;
    *said = serde_json::from_str(said.as_str()?).ok()?;
    Some(format!("{}\n", Value::Object(event)))
}

const SAID: &[u8] = b",\"said\":\"";

/// `2026/11/30 04:17:30 [info] 123#123: *5 MESSAGE, client: 192.0.2.1, request: "GET / HTTP/1.1"`, in UTC.
struct NginxLines;

impl<S, N> FormatEvent<S, N> for NginxLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut moment = Vec::new();
        push_moment(&mut moment, SystemTime::now());
        let moment = String::from_utf8_lossy(&moment[..SECONDS])
            .replace('-', "/")
            .replace('T', " ");
        let mut said = Said::default();
        event.record(&mut said);
        let (level, process) = (level(*event.metadata().level()), process::id());
        writeln!(
            line,
            "{moment} [{level}] {process}#{process}: {}{}{}",
            said.connection, said.message, said.others
        )
    }
}

/// Of `2000-02-29T00:00:00`.
const SECONDS: usize = 19;

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}

/// What an event says, with its fields behind its message.
#[derive(Default)]
struct Said {
    connection: String,
    message: String,
    others: String,
}

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "connection" => self.connection = format!("*{value} "),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, ", {name}: {value:?}"),
        };
    }

    /// An empty text stands without quotes.
    fn record_str(&mut self, field: &Field, value: &str) {
        match value {
            "" => self.record_debug(field, &format_args!("")),
            value => self.record_debug(field, &value),
        }
    }
}

/// What tracing writes of one event goes out as a whole.
struct Lines(Arc<Outlet>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match nested(bytes) {
            Some(event) => self.0.write(|lines| lines.extend_from_slice(event.as_bytes())),
            None => self.0.write(|lines| lines.extend_from_slice(bytes)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_said_is_an_object_of_the_event() {
        let event =
            br#"{"level":"INFO","message":"request","worker":"worker-1","said":"{\"faces\":2,\"code\":\"ok\"}"}"#;
        let nested = nested(event).unwrap_or_default();
        assert_eq!(
            nested,
            "{\"level\":\"INFO\",\"message\":\"request\",\"said\":{\"code\":\"ok\",\"faces\":2},\"worker\":\"worker-1\"}\n"
        );
        for other in [
            &b"text"[..],
            br#"{"message":"x,\"said\":\"y"}"#,
            br#"{"a":1,"said":"not JSON"}"#,
        ] {
            assert_eq!(super::nested(other), None);
        }
    }
}

//! What a worker says, line by line, in our log: under its name, with one time and with the level it gave it.

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tracing::Level;

/// Forwards lines until the output ends.
pub async fn forward(output: impl AsyncRead + Unpin, pool: String, worker: String) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => Said::parse(&line).log(&pool, &worker),
        }
    }
}

/// In bytes; a longer line is logged in pieces.
const LONGEST_LINE: u64 = 8 << 10;

/// One line.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    level: Level,
    text: String,
    /// What else it says, as a JSON object.
    more: Option<String>,
}

impl Said {
    /// A JSON object with `level` and `message`, which is how the built-in worker logs, or any other text.
    fn parse(line: &[u8]) -> Self {
        let line = line.trim_ascii_end();
        serde_json::from_slice(line)
            .ok()
            .and_then(Self::structured)
            .unwrap_or_else(|| Self {
                level: Level::INFO,
                text: String::from_utf8_lossy(line).into_owned(),
                more: None,
            })
    }

    /// The message and the other fields. The time is left out: ours stands before it.
    fn structured(mut fields: Map<String, Value>) -> Option<Self> {
        let level = fields.remove("level")?.as_str()?.parse().ok()?;
        let text = fields.remove("message")?.as_str()?.to_owned();
        fields.remove("timestamp");
        let more = (!fields.is_empty()).then(|| Value::Object(fields).to_string());
        Some(Self { level, text, more })
    }

    fn log(&self, pool: &str, worker: &str) {
        let (text, said) = (&self.text, self.more.as_deref());
        match self.level {
            Level::ERROR => tracing::error!(pool, worker, said, "{text}"),
            Level::WARN => tracing::warn!(pool, worker, said, "{text}"),
            Level::INFO => tracing::info!(pool, worker, said, "{text}"),
            Level::DEBUG => tracing::debug!(pool, worker, said, "{text}"),
            Level::TRACE => tracing::trace!(pool, worker, said, "{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> (Level, String, Option<String>) {
        let Said { level, text, more } = Said::parse(line.as_bytes());
        (level, text, more)
    }

    #[test]
    fn a_workers_own_level_is_kept_and_its_time_is_not_said_twice() {
        let line = r#"{"timestamp":"2026-11-22T20:00:00Z","level":"WARN","message":"request","faces":2,"code":"ok"}"#;
        assert_eq!(
            said(line),
            (
                Level::WARN,
                "request".to_owned(),
                Some(r#"{"code":"ok","faces":2}"#.to_owned())
            )
        );
    }

    #[test]
    fn other_text_is_passed_on_as_it_is() {
        for line in [
            "Booting worker",
            r#"{"event":"start"}"#,
            r#"{"level":"loud","message":"hi"}"#,
        ] {
            assert_eq!(said(&format!("{line}\r\n")), (Level::INFO, line.to_owned(), None));
        }
    }
}

//! All logs of a configuration: the one for every request, and those that routes have of their own.

use std::io;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use serde_yaml::Value;

use super::{AccessLog, AccessLogConfig, Sample};
use crate::observe::outlet::Lost;

/// Which of a route's requests are logged (`on`, `off`, or a share of them, such as `1%`), or where they are logged in place of
/// the file's `access_log`: `{ to: /var/log/shop.log }`, or a list of several.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(with = "RouteLogSchema")]
pub enum RouteLog {
    Share(Sample),
    Own(Vec<AccessLogConfig>),
}

/// As the schema knows it.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it is for the schema alone")]
enum RouteLogSchema {
    Share(Sample),
    One(AccessLogConfig),
    Several(Vec<AccessLogConfig>),
}

impl Default for RouteLog {
    fn default() -> Self {
        Self::Share(Sample::default())
    }
}

impl RouteLog {
    /// The logs that it has of its own.
    pub fn own(&self) -> &[AccessLogConfig] {
        match self {
            Self::Share(_) => &[],
            Self::Own(logs) => logs,
        }
    }

    /// The same, to be changed.
    pub fn own_mut(&mut self) -> &mut [AccessLogConfig] {
        match self {
            Self::Share(_) => &mut [],
            Self::Own(logs) => logs,
        }
    }
}

impl<'de> Deserialize<'de> for RouteLog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |value: Value| match value {
            Value::Mapping(_) => serde_yaml::from_value(value).map(|log| Self::Own(vec![log])),
            Value::Sequence(logs) => {
                let logs: Result<_, _> = logs.into_iter().map(serde_yaml::from_value).collect();
                logs.map(Self::Own)
            }
            value => Sample::deserialize(value).map(Self::Share),
        };
        read(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Each log is opened once, however many routes write to it.
pub struct Logs {
    main: Arc<AccessLog>,
    others: Vec<Arc<AccessLog>>,
    /// Whether any says what has passed between Veil and a backend.
    tell_of_traffic: bool,
    /// Fields of backends' answers that any says.
    of_backends: Vec<HeaderName>,
}

impl Logs {
    /// Those of `previous` that have not changed live on.
    ///
    /// # Errors
    /// A file cannot be opened.
    pub fn open<'a>(
        main: &AccessLogConfig,
        others: impl Iterator<Item = &'a AccessLogConfig>,
        previous: Option<&Self>,
    ) -> io::Result<Self> {
        let open = |config: &AccessLogConfig| match previous.and_then(|previous| previous.like(config)) {
            Some(log) => Ok(log),
            None => AccessLog::open(config).map(Arc::new),
        };
        let mut logs = Self {
            main: open(main)?,
            others: Vec::new(),
            tell_of_traffic: false,
            of_backends: Vec::new(),
        };
        for config in others {
            if logs.like(config).is_none() {
                logs.others.push(open(config)?);
            }
        }
        let tell_of_traffic = logs.all().any(|log| log.tells_of_traffic());
        let of_backends = logs.all().flat_map(|log| log.fields_of_backends()).cloned().collect();
        Ok(Self {
            tell_of_traffic,
            of_backends,
            ..logs
        })
    }

    /// Whether any says what has passed between Veil and a backend.
    pub fn tell_of_traffic(&self) -> bool {
        self.tell_of_traffic
    }

    /// What they say of a backend's answer.
    pub fn wanted_of(&self, answer: &ResponseHeader) -> Vec<(HeaderName, HeaderValue)> {
        let field = |name: &HeaderName| Some((name.clone(), answer.headers.get(name)?.clone()));
        self.of_backends.iter().filter_map(field).collect()
    }

    /// The one for every request.
    pub fn main(&self) -> &Arc<AccessLog> {
        &self.main
    }

    /// The one that is just so, if there is one.
    pub fn like(&self, config: &AccessLogConfig) -> Option<Arc<AccessLog>> {
        self.all().find(|log| log.config() == config).cloned()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<AccessLog>> {
        [&self.main].into_iter().chain(&self.others)
    }

    /// Opens the files anew, after they were moved away.
    pub fn reopen(&self) {
        self.all().for_each(|log| log.reopen());
    }

    /// Writes what is left, and ends the logs.
    pub fn finish(&self) {
        self.all().for_each(|log| log.finish());
    }

    /// Lines that were not written.
    pub fn lost(&self) -> Lost {
        self.all().map(|log| log.lost()).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(yaml: &str) -> Result<RouteLog, serde_yaml::Error> {
        serde_yaml::from_str(yaml)
    }

    #[test]
    fn a_route_has_a_share_or_logs_of_its_own() {
        for (yaml, own) in [
            ("off", 0),
            ("1%", 0),
            ("{ to: stdout }", 1),
            ("[{ to: stdout }, { to: off }]", 2),
            ("[]", 0),
        ] {
            assert_eq!(read(yaml).unwrap().own().len(), own, "{yaml}");
        }
        for yaml in ["sometimes", "{ too: stdout }", "[off]", "{ format: $nothing }"] {
            assert!(read(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn each_is_opened_once_and_lives_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let own = read(&format!(
            "[{{ to: {0} }}, {{ to: {0} }}, {{ to: off }}]",
            path.display()
        ))
        .unwrap();
        let main = AccessLogConfig::default();
        let logs = Logs::open(&main, own.own().iter(), None).unwrap();
        assert_eq!(logs.others.len(), 2);
        let again = Logs::open(&main, own.own()[..1].iter(), Some(&logs)).unwrap();
        assert_eq!(again.others.len(), 1);
        assert!(Arc::ptr_eq(&logs.main, &again.main) && Arc::ptr_eq(&logs.others[0], &again.others[0]));
    }
}

//! `examples:` a configuration that tests itself: requests, and what is to become of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Method};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Config;
use super::effects::shown;
use super::rehearsal::{Asked, Ends, Rehearsal, RehearsalError, rehearse, url};
use crate::yaml::document::{Path, Step, steps};

/// One request, and what is to become of it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ExampleConfig {
    /// What it shows; its method and URL unless given.
    pub name: Option<String>,
    #[serde(default = "get")]
    pub method: String,
    /// `https://host/path?query`
    pub url: String,
    /// Who asks.
    #[serde(default = "somebody")]
    pub client: IpAddr,
    /// By which it comes; the first by its name unless given.
    pub listener: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub expect: Expected,
}

/// What is not said may be as it likes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    pub route: Option<String>,
    pub pool: Option<String>,
    /// Path and query that a backend gets.
    pub target: Option<String>,
    /// Header fields that a backend gets; null for none of that name.
    pub backend_gets: BTreeMap<String, Option<String>>,
    /// Of an answer of Veil's own.
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<u16>,
    /// A problem's `code`.
    pub code: Option<String>,
    /// Header fields of an answer of Veil's own; null for none of that name.
    pub headers: BTreeMap<String, Option<String>>,
}

fn get() -> String {
    "GET".to_owned()
}

/// An address that is for documents (RFC 5737).
fn somebody() -> IpAddr {
    [192, 0, 2, 1].into()
}

/// What has become of the examples otherwise than expected, each with its place.
///
/// # Errors
/// The system gives no means to wait.
pub fn failures(config: &Config) -> std::io::Result<Vec<(Path, String)>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let examples = config.examples.iter().enumerate();
    let failures = examples.flat_map(|(index, example)| {
        let at = steps!["examples", index].to_vec();
        runtime
            .block_on(example.differences(config))
            .into_iter()
            .map(move |(within, what)| ([at.clone(), within].concat(), what))
    });
    Ok(failures.collect())
}

impl ExampleConfig {
    fn title(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| format!("{} {}", self.method, self.url))
    }

    fn asked(&self, config: &Config) -> Result<Asked, RehearsalError> {
        let (scheme, host, target) = url(&self.url)?;
        let method =
            Method::from_bytes(self.method.as_bytes()).map_err(|_| RehearsalError::Target(self.method.clone()))?;
        let mut asked = Asked::new(&method, scheme, host, &target, self.client)?;
        asked.comes_by(self.listener.as_ref(), config)?;
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(|_| RehearsalError::Target(name.clone()))?;
            asked
                .head
                .append_header(name, value.as_str())
                .map_err(|_| RehearsalError::Target(value.clone()))?;
        }
        Ok(asked)
    }

    /// Where it goes another way than expected, with the place in the example.
    async fn differences(&self, config: &Config) -> Vec<(Path, String)> {
        let title = self.title();
        let rehearsal = match self.asked(config) {
            Ok(asked) => rehearse(config, asked).await,
            Err(error) => Err(error),
        };
        match rehearsal {
            Ok(rehearsal) => {
                let found = self.expect.compared(&rehearsal);
                let what = |(within, what): (Path, String)| {
                    (
                        [&steps!["expect"][..], within.as_slice()].concat(),
                        format!("example {title:?}: {what}"),
                    )
                };
                found.into_iter().map(what).collect()
            }
            Err(error) => vec![(Path::new(), format!("example {title:?}: {error}"))],
        }
    }
}

impl Expected {
    fn compared(&self, rehearsal: &Rehearsal<'_>) -> Vec<(Path, String)> {
        let mut differences = Differences {
            course: course(rehearsal),
            found: Vec::new(),
        };
        let route = rehearsal.route.map(|route| route.name());
        differences.one("route", self.route.as_deref(), route.as_deref());
        let (mut pool, mut target, mut status, mut problem) = (None, None, None, None);
        let (mut answer, mut sent) = (Err("Veil gives no answer of its own"), Err("no backend gets it"));
        match &rehearsal.ends {
            Ends::Answered(head, code) => {
                (status, problem, answer) = (Some(head.status.as_u16().to_string()), *code, Ok(&head.headers));
            }
            Ends::Sent(name, head) => {
                (pool, sent) = (name.as_deref(), Ok(&head.headers));
                target = Some(String::from_utf8_lossy(head.raw_path()).into_owned());
            }
        }
        differences.one("pool", self.pool.as_deref(), pool);
        differences.one("target", self.target.as_deref(), target.as_deref());
        let expected = self.status.map(|status| status.to_string());
        differences.one("status", expected.as_deref(), status.as_deref());
        differences.one("code", self.code.as_deref(), problem);
        differences.fields("backend_gets", &self.backend_gets, sent);
        differences.fields("headers", &self.headers, answer);
        differences.found
    }
}

struct Differences {
    /// What has become of the request, in words.
    course: String,
    found: Vec<(Path, String)>,
}

impl Differences {
    fn one(&mut self, key: &str, expected: Option<&str>, found: Option<&str>) {
        let Some(expected) = expected else { return };
        if found != Some(expected) {
            let found = found.map_or_else(|| "none".to_owned(), |found| format!("{found:?}"));
            let what = format!("expected {key} {expected:?}, found {found}: {}", self.course);
            self.found.push((steps![key].to_vec(), what));
        }
    }

    /// `found` says why where there is no such head, not even to have no field.
    fn fields(
        &mut self,
        key: &str,
        expected: &BTreeMap<String, Option<String>>,
        found: Result<&HeaderMap, &'static str>,
    ) {
        for (name, expected) in expected {
            let value = found.map(|found| {
                let parsed = HeaderName::try_from(name).ok();
                parsed.and_then(|parsed| shown(found, &parsed))
            });
            let told = |value: &Option<String>| {
                let value = value.as_ref();
                value.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
            };
            let found = match value {
                Ok(value) if value == *expected => continue,
                Ok(value) => format!("found {}", told(&value)),
                Err(why) => format!("but {why}"),
            };
            let what = format!("expected {name} {}, {found}: {}", told(expected), self.course);
            self.found
                .push((vec![Step::from(key), Step::from(name.as_str())], what));
        }
    }
}

fn course(rehearsal: &Rehearsal<'_>) -> String {
    let route = rehearsal.route.map_or_else(
        || "no route takes it".to_owned(),
        |route| format!("route {:?} takes it", route.name()),
    );
    let end = match (&rehearsal.ends, rehearsal.filters.last()) {
        (Ends::Answered(..), Some(filtered)) if filtered.answers.is_some() => {
            format!(
                "filter {} answers {}",
                filtered.filter,
                filtered.answers.as_deref().unwrap_or_default()
            )
        }
        (Ends::Answered(head, code), _) => {
            format!("Veil answers {} {}", head.status.as_u16(), code.unwrap_or_default())
        }
        (Ends::Sent(pool, _), _) => format!("it goes to pool {:?}", pool.as_deref().unwrap_or_default()),
    };
    format!("{route}, {end}")
}

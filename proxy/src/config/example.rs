//! `examples:` a configuration that tests itself: requests, and what is to become of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Config;
use super::effects::shown;
use super::rehearsal::{Asked, Ends, Rehearsal, RehearsalError, Stage, url};
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
    /// How often it is sent, of which the last time is judged: what is counted, limited or remembered shows so.
    #[serde(default = "once")]
    #[schemars(range(min = 1, max = 1000))]
    pub times: Times,
    /// What a backend that gets it answers; what clients then get is expected under `status` and `headers`.
    pub answer: Option<BackendAnswer>,
    pub expect: Expected,
}

/// The head of a backend's answer.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct BackendAnswer {
    #[schemars(range(min = 200, max = 599))]
    #[serde(default = "ok")]
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// From 1 to 1000.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "u16")]
pub struct Times(u16);

impl TryFrom<u16> for Times {
    type Error = String;

    fn try_from(times: u16) -> Result<Self, String> {
        match (1..=1000).contains(&times) {
            true => Ok(Self(times)),
            false => Err(format!("{times} times is out of range; write 1 to 1000")),
        }
    }
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
    /// Of an answer of Veil's own, or of a backend's that stands under `answer`.
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<u16>,
    /// A problem's `code`.
    pub code: Option<String>,
    /// Header fields of that answer; null for none of that name.
    pub headers: BTreeMap<String, Option<String>>,
    /// A text that the body of an answer of Veil's own holds.
    pub body: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

fn once() -> Times {
    Times(1)
}

fn ok() -> u16 {
    200
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
        for (name, value) in &self.headers {
            let (name, value) = field(name, value)?;
            asked
                .head
                .append_header(name, value)
                .map_err(|_| RehearsalError::Field(self.title()))?;
        }
        if let Some(BackendAnswer { status, headers }) = &self.answer {
            let wrong = || RehearsalError::Status(*status);
            let is_final = (200..=599).contains(status);
            let status = is_final.then(|| asked.answer.set_status(*status)).ok_or_else(wrong)?;
            status.map_err(|_| wrong())?;
            for (name, value) in headers {
                let (name, value) = field(name, value)?;
                asked
                    .answer
                    .append_header(name, value)
                    .map_err(|_| RehearsalError::Field(self.title()))?;
            }
        }
        asked.comes_by(self.listener.as_ref(), config)?;
        Ok(asked)
    }

    /// How it went the last time.
    async fn rehearsed<'a>(&self, config: &'a Config) -> Result<Rehearsal<'a>, RehearsalError> {
        let stage = Stage::new(config);
        for _ in 1..self.times.0 {
            stage.rehearse(self.asked(config)?).await?;
        }
        stage.rehearse(self.asked(config)?).await
    }

    /// Where it goes another way than expected, with the place in the example.
    async fn differences(&self, config: &Config) -> Vec<(Path, String)> {
        let title = self.title();
        match self.rehearsed(config).await {
            Ok(rehearsal) => {
                let found = self.expect.compared(&rehearsal, self.answer.is_some());
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

fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), RehearsalError> {
    let wrong = || RehearsalError::Field(format!("{name}: {value}"));
    let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
    parsed.ok_or_else(wrong)
}

impl Expected {
    /// `is_answered` says that it was told what a backend answers.
    fn compared(&self, rehearsal: &Rehearsal<'_>, is_answered: bool) -> Vec<(Path, String)> {
        let mut differences = Differences {
            course: course(rehearsal),
            found: Vec::new(),
        };
        let route = rehearsal.route.map(|route| route.name());
        differences.one("route", self.route.as_deref(), route.as_deref());
        let (mut pool, mut target, mut problem) = (None, None, None);
        let (mut answer, mut sent) = (Ok(&*rehearsal.answer), Err("no backend gets it"));
        match &rehearsal.ends {
            Ends::Answered(code) => problem = *code,
            Ends::Sent(name, head) => {
                (pool, sent) = (name.as_deref(), Ok(&head.headers));
                target = Some(String::from_utf8_lossy(head.raw_path()).into_owned());
                if !is_answered {
                    answer = Err("Veil gives no answer of its own; say under answer what a backend does");
                }
            }
        }
        differences.one("pool", self.pool.as_deref(), pool);
        differences.one("target", self.target.as_deref(), target.as_deref());
        differences.status(self.status, answer.map(|head| head.status.as_u16()));
        differences.one("code", self.code.as_deref(), problem);
        differences.fields("backend_gets", &self.backend_gets, sent);
        differences.fields("headers", &self.headers, answer.map(|head| &head.headers));
        differences.body(self.body.as_deref(), rehearsal.body.as_deref());
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

    /// `found` says why where there is none.
    fn status(&mut self, expected: Option<u16>, found: Result<u16, &'static str>) {
        let Some(expected) = expected.filter(|expected| found != Ok(*expected)) else {
            return;
        };
        let found = found.map_or_else(|why| format!("but {why}"), |found| format!("found {found}"));
        let what = format!("expected status {expected}, {found}: {}", self.course);
        self.found.push((steps!["status"].to_vec(), what));
    }

    fn body(&mut self, expected: Option<&str>, found: Option<&[u8]>) {
        let Some(expected) = expected else { return };
        let found = found.map(String::from_utf8_lossy);
        if found.as_ref().is_none_or(|found| !found.contains(expected)) {
            let found = found.map_or_else(|| "none that is known".to_owned(), |found| format!("{found:?}"));
            let what = format!("expected a body with {expected:?}, found {found}: {}", self.course);
            self.found.push((steps!["body"].to_vec(), what));
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
        (Ends::Answered(code), _) => {
            let status = rehearsal.answer.status.as_u16();
            format!("Veil answers {status} {}", code.unwrap_or_default())
        }
        (Ends::Sent(pool, _), _) => format!("it goes to pool {:?}", pool.as_deref().unwrap_or_default()),
    };
    let failed = rehearsal
        .considered
        .iter()
        .find_map(|route| Some(format!("; its when: {}", route.why.as_ref()?)));
    let failed = failed.or_else(|| Some(format!("; {}", rehearsal.ctx.notes.failed_script.told()?)));
    format!("{route}, {end}{}", failed.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config;

    const CONFIG: &str = r#"
version: 1
listeners: { public: { address: 127.0.0.1:0 } }
routes:
  - { name: gold, match: { path_exact: /gold }, when: parse_int(header("x-n")) > 3, pool: app }
  - name: limited
    match: { path_prefix: / }
    pool: app
    filters:
      - rate_limit: { rate: 5/m }
      - request_headers: { set: { X-Tenant: acme } }
      - response_headers: { set: { X-Frame-Options: DENY }, remove: [Server] }
      - script:
          on_error: closed
          limits: { time: 10ms }
          inline: |
            fn on_request(request) {
              if path == "/no" { refuse(403, "not today") }
              if path == "/go" { redirect("https://else.test/" + store.count("n", "1m")) }
              if path == "/fail" { parse_int("x"); }
              if path == "/page" { answer(200, "<p>hello</p>") }
            }
            fn on_response(response, request) {
              if response.status == 501 { response.status = 502; response.set_header("X-Was", "" + 501); }
            }
pools: { app: { backends: [{ address: 10.0.0.1:80 }] } }
examples:
"#;

    /// What is found of an example, without what it begins with.
    fn found(example: &str) -> Vec<String> {
        let config = config::parse("x.yaml", &format!("{CONFIG}  - {example}\n")).unwrap();
        let failures = failures(&config).unwrap().into_iter();
        let what = |(_, what): (Path, String)| what.split_once(": ").unwrap().1.to_owned();
        failures.map(what).collect()
    }

    #[test]
    fn what_goes_as_expected_is_no_mistake() {
        for example in [
            "{ url: 'http://a.test/no', expect: { status: 403, code: refused, body: not today, headers: { X-Frame-Options: DENY } } }",
            "{ url: 'http://a.test/go', times: 3, expect: { status: 302, headers: { Location: 'https://else.test/3' } } }",
            "{ url: 'http://a.test/go', times: 5, expect: { status: 302 } }",
            "{ url: 'http://a.test/go', times: 6, expect: { status: 429, code: rate_limited } }",
            "{ url: 'http://a.test/page', expect: { status: 200, body: hello } }",
            "{ url: 'http://a.test/x', answer: { status: 501, headers: { Server: a, X-Kept: b } }, expect: { pool: app, status: 502, \
             headers: { X-Was: '501', Server: null, X-Kept: b }, backend_gets: { X-Tenant: acme, X-Was: null } } }",
            "{ url: 'http://a.test/x', answer: {}, expect: { status: 200, headers: { X-Was: null } } }",
            "{ url: 'http://a.test/gold', headers: { X-N: '4' }, expect: { route: gold } }",
            "{ url: 'http://a.test/x', headers: { X_Tenant: forged }, expect: { backend_gets: { X_Tenant: null } } }",
        ] {
            assert_eq!(found(example), Vec::<String>::new(), "{example}");
        }
    }

    #[test]
    fn what_goes_another_way_is_told_with_its_reason() {
        for (example, says) in [
            (
                "{ url: 'http://a.test/fail', expect: { pool: app } }",
                "filter script answers 500 script_failed; limited#inline:4: error parsing integer number 'x'",
            ),
            (
                "{ url: 'http://a.test/gold', expect: { pool: app } }",
                "its when: error parsing integer number ''",
            ),
            (
                "{ url: 'http://a.test/x', expect: { status: 200 } }",
                "expected status 200, but Veil gives no answer of its own; say under answer what a backend does",
            ),
            (
                "{ url: 'http://a.test/x', answer: { status: 404 }, expect: { status: 200 } }",
                "expected status 200, found 404",
            ),
            (
                "{ url: 'http://a.test/page', expect: { body: bye } }",
                "expected a body with \"bye\", found \"<p>hello</p>\"",
            ),
            (
                "{ url: 'http://a.test/x', expect: { body: bye } }",
                "found none that is known",
            ),
            (
                "{ url: 'http://a.test/x', answer: { status: 99 }, expect: {} }",
                "99 is no status of an answer",
            ),
            (
                "{ url: 'http://a.test/x', answer: { headers: { a b: c } }, expect: {} }",
                "cannot stand in a header",
            ),
        ] {
            let found = found(example);
            assert!(found.len() == 1 && found[0].contains(says), "{example}: {found:#?}");
        }
    }
}

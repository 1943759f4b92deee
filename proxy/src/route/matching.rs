//! Which requests a route takes: `match: { host: …, path_prefix: …, methods: […] }`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use http::Method;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::values::{FieldName, Values};
use crate::request::expression::{Expression, Groups, as_it_is};
use crate::request::path;
use crate::request::syntax::{argument, cookie};

/// Which requests a route takes: all that is given has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "MatchFields")]
#[schemars(with = "MatchFields")]
pub struct MatchConfig {
    /// Any host where it is empty.
    pub hosts: Vec<HostPattern>,
    pub path: PathPattern,
    /// Any method where it is empty.
    pub methods: Vec<Method>,
    /// Any listener where it is empty.
    pub listeners: Vec<String>,
    pub headers: BTreeMap<FieldName, Values>,
    pub query: BTreeMap<String, Values>,
    pub cookies: BTreeMap<String, Values>,
    /// Only those that another route sends here.
    pub internal: bool,
}

impl MatchConfig {
    /// Whether every request that `other` takes is taken by this one too, at the same precedence.
    pub fn hides(&self, other: &Self) -> bool {
        let methods = self.methods.is_empty()
            || !other.methods.is_empty() && other.methods.iter().all(|method| self.methods.contains(method));
        let hosts = self.hosts == other.hosts
            || !other.hosts.is_empty() && other.hosts.iter().all(|host| self.hosts.contains(host));
        let conditions = is_within(&self.headers, &other.headers)
            && is_within(&self.query, &other.query)
            && is_within(&self.cookies, &other.cookies);
        let listeners = self.listeners.is_empty()
            || !other.listeners.is_empty() && other.listeners.iter().all(|name| self.listeners.contains(name));
        let origins = !self.internal || other.internal;
        hosts && self.path == other.path && methods && listeners && conditions && origins
    }

    /// Whether it takes such a request, or the first reason why not. `host` is without a port, `path` in the form of
    /// [`path::normal`].
    pub fn fit(&self, listener: &str, host: &str, path: &str, head: &RequestHeader, is_sent_here: bool) -> Fit {
        if !self.hosts.is_empty() && !self.hosts.iter().any(|pattern| pattern.takes(host)) {
            Fit::OtherHost
        } else if !self.path.takes(path) {
            Fit::OtherPath
        } else {
            self.fit_otherwise(listener, head, is_sent_here)
        }
    }

    /// What [`MatchConfig::fit`] says of a request whose host and path fit; another route may have sent it here.
    pub fn fit_otherwise(&self, listener: &str, head: &RequestHeader, is_sent_here: bool) -> Fit {
        let header = |(name, values): (&FieldName, &Values)| {
            let lines = head.headers.get_all(&name.0).iter().map(|value| value.as_bytes());
            values.take(lines)
        };
        let query = |(name, values): (&String, &Values)| values.take(argument(head.uri.query(), name));
        let cookie = |(name, values): (&String, &Values)| values.take(cookie(head, name));
        if !self.listeners.is_empty() && !self.listeners.iter().any(|name| name == listener) {
            Fit::OtherListener
        } else if self.internal && !is_sent_here {
            Fit::OtherOrigin
        } else if !self.headers.iter().all(header) {
            Fit::OtherHeader
        } else if !self.query.iter().all(query) {
            Fit::OtherQuery
        } else if !self.cookies.iter().all(cookie) {
            Fit::OtherCookie
        } else if !self.methods.is_empty() && !self.methods.contains(&head.method) {
            Fit::OtherMethod
        } else {
            Fit::Takes
        }
    }

    /// Its hosts as they are written, but for capitals.
    pub fn host_names(&self) -> impl Iterator<Item = String> {
        self.hosts.iter().map(HostPattern::to_string)
    }

    /// What the groups of its regular expression for this host have taken.
    pub fn host_groups(&self, host: &str) -> Groups {
        let mut expressions = self.host_expressions().peekable();
        if expressions.peek().is_none() {
            return Groups::new();
        }
        let host = host.to_ascii_lowercase();
        let groups = expressions.find_map(|expression| expression.groups(&host, as_it_is));
        groups.unwrap_or_default()
    }

    /// Its hosts' regular expressions.
    pub fn host_expressions(&self) -> impl Iterator<Item = &Expression> {
        self.hosts.iter().filter_map(|host| match host {
            HostPattern::Regex(expression) => Some(expression),
            _ => None,
        })
    }

    /// Whether both are for the same hosts and paths.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.hosts == other.hosts && self.path == other.path
    }

    /// Sorts the more specific first, for a request to this host; among `expressions` of hosts the first is.
    pub fn precedence(&self, host: &str, expressions: &[&Expression]) -> impl Ord + use<> {
        let of = |pattern: &HostPattern| pattern.precedence(expressions);
        let fit = self.hosts.iter().filter(|pattern| pattern.takes(host));
        let best = fit.map(of).max();
        let any = || self.hosts.iter().map(of).max();
        Reverse((best.or_else(any), self.path.precedence()))
    }
}

/// Whether whatever fulfils `more` fulfils `less` too.
fn is_within<K: Ord>(less: &BTreeMap<K, Values>, more: &BTreeMap<K, Values>) -> bool {
    less.iter().all(|(name, values)| more.get(name) == Some(values))
}

/// Whether a route takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    Takes,
    OtherHost,
    OtherPath,
    OtherListener,
    /// It is for those alone that another route sends.
    OtherOrigin,
    OtherHeader,
    OtherQuery,
    OtherCookie,
    OtherMethod,
    /// Its `when` does not hold.
    OtherCondition,
    /// Whether its `when` holds cannot be told.
    ConditionFails,
}

impl fmt::Display for MatchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, host) in self.hosts.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{host}")?;
        }
        match &self.path {
            PathPattern::Exact(path) | PathPattern::Prefix(path) => f.write_str(path),
            PathPattern::Regex(expression) => write!(f, "~{}", expression.as_str()),
        }
    }
}

/// The keys of `match:` as they are written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MatchFields {
    host: Option<HostPattern>,
    /// Several of them.
    #[serde(default)]
    hosts: Vec<HostPattern>,
    path_exact: Option<PathText>,
    path_prefix: Option<PathText>,
    /// Anywhere in the path, unless it says ^ and $. What its groups take is `$capture_1`, `$capture_NAME`. As in Nginx it goes
    /// before prefixes, and after exact paths.
    path_regex: Option<Expression>,
    #[serde(default)]
    methods: Vec<MethodName>,
    /// Names of the listeners that clients come by.
    #[serde(default)]
    listeners: Vec<String>,
    /// Request headers, each with its value, `{ regex: … }` or `{ present: true }`.
    #[serde(default)]
    headers: BTreeMap<FieldName, Values>,
    /// Arguments of the query, as written.
    #[serde(default)]
    query: BTreeMap<String, Values>,
    #[serde(default)]
    cookies: BTreeMap<String, Values>,
    /// Takes no client's request itself, only those that `rewrite` or `reroute` of another route send here.
    #[serde(default)]
    internal: bool,
}

impl TryFrom<MatchFields> for MatchConfig {
    type Error = &'static str;

    fn try_from(fields: MatchFields) -> Result<Self, Self::Error> {
        let hosts = match (fields.host, fields.hosts) {
            (Some(_), hosts) if !hosts.is_empty() => {
                return Err("has both host and hosts; write all of them under hosts");
            }
            (Some(host), _) => vec![host],
            (None, hosts) => hosts,
        };
        let path = match (fields.path_exact, fields.path_prefix, fields.path_regex) {
            (Some(PathText(path)), None, None) => PathPattern::Exact(path),
            (None, Some(PathText(path)), None) => PathPattern::Prefix(path),
            (None, None, Some(expression)) => PathPattern::Regex(expression),
            (None, None, None) if !hosts.is_empty() => PathPattern::Prefix("/".to_owned()),
            (None, None, None) => return Err("nothing says which requests it takes; write path_prefix: / for all"),
            _ => return Err("has two of path_exact, path_prefix and path_regex; write one of them, or two routes"),
        };
        let methods = fields.methods.into_iter().map(|MethodName(method)| method).collect();
        Ok(Self {
            hosts,
            path,
            methods,
            listeners: fields.listeners,
            headers: fields.headers,
            query: fields.query,
            cookies: fields.cookies,
            internal: fields.internal,
        })
    }
}

/// `example.com`, `*.example.com` for everything below it, `example.*`, or behind a `~` a regular expression, whose groups are
/// `$capture_1`, `$capture_NAME`. Kept in lower case. Nginx: `server_name`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = r"^((\*\.)?[A-Za-z0-9_.-]+(\.\*)?|\[[0-9a-fA-F:.]+\]|~.+)$", "examples" = ["example.com", "*.example.com"]))]
pub enum HostPattern {
    Exact(String),
    /// What the host ends in, its first dot included.
    Wildcard(String),
    /// What the host begins with, its last dot included.
    Beginning(String),
    Regex(Expression),
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
            Self::Beginning(prefix) => write!(f, "{prefix}*"),
            Self::Regex(expression) => write!(f, "~{}", expression.as_str()),
        }
    }
}

impl HostPattern {
    fn takes(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Wildcard(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .and_then(|start| host.get(start..).filter(|_| start > 0))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
            Self::Beginning(prefix) => host
                .get(..prefix.len())
                .is_some_and(|begin| host.len() > prefix.len() && begin.eq_ignore_ascii_case(prefix)),
            Self::Regex(expression) => expression.matches(&host.to_ascii_lowercase()),
        }
    }

    /// A host that it takes.
    pub fn example(&self) -> String {
        match self {
            Self::Exact(name) => name.clone(),
            Self::Wildcard(suffix) => format!("x{suffix}"),
            Self::Beginning(prefix) => format!("{prefix}x"),
            Self::Regex(_) => String::new(),
        }
    }

    /// Among regular expressions the first decides.
    fn precedence(&self, expressions: &[&Expression]) -> (u8, usize) {
        match self {
            Self::Exact(_) => (3, 0),
            Self::Wildcard(suffix) => (2, suffix.len()),
            Self::Beginning(prefix) => (1, prefix.len()),
            Self::Regex(expression) => {
                let before = expressions.iter().position(|known| *known == expression);
                (0, expressions.len() - before.unwrap_or(expressions.len()))
            }
        }
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some(expression) = text.strip_prefix('~') {
            return Expression::parse(expression)
                .map(Self::Regex)
                .map_err(de::Error::custom);
        }
        let name = text
            .strip_prefix("*.")
            .or_else(|| text.strip_suffix(".*"))
            .unwrap_or(&text);
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let named = !name.is_empty() && name.chars().all(letters) && name.split('.').all(|label| !label.is_empty());
        let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let bracketed = address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
        if !named && !bracketed {
            return Err(de::Error::custom(format!(
                "{text:?} is not a host; write example.com, *.example.com or an address, without scheme and port"
            )));
        }
        let text = text.to_ascii_lowercase();
        Ok(match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(suffix), _) => Self::Wildcard(suffix.to_owned()),
            (None, Some(prefix)) => Self::Beginning(prefix.to_owned()),
            (None, None) => Self::Exact(text),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    Exact(String),
    Prefix(String),
    Regex(Expression),
}

impl PathPattern {
    fn takes(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Self::Regex(expression) => expression.matches(path),
        }
    }

    /// The order of the file decides among regular expressions.
    fn precedence(&self) -> (u8, usize) {
        match self {
            Self::Exact(_) => (2, 0),
            Self::Regex(_) => (1, 0),
            Self::Prefix(prefix) => (0, prefix.len()),
        }
    }
}

/// A path in the form that is matched. It is written in its canonical spelling, so that nobody takes it for another.
#[derive(JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^/[^?#]*$"))]
struct PathText(String);

impl<'de> Deserialize<'de> for PathText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains(['?', '#']) {
            return Err(de::Error::custom(format!(
                "{text:?}: a route sees the path only; write it without ? and #"
            )));
        }
        // A backslash is one of `paths: as_sent`.
        let judged = text.replace("%5C", "");
        match path::canonical(&judged) {
            Ok(canonical) if canonical == judged && judged != text => Ok(Self(normal(&text))),
            // A person writes é where clients send %C3%A9.
            Ok(canonical) if canonical == text || !text.contains('%') && !text.contains("//") => {
                Ok(Self(normal(&canonical)))
            }
            Ok(canonical) => Err(de::Error::custom(format!(
                "{text:?} never matches as it is spelt; write {canonical:?}"
            ))),
            Err(path::PathError::NotAbsolute) => Err(de::Error::custom(format!(
                "{text:?} is not a path; write {:?}",
                format!("/{text}")
            ))),
            Err(error) => Err(de::Error::custom(format!(
                "{text:?}: {error}, and such requests are refused"
            ))),
        }
    }
}

fn normal(canonical: &str) -> String {
    let normal = path::normal(canonical.as_bytes());
    normal.map_or_else(|_| canonical.to_owned(), |path| path.into_owned())
}

#[derive(JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[A-Z-]+$", "examples" = ["GET", "POST"]))]
struct MethodName(Method);

impl<'de> Deserialize<'de> for MethodName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Method::from_bytes(text.as_bytes()) {
            Ok(method) if text == text.to_ascii_uppercase() => Ok(Self(method)),
            _ => Err(de::Error::custom(format!(
                "{text:?} is not a method; write GET, POST or another in capitals"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_patterns_that_cannot_mean_anything() {
        for (text, part) in [
            ("{}", "write path_prefix: /"),
            ("{ path_exact: /a, path_prefix: /b }", "write one of them"),
            ("{ path_regex: '(', path_prefix: /b }", "not a regular expression"),
            ("{ path_regex: a, path_prefix: /b }", "write one of them"),
            ("{ host: a.test, hosts: [b.test] }", "under hosts"),
            ("{ path_prefix: /, headers: { 'a b': c } }", "not a header's name"),
            ("{ path_prefix: /, headers: { X-A: { prefix: c } } }", "{ regex: … } or"),
            ("{ path_prefix: /, query: { a: 1 } }", "in quotes"),
            ("{ path_prefix: v1/ }", r#"write "/v1/""#),
            ("{ path_prefix: /a//b }", r#"write "/a/b""#),
            ("{ path_exact: /%6d }", r#"write "/m""#),
            ("{ path_exact: /a/../b }", "such requests are refused"),
            ("{ path_exact: '/a?b' }", "without ? and #"),
            ("{ host: 'http://a.test' }", "without scheme and port"),
            ("{ host: 'a.test:80' }", "without scheme and port"),
            ("{ host: 'a.*.test' }", "without scheme and port"),
            ("{ path_prefix: /, methods: [get] }", "in capitals"),
        ] {
            let error = serde_yaml::from_str::<MatchConfig>(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

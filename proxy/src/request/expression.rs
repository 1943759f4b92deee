//! Regular expressions of a configuration, which take time in proportion to what they are held against.

use std::borrow::Cow;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// `^/img/(?P<name>.*)$`, as docs.rs/regex says.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(with = "String", extend("format" = "regex", "examples" = ["^/img/(.*)$"]))]
pub struct Expression(Regex);

impl Expression {
    /// # Errors
    /// It is none, which is told to people.
    pub fn parse(text: &str) -> Result<Self, String> {
        Regex::new(text).map(Self).map_err(|error| {
            let why = error.to_string();
            let last = why.lines().last().unwrap_or_default();
            let last = last.strip_prefix("error: ").unwrap_or(last);
            format!("{text:?} is not a regular expression: {last}; see docs.rs/regex")
        })
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// What its groups have taken of a text that it matches, by number and by name, each made fit for where it goes.
    pub fn groups(&self, text: &str, fit: impl Fn(&str) -> Cow<'_, str>) -> Option<Groups> {
        let found = self.0.captures(text)?;
        let mut groups = Vec::with_capacity(found.len());
        for (number, name) in self.0.capture_names().enumerate() {
            let Some(group) = found.get(number) else { continue };
            let text: Box<str> = fit(group.as_str()).into();
            groups.extend(name.map(|name| (name.into(), text.clone())));
            groups.push((number.to_string().into(), text));
        }
        Some(groups)
    }
}

/// For what goes nowhere where anything has to be escaped.
pub fn as_it_is(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// Names and texts.
pub type Groups = Vec<(Box<str>, Box<str>)>;

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Expression {}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

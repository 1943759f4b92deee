//! What a script has done, to be done once it has ended well: nothing is half done where it fails.

use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::request::syntax::is_framing;

/// All that a call may lead to, beside what it gives back.
#[derive(Debug, Default)]
pub struct Draft {
    pub request: Fields,
    pub answer: Fields,
    /// Of the answer.
    pub status: Option<StatusCode>,
    /// What backends are asked for: path and query.
    pub target: Option<Box<str>>,
    /// Names and texts for templates and logs.
    pub notes: Vec<(Box<str>, Box<str>)>,
}

/// What a hook decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    Answer {
        status: StatusCode,
        body: String,
        fields: Vec<(HeaderName, HeaderValue)>,
    },
    /// With a problem document, which may say why.
    Refuse { status: StatusCode, detail: Option<String> },
}

/// Changes of a head, in their order.
#[derive(Debug, Default)]
pub struct Fields(Vec<(HeaderName, Change)>);

#[derive(Debug)]
enum Change {
    Remove,
    Set(HeaderValue),
    Add(HeaderValue),
}

impl Fields {
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if is_host(name) && value.parse::<Authority>().is_err() {
            return Err(format!("{value:?} is no host; write a.example or a.example:8080"));
        }
        self.push(name, Change::Set(field_value(name, value)?))
    }

    pub fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        if is_host(name) {
            return Err("a request has one Host; write set_header".to_owned());
        }
        self.push(name, Change::Add(field_value(name, value)?))
    }

    pub fn remove(&mut self, name: &str) -> Result<(), String> {
        if is_host(name) {
            return Err("a request has a Host; write set_header for another one".to_owned());
        }
        self.push(name, Change::Remove)
    }

    fn push(&mut self, name: &str, change: Change) -> Result<(), String> {
        if self.0.len() >= MOST_CHANGES {
            return Err(format!("a call makes at most {MOST_CHANGES} changes of a head"));
        }
        self.0.push((field_name(name)?, change));
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a field's values are after the changes.
    pub fn over(&self, name: &str, mut values: Vec<String>) -> Vec<String> {
        for (_, change) in self
            .0
            .iter()
            .filter(|(changed, _)| changed.as_str().eq_ignore_ascii_case(name))
        {
            let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            match change {
                Change::Remove => values.clear(),
                Change::Set(value) => values = vec![text(value)],
                Change::Add(value) => values.push(text(value)),
            }
        }
        values
    }

    /// What becomes of a head: each name with all its values, none where it is to be gone.
    pub fn outcome(self, head: &HeaderMap) -> Vec<(HeaderName, Vec<HeaderValue>)> {
        let mut fields: Vec<(HeaderName, Vec<HeaderValue>)> = Vec::with_capacity(self.0.len());
        for (name, change) in self.0 {
            let place = fields.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                let there = head.get_all(&name).iter().cloned().collect();
                fields.push((name, there));
                fields.len() - 1
            });
            let values = &mut fields[place].1;
            match change {
                Change::Remove => values.clear(),
                Change::Set(value) => *values = vec![value],
                Change::Add(value) => values.push(value),
            }
        }
        fields
    }
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host")
}

/// The name of a field that may be changed.
pub fn field_name(name: &str) -> Result<HeaderName, String> {
    const HOP_BY_HOP: [&str; 3] = ["expect", "proxy-connection", "veil-deadline-ms"];
    let parsed = HeaderName::try_from(name).map_err(|_| format!("{name:?} is not a header's name"))?;
    match is_framing(&parsed) || HOP_BY_HOP.contains(&parsed.as_str()) {
        true => Err(format!("{name:?} belongs to the connection and cannot be changed")),
        false => Ok(parsed),
    }
}

pub fn field_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(value).map_err(|_| format!("{name}: {value:?} cannot stand in a header"))
}

/// Of one head, by one call.
const MOST_CHANGES: usize = 100;

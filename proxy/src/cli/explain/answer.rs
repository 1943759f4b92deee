//! The answer of `veil explain`, for programs and for people.

use std::fmt;
use std::net::IpAddr;

use pingora::http::ResponseHeader;
use serde::Serialize;

use crate::cli::columns::columns;
use crate::config::rehearsal::{Considered, Filtered};
use crate::pool::{CookieSeen, Turn};
use crate::route::Fit;

/// What would become of the request.
#[derive(Debug, Serialize)]
pub struct Explanation {
    pub client: IpAddr,
    pub method: String,
    pub host: String,
    pub path: String,
    /// Those that were asked whether they take it, until one does.
    pub routes: Vec<Considered>,
    /// Those of the route, until one ends the request.
    pub filters: Vec<Filtered>,
    /// What backends are asked for, where filters have made it another target.
    pub target: Option<String>,
    /// What filters do to the head that backends get, in words.
    pub on_sent: Vec<String>,
    pub pool: Option<Asked>,
    /// The pool that gets a copy, if its share falls to this request.
    pub mirrors: Vec<String>,
    /// What Veil answers itself, if it does.
    pub answer: Option<Answer>,
    /// What filters do to that, or else to a backend's answer of 200 without fields, in words.
    pub on_answer: Vec<String>,
}

/// An answer of Veil's own.
#[derive(Debug, Serialize)]
pub struct Answer {
    pub status: u16,
    /// A problem's.
    pub code: Option<&'static str>,
    /// More on a refusal.
    pub why: Option<String>,
    /// As the client gets them.
    pub fields: Vec<(String, String)>,
    /// Its beginning, where it is no problem document and known.
    pub body: Option<String>,
}

impl Answer {
    pub fn new(head: &ResponseHeader, code: Option<&'static str>, why: Option<String>, body: Option<&[u8]>) -> Self {
        const SHOWN: usize = 200;
        let fields = head.headers.iter();
        let fields =
            fields.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let body = body.filter(|body| code.is_none() && !body.is_empty());
        Self {
            status: head.status.as_u16(),
            code,
            why,
            fields: fields.collect(),
            body: body.map(|body| String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned()),
        }
    }

    /// `404 no_route`
    pub fn outcome(&self) -> String {
        let code = self.code.map(|code| format!(" {code}")).unwrap_or_default();
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{}{code}{why}", self.status)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Veil answers {}", self.outcome())?;
        for (name, value) in &self.fields {
            writeln!(f, "   {name}: {value}")?;
        }
        self.body.as_ref().map_or(Ok(()), |body| writeln!(f, "   {body:?}"))
    }
}

/// The pool that serves it.
#[derive(Debug, Serialize)]
pub struct Asked {
    pub pool: String,
    /// What the request is told apart by; it may have no say in how a backend is chosen.
    pub key: String,
    pub select: String,
    pub sticky: Option<CookieSeen>,
    /// Whether the backends are as a running Veil says.
    pub live: bool,
    /// How many backends it may be sent to.
    pub attempts: u32,
    pub backends: Vec<Turn>,
    /// What the sources of backends could not say.
    pub troubles: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}{} from {}", self.method, self.host, self.path, self.client)?;
        for Considered { route, fit, why } in &self.routes {
            let fit = match fit {
                Fit::Takes => "takes it",
                Fit::OtherHost => "is for another host",
                Fit::OtherListener => "is for another listener",
                Fit::OtherOrigin => "takes only what other routes send it",
                Fit::OtherPath => "is for another path",
                Fit::OtherHeader => "wants other header fields",
                Fit::OtherQuery => "wants another query",
                Fit::OtherCookie => "wants other cookies",
                Fit::OtherMethod => "is for other methods",
                Fit::OtherCondition => "is not for it: its when does not hold",
                Fit::ConditionFails => "has a when that fails on it",
            };
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            writeln!(f, "route {route:?} {fit}{why}")?;
        }
        for Filtered {
            filter,
            effects,
            answers,
        } in &self.filters
        {
            for effect in effects {
                writeln!(f, "filter {filter} {effect}")?;
            }
            match answers {
                Some(answer) => writeln!(f, "filter {filter} answers {answer}")?,
                None => writeln!(f, "filter {filter} lets it go on")?,
            }
        }
        if let Some(target) = &self.target {
            writeln!(f, "backends are asked for {target}")?;
        }
        for effect in &self.on_sent {
            writeln!(f, "for backends, {effect}")?;
        }
        let whose = self.answer.as_ref().map_or("if a backend answers 200, ", |_| "");
        for effect in &self.on_answer {
            writeln!(f, "{whose}{effect}")?;
        }
        if let Some(answer) = &self.answer {
            answer.fmt(f)?;
        }
        for pool in &self.mirrors {
            writeln!(f, "a copy may go to pool {pool:?}")?;
        }
        self.pool.as_ref().map_or(Ok(()), |asked| asked.fmt(f))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.live {
            "as they are now"
        } else {
            "if all are well"
        };
        writeln!(
            f,
            "pool {:?} by {}, key {:?}; its backends {state}:",
            self.pool, self.select, self.key
        )?;
        if let Some(seen) = &self.sticky {
            writeln!(f, "cookie {}: {}", seen.cookie, in_words(seen))?;
        }
        let row = |backend: &Turn| {
            [
                backend
                    .turn
                    .map_or_else(|| "   -".to_owned(), |turn| format!("{turn:4}")),
                backend.backend.clone(),
                backend.address.to_string(),
                if backend.backup { "backup" } else { "primary" }.to_owned(),
                format!("weight {}", backend.weight),
                backend.why.clone(),
            ]
        };
        f.write_str(&columns(&self.backends.iter().map(row).collect::<Vec<_>>()))?;
        for trouble in &self.troubles {
            writeln!(f, "note: {trouble}")?;
        }
        match self.attempts {
            1 => writeln!(f, "sent once; a backend that cannot be connected to is passed over"),
            most => writeln!(
                f,
                "sent to at most {most} of them; one that cannot be connected to does not count"
            ),
        }
    }
}

fn in_words(seen: &CookieSeen) -> String {
    match &seen.names {
        _ if !seen.came => "none came; the answer sets one that leads back to who gave it".to_owned(),
        Some(backend) => format!("names {backend:?}, who goes first while it has a place"),
        None if seen.is_readable => "names nobody here; the answer sets another".to_owned(),
        None => "only who set it can tell whom it names, as no secret is configured".to_owned(),
    }
}

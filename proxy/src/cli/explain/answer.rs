//! The answer of `veil explain`, for programs and for people.

use std::fmt;
use std::net::IpAddr;

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
    pub pool: Option<Asked>,
    /// What Veil answers itself, if it does.
    pub answer: Option<String>,
    /// What filters then did to that, in words.
    pub on_answer: Vec<String>,
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
        for Considered { route, fit } in &self.routes {
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
            writeln!(f, "route {route:?} {fit}")?;
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
        for effect in &self.on_answer {
            writeln!(f, "{effect}")?;
        }
        if let Some(answer) = &self.answer {
            writeln!(f, "Veil answers {answer}")?;
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

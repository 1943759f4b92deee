//! What Veil calls in a script, and how scripts are wrong.

use std::fmt;

/// The functions of a script that Veil calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    OnRequest,
    OnResponse,
    Key,
    Pool,
}

impl Hook {
    pub const ALL: [Self; 4] = [Self::OnRequest, Self::OnResponse, Self::Key, Self::Pool];

    pub const fn name(self) -> &'static str {
        match self {
            Self::OnRequest => "on_request",
            Self::OnResponse => "on_response",
            Self::Key => "key",
            Self::Pool => "pool",
        }
    }

    /// As it is to be written.
    pub const fn signature(self) -> &'static str {
        match self {
            Self::OnRequest => "on_request(request)",
            Self::OnResponse => "on_response(response, request)",
            Self::Key => "key(request)",
            Self::Pool => "pool(request)",
        }
    }

    pub const fn parameters(self) -> usize {
        if matches!(self, Self::OnResponse) { 2 } else { 1 }
    }
}

/// What is wrong with a script, and where in its text: line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub line: usize,
    pub column: usize,
    pub what: String,
}

/// How a script has failed while it ran, and where: line and column from 1, 0 where that is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub line: usize,
    pub column: usize,
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

//! What a provider of backends answers, or why it does not.

use std::io;
use std::time::Duration;

use hickory_resolver::net::NetError;

use crate::pool::members::written::Found;
use crate::yaml::diagnostic::Diagnostic;

/// What a provider says.
pub struct Answer {
    pub found: Vec<Found>,
    /// After which time it wants to be asked again.
    pub again: Duration,
}

/// Why a provider has nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("names nobody")]
    Nobody,
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("no answer: {0}")]
    Dns(#[from] NetError),
    #[error("names {to} and no longer {from}; believed if it does so for {wait:?}")]
    Shrunk { from: usize, to: usize, wait: Duration },
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// What is wrong with a file's contents.
    #[error("{}", lines(.0))]
    Mistakes(Vec<Diagnostic>),
}

fn lines(mistakes: &[Diagnostic]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

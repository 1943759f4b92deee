//! What can go wrong with a picture, told twice: a short public text with a stable code for the client,
//! and an internal cause for the log.

use std::time::Duration;

/// A failure as the client sees it. `Display` is public: it never holds anything read from a picture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    BadRequest(String),
    #[error("unknown option `{name}`; {}", near_miss(.nearest, .known))]
    UnknownOption {
        name: String,
        nearest: Option<&'static str>,
        known: String,
    },
    #[error("option `{name}` is given more than once")]
    RepeatedOption { name: &'static str },
    #[error("option `{name}`: `{value}` is not {expected}")]
    InvalidOption {
        name: &'static str,
        value: String,
        expected: String,
    },
    #[error("option `{name}` would hide less than this service is set to; it is the operator's to allow, by {by}")]
    OptionNotAllowed { name: &'static str, by: &'static str },
    #[error("option `{name}`: `{value}` makes more work than this service allows, which is `{most}` at most")]
    OptionTooDear {
        name: &'static str,
        value: String,
        most: String,
    },
    #[error("option `keep`: `{field}` is not kept by this service; it is the operator's to allow, by --allow-keep")]
    KeepNotAllowed { field: String },
    #[error("option `{name}`: {why}")]
    MarkOutside { name: &'static str, why: String },
    #[error("Idempotency-Key is not known here, since nothing is kept: the same picture may be sent again without it")]
    IdempotencyKey,
    #[error("there is nothing at this path")]
    NotFound,
    #[error("this path answers {allow} only")]
    MethodNotAllowed { allow: &'static str },
    #[error("the request body did not arrive within {} s", .0.as_secs())]
    BodyTimeout(Duration),
    #[error("the request body is larger than {limit} bytes")]
    TooManyBytes { limit: u64 },
    #[error("the picture has {pixels} pixels, more than the {limit} allowed")]
    TooManyPixels { pixels: u64, limit: u64 },
    #[error("the picture unfolds to {ratio} times its coded data, more than the {limit} allowed")]
    TooCompressed { ratio: u64, limit: u64 },
    #[error("the picture would take {needed} bytes to work on, more than the {limit} there are")]
    TooMuchMemory { needed: u64, limit: u64 },
    #[error("there are {found} {what}, more than the {limit} allowed")]
    TooMany { what: &'static str, found: u64, limit: u64 },
    #[error("{0}")]
    UnsupportedFormat(&'static str),
    #[error("the picture cannot be read: {0}")]
    BrokenPicture(String),
    #[error("all places are taken; try again")]
    Busy,
    #[error("the models are still loading")]
    Loading,
    #[error("the time allowed for this picture is over")]
    DeadlineExceeded,
    /// The client left or the deadline passed between two steps; whoever asked knows which.
    #[error("the work was given up")]
    Stopped,
    #[error("something went wrong inside the service; the picture was not answered")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the result did not pass its own check; the picture was not answered")]
    ProofFailed(String),
    #[error("faces were still seen after they had been hidden; the picture was not answered")]
    StillSeen,
}

impl Error {
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// The HTTP status, the stable machine-readable code and the title that belong together.
    fn kind(&self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadRequest(_) => (400, "bad_request", "Bad request"),
            Self::UnknownOption { .. } => (400, "unknown_option", "Unknown option"),
            Self::RepeatedOption { .. } => (400, "repeated_option", "Repeated option"),
            Self::InvalidOption { .. } => (400, "invalid_option", "Invalid option"),
            Self::OptionTooDear { .. } => (403, "option_too_dear", "Option too dear"),
            Self::MarkOutside { .. } => (400, "mark_outside", "Mark outside of the picture"),
            Self::KeepNotAllowed { .. } => (403, "keep_not_allowed", "Keeping not allowed"),
            Self::OptionNotAllowed { .. } => (403, "option_not_allowed", "Option not allowed"),
            Self::IdempotencyKey => (400, "idempotency_key", "Idempotency-Key not known"),
            Self::NotFound => (404, "not_found", "Not found"),
            Self::MethodNotAllowed { .. } => (405, "method_not_allowed", "Method not allowed"),
            Self::BodyTimeout(_) => (408, "body_timeout", "Request body too slow"),
            Self::TooManyBytes { .. } => (413, "too_many_bytes", "Too many bytes"),
            Self::TooManyPixels { .. } => (413, "too_many_pixels", "Too many pixels"),
            Self::TooCompressed { .. } => (413, "too_compressed", "Unfolds to too much"),
            Self::TooMuchMemory { .. } => (413, "too_much_memory", "Picture too large to work on"),
            Self::TooMany { .. } => (413, "too_many_parts", "Too many parts"),
            Self::UnsupportedFormat(_) => (415, "unsupported_format", "Unsupported format"),
            Self::BrokenPicture(_) => (422, "broken_picture", "Broken picture"),
            Self::Internal(_) => (500, "internal", "Internal error"),
            Self::ProofFailed(_) => (500, "proof_failed", "Result not proven"),
            Self::StillSeen => (500, "still_seen", "Faces still seen"),
            Self::Busy => (503, "busy", "Busy"),
            Self::Loading => (503, "loading", "Loading"),
            Self::DeadlineExceeded | Self::Stopped => (504, "deadline_exceeded", "Deadline exceeded"),
        }
    }

    pub fn status(&self) -> u16 {
        self.kind().0
    }

    pub fn code(&self) -> &'static str {
        self.kind().1
    }

    pub fn title(&self) -> &'static str {
        self.kind().2
    }

    /// What would have been let pass, where the refusal is of more; in the units of the text.
    pub fn limit(&self) -> Option<u64> {
        match self {
            Self::TooManyBytes { limit }
            | Self::TooManyPixels { limit, .. }
            | Self::TooCompressed { limit, .. }
            | Self::TooMuchMemory { limit, .. }
            | Self::TooMany { limit, .. } => Some(*limit),
            _ => None,
        }
    }

    /// What the log may add to the public text; never anything read from a picture.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Internal(cause) => Some(cause.to_string()),
            Self::ProofFailed(what) => Some(what.clone()),
            _ => None,
        }
    }
}

fn near_miss(nearest: &Option<&'static str>, known: &str) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("there are {known}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_cause_stays_out_of_the_public_text() {
        let error = Error::internal("tensor 7 has no shape");
        assert!(!error.to_string().contains("tensor"));
        assert_eq!(error.cause().as_deref(), Some("tensor 7 has no shape"));
    }

    #[test]
    fn an_unknown_option_names_its_near_miss() {
        let error = Error::UnknownOption {
            name: "efect".into(),
            nearest: Some("effect"),
            known: String::new(),
        };
        assert_eq!(error.to_string(), "unknown option `efect`; did you mean `effect`?");
    }
}

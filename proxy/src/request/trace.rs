//! W3C Trace Context: which trace a request belongs to, and which part of it it is here.

use std::fmt;

use super::random_bits;

/// The field that carries it, both ways.
pub const TRACEPARENT: &str = "traceparent";

/// `traceparent: 00-TRACE-SPAN-FLAGS`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    /// The client's span.
    parent: Option<u64>,
    /// This request's own.
    span: u64,
    /// That of its attempt at a backend: the request's, where nobody is told of attempts.
    attempt: u64,
    flags: u8,
}

impl Trace {
    /// A span of Veil's own in the trace that the client has begun; in a new one, where it has not.
    pub fn under(parent: Option<&[u8]>) -> Self {
        let span = random_bits().max(1);
        match parent.and_then(Self::parse) {
            Some(parent) => Self {
                parent: Some(parent.span),
                span,
                attempt: span,
                ..parent
            },
            None => Self {
                id: (u128::from(random_bits()) << 64 | u128::from(random_bits())).max(1),
                parent: None,
                span,
                attempt: span,
                flags: 0,
            },
        }
    }

    /// Of which a collector is told, its attempt included, or is not.
    pub fn told(self, is_told: bool) -> Self {
        Self {
            attempt: random_bits().max(1),
            flags: if is_told { SAMPLED } else { 0 },
            ..self
        }
    }

    /// For one more attempt at a backend, of which a collector is told like of the one before, or is not.
    pub fn of_next_attempt(self) -> Self {
        match self.attempt == self.span {
            true => self,
            false => Self {
                attempt: random_bits().max(1),
                ..self
            },
        }
    }

    /// For a copy of the request, which is no attempt.
    pub fn of_copy(self) -> Self {
        Self {
            attempt: self.span,
            ..self
        }
    }

    /// Whether a collector is told of it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED > 0
    }

    /// The client's span.
    pub fn parent(&self) -> Option<u64> {
        self.parent
    }

    pub fn span(&self) -> u64 {
        self.span
    }

    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// The trace's id, in hexadecimal digits.
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// A later version has more fields, which are passed over; version ff is none (W3C Trace Context, section 3.2).
    fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let mut fields = text.split('-');
        let mut field = |digits: usize| {
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            fields
                .next()
                .filter(|field| field.len() == digits && field.bytes().all(is_hex))
        };
        let (version, id, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        if version == "ff" || version == "00" && fields.next().is_some() {
            return None;
        }
        let trace = Self {
            id: u128::from_str_radix(id, 16).ok()?,
            parent: None,
            span: u64::from_str_radix(span, 16).ok()?,
            attempt: 0,
            flags: u8::from_str_radix(flags, 16).ok()? & SAMPLED,
        };
        (trace.id != 0 && trace.span != 0).then_some(trace)
    }
}

/// The only flag that version 00 knows.
const SAMPLED: u8 = 1;

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.attempt, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_with_a_trace_and_begins_one() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = Trace::under(Some(parent.as_bytes()));
        let text = trace.to_string();
        assert!(
            text.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && text.ends_with("-01"),
            "{text}"
        );
        assert!(!text.contains("b7ad6b7169203331"), "{text}");
        for none in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        ] {
            let begun = Trace::under(Some(none.as_bytes())).to_string();
            assert!(!begun.contains("0af7651916cd43dd8448eb211c80319c"), "{none}: {begun}");
            assert!(Trace::parse(begun.as_bytes()).is_some(), "{begun}");
        }
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-will-be";
        assert_eq!(
            Trace::under(Some(later.as_bytes())).id(),
            "0af7651916cd43dd8448eb211c80319c"
        );
    }
}

//! A backend's answer as its bytes come: judged head by head, and followed to its end.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use memchr::memchr;

use super::head::{Fault, Follows, Said, judge};
use crate::body::{Chunked, Progress};

/// How far an answer has come.
pub struct Answer {
    /// To a request with the method HEAD.
    to_head: bool,
    place: Place,
    /// Bytes of heads that were whole.
    heads: u64,
    /// More came than belongs to it.
    surplus: bool,
    /// It is the last one on its connection.
    closes: bool,
    trailers: Vec<u8>,
    /// Learns of the fields after its body.
    progress: Arc<Progress>,
}

enum Place {
    /// What has come of a head that is not whole.
    Head(Vec<u8>),
    /// Bytes that are still to come.
    Counted(u64),
    Chunks(Chunked),
    /// Until the connection ends.
    Rest,
    Over,
}

impl Answer {
    pub fn new(to_head: bool, progress: Arc<Progress>) -> Self {
        Self {
            to_head,
            place: Place::Head(Vec::new()),
            heads: 0,
            surplus: false,
            closes: false,
            trailers: Vec::new(),
            progress,
        }
    }

    /// Takes note of what comes next.
    ///
    /// # Errors
    /// A head that has come whole means different things to different readers.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let passed = match &mut self.place {
                Place::Head(before) => {
                    let Some(end) = end_of_head(before, bytes) else {
                        before.extend_from_slice(bytes);
                        return Ok(());
                    };
                    let Said { follows, closes } = match before.is_empty() {
                        true => judge(&bytes[..end], self.to_head)?,
                        false => judge(&[before.as_slice(), &bytes[..end]].concat(), self.to_head)?,
                    };
                    self.heads += (before.len() + end) as u64;
                    self.closes |= closes;
                    self.place = Place::of(follows);
                    end
                }
                Place::Counted(left) => {
                    let passed = (*left).min(bytes.len() as u64);
                    *left -= passed;
                    if *left == 0 {
                        self.place = Place::Over;
                    }
                    passed as usize
                }
                Place::Chunks(chunked) => match chunked.pass_with(bytes, |byte| self.trailers.push(byte)) {
                    Ok(Some(end)) => {
                        self.place = Place::Over;
                        self.tell_trailers();
                        end
                    }
                    Ok(None) => return Ok(()),
                    // Whether it is to be had all the same is for Pingora to say.
                    Err(_) => {
                        self.place = Place::Rest;
                        return Ok(());
                    }
                },
                Place::Rest => return Ok(()),
                Place::Over => {
                    self.surplus = true;
                    return Ok(());
                }
            };
            bytes = &bytes[passed..];
        }
        Ok(())
    }

    /// Bytes to read of it at a time.
    pub fn piece(&self) -> usize {
        match self.place {
            Place::Counted(_) | Place::Chunks(_) | Place::Rest => self.progress.piece(),
            Place::Head(_) | Place::Over => usize::MAX,
        }
    }

    /// Bytes of the heads that have come whole.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// All of it has come.
    pub fn is_over(&self) -> bool {
        matches!(self.place, Place::Over)
    }

    /// All of it has come, and nothing else, and another one may.
    pub fn is_over_cleanly(&self) -> bool {
        self.is_over() && !self.surplus && !self.closes
    }

    /// Those that may stand after a body (RFC 9110, section 6.5.1).
    fn tell_trailers(&mut self) {
        let lines = std::mem::take(&mut self.trailers);
        let mut trailers = HeaderMap::new();
        for line in lines.split(|byte| *byte == b'\n') {
            let mut parts = line.splitn(2, |byte| *byte == b':');
            let name = parts.next().and_then(|name| HeaderName::from_bytes(name).ok());
            let value = parts
                .next()
                .and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok());
            if let (Some(name), Some(value)) = (name, value)
                && may_trail(&name)
            {
                trailers.append(name, value);
            }
        }
        if !trailers.is_empty() {
            self.progress.tell_trailers(Box::new(trailers));
        }
    }
}

impl Place {
    fn of(follows: Follows) -> Self {
        match follows {
            Follows::Head => Self::Head(Vec::new()),
            Follows::Counted(0) => Self::Over,
            Follows::Counted(length) => Self::Counted(length),
            Follows::Chunks => Self::Chunks(Chunked::default()),
            Follows::Rest => Self::Rest,
        }
    }
}

/// Bytes of `fresh` up to and with the empty line that ends a head, of which `before` has come already.
fn end_of_head(before: &[u8], fresh: &[u8]) -> Option<usize> {
    // Whether the line that goes on in `fresh` has had a byte of its own.
    let mut blank = before.last() == Some(&b'\n') || before.ends_with(b"\n\r");
    let mut from = 0;
    while let Some(offset) = memchr(b'\n', &fresh[from..]) {
        let line = &fresh[from..from + offset];
        from += offset + 1;
        if matches!(line, b"" | b"\r") && blank {
            return Some(from);
        }
        blank = true;
    }
    None
}

/// Fields that frame, route or authorise are no trailers.
fn may_trail(name: &HeaderName) -> bool {
    const NOT: [HeaderName; 16] = [
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::HOST,
        header::LOCATION,
        header::PROXY_AUTHENTICATE,
        header::SET_COOKIE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::WWW_AUTHENTICATE,
    ];
    !NOT.contains(name) && name != "keep-alive" && name != "proxy-connection"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const ANSWERS: &[(&str, bool)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
        ("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", false),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false),
    ];

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_an_answer_comes(
            which in 0..ANSWERS.len(), cuts in prop::collection::vec(0usize..100, 0..4),
        ) {
            let (text, ends) = ANSWERS[which];
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let progress = Arc::<Progress>::default();
            let mut answer = Answer::new(false, Arc::clone(&progress));
            for pair in cuts.windows(2) {
                prop_assert!(!answer.is_over() || pair[0] == text.len());
                answer.pass(&text.as_bytes()[pair[0]..pair[1]]).unwrap();
            }
            prop_assert_eq!(answer.is_over_cleanly(), ends);
            prop_assert_eq!(progress.take_trailers().is_some(), text.contains("X-Sum"));
            answer.pass(b"x").unwrap();
            prop_assert!(!answer.is_over_cleanly());
        }

        #[test]
        fn a_faulty_head_is_found_however_it_comes(cut in 0usize..70) {
            let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
            let mut answer = Answer::new(false, Arc::default());
            let cut = cut.min(text.len());
            let found = answer.pass(&text[..cut]).and_then(|()| answer.pass(&text[cut..]));
            prop_assert_eq!(found, Err(Fault::TwoFramings));
        }
    }

    #[test]
    fn fields_that_frame_or_authorise_are_no_trailers() {
        let progress = Arc::<Progress>::default();
        let mut answer = Answer::new(false, Arc::clone(&progress));
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\
                    Grpc-Status: 0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n";
        answer.pass(text.as_bytes()).unwrap();
        let trailers = progress.take_trailers().unwrap();
        let names: Vec<_> = trailers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(names, [("grpc-status", "0"), ("x-sum", "1"), ("x-sum", "2")]);
    }
}

//! What a connection is doing, how long it may, and when it makes room for a newcomer.

use std::time::Duration;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing has come from it yet.
    Opening,
    /// What has come is not a whole request head yet: a part of one, of a TLS handshake, of HTTP/2's preface.
    Reading,
    /// Requests are being served.
    Working,
    /// For a further request.
    Waiting,
    /// Its last answer is out.
    Closing,
}

/// What becomes of a connection that is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Unless a request comes in the last moment.
    IfIdle,
    Now,
}

impl Phase {
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Opening,
            1 => Self::Reading,
            2 => Self::Working,
            3 => Self::Waiting,
            _ => Self::Closing,
        }
    }

    /// Whether a connection has been in this phase for too long. Work has deadlines of its own.
    pub fn overstays(self, age: Duration, head: Duration, idle: Duration) -> Option<Ending> {
        let (most, ending) = match self {
            Self::Opening => (head, Ending::Now),
            // The watch over the stream has the same deadline and says so to the client: it is to be the first.
            Self::Reading => (head + TO_ANSWER, Ending::Now),
            Self::Waiting => (idle, Ending::IfIdle),
            Self::Working | Self::Closing => return None,
        };
        (age > most).then_some(ending)
    }

    /// Whether a connection in this phase may be ended in favour of a newcomer.
    pub fn makes_room(self, age: Duration) -> Option<Ending> {
        let (least, ending) = match self {
            Self::Opening => (SILENT, Ending::Now),
            Self::Waiting => (SETTLED, Ending::IfIdle),
            Self::Reading | Self::Closing => (ROUND_TRIPS, Ending::Now),
            Self::Working => return None,
        };
        (age >= least).then_some(ending)
    }
}

const TO_ANSWER: Duration = Duration::from_millis(250);

/// Who has something to ask sends it right behind the packet that opened the connection.
const SILENT: Duration = Duration::from_millis(100);

/// Who has only just got an answer is probably about to send a further request.
const SETTLED: Duration = Duration::from_millis(200);

/// A TLS handshake, or a head of several packets, over a long way.
const ROUND_TRIPS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Phase; 5] = [
        Phase::Opening,
        Phase::Reading,
        Phase::Working,
        Phase::Waiting,
        Phase::Closing,
    ];

    #[test]
    fn a_number_tells_the_phase() {
        for phase in ALL {
            assert_eq!(Phase::from_number(phase as u8), phase);
        }
    }

    #[test]
    fn nobody_at_work_makes_room_and_everybody_else_does_in_the_end() {
        for phase in ALL {
            assert_eq!(phase.makes_room(Duration::ZERO), None, "{phase:?}");
            let late = phase.makes_room(Duration::from_secs(5));
            assert_eq!(late.is_none(), phase == Phase::Working, "{phase:?}");
        }
    }

    #[test]
    fn every_wait_for_a_client_has_an_end() {
        let (head, idle) = (Duration::from_secs(15), Duration::from_secs(75));
        for phase in [Phase::Opening, Phase::Reading, Phase::Waiting] {
            let overstays = |age| phase.overstays(Duration::from_secs(age), head, idle);
            assert_eq!(overstays(14), None, "{phase:?}");
            assert!(overstays(76).is_some(), "{phase:?}");
        }
    }
}

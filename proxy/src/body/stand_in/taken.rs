//! The way back from a stand-in to the client's own session.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use pingora::Result;
use pingora::protocols::http::ServerSession;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::recipient::{Home, Recipient};
use super::session::StandIn;
use super::source::Source;
use crate::body::answer::{Ending, Keeping, Progress, deliver};
use crate::body::replay::Whole;
use crate::request::deadline::Patience;

/// The way back to the client's own session.
pub struct Taken {
    home: oneshot::Receiver<Home>,
    /// The body itself, where it is kept: then it can be given to a further backend from its first byte.
    whole: Option<Weak<Whole>>,
    progress: Arc<Progress>,
}

impl Taken {
    /// The body itself, for as long as it may be sent again; none where there is no body, and of one that is given on
    /// while it arrives.
    pub fn whole(&self) -> Option<Weak<Whole>> {
        self.whole.clone()
    }

    /// What is known of the answer.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Has the client get this in the place of the body of the answer whose head comes next, if any.
    pub fn replace_body(&self, body: Option<Bytes>) {
        self.progress.replace_body(body);
    }

    /// Whether the client's connection ends with the answer whose head comes next.
    pub fn end_connection(&self, is_last: bool) {
        self.progress.end_connection(is_last);
    }

    /// Has the next attempts waited for anew, as long as this.
    pub fn wait_anew(&self, patience: Patience) {
        self.progress.wait_anew(patience);
    }

    /// Lets body and answer go and puts the client's own session back. To be called before an answer of the proxy's own
    /// is written.
    pub async fn release(self, downstream: &mut Box<ServerSession>) {
        *downstream = match self.take_home(downstream) {
            Home::Here(client) | Home::Holding(client, _) | Home::Passing(client, _) => client,
            Home::Away(away) => {
                away.flow.end(Ending::Broken);
                away.come_home().await.0
            }
        };
    }

    /// Gives the client what it has yet to get of its answer, and puts its own session back. To be called once no
    /// backend will be asked any more; `broken` says that the answer broke off: the client gets what came of it, and can
    /// tell that it is not whole.
    ///
    /// # Errors
    /// The client left, or is too slow.
    pub async fn deliver(self, downstream: &mut Box<ServerSession>, broken: bool) -> Result<()> {
        let progress = Arc::clone(&self.progress);
        let (mut client, delivered) = match self.take_home(downstream) {
            Home::Holding(mut client, held) => {
                held.flow.end(if broken { Ending::Broken } else { Ending::Whole });
                let delivered = deliver(&mut client, held.head, held.is_bare, &held.flow).await;
                (client, delivered)
            }
            Home::Passing(client, outlet) => {
                if broken {
                    outlet.has_left().await;
                }
                (client, Ok(()))
            }
            Home::Here(client) => (client, Ok(())),
            Home::Away(away) => {
                away.flow.end(if broken { Ending::Broken } else { Ending::Whole });
                away.come_home().await
            }
        };
        let begun = client
            .response_written()
            .is_some_and(|head| !head.status.is_informational());
        if begun && (broken || delivered.is_err()) {
            cut_off(&mut client, progress.is_open_ended()).await;
            *downstream = nobody();
            let cut_off = StandIn::new(Recipient::cut_off(client), Source::Nothing);
            **downstream = ServerSession::new_custom(Box::new(cut_off));
            return if broken { Ok(()) } else { delivered };
        }
        *downstream = client;
        delivered
    }

    fn take_home(mut self, downstream: &mut Box<ServerSession>) -> Home {
        drop(std::mem::replace(downstream, nobody()));
        self.home
            .try_recv()
            .expect("a stand-in sends its session home when it is dropped")
    }
}

/// Lets the client know that its answer ends amid itself: on HTTP/2 by a reset of the stream, on HTTP/1 by the end of the
/// connection, without the last chunk or the length that was promised. Where none was, only a reset shows it, which may
/// overtake what has yet to leave.
async fn cut_off(client: &mut ServerSession, is_open_ended: bool) {
    if is_open_ended {
        sleep(BEFORE_RESET).await;
    }
    // It may take nothing any more; either way it had its chance.
    let _ = timeout(CLOSING, client.shutdown()).await;
}

const CLOSING: Duration = Duration::from_secs(5);
/// Some round trips.
const BEFORE_RESET: Duration = Duration::from_millis(200);

/// Puts a stand-in with this body in the place of `downstream`.
pub(in crate::body) fn swap(
    downstream: &mut Box<ServerSession>,
    source: Source,
    keeping: Keeping,
    patience: Patience,
) -> Taken {
    let (home, receiver) = oneshot::channel();
    let client = std::mem::replace(downstream, nobody());
    let recipient = Recipient::new(client, keeping);
    let taken = Taken {
        home: receiver,
        whole: source.whole(),
        progress: recipient.progress(),
    };
    let stand_in = StandIn::new(recipient, source).with(patience, home);
    **downstream = ServerSession::new_custom(Box::new(stand_in));
    taken
}

/// A session that must not be touched, only replaced.
fn nobody() -> Box<ServerSession> {
    Box::new(ServerSession::new_custom(Box::new(())))
}

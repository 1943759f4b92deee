//! A picture's way in: its place is taken and its length judged from the request's head, then the body is read under
//! limits of bytes, memory and time; raw, or in a form.

use std::{
    future::poll_fn,
    net::Ipv4Addr,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Query, Request},
    http::{HeaderMap, header, request::Parts},
};
use tokio::time::{timeout, timeout_at};

use super::{
    form::{self, Pairs},
    listener::Peer,
    service::{Service, Visit},
};
use crate::{
    admission::Hold,
    client::Client,
    codec::{Coded, Header},
    detect::Detectors,
    error::Error,
    options::Options,
    pipeline::{GoOn, splice_bytes},
    work,
    workers::Asked,
};

/// A picture that has arrived and passed every limit that can be judged without decoding it.
pub(super) struct Upload {
    arrived: Arrived,
    models: Arc<Detectors>,
    /// When the answer is due.
    deadline: Instant,
    visit: Visit,
}

/// What was made of a picture.
pub(super) struct Worked<T> {
    pub value: T,
    pub header: Header,
    pub options: Options,
    /// Of the file that was sent.
    pub bytes: usize,
    /// How long it waited for a thread.
    pub queue: Duration,
}

impl Upload {
    /// # Errors
    /// Any limit's. Those that the head breaks are told before the body is read.
    pub async fn receive(request: Request, service: &Arc<Service>) -> Result<Self, Error> {
        let (head, body) = request.into_parts();
        let admitted = match Admitted::judge(&head, body.size_hint().exact(), service).await {
            Ok(admitted) => admitted,
            Err(error) => {
                discard(body, &head.headers);
                return Err(error);
            }
        };
        let request = Request::from_parts(head, body);
        let arriving = arrive(request, service, &admitted);
        let arrived = admitted.visit.unless_sent_away(arriving).await?;
        let Admitted {
            models,
            deadline,
            visit,
            ..
        } = admitted;
        Ok(Self {
            arrived,
            models,
            deadline,
            visit,
        })
    }

    pub fn options(&self) -> &Options {
        &self.arrived.options
    }

    /// Wants to be told what the file holds beside the picture.
    pub fn report(&mut self) {
        self.arrived.options.report = true;
    }

    /// Waits for a thread, and for `steps` of the pipeline on it. The picture's place is free again when this returns.
    ///
    /// # Errors
    /// That of `steps`; [`Error::DeadlineExceeded`].
    pub async fn work<T: Send + 'static>(
        self,
        service: &Service,
        steps: impl FnOnce(&[u8], &Header, &Options, &Detectors, &GoOn) -> Result<T, Error> + Send + 'static,
    ) -> Result<Worked<T>, Error> {
        let Self {
            arrived,
            models,
            deadline,
            visit,
        } = self;
        let Arrived {
            file,
            header,
            options,
            work: expected,
            memory,
        } = arrived;
        let arrived = Instant::now();
        let (bytes, shown_header, shown_options) = (file.len(), header.clone(), options.clone());
        let visit = Arc::new(visit);
        let asked = Asked {
            client: visit.client,
            work: expected,
            deadline,
        };
        let begins = visit.clone();
        let work = move |go_on: &GoOn| {
            begins.begin()?;
            drop(begins);
            // What the picture holds is given back when the work ends, also when nobody waits for it any more.
            let _memory = memory;
            steps(&file, &header, &options, &models, go_on)
        };
        let done = visit.unless_sent_away(service.workers.run(asked, work)).await?;
        Ok(Worked {
            value: done.value,
            header: shown_header,
            options: shown_options,
            bytes,
            queue: done.started - arrived,
        })
    }
}

/// What is known of a request before its body.
struct Admitted {
    query: Pairs,
    models: Arc<Detectors>,
    deadline: Instant,
    visit: Visit,
}

impl Admitted {
    async fn judge(head: &Parts, length: Option<u64>, service: &Arc<Service>) -> Result<Self, Error> {
        let Query(query) = Query::<Pairs>::try_from_uri(&head.uri)
            .map_err(|_| Error::BadRequest("the query cannot be read".into()))?;
        service.options.with_query(&query, &service.leeway)?;
        if head.headers.contains_key("idempotency-key") {
            return Err(Error::IdempotencyKey);
        }
        if length.is_some_and(|length| length > service.max_bytes + super::MULTIPART_OVERHEAD as u64) {
            return Err(Error::TooManyBytes {
                limit: service.max_bytes,
            });
        }
        let deadline =
            Instant::now() + time_left(&head.headers)?.map_or(service.deadline, |left| left.min(service.deadline));
        let models = service.models()?;
        let visit = service.enter(client_of(head, service)).await?;
        // It is paid for as it comes, so that nobody holds memory by promises.
        service.admission.files().take(length.unwrap_or(0))?;
        Ok(Self {
            query,
            models,
            deadline,
            visit,
        })
    }
}

fn client_of(head: &Parts, service: &Service) -> Client {
    // Every connection has a peer.
    let peer = head
        .extensions
        .get::<Peer>()
        .map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0);
    let forwarded = head.headers.get_all("x-forwarded-for").iter();
    let lines = forwarded.map(|line| line.to_str().unwrap_or_default());
    Client::of(peer, lines, &service.trusted_proxies)
}

/// A picture that is there in full and may be worked on, but for a thread.
struct Arrived {
    file: Vec<u8>,
    header: Header,
    options: Options,
    /// How much of it is expected.
    work: Duration,
    /// For the file and for all that it unfolds to.
    memory: (Hold, Hold),
}

async fn arrive(request: Request, service: &Service, admitted: &Admitted) -> Result<Arrived, Error> {
    let Admitted {
        query,
        models,
        deadline,
        visit,
    } = admitted;
    let deadline = *deadline;
    let Received { file, held, fields } = match timeout(service.body_timeout, read(request, service)).await {
        Ok(read) => read?,
        Err(_) if Instant::now() >= deadline => return Err(Error::DeadlineExceeded),
        Err(_) => return Err(Error::BodyTimeout(service.body_timeout)),
    };
    let options = service
        .options
        .with_query(&[query.as_slice(), fields.as_slice()].concat(), &service.leeway)?;
    let mut header = Header::read(&file)?;
    let coded = Coded::of(&file, header.format);
    if header.pixels() > service.max_pixels
        && let Some(bytes) = splice_bytes(&file, &header, &options, models)
    {
        (header.is_spliced_only, header.work_bytes) = (true, bytes);
        header.check_pixels(service.max_spliced_pixels)?;
    } else {
        header.check_pixels(service.max_pixels)?;
    }
    header.check_parts(service.max_frames, service.max_frame_pixels)?;
    header.check_ratio(coded.bytes)?;
    let work = work::expected(&header, coded, &options);
    let room = async {
        visit.pay_for(work).await;
        service.admission.pictures().wait_for(header.work_bytes).await
    };
    let room = timeout_at(deadline.into(), room).await;
    let unfolded = room.map_err(|_| Error::DeadlineExceeded)??;
    Ok(Arrived {
        file,
        header,
        options,
        work,
        memory: (held, unfolded),
    })
}

/// What is left of the time the client, or a proxy on the way, allows.
fn time_left(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get("veil-deadline-ms") else {
        return Ok(None);
    };
    let milliseconds = value.to_str().ok().and_then(|text| text.parse().ok());
    let milliseconds =
        milliseconds.ok_or_else(|| Error::BadRequest("Veil-Deadline-Ms is not a number of milliseconds".into()))?;
    if milliseconds == 0 {
        Err(Error::DeadlineExceeded)
    } else {
        Ok(Some(Duration::from_millis(milliseconds)))
    }
}

/// A body that is there in full.
struct Received {
    file: Vec<u8>,
    held: Hold,
    /// Options that came with it.
    fields: Pairs,
}

async fn read(request: Request, service: &Service) -> Result<Received, Error> {
    let known = request.body().size_hint().exact();
    let mut intake = Intake {
        file: Vec::with_capacity(known.unwrap_or(0).min(service.max_bytes) as usize),
        held: service.admission.files().take(0)?,
        covered: 0,
        service,
    };
    let mut fields = Pairs::new();
    if form::is_form(request.headers()) {
        fields = form::read(request, service.max_bytes, |data| intake.add(data)).await?;
    } else {
        let (head, mut body) = request.into_parts();
        while let Some(data) = next_data(&mut body).await? {
            if let Err(error) = intake.add(&data) {
                discard(body, &head.headers);
                return Err(error);
            }
        }
    }
    Ok(Received {
        file: intake.file,
        held: intake.held,
        fields,
    })
}

/// Collects a body within the limits.
struct Intake<'a> {
    file: Vec<u8>,
    held: Hold,
    /// How many bytes `held` is for.
    covered: u64,
    service: &'a Service,
}

impl Intake<'_> {
    fn add(&mut self, data: &[u8]) -> Result<(), Error> {
        let length = (self.file.len() + data.len()) as u64;
        if length > self.service.max_bytes {
            return Err(Error::TooManyBytes {
                limit: self.service.max_bytes,
            });
        }
        if length > self.covered {
            let more = (length - self.covered).max(STRIDE);
            self.held.join(self.service.admission.files().take(more)?);
            self.covered += more;
        }
        self.file.extend_from_slice(data);
        Ok(())
    }
}

async fn next_data(body: &mut Body) -> Result<Option<Bytes>, Error> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        match frame
            .transpose()
            .map_err(|_| Error::BadRequest("the request body broke off".into()))?
        {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Reads on for a while without keeping anything, so that a client which is still sending gets to see the answer.
/// One that asked first whether to send (`Expect: 100-continue`) is better told not to.
fn discard(mut body: Body, headers: &HeaderMap) {
    if headers.contains_key(header::EXPECT) || body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(DISCARD_TIME, async move {
        let mut left = DISCARD_BYTES;
        while let Ok(Some(data)) = next_data(&mut body).await {
            let Some(still_left) = left.checked_sub(data.len()) else {
                return;
            };
            left = still_left;
        }
    }));
}

/// The step in which a body is paid for.
const STRIDE: u64 = 256 << 10;
const DISCARD_TIME: Duration = Duration::from_secs(5);
const DISCARD_BYTES: usize = 256 << 20;

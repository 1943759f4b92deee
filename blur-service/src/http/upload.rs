//! A picture's way in: its place is taken and its length judged from the request's head, then the body is read in time.

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::HttpBody,
    extract::{Query, Request},
    http::{HeaderMap, HeaderValue, request::Parts},
};
use tokio::time::{timeout, timeout_at};

use super::{
    form::{self, Pairs},
    intake::{File, Intake, Intakes, discard, read},
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

    /// One of several pictures that came in one body. It takes a place of its own.
    ///
    /// # Errors
    /// Any limit's; [`Error::Busy`].
    pub async fn of(file: File, options: &Options, since: &Several, service: &Arc<Service>) -> Result<Self, Error> {
        let deadline = (Instant::now() + service.deadline).min(since.until);
        let models = service.models()?;
        let visit = service.enter(since.client).await?;
        let arriving = unfold(file, options.clone(), &models, deadline, &visit, service);
        let arrived = visit.unless_sent_away(arriving).await?;
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
    let lines: Vec<&[u8]> = forwarded.map(HeaderValue::as_bytes).collect();
    Client::of(peer, &lines, &service.trusted_proxies)
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
        ..
    } = admitted;
    let mut intake = Intake::of(request.body().size_hint().exact(), service)?;
    let fields = in_time(read(request, service, &mut intake), service, *deadline).await?;
    let options = chosen(query, &fields, service)?;
    unfold(intake.into(), options, models, *deadline, visit, service).await
}

/// What comes of reading a body within its time.
async fn in_time<T>(
    reading: impl Future<Output = Result<T, Error>>,
    service: &Service,
    deadline: Instant,
) -> Result<T, Error> {
    match timeout(service.body_timeout, reading).await {
        Ok(read) => read,
        Err(_) if Instant::now() >= deadline => Err(Error::DeadlineExceeded),
        Err(_) => Err(Error::BodyTimeout(service.body_timeout)),
    }
}

fn chosen(query: &[(String, String)], fields: &[(String, String)], service: &Service) -> Result<Options, Error> {
    service.options.with_query(&[query, fields].concat(), &service.leeway)
}

/// Reads a file's head and waits for what working on it takes.
async fn unfold(
    file: File,
    options: Options,
    models: &Detectors,
    deadline: Instant,
    visit: &Visit,
    service: &Service,
) -> Result<Arrived, Error> {
    let File { bytes: file, held, .. } = file;
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
    header.work_bytes += options.format.work_bytes(&header);
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

/// Several pictures of one form, and the options for all of them.
pub(super) struct Several {
    pub files: Vec<File>,
    pub options: Options,
    client: Client,
    /// When the last answer is due, if the client says so.
    until: Instant,
}

impl Several {
    /// # Errors
    /// Any limit's; [`Error::BadRequest`] for anything but a form.
    pub async fn receive(request: Request, service: &Arc<Service>) -> Result<Self, Error> {
        let (head, body) = request.into_parts();
        let admitted = Admitted::judge(&head, body.size_hint().exact(), service).await?;
        if !form::is_form(&head.headers) {
            return Err(Error::BadRequest(
                "several pictures come in a form, as `curl -F image=@a.jpg -F image=@b.jpg` sends it".into(),
            ));
        }
        let until = time_left(&head.headers)?.map_or(FAR_AWAY, |left| left.min(FAR_AWAY));
        let request = Request::from_parts(head, body);
        let mut intakes = Intakes::new(service);
        let reading = form::read(request, service.max_bytes, &mut intakes);
        let reading = in_time(reading, service, admitted.deadline);
        let fields = admitted.visit.unless_sent_away(reading).await?;
        Ok(Self {
            files: intakes.into_files(),
            options: chosen(&admitted.query, &fields, service)?,
            client: admitted.visit.client,
            until: Instant::now() + until,
        })
    }
}

/// As good as no deadline.
const FAR_AWAY: Duration = Duration::from_secs(24 * 60 * 60);

//! A picture's way in: its place is taken and its length judged from the request's head, then the body is read under
//! limits of bytes, memory and time; raw, or as the multipart field `image`.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, Multipart, Query, Request, multipart::MultipartError},
    http::{HeaderMap, StatusCode, header},
};
use tokio::time::{timeout, timeout_at};

use super::service::{Service, Visit};
use crate::{
    admission::Hold,
    codec::Header,
    detect::Detectors,
    error::Error,
    options::Options,
    pipeline::{GoOn, splice_bytes},
};

/// A picture that has arrived and passed every limit that can be judged without decoding it.
pub(super) struct Upload {
    file: Vec<u8>,
    header: Header,
    options: Options,
    models: Arc<Detectors>,
    /// When the answer is due.
    deadline: Instant,
    /// Memory for the file and for all that it unfolds to.
    memory: (Hold, Hold),
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
        let admitted = Admitted::judge(&head.uri, &head.headers, body.size_hint().exact(), service);
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                discard(body, &head.headers);
                return Err(error);
            }
        };
        let request = Request::from_parts(head, body);
        let (file, held) = match timeout(service.body_timeout, read(request, service, admitted.held)).await {
            Ok(read) => read?,
            Err(_) if Instant::now() >= admitted.deadline => return Err(Error::DeadlineExceeded),
            Err(_) => return Err(Error::BodyTimeout(service.body_timeout)),
        };
        let mut header = Header::read(&file)?;
        if header.pixels() > service.max_pixels
            && let Some(bytes) = splice_bytes(&file, &header, &admitted.options, &admitted.models)
        {
            (header.is_spliced_only, header.work_bytes) = (true, bytes);
            header.check_pixels(service.max_spliced_pixels)?;
        } else {
            header.check_pixels(service.max_pixels)?;
        }
        header.check_parts(service.max_frames, service.max_frame_pixels)?;
        header.check_ratio(file.len() as u64)?;
        let unfolded = service.admission.pictures().wait_for(header.work_bytes);
        let unfolded = timeout_at(admitted.deadline.into(), unfolded)
            .await
            .map_err(|_| Error::DeadlineExceeded)??;
        let Admitted {
            options,
            models,
            deadline,
            visit,
            ..
        } = admitted;
        Ok(Self {
            file,
            header,
            options,
            models,
            deadline,
            memory: (held, unfolded),
            visit,
        })
    }

    pub fn options(&self) -> &Options {
        &self.options
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
            file,
            header,
            options,
            models,
            deadline,
            memory,
            visit: _visit,
        } = self;
        let arrived = Instant::now();
        let (bytes, shown_header) = (file.len(), header.clone());
        let work = move |go_on: &GoOn| {
            // What the picture holds is given back when the work ends, also when nobody waits for it any more.
            let _memory = memory;
            steps(&file, &header, &options, &models, go_on)
        };
        let done = service.workers.run(deadline, work).await?;
        Ok(Worked {
            value: done.value,
            header: shown_header,
            options,
            bytes,
            queue: done.started - arrived,
        })
    }
}

/// What is known of a request before its body.
struct Admitted {
    options: Options,
    models: Arc<Detectors>,
    deadline: Instant,
    held: Hold,
    visit: Visit,
}

impl Admitted {
    fn judge(
        uri: &axum::http::Uri,
        headers: &HeaderMap,
        length: Option<u64>,
        service: &Arc<Service>,
    ) -> Result<Self, Error> {
        let query: Query<Vec<(String, String)>> =
            Query::try_from_uri(uri).map_err(|_| Error::BadRequest("the query cannot be read".into()))?;
        let options = service.options.with_query(&query, service.weaker_allowed)?;
        if length.is_some_and(|length| length > service.max_bytes + super::MULTIPART_OVERHEAD as u64) {
            return Err(Error::TooManyBytes {
                limit: service.max_bytes,
            });
        }
        let deadline = Instant::now() + time_left(headers)?.map_or(service.deadline, |left| left.min(service.deadline));
        let models = service.models()?;
        let visit = service.enter()?;
        let held = service.admission.files().take(length.unwrap_or(0))?;
        Ok(Self {
            options,
            models,
            deadline,
            held,
            visit,
        })
    }
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

async fn read(request: Request, service: &Service, held: Hold) -> Result<(Vec<u8>, Hold), Error> {
    let known = request.body().size_hint().exact();
    let mut intake = Intake {
        file: Vec::with_capacity(known.unwrap_or(0).min(service.max_bytes) as usize),
        held,
        covered: known.unwrap_or(0),
        service,
    };
    if is_multipart(request.headers()) {
        read_multipart(request, &mut intake).await?;
    } else {
        let (head, mut body) = request.into_parts();
        while let Some(data) = next_data(&mut body).await? {
            if let Err(error) = intake.add(&data) {
                discard(body, &head.headers);
                return Err(error);
            }
        }
    }
    Ok((intake.file, intake.held))
}

async fn read_multipart(request: Request, intake: &mut Intake<'_>) -> Result<(), Error> {
    let limit = intake.service.max_bytes;
    let broken = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooManyBytes { limit },
        _ => Error::BadRequest(format!("the multipart body cannot be read: {}", error.body_text())),
    };
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| Error::BadRequest(rejection.body_text()))?;
    let mut seen = false;
    while let Some(mut part) = parts.next_field().await.map_err(broken)? {
        if part.name() != Some(FIELD) || seen {
            return Err(not_one_picture());
        }
        seen = true;
        while let Some(data) = part.chunk().await.map_err(broken)? {
            intake.add(&data)?;
        }
    }
    if seen { Ok(()) } else { Err(not_one_picture()) }
}

fn not_one_picture() -> Error {
    Error::BadRequest(format!(
        "the multipart body must have one field, `{FIELD}`, and nothing else, as `curl -F {FIELD}=@photo.jpg` sends it"
    ))
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
        // A body whose length nobody told is paid for as it comes.
        if length > self.covered {
            let more = (length - self.covered).max(STRIDE);
            self.held.join(self.service.admission.files().take(more)?);
            self.covered += more;
        }
        self.file.extend_from_slice(data);
        Ok(())
    }
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.is_some_and(|value| value.to_ascii_lowercase().starts_with("multipart/form-data"))
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

/// The multipart field that holds the picture.
const FIELD: &str = "image";
/// The step in which a body of unknown length is paid for.
const STRIDE: u64 = 256 << 10;
const DISCARD_TIME: Duration = Duration::from_secs(5);
const DISCARD_BYTES: usize = 256 << 20;

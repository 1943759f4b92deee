//! A body's way into memory: raw or in a form, one picture or several, under limits of bytes and memory that are paid for as
//! it comes.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderMap, header},
};
use tokio::time::timeout;

use super::{
    form::{self, Pairs, Pictures},
    service::Service,
};
use crate::{admission::Hold, error::Error};

/// Reads a body of one picture, and returns the options that came with it.
pub(super) async fn read(request: Request, service: &Service, intake: &mut Intake<'_>) -> Result<Pairs, Error> {
    if form::is_form(request.headers()) {
        return form::read(request, service.max_bytes, intake).await;
    }
    let (head, mut body) = request.into_parts();
    while let Some(data) = next_data(&mut body).await? {
        if let Err(error) = intake.add(&data) {
            discard(body, &head.headers);
            return Err(error);
        }
    }
    Ok(Pairs::new())
}

/// A file that is there in full.
pub(super) struct File {
    /// As the client calls it.
    pub name: Option<String>,
    pub bytes: Vec<u8>,
    pub held: Hold,
}

/// Collects a body within the limits.
pub(super) struct Intake<'a> {
    file: File,
    has_begun: bool,
    /// How many bytes `held` is for.
    covered: u64,
    service: &'a Service,
}

impl<'a> Intake<'a> {
    pub fn of(length: Option<u64>, service: &'a Service) -> Result<Self, Error> {
        let file = File {
            name: None,
            bytes: Vec::with_capacity(length.unwrap_or(0).min(service.max_bytes) as usize),
            held: service.admission.files().take(0)?,
        };
        Ok(Self {
            file,
            has_begun: false,
            covered: 0,
            service,
        })
    }
}

impl Pictures for Intake<'_> {
    fn begin(&mut self, _: Option<&str>) -> Result<(), Error> {
        if self.has_begun {
            let why =
                "the multipart body has several pictures: they go to /v1/blur/batch, where each has its own outcome";
            return Err(Error::BadRequest(why.into()));
        }
        self.has_begun = true;
        Ok(())
    }

    fn add(&mut self, data: &Bytes) -> Result<(), Error> {
        let length = (self.file.bytes.len() + data.len()) as u64;
        if length > self.service.max_bytes {
            return Err(Error::TooManyBytes {
                limit: self.service.max_bytes,
            });
        }
        if length > self.covered {
            let more = (length - self.covered).max(STRIDE);
            self.file.held.join(self.service.admission.files().take(more)?);
            self.covered += more;
        }
        self.file.bytes.extend_from_slice(data);
        Ok(())
    }
}

impl From<Intake<'_>> for File {
    fn from(intake: Intake) -> Self {
        intake.file
    }
}

/// Collects several pictures; the body as a whole has the limit of one.
pub(super) struct Intakes<'a> {
    done: Vec<Intake<'a>>,
    service: &'a Service,
}

impl<'a> Intakes<'a> {
    pub fn new(service: &'a Service) -> Self {
        Self {
            done: Vec::new(),
            service,
        }
    }

    pub fn into_files(self) -> Vec<File> {
        self.done.into_iter().map(File::from).collect()
    }
}

impl Pictures for Intakes<'_> {
    fn begin(&mut self, name: Option<&str>) -> Result<(), Error> {
        if self.done.len() == MOST_PICTURES {
            return Err(Error::TooMany {
                what: "pictures",
                found: MOST_PICTURES as u64 + 1,
                limit: MOST_PICTURES as u64,
            });
        }
        let mut intake = Intake::of(None, self.service)?;
        intake.file.name = name.map(str::to_owned);
        self.done.push(intake);
        Ok(())
    }

    fn add(&mut self, data: &Bytes) -> Result<(), Error> {
        self.done.last_mut().map_or(Ok(()), |intake| intake.add(data))
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
pub(super) fn discard(mut body: Body, headers: &HeaderMap) {
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
/// In one body.
const MOST_PICTURES: usize = 256;

//! What every request sees: the limits, the models, the threads and the counters.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::metrics::Metrics;
use crate::{
    admission::{Admission, Place},
    args::Args,
    client::{Client, Trusted},
    cores::Cores,
    detect::Detectors,
    error::Error,
    options::{Leeway, Options},
    redact::NoiseKey,
    workers::Workers,
};

pub struct Service {
    pub(super) options: Options,
    pub(super) leeway: Leeway,
    pub(super) trusted_proxies: Trusted,
    pub(super) noise_key: NoiseKey,
    pub(super) max_bytes: u64,
    pub(super) max_pixels: u64,
    pub(super) max_spliced_pixels: u64,
    pub(super) max_frames: u32,
    pub(super) max_frame_pixels: u64,
    pub(super) deadline: Duration,
    pub(super) body_timeout: Duration,
    pub(super) admission: Admission,
    pub(super) workers: Workers,
    cores: Arc<Cores>,
    pub(super) metrics: Metrics,
    pub(super) started: Instant,
    models: OnceLock<Arc<Detectors>>,
    draining: AtomicBool,
    left: Notify,
}

impl Service {
    /// # Errors
    /// The system's, when there can be no more threads or no random numbers.
    pub fn new(args: &Args) -> std::io::Result<Self> {
        let cores = Arc::new(Cores::new(args.workers()));
        Ok(Self {
            options: args.picture.options(),
            leeway: args.leeway(),
            trusted_proxies: args.trusted_proxies.clone(),
            noise_key: args.picture.noise_key()?,
            max_bytes: args.max_bytes.0,
            max_pixels: args.max_pixels,
            max_spliced_pixels: args.max_spliced_pixels(),
            max_frames: args.max_frames,
            max_frame_pixels: args.max_frame_pixels,
            deadline: args.deadline.0,
            body_timeout: args.body_timeout.0,
            admission: Admission::new(args.workers() + args.queue, args.max_memory.0),
            workers: Workers::start(args.workers(), &cores)?,
            cores,
            metrics: Metrics::new(),
            started: Instant::now(),
            models: OnceLock::new(),
            draining: AtomicBool::new(false),
            left: Notify::new(),
        })
    }

    /// Opens the service: pictures are taken from now on.
    pub fn models_are_warm(&self, models: Detectors) {
        // Only ever called once; a second set of models would be the same.
        let _ = self.models.set(Arc::new(models.sharing(self.cores.clone())));
    }

    /// # Errors
    /// [`Error::Loading`] until the models are warm.
    pub(super) fn models(&self) -> Result<Arc<Detectors>, Error> {
        self.models.get().cloned().ok_or(Error::Loading)
    }

    /// Lets one picture in.
    ///
    /// # Errors
    /// [`Error::Busy`] when all places are taken.
    pub(super) async fn enter(self: &Arc<Self>, client: Client) -> Result<Visit, Error> {
        Ok(Visit {
            place: Some(self.admission.enter(client).await?),
            client,
            service: self.clone(),
        })
    }

    /// Pictures between their head and their answer.
    pub fn in_flight(&self) -> usize {
        self.admission.in_flight()
    }

    /// From now on `/health` says so, that whoever asks sends nothing more; what still comes is served.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns when no picture is in flight.
    pub async fn idle(&self) {
        loop {
            let left = self.left.notified();
            if self.in_flight() == 0 {
                return;
            }
            left.await;
        }
    }
}

/// A picture's stay from its head to its answer.
pub(super) struct Visit {
    place: Option<Place>,
    pub client: Client,
    service: Arc<Service>,
}

impl Visit {
    /// Waits for the places that so much work takes.
    pub async fn pay_for(&self, work: Duration) {
        if let Some(place) = &self.place {
            place.pay_for(work).await;
        }
    }

    /// # Errors
    /// [`Error::Busy`] if the place was given to somebody else.
    pub fn begin(&self) -> Result<(), Error> {
        self.place.as_ref().map_or(Ok(()), Place::begin)
    }

    /// What `work` comes to.
    ///
    /// # Errors
    /// Its own; [`Error::Busy`] if the place is given to somebody else before.
    pub async fn unless_sent_away<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(place) = &self.place else {
            return work.await;
        };
        tokio::select! {
            biased;
            done = work => done,
            () = place.sent_away() => Err(Error::Busy),
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.place = None;
        self.service.left.notify_waiters();
    }
}

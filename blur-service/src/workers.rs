//! Threads of their own for work on pictures, so that health checks and uploads never wait for it. Whoever asked may
//! leave: what has not begun is skipped then, and what has begun is told to stop.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Instant,
};

use tokio::sync::oneshot;

use crate::{cores::Cores, error::Error, pipeline::GoOn};

/// How many may ask is bounded by admission, so the queue itself need not be.
pub struct Workers {
    jobs: mpsc::Sender<Job>,
    waiting: Arc<AtomicUsize>,
}

type Job = Box<dyn FnOnce() + Send>;

/// A finished piece of work.
pub struct Done<T> {
    pub value: T,
    /// When a thread took it up.
    pub started: Instant,
}

impl Workers {
    /// Starts `count` threads, each of which works while it has one of `cores`; they end when this is dropped and the queue
    /// is empty.
    ///
    /// # Errors
    /// The system's, when there can be no more threads.
    pub fn start(count: usize, cores: &Arc<Cores>) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        // Contended by idle threads only: one waits inside, the others for it.
        let queue = Arc::new(Mutex::new(queue));
        for index in 0..count {
            let (queue, cores) = (queue.clone(), cores.clone());
            thread::Builder::new().name(format!("picture-{index}")).spawn(move || {
                while let Some(job) = next(&queue) {
                    let core = cores.take();
                    job();
                    drop(core);
                }
            })?;
        }
        Ok(Self {
            jobs,
            waiting: Arc::default(),
        })
    }

    /// Runs `work` on one of the threads. Dropping the future frees its turn, and `work` is told so by its argument.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`] when `deadline` passed before `work` began or while it ran; [`Error::Internal`]
    /// when it panicked; its own.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&GoOn) -> Result<T, Error> + Send + 'static,
    ) -> Result<Done<T>, Error> {
        let (answer, answered) = oneshot::channel();
        let turn = Turn::take(&self.waiting);
        let job = move || {
            drop(turn);
            let started = Instant::now();
            if answer.is_closed() {
                return;
            }
            let go_on = || !answer.is_closed() && Instant::now() < deadline;
            let value = catch_unwind(AssertUnwindSafe(|| {
                if go_on() { work(&go_on) } else { Err(Error::Stopped) }
            }));
            let value = value.unwrap_or_else(|_| Err(Error::internal("the work on a picture panicked")));
            // Nobody listens any more: the client has left.
            let _ = answer.send(value.map(|value| Done { value, started }));
        };
        self.jobs
            .send(Box::new(job))
            .map_err(|_| Error::internal("the threads for pictures are gone"))?;
        match answered.await.map_err(Error::internal)? {
            Err(Error::Stopped) => Err(Error::DeadlineExceeded),
            answer => answer,
        }
    }

    /// How many pieces of work no thread has taken up yet.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

fn next(queue: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// One in the queue while it lives.
struct Turn(Arc<AtomicUsize>);

impl Turn {
    fn take(waiting: &Arc<AtomicUsize>) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{sync::Barrier, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_and_the_thread_lives_on() {
        let workers = Workers::start(1, &Arc::new(Cores::new(1))).unwrap();
        let failed = workers
            .run(soon(), |_| -> Result<(), Error> { panic!("as a test") })
            .await;
        assert!(matches!(failed, Err(Error::Internal(_))));
        assert_eq!(workers.run(soon(), |_| Ok(7)).await.ok().unwrap().value, 7);
    }

    #[tokio::test]
    async fn work_past_its_deadline_does_not_begin() {
        let workers = Workers::start(1, &Arc::new(Cores::new(1))).unwrap();
        let late = workers
            .run(Instant::now(), |_| -> Result<(), Error> { panic!("must not run") })
            .await;
        assert!(matches!(late, Err(Error::DeadlineExceeded)));
    }

    #[tokio::test]
    async fn work_whose_client_left_is_told_to_stop() {
        let workers = Workers::start(1, &Arc::new(Cores::new(1))).unwrap();
        let begun = Arc::new(Barrier::new(2));
        let (told, was_told) = oneshot::channel();
        let work = {
            let begun = begun.clone();
            workers.run(soon(), move |go_on| {
                begun.wait();
                while go_on() {
                    thread::yield_now();
                }
                told.send(()).map_err(|()| Error::Stopped)
            })
        };
        let mut work = Box::pin(work);
        // Polled once, so that it is handed over; the barrier says that it has begun; then the client leaves.
        assert!(tokio::time::timeout(Duration::ZERO, &mut work).await.is_err());
        begun.wait();
        drop(work);
        was_told.await.unwrap();
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }
}

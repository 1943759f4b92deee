//! Threads of their own for work on pictures, so that health checks and uploads never wait for it. Whoever asked may
//! leave: what has not begun is skipped then, and what has begun is told to stop.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    client::Client,
    cores::Cores,
    error::Error,
    pipeline::GoOn,
    queue::{Queue, Turn},
};

/// How many may ask is bounded by admission, so the queue itself need not be.
pub struct Workers {
    jobs: Arc<Queue<Job>>,
    waiting: Arc<AtomicUsize>,
}

/// Who wants something done, how much work that is, and by when.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub client: Client,
    pub work: Duration,
    pub deadline: Instant,
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
        let jobs = Arc::new(Queue::<Job>::new(count));
        for index in 0..count {
            let (jobs, cores) = (jobs.clone(), cores.clone());
            thread::Builder::new().name(format!("picture-{index}")).spawn(move || {
                while let Some(Turn { item: job, at_work }) = jobs.take() {
                    let core = cores.take();
                    job();
                    drop((core, at_work));
                }
            })?;
        }
        Ok(Self {
            jobs,
            waiting: Arc::default(),
        })
    }

    /// Runs `work` on one of the threads when its turn has come. Dropping the future frees its turn, and `work` is told so by
    /// its argument.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`] when `deadline` passed before `work` began or while it ran; [`Error::Internal`]
    /// when it panicked; its own.
    pub async fn run<T: Send + 'static>(
        &self,
        asked: Asked,
        work: impl FnOnce(&GoOn) -> Result<T, Error> + Send + 'static,
    ) -> Result<Done<T>, Error> {
        let (answer, answered) = oneshot::channel();
        let counted = Counted::one_more(&self.waiting);
        let Asked {
            client,
            work: expected,
            deadline,
        } = asked;
        let job = move || {
            drop(counted);
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
        self.jobs.put(Box::new(job), client, expected);
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

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs.close();
    }
}

/// One in the queue while it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one_more(waiting: &Arc<AtomicUsize>) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Barrier;

    use super::*;
    use crate::client::Trusted;

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
            .run(asked(Duration::ZERO), |_| -> Result<(), Error> {
                panic!("must not run")
            })
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

    fn soon() -> Asked {
        asked(Duration::from_secs(60))
    }

    fn asked(in_time: Duration) -> Asked {
        let nobody: Trusted = "".parse().unwrap();
        Asked {
            client: Client::of([192, 0, 2, 1].into(), &[], &nobody),
            work: Duration::from_millis(1),
            deadline: Instant::now() + in_time,
        }
    }
}

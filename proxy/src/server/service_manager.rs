//! What systemd hears, if it has started this process: that it serves, reloads, ends, has a successor, and is alive.

use std::convert::Infallible;
use std::future::pending;

use service_notify::{Manager, Notice};
use tokio::time::sleep;

pub fn tell(notice: Notice) {
    if let Err(error) = Manager::of_this_process().tell(notice) {
        tracing::warn!("cannot tell systemd {notice:?}: {error}");
    }
}

/// Says again and again that the process is alive, as long as it is. Polled by the thread of the run loop.
pub async fn beat() -> Infallible {
    let Some(interval) = Manager::of_this_process().watchdog() else {
        return pending().await;
    };
    loop {
        sleep(interval).await;
        answers().await;
        tell(Notice::Alive);
    }
}

/// Returns when one of the threads that serve requests has taken up a task: never while all of them are stuck.
async fn answers() {
    // A task that does nothing cannot fail.
    let _ = tokio::spawn(async {}).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::Poll;
    use std::thread;

    use tokio::runtime::Builder;

    #[test]
    fn there_is_no_answer_while_every_thread_is_stuck() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (stuck, is_stuck) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        runtime.spawn(async move {
            stuck.send(()).unwrap();
            let _ = released.recv();
        });
        is_stuck.recv().unwrap();
        runtime.block_on(async {
            let mut answer = pin!(answers());
            // No timer: it would take a thread that is not stuck.
            for _ in 0..1000 {
                assert!(poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_pending())).await);
                thread::yield_now();
            }
            release.send(()).unwrap();
            answer.await;
        });
    }
}

//! One worker process: started with the socket as its standard input, its output in our log, ended politely.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::sync::oneshot;

use super::output;
use super::worker::Command;

pub struct Process {
    child: Child,
}

impl Process {
    pub async fn start(command: &Command, listener: &TcpListener, pool: &str, name: &str) -> io::Result<Self> {
        // `turn_away` may have left it otherwise, and a worker may rely on a socket that blocks.
        listener.set_nonblocking(false)?;
        let mut process = tokio::process::Command::new(&command.program);
        process
            .args(&command.args)
            .envs(&command.env)
            .stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // systemd hears of this process, not of each worker.
        for variable in service_notify::VARIABLES {
            process.env_remove(variable);
        }
        let mut child = on_the_lasting_thread(move || process.spawn()).await?;
        if let Some(output) = child.stdout.take() {
            tokio::spawn(output::forward(output, pool.to_owned(), name.to_owned()));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(output::forward(output, pool.to_owned(), name.to_owned()));
        }
        Ok(Self { child })
    }

    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Returns, when the process has ended, what became of it.
    pub async fn wait(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("ended unbidden: {status}"),
            Err(error) => format!("lost: {error}"),
        }
    }

    /// Ends it by force.
    pub async fn kill(mut self) -> String {
        match self.child.kill().await {
            Ok(()) => "did not answer its checks and was killed".to_owned(),
            Err(error) => format!("did not answer its checks and cannot be killed: {error}"),
        }
    }

    /// SIGTERM, and SIGKILL for one that has not ended within the time.
    pub async fn stop(mut self, within: Duration) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            // It may have ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(within, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// Runs on a thread that lives as long as the process. The kernel sends a worker's parent-death signal when the thread
/// that started it ends, and tokio's threads may come and go.
async fn on_the_lasting_thread<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    static THREAD: OnceLock<mpsc::Sender<Box<dyn FnOnce() + Send>>> = OnceLock::new();
    let thread = THREAD.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        std::thread::Builder::new()
            .name("veil-spawn".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job()))
            .expect("the system can start one more thread");
        jobs
    });
    let (done, result) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let job = Box::new(move || {
        let _runtime = runtime.enter();
        let _ = done.send(job());
    });
    thread.send(job).expect("the thread lives as long as the process");
    result.await.expect("the thread answers every job")
}

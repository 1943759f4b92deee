//! A started binary: its output, its children, its signals and its end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::until::{SOON, until};

/// Killed, and waited for, when dropped. Prints its log if that happens in a panic.
pub struct Process {
    child: Child,
    pub stdout: Lines,
    pub stderr: Lines,
}

impl Process {
    /// Starts one of the workspace's binaries.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_in(&[], name, arguments)
    }

    /// With further environment variables.
    pub fn start_in(environment: &[(&str, &str)], name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary(name));
        command.args(arguments).envs(environment.iter().copied());
        Self::run(command)
    }

    /// Starts a program of the system's.
    pub fn start_program(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(name);
        command.args(arguments);
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        let mut child = command
            // Held until the end, so that a process of ours can notice that we are gone.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = Lines::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Lines::of(child.stderr.take().expect("stderr is piped"));
        Self { child, stdout, stderr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        signal_to(self.id(), signal);
    }

    /// The exit status, or `None` while it runs.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours can be waited for")
    }

    /// Waits for it to end of itself.
    pub fn exit(&mut self, limit: Duration) -> ExitStatus {
        until("the process ends", limit, || self.status())
    }

    /// The processes it has started and not yet reaped, without zombies.
    pub fn children(&self) -> Vec<u32> {
        children_of(self.id())
    }
}

/// A process that another one has started; killed when dropped.
pub struct Stranger(pub u32);

impl Drop for Stranger {
    fn drop(&mut self) {
        signal_to(self.0, Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- stdout\n{}\n--- stderr\n{}", self.stdout.text(), self.stderr.text());
        }
    }
}

/// The lines a process has written to one of its outputs, kept as they come.
#[derive(Clone)]
pub struct Lines(Arc<(Mutex<Seen>, Condvar)>);

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    ended: bool,
    /// Nothing more is read, and the pipe stays open.
    unread: bool,
}

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::default());
        let writer = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                writer.0.0.lock().expect("no holder panics").lines.push(line);
                writer.0.1.notify_all();
                let seen = writer.0.0.lock().expect("no holder panics");
                drop(
                    writer
                        .0
                        .1
                        .wait_while(seen, |seen| seen.unread)
                        .expect("no holder panics"),
                );
            }
            writer.0.0.lock().expect("no holder panics").ended = true;
            writer.0.1.notify_all();
        });
        lines
    }

    /// Waits for a line in which `find` finds something, from the first one on.
    pub fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        let (lines, changed) = &*self.0;
        let mut seen = lines.lock().expect("no holder panics");
        loop {
            if let Some(found) = seen.lines.iter().find_map(|line| find(line)) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // A panic that holds the lock would make the reading thread panic too.
                drop(seen);
                panic!("no line with {what} in:\n{}", self.text());
            }
            seen = changed.wait_timeout(seen, left).expect("no holder panics").0;
        }
    }

    /// Lets what is written from now on pile up in the pipe.
    pub fn stop_reading(&self) {
        self.0.0.lock().expect("no holder panics").unread = true;
    }

    pub fn text(&self) -> String {
        self.0.0.lock().expect("no holder panics").lines.join("\n")
    }

    /// The text once the output has ended.
    pub fn all(&self) -> String {
        until("the output ends", SOON, || {
            self.0.0.lock().expect("no holder panics").ended.then_some(())
        });
        self.text()
    }
}

/// Sends a signal to any process; one that is gone already is fine.
pub fn signal_to(id: u32, signal: Signal) {
    let id = Pid::from_raw(id.cast_signed()).expect("a process id is above 0");
    let _ = kill_process(id, signal);
}

/// Whether a process is there and not a zombie.
pub fn lives(id: u32) -> bool {
    status_of(id).is_some_and(|(_, state)| state != 'Z')
}

/// The memory it holds now, in bytes.
pub fn resident_bytes(id: u32) -> u64 {
    memory_bytes(id, "VmRSS:")
}

/// The most memory it has held at a time, in bytes.
pub fn peak_resident_bytes(id: u32) -> u64 {
    memory_bytes(id, "VmHWM:")
}

fn memory_bytes(id: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// The processes that one has started and not yet reaped, without zombies.
pub fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc is mounted");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&id| status_of(id).is_some_and(|(parent_id, state)| parent_id == parent && state != 'Z'))
        .collect()
}

/// A process's parent and its state (`R`, `S`, `Z`, …), from `/proc/ID/stat`.
fn status_of(id: u32) -> Option<(u32, char)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The command's name stands in parentheses and may hold spaces.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state))
}

/// Where the workspace's binaries are: beside this one, or above the folder `deps` of a test.
pub fn binary(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a running program has a path");
    let folder = here
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .expect("cargo builds into a folder");
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not there: run `cargo build --release --workspace --all-targets` first",
        path.display()
    );
    path
}

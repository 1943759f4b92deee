//! What this process takes of its machine, by the names that all of Prometheus' client libraries use (`process_…`). The files
//! that tell it are opened once, since a process that has shut itself in opens none.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, OnceLock};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::param::{clock_ticks_per_second, page_size};

/// Opens what is read later; does nothing where that has been done.
pub fn open() {
    VITALS.get_or_init(Vitals::open);
}

/// The metrics in Prometheus' text format; none that this system does not tell.
pub fn text() -> String {
    let vitals = VITALS.get_or_init(Vitals::open);
    let mut text = String::new();
    for (name, kind, help, value) in vitals.metrics().into_iter().flatten() {
        text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    text
}

static VITALS: OnceLock<Vitals> = OnceLock::new();

/// Name, type, help and value.
type Metric = (&'static str, &'static str, &'static str, f64);

struct Vitals {
    stat: Option<File>,
    limits: Option<File>,
    descriptors: Option<Mutex<Dir>>,
    booted: Option<f64>,
}

impl Vitals {
    fn open() -> Self {
        let descriptors = rustix::fs::open(
            "/proc/self/fd",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        Self {
            stat: File::open("/proc/self/stat").ok(),
            limits: File::open("/proc/self/limits").ok(),
            descriptors: descriptors.and_then(Dir::new).ok().map(Mutex::new),
            booted: booted(),
        }
    }

    fn metrics(&self) -> [Option<Metric>; 7] {
        let stat = self.stat.as_ref().and_then(whole).as_deref().and_then(Stat::read);
        let of = |value: fn(&Stat) -> f64| stat.as_ref().map(value);
        let started = of(|stat| stat.started_seconds)
            .zip(self.booted)
            .map(|(after, boot)| boot + after);
        [
            metric(
                "process_cpu_seconds_total",
                "counter",
                "User and system time.",
                of(|stat| stat.cpu_seconds),
            ),
            metric(
                "process_resident_memory_bytes",
                "gauge",
                "Resident memory.",
                of(|stat| stat.resident_bytes),
            ),
            metric(
                "process_virtual_memory_bytes",
                "gauge",
                "Virtual memory.",
                of(|stat| stat.virtual_bytes),
            ),
            metric("process_threads", "gauge", "Threads.", of(|stat| stat.threads)),
            metric(
                "process_start_time_seconds",
                "gauge",
                "When it started, in seconds since 1970.",
                started,
            ),
            metric(
                "process_open_fds",
                "gauge",
                "Open file descriptors.",
                self.open_descriptors(),
            ),
            metric(
                "process_max_fds",
                "gauge",
                "Most file descriptors that it may have open.",
                self.greatest_descriptors(),
            ),
        ]
    }

    fn open_descriptors(&self) -> Option<f64> {
        let mut folder = self.descriptors.as_ref()?.lock().ok()?;
        folder.rewind();
        let entries = folder.by_ref().filter_map(Result::ok);
        let numbers = entries.filter(|entry| entry.file_name().to_bytes().first().is_some_and(u8::is_ascii_digit));
        Some(numbers.count() as f64)
    }

    fn greatest_descriptors(&self) -> Option<f64> {
        let text = whole(self.limits.as_ref()?)?;
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

fn metric(name: &'static str, kind: &'static str, help: &'static str, value: Option<f64>) -> Option<Metric> {
    value.map(|value| (name, kind, help, value))
}

/// What is used of `/proc/self/stat`.
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    /// Since the machine was booted.
    started_seconds: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    /// The fields as proc(5) counts them, behind the program's name, which may hold spaces and brackets.
    fn read(text: &str) -> Option<Self> {
        let (_, after_name) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let ticks = clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            started_seconds: field(22)? / ticks,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page_size() as f64,
        })
    }
}

/// From its beginning, however often it has been read.
fn whole(file: &File) -> Option<String> {
    let mut bytes = [0; 4096];
    let length = file.read_at(&mut bytes, 0).ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// When the machine was, in seconds since 1970.
fn booted() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn value(name: &str) -> f64 {
        let text = text();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{text}"))[name.len() + 1..]
            .parse()
            .unwrap()
    }

    #[test]
    fn tells_of_this_process_again_and_again() {
        let before = value("process_open_fds");
        let files: Vec<File> = (0..50).map(|_| File::open("/proc/self/stat").unwrap()).collect();
        // Other tests may open and close a few.
        assert!(value("process_open_fds") > before + 25.0);
        drop(files);
        assert!(value("process_max_fds") >= before);
        let memory = value("process_resident_memory_bytes");
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(
            value("process_resident_memory_bytes") > memory + 32e6,
            "{}",
            block.len()
        );
        assert!(value("process_start_time_seconds") > 1.7e9);
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_virtual_memory_bytes") > memory);
    }

    #[test]
    fn a_name_with_brackets_is_skipped() {
        let fields = (4..=24).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
        let stat = Stat::read(&format!("7 (a) b (c) S {fields} 25")).unwrap();
        assert_eq!((stat.threads, stat.virtual_bytes), (20.0, 23.0));
        assert!(Stat::read("7 (veil) S 1").is_none());
    }
}

//! In a folder: a file an answer, there in full or not at all. Now and then, those that are too old go, and the oldest beyond
//! the bound.

use std::cmp::Reverse;
use std::fs::{self, OpenOptions};
use std::io;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rustix::fs::OFlags;
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::shelf::Limits;
use super::store::Store;
use crate::request::random_bits;
use crate::yaml::units::ByteSize;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// One that is there, for answers alone: what else is in it by such a name goes.
    pub path: PathBuf,
    /// At least 32 random bytes, which seal the answers; whoever shares the folder has the same.
    pub key_file: PathBuf,
    /// Of all answers together, give or take a sixteenth.
    #[serde(default = "size")]
    size: ByteSize,
}

fn size() -> ByteSize {
    ByteSize::from_mib(1024)
}

pub struct Folder {
    inner: Arc<Inner>,
    /// Files that do not come hold on to threads, which others want too.
    threads: Arc<Semaphore>,
}

struct Inner {
    path: PathBuf,
    most: u64,
    limits: Limits,
    /// Bytes written since the last sweep.
    written: AtomicU64,
    sweeping: Mutex<()>,
}

impl Folder {
    /// # Errors
    /// It is none.
    pub fn new(config: &FolderConfig, limits: Limits) -> Result<Self, String> {
        let path = config.path.clone();
        if !path.is_dir() {
            return Err(format!("{} is no folder; create it, for Veil's user alone", path.display()));
        }
        let most = config.size.get();
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                most,
                limits,
                // Whatever is there already is looked at with the first answer.
                written: AtomicU64::new(most),
                sweeping: Mutex::default(),
            }),
            threads: Arc::new(Semaphore::new(THREADS)),
        })
    }

    /// Files are waited for elsewhere.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let inner = Arc::clone(&self.inner);
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _thread = thread;
            work(&inner)
        });
        let done = done.await.map_err(|error| error.to_string())?;
        done.map_err(|error| format!("{}: {error}", self.inner.path.display()))
    }
}

#[async_trait]
impl Store for Folder {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let name = name.to_owned();
        self.with(move |inner| inner.get(&name)).await
    }

    async fn put(&self, name: &str, sealed: Bytes) -> Result<(), String> {
        let name = name.to_owned();
        self.with(move |inner| inner.put(&name, &sealed)).await
    }
}

fn is_a_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

impl Inner {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        // What somebody else has put there is nobody's answer, be it a link, or a pipe that would be waited for.
        let strict = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits() as i32;
        let file = match OpenOptions::new().read(true).custom_flags(strict).open(self.path.join(name)) {
            Ok(file) if file.metadata()?.is_file() => file,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_a_link(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut sealed = Vec::new();
        file.take(self.limits.largest as u64).read_to_end(&mut sealed)?;
        Ok(Some(sealed))
    }

    fn put(&self, name: &str, sealed: &[u8]) -> io::Result<()> {
        let length = sealed.len() as u64;
        if length > self.most {
            return Ok(());
        }
        let part = self.path.join(format!("{name}.{:016x}", random_bits()));
        let written = write(&part, sealed).and_then(|()| fs::rename(&part, self.path.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        if self.written.fetch_add(length, Ordering::Relaxed) + length > self.most / 16
            && let Some(_sweeping) = self.sweeping.try_lock()
        {
            self.written.store(0, Ordering::Relaxed);
            self.sweep()?;
        }
        written
    }

    fn sweep(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let mut there: Vec<_> = fs::read_dir(&self.path)?.filter_map(|entry| ours(&entry.ok()?)).collect();
        there.sort_by_key(|(modified, ..)| Reverse(*modified));
        let mut bytes = 0;
        for (modified, length, path) in there {
            bytes += length;
            if bytes > self.most || now.duration_since(modified).is_ok_and(|age| age > self.limits.ttl) {
                // Another proxy may have been first.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, bytes)
}

/// When an answer, or what one that was not written to its end has left, was written, its bytes and its place.
fn ours(entry: &fs::DirEntry) -> Option<(SystemTime, u64, PathBuf)> {
    let name = entry.file_name();
    let name = name.as_encoded_bytes();
    if !name.get(..64)?.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let metadata = entry.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len(), entry.path()))
}

const THREADS: usize = 16;

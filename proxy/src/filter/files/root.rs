//! A folder and what lies in it: nothing leads out of it.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

pub struct Root {
    path: PathBuf,
    /// None where it may come and go: each request looks for it.
    folder: Option<OwnedFd>,
}

/// Why there is no file.
pub enum Missing {
    /// It is a folder, but was not asked for as one; where it is, if not where it was asked for.
    Folder(Option<String>),
    /// Such a folder is there, but nothing stands for it.
    Index,
    Nothing,
    Trouble(io::Error),
}

impl Root {
    /// # Errors
    /// It is not there, and may not be absent.
    pub fn new(path: &Path, may_be_absent: bool) -> io::Result<Self> {
        let folder = match may_be_absent {
            true => None,
            false => Some(opened(path)?),
        };
        Ok(Self { path: path.to_owned(), folder })
    }

    /// The kernel itself goes no further up than this, whatever links say.
    pub fn open(&self, name: &str) -> Result<(File, Metadata), Missing> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let within = |folder: &OwnedFd| openat2(folder, name, flags, Mode::empty(), resolve);
        let found = match &self.folder {
            Some(folder) => within(folder),
            None => opened(&self.path).and_then(|folder| within(&folder)),
        };
        let found = match found {
            Err(Errno::NOSYS | Errno::PERM) => self.open_by_path(name),
            found => found.map(File::from).map_err(io::Error::from),
        };
        let file = found.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP | Errno::NAMETOOLONG | Errno::NXIO) => {
                Missing::Nothing
            }
            _ => Missing::Trouble(error),
        })?;
        let metadata = file.metadata().map_err(Missing::Trouble)?;
        match metadata.is_file() || metadata.is_dir() {
            true => Ok((file, metadata)),
            false => Err(Missing::Nothing),
        }
    }

    /// Where the kernel does not know openat2, or a sandbox forbids it.
    fn open_by_path(&self, name: &str) -> io::Result<File> {
        let root = self.path.canonicalize()?;
        let path = root.join(name).canonicalize()?;
        if !path.starts_with(&root) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        Ok(rustix::fs::openat(CWD, &path, flags, Mode::empty())?.into())
    }
}

fn opened(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

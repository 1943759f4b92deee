//! Files that are there in full or not at all, also when the process is killed amid it.

use std::{
    fs::{self, File, FileTimes},
    io::{self, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, open, renameat_with};

use super::place::Origin;

/// Writes `bytes` to `path`, with the times and rights of the file that they come from.
///
/// # Errors
/// The system's; [`io::ErrorKind::AlreadyExists`] unless `overwrite`.
pub fn write(path: &Path, bytes: &[u8], like: &Origin, overwrite: bool) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    match nameless(folder) {
        Ok(mut file) => {
            fill(&mut file, bytes, like)?;
            name(&file, path, overwrite)
        }
        // Not every file system has files without a name.
        Err(_) => {
            let part = part_of(path);
            let mut file = File::create(&part)?;
            fill(&mut file, bytes, like)?;
            put(&part, path, overwrite)
        }
    }
}

/// It is gone when the process is, unless it gets a name.
fn nameless(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    Ok(File::from(open(folder, flags, Mode::from_raw_mode(0o666))?))
}

fn fill(file: &mut File, bytes: &[u8], like: &Origin) -> io::Result<()> {
    file.write_all(bytes)?;
    if let Some(rights) = &like.rights {
        file.set_permissions(rights.clone())?;
    }
    file.set_times(FileTimes::new().set_accessed(like.accessed).set_modified(like.modified))?;
    file.sync_data()
}

fn name(file: &File, path: &Path, overwrite: bool) -> io::Result<()> {
    let link = |to: &Path| {
        let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, itself, CWD, to, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)
    };
    match link(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && overwrite => {
            let part = part_of(path);
            let _ = fs::remove_file(&part);
            link(&part)?;
            fs::rename(part, path)
        }
        other => other,
    }
}

fn put(part: &Path, path: &Path, overwrite: bool) -> io::Result<()> {
    if overwrite {
        return fs::rename(part, path);
    }
    let moved = renameat_with(CWD, part, CWD, path, RenameFlags::NOREPLACE).map_err(io::Error::from);
    if moved.is_err() {
        let _ = fs::remove_file(part);
    }
    moved
}

/// The same in each run, so that what a killed one has left is written anew.
fn part_of(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".veil-part");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_is_not_overwritten_unless_told_and_keeps_its_times() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::write(&source, b"source").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let times = FileTimes::new().set_modified(long_ago);
        File::options()
            .write(true)
            .open(&source)
            .unwrap()
            .set_times(times)
            .unwrap();
        let like = Origin::of(&fs::metadata(&source).unwrap()).unwrap();
        let target = folder.path().join("a/b/target");
        write(&target, b"one", &like, false).unwrap();
        let refused = write(&target, b"two", &like, false).unwrap_err();
        assert_eq!(
            (refused.kind(), fs::read(&target).unwrap()),
            (io::ErrorKind::AlreadyExists, b"one".to_vec())
        );
        write(&target, b"three", &like, true).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"three");
        assert_eq!(fs::metadata(&target).unwrap().modified().unwrap(), long_ago);
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn without_nameless_files_it_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let [part, target] = ["part", "target"].map(|name| folder.path().join(name));
        for (bytes, overwrite, is_put) in [(b"1", false, true), (b"2", false, false), (b"3", true, true)] {
            fs::write(&part, bytes).unwrap();
            assert_eq!(put(&part, &target, overwrite).is_ok(), is_put);
            assert!(!part.exists());
        }
        assert_eq!(fs::read(&target).unwrap(), b"3");
    }
}

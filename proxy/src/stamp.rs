//! Whether a file is another one than before, for those that are read again when they change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// By what a change shows. A file that is renewed may have the length and the date of the one before (volumes that are mounted
/// give all of theirs one date), and one whose owner or mode has changed may be readable by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    file: (u64, u64),
    length: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// None where there is no such file; a link stands for what it leads to.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{File, FileTimes, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::SystemTime;

    use super::*;

    /// cert-manager/csi-driver#264, elastic/elasticsearch#63870, kubernetes' `..data`.
    #[test]
    fn a_file_of_the_same_length_and_date_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other, link) = (
            folder.path().join("1"),
            folder.path().join("2"),
            folder.path().join("link"),
        );
        let date = SystemTime::UNIX_EPOCH;
        for (path, text) in [(&one, "one"), (&other, "two")] {
            fs::write(path, text).unwrap();
            let file = File::options().write(true).open(path).unwrap();
            file.set_times(FileTimes::new().set_modified(date)).unwrap();
        }
        symlink(&one, &link).unwrap();
        let first = Stamp::of(&link);
        assert_eq!(first, Stamp::of(&one));
        symlink(&other, folder.path().join("new")).unwrap();
        fs::rename(folder.path().join("new"), &link).unwrap();
        assert_ne!(first, Stamp::of(&link), "the link leads elsewhere");
        let before = Stamp::of(&one);
        fs::set_permissions(&one, Permissions::from_mode(0o600)).unwrap();
        assert_ne!(before, Stamp::of(&one), "others may read it");
        fs::remove_file(&link).unwrap();
        assert_eq!(Stamp::of(&link), None);
    }
}

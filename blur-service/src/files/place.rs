//! Where a picture lies or comes to lie: in the file system, or in an object store.

use std::{
    fmt,
    fs::{self, Metadata, Permissions},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::{
    store::{self, Object, Stores},
    write,
};

#[derive(Clone)]
pub enum Place {
    File(PathBuf),
    Object(Object),
}

/// What a result keeps of the file that it comes from, and by which it is known again.
#[derive(Clone, Debug)]
pub struct Origin {
    pub modified: SystemTime,
    pub accessed: SystemTime,
    /// Files have them, objects do not.
    pub rights: Option<Permissions>,
    /// An object's version, as its store names it.
    pub tag: Option<String>,
}

#[derive(Debug, Error)]
pub enum Trouble {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Store(store::Trouble),
}

impl Place {
    /// A path, or `s3://bucket/key` and its like.
    ///
    /// # Errors
    /// A store that is not known, or whose settings mean nothing.
    pub fn named(path: &Path, stores: &mut Stores) -> anyhow::Result<Self> {
        match path.to_str().filter(|text| is_url(text)) {
            Some(text) => match text.strip_prefix("file://") {
                Some(path) => Ok(Self::File(path.into())),
                None => stores.object(text).map(Self::Object),
            },
            None => Ok(Self::File(path.to_owned())),
        }
    }

    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Its path, or an object's key.
    pub fn name(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Object(object) => object.key(),
        }
    }

    /// Whether it is in this bucket, under this name or below.
    pub fn is_below(&self, other: &Self) -> bool {
        let share = match (self, other) {
            (Self::Object(one), Self::Object(other)) => one.shares_store_with(other),
            (Self::File(_), Self::File(_)) => true,
            _ => false,
        };
        share && self.name().starts_with(other.name())
    }

    fn with_name(&self, name: PathBuf) -> Self {
        match self {
            Self::File(_) => Self::File(name),
            Self::Object(object) => Self::Object(object.with_key(name.to_string_lossy().into_owned())),
        }
    }

    pub fn join(&self, name: &Path) -> Self {
        self.with_name(self.name().join(name))
    }

    /// The same name and more, as in `scan.bmp.jpg`.
    pub fn with_suffix(&self, suffix: &str) -> Self {
        let mut name = self.name().as_os_str().to_owned();
        name.push(suffix);
        self.with_name(name.into())
    }

    /// `photo.jpg` becomes `photo.blurred.jpg`.
    pub fn beside(&self) -> Self {
        let source = self.name();
        let mut name = source.file_stem().unwrap_or_default().to_owned();
        name.push(".blurred");
        if let Some(extension) = source.extension() {
            name.push(".");
            name.push(extension);
        }
        self.with_name(source.with_file_name(name))
    }

    /// # Errors
    /// The system's, or the store's.
    pub fn origin(&self) -> Result<Origin, Trouble> {
        match self {
            Self::File(path) => Ok(Origin::of(&fs::metadata(path)?)?),
            Self::Object(object) => object.origin().map_err(Trouble::Store),
        }
    }

    /// None where nothing is.
    ///
    /// # Errors
    /// The system's, or the store's.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Trouble> {
        match self {
            Self::File(path) => match fs::read(path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            },
            Self::Object(object) => object.read().map_err(Trouble::Store),
        }
    }

    /// Whether what is here is the result of what comes from there; None where nothing is.
    ///
    /// # Errors
    /// The store's.
    pub fn is_result_of(&self, origin: &Origin) -> Result<Option<bool>, Trouble> {
        match self {
            Self::File(path) => {
                let there = fs::metadata(path).ok();
                Ok(there.map(|there| there.modified().is_ok_and(|time| time == origin.modified)))
            }
            Self::Object(object) => {
                let there = object.stamp().map_err(Trouble::Store)?;
                Ok(there.map(|stamp| stamp == origin.stamp()))
            }
        }
    }

    /// Writes it in full or not at all.
    ///
    /// # Errors
    /// The system's, or the store's; what exists already, unless `overwrite`.
    pub fn write(&self, bytes: Vec<u8>, media_type: &str, origin: &Origin, overwrite: bool) -> Result<(), Trouble> {
        match self {
            Self::File(path) => Ok(write::write(path, &bytes, origin, overwrite)?),
            Self::Object(object) => {
                let written = object.write(bytes, media_type, &origin.stamp(), overwrite);
                written.map_err(Trouble::Store)
            }
        }
    }
}

impl Origin {
    /// # Errors
    /// The system's.
    pub fn of(file: &Metadata) -> io::Result<Self> {
        Ok(Self {
            modified: file.modified()?,
            accessed: file.accessed()?,
            rights: Some(file.permissions()),
            tag: None,
        })
    }

    /// What comes from nowhere else.
    pub fn here() -> Self {
        let now = SystemTime::now();
        Self {
            modified: now,
            accessed: now,
            rights: None,
            tag: None,
        }
    }

    /// What tells two states of a file apart, as the results in an object store bear it.
    fn stamp(&self) -> String {
        let since = || self.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.tag.clone().unwrap_or_else(|| since().as_nanos().to_string())
    }
}

impl Trouble {
    /// Whether the next run may do better, though nobody mends anything.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Store(trouble) if store::may_pass(trouble))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Object(object) => object.fmt(formatter),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn is_url(text: &str) -> bool {
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.split_once("://")
        .is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.bytes().all(is_of_scheme))
}

//! Object stores: S3 and what speaks as it does, Google's and Azure's. Their settings are those of their own tools, from the
//! environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`), and so are the ways to come by credentials.

use std::{
    env, fmt,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    path::Path,
};
use tokio::runtime::{Builder, Runtime};
use url::{Position, Url};

use super::place::Origin;

/// All stores that are spoken to, each once.
#[derive(Default)]
pub struct Stores(Vec<Arc<Store>>);

struct Store {
    /// `s3://bucket`.
    root: String,
    client: Box<dyn ObjectStore>,
    runtime: Runtime,
}

/// An object, or what the names of several begin with.
#[derive(Clone)]
pub struct Object {
    store: Arc<Store>,
    key: String,
    /// As a listing has told.
    origin: Option<Origin>,
}

pub type Trouble = Error;

impl Stores {
    /// `s3://bucket/key` and its like.
    ///
    /// # Errors
    /// A store that is not known, or whose settings mean nothing.
    pub fn object(&mut self, url: &str) -> anyhow::Result<Object> {
        let parsed = Url::parse(url).with_context(|| format!("{url} is no URL"))?;
        if !SCHEMES.contains(&parsed.scheme()) {
            anyhow::bail!("{url}: object stores are named by {}://", SCHEMES.join("://, "));
        }
        let root = &parsed[..Position::BeforePath];
        let (client, key) = client(&parsed).with_context(|| format!("cannot use {root}"))?;
        let known = self.0.iter().find(|store| store.root == root).cloned();
        let store = match known {
            Some(store) => store,
            None => {
                let store = Arc::new(Store::new(root, client)?);
                self.0.push(store.clone());
                store
            }
        };
        let key = key.to_string();
        Ok(Object {
            store,
            key,
            origin: None,
        })
    }
}

impl Store {
    fn new(root: &str, client: Box<dyn ObjectStore>) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()?;
        let root = root.to_owned();
        Ok(Self { root, client, runtime })
    }
}

impl Object {
    /// All objects whose names go on after this one and a slash, by their names after it.
    ///
    /// # Errors
    /// The store's.
    pub fn below(&self) -> Result<Vec<(PathBuf, Self)>, Trouble> {
        let prefix = self.path()?;
        let listing = self.store.client.list(Some(&prefix)).try_collect::<Vec<_>>();
        let mut listed: Vec<Self> = self.wait(listing)?.into_iter().map(|meta| self.listed(&meta)).collect();
        listed.sort_by(|one, other| one.key.cmp(&other.key));
        let name = |object: &Self| object.key[self.key.len()..].trim_start_matches('/').into();
        Ok(listed.into_iter().map(|object| (name(&object), object)).collect())
    }

    fn listed(&self, meta: &ObjectMeta) -> Self {
        Self {
            store: self.store.clone(),
            key: meta.location.to_string(),
            origin: Some(origin(meta)),
        }
    }

    pub fn with_key(&self, key: String) -> Self {
        let store = self.store.clone();
        Self {
            store,
            key,
            origin: None,
        }
    }

    pub fn shares_store_with(&self, other: &Self) -> bool {
        self.store.root == other.store.root
    }

    pub fn key(&self) -> &FilePath {
        FilePath::new(&self.key)
    }

    /// # Errors
    /// The store's.
    pub fn origin(&self) -> Result<Origin, Trouble> {
        match &self.origin {
            Some(origin) => Ok(origin.clone()),
            None => Ok(origin(&self.wait(self.store.client.head(&self.path()?))?)),
        }
    }

    /// None where nothing is. What a listing has told of is read as it was then, or not at all.
    ///
    /// # Errors
    /// The store's; what was changed meanwhile.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Trouble> {
        let tag = self.origin.as_ref().and_then(|origin| origin.tag.clone());
        let options = GetOptions::new().with_if_match(tag);
        let Some(found) = self.get(options)? else {
            return Ok(None);
        };
        Ok(Some(self.wait(found.bytes())?.into()))
    }

    /// Of which state of a source this is the result, if anything is here; empty if it is nobody's.
    ///
    /// # Errors
    /// The store's.
    pub fn stamp(&self) -> Result<Option<String>, Trouble> {
        let found = self.get(GetOptions::new().with_head(true))?;
        let stamp = |found: GetResult| found.attributes.get(&STAMP).map(|value| value.to_string());
        Ok(found.map(|found| stamp(found).unwrap_or_default()))
    }

    fn get(&self, options: GetOptions) -> Result<Option<GetResult>, Trouble> {
        match self.wait(self.store.client.get_opts(&self.path()?, options)) {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// # Errors
    /// The store's; [`Error::AlreadyExists`] unless `overwrite`.
    pub fn write(&self, bytes: Vec<u8>, media_type: &str, stamp: &str, overwrite: bool) -> Result<(), Trouble> {
        let bytes = Bytes::from(bytes);
        let attributes = [
            (Attribute::ContentType, media_type.to_owned()),
            (STAMP, stamp.to_owned()),
        ];
        let put = |mode| {
            let attributes: Attributes = attributes.iter().cloned().collect();
            let options = PutOptions {
                mode,
                attributes,
                ..PutOptions::default()
            };
            self.wait(self.store.client.put_opts(&self.path()?, bytes.clone().into(), options))
        };
        match put(if overwrite { PutMode::Overwrite } else { PutMode::Create }) {
            // A store without conditions: nothing was here a moment ago, and no other part writes this one.
            Err(Error::NotImplemented { .. }) => put(PutMode::Overwrite),
            other => other,
        }
        .map(drop)
    }

    fn path(&self) -> Result<Path, Trouble> {
        Ok(Path::parse(&self.key)?)
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.store.runtime.block_on(work)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.store.root, self.key)
    }
}

/// Whether the next run may do better, though nobody mends anything.
pub fn may_pass(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Error::Generic { .. } | Error::Precondition { .. } | Error::JoinError { .. }
    )
}

fn client(url: &Url) -> anyhow::Result<(Box<dyn ObjectStore>, Path)> {
    // An error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let is_setting = |name: &str| {
        ["AWS_", "GOOGLE_", "AZURE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let settings =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(object_store::parse_url_opts(
        url,
        settings.filter(|(name, _)| is_setting(name)),
    )?)
}

fn origin(meta: &ObjectMeta) -> Origin {
    let modified = meta.last_modified.into();
    Origin {
        modified,
        accessed: modified,
        rights: None,
        tag: meta.e_tag.clone(),
    }
}

const SCHEMES: [&str; 8] = ["s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss"];
/// Beside each result; a name that Azure takes too.
const STAMP: Attribute = Attribute::Metadata(std::borrow::Cow::Borrowed("veilsource"));

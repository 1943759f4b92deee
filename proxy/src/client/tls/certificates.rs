//! The certificates of a listener, and which of them a client is shown: the one for the name that it asks for (SNI).

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::facts::{Facts, facts};
use super::{TlsError, with_source};
use crate::stamp::Stamp;

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// What its signer says of it.
    pub ocsp: Option<PathBuf>,
}

/// Where certificates come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    pub pairs: Vec<Pair>,
    pub folder: Option<PathBuf>,
}

/// A certificate that can be shown.
#[derive(Debug)]
pub struct Certificate {
    pub pair: Pair,
    pub facts: Facts,
    key: Arc<CertifiedKey>,
}

/// All of them, by the names that they are for.
#[derive(Debug)]
pub struct Certificates {
    pub all: Vec<Arc<Certificate>>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows the `*`.
    wildcards: HashMap<String, Arc<CertifiedKey>>,
}

impl Sources {
    /// All pairs of files, those of the folder in the order of their names.
    ///
    /// # Errors
    /// The folder cannot be read, or a certificate in it has no key.
    fn pairs(&self) -> Result<Vec<Pair>, TlsError> {
        let mut pairs = self.pairs.clone();
        if let Some(folder) = &self.folder {
            pairs.extend(in_folder(folder)?);
        }
        Ok(pairs)
    }

    /// # Errors
    /// One of them cannot be used.
    pub fn read(&self) -> Result<Certificates, TlsError> {
        let all = self
            .pairs()?
            .into_iter()
            .map(|pair| Certificate::read(pair).map(Arc::new));
        Certificates::of(all.collect::<Result<_, _>>()?)
    }

    /// Reads them again. One that cannot be used is shown as it was before, and keeps no other one from being renewed.
    ///
    /// # Errors
    /// They cannot be found, or there is none.
    fn read_after(&self, before: &Certificates) -> Result<Certificates, TlsError> {
        let all = self.pairs()?.into_iter().filter_map(|pair| {
            let known = before.all.iter().find(|known| known.pair.is_of(&pair)).map(Arc::clone);
            let told =
                |error: TlsError| tracing::warn!("{}; what was there before is shown still", with_source(&error));
            Certificate::read(pair).map(Arc::new).map_err(told).ok().or(known)
        });
        Certificates::of(all.collect())
    }

    /// By what a change shows.
    fn stamps(&self) -> BTreeMap<PathBuf, Option<Stamp>> {
        let pairs = self.pairs().unwrap_or_default();
        let files = pairs
            .into_iter()
            .flat_map(|pair| [Some(pair.certificate), Some(pair.key), pair.ocsp])
            .flatten();
        files.map(|file| (file.clone(), Stamp::of(&file))).collect()
    }
}

/// `NAME.crt` or `NAME.pem`, each with its `NAME.key`, and `NAME.ocsp` where there is one.
fn in_folder(folder: &Path) -> Result<Vec<Pair>, TlsError> {
    let unreadable = |error: io::Error| TlsError::Folder {
        folder: folder.to_owned(),
        source: error,
    };
    let mut pairs = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let certificate = entry.map_err(unreadable)?.path();
        let extension = certificate.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("crt" | "pem")) {
            let key = certificate.with_extension("key");
            let ocsp = Some(certificate.with_extension("ocsp")).filter(|ocsp| ocsp.exists());
            pairs.push(Pair { certificate, key, ocsp });
        }
    }
    pairs.sort();
    Ok(pairs)
}

impl Pair {
    /// Whether it is of the same files; what its signer says may have come or gone.
    fn is_of(&self, other: &Self) -> bool {
        (&self.certificate, &self.key) == (&other.certificate, &other.key)
    }
}

impl Certificate {
    fn read(pair: Pair) -> Result<Self, TlsError> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        for path in [&pair.certificate, &pair.key] {
            fs::File::open(path).map_err(|source| TlsError::File {
                path: path.clone(),
                source,
            })?;
        }
        let read = pingora_rustls::load_certs_and_key_files(&text(&pair.certificate), &text(&pair.key));
        let read = read.map_err(|error| TlsError::Unreadable {
            certificate: pair.certificate.clone(),
            key: pair.key.clone(),
            reason: error.to_string(),
        })?;
        let Some((chain, key)) = read else {
            return Err(TlsError::Empty {
                certificate: pair.certificate,
                key: pair.key,
            });
        };
        let unusable = |error: rustls::Error| TlsError::Unusable {
            certificate: pair.certificate.clone(),
            key: pair.key.clone(),
            reason: error.to_string(),
        };
        let facts = chain.first().and_then(|own| facts(own));
        let facts = facts.ok_or_else(|| unusable(rustls::CertificateError::BadEncoding.into()))?;
        let mut key = CertifiedKey::new(chain, any_supported_type(&key).map_err(unusable)?);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            // Of a kind that rustls does not look into, such as X.509 of version 1; its clients may know it all the same.
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(_))) => {}
            Err(error) => return Err(unusable(error)),
        }
        key.ocsp = pair.ocsp.as_deref().map(staple).transpose()?;
        Ok(Self {
            facts,
            key: Arc::new(key),
            pair,
        })
    }
}

/// Reads an OCSP response (RFC 6960, section 4.2.1), of which only that it is one that succeeded is known here: what it says
/// is for clients to judge.
fn staple(path: &Path) -> Result<Vec<u8>, TlsError> {
    let response = fs::read(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })?;
    // A SEQUENCE, its length, and an ENUMERATED that is 0.
    let content = match response.as_slice() {
        [0x30, length, content @ ..] if *length < 0x80 => Some(content),
        [0x30, length, rest @ ..] => rest.get(usize::from(*length & 0x7f)..),
        _ => None,
    };
    match content {
        Some([0x0a, 0x01, 0x00, ..]) => Ok(response),
        _ => Err(TlsError::Ocsp { path: path.to_owned() }),
    }
}

impl Certificates {
    fn of(all: Vec<Arc<Certificate>>) -> Result<Self, TlsError> {
        let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
        for certificate in &all {
            for name in &certificate.facts.names {
                let (names, name) = match name.strip_prefix('*') {
                    Some(suffix) => (&mut wildcards, suffix),
                    None => (&mut exact, name.as_str()),
                };
                let key = || Arc::clone(&certificate.key);
                names.entry(name.to_owned()).or_insert_with(key);
            }
        }
        let some = Self { all, exact, wildcards };
        (!some.all.is_empty()).then_some(some).ok_or(TlsError::None)
    }

    /// Whether one of them is for this host, `*.` included.
    pub fn are_for(&self, host: &str) -> bool {
        self.exact.contains_key(host)
            || host
                .strip_prefix('*')
                .is_some_and(|suffix| self.wildcards.contains_key(suffix))
            || self.by_wildcard(host).is_some()
    }

    /// A wildcard stands for one label (RFC 6125, section 6.4.3).
    fn by_wildcard(&self, host: &str) -> Option<&Arc<CertifiedKey>> {
        let dot = host.find('.').filter(|dot| *dot > 0)?;
        self.wildcards.get(&host[dot..])
    }

    /// An exact name before a wildcard before the first of all.
    fn shown(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            self.exact.get(&name).or_else(|| self.by_wildcard(&name)).cloned()
        });
        named.or_else(|| Some(Arc::clone(&self.all.first()?.key)))
    }
}

/// Shows them, and reads them again when their files change: a renewed one needs no reload.
#[derive(Debug)]
pub struct Resolver {
    sources: Sources,
    current: ArcSwap<Certificates>,
    /// Held for a look at the files, by one handshake in two seconds; the others pass by.
    looked: Mutex<(Instant, BTreeMap<PathBuf, Option<Stamp>>)>,
}

impl Resolver {
    /// For how long files are not looked at again.
    const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

    /// # Errors
    /// A certificate cannot be used.
    pub fn new(sources: Sources) -> Result<Self, TlsError> {
        let stamps = sources.stamps();
        Ok(Self {
            current: ArcSwap::from_pointee(sources.read()?),
            looked: Mutex::new((Instant::now(), stamps)),
            sources,
        })
    }

    pub fn current(&self) -> Arc<Certificates> {
        self.look();
        self.current.load_full()
    }

    fn look(&self) {
        let Some(mut looked) = self.looked.try_lock() else {
            return;
        };
        if looked.0.elapsed() < Self::BETWEEN_LOOKS {
            return;
        }
        looked.0 = Instant::now();
        let stamps = self.sources.stamps();
        if stamps == looked.1 {
            return;
        }
        looked.1 = stamps;
        match self.sources.read_after(&self.current.load()) {
            Ok(certificates) => {
                tracing::info!(certificates = certificates.all.len(), "certificates read anew");
                self.current.store(Arc::new(certificates));
            }
            Err(error) => tracing::warn!("{}; those before are shown still", with_source(&error)),
        }
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current().shown(hello.server_name())
    }
}

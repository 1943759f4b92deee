//! TLS towards backends, by rustls. A backend is believed only with a certificate for its name, signed by somebody who is
//! trusted.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora_rustls::{ClientTlsStream, RootCertStore, TlsConnector};
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::believing::{Anybody, ByCommonName};
use crate::client::stream::Stream;
use crate::client::tls::facts::{Facts, facts};

/// A pool's `tls: { ca: ca.crt, server_name: app.internal }`, or `tls: {}` for those whom the system trusts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM: those who may have signed the backends' certificates; whom the system trusts unless given. Nginx:
    /// `proxy_ssl_trusted_certificate`.
    pub ca: Option<PathBuf>,
    /// The name that backends are asked for (SNI) and have to be certified for; the host of each one's `address` unless
    /// given. Nginx: `proxy_ssl_name`.
    #[serde(deserialize_with = "name")]
    pub server_name: Option<String>,
    /// PEM: the certificate that Veil shows to backends that ask for one. Nginx: `proxy_ssl_certificate`.
    pub certificate: Option<PathBuf>,
    /// PEM: that certificate's private key. Nginx: `proxy_ssl_certificate_key`.
    pub key: Option<PathBuf>,
    /// Takes whatever certificate a backend shows. Whoever stands between can then read and change all, so this is for
    /// trials only. Nginx: `proxy_ssl_verify off`, which is its default.
    pub danger_accept_any_certificate: bool,
    /// A certificate that names no host is for its common name, and one that is in `ca` itself is believed by that. Nginx:
    /// `proxy_ssl_verify on`.
    pub common_names: bool,
    /// Each connection shakes hands anew. Nginx: `proxy_ssl_session_reuse off`.
    pub without_resumption: bool,
    /// Backends are not told which of their names is asked for (SNI). Nginx: `proxy_ssl_server_name off`, which is its default.
    pub without_sni: bool,
}

impl TlsConfig {
    /// The files that it names, by their keys.
    pub fn files(&mut self) -> impl Iterator<Item = (&'static str, &mut PathBuf)> {
        let files = [
            ("ca", &mut self.ca),
            ("certificate", &mut self.certificate),
            ("key", &mut self.key),
        ];
        files.into_iter().filter_map(|(key, file)| Some((key, file.as_mut()?)))
    }

    /// The same.
    pub fn named(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.ca, &self.certificate, &self.key].into_iter().flatten()
    }

    /// What the certificate says of itself that is shown to backends; none where there is none that can be read.
    pub fn own_facts(&self) -> Option<(&Path, Facts)> {
        let path = self.certificate.as_deref()?;
        let first = CertificateDer::pem_file_iter(path).ok()?.next()?.ok()?;
        Some((path, facts(&first)?))
    }

    /// Whether it has a certificate without a key, or a key without a certificate.
    pub fn has_half_a_pair(&self) -> bool {
        self.certificate.is_some() != self.key.is_some()
    }
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    match ServerName::try_from(name.as_str()) {
        Ok(_) => Ok(Some(name)),
        Err(_) => Err(de::Error::custom(format!(
            "{name:?} is no name that a certificate can be for; write a host name or an IP address, without a port"
        ))),
    }
}

/// Why backends cannot be spoken to in TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("tls: cannot read {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("tls: {} holds no certificate that can be trusted: {reason}", path.display())]
    Ca { path: PathBuf, reason: String },
    #[error("tls: no certificate that the system trusts can be read: {reason}; name one with ca")]
    System { reason: String },
    #[error("tls: has a certificate but no key, or a key but no certificate; write both")]
    Half,
    #[error("tls: certificate {} with key {}: {reason}", certificate.display(), key.display())]
    Own {
        certificate: PathBuf,
        key: PathBuf,
        reason: String,
    },
}

/// What connections to a pool's backends are secured with.
pub struct Client {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl Client {
    /// Reads all that the configuration names. `protocol` is what will be spoken, in the words of ALPN.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn new(config: &TlsConfig, protocol: &str) -> Result<Self, TlsError> {
        pingora_rustls::install_default_crypto_provider();
        let provider = Arc::new(ring::default_provider());
        let believing: Option<Arc<dyn ServerCertVerifier>> = match config.danger_accept_any_certificate {
            true => Some(Arc::new(Anybody(provider))),
            false if config.common_names => Some(Arc::new(by_common_name(config, provider)?)),
            false => None,
        };
        let builder = match believing {
            Some(believing) => ClientConfig::builder()
                .dangerous()
                .with_custom_certificate_verifier(believing),
            None => ClientConfig::builder().with_root_certificates(roots(config.ca.as_deref())?),
        };
        let mut client = match own(config)? {
            None => builder.with_no_client_auth(),
            Some(Own { chain, key, unusable }) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable(error.to_string()))?,
        };
        client.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        client.enable_sni = !config.without_sni;
        if config.without_resumption {
            client.resumption = Resumption::disabled();
        }
        let server_name = config.server_name.clone().map(ServerName::try_from);
        Ok(Self {
            connector: TlsConnector::from(Arc::new(client)),
            server_name: server_name.and_then(Result::ok),
        })
    }

    /// Shakes hands with the backend that was written with this host.
    ///
    /// # Errors
    /// It cannot be believed, or does not speak TLS.
    pub async fn secure(&self, stream: Stream, host: Option<&str>) -> io::Result<ClientTlsStream<Stream>> {
        let written = || host.and_then(|host| ServerName::try_from(host.to_owned()).ok());
        let name = self.server_name.clone().or_else(written);
        let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "tls: server_name is missing"))?;
        self.connector.connect(name, stream).await
    }
}

fn by_common_name(config: &TlsConfig, provider: Arc<CryptoProvider>) -> Result<ByCommonName, TlsError> {
    let roots = Arc::new(roots(config.ca.as_deref())?);
    let usual = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
    let usual = usual.map_err(|error| TlsError::System {
        reason: error.to_string(),
    })?;
    let trusted = config.ca.iter().filter_map(|ca| CertificateDer::pem_file_iter(ca).ok());
    Ok(ByCommonName::new(
        usual,
        trusted.flatten().flatten().collect(),
        provider,
    ))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca else {
        let read = pingora_rustls::load_platform_certs_incl_env_into_store(&mut roots);
        return match read {
            Ok(()) => Ok(roots),
            Err(error) => Err(TlsError::System {
                reason: error.to_string(),
            }),
        };
    };
    is_there(path)?;
    let wrong = |reason: String| TlsError::Ca {
        path: path.to_owned(),
        reason,
    };
    pingora_rustls::load_ca_file_into_store(path, &mut roots).map_err(|error| wrong(error.to_string()))?;
    match roots.is_empty() {
        true => Err(wrong("there is none in it".to_owned())),
        false => Ok(roots),
    }
}

/// The certificate that is shown.
struct Own<F> {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    unusable: F,
}

fn own(config: &TlsConfig) -> Result<Option<Own<impl Fn(String) -> TlsError>>, TlsError> {
    let (certificate, key) = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(None),
        _ => return Err(TlsError::Half),
    };
    is_there(certificate)?;
    is_there(key)?;
    let unusable = |reason: String| TlsError::Own {
        certificate: certificate.clone(),
        key: key.clone(),
        reason,
    };
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let read = pingora_rustls::load_certs_and_key_files(&text(certificate), &text(key));
    let pair = read.map_err(|error| unusable(error.to_string()))?;
    let (chain, key) = pair.ok_or_else(|| unusable("they hold no certificate with a key".to_owned()))?;
    Ok(Some(Own { chain, key, unusable }))
}

fn is_there(path: &Path) -> Result<(), TlsError> {
    let opened = std::fs::File::open(path).map(drop);
    opened.map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })
}

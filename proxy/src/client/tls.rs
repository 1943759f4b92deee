//! TLS towards clients, by rustls: versions 1.2 and 1.3, HTTP/2 and HTTP/1.1 offered.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use pingora::tls::{RusTlsError, ServerConfig, TlsAcceptor};
use schemars::JsonSchema;
use serde::Deserialize;

use super::tickets::tickets;

/// `tls: { certificate: /etc/veil/tls.crt, key: /etc/veil/tls.key }`, as Nginx's `ssl_certificate` and
/// `ssl_certificate_key`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM: the server's certificate first, then the intermediate ones.
    pub certificate: PathBuf,
    /// PEM: the certificate's private key.
    pub key: PathBuf,
}

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read certificate {certificate} and key {key}: {reason}")]
    Unreadable {
        certificate: PathBuf,
        key: PathBuf,
        reason: String,
    },
    #[error("{certificate} and {key} hold no certificate with a key")]
    Empty { certificate: PathBuf, key: PathBuf },
    #[error("certificate {certificate} with key {key}")]
    Unusable {
        certificate: PathBuf,
        key: PathBuf,
        #[source]
        source: RusTlsError,
    },
}

impl TlsConfig {
    /// Reads certificate and key anew.
    pub fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        let read = pingora::tls::load_certs_and_key_files(&text(&certificate), &text(&key)).map_err(|error| {
            let (certificate, key) = (certificate.clone(), key.clone());
            TlsError::Unreadable {
                certificate,
                key,
                reason: error.to_string(),
            }
        })?;
        let Some((chain, private_key)) = read else {
            return Err(TlsError::Empty { certificate, key });
        };
        pingora::tls::install_default_crypto_provider();
        let built = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, private_key);
        let mut config = built.map_err(|source| TlsError::Unusable {
            certificate,
            key,
            source,
        })?;
        config.ticketer = tickets();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// The environment says whom to trust, and nobody can be read there.
#[derive(Debug, thiserror::Error)]
#[error("{variable}={value:?}, as the environment has it, names certificates that cannot be used: {reason}")]
pub struct TrustError {
    variable: &'static str,
    value: OsString,
    reason: String,
}

/// Pingora reads those whom the system trusts as soon as there is a way to backends, and panics where it cannot.
pub fn check_trust() -> Result<(), TrustError> {
    let set = |variable| env::var_os(variable).map(|value| (variable, value));
    let Some((variable, value)) = set("SSL_CERT_FILE").or_else(|| set("SSL_CERT_DIR")) else {
        return Ok(());
    };
    let read = pingora::tls::load_platform_certs_incl_env_into_store(&mut pingora::tls::RootCertStore::empty());
    read.map_err(|error| TrustError {
        variable,
        value,
        reason: error.to_string(),
    })
}

fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

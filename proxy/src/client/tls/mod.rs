//! TLS towards clients, by rustls: versions 1.2 and 1.3, HTTP/2 and HTTP/1.1 offered, certificates by name.

mod certificates;
mod distinguished_name;
pub mod facts;

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use pingora_rustls::{RootCertStore, ServerConfig, ServerTlsStream, TlsAcceptor};
use ring::digest::{SHA256, digest};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

pub use self::certificates::{Certificate, Certificates};
use self::certificates::{Pair, Resolver, Sources};
use super::tickets::tickets;
use crate::request::notes::{ClientCertificate, TlsFacts};

/// `tls: { certificate: /etc/veil/tls.crt, key: /etc/veil/tls.key }`, as Nginx's `ssl_certificate` and
/// `ssl_certificate_key`; or several certificates, of which a client is shown the one for the name that it asks for. They are
/// read again when their files change.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(try_from = "TlsFields")]
#[schemars(with = "TlsFields")]
pub struct TlsConfig {
    certificates: Vec<PairConfig>,
    folder: Option<PathBuf>,
    least_version: Version,
    client: Option<ClientConfig>,
    tickets: bool,
    /// The keys that it was written with.
    is_single: bool,
}

/// A certificate and its key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PairConfig {
    /// PEM: the server's certificate first, then the intermediate ones.
    pub certificate: PathBuf,
    /// PEM: the certificate's private key.
    pub key: PathBuf,
    /// DER: what the certificate's signer says of it (OCSP), shown along. Nginx: `ssl_stapling_file`.
    pub ocsp: Option<PathBuf>,
}

/// `client: { ca: clients.crt, certificate: required }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct ClientConfig {
    /// PEM: those who may have signed clients' certificates. Nginx: `ssl_client_certificate`.
    ca: PathBuf,
    /// Whether a client without one is let in. Nginx: `ssl_verify_client`.
    #[serde(default)]
    certificate: Wanted,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    #[default]
    Required,
    /// One that is shown has to be good all the same.
    Optional,
}

/// The least that a client has to speak.
#[derive(Clone, Copy, Debug, Default, JsonSchema, PartialEq, Eq)]
#[schemars(with = "f32", extend("enum" = [1.2, 1.3]))]
enum Version {
    #[default]
    Tls12,
    Tls13,
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_yaml::Value::deserialize(deserializer)?;
        let text = value.as_str().map(str::to_owned);
        let text = text
            .or_else(|| value.as_f64().map(|number| number.to_string()))
            .unwrap_or_default();
        match text.as_str() {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            _ => Err(de::Error::custom(format!(
                "{text:?} is not spoken here; write 1.2 or 1.3"
            ))),
        }
    }
}

/// The keys of `tls:` as they are written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TlsFields {
    /// PEM: the server's certificate first, then the intermediate ones.
    certificate: Option<PathBuf>,
    /// PEM: the certificate's private key.
    key: Option<PathBuf>,
    /// DER: what the certificate's signer says of it (OCSP), shown along. Nginx: `ssl_stapling_file`.
    ocsp: Option<PathBuf>,
    /// Several, each for the names in it; who asks for another name, or none, is shown the first.
    #[serde(default)]
    certificates: Vec<PairConfig>,
    /// A folder of further ones: each `NAME.crt` or `NAME.pem` with its `NAME.key`, and `NAME.ocsp` where there is one, as they
    /// come and go.
    folder: Option<PathBuf>,
    /// 1.2 unless given.
    #[serde(default)]
    least_version: Version,
    /// Whom clients have to be certified by.
    client: Option<ClientConfig>,
    /// Whether clients resume sessions with tickets; else with what is remembered of the last few hundred. Nginx:
    /// `ssl_session_tickets`.
    #[serde(default = "yes")]
    tickets: bool,
}

fn yes() -> bool {
    true
}

impl TryFrom<TlsFields> for TlsConfig {
    type Error = &'static str;

    fn try_from(fields: TlsFields) -> Result<Self, Self::Error> {
        let single = match (fields.certificate, fields.key) {
            (Some(certificate), Some(key)) => Some(PairConfig {
                certificate,
                key,
                ocsp: fields.ocsp,
            }),
            (None, None) if fields.ocsp.is_some() => {
                return Err("has ocsp but no certificate; write certificate: tls.crt");
            }
            (None, None) => None,
            (Some(_), None) => return Err("has a certificate but no key; write key: tls.key"),
            (None, Some(_)) => return Err("has a key but no certificate; write certificate: tls.crt"),
        };
        let is_single = single.is_some();
        if is_single && !fields.certificates.is_empty() {
            return Err("has both certificate and certificates; write all of them under certificates");
        }
        let certificates: Vec<_> = single.into_iter().chain(fields.certificates).collect();
        if certificates.is_empty() && fields.folder.is_none() {
            return Err("has no certificate; write certificate: tls.crt and key: tls.key");
        }
        Ok(Self {
            certificates,
            folder: fields.folder,
            least_version: fields.least_version,
            client: fields.client,
            tickets: fields.tickets,
            is_single,
        })
    }
}

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {source}", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("cannot read certificate {certificate} and key {key}: {reason}")]
    Unreadable {
        certificate: PathBuf,
        key: PathBuf,
        reason: String,
    },
    #[error("{} holds no OCSP response that succeeded, in DER", path.display())]
    Ocsp { path: PathBuf },
    #[error("{certificate} and {key} hold no certificate with a key")]
    Empty { certificate: PathBuf, key: PathBuf },
    #[error("certificate {certificate} with key {key}: {reason}")]
    Unusable {
        certificate: PathBuf,
        key: PathBuf,
        reason: String,
    },
    #[error("there is no certificate in its folder")]
    None,
    #[error("{}: {reason}", ca.display())]
    Ca { ca: PathBuf, reason: String },
}

/// An error with what is behind it.
fn with_source(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What a listener speaks TLS with.
#[derive(Clone)]
pub struct Tls {
    pub acceptor: TlsAcceptor,
    resolver: Arc<Resolver>,
}

impl Tls {
    /// Those that are shown at this moment.
    pub fn certificates(&self) -> Arc<Certificates> {
        self.resolver.current()
    }
}

impl TlsConfig {
    /// The files that it names, by their keys.
    pub fn files(&mut self) -> Vec<(Vec<&'static str>, Option<usize>, &'static str, &mut PathBuf)> {
        let is_single = self.is_single;
        let mut files = Vec::new();
        for (number, pair) in self.certificates.iter_mut().enumerate() {
            let (within, number) = match is_single {
                true => (Vec::new(), None),
                false => (vec!["certificates"], Some(number)),
            };
            files.push((within.clone(), number, "certificate", &mut pair.certificate));
            files.push((within.clone(), number, "key", &mut pair.key));
            if let Some(ocsp) = &mut pair.ocsp {
                files.push((within, number, "ocsp", ocsp));
            }
        }
        if let Some(folder) = &mut self.folder {
            files.push((Vec::new(), None, "folder", folder));
        }
        if let Some(client) = &mut self.client {
            files.push((vec!["client"], None, "ca", &mut client.ca));
        }
        files
    }

    fn sources(&self) -> Sources {
        let pair = |pair: &PairConfig| Pair {
            certificate: pair.certificate.clone(),
            key: pair.key.clone(),
            ocsp: pair.ocsp.clone(),
        };
        Sources {
            pairs: self.certificates.iter().map(pair).collect(),
            folder: self.folder.clone(),
        }
    }

    /// Reads the certificates and their keys anew.
    pub fn certificates(&self) -> Result<Certificates, TlsError> {
        self.sources().read()
    }

    /// Reads certificates and keys anew.
    pub fn acceptor(&self, speaks_http2: bool) -> Result<Tls, TlsError> {
        pingora_rustls::install_default_crypto_provider();
        let resolver = Arc::new(Resolver::new(self.sources())?);
        let builder = match self.least_version {
            Version::Tls12 => ServerConfig::builder_with_protocol_versions(&[&TLS12, &TLS13]),
            Version::Tls13 => ServerConfig::builder_with_protocol_versions(&[&TLS13]),
        };
        let (builder, admitted) = match &self.client {
            None => (builder.with_no_client_auth(), Vec::new()),
            Some(client) => {
                let roots = client.roots()?;
                let admitted = client.admitted(&roots);
                (builder.with_client_cert_verifier(client.verifier(roots)?), admitted)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&resolver) as _);
        if self.tickets {
            config.ticketer = tickets().among(admitted);
        } else if self.client.is_some() {
            // What is remembered would outlast the certificate that a client has shown.
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        }
        // All that rustls speaks is strong; scanners ask for one order all the same. Nginx: ssl_prefer_server_ciphers.
        config.ignore_client_order = true;
        let http2 = speaks_http2.then(|| b"h2".to_vec());
        config.alpn_protocols = http2.into_iter().chain([b"http/1.1".to_vec()]).collect();
        Ok(Tls {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            resolver,
        })
    }
}

impl ClientConfig {
    fn wrong(&self, reason: impl ToString) -> TlsError {
        TlsError::Ca {
            ca: self.ca.clone(),
            reason: reason.to_string(),
        }
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        std::fs::File::open(&self.ca).map_err(|error| self.wrong(error))?;
        pingora_rustls::load_ca_file_into_store(&self.ca, &mut roots).map_err(|error| self.wrong(error))?;
        Ok(roots)
    }

    /// Who is let in by these, for sessions that are resumed: nobody is asked for a certificate then.
    fn admitted(&self, roots: &RootCertStore) -> Vec<u8> {
        let mut signers: Vec<String> = roots.roots.iter().map(|root| format!("{root:?}")).collect();
        signers.sort_unstable();
        let said = format!("{:?} {signers:?}", self.certificate);
        digest(&SHA256, said.as_bytes()).as_ref().to_vec()
    }

    fn verifier(&self, roots: RootCertStore) -> Result<Arc<dyn pingora_rustls::ClientCertVerifier>, TlsError> {
        let builder = WebPkiClientVerifier::builder(Arc::new(roots));
        let builder = match self.certificate {
            Wanted::Required => builder,
            Wanted::Optional => builder.allow_unauthenticated(),
        };
        builder.build().map_err(|error| self.wrong(error))
    }
}

/// What the handshake has told of a connection; none where the client's certificate, which a resumed session remembers, has run
/// out since.
pub fn facts_of<S>(stream: &ServerTlsStream<S>) -> Option<TlsFacts> {
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(|chain| chain.first());
    let shown = shown.and_then(|der| Some((facts::facts(der)?, facts::fingerprint(der))));
    if shown.as_ref().is_some_and(|(facts, _)| facts.until < SystemTime::now()) {
        return None;
    }
    let client = shown.map(|(facts, fingerprint)| ClientCertificate {
        subject: facts.subject.into(),
        fingerprint: fingerprint.into(),
    });
    Some(TlsFacts {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLS",
        },
        is_resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        server_name: session.server_name().map(Into::into),
        client,
    })
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
    let read = pingora_rustls::load_platform_certs_incl_env_into_store(&mut RootCertStore::empty());
    read.map_err(|error| TrustError {
        variable,
        value,
        reason: error.to_string(),
    })
}

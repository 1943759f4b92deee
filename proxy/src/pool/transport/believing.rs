//! Which certificates backends are believed by.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

use crate::client::tls::facts::{Facts, facts, public_key};

/// Believes by the names of certificates, and of those that name no host by their common name; one that is trusted by itself
/// needs nobody who has signed it, of whichever version it is. As OpenSSL does.
#[derive(Debug)]
pub struct ByCommonName {
    usual: Arc<WebPkiServerVerifier>,
    /// Who is trusted.
    trusted: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ByCommonName {
    pub fn new(
        usual: Arc<WebPkiServerVerifier>,
        trusted: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self {
            usual,
            trusted,
            provider,
        }
    }

    fn trusts(&self, certificate: &CertificateDer<'_>) -> bool {
        self.trusted.iter().any(|trusted| **trusted == **certificate)
    }
}

impl ServerCertVerifier for ByCommonName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let error = match self.usual.verify_server_cert(certificate, others, name, ocsp, now) {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        // A name is looked at last: then it is signed well, and holds.
        let is_signed = matches!(
            &error,
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            )
        );
        let found = facts(certificate).filter(|facts| facts.is_by_common_name && is_for(&facts.names, name));
        match found {
            Some(facts) if is_signed || self.trusts(certificate) && holds(&facts, now) => {
                Ok(ServerCertVerified::assertion())
            }
            _ => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let usual = self.usual.verify_tls13_signature(message, certificate, signed);
        match public_key(certificate).filter(|_| usual.is_err()) {
            Some(key) => {
                let (key, known) = (
                    SubjectPublicKeyInfoDer::from(key),
                    &self.provider.signature_verification_algorithms,
                );
                verify_tls13_signature_with_raw_key(message, &key, signed, known)
            }
            None => usual,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Whether one of the names, in lower case, is this host's; `*.` stands for one label.
fn is_for(names: &[String], host: &ServerName<'_>) -> bool {
    let ServerName::DnsName(host) = host else { return false };
    let host = host.as_ref().to_ascii_lowercase();
    names.iter().any(|name| match name.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
        None => *name == host,
    })
}

fn holds(facts: &Facts, now: UnixTime) -> bool {
    let now = UNIX_EPOCH + Duration::from_secs(now.as_secs());
    facts.from <= now && now <= facts.until
}

/// Believes anybody, whatever they show and whoever has signed it.
#[derive(Debug)]
pub struct Anybody(pub Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    /// That somebody has the key of a certificate that anybody may show says nothing; and the certificate may be of a kind that
    /// is not read here, such as X.509 of version 1.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_star_is_one_label() {
        let names = ["a.test".to_owned(), "*.b.test".to_owned()];
        for (host, is) in [
            ("a.test", true),
            ("A.test", true),
            ("c.b.test", true),
            ("b.test", false),
            ("d.c.b.test", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(is_for(&names, &ServerName::try_from(host).unwrap()), is, "{host}");
        }
    }
}

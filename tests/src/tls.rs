//! A TLS client that trusts everybody, as only a test may.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, HandshakeKind, SignatureScheme, StreamOwned};

use crate::until::SOON;

/// The settings of one client, with the sessions that it may resume.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// A client that offers these protocols, such as `h2`.
    pub fn offering(protocols: &[&str]) -> Self {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the usual versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trusting(provider)));
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self(Arc::new(config))
    }

    /// The first bytes that this client sends.
    pub fn hello(&self) -> Vec<u8> {
        let mut hello = Vec::new();
        self.session().write_tls(&mut hello).expect("memory takes all");
        hello
    }

    /// A connection whose handshake is done.
    pub fn connect(&self, address: SocketAddr) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SOON))?;
        let mut stream = StreamOwned::new(self.session(), stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        stream.flush()?;
        Ok(stream)
    }

    /// The same over a stream of tokio's.
    pub async fn over(
        &self,
        stream: tokio::net::TcpStream,
    ) -> io::Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
        let name = ServerName::try_from("localhost").expect("it is a name");
        tokio_rustls::TlsConnector::from(Arc::clone(&self.0))
            .connect(name, stream)
            .await
    }

    fn session(&self) -> ClientConnection {
        let name = ServerName::try_from("localhost").expect("it is a name");
        ClientConnection::new(Arc::clone(&self.0), name).expect("the settings are good")
    }
}

/// Whether a connection goes on with an earlier one's session.
pub fn is_resumed(stream: &StreamOwned<ClientConnection, TcpStream>) -> bool {
    stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

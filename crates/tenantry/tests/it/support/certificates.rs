//! Certificates of an authority that only this test trusts, as files that the service reads.

use super::process::Launch;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An authority, and the files of a certificate for `localhost` with its key.
pub struct Certificates {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    /// With a certificate that is valid for long.
    pub fn new() -> Self {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let certificates = Self { folder: tempfile::tempdir().unwrap(), authority };
        certificates.write(&certificates.issue(|_| {}));
        certificates
    }

    /// Another certificate for `localhost`, changed so: the text of its files.
    pub fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut server);
        let server = server.signed_by(&key, &self.authority).unwrap();
        (server.pem() + &self.authority.pem(), key.serialize_pem())
    }

    /// Replaces both files.
    pub fn write(&self, (certificate, key): &(String, String)) {
        fs::write(self.certificate(), certificate).unwrap();
        fs::write(self.key(), key).unwrap();
        fs::set_permissions(self.key(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The file of the certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The file of the key.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    /// This launch, with TLS.
    pub fn launch(&self, launch: Launch) -> Launch {
        launch
            .with(&format!("--tls-cert-file={}", self.certificate().display()))
            .with(&format!("--tls-key-file={}", self.key().display()))
    }

    /// A connection within TLS, where the client can speak these protocols and versions.
    pub async fn connect_with(
        &self,
        address: SocketAddr,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// A connection within TLS, where the client can speak these protocols.
    pub async fn connect(
        &self,
        address: SocketAddr,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_with(address, protocols, rustls::ALL_VERSIONS).await
    }
}

//! Mail over TLS: what certificate of a mail server is trusted, and that nothing is said without it.

use super::Shell;
use crate::support::smtp::SmtpServer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const PASSWORD: &str = "canary of the mail server";

/// An authority, and a certificate of it for `localhost` with its key.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let server = server.signed_by(&key, &authority).unwrap();
        let certificates = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(certificates.authority(), authority.pem()).unwrap();
        fs::write(certificates.server(), server.pem() + &key.serialize_pem()).unwrap();
        certificates
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    fn server(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// What `mail test` says to the server at `url`, where this authority is trusted.
    fn test(&self, url: &str) -> super::CommandOutput {
        Shell::new()
            .with("SMTP_URL", url)
            .with("SMTP_PASSWORD", PASSWORD)
            .with("MAIL_FROM", "Acme <no-reply@acme.example>")
            .with("PUBLIC_URL", "https://app.example")
            .with("SSL_CERT_FILE", self.authority().to_str().unwrap())
            .run(&["mail", "test", "me@home.example"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_over_tls_goes_to_the_server_that_is_meant() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    for (security, scheme) in [("starttls", "smtp"), ("tls", "smtps")] {
        let smtp = SmtpServer::start_with_tls(security, PASSWORD, &ours.server());
        let port = smtp.port;
        ours.test(&format!("{scheme}://mailer@localhost:{port}")).done();
        assert_eq!(smtp.mail().await["to"][0], "me@home.example", "{security}");
        // Another name, and another authority.
        let refused = [
            ours.test(&format!("{scheme}://mailer@127.0.0.1:{port}")).refused(),
            others.test(&format!("{scheme}://mailer@localhost:{port}")).refused(),
        ];
        for refused in refused {
            assert!(refused.contains("its certificate or its TLS is not accepted"), "{security}: {refused}");
        }
        smtp.no_mail().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_server_without_tls_hears_no_password() {
    let smtp = SmtpServer::start_on(0, Some(PASSWORD));
    let certificates = Certificates::new();
    for scheme in ["smtp", "smtps"] {
        let refused = certificates.test(&format!("{scheme}://mailer@localhost:{}", smtp.port)).refused();
        assert!(refused.contains("TLS"), "{refused}");
    }
    smtp.no_mail().await;
}

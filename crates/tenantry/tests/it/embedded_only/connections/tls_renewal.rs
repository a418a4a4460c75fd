//! A certificate that is replaced while the service runs.

use crate::support::certificates::Certificates;
use crate::support::process::{Launch, Server};
use rustls::pki_types::CertificateDer;
use std::time::{Duration, Instant};
use tempfile::tempdir;

/// How long a machine that has much to do may take.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// The certificate that the service shows.
async fn shown(certificates: &Certificates, server: &Server) -> CertificateDer<'static> {
    let stream = certificates.connect(server.address(), &[]).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn becomes(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test]
async fn changed_certificate_is_taken_without_restart() {
    let (certificates, home) = (Certificates::new(), tempdir().unwrap());
    let server = certificates.launch(Launch::on(&home.path().join("data"))).start();
    let mut before = shown(&certificates, &server).await;
    for is_told in [false, true] {
        certificates.write(&certificates.issue(|_| {}));
        if is_told {
            server.hang_up();
        }
        becomes("the new certificate is shown", async || shown(&certificates, &server).await != before).await;
        before = shown(&certificates, &server).await;
    }
    let metrics = server.tls_client(&certificates.authority()).get("/metrics").await.text;
    assert!(metrics.contains(r#"tls_certificate_reloads_total{result="taken"} "#), "{metrics}");
    assert!(metrics.contains("tls_certificate_expiry_seconds "), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn broken_pair_leaves_the_one_before_in_use() {
    let (certificates, home) = (Certificates::new(), tempdir().unwrap());
    let server = certificates.launch(Launch::on(&home.path().join("data"))).start();
    let before = shown(&certificates, &server).await;
    let (certificate, _) = certificates.issue(|_| {});
    let (_, other_key) = certificates.issue(|_| {});
    certificates.write(&(certificate, other_key));
    server.hang_up();
    becomes("the log tells of it", async || server.log().contains("the one before stays in use")).await;
    assert_eq!(shown(&certificates, &server).await, before);
    let metrics = server.tls_client(&certificates.authority()).get("/metrics").await.text;
    assert!(metrics.contains(r#"tls_certificate_reloads_total{result="refused"} "#), "{metrics}");
    // A pair that belongs together is taken again.
    certificates.write(&certificates.issue(|_| {}));
    server.hang_up();
    becomes("the new certificate is shown", async || shown(&certificates, &server).await != before).await;
    let log = server.log_at_its_end().await;
    let told =
        log.lines().filter(|line| line.contains("ERROR") && line.contains("does not belong to")).count();
    assert!(told >= 1, "{log}");
}

//! `tenantry healthcheck`, and what the service manager is told.

use super::Shell;
use crate::support::certificates::Certificates;
use crate::support::process::Launch;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_asks_the_address_of_the_settings() {
    let shell = Shell::new();
    let server = Launch::on(&shell.data_dir()).start();
    let port = server.address().port().to_string();
    let shell = shell.with("PORT", &port).with("HOST", "0.0.0.0");
    // What no certificate store and no other setting of the service may change.
    let shell = shell.with("SSL_CERT_FILE", "/nonexistent").with("SSL_CERT_DIR", "/nonexistent");
    let shell = shell.with("JWT_SECRET_FILE", "/nonexistent").with("HTTP_PROXY", "http://127.0.0.1:1");
    assert_eq!(shell.run(&["healthcheck"]).done(), "ok\n");
    assert_eq!(shell.run(&["healthcheck", "--live", "--timeout", "30"]).done(), "ok\n");
    let url = format!("http://{}", server.address());
    assert_eq!(Shell::new().run(&["healthcheck", "--url", &url]).done(), "ok\n");

    server.stop().await;
    let refused = shell.run(&["healthcheck"]).refused();
    assert_eq!(refused, format!("tenantry: nothing answers at http://127.0.0.1:{port}/\n"));
}

/// It trusts the certificate of the settings and no other, also none that the machine trusts.
#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_over_tls_trusts_its_certificate_alone() {
    let (shell, certificates) = (Shell::new(), Certificates::new());
    let server = certificates.launch(Launch::on(&shell.data_dir())).start();
    let port = server.address().port().to_string();
    let over_tls = |shell: Shell, certificates: &Certificates| {
        shell
            .with("PORT", &port)
            .with("SSL_CERT_FILE", "/nonexistent")
            .with("TLS_CERT_FILE", certificates.certificate().to_str().unwrap())
            .with("TLS_KEY_FILE", certificates.key().to_str().unwrap())
    };
    let shell = over_tls(shell, &certificates);
    assert_eq!(shell.run(&["healthcheck"]).done(), "ok\n");
    assert_eq!(shell.run(&["healthcheck", "--live"]).done(), "ok\n");
    let other = Certificates::new();
    let refused = over_tls(Shell::new(), &other).run(&["healthcheck"]).refused();
    assert!(refused.contains(&format!("https://127.0.0.1:{port}/")), "{refused}");
    // Without TLS in the settings it speaks plain HTTP, which this service refuses.
    let refused = Shell::new().with("PORT", &port).run(&["healthcheck"]).refused();
    assert!(refused.contains(&format!("http://127.0.0.1:{port}/")), "{refused}");
    server.stop().await;
}

#[test]
fn healthcheck_fails_where_another_program_or_nobody_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let refused = Shell::new().run(&["healthcheck", "--url", &url, "--timeout", "1"]).refused();
    assert!(refused.contains("does not answer within 1 seconds"), "{refused}");

    let refused = Shell::new().with("PORT", "0").run(&["healthcheck"]).refused();
    assert!(refused.contains("name it with --url"), "{refused}");
    let misused = Shell::new().run(&["healthcheck", "--url", "no url"]).misused();
    assert!(misused.contains("--url"), "{misused}");
}

/// As while MongoDB hangs: the process responds, and whether it can write takes longer than the check waits.
#[test]
fn healthcheck_tells_hanging_store_from_hanging_process() {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", service.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in service.incoming().map_while(Result::ok) {
            let mut head = [0; 1024];
            let length = stream.read(&mut head).unwrap_or(0);
            if head[..length].starts_with(b"GET /livez") {
                let body = r#"{"status":"ok"}"#;
                let length = body.len();
                let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            }
            kept.push(stream);
        }
    });
    let refused = Shell::new().run(&["healthcheck", "--url", &url, "--timeout", "4"]).refused();
    assert!(refused.contains("is not ready: it runs"), "{refused}");
}

/// The certificate is good, and another authority is trusted.
#[tokio::test(flavor = "multi_thread")]
async fn refused_certificate_is_named_with_way_out() {
    let (shell, certificates) = (Shell::new(), Certificates::new());
    let server = certificates.launch(Launch::on(&shell.data_dir())).start();
    let url = format!("--server-url=https://localhost:{}", server.address().port());
    let (authority, other) = (shell.home.path().join("authority.pem"), shell.home.path().join("other.pem"));
    std::fs::write(&authority, certificates.authority()).unwrap();
    std::fs::write(&other, Certificates::new().authority()).unwrap();
    let shell = shell.with("SSL_CERT_FILE", other.to_str().unwrap());
    let refused = shell.run(&["org", "list", &url]).refused();
    assert!(
        refused.contains("The certificate of the server") && refused.contains("SSL_CERT_FILE"),
        "{refused}"
    );
    let shell = shell.with("SSL_CERT_FILE", authority.to_str().unwrap());
    assert_eq!(shell.run(&["org", "list", &url]).done(), "No organizations.\n");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_manager_hears_of_start_life_and_end() {
    let shell = Shell::new();
    let path = shell.data_dir().with_file_name("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let hear = || {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let server = Launch::on(&shell.data_dir())
        .env("NOTIFY_SOCKET", path.to_str().unwrap())
        .env("WATCHDOG_USEC", "200000")
        .start();
    assert_eq!(hear(), "READY=1");
    let url = format!("http://{}", server.address());
    assert_eq!(shell.run(&["healthcheck", "--url", &url]).done(), "ok\n");
    assert_eq!((hear().as_str(), hear().as_str()), ("WATCHDOG=1", "WATCHDOG=1"));
    server.stop().await;
    while hear() != "STOPPING=1" {}
}

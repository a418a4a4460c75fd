//! How many connections one address may have.

use crate::support::app::Setup;
use crate::support::raw::RawConnection;
use std::time::{Duration, Instant};

#[tokio::test]
async fn connection_above_limit_of_address_is_closed() {
    let app = Setup::unlimited().with("--max-connections-per-address=2").start().await;
    let mut kept = RawConnection::open(&app).await;
    kept.serves().await;
    let mut other = RawConnection::open(&app).await;
    other.serves().await;
    for _ in 0..3 {
        RawConnection::open(&app).await.ends().await;
    }
    let metrics = {
        kept.send(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
        kept.response().await.body
    };
    assert!(metrics.lines().any(|line| line.starts_with("http_connections_refused_total ")), "{metrics}");
    drop(other);
    // As soon as the service has seen that the other one is gone.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut next = RawConnection::open(&app).await;
        let _ = next.try_send(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
        if next.try_response().await.is_some_and(|response| response.status == 200) {
            break;
        }
        assert!(Instant::now() < deadline, "no slot was given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn trusted_proxy_may_have_any_number_of_connections() {
    let flags = ["--max-connections-per-address=1", "--trusted-proxies=127.0.0.0/8"];
    let app = flags.into_iter().fold(Setup::unlimited(), Setup::with).start().await;
    let mut open = Vec::new();
    for _ in 0..8 {
        let mut connection = RawConnection::open(&app).await;
        connection.serves().await;
        open.push(connection);
    }
}

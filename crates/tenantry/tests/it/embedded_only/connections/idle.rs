//! How long a connection stays open that carries no request, and how long a head may take.

use crate::support::app::Setup;
use crate::support::raw::RawConnection;
use std::time::{Duration, Instant};

const HEAD: &[u8] = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn kept_connection_outlives_header_timeout() {
    let app = Setup::unlimited().with("--header-timeout=1").start().await;
    let mut connection = RawConnection::open(&app).await;
    connection.serves().await;
    // Not a wait for something to happen: three times over, the connection must not be closed.
    let closed = tokio::time::timeout(Duration::from_secs(3), connection.ends()).await;
    assert!(closed.is_err(), "it was closed while idle");
    connection.serves().await;
}

#[tokio::test]
async fn new_connection_outlives_header_timeout() {
    let app = Setup::unlimited().with("--header-timeout=1").start().await;
    let mut connection = RawConnection::open(&app).await;
    let closed = tokio::time::timeout(Duration::from_secs(3), connection.ends()).await;
    assert!(closed.is_err(), "it was closed before its first request");
    connection.serves().await;
}

#[tokio::test]
async fn idle_connection_is_closed_after_idle_timeout() {
    let app = Setup::unlimited().with("--header-timeout=60").with("--idle-timeout=1").start().await;
    let mut kept = RawConnection::open(&app).await;
    kept.serves().await;
    let mut new = RawConnection::open(&app).await;
    let began = Instant::now();
    kept.ends().await;
    new.ends().await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn header_timeout_starts_at_first_byte_of_head() {
    let app = Setup::unlimited().with("--header-timeout=2").with("--idle-timeout=600").start().await;
    let mut connection = RawConnection::open(&app).await;
    connection.serves().await;
    // Idle for most of the time a head may take, which does not count.
    let idle = tokio::time::timeout(Duration::from_millis(1500), connection.ends()).await;
    assert!(idle.is_err());
    let began = Instant::now();
    connection.send(&HEAD[..10]).await;
    let pause = tokio::time::timeout(Duration::from_millis(1000), connection.ends()).await;
    assert!(pause.is_err(), "the clock began before the first byte");
    connection.send(&HEAD[10..]).await;
    assert_eq!(connection.response().await.status, 200);
    assert!(began.elapsed() >= Duration::from_secs(1));

    // A client that sends a byte now and then does not hold the connection, and is told so.
    let began = Instant::now();
    for byte in &HEAD[..HEAD.len() - 1] {
        let _ = connection.try_send(&[*byte]).await;
        if tokio::time::timeout(Duration::from_millis(250), connection.begins()).await.is_ok() {
            assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
            let response = connection.response().await;
            assert_eq!((response.status, response.code().as_str()), (408, "request_timeout"));
            assert!(response.announces_close());
            return connection.ends().await;
        }
    }
    panic!("a head that took {:?} was waited for", began.elapsed());
}

#[tokio::test]
async fn empty_line_after_request_starts_no_head() {
    let app = Setup::unlimited().with("--header-timeout=1").start().await;
    let mut connection = RawConnection::open(&app).await;
    connection.serves().await;
    connection.send(b"\r\n").await;
    let closed = tokio::time::timeout(Duration::from_secs(2), connection.ends()).await;
    assert!(closed.is_err(), "it was closed while idle");
    connection.serves().await;
}

#[tokio::test]
async fn idle_connections_are_closed_when_limit_is_reached() {
    let flags = ["--max-connections=2", "--header-timeout=1", "--idle-timeout=3600"];
    let setup = flags.into_iter().fold(Setup::unlimited(), Setup::with);
    let app = setup.start().await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut connection = RawConnection::open(&app).await;
        connection.serves().await;
        idle.push(connection);
    }
    let mut third = RawConnection::open(&app).await;
    third.serves().await;
}

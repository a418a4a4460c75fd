//! The least that can respond: one axum route, the same bytes for every request, on the service's own runtime
//! and accept loop.

use crate::runtime::block_on;
use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;
use tenantry_api::listen::{self, Handlers, Http2, Limits, MalformedRequest, Options};
use tokio::net::TcpListener;

/// Serves `body` at `/org/get` until the process is killed.
pub fn serve(body: String) -> Result<()> {
    let body = Bytes::from(body);
    let response = move || std::future::ready(([(header::CONTENT_TYPE, "application/json")], body.clone()));
    listen(Router::new().route("/org/get", get(response)))
}

/// Serves `router` until the process is killed.
pub fn listen(router: Router) -> Result<()> {
    block_on(accept(router))
}

async fn accept(router: Router) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listens on http://{}", listener.local_addr()?);
    let limits = Limits {
        max_connections: 10_000,
        max_connections_per_network: usize::MAX,
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        write_timeout: Duration::from_secs(10),
        export_pause_timeout: Duration::from_secs(10),
        drain_timeout: Duration::from_secs(1),
    };
    let options = Options { limits, http2: Http2::Off, tls: None, hsts: None, trusted_proxies: Vec::new() };
    let bare = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
    let malformed = Arc::new(|_: &MalformedRequest<'_>| Bytes::from_static(bare));
    listen::serve(listener, Handlers { router, malformed }, options, std::future::pending()).await;
    Ok(())
}

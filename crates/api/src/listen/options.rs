//! How the accept loop serves: its limits, and what a connection may speak.

use super::malformed::MalformedHandler;
use crate::network::Network;
use axum::Router;
use hyper::header::HeaderValue;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// The limits of the accept loop.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; others wait in the kernel's queue.
    pub max_connections: usize,
    /// Connections at once from one IPv4 address, or from one /64 of IPv6; one more is closed.
    pub max_connections_per_network: usize,
    /// For a TLS handshake; and for the head of a request to arrive, from its first byte.
    pub header_timeout: Duration,
    /// For a connection without a request; while there are `max_connections`, it is `header_timeout`.
    pub idle_timeout: Duration,
    /// A client that reads nothing of a response for this long is cut off. An export has its own timeout.
    pub write_timeout: Duration,
    /// The timeout of an export. On HTTP/2 also: for a client to answer a ping.
    pub export_pause_timeout: Duration,
    /// For running requests to finish once `stop` is done.
    pub drain_timeout: Duration,
}

/// Where HTTP/2 is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2 {
    /// Nowhere.
    Off,
    /// Over TLS, where the client asks for it (ALPN).
    Tls,
    /// Also without TLS, where the client begins with it.
    PriorKnowledge,
}

/// How the accept loop serves.
pub struct Options {
    /// Its limits.
    pub limits: Limits,
    /// Where HTTP/2 is spoken.
    pub http2: Http2,
    /// Makes the handshakes; `None` without TLS.
    pub tls: Option<TlsAcceptor>,
    /// The value of `Strict-Transport-Security`, which is sent over TLS alone.
    pub hsts: Option<HeaderValue>,
    /// Proxies, which may have any number of connections.
    pub trusted_proxies: Vec<Network>,
}

/// The handlers of a connection.
#[derive(Clone)]
pub struct Handlers {
    /// Responds to requests.
    pub router: Router,
    /// Responds to malformed requests. The connection is closed afterwards.
    pub malformed: MalformedHandler,
}

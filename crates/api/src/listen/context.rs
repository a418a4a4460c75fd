//! What one connection needs to be served.

use super::drain::DrainWatch;
use super::options::{Handlers, Options};
use super::state::ConnectionSlots;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a connection needs to be served.
pub struct ConnectionContext {
    /// Responds to requests.
    pub handlers: Handlers,
    /// What the accept loop was told.
    pub options: Arc<Options>,
    /// The slots of all connections.
    pub slots: Arc<ConnectionSlots>,
    /// Tells when to finish.
    pub drain: DrainWatch,
    /// The address of the other side.
    pub peer: SocketAddr,
    /// Whether the connection is within TLS.
    pub is_tls: bool,
}

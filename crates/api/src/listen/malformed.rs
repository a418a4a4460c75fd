//! Malformed requests: what is known about one, and the handler that responds to it.

use super::head::HeadFault;
use hyper::body::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;

/// A request whose head is refused before hyper sees it.
pub struct MalformedRequest<'a> {
    /// Why it is refused.
    pub fault: HeadFault,
    /// The address of the other side.
    pub peer: SocketAddr,
    /// Its `Origin`, if that has been read.
    pub origin: Option<&'a [u8]>,
    /// Whether its method is HEAD.
    pub is_head_request: bool,
}

/// The address that a malformed request came from. It is logged, and counts for no limit: who is behind a proxy is unknown.
#[derive(Debug, Clone, Copy)]
pub struct MalformedPeer(pub SocketAddr);

/// Marks a request that arrived whole and is refused for its head. The routes do not see it.
#[derive(Debug, Clone, Copy)]
pub struct RefusedHead(pub HeadFault);

/// Builds the complete response to a malformed request.
pub type MalformedHandler = Arc<dyn Fn(&MalformedRequest<'_>) -> Bytes + Send + Sync>;

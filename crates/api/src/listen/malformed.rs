//! What arrived is no request: what is known of it, and who responds.

use super::head::HeadFault;
use hyper::body::Bytes;
use std::sync::Arc;

/// A request whose head is refused before it is one.
pub struct MalformedRequest<'a> {
    /// Why.
    pub fault: HeadFault,
    /// Its `Origin`, as far as it was read.
    pub origin: Option<&'a [u8]>,
    /// Whether its method is HEAD.
    pub is_head_request: bool,
}

/// Makes the whole response, as it is sent, to what is no request.
pub type MalformedHandler = Arc<dyn Fn(&MalformedRequest<'_>) -> Bytes + Send + Sync>;

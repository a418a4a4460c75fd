//! Warns once about each proxy that the settings do not name. The clients behind such a proxy cannot be told apart, so
//! password guesses and floods by one of them count against all of them.

use super::network::Network;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, header};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

/// The most peers to remember. If there are more, they are not proxies that somebody forgot to name.
const PEERS_MAX: usize = 256;
/// Headers that proxies add.
static PROXY_HEADERS: [HeaderName; 3] =
    [HeaderName::from_static("x-forwarded-for"), header::FORWARDED, HeaderName::from_static("x-real-ip")];

/// The proxies that have been warned about.
#[derive(Default)]
pub struct Forwarding {
    warned_of: Mutex<HashSet<IpAddr>>,
}

impl Forwarding {
    /// Warns if a proxy that is not `trusted` has forwarded this request.
    pub fn notice(&self, request: &Request, trusted: &[Network]) {
        let Some(header) = added_by_a_proxy(request.headers()) else { return };
        let Some(peer) = request.extensions().get::<SocketAddr>().map(SocketAddr::ip) else { return };
        let is_trusted = trusted.iter().any(|proxy| proxy.contains(peer));
        if !is_trusted && self.is_first(peer.to_canonical()) {
            tracing::warn!(
                %peer,
                header,
                "a request came through a proxy that TRUSTED_PROXIES does not name: all behind it share the \
                 limits of one address; name it there, and let it send X-Forwarded-For"
            );
        }
    }

    fn is_first(&self, peer: IpAddr) -> bool {
        let mut warned_of = self.warned_of.lock().unwrap_or_else(PoisonError::into_inner);
        warned_of.len() < PEERS_MAX && warned_of.insert(peer)
    }
}

fn added_by_a_proxy(headers: &HeaderMap) -> Option<&'static str> {
    PROXY_HEADERS.iter().find(|name| headers.contains_key(*name)).map(HeaderName::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn forwarding_warns_once_per_peer_up_to_a_maximum() {
        let forwarding = Forwarding::default();
        let peer = |number: usize| IpAddr::from(Ipv4Addr::from_bits(u32::try_from(number).unwrap()));
        for number in 0..PEERS_MAX {
            assert!(forwarding.is_first(peer(number)));
            assert!(!forwarding.is_first(peer(number)));
        }
        assert!(!forwarding.is_first(peer(PEERS_MAX)));
        assert_eq!(forwarding.warned_of.lock().unwrap().len(), PEERS_MAX);
    }

    #[test]
    fn forwarding_detects_every_proxy_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(added_by_a_proxy(&headers), None);
        for name in &PROXY_HEADERS {
            headers.insert(name, "192.0.2.1".parse().unwrap());
            assert!(added_by_a_proxy(&headers).is_some());
            headers.clear();
        }
    }
}

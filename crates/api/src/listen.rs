//! The accept loop: bounded connections, TLS, a deadline for each request's head, a drain at the end.
//!
//! `axum::serve` has no deadline for the head, so slow clients could hold sockets indefinitely.

mod body;
mod chunks;
mod connection;
mod context;
mod drain;
mod frame_socket;
mod frames;
mod head;
mod hsts;
mod http1;
mod http2;
mod malformed;
mod network_slots;
mod options;
mod socket;
mod state;
mod stream;
mod stream_body;
mod streams;
mod timer;

pub use head::HeadFault;
pub use malformed::{MalformedHandler, MalformedPeer, MalformedRequest, RefusedHead};
pub use options::{Handlers, Http2, Limits, Options};

use crate::metrics::{HTTP_CONNECTIONS, HTTP_CONNECTIONS_REFUSED};
use context::ConnectionContext;
use drain::Drain;
use network_slots::{NetworkSlot, NetworkSlots};
use state::ConnectionSlots;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::rate_limit::ClientNetwork;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

/// How long to wait after an accept that failed, for instance because no descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is done, then finishes what is running.
pub async fn serve(
    listener: TcpListener,
    handlers: Handlers,
    options: Options,
    stop: impl Future<Output = ()>,
) {
    let limits = options.limits;
    let options = Arc::new(options);
    let slots = Arc::new(ConnectionSlots::new(limits.max_connections));
    let networks = Arc::new(NetworkSlots::new(limits.max_connections_per_network));
    let connections = Drain::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let Ok(network) = take_network_slot(&networks, peer.ip(), &options) else {
            metrics::counter!(HTTP_CONNECTIONS_REFUSED).increment(1);
            tracing::debug!(%peer, "a connection was closed: its address has as many as MAX_CONNECTIONS_PER_ADDRESS");
            continue;
        };
        let context = ConnectionContext {
            handlers: handlers.clone(),
            options: Arc::clone(&options),
            slots: Arc::clone(&slots),
            drain: connections.watch(),
            peer,
            is_tls: false,
        };
        tokio::spawn(async move {
            let _slots = (place, network);
            let open = metrics::gauge!(HTTP_CONNECTIONS);
            open.increment(1);
            if let Err(error) = connection::serve(stream, context).await {
                tracing::debug!(%error, "a connection broke off");
            }
            open.decrement(1);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain_timeout, connections.finish()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
    }
}

/// The slot of an address in its network, of which a trusted proxy needs none; an error if there is none.
fn take_network_slot(
    networks: &Arc<NetworkSlots>,
    address: IpAddr,
    options: &Options,
) -> Result<Option<NetworkSlot>, ()> {
    if options.trusted_proxies.iter().any(|proxy| proxy.contains(address)) {
        return Ok(None);
    }
    networks.take(ClientNetwork::of(address)).map(Some).ok_or(())
}

async fn accept(
    listener: &TcpListener,
    slots: &ConnectionSlots,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = slots.take().await?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Responses are small and complete: waiting to fill a segment would only delay them.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

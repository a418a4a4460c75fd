//! The accept loop: bounded connections, a deadline for each request's head, a drain at the end.
//!
//! `axum::serve` has no deadline for the head, so slow clients could hold sockets indefinitely.

mod body;
mod chunks;
mod head;
mod malformed;
mod socket;
mod state;
mod timer;

pub use head::HeadFault;
pub use malformed::{MalformedHandler, MalformedRequest};

use crate::metrics::HTTP_CONNECTIONS;
use crate::paced_stream::{PacedStream, ReadPace};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::future::Either;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use socket::HttpSocket;
use state::{ConnectionSlots, ConnectionState};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use timer::HeadTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tower::Service;

/// The most bytes that are read ahead from a connection. A head that does not fit is answered with 414 or 431.
const READ_AHEAD_BYTES: usize = 16 << 10;
/// How long to wait after an accept that failed, for instance because no descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The limits of the accept loop.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; others wait in the kernel's queue.
    pub max_connections: usize,
    /// For the head of a request to arrive, from its first byte.
    pub header_timeout: Duration,
    /// For a connection without a request; while there are `max_connections`, it is `header_timeout`.
    pub idle_timeout: Duration,
    /// A client that reads nothing of a response for this long is cut off. An export has its own timeout.
    pub write_timeout: Duration,
    /// For running requests to finish once `stop` is done.
    pub drain_timeout: Duration,
}

/// The handlers of a connection.
#[derive(Clone)]
pub struct Handlers {
    /// Responds to requests.
    pub router: Router,
    /// Responds to malformed requests. The connection is closed afterwards.
    pub malformed: MalformedHandler,
}

/// Serves until `stop` is done, then finishes what is running.
pub async fn serve(
    listener: TcpListener,
    handlers: Handlers,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let slots = Arc::new(ConnectionSlots::new(limits.max_connections));
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let state = Arc::new(ConnectionState::new(Arc::clone(&slots)));
        let timer = HeadTimer {
            state: Arc::clone(&state),
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
        };
        let patience = ReadPace::new(limits.write_timeout);
        let socket = HttpSocket::new(
            PacedStream::new(stream, patience.clone()),
            Arc::clone(&state),
            Arc::clone(&handlers.malformed),
        );
        let service = service_fn({
            let router = handlers.router.clone();
            move |request| respond(router.clone(), request, peer, &patience, &state)
        });
        let connection = http1::Builder::new()
            .timer(timer)
            // Must not be `None`. Only with a timeout does hyper read on by itself after a response, and so gets a request that
            // the socket has held back; and only with one does it ask for the sleep that tells the socket that a head comes next
            // (`Phase::Idle`). Its length does not matter: `HeadTimer` has times of its own.
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(READ_AHEAD_BYTES)
            .serve_connection(TokioIo::new(socket), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            let _place = place;
            let open = metrics::gauge!(HTTP_CONNECTIONS);
            open.increment(1);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
            open.decrement(1);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain_timeout, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
    }
}

/// Lets the router respond, and handles a body that it does not read to its end.
fn respond(
    mut router: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    patience: &ReadPace,
    state: &Arc<ConnectionState>,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(patience.clone());
    if request.body().is_end_stream() {
        state.begin_request(Some(0));
        return Either::Left(router.call(request.map(|_| Body::empty())));
    }
    state.begin_request(request.body().size_hint().exact());
    let remainder = body::lend(&request, state);
    let response = router.call(request.map(|incoming| Body::new(remainder.body(incoming))));
    Either::Right(Box::pin(async move {
        let mut response = response.await?;
        remainder.answer(&mut response);
        Ok(response)
    }))
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

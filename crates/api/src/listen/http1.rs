//! HTTP/1.1 on one connection.

use super::body;
use super::context::ConnectionContext;
use super::hsts::Hsts;
use super::socket::HttpSocket;
use super::state::ConnectionState;
use super::stream::ClientStream;
use super::timer::HeadTimer;
use crate::paced_stream::ReadPace;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::TryFutureExt;
use futures_util::future::Either;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Error, Request};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use tower::Service;

/// The most bytes that are read ahead from a connection. A head that does not fit is answered with 414 or 431.
const READ_AHEAD_BYTES: usize = 16 << 10;

/// Serves until the connection ends. `held` has been read from the stream already.
pub async fn serve(
    stream: ClientStream,
    held: Vec<u8>,
    pace: ReadPace,
    mut context: ConnectionContext,
) -> Result<(), Error> {
    let limits = context.options.limits;
    let state = Arc::new(ConnectionState::new(Arc::clone(&context.slots)));
    let timer = HeadTimer {
        state: Arc::clone(&state),
        header_timeout: limits.header_timeout,
        idle_timeout: limits.idle_timeout,
    };
    let malformed = Arc::clone(&context.handlers.malformed);
    let socket = HttpSocket::new(stream, held, Arc::clone(&state), malformed, context.peer);
    let service = {
        let (router, options) = (context.handlers.router.clone(), Arc::clone(&context.options));
        let (peer, is_tls) = (context.peer, context.is_tls);
        service_fn(move |mut request: Request<Incoming>| {
            let hsts = Hsts::of(&request, options.hsts.as_ref().filter(|_| is_tls));
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(pace.clone());
            respond(router.clone(), request, &state, hsts)
        })
    };
    let connection = http1::Builder::new()
        .timer(timer)
        // Must not be `None`. Only with a timeout does hyper read on by itself after a response, and so gets a request that
        // the socket has held back; and only with one does it ask for the sleep that tells the socket that a head comes next
        // (`Phase::Idle`). Its length does not matter: `HeadTimer` has times of its own.
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(READ_AHEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = context.drain.begins() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Lets the router respond, and handles a body that it does not read to its end.
fn respond(
    mut router: Router,
    request: Request<Incoming>,
    state: &Arc<ConnectionState>,
    hsts: Hsts,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    if request.body().is_end_stream() {
        state.begin_request(Some(0));
        let response = router.call(request.map(|_| Body::empty()));
        return Either::Left(response.map_ok(|response| hsts.add_to(response)));
    }
    state.begin_request(request.body().size_hint().exact());
    let remainder = body::lend(&request, state);
    let response = router.call(request.map(|incoming| Body::new(remainder.body(incoming))));
    Either::Right(Box::pin(async move {
        let mut response = response.await?;
        remainder.answer(&mut response);
        Ok(hsts.add_to(response))
    }))
}

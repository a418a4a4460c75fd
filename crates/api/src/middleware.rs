//! The layer around every request: its id, deadline, security headers, log line and metrics.
//!
//! It is one layer and not a stack: each layer would cost an allocation per request, and their order is easy to get wrong.

use super::archives;
use super::compression::{self, Coding};
use super::content_coding::{self, ACCEPT_ENCODING, CODINGS};
use super::extract::{ACCEPT_PATCH, PATCH_TYPES, address_of};
use super::head_errors;
use super::http::Http;
use super::idempotency::IDEMPOTENCY_KEY;
use super::load::LoadSlot;
use super::metrics::{AnsweredRequest, HTTP_REQUESTS_SHED};
use super::not_found;
use super::organizations;
use super::problem::{ApiError, RenderedCode, render};
use super::rate_limit::requests::{self, Nearest};
use super::request_id::{RequestId, X_REQUEST_ID};
use super::request_trace::{self, AdoptParent};
use super::responses::OPERATION_LOCATION;
use super::security;
use crate::error_codes;
use crate::listen::{MalformedPeer, RefusedHead};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::Either;
use hyper::body::Body;
use std::any::Any;
use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tenantry_domain::audit::RequestOrigin;
use tenantry_domain::{Error, ErrorCode, ErrorKind};
use tokio::task::coop::unconstrained;
use tokio::time::sleep;
use tower::{Layer, Service};
use tracing::{Instrument, Span};

/// The layer that adds this to the routes.
#[derive(Clone)]
pub struct Middleware(pub Arc<Http>);

impl<R> Layer<R> for Middleware {
    type Service = WithMiddleware<R>;

    fn layer(&self, routes: R) -> WithMiddleware<R> {
        WithMiddleware { http: Arc::clone(&self.0), routes }
    }
}

/// The routes within that layer.
#[derive(Clone)]
pub struct WithMiddleware<R> {
    http: Arc<Http>,
    routes: R,
}

impl<R> Service<Request> for WithMiddleware<R>
where
    R: Service<Request, Response = Response, Error = Infallible>,
    R::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.routes.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let http = Arc::clone(&self.http);
        let mut seen = RequestContext::of(&http, &request);
        http.forwarding.notice(&request, &http.settings.trusted_proxies);
        let address = address_of(&http, request.headers(), request.extensions());
        let malformed_peer = request.extensions().get().map(|MalformedPeer(peer)| peer.ip());
        let counted = refusal(&request).map_or_else(|| seen.count(&http, address), Err);
        let checked = counted.and_then(|()| http.without_query.check(seen.route(), &request));
        let answer = match checked.and_then(|()| seen.admit(&http, request)) {
            Err(error) => Either::Left(ready(Ok(ApiError(error).into_response()))),
            Ok(request) => Either::Right(self.routes.call(request)),
        };
        let span = seen.begin_span();
        let origin = RequestOrigin::new(address.or(malformed_peer), seen.id.as_str().to_owned());
        let work = requests::scope(seen.nearest, carry(http, seen, answer));
        Box::pin(origin.run(work).instrument(span).map(Ok))
    }
}

/// The parts of a request that are still needed when it is answered.
struct RequestContext {
    started: Instant,
    id: RequestId,
    method: Method,
    route: Option<MatchedPath>,
    /// With its path, a refusal names what it is about.
    uri: Uri,
    has_unknown_coding: bool,
    /// How the client wants the response, where it may be compressed; the outer `None` where not.
    compression: Option<Option<Coding>>,
    /// Counts the request while it is worked on.
    slot: Option<LoadSlot>,
    /// How near its address has come to its limit.
    nearest: Option<Nearest>,
    /// What begins its trace, if it is traced.
    adopt: Option<AdoptParent>,
    is_traced: bool,
}

impl RequestContext {
    fn of(http: &Http, request: &Request) -> Self {
        let (method, headers) = (request.method().clone(), request.headers());
        let route: Option<MatchedPath> = request.extensions().get().cloned();
        let is_compressed = http.settings.compression
            && route.as_ref().is_some_and(|route| compression::is_listed(&method, route.as_str()));
        let mut seen = Self {
            started: Instant::now(),
            id: RequestId::of(headers, &http.request_ids),
            has_unknown_coding: content_coding::is_unknown(headers),
            compression: is_compressed.then(|| compression::preferred(headers)),
            method,
            route,
            uri: request.uri().clone(),
            slot: None,
            nearest: None,
            adopt: None,
            is_traced: false,
        };
        if !seen.is_probe() {
            seen.adopt = http.tracer.as_ref().and_then(|tracer| tracer.sample(headers));
        }
        seen
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or("unmatched", MatchedPath::as_str)
    }

    /// Counts the request for its address, unless it is a probe.
    fn count(&mut self, http: &Http, address: Option<IpAddr>) -> Result<(), Error> {
        if !self.is_probe() {
            self.nearest = http.request_limits.count_address(address)?;
        }
        Ok(())
    }

    fn is_probe(&self) -> bool {
        self.route.as_ref().is_some_and(|route| PROBES.contains(&route.as_str()))
    }

    /// Takes a slot for the request, unless it is a probe: probes are answered under any load.
    fn admit(&mut self, http: &Http, request: Request) -> Result<Request, Error> {
        if self.is_probe() {
            return Ok(request);
        }
        let Some(slot) = http.load.begin() else {
            metrics::counter!(HTTP_REQUESTS_SHED).increment(1);
            let detail = "The service works on as many requests as it takes at once. Try again in a moment.";
            return Err(Error::new(ErrorCode::Overloaded).detail(detail));
        };
        let slot = self.slot.insert(slot);
        if request.body().is_end_stream() {
            return Ok(request);
        }
        Ok(request.map(|body| slot.meter(body)))
    }

    /// The span around the use cases and store calls of the request. It has no path, which may contain a name.
    fn begin_span(&mut self) -> Span {
        match self.adopt.take() {
            Some(adopt) => {
                self.is_traced = true;
                request_trace::span(&self.method, self.route(), self.id.as_str(), adopt)
            }
            None => tracing::debug_span!(
                "request",
                request_id = self.id.as_str(),
                method = %self.method,
                route = self.route()
            ),
        }
    }

    /// Whether the response waits until a whole archive has been read, or a file has been written again: nobody knows how
    /// long that takes.
    fn has_no_deadline(&self) -> bool {
        let routes = [archives::IMPORT, organizations::COMPACT];
        self.method == Method::POST
            && self.route.as_ref().is_some_and(|route| routes.contains(&route.as_str()))
    }
}

/// Routes that are answered under any load.
const PROBES: [&str; 4] = ["/livez", "/readyz", "/health", "/metrics"];

/// Runs a request within its deadline, and finishes its response.
async fn carry(
    http: Arc<Http>,
    mut seen: RequestContext,
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Response {
    let answer = pin!(AssertUnwindSafe(answer).catch_unwind());
    // The pauses and lines of an archive have limits (`archives::chunks`), and so has a compaction.
    let deadline = if seen.has_no_deadline() { Duration::MAX } else { http.settings.request_timeout };
    let answer = match within(deadline, answer).await {
        Some(Ok(Ok(response))) => response,
        Some(Err(panic)) => on_panic(&*panic),
        None => too_slow(),
    };
    seen.slot = None;
    if let Some(code) = denied(&answer) {
        http.app.audit.count_denial(code);
    }
    let public_url = http.settings.public_url.as_str();
    let answer = name_refusal(answer, seen.route(), seen.uri.path());
    let mut response = render(answer, &seen.id, public_url);
    if seen.has_unknown_coding && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        response.headers_mut().insert(ACCEPT_ENCODING, CODINGS);
    }
    if seen.method == Method::PATCH && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        response.headers_mut().insert(ACCEPT_PATCH, PATCH_TYPES);
    }
    if let Some(coding) = seen.compression {
        response = compression::compress(coding, response).await;
    }
    let took = seen.started.elapsed();
    let observed =
        AnsweredRequest { method: &seen.method, route: seen.route(), status: response.status(), took };
    http.metrics.observe(&observed);
    let code = response.extensions().get().map(|RenderedCode(code)| *code);
    let mut trace_id = None;
    if seen.is_traced {
        let span = Span::current();
        request_trace::finish(&span, response.status(), RequestOrigin::organization(), code);
        trace_id = http.tracer.as_ref().and_then(|tracer| tracer.trace_id(&span));
    }
    log(&seen.id, &observed, code, trace_id.as_deref(), http.settings.log_all_requests);
    http.request_limits.announce(response.headers_mut());
    make_absolute(response.headers_mut(), public_url);
    complete(response.headers_mut(), seen.id);
    response
}

/// The output of `answer`; `None` once that takes longer than `time`. Most answers are there at once: they need no timer, which
/// would cost more than finding a record in memory.
async fn within<T>(time: Duration, mut answer: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut timer = None;
    poll_fn(|context| {
        if let Poll::Ready(output) = answer.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        // Unconstrained, so that it also ends an answer that uses up the task's budget each time.
        let timer = timer.get_or_insert_with(|| Box::pin(unconstrained(sleep(time))));
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Headers that must not be repeated: a proxy might read one of two, and this service the other.
const SINGLE: [HeaderName; 2] = [header::AUTHORIZATION, IDEMPOTENCY_KEY];

/// The first of these headers that is repeated.
fn repeated(headers: &HeaderMap) -> Option<HeaderName> {
    SINGLE.into_iter().find(|name| headers.get_all(name).iter().nth(1).is_some())
}

/// Why a request is refused before any route sees it.
fn refusal(request: &Request) -> Option<Error> {
    if let Some(RefusedHead(fault)) = request.extensions().get() {
        return Some(head_errors::error(*fault));
    }
    let name = repeated(request.headers())?;
    let name = if name == IDEMPOTENCY_KEY { "Idempotency-Key" } else { "Authorization" };
    let detail = format!("The header `{name}` came more than once: send one.");
    Some(Error::new(error_codes::INVALID_HEADER).detail(detail))
}

/// Puts the public URL before the paths in the headers of a response. This happens at the end: a response that is stored
/// for its `Idempotency-Key` has the path alone, so it is still right after the service has moved.
fn make_absolute(headers: &mut HeaderMap, public_url: &str) {
    if public_url.is_empty() {
        return;
    }
    for name in [header::LOCATION, OPERATION_LOCATION] {
        let path = headers.get(&name).and_then(|value| value.to_str().ok());
        let absolute = path.filter(|path| path.starts_with('/')).map(|path| format!("{public_url}{path}"));
        if let Some(value) = absolute.and_then(|url| HeaderValue::try_from(url).ok()) {
            headers.insert(name, value);
        }
    }
}

/// A refusal with the name of what it is about.
fn name_refusal(mut answer: Response, route: &str, path: &str) -> Response {
    if let Some(ApiError(error)) = answer.extensions_mut().remove() {
        answer.extensions_mut().insert(ApiError(not_found::with_name(error, route, path)));
    }
    answer
}

/// The code of a response that denies the caller something because of who it is.
fn denied(answer: &Response) -> Option<&'static str> {
    let ApiError(error) = answer.extensions().get()?;
    (error.code().kind() == ErrorKind::Forbidden).then(|| error.code().code())
}

fn too_slow() -> Response {
    ApiError(Error::new(ErrorCode::Overloaded)).into_response()
}

fn complete(answer: &mut HeaderMap, id: RequestId) {
    if !answer.contains_key(X_REQUEST_ID) {
        let own = std::mem::replace(answer, security::headers());
        answer.extend(own);
    }
    answer.insert(X_REQUEST_ID, id.into_header());
}

/// The line about an answered request.
macro_rules! log_line {
    ($level:ident, $id:expr, $seen:expr, $code:expr, $trace_id:expr) => {
        tracing::$level!(
            request_id = $id.as_str(),
            method = $seen.method.as_str(),
            route = $seen.route,
            status = $seen.status.as_u16(),
            code = $code,
            micros = u64::try_from($seen.took.as_micros()).unwrap_or(u64::MAX),
            client = RequestOrigin::address().map(|address| display(address.to_canonical())),
            organization = RequestOrigin::organization().map(display),
            trace_id = $trace_id,
            "answered"
        )
    };
}

/// Successful reads are frequent and rarely of interest, so they have the level `debug`. The path is not logged: it may
/// contain a name, and the route says which endpoint it was. `is_verbose` logs them like all others.
fn log(
    id: &RequestId,
    seen: &AnsweredRequest<'_>,
    code: Option<&str>,
    trace_id: Option<&str>,
    is_verbose: bool,
) {
    let is_read = matches!(*seen.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if is_read && seen.status.as_u16() < 400 && !is_verbose {
        log_line!(debug, id, seen, code, trace_id);
    } else {
        log_line!(info, id, seen, code, trace_id);
    }
}

/// The response after a handler panicked. Only the log says why.
fn on_panic(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("of unknown kind");
    ApiError(Error::internal(format!("a handler panicked: {text}"))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::task::coop::consume_budget;

    const TIME: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn answer_is_cut_off_once_its_time_is_over() {
        assert_eq!(within(TIME, pin!(ready(1))).await, Some(1));
        assert_eq!(within(TIME, pin!(sleep(TIME / 2).map(|()| 2))).await, Some(2));
        assert_eq!(within(TIME, pin!(sleep(TIME * 2))).await, None);
        assert_eq!(within(Duration::MAX, pin!(sleep(TIME * 2))).await, Some(()));
        assert_eq!(within(TIME, pin!(pending::<()>())).await, None);
    }

    /// It uses up the budget of its task each time, and so never lets a timer that needs some of it go off.
    #[tokio::test(start_paused = true)]
    async fn answer_that_never_rests_is_cut_off() {
        tokio::spawn(tokio::time::advance(TIME * 2));
        let restless = async {
            loop {
                consume_budget().await;
            }
        };
        assert_eq!(within(TIME, pin!(restless)).await, None::<()>);
    }
}

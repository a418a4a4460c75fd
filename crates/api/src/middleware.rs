//! What surrounds every request: its id, its deadline, its security headers, its line in the log, its numbers.
//!
//! One layer instead of a stack of them: each would cost an allocation per request, and their order is a trap.

use super::archives;
use super::extract::{ACCEPT_PATCH, PATCH_TYPES};
use super::http::Http;
use super::idempotency::IDEMPOTENCY_KEY;
use super::metrics::AnsweredRequest;
use super::problem::{ApiError, render};
use super::request_id::{RequestId, X_REQUEST_ID};
use super::responses::OPERATION_LOCATION;
use super::security;
use crate::error_codes;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::Either;
use std::any::Any;
use std::convert::Infallible;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tenantry_domain::{Error, ErrorCode};
use tower::{Layer, Service};
use tracing::{Instrument, Span};

/// The layer that puts routes into the frame.
#[derive(Clone)]
pub struct Middleware(pub Arc<Http>);

impl<R> Layer<R> for Middleware {
    type Service = WithMiddleware<R>;

    fn layer(&self, routes: R) -> WithMiddleware<R> {
        WithMiddleware { http: Arc::clone(&self.0), routes }
    }
}

/// Routes in the frame.
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
        let seen = RequestContext::of(&http, &request);
        http.forwarding.notice(&request, &http.settings.trusted_proxies);
        let answer = match repeated(request.headers()) {
            Some(name) => Either::Left(ready(Ok(refused(&name)))),
            None => Either::Right(self.routes.call(request)),
        };
        let span = seen.span();
        Box::pin(async move { Ok(carry(&http, seen, answer).instrument(span).await) })
    }
}

/// What of a request is still needed when it is answered.
struct RequestContext {
    started: Instant,
    id: RequestId,
    method: Method,
    route: Option<MatchedPath>,
}

impl RequestContext {
    fn of(http: &Http, request: &Request) -> Self {
        Self {
            started: Instant::now(),
            id: RequestId::of(request.headers(), &http.request_ids),
            method: request.method().clone(),
            route: request.extensions().get().cloned(),
        }
    }

    /// What use cases and calls of ports are within. A path is no part of it: it may hold a name.
    fn span(&self) -> Span {
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        tracing::debug_span!("request", request_id = self.id.as_str(), method = %self.method, route)
    }

    /// Whether it is answered only when all of an archive has been read.
    fn is_import(&self) -> bool {
        self.method == Method::POST
            && self.route.as_ref().is_some_and(|route| route.as_str() == archives::IMPORT)
    }
}

/// Carries a request through to its answer.
async fn carry(
    http: &Http,
    seen: RequestContext,
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Response {
    let answer = AssertUnwindSafe(answer).catch_unwind();
    // What a body takes to arrive cannot be known before; it has limits of its own (`archives::chunks`).
    let deadline = if seen.is_import() { Duration::MAX } else { http.settings.request_timeout };
    let answer = match tokio::time::timeout(deadline, answer).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panic)) => on_panic(&*panic),
        Err(_) => too_slow(),
    };
    let public_url = http.settings.public_url.as_str();
    let mut response = render(answer, &seen.id, public_url);
    if seen.method == Method::PATCH && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        response.headers_mut().insert(ACCEPT_PATCH, PATCH_TYPES);
    }
    let route = seen.route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let took = seen.started.elapsed();
    let observed = AnsweredRequest { method: &seen.method, route, status: response.status(), took };
    http.metrics.observe(&observed);
    log(&seen.id, &observed);
    make_absolute(response.headers_mut(), public_url);
    complete(response.headers_mut(), seen.id);
    response
}

/// Headers of which a request has one. Of two, a proxy may have read one and this service another.
const SINGLE: [HeaderName; 2] = [header::AUTHORIZATION, IDEMPOTENCY_KEY];

/// The first of these headers that came twice.
fn repeated(headers: &HeaderMap) -> Option<HeaderName> {
    SINGLE.into_iter().find(|name| headers.get_all(name).iter().nth(1).is_some())
}

fn refused(name: &HeaderName) -> Response {
    let name = if *name == IDEMPOTENCY_KEY { "Idempotency-Key" } else { "Authorization" };
    let detail = format!("The header `{name}` came more than once: send one.");
    ApiError(Error::new(error_codes::INVALID_HEADER).detail(detail)).into_response()
}

/// Puts the public URL before the paths in the headers of an answer. Here, at the end: an answer that is kept for its
/// `Idempotency-Key` has the path alone, and is right when the service has moved.
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

/// Reads that went well are many and say little; the rest is what somebody looks for afterwards. The path is
/// not logged: it may hold a name, and the route says which endpoint it was.
fn log(id: &RequestId, seen: &AnsweredRequest<'_>) {
    let (method, status) = (seen.method.as_str(), seen.status.as_u16());
    let micros = u64::try_from(seen.took.as_micros()).unwrap_or(u64::MAX);
    let id = id.as_str();
    if matches!(*seen.method, Method::GET | Method::HEAD | Method::OPTIONS) && status < 400 {
        tracing::debug!(request_id = id, method, route = seen.route, status, micros, "answered");
    } else {
        tracing::info!(request_id = id, method, route = seen.route, status, micros, "answered");
    }
}

/// The answer where a handler panicked: a defect, told to the log and not to the client.
fn on_panic(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("of unknown kind");
    ApiError(Error::internal(format!("a handler panicked: {text}"))).into_response()
}

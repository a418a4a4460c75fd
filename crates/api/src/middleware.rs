//! The layer around every request: its id, deadline, security headers, log line and metrics.
//!
//! It is one layer and not a stack: each layer would cost an allocation per request, and their order is easy to get wrong.

use super::archives;
use super::extract::{ACCEPT_PATCH, PATCH_TYPES, address_of};
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
use std::future::{poll_fn, ready};
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
        let seen = RequestContext::of(&http, &request);
        http.forwarding.notice(&request, &http.settings.trusted_proxies);
        let address = address_of(&http, request.headers(), request.extensions());
        let answer = match repeated(request.headers()) {
            Some(name) => Either::Left(ready(Ok(refused(&name)))),
            None => Either::Right(self.routes.call(request)),
        };
        let span = seen.span();
        let origin = RequestOrigin::new(address, seen.id.as_str().to_owned());
        Box::pin(origin.run(carry(http, seen, answer)).instrument(span).map(Ok))
    }
}

/// The parts of a request that are still needed when it is answered.
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

    /// The span around the use cases and store calls of the request. It has no path, which may contain a name.
    fn span(&self) -> Span {
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        tracing::debug_span!("request", request_id = self.id.as_str(), method = %self.method, route)
    }

    /// Whether the response waits until a whole archive has been read.
    fn is_import(&self) -> bool {
        self.method == Method::POST
            && self.route.as_ref().is_some_and(|route| route.as_str() == archives::IMPORT)
    }
}

/// Runs a request within its deadline, and finishes its response.
async fn carry(
    http: Arc<Http>,
    seen: RequestContext,
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Response {
    let answer = pin!(AssertUnwindSafe(answer).catch_unwind());
    // How long a whole archive takes to arrive is unknown; its pauses and lines have limits (`archives::chunks`).
    let deadline = if seen.is_import() { Duration::MAX } else { http.settings.request_timeout };
    let answer = match within(deadline, answer).await {
        Some(Ok(Ok(response))) => response,
        Some(Err(panic)) => on_panic(&*panic),
        None => too_slow(),
    };
    if let Some(code) = denied(&answer) {
        http.app.audit.count_denial(code);
    }
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

fn refused(name: &HeaderName) -> Response {
    let name = if *name == IDEMPOTENCY_KEY { "Idempotency-Key" } else { "Authorization" };
    let detail = format!("The header `{name}` came more than once: send one.");
    ApiError(Error::new(error_codes::INVALID_HEADER).detail(detail)).into_response()
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

/// Successful reads are frequent and rarely of interest, so they have the level `debug`. The path is not logged: it may
/// contain a name, and the route says which endpoint it was.
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

//! `Idempotency-Key`: a request that is sent again gets the response to the first one.

use super::http::Http;
use super::problem::ApiError;
use crate::error_codes;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::future::BoxFuture;
use std::convert::Infallible;
use std::sync::Arc;
use tenantry_domain::app::idempotency::IdempotencyPermit;
use tenantry_domain::audit::RequestOrigin;
use tenantry_domain::idempotency::{IdempotencyKey, KeyHolder, StoredResponse};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::IDEMPOTENCY_KEY_MAX_BYTES;
use tenantry_domain::{Error, ErrorCode, offload};
use tracing::Instrument;
use utoipa::IntoParams;

/// The header with the client's key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks a replayed response.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The largest body that is stored with a key, since no quota counts it. Only documents make larger ones, and those are
/// rebuilt instead ([`Replay::Rebuilt`]).
const ANSWER_MAX_BYTES: usize = 4 << 10;
/// The response headers that are stored.
const STORED_HEADERS: [&str; 4] = ["content-type", ETAG, "location", "operation-location"];
const ETAG: &str = "etag";

/// The key of a request as it was sent, if it has one.
#[derive(IntoParams)]
#[into_params(names("Idempotency-Key"), parameter_in = Header)]
pub struct IdempotencyHeader(
    /// A request with the same key is carried out only once.
    #[param(value_type = Option<String>)]
    Option<HeaderValue>,
);

impl IdempotencyHeader {
    /// The key in `scope`.
    ///
    /// # Errors
    /// `invalid_header` if it is not a valid key.
    pub fn parse(&self, scope: &str) -> Result<Option<IdempotencyKey>, Error> {
        let text = self.0.as_ref().map(|value| value.to_str().unwrap_or_default());
        text.map(|text| parse_key(scope, text)).transpose()
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyHeader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(&IDEMPOTENCY_KEY).cloned()))
    }
}

/// Who owns a key.
pub struct Scope<'a> {
    /// Separates callers who might choose the same key.
    pub name: &'a str,
    /// Whose number of keys is limited; `None` if it is not.
    pub holder: Option<KeyHolder>,
}

/// What identifies a request, to tell a repeated request from a different one.
pub struct IdempotentRequest<'a> {
    /// Its method and path.
    pub route: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

/// A response that is being rebuilt.
type ReplayFuture = BoxFuture<'static, Result<Response, ApiError>>;

/// Rebuilds a response from the id and the `ETag` of the created resource.
type ReplayFn = Box<dyn FnOnce(OrganizationId, &str) -> ReplayFuture + Send>;

/// Makes the whole body of a response from its short one and the id that the request was granted; `None` if it is whole.
type ExpandFn = Box<dyn FnOnce(OrganizationId, &[u8]) -> Result<Option<Vec<u8>>, Error> + Send>;

/// How a response is replayed.
pub enum Replay {
    /// From the stored copy: the response is always small.
    Stored,
    /// Rebuilt from the repeated request, which is the same, and from the id and the `ETag` of the created resource.
    Rebuilt(ReplayFn),
    /// From the stored copy or, if the response was long, from its [`ShortBody`] and the repeated request.
    Expanded(ExpandFn),
}

/// The body to store with a key in place of a longer one. An extension of a response.
#[derive(Clone)]
pub struct ShortBody(pub Vec<u8>);

/// A request with a key that is carried out.
#[derive(Debug, Clone, Copy)]
pub struct KeyedRun {
    /// The id for the resource that it creates.
    pub id: OrganizationId,
    /// Whether an earlier try of it may have been carried out.
    pub is_again: bool,
}

/// Answers a request that may carry a key: runs it the first time, with an id for the resource it creates, and
/// replays the response from then on.
///
/// # Errors
/// Those of `run`; `invalid_header`, `idempotency_in_progress`, `idempotency_key_reused`, `too_many_idempotency_keys`.
pub async fn once<F>(
    http: &Arc<Http>,
    header: IdempotencyHeader,
    scope: Scope<'_>,
    sent: IdempotentRequest<'_>,
    replay: Replay,
    run: impl FnOnce(Option<OrganizationId>) -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<Response, ApiError>> + Send + 'static,
{
    once_keyed(http, header, scope, sent, replay, |run_of_key| run(run_of_key.map(|keyed| keyed.id))).await
}

/// The same for a request that creates nothing by which a repeated one could recognize it: it is told whether an earlier
/// try may have been carried out.
///
/// # Errors
/// As [`once`].
pub async fn once_keyed<F>(
    http: &Arc<Http>,
    header: IdempotencyHeader,
    scope: Scope<'_>,
    sent: IdempotentRequest<'_>,
    replay: Replay,
    run: impl FnOnce(Option<KeyedRun>) -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<Response, ApiError>> + Send + 'static,
{
    let Some(key) = header.parse(scope.name)? else { return run(None).await };
    let keeps_body = !matches!(replay, Replay::Rebuilt(_));
    let request = [sent.route.as_bytes(), b"\n", sent.body].concat();
    let keyed = match http.app.idempotency.claim_key(key.clone(), scope.holder, &request).await? {
        IdempotencyPermit::Repeat(made, answer) => return repeat(made, answer, replay).await,
        IdempotencyPermit::Run { id, is_again } => KeyedRun { id, is_again },
    };
    // In a task of its own: if the client hangs up now, its next attempt still finds the response.
    let (http, work) = (Arc::clone(http), run(Some(keyed)));
    let task = async move {
        let result = work.await;
        keep(&http, &key, keeps_body, result).await
    };
    tokio::spawn(RequestOrigin::share(task).in_current_span()).await.map_err(Error::internal)?
}

async fn keep(
    http: &Http,
    key: &IdempotencyKey,
    keeps_body: bool,
    result: Result<Response, ApiError>,
) -> Result<Response, ApiError> {
    match result {
        Ok(response) if !keeps_body => {
            let answer = StoredResponse {
                status: response.status().as_u16(),
                headers: stored_headers(response.headers(), &[ETAG]),
                body: Vec::new(),
            };
            http.app.idempotency.save_response(key, &answer).await?;
            Ok(response)
        }
        Ok(response) => {
            if response.body().size_hint().exact().is_none_or(|bytes| bytes > ANSWER_MAX_BYTES as u64) {
                if let Some(ShortBody(body)) = response.extensions().get::<ShortBody>().cloned() {
                    let (status, headers) = (response.status(), response.headers());
                    let headers = stored_headers(headers, &STORED_HEADERS);
                    let answer = StoredResponse { status: status.as_u16(), headers, body };
                    http.app.idempotency.save_response(key, &answer).await?;
                    return Ok(response);
                }
                // The repeated request finds what it has created by its id, and builds the response again.
                http.app.idempotency.end_lease(key).await?;
                return Ok(response);
            }
            let (parts, body) = response.into_parts();
            let bytes = to_bytes(body, ANSWER_MAX_BYTES).await.map_err(Error::internal)?;
            let headers = stored_headers(&parts.headers, &STORED_HEADERS);
            let answer = StoredResponse { status: parts.status.as_u16(), headers, body: bytes.to_vec() };
            http.app.idempotency.save_response(key, &answer).await?;
            Ok(Response::from_parts(parts, Body::from(bytes)))
        }
        Err(refusal) => {
            let released = match refusal.0.code() {
                // The change may have happened. The key stays, so that the next request with it, which may come at once,
                // creates the same resource and not a second one.
                ErrorCode::Internal
                | ErrorCode::StoreUnavailable
                | ErrorCode::Overloaded
                | ErrorCode::IdempotencyOutcomeUnknown => http.app.idempotency.end_lease(key).await,
                _ => http.app.idempotency.release_key(key).await,
            };
            if let Err(error) = released {
                tracing::warn!(%error, "an Idempotency-Key stays held until its lease ends");
            }
            Err(refusal)
        }
    }
}

fn stored_headers(headers: &HeaderMap, names: &[&str]) -> Vec<(String, String)> {
    let kept = names.iter().filter_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    kept.collect()
}

async fn repeat(made: OrganizationId, answer: StoredResponse, replay: Replay) -> Result<Response, ApiError> {
    let mut response = match replay {
        // Builds before 2026-11-29 kept every body.
        Replay::Rebuilt(rebuild) if answer.body.is_empty() => {
            let etag = answer.headers.iter().find(|(name, _)| name == ETAG);
            rebuild(made, etag.map_or("", |(_, value)| value)).await?
        }
        Replay::Expanded(expand) => {
            let body = offload::elsewhere(move || expand(made, &answer.body).map(|whole| (whole, answer)));
            let (whole, answer) = body.await??;
            replay_stored(StoredResponse { body: whole.unwrap_or(answer.body), ..answer })
        }
        _ => replay_stored(answer),
    };
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn replay_stored(answer: StoredResponse) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The key `text` of a caller who is told from others by `scope`.
///
/// # Errors
/// `invalid_header` unless it is visible ASCII of the right length.
fn parse_key(scope: &str, text: &str) -> Result<IdempotencyKey, Error> {
    IdempotencyKey::parse(scope, text).ok_or_else(|| {
        Error::new(error_codes::INVALID_HEADER).detail(format!(
            "`Idempotency-Key` must be 1 to {IDEMPOTENCY_KEY_MAX_BYTES} visible ASCII characters."
        ))
    })
}

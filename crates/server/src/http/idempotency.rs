//! `Idempotency-Key`: a request that is sent again gets its first answer again.

use super::Http;
use super::problem::Refusal;
use axum::body::{Body, HttpBody, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use std::sync::Arc;
use tenantry_domain::app::requests::Permit;
use tenantry_domain::idempotency::{RequestKey, SavedAnswer};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::{Error, ErrorCode};

/// Where a client puts its key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is a repeated one.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Bytes of an answer that is kept. Only documents make larger ones, and those are not to be kept twice, the second
/// time beyond any quota.
const ANSWER_MAX_BYTES: usize = 16 << 10;
/// The headers of an answer that are kept with it.
const KEPT: [&str; 4] = ["content-type", "etag", "location", "operation-location"];

/// Answers a request that may carry a key: carries it out the first time, with an id for what it makes, and
/// repeats the answer from then on. `scope` tells callers apart who could choose the same key.
///
/// # Errors
/// What `run` refuses; `invalid_header`, `idempotency_in_progress`, `idempotency_key_reused`.
pub async fn once<F>(
    http: &Arc<Http>,
    headers: &HeaderMap,
    scope: &str,
    request: &[u8],
    run: impl FnOnce(Option<OrganizationId>) -> F,
) -> Result<Response, Refusal>
where
    F: Future<Output = Result<Response, Refusal>> + Send + 'static,
{
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else { return run(None).await };
    let key = RequestKey::parse(scope, value.to_str().unwrap_or_default())?;
    let id = match http.app.claim_request(key.clone(), request).await? {
        Permit::Repeat(answer) => return Ok(repeat(answer)),
        Permit::Run(id) => id,
    };
    // In a task of its own: if the client hangs up now, its next attempt still finds the answer.
    let (http, work) = (Arc::clone(http), run(Some(id)));
    let task = tokio::spawn(async move {
        let result = work.await;
        keep(&http, &key, result).await
    });
    task.await.map_err(Error::internal)?
}

async fn keep(http: &Http, key: &RequestKey, result: Result<Response, Refusal>) -> Result<Response, Refusal> {
    match result {
        Ok(response) => {
            if response.body().size_hint().exact().is_none_or(|bytes| bytes > ANSWER_MAX_BYTES as u64) {
                // Sent again, the request finds by its id what it has made, and answers anew.
                http.app.yield_request(key).await?;
                return Ok(response);
            }
            let (parts, body) = response.into_parts();
            let bytes = to_bytes(body, ANSWER_MAX_BYTES).await.map_err(Error::internal)?;
            let headers = KEPT
                .iter()
                .filter_map(|name| {
                    let value = parts.headers.get(*name)?.to_str().ok()?;
                    Some(((*name).to_owned(), value.to_owned()))
                })
                .collect();
            let answer = SavedAnswer { status: parts.status.as_u16(), headers, body: bytes.to_vec() };
            http.app.save_answer(key, &answer).await?;
            Ok(Response::from_parts(parts, Body::from(bytes)))
        }
        Err(refusal) => {
            let released = match refusal.0.code() {
                // The change may have happened: the key stays, so that its next holder makes the same thing and
                // no second one, and may come at once.
                ErrorCode::Internal | ErrorCode::StoreUnavailable | ErrorCode::Overloaded => {
                    http.app.yield_request(key).await
                }
                _ => http.app.release_request(key).await,
            };
            if let Err(error) = released {
                tracing::warn!(%error, "an Idempotency-Key stays held until its lease ends");
            }
            Err(refusal)
        }
    }
}

fn repeat(answer: SavedAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}

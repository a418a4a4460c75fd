//! Liveness, readiness, metrics, and what the service is.

use super::auth::operator_key;
use super::http::Http;
use super::metrics::{HTTP_REQUESTS_IN_PROGRESS, PASSWORD_HASH_QUEUE_DEPTH};
use super::openapi::Access;
use super::path_params::ProblemCodePath;
use super::problem::ApiError;
use super::responses::json;
use super::settings::MetricsPolicy;
use crate::error_codes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use tenantry_domain::ErrorCode;
use utoipa::ToSchema;

/// The service, with links to its documentation.
#[derive(Serialize, ToSchema)]
#[schema(as = Root)]
pub struct ServiceInfoResponse<'a> {
    /// The setting `APP_NAME`.
    #[schema(example = "Tenantry")]
    pub name: &'a str,
    /// The version of the service.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// Swagger UI: the API with a form for each request.
    pub docs: String,
    /// ReDoc: the API as a reference to read.
    pub redoc: String,
    /// The API as an OpenAPI document.
    pub openapi: String,
    /// Whether the service is up.
    pub health: String,
}

/// Name the service.
///
/// Returns the name, the version and links to the documentation.
#[utoipa::path(get, path = "/", operation_id = "getServiceInfo", tag = "Service",
    responses((status = 200, description = "Name, version and links.", body = ServiceInfoResponse<'static>)),
    extensions(("x-rule" = json!(Access::Public.refuses(&[])))))]
pub async fn root(State(http): State<Arc<Http>>) -> Response {
    let link = |path: &str| format!("{}{path}", http.settings.public_url);
    let body = ServiceInfoResponse {
        name: &http.settings.app_name,
        version: env!("CARGO_PKG_VERSION"),
        docs: link("/docs"),
        redoc: link("/redoc"),
        openapi: link("/openapi.json"),
        health: link("/health"),
    };
    json(StatusCode::OK, &body)
}

/// The response of the health check.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthResponse {
    /// Always `operational`.
    #[schema(example = "operational")]
    pub status: &'static str,
    /// Always the same.
    #[schema(example = "Organization Management API")]
    pub service: &'static str,
}

/// Tell whether the service is up.
///
/// Always answers `operational` while the process runs. For probes, use `GET /livez` and `GET /readyz`.
#[utoipa::path(get, path = "/health", operation_id = "getHealth", tag = "Classic",
    responses((status = 200, description = "It is.", body = HealthResponse)),
    extensions(("x-rule" = json!(Access::Public.refuses(&[])))))]
pub async fn health() -> Response {
    json(StatusCode::OK, &HealthResponse { status: "operational", service: "Organization Management API" })
}

/// The response to a probe.
#[derive(Serialize, ToSchema)]
#[schema(as = Probe)]
pub struct ProbeResponse {
    /// Always `ok`.
    #[schema(example = "ok")]
    pub status: &'static str,
}

/// Tell whether the process responds.
///
/// A liveness probe: it touches no data. If it fails, restart the process.
#[utoipa::path(get, path = "/livez", operation_id = "getLiveness", tag = "Service",
    responses((status = 200, description = "It does.", body = ProbeResponse)),
    extensions(("x-rule" = json!(Access::Public.refuses(&[])))))]
pub async fn livez() -> Response {
    json(StatusCode::OK, &ProbeResponse { status: "ok" })
}

/// Tell whether the service can do its work.
///
/// A readiness probe: it succeeds if the service can write to its store. If it fails, send this instance no requests.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", tag = "Service",
    responses((status = 200, description = "It can.", body = ProbeResponse)),
    extensions(("x-rule" = json!(Access::Public.refuses(&[])))))]
pub async fn readyz(State(http): State<Arc<Http>>) -> Result<Response, ApiError> {
    http.readiness.check(&http.app).await?;
    Ok(json(StatusCode::OK, &ProbeResponse { status: "ok" }))
}

/// Get the metrics.
///
/// Counters and histograms in the Prometheus text format. The setting `METRICS` (`open`, `operator` or `off`)
/// says who may read them.
#[utoipa::path(get, path = "/metrics", operation_id = "getMetrics", tag = "Service",
    responses((status = 200, description = "The Prometheus text format.", body = String, content_type = "text/plain")),
    extensions(("x-rule" = json!(Access::SettingOperator.refuses(&[error_codes::ROUTE_NOT_FOUND])))))]
pub async fn metrics(State(http): State<Arc<Http>>, headers: HeaderMap) -> Result<Response, ApiError> {
    match http.settings.metrics {
        MetricsPolicy::Off => return Err(error_codes::ROUTE_NOT_FOUND.into()),
        MetricsPolicy::Operator => {
            operator_key(&http, &headers).await?.ok_or(ErrorCode::OperatorKeyRequired)?;
        }
        MetricsPolicy::Open => {}
    }
    #[expect(clippy::cast_precision_loss, reason = "a queue is far shorter than 2^52")]
    for (gauge, count) in [
        (PASSWORD_HASH_QUEUE_DEPTH, http.app.waiting_hashes()),
        (HTTP_REQUESTS_IN_PROGRESS, http.load.running()),
    ] {
        metrics::gauge!(gauge).set(count as f64);
    }
    let text = (http.render_metrics)();
    let prometheus = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, prometheus)], text).into_response())
}

/// Explain a problem.
///
/// The `type` of every error body is a link to this page. It says what the `code` means and what to do.
#[utoipa::path(get, path = "/problems/{code}", operation_id = "explainProblem", tag = "Service",
    params(ProblemCodePath),
    responses((status = 200, description = "What it means and what to do.", body = String, content_type = "text/plain")),
    extensions(("x-rule" = json!(Access::Public.refuses(&[error_codes::ROUTE_NOT_FOUND])))))]
pub async fn problem(ProblemCodePath(row): ProblemCodePath) -> Response {
    let status = error_codes::status_of(row);
    format!("{} ({status})\n\n{}\n{}\n", row.code(), row.title(), error_codes::advice(row)).into_response()
}

//! THE list of routes and layers, readable from top to bottom.
//!
//! A handler takes what proves its caller's right, calls the application, converts, answers. What a newcomer
//! gets wrong: a route that is added here also needs its rule in [`openapi`], and gets its tests from it.

pub mod archives;
pub mod auth;
mod body_budget;
pub mod classic;
pub mod collections;
mod conditional;
mod cursor;
pub mod docs;
pub mod documents;
mod extract;
mod fields;
mod forwarding;
pub mod health;
mod idempotency;
pub mod indexes;
mod line_clock;
mod malformed;
mod metrics;
mod middleware;
pub mod openapi;
pub mod operations;
pub mod organizations;
mod path_params;
pub mod problem;
mod rate_limit;
mod readiness;
pub mod representation;
mod request_id;
pub mod sessions;
pub mod usage;

use crate::config::{Config, LookupPolicy, MetricsPolicy, Network};
use crate::listen::Handlers;
use axum::body::Bytes;
use axum::http::{HeaderName, Method, header};
use axum::routing::{MethodRouter, get};
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::app::App;
use tenantry_domain::ids::Entropy;
use tenantry_domain::password::policy::NewPassword;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the settings say about HTTP.
pub struct HttpSettings {
    app_name: String,
    /// What stands before the path in every link; nothing, if nobody has said under which URL the service is reached.
    public_url: String,
    public_lookup: LookupPolicy,
    metrics: MetricsPolicy,
    max_body_bytes: usize,
    /// Of a document, or of a line that holds one.
    max_document_json_bytes: usize,
    /// A query that looks at more documents than this says so.
    full_scan_notice: u64,
    /// From the head of a request to the head of its answer; of an import, between two pieces of its body, and for each of
    /// its lines.
    request_timeout: Duration,
    /// For the reader of an export to take nothing of it.
    export_pause_timeout: Duration,
    trusted_proxies: Vec<Network>,
}

impl HttpSettings {
    /// How long a body may take to arrive: half of the time, so that a slow client hears of its own slowness and not
    /// of ours.
    fn arrival_timeout(&self) -> Duration {
        self.request_timeout / 2
    }
}

/// What handlers share.
pub struct Http {
    app: Arc<App>,
    request_ids: request_id::RequestIds,
    settings: HttpSettings,
    metrics: metrics::RequestMetrics,
    readiness: readiness::Readiness,
    forwarding: forwarding::Forwarding,
    body_budget: Arc<body_budget::BodyBudget>,
}

impl Http {
    /// A new password under the rules of the settings.
    fn new_password(&self, text: &str) -> Result<NewPassword, String> {
        NewPassword::parse(text, self.app.policy().password_min_chars)
    }
}

/// The service over HTTP.
pub fn handlers(app: Arc<App>, entropy: Arc<dyn Entropy>, config: &Config) -> Handlers {
    let (routes, document) = api().split_for_parts();
    let public_url = config.public_url.as_ref().map(|url| url.as_str().to_owned()).unwrap_or_default();
    let document = openapi::document(document, &config.app_name, &public_url);
    let settings = HttpSettings {
        app_name: config.app_name.clone(),
        public_url,
        public_lookup: config.public_lookup,
        metrics: config.metrics,
        max_body_bytes: config.max_body_bytes,
        max_document_json_bytes: config.max_document_json_bytes(),
        full_scan_notice: config.full_scan_notice,
        request_timeout: config.request_timeout,
        export_pause_timeout: config.export_pause_timeout,
        trusted_proxies: config.trusted_proxies.clone(),
    };
    let longest = settings.max_document_json_bytes;
    let body_budget = body_budget::BodyBudget::new(config.bulk_memory_bytes, longest);
    let http = Arc::new(Http {
        app,
        request_ids: request_id::RequestIds::new(entropy),
        settings,
        metrics: metrics::RequestMetrics::default(),
        readiness: readiness::Readiness::default(),
        forwarding: forwarding::Forwarding::default(),
        body_budget,
    });
    let routes = routes
        .route(archives::IMPORT, organization_called_import())
        .merge(docs::routes(Bytes::from(document.to_string())))
        .fallback(async || problem::ApiError::from(tenantry_domain::ErrorCode::RouteNotFound));
    let cors = (!config.cors_origins.is_empty()).then(|| cors(config));
    let malformed = malformed::handler(&http, cors.clone());
    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    Handlers { router: routes.layer(middleware::Middleware(Arc::clone(&http))).with_state(http), malformed }
}

/// The OpenAPI document.
#[must_use]
pub fn openapi_document(app_name: &str) -> serde_json::Value {
    openapi::document(api().split_for_parts().1, app_name, "")
}

/// Every route of the API; those of its documentation are in [`docs`].
fn api() -> OpenApiRouter<Arc<Http>> {
    OpenApiRouter::with_openapi(openapi::Base::openapi())
        // Classic
        .routes(routes!(classic::create))
        .routes(routes!(classic::get))
        .routes(routes!(classic::update))
        .routes(routes!(classic::delete))
        .routes(routes!(sessions::login))
        .routes(routes!(health::health))
        // Sign-in
        .routes(routes!(sessions::refresh))
        .routes(routes!(sessions::logout))
        .routes(routes!(health::jwks))
        // Organizations
        .routes(routes!(organizations::list_organizations, organizations::create_organization))
        .routes(routes!(
            organizations::get_organization,
            organizations::change_organization,
            organizations::delete_organization
        ))
        .routes(routes!(organizations::restore_organization))
        .routes(routes!(organizations::suspend_organization))
        .routes(routes!(organizations::set_owner_password))
        .routes(routes!(organizations::reactivate_organization))
        .routes(routes!(organizations::purge_organization))
        .routes(routes!(archives::export_organization))
        .routes(routes!(archives::import_organization))
        // Collections
        .routes(routes!(collections::list_collections, collections::create_collection))
        .routes(routes!(collections::get_collection, collections::delete_collection))
        .routes(routes!(usage::get_usage))
        .routes(routes!(indexes::list_indexes, indexes::create_index))
        .routes(routes!(indexes::get_index, indexes::delete_index))
        // Documents
        .routes(routes!(
            documents::query::list_documents,
            documents::insert_document,
            documents::delete_documents
        ))
        .routes(routes!(documents::bulk::insert_documents))
        .routes(routes!(documents::query::query_documents))
        .routes(routes!(documents::query::count_documents, documents::query::count_matching_documents))
        .routes(routes!(documents::delete_matching_documents))
        .routes(routes!(
            documents::get_document,
            documents::replace_document,
            documents::patch_document,
            documents::delete_document
        ))
        // Operations
        .routes(routes!(operations::list_operations))
        .routes(routes!(operations::get_operation))
        // Service
        .routes(routes!(health::root))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(health::problem))
}

/// What an organization's path answers, for the one whose identifier is the word that imports are sent to.
fn organization_called_import() -> MethodRouter<Arc<Http>> {
    get(organizations::get_organization)
        .patch(organizations::change_organization)
        .delete(organizations::delete_organization)
}

/// The request headers that pages of other origins may send, regardless of the settings.
static CORS_HEADERS: [HeaderName; 11] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    idempotency::IDEMPOTENCY_KEY,
    indexes::PREFER,
    request_id::X_REQUEST_ID,
    // Libraries that trace add them to every request; a page that has one could call nothing without them.
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("sentry-trace"),
];

fn cors(config: &Config) -> CorsLayer {
    let origins = config.cors_origins.iter().filter_map(|origin| origin.as_str().parse().ok());
    let headers = CORS_HEADERS.iter().chain(&config.cors_headers).cloned();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(headers.collect::<Vec<_>>())
        .expose_headers([
            extract::ACCEPT_PATCH,
            header::CONTENT_DISPOSITION,
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            documents::query::FULL_SCAN,
            idempotency::IDEMPOTENCY_REPLAYED,
            rate_limit::RATE_LIMIT,
            rate_limit::RATE_LIMIT_POLICY,
            representation::OPERATION_LOCATION,
            request_id::X_REQUEST_ID,
        ])
        .max_age(Duration::from_secs(600))
}

//! The list of all routes and layers, readable from top to bottom.
//!
//! The handler of each route also declares its rule ([`openapi`]), which the tests of every operation are based on.

use super::body_budget::BodyBudget;
use super::forwarding::Forwarding;
use super::http::Http;
use super::listen::Handlers;
use super::load::LoadLimit;
use super::metrics::RequestMetrics;
use super::middleware::Middleware;
use super::problem::ApiError;
use super::rate_limit::requests::RequestLimits;
use super::readiness::Readiness;
use super::request_id::RequestIds;
use super::request_trace::RequestTracer;
use super::settings::Settings;
use super::undeclared_query::OperationsWithoutQuery;
use super::{
    account_links, api_keys, archives, audit, authorization_server, classic, collection_schemas, collections,
    docs, documents, extract, health, idempotency, identities, indexes, invitations, mailed_links, malformed,
    me, members, openapi, operations, organizations, own_sessions, password_reset, rate_limit, request_id,
    responses, roles, sessions, signing_keys, tokens, usage,
};
use crate::error_codes;
use axum::body::Bytes;
use axum::http::{HeaderName, Method, header};
use axum::routing::{MethodRouter, get};
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::app::App;
use tenantry_domain::clock::Clock;
use tenantry_domain::ids::Entropy;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The parts that the API is built from.
pub struct ApiParts {
    /// The use cases.
    pub app: Arc<App>,
    /// The clock of responses that hyper does not date.
    pub clock: Arc<dyn Clock>,
    /// The source of request ids.
    pub entropy: Arc<dyn Entropy>,
    /// The operator's settings.
    pub settings: Settings,
    /// All metrics of the process, in the Prometheus text format.
    pub render_metrics: fn() -> String,
    /// Decides which requests are traced, if any are.
    pub tracer: Option<Arc<dyn RequestTracer>>,
}

/// The use cases over HTTP.
#[must_use]
pub fn handlers(parts: ApiParts) -> Handlers {
    let ApiParts { app, clock, entropy, settings, render_metrics, tracer } = parts;
    let (routes, document) = api().split_for_parts();
    let document = openapi::document(document, &settings.app_name, &settings.public_url);
    let cors = (!settings.cors_origins.is_empty()).then(|| cors(&settings));
    let http = Arc::new(Http {
        app,
        clock,
        request_ids: RequestIds::new(entropy),
        metrics: RequestMetrics::of(&document),
        without_query: OperationsWithoutQuery::of(&document),
        render_metrics,
        tracer,
        readiness: Readiness::default(),
        forwarding: Forwarding::default(),
        load: LoadLimit::new(settings.max_concurrent_requests),
        request_limits: RequestLimits::new(&settings),
        body_budget: BodyBudget::new(settings.bulk_memory_bytes, settings.max_document_json_bytes),
        settings,
    });
    let routes = routes
        .route(archives::IMPORT, organization_called_import())
        .route(authorization_server::BELOW_WELL_KNOWN, get(authorization_server::describe_server))
        .merge(docs::routes(Bytes::from(document.to_string())))
        .fallback(async || ApiError::from(error_codes::ROUTE_NOT_FOUND));
    let malformed = malformed::handler(&http, cors.clone());
    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    Handlers { router: routes.layer(Middleware(Arc::clone(&http))).with_state(http), malformed }
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
        .routes(routes!(sessions::switch))
        .routes(routes!(sessions::logout))
        .routes(routes!(me::get_me, me::remove_account))
        .routes(routes!(me::change_password))
        .routes(routes!(own_sessions::list_sessions, own_sessions::end_sessions))
        .routes(routes!(own_sessions::end_session))
        .routes(routes!(mailed_links::request_email_change))
        .routes(routes!(mailed_links::request_email_verification))
        .routes(routes!(mailed_links::request_password_reset))
        .routes(routes!(account_links::list_links))
        .routes(routes!(account_links::revoke_link))
        .routes(routes!(account_links::confirm_email))
        .routes(routes!(account_links::verify_email))
        .routes(routes!(identities::list_identities, identities::link_identity))
        .routes(routes!(identities::unlink_identity))
        .routes(routes!(password_reset::reset_password))
        .routes(routes!(signing_keys::jwks))
        .routes(routes!(authorization_server::describe_server))
        // Organizations
        .routes(routes!(organizations::list_organizations, organizations::create_organization))
        .routes(routes!(
            organizations::get_organization,
            organizations::change_organization,
            organizations::delete_organization
        ))
        .routes(routes!(organizations::restore_organization))
        .routes(routes!(organizations::suspend_organization))
        .routes(routes!(organizations::compact_organization))
        .routes(routes!(organizations::set_owner_password))
        .routes(routes!(organizations::reactivate_organization))
        .routes(routes!(organizations::purge_organization))
        .routes(routes!(archives::export_organization))
        .routes(routes!(archives::import_organization))
        // Keys
        .routes(routes!(api_keys::list_service_keys, api_keys::create_service_key))
        .routes(routes!(api_keys::get_service_key, api_keys::revoke_service_key))
        .routes(routes!(api_keys::rotate_service_key))
        .routes(routes!(api_keys::list_organization_keys, api_keys::create_organization_key))
        .routes(routes!(api_keys::get_organization_key, api_keys::revoke_organization_key))
        .routes(routes!(api_keys::rotate_organization_key))
        .routes(routes!(api_keys::confirm_organization_key))
        .routes(routes!(signing_keys::list_signing_keys))
        .routes(routes!(signing_keys::rotate_signing_key))
        .routes(routes!(signing_keys::retire_signing_key))
        .routes(routes!(tokens::issue_token))
        .routes(routes!(tokens::introspect_token))
        // Members
        .routes(routes!(roles::list_roles))
        .routes(routes!(roles::list_organization_roles, roles::create_organization_role))
        .routes(routes!(
            roles::get_organization_role,
            roles::change_organization_role,
            roles::delete_organization_role
        ))
        .routes(routes!(members::list_members))
        .routes(routes!(members::get_member, members::change_member, members::remove_member))
        .routes(routes!(password_reset::create_password_reset))
        .routes(routes!(account_links::list_member_links, account_links::create_member_link))
        .routes(routes!(account_links::revoke_member_link))
        .routes(routes!(invitations::list_invitations, invitations::create_invitation))
        .routes(routes!(invitations::revoke_invitation))
        .routes(routes!(invitations::renew_invitation))
        .routes(routes!(invitations::accept_invitation))
        // Collections
        .routes(routes!(collections::list_collections, collections::create_collection))
        .routes(routes!(collections::get_collection, collections::delete_collection))
        .routes(routes!(usage::get_usage))
        .routes(routes!(indexes::list_indexes, indexes::create_index))
        .routes(routes!(indexes::get_index, indexes::delete_index))
        .routes(routes!(
            collection_schemas::get_schema,
            collection_schemas::set_schema,
            collection_schemas::delete_schema
        ))
        .routes(routes!(collection_schemas::check_schema))
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
        .routes(routes!(documents::aggregate::aggregate_documents))
        .routes(routes!(documents::aggregate::list_distinct_values))
        .routes(routes!(documents::updates::update_documents))
        .routes(routes!(documents::updates::find_one_and_delete))
        .routes(routes!(documents::updates::update_document))
        .routes(routes!(documents::batch::run_batch))
        .routes(routes!(
            documents::get_document,
            documents::replace_document,
            documents::patch_document,
            documents::delete_document
        ))
        // Audit
        .routes(routes!(audit::list_audit_events))
        .routes(routes!(audit::export_audit_chain))
        .routes(routes!(audit::get_audit_checkpoint))
        .routes(routes!(audit::list_installation_audit_events))
        .routes(routes!(audit::export_installation_audit_chain))
        .routes(routes!(audit::get_installation_audit_checkpoint))
        // Operations
        .routes(routes!(operations::list_operations))
        .routes(routes!(operations::list_all_operations))
        .routes(routes!(operations::get_operation))
        // Service
        .routes(routes!(health::root))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(health::problem))
}

/// The methods of an organization's path, for the organization called `import`: imports are posted to its path.
fn organization_called_import() -> MethodRouter<Arc<Http>> {
    get(organizations::get_organization)
        .patch(organizations::change_organization)
        .delete(organizations::delete_organization)
}

/// The request headers that pages of other origins may send, regardless of the settings.
static CORS_HEADERS: [HeaderName; 12] = [
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    idempotency::IDEMPOTENCY_KEY,
    indexes::PREFER,
    request_id::X_REQUEST_ID,
    // Tracing libraries add these to every request; without them, a page that uses one could not call the API at all.
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("sentry-trace"),
];

fn cors(settings: &Settings) -> CorsLayer {
    let headers = CORS_HEADERS.iter().chain(&settings.cors_headers).cloned();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(settings.cors_origins.iter().cloned()))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(headers.collect::<Vec<_>>())
        .expose_headers([
            extract::ACCEPT_PATCH,
            header::CONTENT_DISPOSITION,
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            documents::FULL_SCAN,
            idempotency::IDEMPOTENCY_REPLAYED,
            rate_limit::RATE_LIMIT,
            rate_limit::RATE_LIMIT_POLICY,
            responses::OPERATION_LOCATION,
            request_id::X_REQUEST_ID,
        ])
        .max_age(Duration::from_secs(600))
}

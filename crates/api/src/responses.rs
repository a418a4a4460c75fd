//! Organizations and operations in JSON, and the responses that contain them.

use super::conditional::{IfNoneMatchBody, etag, shown_etag};
use super::quota::QuotaResponse;
use super::security;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use tenantry_domain::account::Role;
use tenantry_domain::app::OrganizationView;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::operation::{Actor, ImportCounts, MemberChange, OperationRecord};
use utoipa::ToSchema;

/// The header with the path of the operation that a request began.
pub const OPERATION_LOCATION: HeaderName = HeaderName::from_static("operation-location");

/// An organization, as every response of the classic API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
pub struct ClassicOrganizationResponse<'a> {
    /// 24 hex digits; never changes.
    #[schema(value_type = String, example = "674f1c2e9b1d4a0c5e8f7a6b")]
    pub id: tenantry_domain::ids::OrganizationId,
    /// The name as it was given.
    #[schema(example = "Tech Innovations Corp")]
    pub organization_name: &'a str,
    /// The name in its normalized form: unique among organizations that are not deleted.
    #[schema(example = "tech-innovations-corp")]
    pub organization_identifier: &'a str,
    /// The visible name of its container. Not shown to anonymous callers under `PUBLIC_LOOKUP=card`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String, example = "tenant_tech_innovations_corp")]
    pub tenant_collection: Option<&'a str>,
    /// Where its container is: on MongoDB the database, on the embedded engine the file in the data directory. Not
    /// shown to anonymous callers under `PUBLIC_LOOKUP=card`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String, example = "containers/6b/674f1c2e9b1d4a0c5e8f7a6b.db")]
    pub tenant_database: Option<&'a str>,
    /// The address of the account that `admin_id` names. Not shown to anonymous callers under `PUBLIC_LOOKUP=card`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String, example = "admin@techcorp.com")]
    pub admin_email: Option<&'a str>,
    /// The account it was created with or, if that is no owner any more, the first of its owners: 24 hex digits.
    #[schema(value_type = String, example = "674f1c2e9b1d4a0c5e8f7a6c")]
    pub admin_id: tenantry_domain::ids::AccountId,
    /// Where its data lives: `database`, `collection` or `shared`.
    #[schema(example = "database")]
    pub placement: &'static str,
    /// `active`, `suspended`, `deleted`, `provisioning` or `purging`.
    #[schema(example = "active")]
    pub status: &'static str,
    /// When it was created, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last changed, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub modified_at: Timestamp,
}

impl<'a> ClassicOrganizationResponse<'a> {
    /// The full view.
    #[must_use]
    pub fn full(view: &'a OrganizationView) -> Self {
        let organization = &*view.organization;
        Self {
            id: organization.id,
            organization_name: organization.naming.name.as_str(),
            organization_identifier: organization.naming.identifier.as_str(),
            tenant_collection: Some(&view.location.collection),
            tenant_database: Some(&view.location.database),
            admin_email: view.admin_email().map(EmailAddress::as_str),
            admin_id: organization.admin_id(),
            placement: organization.placement.as_str(),
            status: organization.status().as_str(),
            created_at: organization.created_at,
            modified_at: organization.modified_at,
        }
    }

    /// The view of anonymous callers under `PUBLIC_LOOKUP=card`.
    #[must_use]
    pub fn public(view: &'a OrganizationView) -> Self {
        Self { tenant_collection: None, tenant_database: None, admin_email: None, ..Self::full(view) }
    }
}

/// An organization, as the v1 API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationDetails)]
pub struct OrganizationResponse<'a> {
    /// The part that the classic API shows, too.
    #[serde(flatten)]
    pub organization: ClassicOrganizationResponse<'a>,
    /// Whether a delete is refused.
    pub delete_protection: bool,
    /// Whether a purge is refused.
    pub legal_hold: bool,
    /// How much it may store.
    pub quota: QuotaResponse,
    /// When it was deleted; null if it is not.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub deleted_at: Option<Timestamp>,
    /// When it will be purged; null if it is not deleted.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub purge_at: Option<Timestamp>,
}

impl<'a> OrganizationResponse<'a> {
    /// The full view.
    #[must_use]
    pub fn new(view: &'a OrganizationView) -> Self {
        Self {
            organization: ClassicOrganizationResponse::full(view),
            delete_protection: view.organization.delete_protection,
            legal_hold: view.organization.legal_hold,
            quota: view.organization.quota.into(),
            deleted_at: view.organization.deleted_at,
            purge_at: view.organization.purge_at,
        }
    }
}

/// A page of the list of organizations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationPage)]
pub struct OrganizationPage<'a> {
    /// Ordered by identifier.
    pub items: Vec<OrganizationResponse<'a>>,
    /// Pass it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// A multi-step change, running or finished.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operation)]
pub struct OperationResponse {
    /// 24 hex digits.
    #[schema(value_type = String)]
    pub id: tenantry_domain::ids::OperationId,
    /// The organization that it changes, which may no longer exist.
    #[schema(value_type = String)]
    pub organization_id: tenantry_domain::ids::OrganizationId,
    /// `create`, `rename`, `update`, `suspend`, `reactivate`, `delete`, `restore`, `purge`, `import`,
    /// `set_password`, `add_member`, `change_role` (of a member), `remove_member`, `create_role`, `update_role` or
    /// `delete_role`.
    pub kind: &'static str,
    /// `running`, `succeeded` or `failed`.
    pub state: &'static str,
    /// How many of its steps are done.
    pub progress: Progress,
    /// Why it failed and was rolled back; null if it was not.
    #[schema(required = true)]
    pub error: Option<OperationError>,
    /// Who asked for it.
    pub actor: ActorResponse,
    /// Of a rename, the documents in the container that followed the new name; of an import, the documents imported so far.
    #[schema(required = true)]
    pub documents_migrated: Option<u64>,
    /// The member whom it adds, changes or removes; absent where it does none of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = ChangedMember)]
    pub member: Option<ChangedMember>,
    /// The role of the organization's own that it makes, changes or deletes; absent where it does none of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    pub role: Option<String>,
    /// What an import has brought along beside documents; absent before all of it is loaded, and for other kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = ImportedCounts)]
    pub imported: Option<ImportedCounts>,
    /// When it began, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it finished, RFC 3339 in UTC.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

/// What an import has brought along beside documents.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportedCounts {
    /// Roles of the organization's own.
    pub roles: u64,
    /// Members, with the owner.
    pub members: u64,
    /// Members whose address has an account here: they are invited.
    pub invitations: u64,
    /// Members who are neither: another one has the same address, or too many would be invited.
    pub members_left_out: u64,
    /// API keys, which wait to be confirmed.
    pub api_keys: u64,
    /// Entries of audit trails.
    pub audit_entries: u64,
}

impl From<ImportCounts> for ImportedCounts {
    fn from(counts: ImportCounts) -> Self {
        let ImportCounts { roles, members, invitations, members_left_out, api_keys, audit_entries } = counts;
        Self { roles, members, invitations, members_left_out, api_keys, audit_entries }
    }
}

/// The member that an operation changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedMember {
    /// The account: 24 hex digits.
    #[schema(value_type = String)]
    pub account_id: tenantry_domain::ids::AccountId,
    /// The role from then on; null if the account is no member any more.
    #[schema(required = true)]
    pub role: Option<String>,
}

impl From<MemberChange> for ChangedMember {
    fn from(change: MemberChange) -> Self {
        Self {
            account_id: change.account_id,
            role: change.role.as_ref().map(Role::as_str).map(str::to_owned),
        }
    }
}

/// The progress of an operation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Progress {
    /// Steps done.
    pub done: u32,
    /// Steps in all.
    pub total: u32,
}

/// Why an operation failed and was rolled back.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationError {
    /// The stable name of the problem.
    pub code: &'static str,
    /// What it means.
    pub detail: &'static str,
}

/// Who asked for an operation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActorBody)]
pub struct ActorResponse {
    /// `anonymous`, `account`, `api_key`, `operator` or `system`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The account or key, if it was one.
    #[schema(required = true)]
    pub id: Option<String>,
}

impl From<Actor> for ActorResponse {
    fn from(actor: Actor) -> Self {
        let (kind, id) = match actor {
            Actor::Anonymous => ("anonymous", None),
            Actor::Account(id) => ("account", Some(id.to_string())),
            Actor::ApiKey(id) => ("api_key", Some(id.to_string())),
            Actor::Operator => ("operator", None),
            Actor::System => ("system", None),
        };
        Self { kind, id }
    }
}

impl From<&OperationRecord> for OperationResponse {
    fn from(record: &OperationRecord) -> Self {
        Self {
            id: record.id,
            organization_id: record.organization_id,
            kind: record.kind.as_str(),
            state: record.state.as_str(),
            progress: Progress { done: record.done, total: record.steps },
            error: record.refused.map(|refusal| OperationError {
                code: refusal.code().code(),
                detail: refusal.code().title(),
            }),
            actor: record.actor.into(),
            documents_migrated: record.documents,
            member: record.member.map(ChangedMember::from),
            role: record.role.map(|name| name.to_string()),
            imported: record.imported.map(ImportedCounts::from),
            started_at: record.started_at,
            finished_at: record.finished_at,
        }
    }
}

/// A page of the log of operations.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationPage {
    /// Newest first.
    pub items: Vec<OperationResponse>,
    /// Pass it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// A response with a JSON body.
pub fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    // Longer than an organization, so that one allocation is enough for most responses.
    let mut bytes = Vec::with_capacity(512);
    match serde_json::to_writer(&mut bytes, body) {
        Ok(()) => json_text(status, bytes),
        Err(error) => super::problem::ApiError(tenantry_domain::Error::internal(error)).into_response(),
    }
}

/// A response with a JSON body and an `ETag` that is computed from it, for a resource without a version.
pub fn tagged<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let mut response = json(status, body);
    if let Some(tag) = shown_etag(body) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// As [`tagged`], or 304 if the caller already has the body.
pub fn tagged_unless<T: Serialize>(known: &IfNoneMatchBody, body: &T) -> Response {
    let mut response = tagged(StatusCode::OK, body);
    if known.has(body) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    response
}

/// A response with a body that is JSON already.
pub fn json_text(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    // The middleware would add these. Starting from a copy of them is cheapest.
    *response.headers_mut() = security::headers();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Adds the path of the resource as `Location`.
pub fn with_location(mut response: Response, path: &str) -> Response {
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}

/// A response with an organization and its `ETag`.
pub fn organization(status: StatusCode, view: &OrganizationView) -> Response {
    with_etag(json(status, &OrganizationResponse::new(view)), view)
}

/// Adds the `ETag` of the organization in `response`.
pub fn with_etag(mut response: Response, view: &OrganizationView) -> Response {
    if let Some(tag) = etag(view.tag()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Adds the path of the operation as `Operation-Location`.
pub fn with_operation(mut response: Response, record: &OperationRecord) -> Response {
    if let Ok(value) = HeaderValue::from_str(&format!("/v1/operations/{}", record.id)) {
        response.headers_mut().insert(OPERATION_LOCATION, value);
    }
    response
}

/// The response to a change that is still running: 202, and where to watch it.
pub fn accepted(record: &OperationRecord) -> Response {
    let mut response = with_operation(json(StatusCode::ACCEPTED, &OperationResponse::from(record)), record);
    if let Some(location) = response.headers().get(OPERATION_LOCATION).cloned() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

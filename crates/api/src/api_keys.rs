//! API keys: the service keys of the installation, and the keys of one organization.
//!
//! A key's text is in the response that makes or rotates it, and nowhere else. These requests take no
//! `Idempotency-Key`: a response that is kept would keep the key.

use super::auth::{RequireCaller, RequireOperator};
use super::conditional::{IfMatchBody, IfNoneMatchBody};
use super::cursor::Cursor;
use super::extract::{JsonBody, QueryFields};
use super::fields::Fields;
use super::http::Http;
use super::key_lifetime::{parse_lifetime, parse_overlap};
use super::openapi::Access;
use super::path_params::{ApiKeyPath, OrganizationPath};
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{json, tagged_unless, with_location};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::ErrorCode;
use tenantry_domain::api_key::{ApiKey, ApiKeyOwner};
use tenantry_domain::app::api_keys::{IssuedApiKey, KeyAccess, KeyName, NewApiKey};
use tenantry_domain::app::auth::OrganizationRef;
use tenantry_domain::ids::{AccountId, ApiKeyId, OrganizationId};
use tenantry_domain::limits::KEY_ORGANIZATIONS_MAX;
use tenantry_domain::page::PageLimit;
use tenantry_domain::permission::{ORGANIZATION_KEY_PERMISSIONS, Permission, SERVICE_KEY_PERMISSIONS};
use utoipa::ToSchema;

/// A key, without its text.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyResponse {
    /// 24 hex digits; also a part of the key's text.
    #[schema(value_type = String)]
    pub id: ApiKeyId,
    /// What people call it.
    #[schema(example = "billing backend")]
    pub name: String,
    /// `service` or `organization`.
    pub kind: &'static str,
    /// What it allows.
    #[schema(example = json!(["tokens:issue", "documents:read", "documents:write"]))]
    pub permissions: Vec<&'static str>,
    /// The organizations that a service key is limited to; null means all. For a key of an organization, that one.
    #[schema(required = true, value_type = Option<Vec<String>>)]
    pub organizations: Option<Vec<OrganizationId>>,
    /// The account that made it; null for the operator.
    #[schema(required = true, value_type = Option<String>)]
    pub made_by: Option<AccountId>,
    /// When it was made, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ends, RFC 3339 in UTC; null means never.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was last used, RFC 3339 in UTC, about two minutes exact; null means never.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// How often it was rotated.
    pub rotations: u32,
    /// Whether it is as good as its secret. A key that an archive brought along opens nothing before it is confirmed.
    pub confirmed: bool,
    /// Until when the secret before the last rotation is accepted, RFC 3339 in UTC; null means it is not.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub old_secret_until: Option<Timestamp>,
}

impl From<&ApiKey> for ApiKeyResponse {
    fn from(key: &ApiKey) -> Self {
        let (kind, organizations) = match key.owner {
            ApiKeyOwner::Installation => ("service", key.organizations.clone()),
            ApiKeyOwner::Organization(id) => ("organization", Some(vec![id])),
        };
        Self {
            id: key.id,
            name: key.name.clone(),
            kind,
            permissions: key.permissions.iter().map(Permission::as_str).collect(),
            organizations,
            made_by: key.maker.as_ref().map(|maker| maker.account_id),
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            rotations: key.generation,
            confirmed: key.unconfirmed.is_none(),
            old_secret_until: key.replaced.as_ref().map(|replaced| replaced.accepted_until),
        }
    }
}

/// A key with its text, which is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedApiKey)]
pub struct IssuedApiKeyResponse<'a> {
    /// Send it as `Authorization: Bearer <key>`. It is not shown again.
    #[schema(example = "tnt_service_…")]
    pub key: &'a str,
    /// All else about it.
    #[serde(flatten)]
    pub about: ApiKeyResponse,
}

/// A slice of the list of keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKeyPage {
    /// The oldest first.
    pub items: Vec<ApiKeyResponse>,
    /// Pass it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

request_fields! {
    /// Which keys to list.
    pub struct ApiKeyListQuery in query {
        /// Items of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the page before.
        pub cursor: Option<ApiKeyId> = optional(|text| Cursor::parse(text)?.api_key()),
    }
}

request_fields! {
    /// What makes a service key.
    #[schema(as = NewServiceKey)]
    pub struct NewServiceKeyRequest in body {
        /// What people call it: 1 to 100 characters.
        #[schema(example = "billing backend")]
        pub name: KeyName = required(KeyName::parse),
        /// What it allows. `GET /v1/roles` explains each.
        #[schema(example = json!(["tokens:issue", "documents:read", "documents:write"]))]
        pub permissions: Vec<Permission> = required_list(|text| SERVICE_KEY_PERMISSIONS.parse_member(text)),
        /// The ids of the organizations that it is limited to, 1 to 1,000 that exist; absent means all, also later ones.
        pub organizations: Option<Vec<OrganizationId>> = list(str::parse),
        /// Seconds until it ends, 60 to 315,360,000 (ten years); absent means never.
        #[schema(example = 31_536_000)]
        pub expires_in: Option<Duration> = numeric(parse_lifetime),
    }
}

request_fields! {
    /// What makes a key of an organization.
    #[schema(as = NewOrganizationKey)]
    pub struct NewOrganizationKeyRequest in body {
        /// What people call it: 1 to 100 characters.
        #[schema(example = "nightly report")]
        pub name: KeyName = required(KeyName::parse),
        /// What it allows: no more than its maker's role does.
        #[schema(example = json!(["documents:read"]))]
        pub permissions: Vec<Permission> = required_list(|text| ORGANIZATION_KEY_PERMISSIONS.parse_member(text)),
        /// Seconds until it ends, 60 to 315,360,000 (ten years); absent means never.
        #[schema(example = 31_536_000)]
        pub expires_in: Option<Duration> = numeric(parse_lifetime),
    }
}

request_fields! {
    /// How to rotate a key.
    #[schema(as = RotateKey)]
    pub struct RotateKeyRequest in body {
        /// Seconds for which the old secret is still accepted, 0 to 604,800 (seven days); 0 by default.
        #[schema(example = 3600)]
        pub overlap: Option<Duration> = numeric(parse_overlap),
    }
}

/// Make a service key.
///
/// For the backend of a product. The key opens no documents itself: with `tokens:issue` it exchanges itself for a token
/// of one organization (`POST /v1/organizations/{organization}/tokens`), which carries no more than the key. Its text is
/// shown in this response alone; the service keeps only a hash of it.
#[utoipa::path(post, path = "/v1/keys", operation_id = "createServiceKey", tag = "Keys",
    request_body = NewServiceKeyRequest,
    responses((status = 201, description = "The key.", body = IssuedApiKeyResponse<'static>)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[ErrorCode::TooManyKeys])))))]
pub async fn create_service_key(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let access = http.app.api_keys.manage_service_keys(&operator);
    let new = body.fields()?.parse(|fields| {
        let new = NewServiceKeyRequest::from_fields(fields)?;
        if let Some(listed) = &new.organizations {
            check_count(fields, listed.len());
        }
        Some(new)
    })?;
    let new = NewApiKey {
        name: new.name,
        permissions: new.permissions,
        organizations: new.organizations,
        lifetime: new.expires_in,
    };
    let issued = http.app.api_keys.create_key(&access, new).await?;
    Ok(with_location(shown_once(StatusCode::CREATED, &issued), &format!("/v1/keys/{}", issued.key.id)))
}

/// Refuses a key that would be good for no organization, or a list that is too long to check.
fn check_count(fields: &mut Fields, organizations: usize) {
    match organizations {
        0 => fields.refuse(
            "organizations",
            "Must not be empty: such a key is good for no organization. Leave it out to mean all.",
        ),
        1..=KEY_ORGANIZATIONS_MAX => {}
        _ => fields.refuse("organizations", format!("Has more than {KEY_ORGANIZATIONS_MAX} organizations.")),
    }
}

/// List the service keys.
///
/// The oldest first, a page at a time.
#[utoipa::path(get, path = "/v1/keys", operation_id = "listServiceKeys", tag = "Keys",
    params(ApiKeyListQuery),
    responses((status = 200, description = "A page of keys.", body = ApiKeyPage)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[ErrorCode::InvalidInput])))))]
pub async fn list_service_keys(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let query = query.parse(ApiKeyListQuery::from_fields)?;
    page(&http, &http.app.api_keys.manage_service_keys(&operator), query).await
}

/// Get a service key.
///
/// All about it but its text.
#[utoipa::path(get, path = "/v1/keys/{key}", operation_id = "getServiceKey", tag = "Keys",
    params(ApiKeyPath, IfNoneMatchBody),
    responses(
        (status = 200, description = "The key.", body = ApiKeyResponse),
        (status = 304, description = "You have it.")),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[ErrorCode::KeyNotFound])))))]
pub async fn get_service_key(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    ApiKeyPath(id): ApiKeyPath,
    known: IfNoneMatchBody,
) -> Result<Response, ApiError> {
    one(&http, &http.app.api_keys.manage_service_keys(&operator), id, &known).await
}

/// Rotate a service key.
///
/// Gives it a new secret, shown in this response alone. The old one, and the tokens it was exchanged for, end at once or
/// after `overlap` seconds.
#[utoipa::path(post, path = "/v1/keys/{key}/rotate", operation_id = "rotateServiceKey", tag = "Keys",
    params(ApiKeyPath),
    request_body = Option<RotateKeyRequest>,
    responses((status = 200, description = "The key with its new secret.", body = IssuedApiKeyResponse<'static>)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[ErrorCode::KeyNotFound])))))]
pub async fn rotate_service_key(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    ApiKeyPath(id): ApiKeyPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    rotate(&http, &http.app.api_keys.manage_service_keys(&operator), id, body).await
}

/// Revoke a service key.
///
/// It ends at once, with every token it was exchanged for. Other instances of the service follow within a second.
#[utoipa::path(delete, path = "/v1/keys/{key}", operation_id = "revokeServiceKey", tag = "Keys",
    params(ApiKeyPath, IfMatchBody),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        ErrorCode::KeyNotFound, ErrorCode::VersionMismatch
    ])))))]
pub async fn revoke_service_key(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    ApiKeyPath(id): ApiKeyPath,
    expected: IfMatchBody,
) -> Result<Response, ApiError> {
    revoke(&http, &http.app.api_keys.manage_service_keys(&operator), id, &expected).await
}

/// Make an API key of an organization.
///
/// For a program that works for one organization. Admins and owners, after a recent sign-in. The key never allows more
/// than its maker's role, and ends when its maker leaves or gets a lower role, and when the organization is deleted. Its
/// text is shown in this response alone.
#[utoipa::path(post, path = "/v1/organizations/{organization}/keys", operation_id = "createOrganizationKey",
    tag = "Keys",
    params(OrganizationPath),
    request_body = NewOrganizationKeyRequest,
    responses((status = 201, description = "The key.", body = IssuedApiKeyResponse<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::KeysWrite).refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::RoleInsufficient, ErrorCode::SessionRequired,
        ErrorCode::ReauthenticationRequired, ErrorCode::TooManyKeys
    ])))))]
pub async fn create_organization_key(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let organization = OrganizationRef::parse(&which)?;
    let access = http.app.api_keys.manage_organization_keys(&caller, &organization).await?;
    let new = body.fields()?.parse(NewOrganizationKeyRequest::from_fields)?;
    let new = NewApiKey {
        name: new.name,
        permissions: new.permissions,
        organizations: None,
        lifetime: new.expires_in,
    };
    let issued = http.app.api_keys.create_key(&access, new).await?;
    let path = format!("/v1/organizations/{which}/keys/{}", issued.key.id);
    Ok(with_location(shown_once(StatusCode::CREATED, &issued), &path))
}

/// List the API keys of an organization.
///
/// Its admins and owners see them, and the operator. The oldest first, a page at a time.
#[utoipa::path(get, path = "/v1/organizations/{organization}/keys", operation_id = "listOrganizationKeys",
    tag = "Keys",
    params(OrganizationPath, ApiKeyListQuery),
    responses((status = 200, description = "A page of keys.", body = ApiKeyPage)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::KeysRead).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::OrganizationNotFound, ErrorCode::RoleInsufficient,
        ErrorCode::SessionRequired
    ])))))]
pub async fn list_organization_keys(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let organization = OrganizationRef::parse(&which)?;
    let access = http.app.api_keys.read_organization_keys(&caller, &organization).await?;
    page(&http, &access, query.parse(ApiKeyListQuery::from_fields)?).await
}

/// Get an API key of an organization.
///
/// All about it but its text.
#[utoipa::path(get, path = "/v1/organizations/{organization}/keys/{key}", operation_id = "getOrganizationKey",
    tag = "Keys",
    params(OrganizationPath, ApiKeyPath, IfNoneMatchBody),
    responses(
        (status = 200, description = "The key.", body = ApiKeyResponse),
        (status = 304, description = "You have it.")),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::KeysRead).refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::RoleInsufficient, ErrorCode::SessionRequired,
        ErrorCode::KeyNotFound
    ])))))]
pub async fn get_organization_key(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    ApiKeyPath(id): ApiKeyPath,
    known: IfNoneMatchBody,
) -> Result<Response, ApiError> {
    let organization = OrganizationRef::parse(&which)?;
    let access = http.app.api_keys.read_organization_keys(&caller, &organization).await?;
    one(&http, &access, id, &known).await
}

/// Rotate an API key of an organization.
///
/// Gives it a new secret, shown in this response alone. The old one ends at once or after `overlap` seconds. Only for a
/// key that carries no more than the caller's role.
#[utoipa::path(post, path = "/v1/organizations/{organization}/keys/{key}/rotate",
    operation_id = "rotateOrganizationKey", tag = "Keys",
    params(OrganizationPath, ApiKeyPath),
    request_body = Option<RotateKeyRequest>,
    responses((status = 200, description = "The key with its new secret.", body = IssuedApiKeyResponse<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::KeysWrite).refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::RoleInsufficient, ErrorCode::SessionRequired,
        ErrorCode::ReauthenticationRequired, ErrorCode::KeyNotFound
    ])))))]
pub async fn rotate_organization_key(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    ApiKeyPath(id): ApiKeyPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let organization = OrganizationRef::parse(&which)?;
    let access = http.app.api_keys.manage_organization_keys(&caller, &organization).await?;
    rotate(&http, &access, id, body).await
}

/// Confirm an API key of an organization.
///
/// Makes a key good again that an archive brought along: the secret that it had before. Whoever confirms it answers for it
/// from then on, as if they had made it. Only for a key that carries no more than the caller's role. A key that needs no
/// confirmation stays as it is.
#[utoipa::path(post, path = "/v1/organizations/{organization}/keys/{key}/confirm",
    operation_id = "confirmOrganizationKey", tag = "Keys",
    params(OrganizationPath, ApiKeyPath),
    responses((status = 200, description = "The key.", body = ApiKeyResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::KeysWrite).refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::RoleInsufficient, ErrorCode::SessionRequired,
        ErrorCode::ReauthenticationRequired, ErrorCode::KeyNotFound
    ])))))]
pub async fn confirm_organization_key(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    ApiKeyPath(id): ApiKeyPath,
) -> Result<Response, ApiError> {
    let organization = OrganizationRef::parse(&which)?;
    let access = http.app.api_keys.manage_organization_keys(&caller, &organization).await?;
    let key = http.app.api_keys.confirm_key(&access, id).await?;
    Ok(json(StatusCode::OK, &ApiKeyResponse::from(&*key)))
}

/// Revoke an API key of an organization.
///
/// It ends at once. Its admins and owners may do so, after a recent sign-in, and the operator.
#[utoipa::path(delete, path = "/v1/organizations/{organization}/keys/{key}",
    operation_id = "revokeOrganizationKey", tag = "Keys",
    params(OrganizationPath, ApiKeyPath, IfMatchBody),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::KeysWrite).refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::RoleInsufficient, ErrorCode::SessionRequired,
        ErrorCode::ReauthenticationRequired, ErrorCode::KeyNotFound, ErrorCode::VersionMismatch
    ])))))]
pub async fn revoke_organization_key(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    ApiKeyPath(id): ApiKeyPath,
    expected: IfMatchBody,
) -> Result<Response, ApiError> {
    let organization = OrganizationRef::parse(&which)?;
    let access = http.app.api_keys.manage_organization_keys(&caller, &organization).await?;
    revoke(&http, &access, id, &expected).await
}

async fn page(http: &Http, access: &KeyAccess, query: ApiKeyListQuery) -> Result<Response, ApiError> {
    let page = http.app.api_keys.list_keys(access, query.cursor, query.limit).await?;
    let body = ApiKeyPage {
        items: page.items.iter().map(|key| ApiKeyResponse::from(&**key)).collect(),
        next_cursor: page.next.map(|id| Cursor::of_api_key(id).to_string()),
    };
    Ok(json(StatusCode::OK, &body))
}

async fn one(
    http: &Http,
    access: &KeyAccess,
    id: ApiKeyId,
    known: &IfNoneMatchBody,
) -> Result<Response, ApiError> {
    let key = http.app.api_keys.get_key(access, id).await?;
    Ok(tagged_unless(known, &ApiKeyResponse::from(&*key)))
}

async fn rotate(http: &Http, access: &KeyAccess, id: ApiKeyId, body: JsonBody) -> Result<Response, ApiError> {
    let RotateKeyRequest { overlap } = body.optional_fields()?.parse(RotateKeyRequest::from_fields)?;
    let issued = http.app.api_keys.rotate_key(access, id, overlap.unwrap_or_default()).await?;
    Ok(shown_once(StatusCode::OK, &issued))
}

async fn revoke(
    http: &Http,
    access: &KeyAccess,
    id: ApiKeyId,
    expected: &IfMatchBody,
) -> Result<Response, ApiError> {
    if !expected.is_any() {
        expected.check(&ApiKeyResponse::from(&*http.app.api_keys.get_key(access, id).await?))?;
    }
    http.app.api_keys.revoke_key(access, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn shown_once(status: StatusCode, issued: &IssuedApiKey) -> Response {
    let about = ApiKeyResponse::from(&*issued.key);
    json(status, &IssuedApiKeyResponse { key: issued.text.as_str(), about })
}

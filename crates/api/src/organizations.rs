//! Organizations in the v1 API: any of them for the operator, their own for admins.

use super::auth::{RequireCaller, RequireOperator, RequireOperatorOrCaller, RequireOperatorOrService};
use super::conditional::IfMatch;
use super::cursor::Cursor;
use super::extract::{ClientAddress, JsonBody, QueryFields};
use super::http::Http;
use super::idempotency::{self, IdempotencyHeader, IdempotentRequest, Replay, Scope};
use super::openapi::{Access, REPEATABLE, VERSIONED};
use super::path_params::{OrganizationIdPath, OrganizationPath};
use super::problem::ApiError;
use super::quota::QuotaPatch;
use super::request_fields::request_fields;
use super::responses::{
    OperationResponse, OrganizationPage, OrganizationResponse, accepted, json, organization, with_location,
    with_operation,
};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::fmt::Display;
use std::sync::Arc;
use tenantry_domain::app::OrganizationView;
use tenantry_domain::app::auth::{AccountPrincipal, Operator, OrganizationRef, Principal};
use tenantry_domain::app::operations::Outcome;
use tenantry_domain::app::organizations::{NewOrganization, NewOwner, OrganizationChange};
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::name::{Identifier, OrganizationName};
use tenantry_domain::organization::{Placement, QuotaChange, Status};
use tenantry_domain::page::PageLimit;
use tenantry_domain::password::policy::NewPassword;
use tenantry_domain::permission::Permission;
use tenantry_domain::store::{OrganizationCursor, OrganizationQuery};
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::ToSchema;

request_fields! {
    /// Which organizations to list.
    pub struct OrganizationListQuery in query
    reported as [limit, cursor, status, show_deleted, name_prefix] {
        /// Items of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the previous page.
        pub cursor: Option<OrganizationCursor> = optional(|text| Cursor::parse(text)?.organization()),
        /// Only organizations whose name begins with this text. Case, spaces and punctuation are ignored.
        pub name_prefix: Option<String> = optional(|text| {
            Identifier::prefix_of(text).ok_or("Must contain a letter or a digit.")
        }),
        /// Only organizations with this status: `provisioning`, `active`, `suspended`, `deleted` or `purging`.
        pub status: Option<Status> = optional(parse_status),
        /// `true` includes deleted organizations.
        pub show_deleted: bool = flag or default,
    }
}

/// List organizations.
///
/// All of them, ordered by identifier, a page at a time. Deleted ones are left out unless you ask for them.
#[utoipa::path(get, path = "/v1/organizations", operation_id = "listOrganizations", tag = "Organizations",
    params(OrganizationListQuery),
    responses((status = 200, description = "A page of organizations.", body = OrganizationPage<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrService.needs(Permission::OrganizationsRead).refuses(&[ErrorCode::InvalidInput])))))]
pub async fn list_organizations(
    State(http): State<Arc<Http>>,
    RequireOperatorOrService(caller): RequireOperatorOrService,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let OrganizationListQuery { limit, cursor, name_prefix, status, show_deleted } =
        query.parse(OrganizationListQuery::from_fields)?;
    let wanted = OrganizationQuery { after: cursor, status, show_deleted, identifier_prefix: name_prefix };
    let page =
        http.app.organizations.list_organizations(http.app.auth.allow_list(&caller)?, &wanted, limit).await?;
    let body = OrganizationPage {
        items: page.items.iter().map(OrganizationResponse::new).collect(),
        next_cursor: page.next.map(|cursor| Cursor::of_organization(&cursor).to_string()),
    };
    Ok(json(StatusCode::OK, &body))
}

fn parse_status(text: &str) -> Result<Status, String> {
    let found = Status::ALL.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| {
        let names: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        format!("Must be one of {}.", names.join(", "))
    })
}

request_fields! {
    /// The organization to create.
    #[schema(as = NewOrganizationBody)]
    pub struct CreateOrganizationRequest(http: &Http, is_own: bool) in body {
        /// 2 to 120 characters. Names are compared without case, spaces and punctuation.
        #[schema(example = "Tech Innovations Corp")]
        pub organization_name: OrganizationName = required(OrganizationName::parse),
        /// The address its owner signs in with. Required, unless the owner is the account that is signed in: then leave
        /// it out.
        #[schema(example = "admin@techcorp.com")]
        pub email: Option<EmailAddress> = required_if(!is_own, |text| unless_own(is_own, EmailAddress::parse(text))),
        /// At least 8 characters (setting `PASSWORD_MIN_LENGTH`), at most 256; not one of the most common. Required, unless
        /// the owner is the account that is signed in: then leave it out.
        #[schema(example = "SecurePassword123")]
        pub password: Option<NewPassword> = required_if(!is_own, |text| unless_own(is_own, http.new_password(text))),
        /// Where its data goes, if not where the settings say: `database` (the only choice on the embedded engine),
        /// `collection` or `shared`.
        #[schema(example = "database")]
        pub placement: Option<Placement> = optional(str::parse),
    }
}

/// What a signed-in account has is not given again.
fn unless_own<T, E: Display>(is_own: bool, parsed: Result<T, E>) -> Result<T, String> {
    if is_own {
        return Err("Leave it out: the owner is the account that is signed in.".to_owned());
    }
    parsed.map_err(|detail| detail.to_string())
}

impl CreateOrganizationRequest {
    /// The organization to create, for the account if it is one that asks.
    fn into_new(
        self,
        id: Option<OrganizationId>,
        account: Option<Box<AccountPrincipal>>,
    ) -> Result<NewOrganization> {
        let owner = match (account, self.email, self.password) {
            (Some(account), ..) => NewOwner::Account(account),
            (None, Some(email), Some(password)) => NewOwner::Person(email, password),
            _ => return Err(Error::internal("an organization without an owner")),
        };
        Ok(NewOrganization { id, name: self.organization_name, owner, placement: self.placement })
    }
}

/// Create an organization.
///
/// The operator and service keys create one with an account for its owner. A person who is signed in creates a further one
/// of their own, with the name alone, and gets tokens of it at `POST /v1/auth/switch`; no permission is needed for
/// that. If it takes longer than a few seconds, the response is 202 and `Location` names the operation.
#[utoipa::path(post, path = "/v1/organizations", operation_id = "createOrganization", tag = "Organizations",
    params(IdempotencyHeader),
    request_body = CreateOrganizationRequest,
    responses(
        (status = 201, description = "The organization.", body = OrganizationResponse<'static>),
        (status = 202, description = "It is still being made; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrAccount.needs(Permission::OrganizationsWrite).refuses(&[
        // `organization_not_found`: it was made, and purged before the answer.
        ErrorCode::NameTaken, ErrorCode::EmailTaken, ErrorCode::CapacityReached, ErrorCode::OrganizationNotFound,
        ErrorCode::SignInBusy, ErrorCode::TooManyOrganizations, ErrorCode::TooManyAttempts,
        ErrorCode::SessionRequired
    ]).and(&REPEATABLE)))))]
pub async fn create_organization(
    State(http): State<Arc<Http>>,
    ClientAddress(network): ClientAddress,
    RequireOperatorOrCaller(caller): RequireOperatorOrCaller,
    key: IdempotencyHeader,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let signup = http.app.auth.allow_create(&caller)?;
    let account = match caller {
        Principal::Member(member) => Some(member),
        _ => None,
    };
    let work = Arc::clone(&http);
    let content = body.0.clone();
    let request = IdempotentRequest { route: "POST /v1/organizations", body: &content };
    let holder = http.app.idempotency.key_holder_of_signup(signup, network);
    let scope = Scope { name: &signup.scope(), holder };
    idempotency::once(&http, key, scope, request, Replay::Stored, move |id| async move {
        let is_own = account.is_some();
        let new =
            body.fields()?.parse(|fields| CreateOrganizationRequest::from_fields(fields, &work, is_own))?;
        if is_own {
            work.app.rate_limiter.count_create(network).await?;
        }
        let outcome = work.app.organizations.create_organization(signup, new.into_new(id, account)?).await?;
        let location = format!("/v1/organizations/{}", outcome.record().organization_id);
        let response = answer(StatusCode::CREATED, &outcome);
        let is_made = response.status() == StatusCode::CREATED;
        Ok(if is_made { with_location(response, &location) } else { response })
    })
    .await
}

/// Get an organization.
///
/// The operator gets any organization, also a deleted one by its id, and so does a service key with
/// `organizations:read`; an account, an API key and an exchanged token get their own.
#[utoipa::path(get, path = "/v1/organizations/{organization}", operation_id = "getOrganization",
    tag = "Organizations",
    params(OrganizationPath),
    responses((status = 200, description = "The organization.", body = OrganizationResponse<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::OrganizationsRead).refuses(&[ErrorCode::OrganizationNotFound])))))]
pub async fn get_organization(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
) -> Result<Response, ApiError> {
    let view = http.app.organizations.get_organization(&caller, &OrganizationRef::parse(&which)?).await?;
    Ok(organization(StatusCode::OK, &view))
}

request_fields! {
    /// What to change; absent and null members stay as they are.
    pub struct OrganizationPatch in body {
        /// Another name, or another spelling. The data follows.
        pub organization_name: Option<OrganizationName> = optional(OrganizationName::parse),
        /// Whether a delete is refused.
        pub delete_protection: Option<bool> = flag,
        /// Whether a purge is refused. Only the operator may change it.
        pub legal_hold: Option<bool> = flag,
        /// How much it may store at most. Only the operator may change it.
        pub quota: Option<QuotaPatch> = object(QuotaPatch),
    }
}

/// Rename an organization or change its settings.
///
/// A JSON merge patch: members that are absent or null stay as they are. In `quota`, null removes a limit.
/// The operator and service keys with `organizations:write` change any organization, an admin their own.
#[utoipa::path(patch, path = "/v1/organizations/{organization}", operation_id = "patchOrganization",
    tag = "Organizations",
    params(OrganizationPath, IfMatch),
    request_body(content(
        (OrganizationPatch = "application/merge-patch+json"), (OrganizationPatch = "application/json"))),
    responses(
        (status = 200, description = "The organization.", body = OrganizationResponse<'static>),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::OrganizationsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OperatorOnly, ErrorCode::OrganizationNotFound,
        ErrorCode::NameTaken, ErrorCode::OrganizationNotActive
    ]).and(&VERSIONED)))))]
pub async fn change_organization(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    IfMatch(expected): IfMatch,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let managed = http.app.auth.manage(&caller, &OrganizationRef::parse(&which)?).await?;
    let patch = body.fields()?.parse(OrganizationPatch::from_fields)?;
    let change = OrganizationChange {
        name: patch.organization_name,
        delete_protection: patch.delete_protection,
        legal_hold: patch.legal_hold,
        credentials: None,
        quota: patch.quota.map(QuotaChange::from),
    };
    let is_operators = change.legal_hold.is_some() || change.quota.is_some();
    if is_operators && !matches!(caller, Principal::Operator(_)) {
        return Err(Error::new(ErrorCode::OperatorOnly)
            .detail("Only the operator sets a legal hold or a quota.")
            .into());
    }
    let outcome = http.app.organizations.change_organization(&managed, &expected, change).await?;
    Ok(answer(StatusCode::OK, &outcome))
}

request_fields! {
    /// How to delete an organization.
    pub struct PurgeQuery in query {
        /// `true` purges it at once instead of keeping it.
        pub purge: bool = flag or default,
    }
}

/// Delete an organization.
///
/// It is kept until `purge_at`; until then the operator can restore it. The operator deletes any
/// organization, an admin their own.
#[utoipa::path(delete, path = "/v1/organizations/{organization}", operation_id = "deleteOrganization",
    tag = "Organizations",
    params(OrganizationPath, PurgeQuery, IfMatch),
    responses(
        (status = 200, description = "The organization, deleted.", body = OrganizationResponse<'static>),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::OrganizationsWrite).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound,
        ErrorCode::DeleteProtected, ErrorCode::LegalHold, ErrorCode::OrganizationNotActive
    ]).and(&VERSIONED)))))]
pub async fn delete_organization(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    IfMatch(expected): IfMatch,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let managed = http.app.auth.manage(&caller, &OrganizationRef::parse(&which)?).await?;
    let PurgeQuery { purge } = query.parse(PurgeQuery::from_fields)?;
    let outcome = http.app.organizations.delete_organization(&managed, &expected, purge).await?;
    Ok(answer(StatusCode::OK, &outcome))
}

request_fields! {
    /// The name and the owner's address of a restored organization.
    #[schema(as = RestoreOrganization)]
    pub struct RestoreOrganizationRequest in body {
        /// Another name, if the old one is taken.
        pub organization_name: Option<OrganizationName> = optional(OrganizationName::parse),
        /// Another address for its owner, if the old one is taken. The operator's alone.
        pub admin_email: Option<EmailAddress> = optional(EmailAddress::parse),
    }
}

/// Restore a deleted organization.
///
/// Brings it back with its members and data. If its name or the address of its owner is taken, send
/// others.
#[utoipa::path(post, path = "/v1/organizations/{organization}/restore", operation_id = "restoreOrganization",
    tag = "Organizations",
    params(OrganizationIdPath, IfMatch),
    request_body = Option<RestoreOrganizationRequest>,
    responses(
        (status = 200, description = "The organization.", body = OrganizationResponse<'static>),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrService.needs(Permission::OrganizationsWrite).refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::OrganizationNotDeleted, ErrorCode::NameTaken,
        ErrorCode::EmailTaken
    ]).and(&VERSIONED)))))]
pub async fn restore_organization(
    State(http): State<Arc<Http>>,
    RequireOperatorOrService(caller): RequireOperatorOrService,
    OrganizationIdPath(which): OrganizationIdPath,
    IfMatch(expected): IfMatch,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let access = http.app.auth.administer(&caller, &OrganizationRef::parse(&which)?).await?;
    let RestoreOrganizationRequest { organization_name, admin_email } =
        body.optional_fields()?.parse(RestoreOrganizationRequest::from_fields)?;
    // The address is that of a person, who may belong to other organizations, too.
    if admin_email.is_some() && !matches!(caller, Principal::Operator(_)) {
        return Err(Error::new(ErrorCode::OperatorOnly)
            .detail("Only the operator gives the owner another address.")
            .into());
    }
    let restoring =
        http.app.organizations.restore_organization(&access, &expected, organization_name, admin_email);
    let outcome = restoring.await?;
    Ok(answer(StatusCode::OK, &outcome))
}

/// Suspend an organization.
///
/// None of its members can sign in or reach its data until it is reactivated. Their tokens are refused from now on.
#[utoipa::path(post, path = "/v1/organizations/{organization}/suspend", operation_id = "suspendOrganization",
    tag = "Organizations",
    params(OrganizationPath, IfMatch),
    responses(
        (status = 200, description = "The organization.", body = OrganizationResponse<'static>),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrService.needs(Permission::OrganizationsWrite).refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::OrganizationNotActive
    ]).and(&VERSIONED)))))]
pub async fn suspend_organization(
    State(http): State<Arc<Http>>,
    RequireOperatorOrService(caller): RequireOperatorOrService,
    OrganizationPath(which): OrganizationPath,
    IfMatch(expected): IfMatch,
) -> Result<Response, ApiError> {
    let access = http.app.auth.administer(&caller, &OrganizationRef::parse(&which)?).await?;
    let outcome = http.app.organizations.suspend_organization(&access, &expected).await?;
    Ok(answer(StatusCode::OK, &outcome))
}

/// The route of a compaction.
pub const COMPACT: &str = "/v1/organizations/{organization}/compact";

/// What a compaction did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Compaction)]
pub struct CompactionResponse {
    /// Bytes that the organization took on disk before.
    pub disk_bytes_before: u64,
    /// Bytes that it takes now.
    pub disk_bytes: u64,
}

/// Give an organization's free space back to the file system.
///
/// What was deleted leaves room in the files for later documents. On the embedded engine most of it is given back in the
/// background; this gives all of it back, and writes to this organization wait meanwhile. On MongoDB it runs `compact` on
/// each of the organization's collections. It may take minutes, so `REQUEST_TIMEOUT` does not apply, and it goes on if the
/// client hangs up.
#[utoipa::path(post, path = "/v1/organizations/{organization}/compact", operation_id = "compactOrganization",
    tag = "Organizations",
    params(OrganizationPath),
    responses((status = 200, description = "What it took and takes.", body = CompactionResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrService.needs(Permission::OrganizationsWrite).refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::OrganizationNotActive, ErrorCode::CompactionUnsupported
    ])))))]
pub async fn compact_organization(
    State(http): State<Arc<Http>>,
    RequireOperatorOrService(caller): RequireOperatorOrService,
    OrganizationPath(which): OrganizationPath,
) -> Result<Response, ApiError> {
    let access = http.app.auth.administer(&caller, &OrganizationRef::parse(&which)?).await?;
    let done = http.app.organizations.compact_organization(&access).await?;
    Ok(json(StatusCode::OK, &CompactionResponse { disk_bytes_before: done.before, disk_bytes: done.after }))
}

/// Reactivate a suspended organization.
///
/// Ends the suspension. Members have to sign in again.
#[utoipa::path(post, path = "/v1/organizations/{organization}/reactivate",
    operation_id = "reactivateOrganization", tag = "Organizations",
    params(OrganizationPath, IfMatch),
    responses(
        (status = 200, description = "The organization.", body = OrganizationResponse<'static>),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrService.needs(Permission::OrganizationsWrite).refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::OrganizationNotSuspended
    ]).and(&VERSIONED)))))]
pub async fn reactivate_organization(
    State(http): State<Arc<Http>>,
    RequireOperatorOrService(caller): RequireOperatorOrService,
    OrganizationPath(which): OrganizationPath,
    IfMatch(expected): IfMatch,
) -> Result<Response, ApiError> {
    let access = http.app.auth.administer(&caller, &OrganizationRef::parse(&which)?).await?;
    let outcome = http.app.organizations.reactivate_organization(&access, &expected).await?;
    Ok(answer(StatusCode::OK, &outcome))
}

request_fields! {
    /// A new password.
    #[schema(as = SetPassword)]
    pub struct SetPasswordRequest(http: &Http) in body {
        /// At least 8 characters (setting `PASSWORD_MIN_LENGTH`), at most 256; not one of the most common.
        #[schema(example = "SecurePassword123")]
        pub password: NewPassword = required(|text| http.new_password(text)),
    }
}

/// Give the owner of an organization a new password.
///
/// For owners who have forgotten theirs. All their sessions end.
#[utoipa::path(post, path = "/v1/organizations/{organization}/set-password", operation_id = "setOwnerPassword",
    tag = "Organizations",
    params(OrganizationPath, IfMatch),
    request_body = SetPasswordRequest,
    responses(
        (status = 200, description = "The organization.", body = OrganizationResponse<'static>),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::OrganizationNotActive, ErrorCode::SignInBusy
    ]).and(&VERSIONED)))))]
pub async fn set_owner_password(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    OrganizationPath(which): OrganizationPath,
    IfMatch(expected): IfMatch,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let view = find(&http, operator, &which).await?;
    let SetPasswordRequest { password } =
        body.fields()?.parse(|fields| SetPasswordRequest::from_fields(fields, &http))?;
    let outcome = http.app.accounts.set_owner_password(&operator, &view, &expected, password).await?;
    Ok(answer(StatusCode::OK, &outcome))
}

/// Purge a deleted organization.
///
/// Removes it and all its data for good, before its retention ends.
#[utoipa::path(post, path = "/v1/organizations/{organization}/purge", operation_id = "purgeOrganization",
    tag = "Organizations",
    params(OrganizationIdPath, IfMatch),
    responses((status = 202, description = "`Location` says where to watch, and remains when all else is gone.",
        body = OperationResponse)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::OrganizationNotDeleted, ErrorCode::LegalHold
    ]).and(&VERSIONED)))))]
pub async fn purge_organization(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    OrganizationIdPath(which): OrganizationIdPath,
    IfMatch(expected): IfMatch,
) -> Result<Response, ApiError> {
    let view = find(&http, operator, &which).await?;
    let outcome = http.app.organizations.purge_organization(&operator, &view, &expected).await?;
    Ok(accepted(outcome.record()))
}

async fn find(http: &Http, operator: Operator, which: &str) -> Result<OrganizationView> {
    http.app
        .organizations
        .get_organization(&Principal::Operator(operator), &OrganizationRef::parse(which)?)
        .await
}

/// The response to a change: the organization, or, while the change is running, where to watch it.
pub(super) fn answer(status: StatusCode, outcome: &Outcome) -> Response {
    match outcome {
        Outcome::Done { record, view: Some(view) } => with_operation(organization(status, view), record),
        Outcome::Done { record, view: None } | Outcome::Running(record) => accepted(record),
    }
}

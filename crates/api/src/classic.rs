//! The classic API: one call each to create, find, rename and delete an organization by its name, and to sign in its admin.
//!
//! The handlers translate to the same use cases as the v1 API. Unlike there, unknown fields are ignored, and [`Dialects`]
//! tells the three dialects of `PUT /org/update` apart.

use super::auth::RequireAccount;
use super::conditional::IfMatch;
use super::extract::{ClientAddress, JsonBody, QueryFields};
use super::fields::Fields;
use super::http::Http;
use super::idempotency::{self, IdempotencyHeader, IdempotentRequest, Replay, Scope};
use super::openapi::{Access, REPEATABLE, VERSIONED};
use super::problem::ApiError;
use super::rate_limit::announce;
use super::request_fields::request_fields;
use super::responses::{ClassicOrganizationResponse, json, with_etag, with_operation};
use super::settings::LookupPolicy;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use tenantry_domain::app::OrganizationView;
use tenantry_domain::app::auth::{AccountPrincipal, Principal};
use tenantry_domain::app::operations::Outcome;
use tenantry_domain::app::organizations::{NewOrganization, NewOwner, OrganizationChange};
use tenantry_domain::email::EmailAddress;
use tenantry_domain::name::{Identifier, OrganizationName};
use tenantry_domain::operation::OperationRecord;
use tenantry_domain::password::policy::{NewPassword, PresentedPassword};
use tenantry_domain::permission::Permission;
use tenantry_domain::rate_limit::{CREATE_NETWORK, ClientNetwork};
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::ToSchema;

request_fields! {
    /// The organization to register.
    #[schema(as = CreateOrganization)]
    pub struct RegisterOrganizationRequest(http: &Http) in body {
        /// 2 to 120 characters. Names are compared without case, spaces and punctuation.
        #[schema(example = "Tech Innovations Corp")]
        pub organization_name: OrganizationName = required(OrganizationName::parse),
        /// The address its first admin signs in with.
        #[schema(example = "admin@techcorp.com")]
        pub email: EmailAddress = required(EmailAddress::parse),
        /// At least 8 characters (setting `PASSWORD_MIN_LENGTH`), at most 256; not one of the most common.
        #[schema(example = "SecurePassword123")]
        pub password: NewPassword = required(|text| http.new_password(text)),
    }
}

/// Register an organization.
///
/// Creates an organization, its first admin and its container. The setting `SIGNUP` says whether anybody may,
/// or the operator alone. `POST /v1/organizations` is the form for the operator.
#[utoipa::path(post, path = "/org/create", operation_id = "registerOrganization", tag = "Classic",
    params(IdempotencyHeader),
    request_body = RegisterOrganizationRequest,
    responses((status = 201, description = "The organization.", body = ClassicOrganizationResponse<'static>)),
    extensions(("x-rule" = json!(Access::SettingOperator.refuses(&[
        // `organization_not_found`: it was created, and purged before the response.
        ErrorCode::NameTaken, ErrorCode::EmailTaken, ErrorCode::CapacityReached, ErrorCode::OrganizationNotFound,
        ErrorCode::TooManyAttempts, ErrorCode::SignInBusy
    ]).and(&REPEATABLE)))))]
pub async fn create(
    State(http): State<Arc<Http>>,
    ClientAddress(network): ClientAddress,
    headers: HeaderMap,
    key: IdempotencyHeader,
    body: JsonBody,
) -> Result<Response, ApiError> {
    // An operator key must be valid; an access token, perhaps an expired one, makes no difference and is ignored.
    let signup = http.app.auth.allow_signup(super::auth::operator_key(&http, &headers).await?)?;
    // Before anything is counted or claimed, so that invalid input costs its sender nothing.
    let new = body.fields()?.parse_known(|fields| RegisterOrganizationRequest::from_fields(fields, &http))?;
    let work = Arc::clone(&http);
    let request = IdempotentRequest { route: "POST /org/create", body: &body.0 };
    let holder = http.app.idempotency.key_holder_of_signup(signup, network);
    let scope = Scope { name: &signup.scope(), holder };
    let answer = idempotency::once(&http, key, scope, request, Replay::Stored, move |id| async move {
        let remaining = work.app.rate_limiter.count_create(network).await?;
        let account = new.email.key();
        let RegisterOrganizationRequest { organization_name: name, email, password } = new;
        let owner = NewOwner::Person(email, password);
        let new = NewOrganization { id, name, owner, placement: None };
        let (record, view) = done(work.app.organizations.create_organization(signup, new).await?)?;
        work.app.rate_limiter.remember_network(&account, network).await?;
        let mut response = json(StatusCode::CREATED, &ClassicOrganizationResponse::full(&view));
        if let Ok(location) = HeaderValue::from_str(&format!("/v1/organizations/{}", view.organization.id)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        announce(response.headers_mut(), "create", CREATE_NETWORK, remaining);
        Ok(with_operation(with_etag(response, &view), &record))
    });
    answer.await.or_else(|refusal| {
        let left = refusal.0.attempts_left();
        let mut response = refusal.into_response();
        announce(response.headers_mut(), "create", CREATE_NETWORK, left);
        Ok(response)
    })
}

request_fields! {
    /// Which organization to find.
    pub struct OrganizationNameQuery in query {
        /// Its name.
        #[param(example = "Tech Innovations Corp")]
        pub organization_name: OrganizationName = required(OrganizationName::parse),
    }
}

/// Find an organization by its name.
///
/// Case, spaces and punctuation make no difference. The setting `PUBLIC_LOOKUP` says what anonymous callers
/// see.
#[utoipa::path(get, path = "/org/get", operation_id = "findOrganization", tag = "Classic",
    params(OrganizationNameQuery),
    responses((status = 200, description = "The organization. Under `PUBLIC_LOOKUP=card`, anonymous callers \
        see it without `admin_email`, `tenant_collection` and `tenant_database`.", body = ClassicOrganizationResponse<'static>)),
    extensions(("x-rule" = json!(Access::Setting.refuses(&[
        ErrorCode::InvalidInput, ErrorCode::OrganizationNotFound
    ])))))]
pub async fn get(
    State(http): State<Arc<Http>>,
    QueryFields(query): QueryFields,
    request: Request,
) -> Result<Response, ApiError> {
    let OrganizationNameQuery { organization_name: name } =
        query.parse_known(OrganizationNameQuery::from_fields)?;
    // A credential is read only where it makes a difference: an open lookup never fails because of a bad one.
    let caller = match http.settings.public_lookup {
        LookupPolicy::Full => None,
        LookupPolicy::Card | LookupPolicy::Off => super::auth::optional(&http, request.headers()).await?,
    };
    if http.settings.public_lookup == LookupPolicy::Off && caller.is_none() {
        return Err(ErrorCode::TokenMissing.into());
    }
    let view = http.app.organizations.find_organization_by_name(&name).await?;
    let insider = match &caller {
        Some(Principal::Operator(_)) => true,
        Some(Principal::Service(service)) => service.may_read(view.organization.id),
        Some(Principal::Key(key)) => {
            key.organization().id == view.organization.id
                && key.require(Permission::OrganizationsRead).is_ok()
        }
        Some(Principal::Member(member)) => member.organization().id == view.organization.id,
        None => false,
    };
    let body = match http.settings.public_lookup {
        LookupPolicy::Off if !insider => return Err(Error::organization_not_found(name.as_str()).into()),
        LookupPolicy::Card if !insider => ClassicOrganizationResponse::public(&view),
        _ => ClassicOrganizationResponse::full(&view),
    };
    Ok(with_etag(json(StatusCode::OK, &body), &view))
}

request_fields! {
    /// New names and credentials. What they mean depends on which fields are sent.
    #[schema(as = UpdateOrganization)]
    pub struct UpdateOrganizationRequest(dialects: &Dialects<'_>) in body {
        /// With `new_organization_name`: the current name. Without: the new name (or the current one, to change
        /// only credentials).
        #[schema(example = "Tech Innovations Corp 2.0")]
        pub organization_name: OrganizationName = required(OrganizationName::parse),
        /// The new name, where `organization_name` is the current one.
        pub new_organization_name: Option<OrganizationName> = optional(OrganizationName::parse),
        /// With `new_organization_name`, or with the current name: the admin's new address. With a new name: the
        /// admin's current address, which must be right.
        #[schema(example = "admin@techcorp.com")]
        pub email: Option<CredentialInput<EmailAddress, String>> =
            optional(|text| dialects.email(organization_name.as_ref(), text)),
        /// As `email`: a new password, or the current one.
        #[schema(example = "SecurePassword123")]
        pub password: Option<CredentialInput<NewPassword, PresentedPassword>> =
            optional(|text| dialects.password(organization_name.as_ref(), text)),
    }
}

/// The organization after an update, and where its data is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpdatedOrganization)]
pub struct UpdatedOrganizationResponse<'a> {
    /// The organization.
    #[serde(flatten)]
    pub organization: ClassicOrganizationResponse<'a>,
    /// What was done.
    #[schema(example = "Organization updated successfully")]
    pub message: &'static str,
    /// The visible name of its container before.
    #[schema(example = "tenant_tech_innovations_corp")]
    pub previous_collection: &'a str,
    /// The visible name of its container now.
    #[schema(example = "tenant_tech_innovations_corp_2_0")]
    pub current_collection: &'a str,
    /// How many documents are in it.
    #[schema(example = 0)]
    pub documents_migrated: u64,
}

/// Rename your organization or change its admin's credentials.
///
/// With `new_organization_name`, or with the current name, `email` and `password` become the new credentials.
/// With another name in `organization_name`, the organization is renamed to it, and `email` and `password`,
/// if sent, must be the current ones. The data follows a new name. A new address needs no proof; the one of before is told
/// by mail, if mails are sent.
#[utoipa::path(put, path = "/org/update", operation_id = "updateOwnOrganization", tag = "Classic",
    params(IfMatch),
    request_body = UpdateOrganizationRequest,
    responses((status = 200, description = "The organization, and what became of its data.",
        body = UpdatedOrganizationResponse<'static>)),
    extensions(("x-rule" = json!(Access::Member.refuses(&[
        ErrorCode::InvalidCredentials, ErrorCode::ReauthenticationRequired, ErrorCode::NotYourOrganization,
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::NameTaken, ErrorCode::EmailTaken,
        ErrorCode::OrganizationNotActive, ErrorCode::TooManyAttempts, ErrorCode::SignInBusy, ErrorCode::TooManyMails
    ]).and(&VERSIONED)))))]
pub async fn update(
    State(http): State<Arc<Http>>,
    ClientAddress(network): ClientAddress,
    RequireAccount(member): RequireAccount,
    IfMatch(expected): IfMatch,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let fields = body.fields()?;
    let dialects = Dialects::new(&http, &member, &fields);
    let update = fields.parse_known(|fields| UpdateOrganizationRequest::from_fields(fields, &dialects))?;
    let is_rename = dialects.renames(Some(&update.organization_name));
    if !is_rename && update.organization_name.identifier() != *dialects.current {
        return Err(ErrorCode::NotYourOrganization.into());
    }
    let managed = http.app.auth.manage_own(&member)?;
    let previous = http.app.organizations.locate(&managed).collection;
    let change = prepare_change(&http, &member, network, update, is_rename).await?;
    let (record, view) =
        done(http.app.organizations.change_organization(&managed, &expected, change).await?)?;
    let body = UpdatedOrganizationResponse {
        organization: ClassicOrganizationResponse::full(&view),
        message: "Organization updated successfully",
        previous_collection: &previous,
        current_collection: &view.location.collection,
        documents_migrated: record.documents.unwrap_or_default(),
    };
    Ok(with_operation(with_etag(json(StatusCode::OK, &body), &view), &record))
}

/// Tells the dialects of an update apart.
pub struct Dialects<'a> {
    http: &'a Http,
    /// The identifier of the caller's organization.
    current: &'a Identifier,
    /// Whether `new_organization_name` is present, valid or not: the meaning of the other fields depends on it.
    has_new_name: bool,
}

/// A credential in an update.
pub enum CredentialInput<New, Current> {
    /// The credential to change to.
    New(New),
    /// The credential that the account must have now.
    Current(Current),
}

impl<New, Current> CredentialInput<New, Current> {
    fn split(sent: Option<Self>) -> (Option<New>, Option<Current>) {
        match sent {
            None => (None, None),
            Some(Self::New(new)) => (Some(new), None),
            Some(Self::Current(current)) => (None, Some(current)),
        }
    }
}

impl<'a> Dialects<'a> {
    fn new(http: &'a Http, member: &'a AccountPrincipal, fields: &Fields) -> Self {
        let current = &member.organization().naming.identifier;
        Self { http, current, has_new_name: fields.has("new_organization_name") }
    }

    /// Whether `organization_name` is the new name, so that `email` and `password` are the current ones.
    fn renames(&self, name: Option<&OrganizationName>) -> bool {
        !self.has_new_name && name.is_some_and(|name| name.identifier() != *self.current)
    }

    fn email(
        &self,
        name: Option<&OrganizationName>,
        text: &str,
    ) -> Result<CredentialInput<EmailAddress, String>, String> {
        if self.renames(name) {
            return Ok(CredentialInput::Current(text.to_owned()));
        }
        EmailAddress::parse(text).map(CredentialInput::New)
    }

    fn password(
        &self,
        name: Option<&OrganizationName>,
        text: &str,
    ) -> Result<CredentialInput<NewPassword, PresentedPassword>, String> {
        if self.renames(name) {
            return Ok(CredentialInput::Current(PresentedPassword::new(text)));
        }
        self.http.new_password(text).map(CredentialInput::New)
    }
}

/// The change that an update asks for. Current credentials are checked; new ones are prepared.
async fn prepare_change(
    http: &Http,
    member: &AccountPrincipal,
    network: ClientNetwork,
    update: UpdateOrganizationRequest,
    is_rename: bool,
) -> Result<OrganizationChange> {
    let (new_email, email) = CredentialInput::split(update.email);
    let (new_password, password) = CredentialInput::split(update.password);
    let credentials = if is_rename {
        http.app.accounts.confirm_credentials(member, email.as_deref(), password, network).await?;
        None
    } else if new_email.is_some() || new_password.is_some() {
        let change = http.app.accounts.prepare_credentials(member, new_email, new_password).await?;
        Some((member.account().id, change))
    } else {
        None
    };
    let name = update.new_organization_name.unwrap_or(update.organization_name);
    Ok(OrganizationChange { name: Some(name), credentials, ..OrganizationChange::default() })
}

request_fields! {
    /// Which organization to delete, and how.
    pub struct DeleteOwnQuery in query {
        /// Its name; here or in the body.
        pub organization_name: Option<OrganizationName> = optional(OrganizationName::parse),
        /// `true` purges it at once instead of keeping it.
        pub purge: bool = flag or default,
    }
}

request_fields! {
    /// Which organization to delete.
    #[schema(as = DeleteOrganization)]
    pub struct DeleteOrganizationRequest(is_in_query: bool) in body {
        /// Its name; in the query or here.
        #[schema(example = "Tech Innovations Corp 2.0")]
        pub organization_name: Option<OrganizationName> = required_unless(is_in_query, OrganizationName::parse),
    }
}

/// The result of a delete.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedOrganization)]
pub struct DeletedOrganizationResponse {
    /// What was done.
    #[schema(example = "Organization deleted successfully")]
    pub message: &'static str,
    /// Until then the operator can restore it, RFC 3339 in UTC.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub purge_at: Option<Timestamp>,
}

/// Delete your organization.
///
/// Name it in the query or in the body. It is kept until `purge_at`; until then the operator can restore it.
#[utoipa::path(delete, path = "/org/delete", operation_id = "deleteOwnOrganization", tag = "Classic",
    params(DeleteOwnQuery, IfMatch),
    request_body(content = Option<DeleteOrganizationRequest>, description = "Its name, where it is not in the query."),
    responses((status = 200, description = "It is deleted.", body = DeletedOrganizationResponse)),
    extensions(("x-rule" = json!(Access::Member.refuses(&[
        ErrorCode::NotYourOrganization, ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound,
        ErrorCode::DeleteProtected, ErrorCode::LegalHold, ErrorCode::OrganizationNotActive
    ]).and(&VERSIONED)))))]
pub async fn delete(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    IfMatch(expected): IfMatch,
    QueryFields(mut query): QueryFields,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let is_in_query = query.has("organization_name");
    let in_query = DeleteOwnQuery::from_fields(&mut query);
    let (name, purge) = body.optional_fields()?.after(query).parse_known(|fields| {
        let in_body = DeleteOrganizationRequest::from_fields(fields, is_in_query)?.organization_name;
        let DeleteOwnQuery { organization_name: in_query, purge } = in_query?;
        if let (Some(one), Some(other)) = (&in_query, &in_body)
            && one.identifier() != other.identifier()
        {
            fields.refuse("organization_name", "Is another name than the one in the query.");
        }
        Some((in_query.or(in_body)?, purge))
    })?;
    require_own(&http, &member, &name).await?;
    let managed = http.app.auth.manage_own(&member)?;
    let outcome = http.app.organizations.delete_organization(&managed, &expected, purge).await?;
    let purge_at = match &outcome {
        // An organization that is gone already was due.
        Outcome::Done { view, .. } => view.as_ref().and_then(|view| view.organization.purge_at),
        Outcome::Running(record) => return Err(goes_on(record).into()),
    };
    let body = DeletedOrganizationResponse { message: "Organization deleted successfully", purge_at };
    Ok(with_operation(json(StatusCode::OK, &body), outcome.record()))
}

/// Refuses a name other than that of the caller's organization: with 403 where names are public, else with 404.
async fn require_own(http: &Http, member: &AccountPrincipal, name: &OrganizationName) -> Result<()> {
    if name.identifier() == member.organization().naming.identifier {
        return Ok(());
    }
    if http.settings.public_lookup == LookupPolicy::Off {
        return Err(Error::organization_not_found(name.as_str()));
    }
    http.app.organizations.find_organization_by_name(name).await?;
    Err(ErrorCode::NotYourOrganization.into())
}

/// The result of an operation. The classic API has no 202: an operation that takes longer is answered with 503, and goes
/// on.
fn done(outcome: Outcome) -> Result<(OperationRecord, OrganizationView)> {
    match outcome {
        Outcome::Done { record, view: Some(view) } => Ok((record, view)),
        Outcome::Done { view: None, .. } => Err(ErrorCode::OrganizationNotFound.into()),
        Outcome::Running(record) => Err(goes_on(&record)),
    }
}

fn goes_on(record: &OperationRecord) -> Error {
    Error::new(ErrorCode::Overloaded)
        .retry_after(std::time::Duration::from_secs(5))
        .detail(format!("The change goes on as operation {}.", record.id))
}

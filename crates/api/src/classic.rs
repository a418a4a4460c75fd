//! The classic API: one call each to create, find, rename and delete an organization by its name, and to sign in its admin.
//!
//! They only translate to the same calls of the application as the v1 API. What a newcomer gets wrong:
//! unknown fields are ignored here, and the three dialects of `PUT /org/update` are told
//! apart in [`Dialect`] alone.

use super::auth::RequireAccount;
use super::conditional::IfMatch;
use super::extract::{ClientAddress, JsonBody, QueryFields};
use super::fields::Fields;
use super::http::Http;
use super::idempotency::{self, IdempotencyHeader, IdempotentRequest, Replay, Scope};
use super::problem::ApiError;
use super::rate_limit::announce;
use super::representation::{OrganizationBody, json, with_etag, with_operation};
use super::settings::LookupPolicy;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use tenantry_domain::account::CredentialChange;
use tenantry_domain::app::OrganizationView;
use tenantry_domain::app::auth::{AccountPrincipal, Principal};
use tenantry_domain::app::operations::Outcome;
use tenantry_domain::app::organizations::{NewOrganization, OrganizationChange};
use tenantry_domain::email::EmailAddress;
use tenantry_domain::name::OrganizationName;
use tenantry_domain::operation::OperationRecord;
use tenantry_domain::password::policy::{NewPassword, PresentedPassword};
use tenantry_domain::rate_limit::{CREATE_NETWORK, ClientNetwork};
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::ToSchema;

/// What makes an organization.
#[expect(dead_code, reason = "a schema of the OpenAPI document; `Fields` reads the body")]
#[derive(Debug, ToSchema)]
pub struct CreateOrganization {
    /// 2 to 120 characters. Names are compared without case, spaces and punctuation.
    #[schema(example = "Tech Innovations Corp")]
    pub organization_name: String,
    /// The address its first admin signs in with.
    #[schema(example = "admin@techcorp.com")]
    pub email: String,
    /// At least 8 characters (setting `PASSWORD_MIN_LENGTH`), at most 256; not one of the most common.
    #[schema(example = "SecurePassword123")]
    pub password: String,
}

/// Register an organization.
///
/// Creates an organization, its first admin and its container. The setting `SIGNUP` says whether anybody may,
/// or the operator alone. `POST /v1/organizations` is the form for the operator.
#[utoipa::path(post, path = "/org/create", operation_id = "registerOrganization", tag = "Classic",
    params(IdempotencyHeader),
    request_body = CreateOrganization,
    responses((status = 201, description = "The organization.", body = OrganizationBody<'static>)))]
pub async fn create(
    State(http): State<Arc<Http>>,
    ClientAddress(network): ClientAddress,
    headers: HeaderMap,
    key: IdempotencyHeader,
    body: JsonBody,
) -> Result<Response, ApiError> {
    // An operator key must be good; an access token, perhaps an old one, makes no difference and is not looked at.
    let signup = http.app.allow_signup(super::auth::operator_key(&http, &headers).await?)?;
    // Checked before anything is counted or claimed: bad input costs its sender nothing.
    read_new_organization(&http, body.fields()?)?;
    let work = Arc::clone(&http);
    let content = body.0.clone();
    let request = IdempotentRequest { route: "POST /org/create", body: &content };
    let holder = http.app.key_holder_of_signup(signup, network);
    let scope = Scope { name: signup.scope(), holder };
    let answer = idempotency::once(&http, key, scope, request, Replay::Kept, move |id| async move {
        let new = read_new_organization(&work, body.fields()?)?;
        let remaining = work.app.count_create(network).await?;
        let account = new.email.key();
        let (record, view) =
            done(work.app.create_organization(signup, NewOrganization { id, ..new }).await?)?;
        work.app.remember_network(&account, network).await?;
        let mut response = json(StatusCode::CREATED, &OrganizationBody::full(&view));
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

fn read_new_organization(http: &Http, mut fields: Fields) -> Result<NewOrganization> {
    let name = fields.required("organization_name", OrganizationName::parse);
    let email = fields.required("email", EmailAddress::parse);
    let password = fields.required("password", |text| http.new_password(text));
    fields.finish()?;
    match (name, email, password) {
        (Some(name), Some(email), Some(password)) => {
            Ok(NewOrganization { id: None, name, email, password, placement: None })
        }
        _ => Err(Error::internal("a field was neither read nor refused")),
    }
}

/// Find an organization by its name.
///
/// Case, spaces and punctuation make no difference. The setting `PUBLIC_LOOKUP` says what anonymous callers
/// see.
#[utoipa::path(get, path = "/org/get", operation_id = "findOrganization", tag = "Classic",
    params(("organization_name" = String, Query, description = "Its name.", example = "Tech Innovations Corp")),
    responses((status = 200, description = "The organization. Under `PUBLIC_LOOKUP=card`, anonymous callers \
        see it without `admin_email`, `tenant_collection` and `tenant_database`.", body = OrganizationBody<'static>)))]
pub async fn get(
    State(http): State<Arc<Http>>,
    QueryFields(mut fields): QueryFields,
    request: Request,
) -> Result<Response, ApiError> {
    let name = fields.required("organization_name", OrganizationName::parse);
    fields.finish()?;
    let name = name.ok_or(ErrorCode::OrganizationNotFound)?;
    // Only where it makes a difference is a credential looked at: an open lookup never fails for a bad one.
    let caller = match http.settings.public_lookup {
        LookupPolicy::Full => None,
        LookupPolicy::Card | LookupPolicy::Off => super::auth::optional(&http, request.headers()).await?,
    };
    if http.settings.public_lookup == LookupPolicy::Off && caller.is_none() {
        return Err(ErrorCode::TokenMissing.into());
    }
    let view = http.app.find_organization_by_name(&name).await?;
    let insider = match &caller {
        Some(Principal::Operator(_)) => true,
        Some(Principal::Member(member)) => member.organization().id == view.organization.id,
        None => false,
    };
    let body = match http.settings.public_lookup {
        LookupPolicy::Off if !insider => return Err(ErrorCode::OrganizationNotFound.into()),
        LookupPolicy::Card if !insider => OrganizationBody::card(&view),
        _ => OrganizationBody::full(&view),
    };
    Ok(with_etag(json(StatusCode::OK, &body), &view))
}

/// New names and credentials, in any of the references' dialects.
#[expect(dead_code, reason = "a schema of the OpenAPI document; `Fields` reads the body")]
#[derive(Debug, ToSchema)]
pub struct UpdateOrganization {
    /// With `new_organization_name`: the current name. Without: the new name (or the current one, to change
    /// only credentials).
    #[schema(example = "Tech Innovations Corp 2.0")]
    pub organization_name: String,
    /// With `new_organization_name`, or with the current name: the admin's new address. With a new name: the
    /// admin's current address, which must be right.
    #[schema(required = false, example = "admin@techcorp.com")]
    pub email: Option<String>,
    /// As `email`: a new password, or the current one.
    #[schema(required = false, example = "SecurePassword123")]
    pub password: Option<String>,
    /// The new name, where `organization_name` is the current one.
    #[schema(required = false)]
    pub new_organization_name: Option<String>,
}

/// The organization after an update, and what became of its data.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdatedOrganization<'a> {
    /// The organization.
    #[serde(flatten)]
    pub organization: OrganizationBody<'a>,
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
/// if sent, must be the current ones. The data follows a new name.
#[utoipa::path(put, path = "/org/update", operation_id = "updateOwnOrganization", tag = "Classic",
    params(IfMatch),
    request_body = UpdateOrganization,
    responses((status = 200, description = "The organization, and what became of its data.",
        body = UpdatedOrganization<'static>)))]
pub async fn update(
    State(http): State<Arc<Http>>,
    ClientAddress(network): ClientAddress,
    RequireAccount(member): RequireAccount,
    IfMatch(expected): IfMatch,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let dialect = Dialect::read(&http, &member, body.fields()?)?;
    let managed = http.app.manage_own(&member)?;
    let previous = http.app.locate(&managed).collection;
    let change = change(&http, &member, network, dialect).await?;
    let (record, view) = done(http.app.change_organization(&managed, &expected, change).await?)?;
    let body = UpdatedOrganization {
        organization: OrganizationBody::full(&view),
        message: "Organization updated successfully",
        previous_collection: &previous,
        current_collection: &view.location.collection,
        documents_migrated: record.documents.unwrap_or_default(),
    };
    Ok(with_operation(with_etag(json(StatusCode::OK, &body), &view), &record))
}

/// What an update asks for.
enum Dialect {
    /// `organization_name` names the caller's organization, as it is: the rest is new.
    Change { name: OrganizationName, email: Option<EmailAddress>, password: Option<NewPassword> },
    /// `organization_name` is another name: credentials are the current ones.
    Rename { name: OrganizationName, email: Option<String>, password: Option<PresentedPassword> },
}

impl Dialect {
    fn read(http: &Http, member: &AccountPrincipal, mut fields: Fields) -> Result<Self> {
        let named = fields.required("organization_name", OrganizationName::parse);
        // A new name decides by being there, right or wrong: the other fields are checked for what they mean then.
        let has_new_name = fields.has("new_organization_name");
        let new_name = fields.optional("new_organization_name", OrganizationName::parse);
        let current = &member.organization().naming.identifier;
        let is_own = named.as_ref().is_some_and(|name| name.identifier() == *current);
        if has_new_name || is_own || named.is_none() {
            let email = fields.optional("email", EmailAddress::parse);
            let password = fields.optional("password", |text| http.new_password(text));
            fields.finish()?;
            let (Some(name), Some(named)) = (new_name.or_else(|| named.clone()), named) else {
                return Err(Error::internal("a name was neither read nor refused"));
            };
            if named.identifier() != *current {
                return Err(ErrorCode::NotYourOrganization.into());
            }
            return Ok(Self::Change { name, email, password });
        }
        let email = fields.optional("email", |text| Ok::<_, String>(text.to_owned()));
        let password = fields.optional("password", |text| Ok::<_, String>(PresentedPassword::new(text)));
        fields.finish()?;
        named
            .map(|name| Self::Rename { name, email, password })
            .ok_or_else(|| Error::internal("a name was neither read nor refused"))
    }
}

async fn change(
    http: &Http,
    member: &AccountPrincipal,
    network: ClientNetwork,
    dialect: Dialect,
) -> Result<OrganizationChange> {
    match dialect {
        Dialect::Change { name, email, password } => {
            let credentials = match (email, password) {
                (None, None) => None,
                (email, password) => {
                    let change: CredentialChange =
                        http.app.prepare_credentials(member, email, password).await?;
                    Some((member.account().id, change))
                }
            };
            Ok(OrganizationChange { name: Some(name), credentials, ..OrganizationChange::default() })
        }
        Dialect::Rename { name, email, password } => {
            http.app.confirm_credentials(member, email.as_deref(), password, network).await?;
            Ok(OrganizationChange { name: Some(name), ..OrganizationChange::default() })
        }
    }
}

/// Which organization to delete.
#[expect(dead_code, reason = "a schema of the OpenAPI document; `Fields` reads the body")]
#[derive(Debug, ToSchema)]
pub struct DeleteOrganization {
    /// Its name; in the query or here.
    #[schema(example = "Tech Innovations Corp 2.0")]
    pub organization_name: String,
}

/// What became of a deleted organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedOrganization {
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
    params(
        ("organization_name" = Option<String>, Query, description = "Its name; here or in the body."),
        ("purge" = Option<bool>, Query, description = "`true`: do not keep it."),
        IfMatch),
    request_body(content = Option<DeleteOrganization>, description = "Its name, where it is not in the query."),
    responses((status = 200, description = "It is deleted.", body = DeletedOrganization)))]
pub async fn delete(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    IfMatch(expected): IfMatch,
    QueryFields(mut query): QueryFields,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let is_in_query = query.has("organization_name");
    let in_query = query.optional("organization_name", OrganizationName::parse);
    let purge = query.flag("purge").unwrap_or(false);
    let mut fields = body.optional_fields()?.after(query);
    let in_body = if is_in_query {
        fields.optional("organization_name", OrganizationName::parse)
    } else {
        fields.required("organization_name", OrganizationName::parse)
    };
    if let (Some(one), Some(other)) = (&in_query, &in_body)
        && one.identifier() != other.identifier()
    {
        fields.refuse("organization_name", "Is another name than the one in the query.");
    }
    fields.finish()?;
    let name = in_query.or(in_body).ok_or_else(|| Error::internal("a name was neither read nor refused"))?;
    require_own(&http, &member, &name).await?;
    let managed = http.app.manage_own(&member)?;
    let outcome = http.app.delete_organization(&managed, &expected, purge).await?;
    let purge_at = match &outcome {
        // What is gone already was due.
        Outcome::Done { view, .. } => view.as_ref().and_then(|view| view.organization.purge_at),
        Outcome::Running(record) => return Err(goes_on(record).into()),
    };
    let body = DeletedOrganization { message: "Organization deleted successfully", purge_at };
    Ok(with_operation(json(StatusCode::OK, &body), outcome.record()))
}

/// Refuses a name that is not the caller's organization's: as another's where names are public, else as unknown.
async fn require_own(http: &Http, member: &AccountPrincipal, name: &OrganizationName) -> Result<()> {
    if name.identifier() == member.organization().naming.identifier {
        return Ok(());
    }
    if http.settings.public_lookup == LookupPolicy::Off {
        return Err(ErrorCode::OrganizationNotFound.into());
    }
    http.app.find_organization_by_name(name).await?;
    Err(ErrorCode::NotYourOrganization.into())
}

/// The end of an operation. The classic API knows no "accepted": what takes longer is a 503, and goes on.
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

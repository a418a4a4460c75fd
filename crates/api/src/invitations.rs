//! Invitations: made by those who manage members, accepted by those who hold the link.

use super::auth::{OptionalInvitee, RequireCaller};
use super::cursor::Cursor;
use super::extract::{ClientAddress, JsonBody, QueryFields};
use super::http::Http;
use super::members::MemberResponse;
use super::openapi::Access;
use super::path_params::{InvitationPath, OrganizationPath};
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{OperationResponse, accepted, json, with_location, with_operation};
use super::sessions::{TokenResponse, tokens};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::account::Role;
use tenantry_domain::app::auth::{InvitationCaller, OrganizationRef, Principal};
use tenantry_domain::app::invitations::{AcceptOutcome, InviteePassword, IssuedInvitation, NewInvitation};
use tenantry_domain::app::members::MemberAccess;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::{AccountId, ApiKeyId, InvitationId, OrganizationId};
use tenantry_domain::invitation::{Invitation, InvitationToken};
use tenantry_domain::limits::INVITATION_LIFETIME_MAX;
use tenantry_domain::page::PageLimit;
use tenantry_domain::password::policy::PresentedPassword;
use tenantry_domain::permission::Permission;
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::ToSchema;

/// An invitation that nobody has used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub struct InvitationResponse<'a> {
    /// 24 hex digits.
    #[schema(value_type = String)]
    pub id: InvitationId,
    /// The only address that can use it.
    #[schema(example = "new@techcorp.com")]
    pub email: &'a str,
    /// The role it offers.
    #[schema(example = "member")]
    pub role: &'a str,
    /// The account that invites; null for the operator and for a key.
    #[schema(required = true, value_type = Option<String>)]
    pub inviter: Option<AccountId>,
    /// The service key or API key that invites; null for an account and for the operator.
    #[schema(required = true, value_type = Option<String>)]
    pub inviter_key: Option<ApiKeyId>,
    /// When it was made, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ends, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

impl<'a> From<&'a Invitation> for InvitationResponse<'a> {
    fn from(invitation: &'a Invitation) -> Self {
        Self {
            id: invitation.id,
            email: invitation.email.as_str(),
            role: invitation.role.as_str(),
            inviter: invitation.inviter,
            inviter_key: invitation.inviter_key,
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

/// An invitation with its token, which is shown this once, unless it was mailed.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedInvitation)]
pub struct IssuedInvitationResponse<'a> {
    /// The invitation.
    #[serde(flatten)]
    pub invitation: InvitationResponse<'a>,
    /// `mail`: the link was mailed to the address, and nobody else sees it. `response`: you bring it.
    #[schema(example = "response")]
    pub delivery: &'static str,
    /// What the invited person sends to `POST /v1/invitations/accept`. It is shown once; null if it was mailed.
    #[schema(required = true, example = "tnt_invitation_674f1c2e9b1d4a0c5e8f7a6b_...")]
    pub token: Option<&'a str>,
    /// A link that carries the token behind `#`, for a page of your product; null if it was mailed, or unless `PUBLIC_URL`
    /// is set.
    #[schema(required = true)]
    pub url: Option<String>,
}

/// A slice of the list of invitations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvitationPage)]
pub struct InvitationPage<'a> {
    /// In the order in which they were made.
    pub items: Vec<InvitationResponse<'a>>,
    /// Pass it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

request_fields! {
    /// Whom to invite.
    #[schema(as = NewInvitationBody)]
    pub struct CreateInvitationRequest in body {
        /// The only address that can use it.
        #[schema(example = "new@techcorp.com")]
        pub email: EmailAddress = required(EmailAddress::parse),
        /// The role it offers: `owner`, `admin`, `member` or `viewer`, or one that the organization has defined.
        #[schema(example = "member")]
        pub role: Role = required(str::parse),
        /// Seconds it is good, at most 2592000 (30 days); 604800 (7 days) by default.
        pub expires_in: Option<Duration> = numeric(parse_lifetime),
    }
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let longest = INVITATION_LIFETIME_MAX.as_secs();
    match text.parse() {
        Ok(seconds) if (1..=longest).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("Must be a whole number of seconds, from 1 to {longest}.")),
    }
}

/// Invite somebody into an organization.
///
/// The link is mailed to the address; without SMTP, the answer has its token, once, and you bring it to the person. Nobody gives a role that allows more than their own, and
/// `owner` is offered after a recent sign-in. The answer does not tell whether the address has an account. It takes no `Idempotency-Key`: an address is invited once, and
/// a second request is 409 `invitation_exists`.
#[utoipa::path(post, path = "/v1/organizations/{organization}/invitations", operation_id = "createInvitation",
    tag = "Members",
    params(OrganizationPath),
    request_body = CreateInvitationRequest,
    responses((status = 201, description = "The invitation, with its token.",
        body = IssuedInvitationResponse<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::OrganizationNotActive,
        ErrorCode::AlreadyMember, ErrorCode::InvitationExists, ErrorCode::TooManyInvitations, ErrorCode::TooManyMails,
        ErrorCode::ReauthenticationRequired
    ])))))]
pub async fn create_invitation(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, Permission::MembersWrite).await?;
    let CreateInvitationRequest { email, role, expires_in } =
        body.fields()?.parse(CreateInvitationRequest::from_fields)?;
    let new = NewInvitation { email, role, lifetime: expires_in };
    let issued = http.app.invitations.invite(&access, new).await?;
    let path = format!("/v1/organizations/{}/invitations/{}", access.organization().id, issued.invitation.id);
    Ok(with_location(show(&http, StatusCode::CREATED, &issued), &path))
}

request_fields! {
    /// Which invitations to list.
    pub struct InvitationListQuery in query {
        /// Items of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the page before.
        pub cursor: Option<InvitationId> = optional(|text| Cursor::parse(text)?.invitation()),
    }
}

/// List the invitations of an organization.
///
/// Those that nobody has used, in the order in which they were made, a page at a time. Expired ones are removed soon after
/// their end.
#[utoipa::path(get, path = "/v1/organizations/{organization}/invitations", operation_id = "listInvitations",
    tag = "Members",
    params(OrganizationPath, InvitationListQuery),
    responses((status = 200, description = "A page of invitations.", body = InvitationPage<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersRead).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound
    ])))))]
pub async fn list_invitations(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, Permission::MembersRead).await?;
    let InvitationListQuery { limit, cursor } = query.parse(InvitationListQuery::from_fields)?;
    let page = http.app.invitations.list_invitations(&access, cursor, limit).await?;
    let body = InvitationPage {
        items: page.items.iter().map(|invitation| InvitationResponse::from(&**invitation)).collect(),
        next_cursor: page.next.map(|id| Cursor::of_invitation(id).to_string()),
    };
    Ok(json(StatusCode::OK, &body))
}

/// Revoke an invitation.
///
/// Its link is no longer valid.
#[utoipa::path(delete, path = "/v1/organizations/{organization}/invitations/{invitation}",
    operation_id = "revokeInvitation", tag = "Members",
    params(OrganizationPath, InvitationPath),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::OrganizationNotActive,
        ErrorCode::InvitationNotFound
    ])))))]
pub async fn revoke_invitation(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    InvitationPath(id): InvitationPath,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, Permission::MembersWrite).await?;
    http.app.invitations.revoke(&access, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

request_fields! {
    /// How to renew an invitation.
    #[schema(as = RenewInvitation)]
    pub struct RenewInvitationRequest in body {
        /// Seconds it is good from now on, at most 2592000 (30 days); 604800 (7 days) by default.
        pub expires_in: Option<Duration> = numeric(parse_lifetime),
    }
}

/// Renew an invitation.
///
/// It gets a new token and a new end; the earlier token is no longer valid. One that offers `owner` is renewed after a
/// recent sign-in.
#[utoipa::path(post, path = "/v1/organizations/{organization}/invitations/{invitation}/renew",
    operation_id = "renewInvitation", tag = "Members",
    params(OrganizationPath, InvitationPath),
    request_body = Option<RenewInvitationRequest>,
    responses((status = 200, description = "The invitation, with its token.",
        body = IssuedInvitationResponse<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::OrganizationNotActive,
        ErrorCode::InvitationNotFound, ErrorCode::TooManyMails, ErrorCode::ReauthenticationRequired
    ])))))]
pub async fn renew_invitation(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    InvitationPath(id): InvitationPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, Permission::MembersWrite).await?;
    let RenewInvitationRequest { expires_in } =
        body.optional_fields()?.parse(RenewInvitationRequest::from_fields)?;
    let issued = http.app.invitations.renew(&access, id, expires_in).await?;
    Ok(show(&http, StatusCode::OK, &issued))
}

request_fields! {
    /// The token of an invitation.
    #[schema(as = AcceptInvitation)]
    pub struct AcceptInvitationRequest in body {
        /// As the link carries it.
        #[schema(example = "tnt_invitation_674f1c2e9b1d4a0c5e8f7a6b_...")]
        pub token: InvitationToken = required(InvitationToken::parse),
        /// Required without an access token: the password of the account that the address has, or one for a new account. At least 8
        /// characters (setting `PASSWORD_MIN_LENGTH`), at most 256; not one of the most common.
        #[schema(example = "SecurePassword123")]
        pub password: Option<String> = optional(|text| Ok::<_, Infallible>(text.to_owned())),
    }
}

/// Where an account has joined.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JoinedOrganization)]
pub struct JoinedResponse<'a> {
    /// The organization: 24 hex digits. Sign in to it to get a token of it.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// Its name.
    pub organization_name: &'a str,
    /// The membership.
    pub member: MemberResponse<'a>,
}

/// Accept an invitation.
///
/// With an access token, the signed-in account joins; it must have the invited address. Without one, `password` makes an
/// account of that address, which joins and is signed in (201); if the address has an account, it must be the password of
/// that. With a token of an identity provider that the settings trust, the account that is linked to the person joins, or
/// else a new one that is linked to them. Each invitation is good for one use.
#[utoipa::path(post, path = "/v1/invitations/accept", operation_id = "acceptInvitation", tag = "Members",
    request_body = AcceptInvitationRequest,
    responses(
        (status = 200, description = "The signed-in account has joined.", body = JoinedResponse<'static>),
        (status = 201, description = "The account has joined: its tokens.", body = TokenResponse<'static>),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OptionalMember.refuses(&[
        ErrorCode::InvitationInvalid, ErrorCode::InvitationForAnother, ErrorCode::EmailNotVerified, ErrorCode::AccountExists,
        ErrorCode::AlreadyMember, ErrorCode::TooManyMembers, ErrorCode::TooManyOrganizations, ErrorCode::EmailTaken,
        ErrorCode::OrganizationSuspended, ErrorCode::OrganizationNotActive, ErrorCode::OperationInProgress,
        ErrorCode::MemberNotFound, ErrorCode::TooManyAttempts, ErrorCode::SignInBusy, ErrorCode::IdentityTaken,
        ErrorCode::TooManyIdentities
    ])))))]
pub async fn accept_invitation(
    State(http): State<Arc<Http>>,
    ClientAddress(network): ClientAddress,
    OptionalInvitee(caller): OptionalInvitee,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let AcceptInvitationRequest { token, password } =
        body.fields()?.parse(AcceptInvitationRequest::from_fields)?;
    let invitations = &http.app.invitations;
    let outcome = match caller {
        Some(_) if password.is_some() => {
            let rule = "Leave it out: the account that is signed in joins.";
            return Err(Error::invalid_field("/password", rule).into());
        }
        Some(InvitationCaller::Member(member)) => invitations.accept_as(&member, &token).await?,
        Some(InvitationCaller::Foreign(foreign)) => invitations.accept_as_foreign(&foreign, &token).await?,
        None => {
            let password = password.map(|text| InviteePassword {
                presented: PresentedPassword::new(&text),
                new: http.new_password(&text),
            });
            invitations.accept_with_password(&token, password, network).await?
        }
    };
    Ok(match outcome {
        AcceptOutcome::Running(record) => accepted(&record),
        AcceptOutcome::Granted(grant) => tokens(StatusCode::CREATED, &grant),
        AcceptOutcome::Joined(record, member, organization) => {
            let body = JoinedResponse {
                organization_id: organization.id,
                organization_name: organization.naming.name.as_str(),
                member: MemberResponse::from(&member),
            };
            with_operation(json(StatusCode::OK, &body), &record)
        }
    })
}

async fn access(
    http: &Http,
    caller: &Principal,
    which: &str,
    permission: Permission,
) -> Result<MemberAccess> {
    http.app.auth.manage_members(caller, &OrganizationRef::parse(which)?, permission).await
}

fn show(http: &Http, status: StatusCode, issued: &IssuedInvitation) -> Response {
    let (is_mailed, public_url) = (issued.invitation.mailed, &http.settings.public_url);
    let token = (!is_mailed).then(|| issued.token.as_str());
    // Behind `#`, so that no server on the way logs it.
    let url = token
        .filter(|_| !public_url.is_empty())
        .map(|token| format!("{public_url}/invitations/accept#{token}"));
    let delivery = if is_mailed { "mail" } else { "response" };
    let invitation = InvitationResponse::from(&issued.invitation);
    json(status, &IssuedInvitationResponse { invitation, delivery, token, url })
}

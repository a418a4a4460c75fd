//! Signing in (classic), staying signed in and signing out (v1).

use super::auth::RequireAccount;
use super::extract::{ClientAddress, JsonBody};
use super::http::Http;
use super::openapi::Access;
use super::problem::ApiError;
use super::rate_limit::announce;
use super::request_fields::request_fields;
use super::responses::json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use tenantry_domain::ErrorCode;
use tenantry_domain::app::auth::OrganizationRef;
use tenantry_domain::app::sessions::Grant;
use tenantry_domain::password::policy::PresentedPassword;
use tenantry_domain::rate_limit::SIGN_IN_PAIR;
use utoipa::ToSchema;

request_fields! {
    /// The credentials of an account.
    #[schema(as = SignIn)]
    pub struct SignInRequest in body {
        /// The address, in any case.
        #[schema(example = "admin@techcorp.com")]
        pub email: String = required(str::parse),
        /// The password.
        #[schema(example = "SecurePassword123")]
        pub password: PresentedPassword = required(|text| Ok::<_, Infallible>(PresentedPassword::new(text))),
        /// The id or identifier of one of your organizations; without it, the one that you named last.
        #[schema(example = "tech-innovations-corp")]
        pub organization: Option<OrganizationRef> = optional(parse_organization),
    }
}

/// The organization that a field or parameter names.
pub fn parse_organization(text: &str) -> Result<OrganizationRef, &'static str> {
    OrganizationRef::parse(text).map_err(|_| "Must be the id or the identifier of an organization.")
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub struct TokenResponse<'a> {
    /// Send it as `Authorization: Bearer <access_token>`.
    pub access_token: &'a str,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(example = 3600)]
    pub expires_in: u64,
    /// Can be exchanged once at `POST /v1/auth/refresh`.
    pub refresh_token: &'a str,
    /// The account: 24 hex digits.
    #[schema(value_type = String)]
    pub admin_id: tenantry_domain::ids::AccountId,
    /// The organization it signed in to: 24 hex digits.
    #[schema(value_type = String)]
    pub org_id: tenantry_domain::ids::OrganizationId,
    /// The name of that organization.
    pub organization_name: &'a str,
}

/// Sign in.
///
/// Exchanges an e-mail address and a password for an access token and a refresh token. The response does not
/// reveal whether the address exists.
#[utoipa::path(post, path = "/admin/login", operation_id = "signIn", tag = "Classic",
    request_body = SignInRequest, responses((status = 200, description = "Tokens.", body = TokenResponse<'static>)),
    extensions(("x-rule" = json!(Access::Public.refuses(&[
        ErrorCode::InvalidCredentials, ErrorCode::OrganizationSuspended, ErrorCode::OrganizationNotFound,
        ErrorCode::TooManyAttempts, ErrorCode::SignInBusy
    ])))))]
pub async fn login(
    State(http): State<Arc<Http>>,
    ClientAddress(network): ClientAddress,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let SignInRequest { email, password, organization } =
        body.fields()?.parse_known(SignInRequest::from_fields)?;
    let result = http.app.sessions.sign_in(&email, password, network, organization.as_ref()).await;
    let remaining = match &result {
        Ok(grant) => grant.remaining,
        Err(error) => error.attempts_left(),
    };
    let mut response = match result {
        Ok(grant) => tokens(StatusCode::OK, &grant),
        Err(error) => ApiError(error).into_response(),
    };
    announce(response.headers_mut(), "sign-in", SIGN_IN_PAIR, remaining);
    Ok(response)
}

request_fields! {
    /// A refresh token.
    #[schema(as = Refresh)]
    pub struct RefreshRequest in body {
        /// The refresh token from the last sign-in or exchange.
        pub refresh_token: String = required(str::parse),
    }
}

/// Exchange a refresh token for new tokens.
///
/// Each refresh token can be exchanged once. Using it again more than 10 seconds after its first use ends the
/// whole session.
#[utoipa::path(post, path = "/v1/auth/refresh", operation_id = "refreshTokens", tag = "Sign-in",
    request_body = RefreshRequest, responses((status = 200, description = "Tokens.", body = TokenResponse<'static>)),
    extensions(("x-rule" = json!(Access::Public.refuses(&[
        ErrorCode::RefreshTokenInvalid, ErrorCode::CredentialUnconfirmed
    ])))))]
pub async fn refresh(State(http): State<Arc<Http>>, body: JsonBody) -> Result<Response, ApiError> {
    let RefreshRequest { refresh_token } = body.fields()?.parse(RefreshRequest::from_fields)?;
    let grant = http.app.sessions.refresh(&refresh_token).await?;
    Ok(tokens(StatusCode::OK, &grant))
}

request_fields! {
    /// Another organization.
    pub struct SwitchOrganization in body {
        /// The id or identifier of one of your organizations.
        #[schema(example = "tech-innovations-corp")]
        pub organization: OrganizationRef = required(parse_organization),
    }
}

/// Get tokens of another organization of yours.
///
/// They are of a session of its own, which counts as begun with the same sign-in and ends with it at the latest. The session
/// of this token goes on. The next sign-in that names no organization is in this one.
#[utoipa::path(post, path = "/v1/auth/switch", operation_id = "switchOrganization", tag = "Sign-in",
    request_body = SwitchOrganization,
    responses((status = 200, description = "Tokens.", body = TokenResponse<'static>)),
    extensions(("x-rule" = json!(Access::Member.refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::OrganizationSuspended
    ])))))]
pub async fn switch(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let SwitchOrganization { organization } = body.fields()?.parse(SwitchOrganization::from_fields)?;
    let grant = http.app.sessions.switch(&member, &organization).await?;
    Ok(tokens(StatusCode::OK, &grant))
}

/// Sign out.
///
/// Ends the session of the access token. Its access and refresh tokens are refused from now on.
#[utoipa::path(post, path = "/v1/auth/logout", operation_id = "signOut", tag = "Sign-in",
    responses((status = 204, description = "The session has ended.")),
    extensions(("x-rule" = json!(Access::Member.refuses(&[])))))]
pub async fn logout(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
) -> Result<Response, ApiError> {
    http.app.sessions.sign_out(&member).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Tokens as an answer.
pub fn tokens(status: StatusCode, grant: &Grant) -> Response {
    let mut response = json(
        status,
        &TokenResponse {
            access_token: &grant.access_token,
            token_type: "bearer",
            expires_in: grant.expires_in.as_secs(),
            refresh_token: &grant.refresh_token,
            admin_id: grant.account.id,
            org_id: grant.organization.id,
            organization_name: grant.organization.naming.name.as_str(),
        },
    );
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

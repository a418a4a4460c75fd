//! Extractors that prove who the caller is. A handler that takes one cannot run without that proof.

mod basic;

use super::http::Http;
use super::path_params::{OrganizationPath, segment};
use super::problem::ApiError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use std::sync::Arc;
use tenantry_domain::app::auth::{
    AccountPrincipal, InvitationCaller, KeyCaller, Operator, OrganizationRef, Principal, TokenCaller,
    operator_or_service_only,
};
use tenantry_domain::app::operator::OPERATOR_KEY_PREFIX;
use tenantry_domain::app::tenant::{Right, TenantAccess};
use tenantry_domain::secret_text::PREFIX;
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

/// The credential of a request.
enum Credential<'a> {
    None,
    Key(&'a str),
    Token(&'a str),
}

fn credential(headers: &HeaderMap) -> Credential<'_> {
    let Some(Ok(value)) = headers.get(header::AUTHORIZATION).map(|value| value.to_str()) else {
        return Credential::None;
    };
    match value.split_once(' ') {
        Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") => match text.trim() {
            key if key.starts_with(OPERATOR_KEY_PREFIX) || key.starts_with(PREFIX) => Credential::Key(key),
            token => Credential::Token(token),
        },
        _ => Credential::None,
    }
}

/// The caller that a token proves, within the limits of its requests.
async fn authenticate(http: &Http, token: &str) -> Result<TokenCaller> {
    let caller = http.app.auth.authenticate(token).await?;
    http.request_limits.count_token(&caller)?;
    Ok(caller)
}

/// The caller that a key proves, within the limits of its requests.
async fn authenticate_key(http: &Http, key: &str) -> Result<KeyCaller> {
    let caller = http.app.auth.authenticate_key(key).await?;
    http.request_limits.count_key_caller(&caller)?;
    Ok(caller)
}

/// An account with a valid access token.
pub struct RequireAccount(pub AccountPrincipal);

impl FromRequestParts<Arc<Http>> for RequireAccount {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, ApiError> {
        match credential(&parts.headers) {
            Credential::None => Err(ErrorCode::TokenMissing.into()),
            Credential::Key(key) if key.starts_with(OPERATOR_KEY_PREFIX) => {
                Err(ErrorCode::TokenInvalid.into())
            }
            // A good key may know that it is not enough; a bad one learns only that it is bad.
            Credential::Key(key) => match authenticate_key(http, key).await {
                Ok(KeyCaller::Operator(_)) => Err(ErrorCode::TokenInvalid.into()),
                Ok(KeyCaller::Service(_) | KeyCaller::Organization(_)) => {
                    Err(ErrorCode::SessionRequired.into())
                }
                Err(error) if error.code() == ErrorCode::OperatorKeyInvalid => {
                    Err(ErrorCode::TokenInvalid.into())
                }
                Err(error) => Err(error.into()),
            },
            Credential::Token(token) => match authenticate(http, token).await? {
                TokenCaller::Member(member) => Ok(Self(*member)),
                TokenCaller::Key(_) => Err(ErrorCode::SessionRequired.into()),
            },
        }
    }
}

/// A caller with a good credential, for OAuth 2.0 clients also in the form `Basic`: the id of a service key as the name
/// of the client, and the key as its secret (RFC 6749, 2.3.1).
pub struct RequireClient(pub Principal);

impl FromRequestParts<Arc<Http>> for RequireClient {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, ApiError> {
        let Some(client) = basic::client_of(&parts.headers) else {
            let caller = optional(http, &parts.headers).await?;
            let missing = || {
                Error::new(ErrorCode::TokenMissing).detail(
                    "This request needs a service key with the permission `tokens:introspect`. Send it as \
                     `Authorization: Bearer <key>`, or as `Basic` with the id of the key as the name.",
                )
            };
            return Ok(Self(caller.ok_or_else(missing)?));
        };
        let wrong = || {
            Error::new(ErrorCode::TokenInvalid).detail(
                "`Basic` must be the base64 of `ID:KEY`: the id of the service key, which is the third part of its text, \
                 and the key.",
            )
        };
        let client = client.ok_or_else(wrong)?;
        let caller = authenticate_key(http, &client.secret).await?;
        let key_id = match &caller {
            KeyCaller::Operator(_) => None,
            KeyCaller::Service(service) => Some(service.key_id()),
            KeyCaller::Organization(key) => Some(key.key_id()),
        };
        if key_id.is_some_and(|id| id.to_string() == client.id) {
            Ok(Self(caller.into()))
        } else {
            Err(wrong().into())
        }
    }
}

/// An account with a good access token, or nobody. An operator key is no account.
pub struct OptionalAccount(pub Option<AccountPrincipal>);

impl FromRequestParts<Arc<Http>> for OptionalAccount {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, ApiError> {
        match credential(&parts.headers) {
            Credential::None => Ok(Self(None)),
            _ => {
                let RequireAccount(member) = RequireAccount::from_request_parts(parts, http).await?;
                Ok(Self(Some(member)))
            }
        }
    }
}

/// Who accepts an invitation: an account with a good access token, a person with the token of an identity provider, or
/// nobody.
pub struct OptionalInvitee(pub Option<InvitationCaller>);

impl FromRequestParts<Arc<Http>> for OptionalInvitee {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, ApiError> {
        match credential(&parts.headers) {
            Credential::Token(token) => {
                let caller = http.app.auth.authenticate_for_invitation(token).await?;
                if let InvitationCaller::Member(member) = &caller {
                    http.request_limits.count_member(member)?;
                }
                Ok(Self(Some(caller)))
            }
            Credential::None => Ok(Self(None)),
            Credential::Key(_) => {
                let RequireAccount(member) = RequireAccount::from_request_parts(parts, http).await?;
                Ok(Self(Some(InvitationCaller::Member(Box::new(member)))))
            }
        }
    }
}

/// The operator.
pub struct RequireOperator(pub Operator);

impl FromRequestParts<Arc<Http>> for RequireOperator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, ApiError> {
        match credential(&parts.headers) {
            Credential::None => Err(ErrorCode::OperatorKeyRequired.into()),
            Credential::Key(key) => match authenticate_key(http, key).await? {
                KeyCaller::Operator(operator) => Ok(Self(operator)),
                KeyCaller::Service(_) | KeyCaller::Organization(_) => Err(ErrorCode::OperatorOnly.into()),
            },
            // A good token may know that it is not enough; a bad one learns only that it is bad.
            Credential::Token(token) => {
                authenticate(http, token).await?;
                Err(ErrorCode::OperatorOnly.into())
            }
        }
    }
}

/// The refusal of a request without a credential, where more than the operator key will do.
fn key_required(needed: &str) -> ApiError {
    Error::new(ErrorCode::OperatorKeyRequired).detail(needed).into()
}

/// The operator, or the backend with a service key.
pub struct RequireOperatorOrService(pub Principal);

impl FromRequestParts<Arc<Http>> for RequireOperatorOrService {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, ApiError> {
        match credential(&parts.headers) {
            Credential::None => Err(key_required(
                "This request needs the operator key or a service key. Send `Authorization: Bearer <key>`.",
            )),
            Credential::Key(key) => match authenticate_key(http, key).await? {
                KeyCaller::Organization(_) => Err(operator_or_service_only().into()),
                caller => Ok(Self(caller.into())),
            },
            Credential::Token(token) => {
                authenticate(http, token).await?;
                Err(operator_or_service_only().into())
            }
        }
    }
}

/// The operator, or the backend with a service key, or somebody else with a good credential.
pub struct RequireOperatorOrCaller(pub Principal);

impl FromRequestParts<Arc<Http>> for RequireOperatorOrCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, ApiError> {
        let caller = optional(http, &parts.headers).await?;
        let needed = "This request needs the operator key or a service key; where people make organizations themselves \
                      (SIGNUP=open), also the access token of one of them. Send it as `Authorization: Bearer <it>`.";
        Ok(Self(caller.ok_or_else(|| key_required(needed))?))
    }
}

/// Any caller with a good credential.
pub struct RequireCaller(pub Principal);

impl FromRequestParts<Arc<Http>> for RequireCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, ApiError> {
        let caller = optional(http, &parts.headers).await?;
        Ok(Self(caller.ok_or(ErrorCode::TokenMissing)?))
    }
}

/// A member of the organization in the path, with the right `R` to its data. Proven before the body is read.
pub struct RequireTenant<R>(pub TenantAccess<R>);

impl<R: Right> FromRequestParts<Arc<Http>> for RequireTenant<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, ApiError> {
        let RequireCaller(caller) = RequireCaller::from_request_parts(parts, http).await?;
        let which = OrganizationRef::parse(&segment(parts, "organization")?)?;
        Ok(Self(http.app.auth.tenant(&caller, &which).await?))
    }
}

impl<R> IntoParams for RequireTenant<R> {
    fn into_params(parameter_in: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        OrganizationPath::into_params(parameter_in)
    }
}

/// The principal that the credential of a request proves, for a public route that shows more to a known caller.
///
/// # Errors
/// Those of the extractors: a credential that is sent must be valid.
pub async fn optional(http: &Http, headers: &HeaderMap) -> Result<Option<Principal>> {
    match credential(headers) {
        Credential::None => Ok(None),
        Credential::Key(key) => Ok(Some(authenticate_key(http, key).await?.into())),
        Credential::Token(token) => Ok(Some(authenticate(http, token).await?.into())),
    }
}

/// The operator, if the request carries an operator key.
///
/// # Errors
/// `operator_key_invalid`.
pub async fn operator_key(http: &Http, headers: &HeaderMap) -> Result<Option<Operator>> {
    match credential(headers) {
        Credential::Key(key) => match authenticate_key(http, key).await? {
            KeyCaller::Operator(operator) => Ok(Some(operator)),
            KeyCaller::Service(_) | KeyCaller::Organization(_) => Err(ErrorCode::OperatorOnly.into()),
        },
        Credential::None | Credential::Token(_) => Ok(None),
    }
}

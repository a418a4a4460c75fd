//! Exchanging a service key for a token of one organization.
//!
//! A service key opens no data. So every request that touches data names one organization, and no slip of a
//! backend crosses from one to another.

use super::auth::{Auth, OrganizationRef, Principal, ServicePrincipal};
use super::clock_and_entropy::ClockAndEntropy;
use super::policy::Policy;
use super::signing_keys::SigningKeys;
use crate::audit::{AuditAction, AuditEvent};
use crate::clock;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{EXCHANGED_TOKEN_DEFAULT, SUBJECT_MAX_BYTES};
use crate::operation::Actor;
use crate::organization::Organization;
use crate::permission::{Permission, PermissionSet, TOKEN_PERMISSIONS};
use crate::store::{self, Store};
use crate::token::{ActorClaim, Claims, ClaimsGrant, ExchangeClaims};
use std::sync::Arc;
use std::time::Duration;

/// The backend's own id of a user: 1 to 255 bytes, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// Reads one.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        if (1..=SUBJECT_MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("Must have 1 to {SUBJECT_MAX_BYTES} bytes, none of them a control character."))
    }
}

/// What a backend asks for.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// What the token is to allow.
    pub permissions: PermissionSet,
    /// The user it acts for, by the backend's own id.
    pub subject: Option<Subject>,
    /// How long it is to last.
    pub lifetime: Option<Duration>,
}

/// A token of one organization. Its `Debug` shows no token.
pub struct TokenGrant {
    /// The token.
    pub access_token: String,
    /// How long it lasts.
    pub lifetime: Duration,
    /// What it allows.
    pub permissions: PermissionSet,
    /// Whose data it opens.
    pub organization: Arc<Organization>,
}

/// Proof of a right to tokens of one organization.
pub struct IssueAccess {
    service: Box<ServicePrincipal>,
    organization: Arc<Organization>,
}

/// Exchanges keys.
pub struct TokenExchange {
    auth: Arc<Auth>,
    signing_keys: Arc<SigningKeys>,
    audit: Arc<dyn store::Audit>,
    is_enabled: bool,
    sources: ClockAndEntropy,
}

impl TokenExchange {
    pub(super) fn new(
        store: &Store,
        auth: &Arc<Auth>,
        signing_keys: &Arc<SigningKeys>,
        policy: &Policy,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            auth: auth.clone(),
            signing_keys: signing_keys.clone(),
            audit: store.audit.clone(),
            is_enabled: policy.exchange,
            sources: sources.clone(),
        }
    }

    /// The right to tokens of that organization: a service key's with the permission `tokens:issue`.
    ///
    /// # Errors
    /// `exchange_disabled`, `service_key_required`, `permission_missing`; `organization_not_found` also for
    /// one that the key does not cover; `organization_suspended`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn allow_issue(&self, caller: &Principal, which: &OrganizationRef) -> Result<IssueAccess> {
        let Principal::Service(service) = caller else {
            return Err(ErrorCode::ServiceKeyRequired.into());
        };
        if !self.is_enabled {
            return Err(ErrorCode::ExchangeDisabled.into());
        }
        service.require(Permission::TokensIssue)?;
        let organization = self.auth.visible(caller, which).await?;
        if organization.is_usable() {
            return Ok(IssueAccess { service: service.clone(), organization });
        }
        let is_suspended = organization.is_live();
        let code =
            if is_suspended { ErrorCode::OrganizationSuspended } else { ErrorCode::OrganizationNotFound };
        Err(code.into())
    }

    /// A token, once its event is in the organization's trail.
    ///
    /// # Errors
    /// `invalid_input` at `/permissions` for what the key or a token cannot carry; `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization.id))]
    pub async fn issue_token(&self, access: &IssueAccess, request: TokenRequest) -> Result<TokenGrant> {
        let IssueAccess { service, organization } = access;
        let allowed = service.key.permissions.intersection(TOKEN_PERMISSIONS);
        let excess = request.permissions.difference(allowed);
        if let Some(permission) = excess.iter().next() {
            let detail = format!("This key issues no token with `{permission}`.");
            return Err(Error::invalid_field("/permissions", detail));
        }
        let now = self.sources.now();
        let asked = request.lifetime.unwrap_or(EXCHANGED_TOKEN_DEFAULT);
        let lifetime = service.key.expires_at.map_or(asked, |end| asked.min(clock::between(now, end)));
        if lifetime < Duration::from_secs(1) {
            return Err(ErrorCode::KeyInvalid.into());
        }
        let tokens = self.signing_keys.tokens().await?;
        let actor = Actor::ApiKey(service.key.id);
        let event = self.sources.event(Some(organization.id), AuditAction::TokenIssued, actor);
        let event = event.detail("permissions", Some(request.permissions.to_scope()));
        let event = event.detail("expires_in", Some(lifetime.as_secs().to_string()));
        let subject = request.subject.as_ref().map(|subject| subject.0.clone());
        self.audit.insert_event(&AuditEvent { subject, ..event }).await?;
        let act = ActorClaim::of_key(service.key.id);
        let claims = Claims {
            iss: tokens.issuer().to_owned(),
            sub: act.sub.clone(),
            aud: tokens.audience().to_owned(),
            exp: clock::after(now, lifetime).as_second(),
            iat: now.as_second(),
            jti: hex::encode(self.sources.random::<16>()),
            client_id: Some(service.key.id.to_string()),
            org_id: organization.id.to_string(),
            grant: ClaimsGrant::Exchange(ExchangeClaims {
                scope: request.permissions.to_scope(),
                act,
                subject: request.subject.map(|subject| subject.0),
                key_generation: service.generation,
                org_epoch: organization.token_epoch,
            }),
        };
        let access_token = tokens.issue(&claims)?;
        Ok(TokenGrant {
            access_token,
            lifetime,
            permissions: request.permissions,
            organization: organization.clone(),
        })
    }
}

//! Saying of a token whether it is valid, and what it allows (RFC 7662), for services that get tokens from clients.

use super::auth::{Auth, Principal, ServicePrincipal, TokenCaller};
use crate::error::{ErrorCode, Result};
use crate::permission::{Permission, PermissionSet};
use crate::token::Claims;
use std::sync::Arc;

/// Proof of a right to ask about tokens.
pub struct IntrospectAccess(Box<ServicePrincipal>);

/// A token that is valid now.
pub struct ActiveToken {
    /// What it says.
    pub claims: Claims,
    /// What it allows now: a role may have changed since it was issued.
    pub permissions: PermissionSet,
}

/// Answers questions about tokens.
pub struct Introspection {
    auth: Arc<Auth>,
}

impl Introspection {
    pub(super) fn new(auth: &Arc<Auth>) -> Self {
        Self { auth: auth.clone() }
    }

    /// The right to ask: a service key's with the permission `tokens:introspect`.
    ///
    /// # Errors
    /// `service_key_required`, `permission_missing`.
    pub fn allow_introspection(&self, caller: &Principal) -> Result<IntrospectAccess> {
        let Principal::Service(service) = caller else {
            return Err(ErrorCode::ServiceKeyRequired.into());
        };
        service.require(Permission::TokensIntrospect)?;
        Ok(IntrospectAccess(service.clone()))
    }

    /// The token, if it is valid and of an organization that the key covers. Anything else is only said to be
    /// not active.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn introspect_token(
        &self,
        access: &IntrospectAccess,
        token: &str,
    ) -> Result<Option<ActiveToken>> {
        let (claims, caller) = match self.auth.authenticate_with_claims(token).await {
            Ok(found) => found,
            Err(error) if is_about_the_token(error.code()) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (organization, permissions) = match &caller {
            TokenCaller::Member(member) => (member.organization(), member.permissions()),
            TokenCaller::Key(key) => (key.organization(), key.permissions()),
        };
        Ok(access
            .0
            .covers(organization.id)
            .then(|| ActiveToken { claims: Arc::unwrap_or_clone(claims), permissions }))
    }
}

/// Whether a refusal says something about the token, and not about the service.
fn is_about_the_token(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::TokenInvalid
            | ErrorCode::TokenExpired
            | ErrorCode::TokenRevoked
            | ErrorCode::CredentialUnconfirmed
    )
}

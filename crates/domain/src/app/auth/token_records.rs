//! The records that an access token names.

use super::key_principal::{ExchangedToken, KeyGrant};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, OrganizationId, SessionId};
use crate::permission::PermissionSet;
use crate::token::{Claims, ClaimsGrant};
use jiff::Timestamp;

/// The records that a token names.
pub(super) enum TokenRecords {
    /// Those of a sign-in.
    Session(SessionId, AccountId, OrganizationId),
    /// Those of an exchange.
    Key(KeyGrant),
}

impl TokenRecords {
    /// Reads them from the claims. The token is ours, so an unreadable id in it means an invalid token, not a
    /// defect.
    pub(super) fn named_by(claims: &Claims) -> Result<Self> {
        let invalid = || Error::new(ErrorCode::TokenInvalid);
        let organization_id = claims.org_id.parse().map_err(|_| invalid())?;
        match &claims.grant {
            ClaimsGrant::Session(session) => {
                let session_id = session.sid.parse().map_err(|_| invalid())?;
                let account_id = claims.sub.parse().map_err(|_| invalid())?;
                Ok(Self::Session(session_id, account_id, organization_id))
            }
            ClaimsGrant::Exchange(exchange) => {
                let token = ExchangedToken {
                    permissions: PermissionSet::from_scope(&exchange.scope).ok_or_else(invalid)?,
                    organization_epoch: exchange.org_epoch,
                    expires_at: Timestamp::from_second(claims.exp).map_err(|_| invalid())?,
                };
                let key_id = exchange.act.key_id().ok_or_else(invalid)?;
                let generation = exchange.key_generation;
                Ok(Self::Key(KeyGrant { key_id, generation, organization_id, token: Some(token) }))
            }
        }
    }
}

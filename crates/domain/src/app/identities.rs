//! Identities: which accounts are linked to which persons of identity providers.
//!
//! # Pitfalls
//! A link comes about only by two proofs: of the person, by a token of the issuer, and of the account, by a session of
//! it, by an invitation to it, or by an address for which the settings make the issuer the authority.

use super::auth::{AccountPrincipal, Auth, ForeignCaller, linked_event};
use super::clock_and_entropy::ClockAndEntropy;
use crate::account::Account;
use crate::actor::Actor;
use crate::audit::{AuditAction, AuditEvent, AuditTarget};
use crate::error::{Error, ErrorCode, Result};
use crate::identity::{Identity, IdentityOrigin, identity_id};
use crate::ids::{AccountId, IdentityId, OrganizationId};
use crate::limits::{IDENTITIES_MAX, PAGE_MAX_ITEMS};
use crate::store::{self, BoundedInsert, Store};
use std::sync::Arc;

/// A link, and whether it was made just now.
pub(super) struct LinkedIdentity {
    pub(super) identity: Arc<Identity>,
    pub(super) is_new: bool,
}

/// The identities of accounts.
pub struct Identities {
    identities: Arc<dyn store::Identities>,
    accounts: Arc<dyn store::Accounts>,
    auth: Arc<Auth>,
    sources: ClockAndEntropy,
}

impl Identities {
    pub(super) fn new(store: &Store, auth: &Arc<Auth>, sources: &ClockAndEntropy) -> Self {
        Self {
            identities: store.identities.clone(),
            accounts: store.accounts.clone(),
            auth: auth.clone(),
            sources: sources.clone(),
        }
    }

    /// The identities of the caller's account: all of them, or those at the provider whose token it is.
    ///
    /// # Errors
    /// `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_own_identities(&self, member: &AccountPrincipal) -> Result<Vec<Arc<Identity>>> {
        let account = self.auth.current_member(member).await?.account;
        let mut identities = self.identities.list_identities(account.id, IDENTITIES_MAX).await?;
        let is_shown = |identity: &Identity| member.issuer().is_none_or(|issuer| identity.issuer == issuer);
        identities.retain(|identity| identity.opens(&account) && is_shown(identity));
        Ok(identities)
    }

    /// Links the caller's account with the person that `token` of an identity provider proves.
    ///
    /// # Errors
    /// `session_required`, `reauthentication_required`, `token_revoked`; `token_invalid` and `token_expired` about
    /// `token`; `identity_taken`, `too_many_identities`, `operation_in_progress`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn link_own_identity(&self, member: &AccountPrincipal, token: &str) -> Result<Arc<Identity>> {
        member.session()?;
        self.auth.require_recent(member)?;
        let foreign = self.auth.verify_foreign(token).await?;
        let account = self.auth.current_member(member).await?.account;
        let (origin, organization_id) = (IdentityOrigin::Account, member.organization.id);
        Ok(self.link(&foreign, &account, origin, organization_id).await?.identity)
    }

    /// Ends a link of the caller's account: tokens of that person open nothing from now on.
    ///
    /// # Errors
    /// `session_required`, `reauthentication_required`, `identity_not_found`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn unlink_own_identity(&self, member: &AccountPrincipal, id: IdentityId) -> Result<()> {
        member.session()?;
        self.auth.require_recent(member)?;
        let found = self.identities.get_identity(id).await?;
        let own = found.filter(|identity| identity.account_id == member.account.id);
        let own = own.ok_or(ErrorCode::IdentityNotFound)?;
        let event = unlinked_event(&self.sources, member.organization.id, &own);
        match self.identities.delete_identity(id, own.account_id, Some(&event)).await? {
            true => Ok(()),
            false => Err(ErrorCode::IdentityNotFound.into()),
        }
    }

    /// Links the person with that account, once. A link that is void, or with an account that is gone or was never made
    /// because the service died in between, makes room.
    pub(super) async fn link(
        &self,
        foreign: &ForeignCaller,
        account: &Account,
        origin: IdentityOrigin,
        organization_id: OrganizationId,
    ) -> Result<LinkedIdentity> {
        let mut has_room_made = false;
        loop {
            let now = self.sources.now();
            let identity = foreign.identity(account, origin, now);
            let event = linked_event(&self.sources, organization_id, &identity);
            match self.identities.insert_identity(&identity, IDENTITIES_MAX, Some(&event)).await? {
                BoundedInsert::New => {
                    return Ok(LinkedIdentity { identity: Arc::new(identity), is_new: true });
                }
                BoundedInsert::Full if has_room_made => {
                    return Err(Error::limit_reached(
                        ErrorCode::TooManyIdentities,
                        "The account",
                        IDENTITIES_MAX as usize,
                        "identities",
                    ));
                }
                BoundedInsert::Full => {
                    self.auth.remove_void_identities(account).await?;
                    has_room_made = true;
                    continue;
                }
                BoundedInsert::Exists => {}
            }
            // One that is not there was removed a moment ago.
            let found =
                self.identities.get_identity(identity.id).await?.ok_or(ErrorCode::OperationInProgress)?;
            if found.opens(account) && found.is_of(&identity.issuer, &identity.subject) {
                return Ok(LinkedIdentity { identity: found, is_new: false });
            }
            match self.accounts.get_account(found.account_id).await? {
                Some(holder) if found.opens(&holder) => return Err(ErrorCode::IdentityTaken.into()),
                None if found.is_settling(now) => return Err(ErrorCode::OperationInProgress.into()),
                _ => {}
            }
            self.identities.delete_identity(found.id, found.account_id, None).await?;
        }
    }

    /// Takes a link back that was made for something which did not come about.
    pub(super) async fn rollback(&self, identity: &Identity, organization_id: OrganizationId) {
        let event = unlinked_event(&self.sources, organization_id, identity);
        let deleted = self.identities.delete_identity(identity.id, identity.account_id, Some(&event)).await;
        if let Err(error) = deleted {
            tracing::warn!(account = %identity.account_id, %error, "a link that was to be taken back is left");
        }
    }

    /// The link of the person, if it is not void, and its account.
    pub(super) async fn find_linked(
        &self,
        foreign: &ForeignCaller,
    ) -> Result<Option<(Arc<Identity>, Arc<Account>)>> {
        let (issuer, subject) = (&foreign.claims.iss, &foreign.claims.sub);
        let found = self.identities.get_identity(identity_id(issuer, subject)).await?;
        let Some(found) = found.filter(|found| found.is_of(issuer, subject)) else { return Ok(None) };
        let account = self.accounts.get_account(found.account_id).await?;
        Ok(account.filter(|account| found.opens(account)).map(|account| (found, account)))
    }
}

/// The event of a link that has ended.
fn unlinked_event(
    sources: &ClockAndEntropy,
    organization_id: OrganizationId,
    identity: &Identity,
) -> AuditEvent {
    let actor = Actor::Account(identity.account_id);
    let event = sources.event(Some(organization_id), AuditAction::IdentityUnlinked, actor);
    event.on(AuditTarget::Account(identity.account_id)).detail("issuer", Some(&*identity.issuer))
}

/// Removes the links of an account that is about to be removed.
pub(super) async fn remove_identities(
    identities: &dyn store::Identities,
    account_id: AccountId,
) -> Result<()> {
    loop {
        let found = identities.list_identities(account_id, PAGE_MAX_ITEMS).await?;
        if found.is_empty() {
            return Ok(());
        }
        for identity in found {
            identities.delete_identity(identity.id, account_id, None).await?;
        }
    }
}

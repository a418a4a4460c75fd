//! Accepting an invitation with the token of an identity provider.

use super::Invitations;
use super::accept::{AcceptOutcome, Invitee, is_invited};
use crate::account::Account;
use crate::app::address_proof::ProvenBy;
use crate::app::auth::ForeignCaller;
use crate::app::identities::LinkedIdentity;
use crate::app::passwords::unknown_password;
use crate::error::{ErrorCode, Result};
use crate::identity::{Identity, IdentityOrigin};
use crate::ids::{AccountId, OrganizationId};
use crate::invitation::{Invitation, InvitationToken};
use std::sync::Arc;

impl Invitations {
    /// Lets the person with a token of an identity provider join, with the account that they are linked with, or
    /// else with a new one, which is linked with them. The issuer must speak for the organization.
    ///
    /// The link comes before the account: what a crash leaves in between opens nothing and makes room after a
    /// minute.
    ///
    /// # Errors
    /// As [`Self::accept_as`]; `account_exists` if the address has an account that the person is not linked with;
    /// `identity_taken`, `too_many_identities`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn accept_as_foreign(
        &self,
        foreign: &ForeignCaller,
        token: &InvitationToken,
    ) -> Result<AcceptOutcome> {
        let invitation = self.valid(token).await?;
        let organization = invitation.organization_id;
        if organization != foreign.organization_id {
            return Err(ErrorCode::InvitationForAnother.into());
        }
        self.require_open(token, organization).await?;
        let invitee = self.foreign_invitee(foreign, token, &invitation).await?;
        let (id, origin) = (invitee.id(), IdentityOrigin::Invitation);
        let LinkedIdentity { identity, is_new } =
            self.identities.link(foreign, invitee.account(), origin, organization).await?;
        match self.join(token, organization, &invitee, Some(foreign.issued_at)).await {
            Ok(outcome) => self.joined(id, outcome).await,
            // Where the store does not answer, the account may be made yet.
            Err(error) if is_new && error.code() != ErrorCode::StoreUnavailable => {
                if !self.is_member(id, organization).await? {
                    self.identities.rollback(&identity, organization).await;
                }
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn is_member(&self, id: AccountId, organization: OrganizationId) -> Result<bool> {
        let account = self.accounts.get_account(id).await?;
        Ok(account.is_some_and(|account| account.membership(organization).is_some()))
    }

    async fn foreign_invitee(
        &self,
        foreign: &ForeignCaller,
        token: &InvitationToken,
        invitation: &Invitation,
    ) -> Result<Invitee> {
        if let Some((identity, account)) = self.identities.find_linked(foreign).await? {
            return Ok(Invitee::Existing(
                self.linked_invitee(foreign, &identity, account, invitation).await?,
            ));
        }
        if let Some(account) = self.mailboxes.find_account(&invitation.email).await? {
            let of_address = self.auth.account_of_address(foreign).await?;
            if of_address.is_none_or(|found| found.id != account.id) {
                // As for a new account, what has changed meanwhile comes first.
                self.require_open(token, invitation.organization_id).await?;
                return Err(ErrorCode::AccountExists.into());
            }
            return Ok(Invitee::Existing(self.auth.prove_by_issuer(account).await?));
        }
        // The person may get a password by a link, as after forgetting it.
        let (now, hash) = (self.sources.now(), unknown_password(&self.sources));
        let id = AccountId::new(now, self.sources.entropy());
        let account = Account::new(id, invitation.email.clone(), hash, now);
        let is_proven = invitation.mailed || foreign.proves(&invitation.email);
        Ok(Invitee::New(Box::new(Account { email_verified_at: is_proven.then_some(now), ..account })))
    }

    /// The account that the person is linked with. As for one that is signed in here, its address must be the invited
    /// one, and proven before or by this call.
    async fn linked_invitee(
        &self,
        foreign: &ForeignCaller,
        identity: &Identity,
        account: Arc<Account>,
        invitation: &Invitation,
    ) -> Result<Arc<Account>> {
        is_invited(&account, invitation)?;
        if account.email_verified_at.is_some() {
            return Ok(account);
        }
        let by = match (invitation.mailed, foreign.proves(&invitation.email)) {
            (true, _) => ProvenBy::Invitation,
            (false, true) => ProvenBy::IdentityProvider,
            (false, false) => return Err(ErrorCode::EmailNotVerified.into()),
        };
        self.proof.linked(identity, by, |account| is_invited(account, invitation)).await
    }
}

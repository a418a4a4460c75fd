//! Checks a member's right once more: against the record of the sign-in (a session, or the link to an identity
//! provider), the account and the organization.

use super::{AccountPrincipal, Auth, ForeignSignIn, SignIn};
use crate::account::Account;
use crate::error::{ErrorCode, Result};
use crate::identity::identity_id;
use crate::organization::Organization;
use crate::session::Session;
use jiff::Timestamp;
use std::sync::Arc;

/// The records that a token of a session names, as far as they exist.
type SessionRecords = (Option<Arc<Session>>, Option<Arc<Account>>, Option<Arc<Organization>>);

impl Auth {
    /// Checks the principal once more, against recent records.
    ///
    /// # Errors
    /// `token_revoked`.
    pub(in crate::app) async fn renew_principal(
        &self,
        principal: &AccountPrincipal,
    ) -> Result<AccountPrincipal> {
        let organization = self.organizations.get_recent_organization(principal.organization.id).await?;
        self.renew_principal_in(principal, &organization.ok_or(ErrorCode::TokenRevoked)?).await
    }

    /// As [`Self::renew_principal`], with that record of the organization.
    ///
    /// # Errors
    /// `token_revoked`.
    pub(in crate::app) async fn renew_principal_in(
        &self,
        principal: &AccountPrincipal,
        organization: &Arc<Organization>,
    ) -> Result<AccountPrincipal> {
        let account = self.accounts.get_recent_account(principal.account.id);
        match &principal.sign_in {
            SignIn::Session(session) => {
                let session = self.sessions.get_recent_session(session.id);
                let (session, account) = tokio::try_join!(session, account)?;
                self.of_session(session, account, organization)
            }
            SignIn::Foreign(foreign) => {
                let link =
                    self.identities.get_recent_identity(identity_id(&foreign.issuer, &foreign.subject));
                let (link, account) = tokio::try_join!(link, account)?;
                let account = account.filter(|account| link.is_some_and(|link| link.opens(account)));
                of_foreign(foreign, account, organization)
            }
        }
    }

    /// The principal once more, checked against current records.
    ///
    /// # Errors
    /// `token_revoked`.
    pub(in crate::app) async fn current_member(
        &self,
        principal: &AccountPrincipal,
    ) -> Result<AccountPrincipal> {
        let organization = self.organizations.get_organization(principal.organization.id).await?;
        self.current_member_in(principal, &organization.ok_or(ErrorCode::TokenRevoked)?).await
    }

    /// As [`Self::current_member`], with that record of the organization, which may be about to change.
    ///
    /// # Errors
    /// `token_revoked`.
    pub(in crate::app) async fn current_member_in(
        &self,
        principal: &AccountPrincipal,
        organization: &Arc<Organization>,
    ) -> Result<AccountPrincipal> {
        let account = self.accounts.get_account(principal.account.id);
        match &principal.sign_in {
            SignIn::Session(session) => {
                let (session, account) = tokio::try_join!(self.sessions.get_session(session.id), account)?;
                self.of_session(session, account, organization)
            }
            SignIn::Foreign(foreign) => {
                let link = self.identities.get_identity(identity_id(&foreign.issuer, &foreign.subject));
                let (link, account) = tokio::try_join!(link, account)?;
                let account = account.filter(|account| link.is_some_and(|link| link.opens(account)));
                of_foreign(foreign, account, organization)
            }
        }
    }

    fn of_session(
        &self,
        session: Option<Arc<Session>>,
        account: Option<Arc<Account>>,
        organization: &Arc<Organization>,
    ) -> Result<AccountPrincipal> {
        let records = (session, account, Some(Arc::clone(organization)));
        proven(records, self.sources.now()).ok_or_else(|| ErrorCode::TokenRevoked.into())
    }
}

fn of_foreign(
    foreign: &Arc<ForeignSignIn>,
    account: Option<Arc<Account>>,
    organization: &Arc<Organization>,
) -> Result<AccountPrincipal> {
    let proven = account.and_then(|account| foreign_member(foreign, account, Arc::clone(organization)));
    proven.ok_or_else(|| ErrorCode::TokenRevoked.into())
}

/// The principal that these records prove.
pub(in crate::app) fn proven(records: SessionRecords, now: Timestamp) -> Option<AccountPrincipal> {
    let (Some(session), Some(account), Some(organization)) = records else { return None };
    let role = account.membership(organization.id)?.role;
    session.is_good(&account, &organization, now).then_some(AccountPrincipal {
        account,
        organization,
        sign_in: SignIn::Session(session),
        role,
    })
}

/// The principal that a sign-in at an identity provider proves, with the account that it is linked with. A token
/// that was issued before the membership, or before the last suspension, delete or restore of the organization, is
/// as dead as a session of that time.
pub(super) fn foreign_member(
    foreign: &Arc<ForeignSignIn>,
    account: Arc<Account>,
    organization: Arc<Organization>,
) -> Option<AccountPrincipal> {
    let membership = account.membership(organization.id)?;
    let since = membership.tokens_since.unwrap_or(membership.since);
    let since = organization.token_epoch_since.map_or(since, |epoch| epoch.max(since));
    // Tokens know seconds alone.
    let is_of_now = foreign.issued_at.as_second() >= since.as_second();
    let is_good = is_of_now && account.removing_since.is_none() && organization.is_usable();
    let role = membership.role;
    let sign_in = SignIn::Foreign(Arc::clone(foreign));
    is_good.then_some(AccountPrincipal { account, organization, sign_in, role })
}

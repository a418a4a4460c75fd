//! One's own sessions: where an account is signed in, and how it ends that.

use super::Sessions;
use crate::account::{Account, CredentialChange};
use crate::actor::Actor;
use crate::app::auth::{AccountPrincipal, proven};
use crate::audit::{AuditAction, AuditEvent, AuditTarget};
use crate::error::{ErrorCode, Result};
use crate::ids::SessionId;
use crate::limits::{PAGE_MAX_ITEMS, SESSIONS_MAX};
use crate::organization::Organization;
use crate::page::{Page, PageLimit};
use crate::session::Session;
use crate::store::UpdateOutcome;
use std::sync::Arc;

/// A session of the caller's account.
#[derive(Debug)]
pub struct OwnSession {
    /// The session.
    pub session: Arc<Session>,
    /// The organization that it is signed in to.
    pub organization: Arc<Organization>,
    /// Whether the request came with a token of it.
    pub is_current: bool,
}

impl Sessions {
    /// A page of the sessions of the caller's account in which tokens are good, in the order in which they
    /// began.
    ///
    /// # Errors
    /// `token_revoked`, `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_own_sessions(
        &self,
        member: &AccountPrincipal,
        mut after: Option<SessionId>,
        limit: PageLimit,
    ) -> Result<Page<OwnSession, SessionId>> {
        let current = member.session()?.id;
        let account = self.accounts.get_account(member.account.id).await?.ok_or(ErrorCode::TokenRevoked)?;
        let mut found = Vec::new();
        // Sessions that are dead are not counted: of those there may be many.
        loop {
            let batch = self.sessions.list_sessions_of_account(account.id, after, PAGE_MAX_ITEMS).await?;
            let is_last = batch.len() < PAGE_MAX_ITEMS as usize;
            after = batch.last().map(|session| session.id);
            for session in batch {
                found.extend(self.own_session(current, &account, session).await?);
            }
            if is_last || found.len() > limit.items() as usize {
                return Ok(Page::of(found, limit, |own| own.session.id));
            }
        }
    }

    /// The session as its account sees it; `None` if it is dead.
    async fn own_session(
        &self,
        current: SessionId,
        account: &Account,
        session: Arc<Session>,
    ) -> Result<Option<OwnSession>> {
        let now = self.sources.now();
        let is_current = session.id == current;
        if account.membership(session.organization_id).is_none() || (session.is_idle(now) && !is_current) {
            return Ok(None);
        }
        let organization = self.organizations.get_recent_organization(session.organization_id).await?;
        let organization = organization.filter(|organization| session.is_good(account, organization, now));
        Ok(organization.map(|organization| OwnSession { session, organization, is_current }))
    }

    /// Ends a session of the caller's account: its access and refresh tokens are invalid from now on.
    ///
    /// # Errors
    /// `session_not_found`, also for one of another account.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn end_own_session(&self, member: &AccountPrincipal, id: SessionId) -> Result<()> {
        member.session()?;
        let found = self.sessions.get_session(id).await?;
        let own = found.filter(|session| session.account_id == member.account.id);
        let own = own.ok_or(ErrorCode::SessionNotFound)?;
        let event = self.session_event(AuditAction::SessionEnded, &own);
        self.sessions.delete_session(id, Some(&event)).await
    }

    /// Ends all sessions of the caller's account, in all its organizations; the caller's own only if `keep_current`
    /// is false. It is one change of the account: sign-ins that are under way have begun before or after it.
    ///
    /// # Errors
    /// `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn end_own_sessions(&self, member: &AccountPrincipal, keep_current: bool) -> Result<()> {
        let session = member.session()?.id;
        let change =
            CredentialChange { kept_session: keep_current.then_some(session), ..CredentialChange::default() };
        let actor = Actor::Account(member.account.id);
        let event = self.sources.event(Some(member.organization.id), AuditAction::SessionsEnded, actor);
        let event = event.on(AuditTarget::Account(member.account.id));
        loop {
            let records = tokio::try_join!(
                self.sessions.get_session(session),
                self.accounts.get_account(member.account.id),
                self.organizations.get_organization(member.organization.id),
            )?;
            let now = self.sources.now();
            let current = proven(records, now).ok_or(ErrorCode::TokenRevoked)?;
            let next = current.account.with_credentials(&change, now);
            if self.accounts.update_account(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(());
            }
        }
    }

    /// Saves a new session, and ends those that are too many now. If that fails, the next sign-in does it.
    pub(super) async fn insert(&self, session: &Session, event: &AuditEvent) -> Result<()> {
        self.sessions.insert_session(session, Some(event)).await?;
        let excess = self.sessions.delete_excess_sessions(session.account_id, SESSIONS_MAX, PAGE_MAX_ITEMS);
        if let Err(error) = excess.await {
            tracing::warn!(account = %session.account_id, %error, "sessions beyond the limit were not ended");
        }
        Ok(())
    }
}

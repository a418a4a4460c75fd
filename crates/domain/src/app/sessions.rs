//! Sessions: sign-in, refresh and sign-out.

mod own;

pub use own::OwnSession;

use super::auth::{AccountPrincipal, OrganizationRef};
use super::clock_and_entropy::ClockAndEntropy;
use super::credentials::Credentials;
use super::mailboxes::Mailboxes;
use super::policy::Policy;
use super::restore_gate::RestoreGate;
use super::signing_keys::SigningKeys;
use crate::account::{Account, Membership, Role};
use crate::audit::{AuditAction, AuditEvent, AuditOutcome, AuditTarget, RequestOrigin};
use crate::clock;
use crate::email::{EmailAddress, EmailKey};
use crate::error::{ErrorCode, Result};
use crate::ids::{OrganizationId, SessionId};
use crate::limits::REFRESH_GRACE;
use crate::mac_keys::MacKeys;
use crate::metrics::{SIGN_IN_FAILURE_KINDS, SIGN_IN_FAILURES};
use crate::operation::Actor;
use crate::organization::Organization;
use crate::password::policy::PresentedPassword;
use crate::rate_limit::ClientNetwork;
use crate::refresh::RefreshToken;
use crate::session::{Session, UsedToken};
use crate::store::{self, Store, UpdateOutcome};
use crate::token::{CLIENT_ID, Claims, ClaimsGrant, SessionClaims};
use jiff::Timestamp;
use metrics::counter;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// The tokens that a client gets for its credentials. Its `Debug` shows no token.
pub struct Grant {
    /// Authenticates requests.
    pub access_token: String,
    /// The lifetime of the access token.
    pub expires_in: Duration,
    /// Can be exchanged once.
    pub refresh_token: String,
    /// Who signed in.
    pub account: Arc<Account>,
    /// The organization that they signed in to.
    pub organization: Arc<Organization>,
    /// How many wrong passwords are still allowed at once; `None` if they are not counted.
    pub remaining: Option<u32>,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant").field("account", &self.account.id).finish_non_exhaustive()
    }
}

/// The sessions of accounts.
pub struct Sessions {
    sessions: Arc<dyn store::Sessions>,
    accounts: Arc<dyn store::Accounts>,
    organizations: Arc<dyn store::Organizations>,
    mailboxes: Mailboxes,
    restored: Arc<RestoreGate>,
    credentials: Arc<Credentials>,
    signing_keys: Arc<SigningKeys>,
    mac_keys: MacKeys,
    policy: Arc<Policy>,
    sources: ClockAndEntropy,
}

impl Sessions {
    pub(super) fn new(
        store: &Store,
        (mailboxes, restored): (&Mailboxes, &Arc<RestoreGate>),
        credentials: &Arc<Credentials>,
        signing_keys: &Arc<SigningKeys>,
        mac_keys: MacKeys,
        policy: &Arc<Policy>,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            sessions: store.sessions.clone(),
            accounts: store.accounts.clone(),
            organizations: store.organizations.clone(),
            mailboxes: mailboxes.clone(),
            restored: restored.clone(),
            credentials: credentials.clone(),
            signing_keys: signing_keys.clone(),
            mac_keys,
            policy: policy.clone(),
            sources: sources.clone(),
        }
    }

    /// Signs in with an e-mail address and a password. The response is the same, and takes the same time, for an
    /// unknown address and a wrong password.
    ///
    /// # Errors
    /// `invalid_credentials`, `too_many_attempts`, `sign_in_busy`; if the password is right,
    /// `organization_suspended`, and `organization_not_found` if `which` is none of the account's organizations.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn sign_in(
        &self,
        email: &str,
        password: PresentedPassword,
        network: ClientNetwork,
        which: Option<&OrganizationRef>,
    ) -> Result<Grant> {
        let granted = self.try_sign_in(email, password, network, which).await;
        match &granted {
            Ok(grant) => RequestOrigin::note_organization(grant.organization.id),
            Err(error) => {
                let kind = SIGN_IN_FAILURE_KINDS.into_iter().find(|kind| *kind == error.code().code());
                counter!(SIGN_IN_FAILURES, "kind" => kind.unwrap_or("other")).increment(1);
            }
        }
        granted
    }

    async fn try_sign_in(
        &self,
        email: &str,
        password: PresentedPassword,
        network: ClientNetwork,
        which: Option<&OrganizationRef>,
    ) -> Result<Grant> {
        // An invalid address is treated like an unknown one.
        let (key, account) = match EmailAddress::parse_stored(email) {
            Ok(email) => (email.key(), self.mailboxes.find_account(&email).await?),
            Err(_) => {
                let key = EmailKey::impossible(email);
                let nobody = self.accounts.find_account(&key).await?;
                (key, nobody)
            }
        };
        let remaining = self.credentials.check_password(&key, account.as_deref(), password, network).await?;
        let Some(account) = account else { return Err(ErrorCode::InvalidCredentials.into()) };
        let organization = match which {
            None => self.place_of(&account).await?,
            Some(which) => {
                let organization = self.find_own(&account, which).await?;
                self.remember(&account, organization.id).await;
                organization
            }
        };
        Ok(Grant { remaining, ..self.begin(account, organization).await? })
    }

    /// Gives a signed-in account tokens of another organization of it, in a session of its own. That begins
    /// with the same sign-in and ends with it at the latest; the session of before goes on.
    ///
    /// # Errors
    /// `organization_not_found` also for one that is not the account's; `organization_suspended`;
    /// `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn switch(&self, member: &AccountPrincipal, which: &OrganizationRef) -> Result<Grant> {
        let (former, account, _) = match self.good_session(member.session()?.id).await {
            Err(error) if error.code() == ErrorCode::RefreshTokenInvalid => {
                return Err(ErrorCode::TokenRevoked.into());
            }
            good => good?,
        };
        let organization = self.find_own(&account, which).await?;
        let membership = account.membership(organization.id).ok_or(ErrorCode::OrganizationNotFound)?;
        let secret = self.sources.random();
        let new = self.new_session(&account, membership, &organization, secret);
        let session = Session {
            signed_in_at: former.signed_in_at,
            expires_at: former.expires_at,
            idle_expires_at: new.idle_expires_at.min(former.expires_at),
            ..new
        };
        let event = self.session_event(AuditAction::SessionStarted, &session).detail("by", Some("switch"));
        self.insert(&session, &event).await?;
        self.remember(&account, organization.id).await;
        self.grant(&session, &RefreshToken::first(session.id, secret), account, organization).await
    }

    /// That organization, if the account belongs to it.
    async fn find_own(&self, account: &Account, which: &OrganizationRef) -> Result<Arc<Organization>> {
        let found = match which {
            OrganizationRef::Id(id) => self.organizations.get_organization(*id).await?,
            OrganizationRef::Identifier(name) => self.organizations.find_organization(name).await?,
        };
        let own = found.filter(|found| found.is_live() && account.membership(found.id).is_some());
        let own = own.ok_or(ErrorCode::OrganizationNotFound)?;
        if own.is_usable() { Ok(own) } else { Err(ErrorCode::OrganizationSuspended.into()) }
    }

    /// Notes where the account wants to be. Nothing depends on it, so it is left out if something else changes
    /// the account.
    async fn remember(&self, account: &Account, organization: OrganizationId) {
        if account.last_organization == Some(organization) {
            return;
        }
        let next = Account { last_organization: Some(organization), ..account.successor(self.sources.now()) };
        if let Err(error) = self.accounts.update_account(&next, None).await {
            tracing::debug!(account = %account.id, %error, "the organization of a sign-in was not noted");
        }
    }

    /// Begins a session of an account whose password was given, in an organization of it.
    pub(super) async fn begin(
        &self,
        account: Arc<Account>,
        organization: Arc<Organization>,
    ) -> Result<Grant> {
        let membership = account.membership(organization.id).ok_or(ErrorCode::InvalidCredentials)?;
        let session_secret = self.sources.random();
        let session = self.new_session(&account, membership, &organization, session_secret);
        let event = self.session_event(AuditAction::SessionStarted, &session);
        self.insert(&session, &event).await?;
        let token = RefreshToken::first(session.id, session_secret);
        self.grant(&session, &token, account, organization).await
    }

    /// Exchanges a refresh token for a new one and an access token. A token that was used before ends the whole
    /// session, unless it was used only a moment ago: then it gets the same successor again.
    ///
    /// # Errors
    /// `refresh_token_invalid`, `credential_unconfirmed`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn refresh(&self, token: &str) -> Result<Grant> {
        let token = self.mac_keys.accepted().find_map(|key| RefreshToken::parse(token, key));
        let token = token.ok_or(ErrorCode::RefreshTokenInvalid)?;
        self.restored.check_id(token.session_id.milliseconds()).await?;
        loop {
            let (session, account, organization) = self.good_session(token.session_id).await?;
            let now = self.sources.now();
            if bool::from(session.token_hash.ct_eq(&token.hash())) {
                let (next, successor) = self.exchange(&session, &token, now);
                match self.sessions.update_session(&next).await? {
                    UpdateOutcome::Done => {
                        return self.grant(&next, &successor, account, organization).await;
                    }
                    // Another request has used this token in the meantime; the next iteration sees its result.
                    UpdateOutcome::Stale => continue,
                }
            }
            let again = session.used.as_ref().filter(|used| {
                bool::from(used.hash.ct_eq(&token.hash())) && clock::apart(used.used_at, now) <= REFRESH_GRACE
            });
            if let Some(used) = again {
                return self.grant(&session, &token.successor(&used.salt), account, organization).await;
            }
            tracing::warn!(session = %session.id, "a refresh token was reused: the session is ended");
            let event = self.session_event(AuditAction::RefreshReused, &session);
            let event = AuditEvent { outcome: AuditOutcome::Denied, ..event };
            self.sessions.delete_session(session.id, Some(&event)).await?;
            return Err(ErrorCode::RefreshTokenInvalid.into());
        }
    }

    /// Ends the caller's session: its access and refresh tokens are invalid from now on.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %member.organization.id))]
    pub async fn sign_out(&self, member: &AccountPrincipal) -> Result<()> {
        let session = member.session()?;
        let event = self.session_event(AuditAction::SessionEnded, session);
        self.sessions.delete_session(session.id, Some(&event)).await
    }

    fn session_event(&self, action: AuditAction, session: &Session) -> AuditEvent {
        let actor = Actor::Account(session.account_id);
        let event = self.sources.event(Some(session.organization_id), action, actor);
        event.on(AuditTarget::Session(session.id))
    }

    /// The organization that an account signs in to without naming one: the one that it named last, or else the
    /// first that is in use.
    async fn place_of(&self, account: &Account) -> Result<Arc<Organization>> {
        let mut suspended = false;
        let last = account.last_organization.and_then(|id| account.membership(id));
        for membership in last.into_iter().chain(&account.memberships) {
            let found = self.organizations.get_organization(membership.organization_id).await?;
            match found {
                Some(organization) if organization.is_usable() => return Ok(organization),
                Some(organization) => suspended |= organization.is_live(),
                None => {}
            }
        }
        Err(if suspended { ErrorCode::OrganizationSuspended } else { ErrorCode::InvalidCredentials }.into())
    }

    fn new_session(
        &self,
        account: &Account,
        membership: &Membership,
        organization: &Organization,
        secret: [u8; 32],
    ) -> Session {
        let now = self.sources.now();
        let id = SessionId::new(now, self.sources.entropy());
        Session {
            id,
            account_id: account.id,
            organization_id: organization.id,
            credential_epoch: account.credential_epoch,
            membership_epoch: membership.epoch,
            organization_epoch: organization.token_epoch,
            signed_in_at: now,
            expires_at: clock::after(now, self.policy.refresh_absolute_lifetime),
            idle_expires_at: clock::after(now, self.policy.refresh_idle_lifetime),
            generation: 0,
            token_hash: RefreshToken::first(id, secret).hash(),
            used: None,
            version: 1,
        }
    }

    /// The session with its account and organization, if its refresh tokens may be valid.
    async fn good_session(&self, id: SessionId) -> Result<(Arc<Session>, Arc<Account>, Arc<Organization>)> {
        let session = self.sessions.get_session(id).await?.ok_or(ErrorCode::RefreshTokenInvalid)?;
        let (account, organization) = tokio::try_join!(
            self.accounts.get_account(session.account_id),
            self.organizations.get_organization(session.organization_id),
        )?;
        let now = self.sources.now();
        match (account, organization) {
            (Some(account), Some(organization))
                if !session.is_idle(now) && session.is_good(&account, &organization, now) =>
            {
                Ok((session, account, organization))
            }
            _ => Err(ErrorCode::RefreshTokenInvalid.into()),
        }
    }

    /// The session after `token` was used at `now`, and the next token.
    fn exchange(&self, session: &Session, token: &RefreshToken, now: Timestamp) -> (Session, RefreshToken) {
        let salt = self.sources.random();
        let successor = token.successor(&salt);
        let idle = clock::after(now, self.policy.refresh_idle_lifetime);
        let next = Session {
            idle_expires_at: idle.min(session.expires_at),
            generation: successor.generation,
            token_hash: successor.hash(),
            used: Some(UsedToken { hash: session.token_hash, salt, used_at: now }),
            version: session.version + 1,
            ..session.clone()
        };
        (next, successor)
    }

    async fn grant(
        &self,
        session: &Session,
        token: &RefreshToken,
        account: Arc<Account>,
        organization: Arc<Organization>,
    ) -> Result<Grant> {
        let tokens = self.signing_keys.tokens().await?;
        let now = self.sources.now();
        let lifetime = self.policy.access_lifetime.min(clock::between(now, session.expires_at));
        let role = account.membership(organization.id).map(|membership| membership.role);
        let claims = Claims {
            iss: tokens.issuer().to_owned(),
            sub: account.id.to_string(),
            aud: tokens.audience().to_owned(),
            exp: clock::after(now, lifetime).as_second(),
            iat: now.as_second(),
            jti: hex::encode(self.sources.random::<16>()),
            client_id: Some(CLIENT_ID.to_owned()),
            org_id: organization.id.to_string(),
            grant: ClaimsGrant::Session(SessionClaims {
                auth_time: session.signed_in_at.as_second(),
                admin_id: account.id.to_string(),
                email: account.email.as_str().to_owned(),
                role: role.as_ref().map_or("", Role::as_str).to_owned(),
                sid: session.id.to_string(),
            }),
        };
        Ok(Grant {
            access_token: tokens.issue(&claims)?,
            expires_in: lifetime,
            refresh_token: token.text(self.mac_keys.current()),
            account,
            organization,
            remaining: None,
        })
    }
}

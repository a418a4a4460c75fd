//! Authenticates callers that come with a key, or with a token that a key was exchanged for.
//!
//! A key of the operator's backend (a service key) acts on organizations and opens no data. A key of an
//! organization, and a token that a service key was exchanged for, are bound to one organization, and carry
//! a set of permissions.

use super::key_principal::{KeyGrant, KeyPrincipal, ServicePrincipal, proven};
use super::principal::KeyCaller;
use super::{Auth, note_caller, operator};
use crate::api_key::{ApiKey, ApiKeyKind, ApiKeyOwner, ApiKeyText};
use crate::audit::RequestOrigin;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{ApiKeyId, OrganizationId};
use crate::operation::Actor;
use crate::organization::{Organization, State};
use crate::permission::{Permission, PermissionSet};
use std::sync::Arc;

impl Auth {
    /// The caller that a key proves, checked against recent records. A refusal always rests on current ones.
    ///
    /// # Errors
    /// `key_malformed`, `key_invalid`, `operator_key_invalid`, `credential_unconfirmed`, `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn authenticate_key(&self, text: &str) -> Result<KeyCaller> {
        let caller = self.prove_key(text).await?;
        match &caller {
            KeyCaller::Operator(_) => RequestOrigin::note_caller(Actor::Operator, None),
            KeyCaller::Service(service) => {
                RequestOrigin::note_caller(Actor::ApiKey(service.key.id), None);
            }
            KeyCaller::Organization(key) => note_caller(Actor::ApiKey(key.key_id()), &key.organization),
        }
        Ok(caller)
    }

    async fn prove_key(&self, text: &str) -> Result<KeyCaller> {
        if text.starts_with(operator::OPERATOR_KEY_PREFIX) {
            return self.authenticate_operator(text).await.map(KeyCaller::Operator);
        }
        let key = ApiKeyText::parse(text).map_err(|_| ErrorCode::KeyMalformed)?;
        match key.kind() {
            ApiKeyKind::Operator => self.authenticate_operator(text).await.map(KeyCaller::Operator),
            ApiKeyKind::Service => {
                let service = self.authenticate_service(&key).await?;
                Ok(KeyCaller::Service(Box::new(service)))
            }
            ApiKeyKind::Organization => {
                let principal = self.authenticate_organization_key(&key).await?;
                Ok(KeyCaller::Organization(Box::new(principal)))
            }
        }
    }

    async fn authenticate_service(&self, text: &ApiKeyText) -> Result<ServicePrincipal> {
        let now = self.sources.now();
        for is_recent in [true, false] {
            // What is not there was just looked up.
            let Some(key) = self.api_key(text.id(), is_recent).await? else { break };
            if key.owner == ApiKeyOwner::Installation
                && let Some(generation) = key.generation_of(text, now)
            {
                self.restored.check_id(key.id.milliseconds()).await?;
                self.key_uses.note(&key, now);
                return Ok(ServicePrincipal { key, generation });
            }
        }
        Err(ErrorCode::KeyInvalid.into())
    }

    async fn authenticate_organization_key(&self, text: &ApiKeyText) -> Result<KeyPrincipal> {
        let now = self.sources.now();
        for is_recent in [true, false] {
            // What is not there was just looked up.
            let Some(key) = self.api_key(text.id(), is_recent).await? else { break };
            let (ApiKeyOwner::Organization(organization_id), Some(generation)) =
                (key.owner, key.generation_of(text, now))
            else {
                continue;
            };
            let grant = KeyGrant { key_id: key.id, generation, organization_id, token: None };
            if let Some(principal) = self.prove_grant(&grant, &key, is_recent).await? {
                self.restored.check_id(key.id.milliseconds()).await?;
                self.key_uses.note(&key, now);
                return Ok(principal);
            }
            if !is_recent {
                return Err(self.explain_ended_key(organization_id).await?);
            }
        }
        Err(ErrorCode::KeyInvalid.into())
    }

    /// The refusal of a key whose secret is right: who has it may know what has changed, and whether a new key helps.
    async fn explain_ended_key(&self, organization_id: OrganizationId) -> Result<Error> {
        let refusal = Error::new(ErrorCode::KeyInvalid);
        let Some(organization) = self.organizations.get_organization(organization_id).await? else {
            return Ok(refusal);
        };
        Ok(if organization.is_usable() {
            refusal.detail(
                "The key has ended, because the member who made it has left the organization or has a lower role since. \
                 Have an admin rotate it or make a new one.",
            )
        } else if organization.state == State::Active {
            refusal.detail(
                "The organization of the key is suspended. Keep the key: it works again once the operator of the \
                 service has reactivated the organization.",
            )
        } else {
            refusal
        })
    }

    /// The caller that an exchanged token proves.
    pub(in crate::app) async fn authenticate_grant(&self, grant: &KeyGrant) -> Result<KeyPrincipal> {
        match self.renew_grant(grant, true).await? {
            Some(principal) => Ok(principal),
            None => self.current_grant(grant).await,
        }
    }

    /// The grant once more, checked against current records.
    pub(in crate::app) async fn current_grant(&self, grant: &KeyGrant) -> Result<KeyPrincipal> {
        let refusal = if grant.token.is_some() { ErrorCode::TokenRevoked } else { ErrorCode::KeyInvalid };
        self.renew_grant(grant, false).await?.ok_or_else(|| refusal.into())
    }

    async fn renew_grant(&self, grant: &KeyGrant, is_recent: bool) -> Result<Option<KeyPrincipal>> {
        if grant.token.is_some() && !self.exchange {
            return Ok(None);
        }
        match self.api_key(grant.key_id, is_recent).await? {
            Some(key) => self.prove_grant(grant, &key, is_recent).await,
            None => Ok(None),
        }
    }

    async fn prove_grant(
        &self,
        grant: &KeyGrant,
        key: &ApiKey,
        is_recent: bool,
    ) -> Result<Option<KeyPrincipal>> {
        let organization_id = grant.organization_id;
        let organization = match is_recent {
            true => self.organizations.get_recent_organization(organization_id).await?,
            false => self.organizations.get_organization(organization_id).await?,
        };
        let maker = match (&key.maker, is_recent) {
            (None, _) => None,
            (Some(maker), true) => self.accounts.get_recent_account(maker.account_id).await?,
            (Some(maker), false) => self.accounts.get_account(maker.account_id).await?,
        };
        let Some(organization) = organization else { return Ok(None) };
        Ok(proven(grant, key, organization, maker.as_deref(), self.sources.now()))
    }

    async fn api_key(&self, id: ApiKeyId, is_recent: bool) -> Result<Option<Arc<ApiKey>>> {
        match is_recent {
            true => self.api_keys.get_recent_api_key(id).await,
            false => self.api_keys.get_api_key(id).await,
        }
    }

    /// What a key allows in the `organization`, as it is; `None` if it has ended.
    pub(in crate::app) async fn current_key_permissions(
        &self,
        id: ApiKeyId,
        organization: &Organization,
    ) -> Result<Option<PermissionSet>> {
        let Some(key) = self.api_key(id, false).await? else { return Ok(None) };
        let (generation, organization_id) = (key.generation, organization.id);
        if key.owner == ApiKeyOwner::Installation {
            let is_valid =
                key.accepts_generation(generation, self.sources.now()) && key.covers(organization_id);
            return Ok(is_valid.then_some(key.permissions));
        }
        let grant = KeyGrant { key_id: id, generation, organization_id, token: None };
        let principal = self.prove_grant(&grant, &key, false).await?;
        Ok(principal.map(|principal| principal.permissions()))
    }

    /// Refuses a service key whose right has ended since it was proven.
    pub(in crate::app) async fn confirm_service(
        &self,
        service: &ServicePrincipal,
        permission: Permission,
    ) -> Result<ServicePrincipal> {
        let key = self.api_key(service.key.id, false).await?.ok_or(ErrorCode::KeyInvalid)?;
        if !key.accepts_generation(service.generation, self.sources.now()) {
            return Err(ErrorCode::KeyInvalid.into());
        }
        let service = ServicePrincipal { key, generation: service.generation };
        service.require(permission)?;
        Ok(service)
    }
}

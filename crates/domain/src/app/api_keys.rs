//! API keys: making, listing, rotating and revoking those of the installation and of one organization.

use super::auth::{Auth, Authorization, Operator, OrganizationRef, Principal};
use super::clock_and_entropy::ClockAndEntropy;
use crate::api_key::{ApiKey, ApiKeyKind, ApiKeyMaker, ApiKeyOwner, ApiKeyText};
use crate::audit::{AuditAction, AuditEvent, AuditTarget};
use crate::clock;
use crate::error::{Error, ErrorCode, FieldError, Result};
use crate::ids::{ApiKeyId, OrganizationId};
use crate::limits::{KEY_NAME_MAX_CHARS, ORGANIZATION_KEYS_MAX, SERVICE_KEYS_MAX};
use crate::operation::Actor;
use crate::page::{Page, PageLimit};
use crate::permission::{ORGANIZATION_KEY_PERMISSIONS, Permission, PermissionSet, SERVICE_KEY_PERMISSIONS};
use crate::store::{self, BoundedInsert, Store, UpdateOutcome};
use std::sync::Arc;
use std::time::Duration;

/// Proof of a right to the keys of one owner.
#[derive(Debug, Clone)]
pub struct KeyAccess {
    owner: ApiKeyOwner,
    /// What a new key may carry at most.
    ceiling: PermissionSet,
    maker: Option<ApiKeyMaker>,
    authority: Authorization,
}

impl KeyAccess {
    /// Refuses the operator where a key of an organization is made: it opens data.
    /// The organization whose keys they are; `None` for service keys.
    const fn organization_id(&self) -> Option<OrganizationId> {
        match self.owner {
            ApiKeyOwner::Organization(id) => Some(id),
            ApiKeyOwner::Installation => None,
        }
    }

    fn require_person(&self) -> Result<()> {
        match (self.owner, &self.authority) {
            (ApiKeyOwner::Organization(_), Authorization::Operator) => Err(ErrorCode::SessionRequired.into()),
            _ => Ok(()),
        }
    }

    /// Refuses permissions that a new key cannot have.
    fn check_permissions(&self, wanted: &[Permission]) -> Result<()> {
        let excess = wanted.iter().enumerate().filter(|(_, permission)| !self.ceiling.contains(**permission));
        let excess = excess.map(|(index, permission)| FieldError {
            pointer: format!("/permissions/{index}"),
            detail: match self.ceiling.is_empty() {
                true => {
                    format!("Your role does not allow `{permission}`, nor anything else a key can carry.")
                }
                false => format!(
                    "Your role does not allow `{permission}`. A key that you make can carry {}.",
                    self.ceiling.listed()
                ),
            },
        });
        let excess: Vec<_> = excess.collect();
        if excess.is_empty() { Ok(()) } else { Err(Error::invalid(excess)) }
    }

    /// Refuses a key that carries more than the caller may hand out.
    fn check_key(&self, key: &ApiKey) -> Result<()> {
        let excess = key.permissions.difference(self.ceiling);
        if excess.is_empty() {
            return Ok(());
        }
        let detail = format!(
            "The key carries more than your role allows: {}. Ask an owner or admin of the organization.",
            excess.listed()
        );
        Err(Error::new(ErrorCode::RoleInsufficient).detail(detail))
    }
}

/// The name of a key: 1 to 100 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// Reads a name; white space around it goes.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim();
        let is_plain = !name.chars().any(char::is_control);
        if is_plain && (1..=KEY_NAME_MAX_CHARS).contains(&name.chars().count()) {
            return Ok(Self(name.to_owned()));
        }
        Err(format!("Must have 1 to {KEY_NAME_MAX_CHARS} characters, none of them a control character."))
    }
}

/// What a new key is made from.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// What people call it.
    pub name: KeyName,
    /// What it allows, in the order of the request.
    pub permissions: Vec<Permission>,
    /// For a service key, the organizations that it is limited to, in the order of the request.
    pub organizations: Option<Vec<OrganizationId>>,
    /// How long it lasts; `None` means until it is revoked.
    pub lifetime: Option<Duration>,
}

/// A key with its text, which is shown once.
pub struct IssuedApiKey {
    /// The record.
    pub key: Arc<ApiKey>,
    /// The text.
    pub text: ApiKeyText,
}

/// The keys.
pub struct ApiKeys {
    keys: Arc<dyn store::ApiKeys>,
    organizations: Arc<dyn store::Organizations>,
    auth: Arc<Auth>,
    sources: ClockAndEntropy,
}

impl ApiKeys {
    pub(super) fn new(store: &Store, auth: &Arc<Auth>, sources: &ClockAndEntropy) -> Self {
        Self {
            keys: store.api_keys.clone(),
            organizations: store.organizations.clone(),
            auth: auth.clone(),
            sources: sources.clone(),
        }
    }

    /// The operator's right to service keys.
    #[must_use]
    pub fn manage_service_keys(&self, _: &Operator) -> KeyAccess {
        KeyAccess {
            owner: ApiKeyOwner::Installation,
            ceiling: SERVICE_KEY_PERMISSIONS,
            maker: None,
            authority: Authorization::Operator,
        }
    }

    /// The right to list the keys of an organization: its admins', and the operator's.
    ///
    /// # Errors
    /// `organization_not_found`, `role_insufficient`, `session_required`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn read_organization_keys(
        &self,
        caller: &Principal,
        which: &OrganizationRef,
    ) -> Result<KeyAccess> {
        self.organization_keys(caller, which, Permission::KeysRead).await
    }

    /// The right to make, rotate and revoke the keys of an organization: its admins', after a recent sign-in.
    /// The operator may revoke them, and makes none: a key opens data.
    ///
    /// # Errors
    /// `organization_not_found`, `role_insufficient`, `session_required`, `reauthentication_required`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn manage_organization_keys(
        &self,
        caller: &Principal,
        which: &OrganizationRef,
    ) -> Result<KeyAccess> {
        let access = self.organization_keys(caller, which, Permission::KeysWrite).await?;
        if let Principal::Member(member) = caller {
            self.auth.require_recent(member)?;
        }
        Ok(access)
    }

    async fn organization_keys(
        &self,
        caller: &Principal,
        which: &OrganizationRef,
        permission: Permission,
    ) -> Result<KeyAccess> {
        let organization = self.auth.visible(caller, which).await?;
        let owner = ApiKeyOwner::Organization(organization.id);
        match caller {
            Principal::Operator(_) => Ok(KeyAccess {
                owner,
                ceiling: PermissionSet::EMPTY,
                maker: None,
                authority: Authorization::Operator,
            }),
            Principal::Member(member) => {
                member.require(permission)?;
                let membership = member.account.membership(organization.id);
                let membership = membership.ok_or(ErrorCode::OrganizationNotFound)?;
                Ok(KeyAccess {
                    owner,
                    ceiling: ORGANIZATION_KEY_PERMISSIONS.intersection(member.permissions()),
                    maker: Some(ApiKeyMaker {
                        account_id: member.account.id,
                        membership_epoch: membership.epoch,
                    }),
                    authority: Authorization::Member(member.clone()),
                })
            }
            Principal::Service(_) | Principal::Key(_) => Err(ErrorCode::SessionRequired.into()),
        }
    }

    /// Makes a key.
    ///
    /// # Errors
    /// `invalid_input` at `/permissions` for permissions that its maker does not have or such a key cannot
    /// carry, and at `/organizations` for what is no organization; `too_many_keys`, `session_required`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = access.organization_id().map(tracing::field::display)))]
    pub async fn create_key(&self, access: &KeyAccess, new: NewApiKey) -> Result<IssuedApiKey> {
        access.require_person()?;
        access.check_permissions(&new.permissions)?;
        self.confirm(access).await?;
        let organizations = self.known_organizations(new.organizations).await?;
        let now = self.sources.now();
        let id = ApiKeyId::new(now, self.sources.entropy());
        let text = ApiKeyText::generate(access.owner.kind(), id, self.sources.entropy());
        let key = ApiKey {
            id,
            owner: access.owner,
            name: new.name.0,
            hash: text.hash(),
            unconfirmed: None,
            generation: 0,
            replaced: None,
            permissions: new.permissions.into_iter().collect(),
            organizations,
            maker: access.maker.clone(),
            created_at: now,
            expires_at: new.lifetime.map(|lifetime| clock::after(now, lifetime)),
            last_used_at: None,
            version: 1,
        };
        let limit = match access.owner.kind() {
            ApiKeyKind::Organization => ORGANIZATION_KEYS_MAX,
            ApiKeyKind::Service | ApiKeyKind::Operator => SERVICE_KEYS_MAX,
        };
        let event = self.key_event(access, AuditAction::KeyCreated, &key);
        match self.keys.insert_api_key(&key, limit, Some(&event)).await? {
            BoundedInsert::New => {
                self.revoke_if_late(&key).await?;
                Ok(IssuedApiKey { key: Arc::new(key), text })
            }
            BoundedInsert::Full => {
                let whose = match access.owner.kind() {
                    ApiKeyKind::Organization => "The organization",
                    ApiKeyKind::Service | ApiKeyKind::Operator => "The installation",
                };
                Err(Error::limit_reached(ErrorCode::TooManyKeys, whose, limit as usize, "keys"))
            }
            BoundedInsert::Exists => Err(Error::internal("a new id of a key exists")),
        }
    }

    /// The organizations that a key is to be limited to, each once.
    async fn known_organizations(
        &self,
        listed: Option<Vec<OrganizationId>>,
    ) -> Result<Option<Vec<OrganizationId>>> {
        let Some(listed) = listed else { return Ok(None) };
        let (mut known, mut unknown) = (Vec::with_capacity(listed.len()), Vec::new());
        for (index, id) in listed.into_iter().enumerate() {
            if known.contains(&id) {
                continue;
            }
            match self.organizations.get_recent_organization(id).await? {
                Some(_) => known.push(id),
                None => unknown.push(FieldError {
                    pointer: format!("/organizations/{index}"),
                    detail: "There is no organization of this id.".to_owned(),
                }),
            }
        }
        if unknown.is_empty() { Ok(Some(known)) } else { Err(Error::invalid(unknown)) }
    }

    /// Removes a key that was added while its organization was deleted: the delete may not have seen it, and a
    /// restore would revive it.
    async fn revoke_if_late(&self, key: &ApiKey) -> Result<()> {
        let ApiKeyOwner::Organization(id) = key.owner else { return Ok(()) };
        let owner = self.organizations.get_organization(id).await?;
        if owner.is_some_and(|organization| organization.is_live()) {
            return Ok(());
        }
        let event = self.sources.event(Some(id), AuditAction::KeyRevoked, Actor::System);
        let event = event.on(AuditTarget::ApiKey(key.id));
        self.keys.delete_api_key(key.id, Some(&event)).await?;
        Err(ErrorCode::OrganizationNotFound.into())
    }

    /// A page of keys, the oldest first.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = access.organization_id().map(tracing::field::display)))]
    pub async fn list_keys(
        &self,
        access: &KeyAccess,
        after: Option<ApiKeyId>,
        limit: PageLimit,
    ) -> Result<Page<Arc<ApiKey>, ApiKeyId>> {
        let found = self.keys.list_api_keys(access.owner, after, limit.items() + 1).await?;
        Ok(Page::of(found, limit, |key| key.id))
    }

    /// One key.
    ///
    /// # Errors
    /// `key_not_found`, also for one of another owner.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = access.organization_id().map(tracing::field::display)))]
    pub async fn get_key(&self, access: &KeyAccess, id: ApiKeyId) -> Result<Arc<ApiKey>> {
        let found = self.keys.get_api_key(id).await?.filter(|key| key.owner == access.owner);
        found.ok_or_else(|| ErrorCode::KeyNotFound.into())
    }

    /// Gives a key a new secret. The old one, and the tokens it was exchanged for, end at once or after
    /// `overlap`.
    ///
    /// # Errors
    /// `key_not_found`; `session_required`; `role_insufficient` for a key that carries more than the caller
    /// may hand out.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = access.organization_id().map(tracing::field::display)))]
    pub async fn rotate_key(
        &self,
        access: &KeyAccess,
        id: ApiKeyId,
        overlap: Duration,
    ) -> Result<IssuedApiKey> {
        access.require_person()?;
        self.confirm(access).await?;
        loop {
            let key = self.get_key(access, id).await?;
            access.check_key(&key)?;
            let now = self.sources.now();
            let text = ApiKeyText::generate(key.owner.kind(), id, self.sources.entropy());
            let accepted_until = (!overlap.is_zero()).then(|| clock::after(now, overlap));
            // Who has the new secret answers for the key from now on.
            let maker = access.maker.clone().or_else(|| key.maker.clone());
            let next = ApiKey { maker, ..key.rotated(&text, accepted_until) };
            let event = self.key_event(access, AuditAction::KeyRotated, &next);
            if self.keys.update_api_key(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(IssuedApiKey { key: Arc::new(next), text });
            }
        }
    }

    /// Makes a key good again that an archive brought along. Whoever does so answers for it from then on.
    ///
    /// # Errors
    /// `key_not_found`; `session_required`; `role_insufficient` for a key that carries more than the caller may hand
    /// out.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = access.organization_id().map(tracing::field::display)))]
    pub async fn confirm_key(&self, access: &KeyAccess, id: ApiKeyId) -> Result<Arc<ApiKey>> {
        access.require_person()?;
        self.confirm(access).await?;
        loop {
            let key = self.get_key(access, id).await?;
            let Some(next) = key.confirmed(access.maker.clone()) else { return Ok(key) };
            access.check_key(&key)?;
            let event = self.key_event(access, AuditAction::KeyConfirmed, &next);
            if self.keys.update_api_key(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(Arc::new(next));
            }
        }
    }

    /// Ends a key, and the tokens it was exchanged for.
    ///
    /// # Errors
    /// `key_not_found`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = access.organization_id().map(tracing::field::display)))]
    pub async fn revoke_key(&self, access: &KeyAccess, id: ApiKeyId) -> Result<()> {
        self.confirm(access).await?;
        let key = self.get_key(access, id).await?;
        let event = self.key_event(access, AuditAction::KeyRevoked, &key);
        let is_revoked = self.keys.delete_api_key(key.id, Some(&event)).await?;
        if is_revoked { Ok(()) } else { Err(ErrorCode::KeyNotFound.into()) }
    }

    fn key_event(&self, access: &KeyAccess, action: AuditAction, key: &ApiKey) -> AuditEvent {
        let organization = match key.owner {
            ApiKeyOwner::Installation => None,
            ApiKeyOwner::Organization(id) => Some(id),
        };
        let event = self.sources.event(organization, action, access.authority.actor());
        let event = event.on(AuditTarget::ApiKey(key.id));
        let event = event.detail("name", Some(key.name.as_str()));
        event.detail("permissions", Some(key.permissions.to_scope()))
    }

    /// Refuses a right that has ended since it was proven.
    async fn confirm(&self, access: &KeyAccess) -> Result<()> {
        let Authorization::Member(member) = &access.authority else { return Ok(()) };
        self.auth.current_member(member).await?.require(Permission::KeysWrite)
    }
}

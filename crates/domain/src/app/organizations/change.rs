//! Changes of an organization's name, of its settings, and of the credentials of who asks.

use super::{Organizations, require};
use crate::account::CredentialChange;
use crate::app::auth::ManageAccess;
use crate::app::operations::Outcome;
use crate::app::view::Precondition;
use crate::error::{ErrorCode, Result};
use crate::ids::AccountId;
use crate::mail::QueuedMail;
use crate::name::OrganizationName;
use crate::operation::{ChangedSettings, OperationArguments, Settings};
use crate::organization::{Naming, QuotaChange, ReservedKey, State};

/// Changes to an organization; absent members stay as they are.
#[derive(Default)]
pub struct OrganizationChange {
    /// Another name, or another spelling.
    pub name: Option<OrganizationName>,
    /// New credentials for one of its accounts.
    pub credentials: Option<(AccountId, CredentialChange)>,
    /// Whether a delete is refused.
    pub delete_protection: Option<bool>,
    /// Whether a purge is refused; only the operator may change it.
    pub legal_hold: Option<bool>,
    /// Its quota; only the operator may change it.
    pub quota: Option<QuotaChange>,
}

impl Organizations {
    /// Renames an organization or changes its settings, or both at once. A legal hold can also be set and lifted
    /// while the organization is deleted.
    ///
    /// # Errors
    /// `name_taken`, `email_taken`, `operation_in_progress`, `organization_not_active`, `version_mismatch`,
    /// `token_revoked`; `too_many_mails` if the address of before cannot be told.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %managed.organization.id))]
    pub async fn change_organization(
        &self,
        managed: &ManageAccess,
        expected: &Precondition,
        change: OrganizationChange,
    ) -> Result<Outcome> {
        let to = change.name.map(|name| Naming::new(name, &self.policy.tenant_prefix));
        let notice = self.tell_former_address(managed, change.credentials.as_ref()).await?;
        let only_hold = to.is_none()
            && change.credentials.is_none()
            && change.delete_protection.is_none()
            && change.quota.is_none();
        let begun = self
            .executor
            .begin(managed.organization.id, &managed.authority, expected, |next| {
                let possible = next.state == State::Active || (next.state == State::Deleted && only_hold);
                require(possible, ErrorCode::OrganizationNotActive)?;
                let before = Settings {
                    delete_protection: next.delete_protection,
                    legal_hold: next.legal_hold,
                    quota: next.quota,
                };
                let settings = Settings {
                    delete_protection: change.delete_protection.unwrap_or(next.delete_protection),
                    legal_hold: change.legal_hold.unwrap_or(next.legal_hold),
                    quota: change.quota.unwrap_or_default().apply(next.quota),
                };
                let changed = ChangedSettings::between(&before, &settings);
                if to.is_none() && change.credentials.is_none() {
                    next.delete_protection = settings.delete_protection;
                    next.legal_hold = settings.legal_hold;
                    next.quota = settings.quota;
                    return Ok(OperationArguments::Update { changed });
                }
                let to = to.clone().unwrap_or_else(|| next.naming.clone());
                reserve_also(&mut next.reserved, to.reserved());
                Ok(OperationArguments::Rename {
                    to,
                    credentials: change.credentials.clone(),
                    settings,
                    changed,
                })
            })
            .await;
        if let (Some(notice), Err(refusal)) = (notice, &begun)
            && !matches!(refusal.code(), ErrorCode::StoreUnavailable | ErrorCode::Internal)
        {
            self.mailer.recall(&notice).await;
        }
        begun
    }

    /// Tells the address that an account is about to leave by new credentials.
    async fn tell_former_address(
        &self,
        managed: &ManageAccess,
        credentials: Option<&(AccountId, CredentialChange)>,
    ) -> Result<Option<QueuedMail>> {
        let Some((id, CredentialChange { email: Some(email), .. })) = credentials else { return Ok(None) };
        let account = self.accounts.get_account(*id).await?.ok_or(ErrorCode::TokenRevoked)?;
        self.mailer.tell_former_address(&account, email, Some(managed.organization.id)).await
    }
}

fn reserve_also(reserved: &mut Vec<ReservedKey>, more: Vec<ReservedKey>) {
    for key in more {
        if !reserved.contains(&key) {
            reserved.push(key);
        }
    }
}

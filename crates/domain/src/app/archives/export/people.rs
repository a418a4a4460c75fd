//! The sections of an archive about people, keys and trails, a page at a time.

use super::trail::ExportedTrail;
use super::{Export, ExportPosition};
use crate::account::{Account, PasswordHash, Role};
use crate::api_key::{ApiKey, ApiKeyOwner};
use crate::app::auth::Authorization;
use crate::archive::{ArchiveWriter, ArchivedApiKey, ArchivedMember};
use crate::audit::carried::CarriedTrail;
use crate::audit::collect::{COLLECT_BATCH, collect_events};
use crate::audit::{AuditChain, AuditEntry};
use crate::error::Result;
use crate::ids::AccountId;
use crate::limits::{ARCHIVE_ENTRIES_MAX, ARCHIVE_TRAILS_MAX, ORGANIZATION_KEYS_MAX, PAGE_MAX_ITEMS};
use crate::organization::Organization;
use crate::password::hash::decoy;
use std::collections::VecDeque;

/// Batches of events that an export waits for at most, so that what was acknowledged before is in it.
const COLLECTED_BEFORE_EXPORT: usize = 4;

impl Export {
    /// The hash of the account's password, if the archive may hold it: that of who exports, and to the operator that of
    /// an account that opens nothing but this organization.
    pub(super) fn exported_hash(&self, account: &Account) -> Option<PasswordHash> {
        let may_hold = match &self.right.authority {
            Authorization::Operator => account.memberships.len() == 1,
            Authorization::Member(member) => member.account.id == account.id,
            // They export nothing.
            Authorization::System | Authorization::Service(_) | Authorization::Key(_) => false,
        };
        let hash = &account.password_hash;
        // Of an account that was imported without a password.
        (may_hold && hash.0 != decoy()).then(|| hash.clone())
    }

    /// The next members; those whose role was defined since the export began have joined since.
    pub(super) async fn write_members(
        &mut self,
        mut writer: ArchiveWriter,
        after: Option<AccountId>,
        out: &mut Vec<u8>,
    ) -> Result<ExportPosition> {
        let organization = self.renew().await?;
        let accounts = &self.exporter.accounts;
        let page = accounts.list_accounts_of(organization.id, after, PAGE_MAX_ITEMS).await?;
        let Some(last) = page.last().map(|account| account.id) else {
            return Ok(ExportPosition::Keys(writer));
        };
        for account in page.iter().filter(|account| Some(account.id) != self.owner) {
            let Some(membership) = account.membership(organization.id) else { continue };
            let has_role = match membership.role {
                Role::Own(name) => self.roles.contains(&name),
                _ => true,
            };
            if has_role && account.removing_since.is_none() {
                let hash = self.exported_hash(account);
                writer.member(ArchivedMember::of(account, membership, hash), out)?;
            }
        }
        Ok(ExportPosition::Members(writer, Some(last)))
    }

    /// All API keys that could be used.
    pub(super) async fn write_keys(
        &mut self,
        mut writer: ArchiveWriter,
        out: &mut Vec<u8>,
    ) -> Result<ExportPosition> {
        let organization = self.renew().await?;
        let owner = ApiKeyOwner::Organization(organization.id);
        let keys = self.exporter.api_keys.list_api_keys(owner, None, ORGANIZATION_KEYS_MAX).await?;
        for key in keys {
            if self.is_usable(&key, &organization).await? {
                writer.api_key(ArchivedApiKey::from(&*key), out)?;
            }
        }
        Ok(ExportPosition::BetweenCollections(writer))
    }

    /// Whether the key has neither expired nor ended with its maker's membership.
    async fn is_usable(&self, key: &ApiKey, organization: &Organization) -> Result<bool> {
        if key.is_expired(self.exporter.sources.now()) {
            return Ok(false);
        }
        let Some(maker) = &key.maker else { return Ok(true) };
        let account = self.exporter.accounts.get_account(maker.account_id).await?;
        let epoch = account.and_then(|account| Some(account.membership(organization.id)?.epoch));
        Ok(epoch == Some(maker.membership_epoch))
    }

    /// The trails to write: those that an import brought along, then the organization's own, each up to its end now. Of
    /// more than an archive may have, the oldest are left out.
    pub(super) async fn trails(&self, organization: &Organization) -> Result<VecDeque<ExportedTrail>> {
        if !self.right.with_audit {
            return Ok(VecDeque::new());
        }
        let audit = &*self.exporter.audit;
        for _ in 0..COLLECTED_BEFORE_EXPORT {
            if collect_events(audit).await? < COLLECT_BATCH as usize {
                break;
            }
        }
        let own = AuditChain::from(organization.id);
        let carried =
            organization.trails.iter().map(|CarriedTrail { kept_as, chain, .. }| (*kept_as, *chain));
        let mut room = ARCHIVE_ENTRIES_MAX;
        let mut trails = VecDeque::new();
        for (kept_as, chain) in std::iter::once((own, own)).chain(carried.rev()).take(ARCHIVE_TRAILS_MAX) {
            let Some(last) = audit.get_last_entry(kept_as).await?.map(|entry| entry.sequence) else {
                continue;
            };
            // At most so many: the beginning may have been removed.
            let after = last.saturating_sub(room);
            room -= last - after;
            if after < last {
                trails.push_front(ExportedTrail { kept_as, chain, after, last });
            }
        }
        Ok(trails)
    }

    /// The next entries of the first trail of those that are left.
    pub(super) async fn write_trail(
        &mut self,
        mut writer: ArchiveWriter,
        mut trails: VecDeque<ExportedTrail>,
        out: &mut Vec<u8>,
    ) -> Result<ExportPosition> {
        let organization = self.renew().await?;
        let Some(trail) = trails.front_mut() else {
            self.finish(writer, &organization, out).await?;
            return Ok(ExportPosition::End);
        };
        let page = self.exporter.audit.list_chain(trail.kept_as, trail.after, PAGE_MAX_ITEMS).await?;
        let mut is_over = page.is_empty();
        for entry in page {
            if entry.sequence > trail.last {
                is_over = true;
                break;
            }
            trail.after = entry.sequence;
            writer.audit_entry(trail.chain, AuditEntry { chain: trail.chain, ..entry }, out)?;
        }
        if is_over || trail.after == trail.last {
            writer.end_trail(out)?;
            trails.pop_front();
        }
        Ok(ExportPosition::Trails(writer, trails))
    }
}

//! Roles, members and API keys of an archive.
//!
//! # Pitfalls
//! An account that is there belongs to somebody who may know nothing of the archive. It is never changed: its person
//! is invited, and joins by accepting.

use super::{ImportProgress, Interrupted, part};
use crate::account::{Account, Membership, PasswordHash, Role};
use crate::api_key::{ApiKey, ApiKeyHash, ApiKeyOwner};
use crate::archive::{ArchivedApiKey, ArchivedMember, ArchivedRole, damaged};
use crate::clock::after;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, InvitationId};
use crate::invitation::{Invitation, InvitationToken};
use crate::limits::{
    IMPORT_MEMBERS_AT_ONCE, INVITATION_LIFETIME_MAX, INVITATIONS_MAX, ORGANIZATION_KEYS_MAX, PAGE_MAX_ITEMS,
};
use crate::organization::{Organization, version_at};
use crate::password::hash::decoy;
use crate::permission::ORGANIZATION_KEY_PERMISSIONS;
use crate::role::{OWN_ROLE_PERMISSIONS, OwnRole, RoleDescription};
use crate::session::fresh_epoch;
use crate::store::{BoundedInsert, InsertOutcome};
use futures_util::future::try_join_all;

/// What has become of a member of the archive.
enum MemberImport {
    /// There was no account with that address: this one was made, a member with that role.
    Member(AccountId, Role),
    /// There was one: its person is invited.
    Invited,
    /// Neither.
    LeftOut,
}

impl ImportProgress<'_> {
    /// The role is saved with the next save of the record, of which nobody reads the roles before the end.
    pub(super) fn add_role(&mut self, role: &ArchivedRole) -> Result<()> {
        let version = self.organization.version;
        let line = self.source.line();
        let refused = |rule: String| damaged(line, rule);
        self.organization.roles.insert(OwnRole {
            name: role.name,
            description: RoleDescription::parse(&role.description).map_err(refused)?,
            permissions: role.permissions.within(OWN_ROLE_PERMISSIONS).map_err(refused)?,
            created_at: role.created_at,
            modified_at: role.modified_at,
            made_at_version: version,
            version,
        })?;
        self.counts.roles += 1;
        Ok(())
    }

    pub(super) async fn add_member(&mut self, member: ArchivedMember) -> Result<(), Interrupted> {
        self.members.push(member);
        if self.members.len() >= IMPORT_MEMBERS_AT_ONCE { self.flush_members().await } else { Ok(()) }
    }

    /// Writes the members read so far.
    pub(super) async fn flush_members(&mut self) -> Result<(), Interrupted> {
        let batch = std::mem::take(&mut self.members);
        if batch.is_empty() {
            return Ok(());
        }
        let (loader, organization) = (self.loader, self.organization.clone());
        let (keep, version) = (self.keeps_ids(), self.first_version);
        let joining = batch.into_iter().map(|member| loader.join(&organization, keep, version, member));
        for joined in self.hold(try_join_all(joining)).await?? {
            match joined {
                MemberImport::Member(id, role) => {
                    self.organization.members = self.organization.members.saturating_add(1);
                    if role == Role::Owner {
                        self.organization.add_owner(id)?;
                    }
                    self.counts.members += 1;
                }
                MemberImport::Invited => self.counts.invitations += 1,
                MemberImport::LeftOut => self.counts.members_left_out += 1,
            }
        }
        part("part_members");
        Ok(())
    }

    /// A copy under a new id takes no keys: the text of a key has its id, and the original may be there.
    pub(super) async fn add_api_key(&mut self, archived: ArchivedApiKey) -> Result<(), Interrupted> {
        if !self.keeps_ids() {
            return Ok(());
        }
        let line = self.source.line();
        let key = ApiKey {
            id: archived.id,
            owner: ApiKeyOwner::Organization(self.organization.id),
            name: archived.name,
            hash: ApiKeyHash::NONE,
            unconfirmed: Some(archived.hash),
            generation: 0,
            replaced: None,
            permissions: archived
                .permissions
                .within(ORGANIZATION_KEY_PERMISSIONS)
                .map_err(|rule| damaged(line, rule))?,
            organizations: None,
            maker: None,
            created_at: archived.created_at,
            expires_at: archived.expires_at,
            last_used_at: None,
            version: version_at(self.loader.sources.now()),
        };
        let loader = self.loader;
        let inserted = async { loader.api_keys.insert_api_key(&key, ORGANIZATION_KEYS_MAX, None).await };
        let fault = match self.hold(inserted).await?? {
            BoundedInsert::New => {
                self.counts.api_keys += 1;
                part("part_keys");
                return Ok(());
            }
            BoundedInsert::Exists => "`id`: an API key of this installation has it.",
            BoundedInsert::Full => "The organization has API keys that are not from the archive.",
        };
        Err(damaged(line, fault).into())
    }

    /// Checks that only these members are there: a process that was paused for long may have written others.
    pub(super) async fn expect_members(&mut self) -> Result<(), Interrupted> {
        let (mut found, mut after) = (0, None);
        loop {
            let (loader, id) = (self.loader, self.organization.id);
            let page = async { loader.accounts.list_accounts_of(id, after, PAGE_MAX_ITEMS).await };
            let page = self.hold(page).await??;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            found += page.len() as u64;
        }
        if found == u64::from(self.organization.members) {
            return Ok(());
        }
        let cause = format!("{found} members are there, {} should be", self.organization.members);
        Err(Error::unavailable(cause).into())
    }
}

impl super::ArchiveLoader {
    /// Makes a member of an address without an account, and invites one with an account.
    async fn join(
        &self,
        organization: &Organization,
        keep: bool,
        version: u64,
        member: ArchivedMember,
    ) -> Result<MemberImport> {
        match self.mailboxes.require_free(&member.email, None).await {
            Err(error) if error.code() == ErrorCode::EmailTaken => {
                return self.invite(organization, &member).await;
            }
            free => free?,
        }
        let (now, entropy) = (self.sources.now(), self.sources.entropy());
        let mut id = if keep { member.id } else { AccountId::new(now, entropy) };
        let hash = member.password_hash.clone().unwrap_or_else(|| PasswordHash(decoy().to_owned()));
        let membership = Membership {
            since: member.since,
            changed_at_version: version,
            ..Membership::new(organization.id, member.role, fresh_epoch(entropy), now)
        };
        loop {
            let account = Account {
                memberships: vec![membership.clone()],
                version: version_at(now),
                ..Account::new(id, member.email.clone(), hash.clone(), now)
            };
            match self.accounts.insert_account(&account).await {
                Ok(InsertOutcome::New) => return Ok(MemberImport::Member(id, member.role)),
                // The person now has an account with another address.
                Ok(InsertOutcome::Exists) => id = AccountId::new(now, entropy),
                Err(error) if error.code() == ErrorCode::EmailTaken => {
                    return self.invite(organization, &member).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes an invitation for an address with an account. Nobody has its token: an admin renews it, which sends one.
    async fn invite(&self, organization: &Organization, member: &ArchivedMember) -> Result<MemberImport> {
        let account = self.mailboxes.find_account(&member.email).await?;
        if account.is_some_and(|account| account.membership(organization.id).is_some()) {
            return Ok(MemberImport::LeftOut);
        }
        let (now, entropy) = (self.sources.now(), self.sources.entropy());
        let id = InvitationId::new(now, entropy);
        let own_role = member.role.own_name().and_then(|name| organization.roles.get(name));
        let invitation = Invitation {
            id,
            organization_id: organization.id,
            email: member.email.clone(),
            role: member.role,
            role_made_at: own_role.map(|role| role.made_at_version),
            secret_hash: InvitationToken::generate(id, entropy).hash(),
            inviter: None,
            inviter_key: None,
            created_at: now,
            expires_at: after(now, INVITATION_LIFETIME_MAX),
            mailed: false,
            acceptance: None,
            version: 1,
        };
        match self.invitations.insert_invitation(&invitation, INVITATIONS_MAX, None).await? {
            BoundedInsert::New => Ok(MemberImport::Invited),
            BoundedInsert::Full | BoundedInsert::Exists => Ok(MemberImport::LeftOut),
        }
    }
}

//! Writes an archive, page by page, in the order of the documents' ids.

mod people;
mod trail;

use self::trail::ExportedTrail;
use crate::account::Role;
use crate::app::auth::{Auth, Authorization, OrganizationRef, Principal};
use crate::app::clock_and_entropy::ClockAndEntropy;
use crate::archive::{ArchiveWriter, ArchivedCollection, ArchivedOrganization, ArchivedRole, Manifest};
use crate::audit::{AuditAction, AuditEvent};
use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::AccountId;
use crate::limits::{ARCHIVE_PAGE_BYTES, ARCHIVE_PAGE_DOCUMENTS, INLINE_MAX_BYTES, PAGE_MAX_ITEMS};
use crate::organization::{Organization, State};
use crate::permission::Permission;
use crate::role::RoleName;
use crate::store::{self, Store};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::document::EntriesError;
use tenantry_documents::filter::Filter;
use tenantry_documents::fuel::Fuel;
use tenantry_documents::query::DocumentQuery;
use tenantry_documents::sort::{Position, Sort};

/// Proof that the caller may export an organization.
pub struct Exportable {
    organization: Arc<Organization>,
    authority: Authorization,
    event: AuditEvent,
    with_audit: bool,
}

impl Exportable {
    /// The organization as it was when the right was proven.
    #[must_use]
    pub fn organization(&self) -> &Organization {
        &self.organization
    }

    /// The same right, for an archive without audit trails.
    #[must_use]
    pub fn without_audit(self) -> Self {
        Self { with_audit: false, ..self }
    }
}

/// Writes archives.
#[derive(Clone)]
pub struct Exporter {
    organizations: Arc<dyn store::Organizations>,
    accounts: Arc<dyn store::Accounts>,
    api_keys: Arc<dyn store::ApiKeys>,
    collections: Arc<dyn store::Collections>,
    documents: Arc<dyn store::Documents>,
    audit: Arc<dyn store::Audit>,
    auth: Arc<Auth>,
    /// How long a query may take.
    query_time: Duration,
    sources: ClockAndEntropy,
}

impl Exporter {
    pub(in crate::app) fn new(
        store: &Store,
        auth: &Arc<Auth>,
        query_time: Duration,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            organizations: store.organizations.clone(),
            accounts: store.accounts.clone(),
            api_keys: store.api_keys.clone(),
            collections: store.collections.clone(),
            documents: store.documents.clone(),
            audit: store.audit.clone(),
            auth: auth.clone(),
            query_time,
            sources: sources.clone(),
        }
    }

    /// The right to an organization's archive: the operator's to any, even a deleted one; an owner's to their
    /// own. Not an admin's: to the operator, the archive contains hashes of passwords.
    ///
    /// # Errors
    /// `organization_not_found` also for one that is not the caller's; `role_insufficient`;
    /// `organization_not_active` for one that is being created or removed.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn allow_export(&self, caller: &Principal, which: &OrganizationRef) -> Result<Exportable> {
        let organization = self.auth.visible(caller, which).await?;
        let authority = match caller {
            Principal::Operator(_) => Authorization::Operator,
            Principal::Member(member) => {
                member.require(Permission::OrganizationsExport)?;
                Authorization::Member(member.clone())
            }
            // No key and no token carries this permission.
            Principal::Service(_) | Principal::Key(_) => {
                caller.require(Permission::OrganizationsExport)?;
                return Err(ErrorCode::PermissionMissing.into());
            }
        };
        require_whole(&organization)?;
        let action = AuditAction::OrganizationExported;
        let event = self.sources.event(Some(organization.id), action, caller.actor());
        Ok(Exportable { organization, authority, event, with_audit: true })
    }

    /// The archive of an organization, to be written piece by piece.
    #[must_use]
    pub fn export_organization(&self, right: Exportable) -> Export {
        Export {
            exporter: self.clone(),
            right,
            at: ExportPosition::Start,
            owner: None,
            roles: Vec::new(),
            listed: VecDeque::new(),
            last_listed: None,
        }
    }
}

/// An archive that is being written.
pub struct Export {
    exporter: Exporter,
    right: Exportable,
    at: ExportPosition,
    /// The owner in the organization's line.
    owner: Option<AccountId>,
    /// The roles in the archive.
    roles: Vec<RoleName>,
    /// The next collections, as far as they have been listed.
    listed: VecDeque<CollectionName>,
    last_listed: Option<CollectionName>,
}

/// The progress of an export.
enum ExportPosition {
    Start,
    Members(ArchiveWriter, Option<AccountId>),
    Keys(ArchiveWriter),
    BetweenCollections(ArchiveWriter),
    Within(ArchiveWriter, CollectionName, Option<Position>),
    Trails(ArchiveWriter, VecDeque<ExportedTrail>),
    End,
}

impl Export {
    /// The next bytes of it; `None` at the end. After an error the archive is incomplete, and there are no
    /// more bytes.
    ///
    /// # Errors
    /// `token_revoked` and its like if the right has ended; `organization_not_active` if it is being removed;
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        self.at = match std::mem::replace(&mut self.at, ExportPosition::End) {
            ExportPosition::Start => ExportPosition::Members(self.begin(&mut out).await?, None),
            ExportPosition::Members(writer, after) => self.write_members(writer, after, &mut out).await?,
            ExportPosition::Keys(writer) => self.write_keys(writer, &mut out).await?,
            ExportPosition::BetweenCollections(writer) => self.begin_collection(writer, &mut out).await?,
            ExportPosition::Within(writer, name, after) => {
                self.write_page(writer, name, after, &mut out).await?
            }
            ExportPosition::Trails(writer, trails) => self.write_trail(writer, trails, &mut out).await?,
            ExportPosition::End => return Ok(None),
        };
        Ok(Some(out))
    }

    async fn begin(&mut self, out: &mut Vec<u8>) -> Result<ArchiveWriter> {
        let organization = self.renew().await?;
        let owner = self.exporter.accounts.get_account(organization.admin_id()).await?;
        // It is missing only during a purge.
        let owner = owner.ok_or(ErrorCode::OrganizationNotActive)?;
        self.exporter.audit.insert_event(&self.right.event).await?;
        let manifest = Manifest::new(self.exporter.sources.now());
        let hash = self.exported_hash(&owner);
        let mut writer =
            ArchiveWriter::begin(manifest, ArchivedOrganization::of(&organization, &owner, hash), out)?;
        for role in organization.roles.as_slice() {
            writer.role(ArchivedRole::from(role), out)?;
            self.roles.push(role.name);
        }
        self.owner = Some(owner.id);
        Ok(writer)
    }

    async fn begin_collection(
        &mut self,
        mut writer: ArchiveWriter,
        out: &mut Vec<u8>,
    ) -> Result<ExportPosition> {
        let organization = self.renew().await?;
        while let Some(name) = self.next_collection(&organization).await? {
            let indexes = match self.exporter.collections.list_indexes(&organization, &name).await {
                Err(error) if is_dropped(&error, &name) => continue,
                indexes => indexes?,
            };
            let schema = match self.exporter.collections.get_schema(&organization, &name).await {
                Err(error) if is_dropped(&error, &name) => continue,
                schema => schema?.as_deref().cloned(),
            };
            writer.collection(ArchivedCollection { name: name.clone(), indexes, schema }, out)?;
            return Ok(ExportPosition::Within(writer, name, None));
        }
        Ok(ExportPosition::Trails(writer, self.trails(&organization).await?))
    }

    /// The end of the archive.
    async fn finish(
        &self,
        writer: ArchiveWriter,
        organization: &Organization,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        // A missing collection may mean that everything was removed: then this is not the end of the archive.
        let now = self.exporter.organizations.get_organization(organization.id).await?;
        require_whole(&*now.ok_or(ErrorCode::OrganizationNotFound)?)?;
        let left_out = self.exporter.collections.list_unnamed_collections(organization).await?;
        if !left_out.is_empty() {
            tracing::warn!(organization = %organization.id, ?left_out, "an archive goes without some collections");
        }
        writer.end(left_out, out)
    }

    async fn next_collection(&mut self, organization: &Organization) -> Result<Option<CollectionName>> {
        if self.listed.is_empty() {
            let after = self.last_listed.as_ref();
            let collections = &self.exporter.collections;
            let page = collections.list_collections(organization, after, PAGE_MAX_ITEMS).await?;
            self.listed.extend(page.into_iter().map(|info| info.name));
            if let Some(last) = self.listed.back() {
                self.last_listed = Some(last.clone());
            }
        }
        Ok(self.listed.pop_front())
    }

    async fn write_page(
        &self,
        mut writer: ArchiveWriter,
        name: CollectionName,
        after: Option<Position>,
        out: &mut Vec<u8>,
    ) -> Result<ExportPosition> {
        let organization = self.renew().await?;
        let query = DocumentQuery {
            filter: Filter::default(),
            sort: Sort::default(),
            after,
            limit: ARCHIVE_PAGE_DOCUMENTS,
            max_bytes: ARCHIVE_PAGE_BYTES,
            time: self.exporter.query_time,
        };
        let page = match self.exporter.documents.find_documents(&organization, &name, &query).await {
            // The documents written so far did exist.
            Err(error) if is_dropped(&error, &name) => {
                writer.end_collection(out)?;
                return Ok(ExportPosition::BetweenCollections(writer));
            }
            page => page?,
        };
        let mut since_yield = out.len();
        for document in &page.documents {
            writer.document(&document.body, out);
            if out.len() - since_yield > INLINE_MAX_BYTES {
                since_yield = out.len();
                // Let other tasks on this thread run.
                tokio::task::yield_now().await;
            }
        }
        match page.documents.last().filter(|_| page.more) {
            Some(last) => {
                let position = query.sort.position(&last.body, &Fuel::for_document());
                let position = position.map_err(EntriesError::unexpected)?;
                Ok(ExportPosition::Within(writer, name, Some(position)))
            }
            None => {
                writer.end_collection(out)?;
                Ok(ExportPosition::BetweenCollections(writer))
            }
        }
    }

    /// A recent record of the organization, if the right to it still holds: an export may take hours.
    async fn renew(&self) -> Result<Arc<Organization>> {
        let store = &self.exporter;
        let found = store.organizations.get_recent_organization(self.right.organization.id).await?;
        let organization = found.ok_or(ErrorCode::OrganizationNotFound)?;
        require_whole(&organization)?;
        if let Authorization::Member(member) = &self.right.authority
            && store.auth.renew_principal_in(member, &organization).await?.role != Role::Owner
        {
            return Err(ErrorCode::RoleInsufficient.into());
        }
        Ok(organization)
    }
}

/// Whether the collection was dropped during the export, as any but the default one may be.
fn is_dropped(error: &Error, name: &CollectionName) -> bool {
    error.code() == ErrorCode::CollectionNotFound && !name.is_default()
}

/// Refuses an organization that is being created or removed.
fn require_whole(organization: &Organization) -> Result<()> {
    match organization.state {
        State::Active | State::Deleted => Ok(()),
        State::Provisioning | State::Purging => Err(ErrorCode::OrganizationNotActive.into()),
    }
}

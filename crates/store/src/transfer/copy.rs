//! Copies the data. It may be interrupted anywhere: the target is not used before all of it has been
//! compared.

use super::compare;
use super::pages::each;
use super::report::{TransferError, TransferProgress};
use super::side::OpenSide;
use futures_util::TryStreamExt;
use std::collections::HashMap;
use tenantry_domain::app::operator;
use tenantry_domain::app::signing_keys::SIGNING_KEYS;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{Organization, Placement, Quota};
use tenantry_domain::restored::RESTORED;
use tenantry_domain::store::full_scan::PAGE;
use tenantry_domain::store::{CollectionInfo, NewContainer};
use tenantry_domain::{ErrorCode, Result};

/// The fence of containers that no operation creates, since a transfer is not one.
const FENCE: u32 = 0;

/// Copies the container and then the record of each organization.
pub(super) async fn organizations(
    source: &OpenSide,
    target: &OpenSide,
    organizations: &[Organization],
    tell: &mut (dyn FnMut(TransferProgress) + Send),
) -> Result<(), TransferError> {
    let earlier = earlier_placements(target).await?;
    target.scan.clear_records().await?;
    let (mut documents, mut done) = (0, 0);
    for organization in organizations {
        let placement = earlier.get(&organization.id).copied();
        let copied = make_container(target, organization, placement).await?;
        // The container's extra collections are found only for an organization that has a record.
        let _ = target.ports.organizations.insert_organization(&copied).await?;
        let (count, copied) = container(source, target, organization, copied).await?;
        collections(source, target, organization, copied.clone()).await?;
        if placement.is_some() {
            remove_stale_schemas(source, target, organization, &copied).await?;
        }
        documents += count;
        done += 1;
        tell(TransferProgress::Copied { organizations: done, of: organizations.len() as u64, documents });
    }
    Ok(())
}

/// The placements that an earlier try gave organizations: one in a shared collection stays there, even if the
/// settings have changed.
async fn earlier_placements(target: &OpenSide) -> Result<HashMap<OrganizationId, Placement>> {
    let mut known = HashMap::new();
    let visit = async |organization: Organization| {
        known.insert(organization.id, organization.placement);
        Ok(())
    };
    each(|after| target.scan.organizations(after), |organization| organization.id, visit).await?;
    Ok(known)
}

/// Creates the container at the target; returns the organization as its record will be there.
pub(crate) async fn make_container(
    target: &OpenSide,
    organization: &Organization,
    placement: Option<Placement>,
) -> Result<Organization> {
    let containers = &target.ports.containers;
    let placement = match placement {
        Some(placement) => placement,
        None => containers.choose_placement(None).await?,
    };
    let new = NewContainer {
        organization_id: organization.id,
        fence: FENCE,
        namespace: organization.naming.namespace.clone(),
        placement,
        created_at: organization.created_at,
    };
    // Elsewhere it is made before the first write, once the record is there.
    let container = match containers.named() {
        Some(_) => containers.create_container(&new).await?,
        None => None,
    };
    Ok(Organization { placement, container, ..organization.clone() })
}

/// Copies the documents, unless the same are there already; returns their number, and the organization as its
/// record is at the target now. A container whose copy was cut off, or is out of date, is created again.
pub(crate) async fn container(
    source: &OpenSide,
    target: &OpenSide,
    organization: &Organization,
    mut copied: Organization,
) -> Result<(u64, Organization)> {
    let there = compare::container(target, &copied).await?;
    if there.count > 0 {
        if there == compare::container(source, organization).await? {
            return Ok((there.count, copied));
        }
        target.ports.containers.drop_container(&copied).await?;
        copied = make_container(target, organization, Some(copied.placement)).await?;
        let _ = target.ports.organizations.delete_organization(copied.id, copied.version).await?;
        let _ = target.ports.organizations.insert_organization(&copied).await?;
    }
    let mut count = 0;
    for collection in source.scan.collections(organization).await? {
        let mut pages = source.scan.documents(organization, &collection);
        while let Some(page) = pages.try_next().await? {
            count += page.len() as u64;
            target.scan.put_documents(&copied, &collection, page).await?;
        }
    }
    Ok((count, copied))
}

/// Creates the empty collections, and the indexes of all collections.
pub(crate) async fn collections(
    source: &OpenSide,
    target: &OpenSide,
    organization: &Organization,
    copied: Organization,
) -> Result<()> {
    // All documents are copied, even if there are more than the quota allows.
    let copied = Organization { quota: Quota::default(), ..copied };
    let (from, to) = (&source.ports.collections, &target.ports.collections);
    let mut after = None;
    loop {
        let page = from.list_collections(organization, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.name.clone());
        for CollectionInfo { name, documents, indexes, .. } in page {
            let schema = from.get_schema(organization, &name).await?;
            if name.is_default() && documents == 0 && indexes == 0 && schema.is_none() {
                // It is always there, also without a file.
                continue;
            }
            let _ = to.insert_collection(&copied, &name).await?;
            if let Some(schema) = schema {
                let _ = to.set_schema(&copied, &name, Some(&schema), None).await?;
            }
            for index in from.list_indexes(organization, &name).await? {
                if index.expire_after_seconds.is_some() {
                    // It is due when the target is first used.
                    let expiries = &target.ports.expiries;
                    expiries.insert_expiry(copied.id, &name, organization.created_at).await?;
                }
                let _ = to.restore_index(&copied, &name, &index).await?;
            }
        }
    }
}

/// Removes schemas that an earlier try has copied and that the source has no more.
async fn remove_stale_schemas(
    source: &OpenSide,
    target: &OpenSide,
    organization: &Organization,
    copied: &Organization,
) -> Result<()> {
    let (from, to) = (&source.ports.collections, &target.ports.collections);
    let mut after = None;
    loop {
        let page = to.list_collections(copied, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.name.clone());
        for CollectionInfo { name, .. } in page {
            if to.get_schema(copied, &name).await?.is_none() {
                continue;
            }
            let wanted = match from.get_schema(organization, &name).await {
                Err(error) if error.code() == ErrorCode::CollectionNotFound => None,
                wanted => wanted?,
            };
            if wanted.is_none() {
                let _ = to.set_schema(copied, &name, None, None).await?;
            }
        }
    }
}

/// Copies all records except organizations.
pub(super) async fn records(source: &OpenSide, target: &OpenSide) -> Result<()> {
    let ports = &target.ports;
    let insert = async |account| ports.accounts.insert_account(&account).await.map(drop);
    each(|after| source.scan.accounts(after), |account| account.id, insert).await?;
    let insert = async |session| ports.sessions.insert_session(&session, None).await;
    each(|after| source.scan.sessions(after), |session| session.id, insert).await?;
    let insert = async |key| ports.api_keys.insert_api_key(&key, u32::MAX, None).await.map(drop);
    each(|after| source.scan.api_keys(after), |key| key.id, insert).await?;
    let insert =
        async |invitation| ports.invitations.insert_invitation(&invitation, u32::MAX, None).await.map(drop);
    each(|after| source.scan.invitations(after), |invitation| invitation.id, insert).await?;
    let insert = async |mail| ports.mails.insert_mail(&mail, u32::MAX).await.map(drop);
    each(|after| source.scan.mails(after), |mail| mail.id, insert).await?;
    let insert = async |identity| ports.identities.insert_identity(&identity, u32::MAX, None).await.map(drop);
    each(|after| source.scan.identities(after), |identity| identity.id, insert).await?;
    let insert = async |record| ports.operations.insert_operation(&record, None).await.map(drop);
    each(|after| source.scan.operations(after), |record| record.id, insert).await?;
    trails(source, target).await?;
    // What is sealed opens at the target if it has the secret of the source.
    for name in [SIGNING_KEYS, operator::HASH, RESTORED] {
        if let Some(value) = source.ports.installation.get_value(name).await? {
            ports.installation.put_value(name, &value).await?;
        }
    }
    Ok(())
}

/// Copies the chains of the audit trail. Their events have all been linked before.
pub(crate) async fn trails(source: &OpenSide, target: &OpenSide) -> Result<()> {
    let (from, to) = (&source.ports.audit, &target.ports.audit);
    let mut chain = None;
    while let Some(first) = from.get_next_chain(chain).await? {
        chain = Some(first.chain);
        let mut after = first.sequence - 1;
        loop {
            let page = from.list_chain(first.chain, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            to.restore_entries(&page).await?;
        }
    }
    Ok(())
}

//! Copies a whole installation from one engine to another: every organization, account, session, API key,
//! invitation, finished operation, audit entry and document.
//!
//! The target is marked during the transfer, and no service starts on a marked one. A transfer that was
//! stopped is run again: it writes all records again, and copies only the containers that differ. A
//! successful write proves nothing: at the end both sides are read once more, and compared by counts and
//! hashes.

pub(crate) mod compare;
pub(crate) mod copy;
pub(crate) mod pages;
mod report;
pub(crate) mod side;

pub use report::{TransferError, TransferProgress, TransferReport};
pub use side::Side;

use crate::run_lock::fill_exclusively;
use crate::{RESTORE_PREFIX, TRANSFER_MARK};
use compare::Digest;
use side::OpenSide;
use tenantry_domain::app::operator;
use tenantry_domain::audit::collect::{COLLECT_BATCH, collect_events};
use tenantry_domain::organization::Organization;

/// Copies everything from one side to the other, which must be empty or come from an earlier try. No service
/// may run on either; an embedded side is locked during the transfer.
///
/// # Errors
/// See [`TransferError`]. What was copied stays, and the target stays marked.
pub async fn transfer(
    from: &Side,
    to: &Side,
    tell: &mut (dyn FnMut(TransferProgress) + Send),
) -> Result<TransferReport, TransferError> {
    run(from, to, &[], tell).await
}

/// The same as the last part of a restore: what interrupts it is finished by a restore.
pub(crate) async fn transfer_for_restore(
    from: &Side,
    to: &Side,
    tell: &mut (dyn FnMut(TransferProgress) + Send),
) -> Result<TransferReport, TransferError> {
    run(from, to, RESTORE_PREFIX, tell).await
}

async fn run(
    from: &Side,
    to: &Side,
    prefix: &[u8],
    tell: &mut (dyn FnMut(TransferProgress) + Send),
) -> Result<TransferReport, TransferError> {
    let source = OpenSide::open(from).await?;
    let target = match OpenSide::open(to).await {
        Ok(target) => target,
        Err(error) => {
            source.engine.close().await;
            return Err(error.into());
        }
    };
    let work = execute_step(&source, &target, prefix, tell);
    let outcome = fill_exclusively(to, || TransferError::AnotherRun, work).await;
    source.engine.close().await;
    target.engine.close().await;
    outcome
}

async fn execute_step(
    source: &OpenSide,
    target: &OpenSide,
    prefix: &[u8],
    tell: &mut (dyn FnMut(TransferProgress) + Send),
) -> Result<TransferReport, TransferError> {
    let organizations = organizations(source).await?;
    while collect_events(&*source.ports.audit).await? >= COLLECT_BATCH as usize {}
    mark(source, target, prefix).await?;
    copy::organizations(source, target, &organizations, tell).await?;
    copy::records(source, target).await?;
    tell(TransferProgress::Records);
    let transferred = compare_all(source, target, &organizations, tell).await?;
    target.ports.installation.delete_value(TRANSFER_MARK).await?;
    Ok(transferred)
}

/// The organizations of the source. None may be in the middle of a change.
async fn organizations(source: &OpenSide) -> Result<Vec<Organization>, TransferError> {
    let mut all = Vec::new();
    let visit = async |organization| {
        all.push(organization);
        Ok(())
    };
    pages::each(
        |after| source.scan.organizations(after),
        |organization: &Organization| organization.id,
        visit,
    )
    .await?;
    match all.iter().find(|organization| organization.operation.is_some()) {
        Some(busy) => Err(TransferError::Busy { organization: busy.id.to_string() }),
        None => Ok(all),
    }
}

/// Marks the target as being filled from this source; refuses any other target that is not empty.
async fn mark(source: &OpenSide, target: &OpenSide, prefix: &[u8]) -> Result<(), TransferError> {
    // The operator key tells installations apart; one without a key is empty.
    let name = source.ports.installation.get_value(operator::HASH).await?.unwrap_or_default();
    let ports = &target.ports;
    match ports.installation.get_value(TRANSFER_MARK).await? {
        // Restores of earlier versions have left the name alone.
        Some(marked) if marked.strip_prefix(RESTORE_PREFIX).unwrap_or(&marked) == name => return Ok(()),
        Some(_) => return Err(TransferError::Occupied { what: "part of another installation" }),
        None => {}
    }
    if !target.scan.organizations(None).await?.is_empty() || !target.scan.accounts(None).await?.is_empty() {
        return Err(TransferError::Occupied { what: "organizations" });
    }
    ports.installation.put_value(TRANSFER_MARK, &[prefix, &name].concat()).await?;
    Ok(())
}

async fn compare_all(
    source: &OpenSide,
    target: &OpenSide,
    organizations: &[Organization],
    tell: &mut (dyn FnMut(TransferProgress) + Send),
) -> Result<TransferReport, TransferError> {
    let (ours, theirs) = (compare::records(source).await?, compare::records(target).await?);
    for (what, one, other) in ours.pairs(&theirs) {
        same(what, one, other)?;
    }
    let (mut documents, mut done) = (0, 0);
    for organization in organizations {
        let copied = target.ports.organizations.get_organization(organization.id).await?;
        let copied = copied.ok_or_else(|| TransferError::Differs { what: "the organizations".into() })?;
        let one = compare::container(source, organization).await?;
        let other = compare::container(target, &copied).await?;
        same(&format!("the documents of {}", organization.id), &one, &other)?;
        let schemas = compare::schemas(source, organization).await?;
        let copied_schemas = compare::schemas(target, &copied).await?;
        same(&format!("the schemas of the collections of {}", organization.id), &schemas, &copied_schemas)?;
        documents += one.count;
        done += 1;
        tell(TransferProgress::Compared { organizations: done, of: organizations.len() as u64 });
    }
    Ok(TransferReport {
        organizations: ours.organizations.count,
        accounts: ours.accounts.count,
        sessions: ours.sessions.count,
        api_keys: ours.api_keys.count,
        invitations: ours.invitations.count,
        identities: ours.identities.count,
        operations: ours.operations.count,
        audit_entries: ours.audit_entries.count,
        documents,
    })
}

fn same(what: &str, one: &Digest, other: &Digest) -> Result<(), TransferError> {
    if one == other { Ok(()) } else { Err(TransferError::Differs { what: what.to_owned() }) }
}

#[cfg(test)]
mod tests;

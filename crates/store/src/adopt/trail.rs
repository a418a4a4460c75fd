//! The events of an adoption in the audit trail of the installation.
//!
//! An adoption may stop after any step and be run again, so an event is written only if the trail does not have it yet.

use super::report::{AdoptError, AdoptionTotals};
use super::rules::AdoptOptions;
use crate::transfer::side::OpenSide;
use tenantry_domain::Result as StoreResult;
use tenantry_domain::audit::collect::{COLLECT_BATCH, collect_events};
use tenantry_domain::audit::{AuditAction, AuditChain, AuditEvent};
use tenantry_domain::store::{Audit, AuditQuery};

/// Notes that everything is there.
pub(super) async fn note_adopted(
    target: &OpenSide,
    options: &AdoptOptions,
    adopted: &AdoptionTotals,
) -> Result<(), AdoptError> {
    let event = event(AuditAction::InstallationAdopted, options)
        .detail("organizations", Some(adopted.organizations.to_string()))
        .detail("accounts", Some(adopted.accounts.to_string()));
    Ok(insert_once(&*target.ports.audit, &event).await?)
}

/// Notes that the adoption is final.
pub(super) async fn note_confirmed(target: &OpenSide, options: &AdoptOptions) -> Result<(), AdoptError> {
    Ok(insert_once(&*target.ports.audit, &event(AuditAction::AdoptionConfirmed, options)).await?)
}

fn event(action: AuditAction, options: &AdoptOptions) -> AuditEvent {
    let way = if options.in_place { "in_place" } else { "copy" };
    AuditEvent::of_installation(action, options.now, &*options.entropy)
        .detail("database", Some(&options.source.database))
        .detail("way", Some(way))
}

/// Writes the event, unless the installation has one of its kind; and links it, since the value that says how far the
/// adoption is goes away.
async fn insert_once(audit: &dyn Audit, event: &AuditEvent) -> StoreResult<()> {
    collect(audit).await?;
    let query = AuditQuery {
        chain: AuditChain::INSTALLATION,
        action: Some(event.action),
        actor: None,
        from: None,
        before: None,
    };
    if audit.list_entries(&query, 1).await?.is_empty() {
        audit.insert_event(event).await?;
        collect(audit).await?;
    }
    Ok(())
}

async fn collect(audit: &dyn Audit) -> StoreResult<()> {
    while collect_events(audit).await? >= COLLECT_BATCH as usize {}
    Ok(())
}

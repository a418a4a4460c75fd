//! Drives an operation, and puts right what a process did too late that has lost it.

use super::{Executor, ImportStream, RunOutcome};
use crate::error::{ErrorCode, Result};
use crate::operation::{Operation, OperationArguments, OperationKind, OperationRefusal};
use crate::organization::{Organization, Placement, version_at};
use std::sync::Arc;

impl Executor {
    /// Executes step after step until the operation is finished or somebody else has it. In the second case, the
    /// last effect may have come too late: others may have gone on, and even undone it, before it took effect.
    pub(super) async fn drive(
        self: &Arc<Self>,
        organization: Organization,
        load: Option<ImportStream>,
    ) -> Result<RunOutcome> {
        let begun = organization.clone();
        let driven = self.execute_steps(organization, load).await;
        match driven {
            Ok(RunOutcome::Finished(_)) => {}
            Ok(_) => self.compensate(&begun).await,
            // The store may soon be reachable again, and no request waits for this.
            Err(_) => {
                let executor = Arc::clone(self);
                drop(tokio::spawn(async move { executor.compensate(&begun).await }));
            }
        }
        driven
    }

    async fn compensate(&self, begun: &Organization) {
        if let Err(error) = self.try_compensate(begun).await {
            tracing::warn!(organization = %begun.id, %error, "a late effect of an overtaken operation may not have been undone");
        }
    }

    /// Undoes an effect that came too late because the operation was overtaken: moves the container to where
    /// the record says it is, or removes the accounts of an organization that is gone.
    ///
    /// A container has the same name and the same identity after a rename and its reverse, so no condition on
    /// the effect itself can detect that it is late. A late effect never reaches other organizations; for its
    /// own organization it is undone here, by the next operation, or by the cleanup of the store.
    async fn try_compensate(&self, begun: &Organization) -> Result<()> {
        let Some(operation) = begun.operation.as_deref() else { return Ok(()) };
        let store = &self.organizations;
        loop {
            let Some(found) = store.get_organization(begun.id).await? else {
                // A collection has an identity of its own, which every effect names, so a late effect cannot reach a newer
                // one. A collection that was created too late is empty, and the usual cleanup removes it.
                let has_place_of_id = begun.placement != Placement::Collection;
                if operation.kind() == OperationKind::Import && has_place_of_id {
                    return self.repeat_undo(begun, operation).await;
                }
                return self.steps.remove_members(begun, operation.id).await.map(|_| ());
            };
            let is_ours =
                |running: &Operation| running.id == operation.id && running.fence == operation.fence;
            if found.operation.as_deref().is_some_and(is_ours) {
                return Ok(());
            }
            let is_finished = found.operation.as_deref().is_none_or(|running| running.id != operation.id);
            if is_finished && let OperationArguments::AddMember(new) = &operation.arguments {
                self.steps.remove_late_account(new).await?;
            }
            let now = match self.idle(begun.id).await {
                Err(error) if error.code() == ErrorCode::OrganizationNotFound => continue,
                now => now?,
            };
            self.containers.settle_container(&now).await?;
            let later = store.get_organization(begun.id).await?;
            if later.is_some_and(|later| later.version == now.version) {
                return Ok(());
            }
        }
    }

    /// Restores the record of an import that others have undone, so that the next process to find it undoes it again:
    /// the late writes are in a container with the organization's id, which nobody else gets until then.
    async fn repeat_undo(&self, begun: &Organization, operation: &Operation) -> Result<()> {
        let refused = Some(operation.refused.unwrap_or(OperationRefusal::Interrupted));
        // As if every step that can be undone had been done. A container with an identity of its own takes no late effect.
        let done = u32::try_from(operation.kind().steps().len()).unwrap_or(u32::MAX);
        let operation =
            Operation { refused, done, undone: 0, fence: operation.fence + 1, ..operation.clone() };
        let organization = Organization {
            reserved: Vec::new(),
            container: None,
            version: version_at(self.sources.now()),
            operation: Some(Box::new(operation)),
            ..begun.clone()
        };
        // A record that exists now belongs to another import, which checks that the container has nothing else.
        self.organizations.insert_organization(&organization).await.map(|_| ())
    }
}

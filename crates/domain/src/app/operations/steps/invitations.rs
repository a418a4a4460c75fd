//! The effects of steps on invitations: one is used by one operation, and then gone.

use super::Steps;
use crate::error::Result;
use crate::ids::OperationId;
use crate::invitation::InvitationAcceptance;
use crate::operation::{NewMember, OperationRefusal, StepResult};
use crate::store::UpdateOutcome;

impl Steps {
    /// Marks the invitation as used by this operation, if it is still the version that was accepted.
    pub(super) async fn use_invitation(&self, operation: OperationId, new: &NewMember) -> Result<StepResult> {
        loop {
            let found = self.invitations.get_invitation(new.invitation_id).await?;
            if found.as_ref().is_some_and(|invitation| invitation.is_used_by(operation)) {
                return Ok(StepResult::Done);
            }
            let Some(invitation) = found
                .filter(|invitation| invitation.is_pending() && invitation.version == new.invitation_version)
            else {
                return Ok(StepResult::Refused(OperationRefusal::InvitationInvalid));
            };
            let acceptance = InvitationAcceptance {
                operation_id: operation,
                account_id: new.account_id,
                accepted_at: self.sources.now(),
            };
            let used = invitation.with_acceptance(acceptance);
            if self.invitations.update_invitation(&used, None).await? == UpdateOutcome::Done {
                return Ok(StepResult::Done);
            }
        }
    }

    /// Removes the invitation that this operation has used.
    pub(super) async fn remove_invitation(
        &self,
        operation: OperationId,
        new: &NewMember,
    ) -> Result<StepResult> {
        let found = self.invitations.get_invitation(new.invitation_id).await?;
        if let Some(invitation) = found.filter(|invitation| invitation.is_used_by(operation)) {
            // Nobody else changes an invitation that is in use; it may have expired, and be gone.
            let _ = self.invitations.delete_invitation(invitation.id, invitation.version, None).await?;
        }
        Ok(StepResult::Done)
    }
}

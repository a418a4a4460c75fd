//! What an operation changes of an account's credentials and of an organization's settings, as its event says it: by
//! name, never a secret or an address.

use super::{AuditEvent, AuditTarget};
use crate::operation::{Operation, OperationArguments};
use crate::organization::Organization;

/// How the event says that something has another value.
const CHANGED: &str = "changed";

impl AuditEvent {
    /// The event with the account whose credentials the operation changes, and with the names of what it changes.
    pub(super) fn with_changes(self, organization: &Organization, operation: &Operation) -> Self {
        let event = match &operation.arguments {
            OperationArguments::Restore { owner_email: Some(_), .. } => {
                let event = self.on(AuditTarget::Account(organization.admin_id()));
                event.detail("email", Some(CHANGED))
            }
            arguments => match arguments.credentials() {
                Some((account, change)) => {
                    let event = self.on(AuditTarget::Account(*account));
                    let event = event.detail("email", change.email.as_ref().map(|_| CHANGED));
                    event.detail("password", change.password_hash.as_ref().map(|_| CHANGED))
                }
                None => self,
            },
        };
        let changed = operation.arguments.changed_settings();
        let (delete_protection, legal_hold) = match &operation.arguments {
            OperationArguments::Rename { settings, .. } => (settings.delete_protection, settings.legal_hold),
            _ => (organization.delete_protection, organization.legal_hold),
        };
        let flag = |is_changed: bool, value: bool| is_changed.then(|| value.to_string());
        let event = event.detail("delete_protection", flag(changed.delete_protection, delete_protection));
        let event = event.detail("legal_hold", flag(changed.legal_hold, legal_hold));
        event.detail("quota", changed.quota.then_some(CHANGED))
    }
}

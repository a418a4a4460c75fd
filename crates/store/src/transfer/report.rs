//! What a transfer reports: its progress, its result, and the reason why it stops.

use crate::error::OpenError;
use tenantry_domain::Error;

/// The progress of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferProgress {
    /// The containers are being copied.
    Copied {
        /// Organizations copied so far.
        organizations: u64,
        /// Organizations in all.
        of: u64,
        /// Documents in them.
        documents: u64,
    },
    /// The other records are copied.
    Records,
    /// Both sides are being read once more, and compared.
    Compared {
        /// Organizations found equal so far.
        organizations: u64,
        /// Organizations in all.
        of: u64,
    },
}

/// The counts of what was copied and found equal on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferReport {
    /// Organizations, deleted ones too.
    pub organizations: u64,
    /// Accounts.
    pub accounts: u64,
    /// Sessions.
    pub sessions: u64,
    /// API keys.
    pub api_keys: u64,
    /// Invitations.
    pub invitations: u64,
    /// Identities.
    pub identities: u64,
    /// Finished operations.
    pub operations: u64,
    /// Entries of the audit trail.
    pub audit_entries: u64,
    /// Documents of organizations.
    pub documents: u64,
}

/// Why a transfer stopped: sentences for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A side cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A side cannot currently be read or written.
    #[error("{} Run the same command again: it continues where this one has stopped.", cause_of(.0))]
    Store(Error),
    /// The source has an unfinished change.
    #[error(
        "{organization} is in the middle of a change. Start the service on the source once, which finishes it, \
         stop it, and run this again."
    )]
    Busy {
        /// The organization's id.
        organization: String,
    },
    /// The target has data that is not from this source.
    #[error("The target has {what} already. Choose an empty one.")]
    Occupied {
        /// The kind of data.
        what: &'static str,
    },
    /// The two sides differ after the copy.
    #[error(
        "{what} differ after the copy: the source was changed meanwhile. Stop every service on it, and run this \
         again; until then the target cannot be used."
    )]
    Differs {
        /// What differs.
        what: String,
    },
    /// Somebody else is at work.
    #[error(
        "Another `tenantry transfer`, `restore` or `adopt` is at work on the target. Let it end, and run the command \
         again if it is still needed."
    )]
    AnotherRun,
}

impl From<Error> for TransferError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

fn cause_of(error: &Error) -> String {
    let cause = error.cause().unwrap_or("no reason is known");
    format!("A side cannot be read or written ({cause}).")
}

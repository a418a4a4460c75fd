//! What an import has brought along beside documents.

use serde::{Deserialize, Serialize};

/// How many of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Roles of the organization's own.
    pub roles: u64,
    /// Members, with the owner.
    pub members: u64,
    /// Members whose address has an account here: they were invited instead.
    pub invitations: u64,
    /// Members who are neither: another one has the same address, or too many would be invited.
    pub members_left_out: u64,
    /// API keys, which wait to be confirmed.
    pub api_keys: u64,
    /// Entries of audit trails.
    pub audit_entries: u64,
}

impl ImportCounts {
    /// Each count with its name.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("roles", self.roles),
            ("members", self.members),
            ("invitations", self.invitations),
            ("members_left_out", self.members_left_out),
            ("api_keys", self.api_keys),
            ("audit_entries", self.audit_entries),
        ]
    }
}

//! Why an operation is undone, once its intent is saved.

use crate::error::ErrorCode;
use serde::{Deserialize, Serialize};

/// The refusals that are possible after an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationRefusal {
    /// The e-mail address was taken meanwhile.
    EmailTaken,
    /// The account's credentials have changed since, or it was removed, which ended the session that asked.
    SessionEnded,
    /// The invitation was used, renewed or revoked meanwhile.
    InvitationInvalid,
    /// The account has joined as many organizations meanwhile as it may.
    TooManyOrganizations,
    /// A foreign collection or database occupies the container's name.
    ContainerTaken,
    /// The archive is damaged or incomplete.
    ArchiveInvalid,
    /// The documents of the archive break one of its unique indexes.
    UniqueViolation,
    /// The engine has no room for more collections.
    CapacityReached,
    /// The archive arrived too slowly or stopped arriving, or the process that read it is gone.
    Interrupted,
}

impl OperationRefusal {
    /// Its row of the error table.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::EmailTaken => ErrorCode::EmailTaken,
            Self::SessionEnded => ErrorCode::TokenRevoked,
            Self::InvitationInvalid => ErrorCode::InvitationInvalid,
            Self::TooManyOrganizations => ErrorCode::TooManyOrganizations,
            Self::ContainerTaken => ErrorCode::OrganizationExists,
            Self::ArchiveInvalid => ErrorCode::ArchiveInvalid,
            Self::UniqueViolation => ErrorCode::UniqueViolation,
            Self::CapacityReached => ErrorCode::CapacityReached,
            Self::Interrupted => ErrorCode::ImportInterrupted,
        }
    }
}

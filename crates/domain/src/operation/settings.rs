//! The settings of an organization and the credentials of accounts, as operations change them.

use super::OperationArguments;
use crate::account::CredentialChange;
use crate::ids::AccountId;
use crate::quota::Quota;
use serde::{Deserialize, Serialize};

/// The settings of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Whether a delete is refused.
    pub delete_protection: bool,
    /// Whether a purge is refused.
    pub legal_hold: bool,
    /// The quota.
    #[serde(default, deserialize_with = "Quota::deserialize_stored")]
    pub quota: Quota,
}

/// Which settings a change gives another value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedSettings {
    /// See [`Settings::delete_protection`].
    pub delete_protection: bool,
    /// See [`Settings::legal_hold`].
    pub legal_hold: bool,
    /// See [`Settings::quota`].
    pub quota: bool,
}

impl ChangedSettings {
    /// What differs between the settings of before and those of afterwards.
    #[must_use]
    pub fn between(before: &Settings, after: &Settings) -> Self {
        Self {
            delete_protection: before.delete_protection != after.delete_protection,
            legal_hold: before.legal_hold != after.legal_hold,
            quota: before.quota != after.quota,
        }
    }
}

impl OperationArguments {
    /// The account that they give other credentials, and these.
    #[must_use]
    pub const fn credentials(&self) -> Option<&(AccountId, CredentialChange)> {
        match self {
            Self::Rename { credentials, .. } => credentials.as_ref(),
            Self::SetPassword { credentials } => Some(credentials),
            _ => None,
        }
    }

    /// The settings that they change.
    #[must_use]
    pub fn changed_settings(&self) -> ChangedSettings {
        match self {
            Self::Rename { changed, .. } | Self::Update { changed } => *changed,
            _ => ChangedSettings::default(),
        }
    }
}

//! Who does something, as logs and records name it.

use crate::ids::{AccountId, ApiKeyId};
use serde::{Deserialize, Serialize};

/// Who asked for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// Somebody without a credential, by signing up.
    Anonymous,
    /// An account of the organization.
    Account(AccountId),
    /// A program, by its key or a token that the key was exchanged for.
    ApiKey(ApiKeyId),
    /// The operator of the service.
    Operator,
    /// The service itself, when retention ends.
    System,
}

impl Actor {
    /// The account, if it is one.
    #[must_use]
    pub const fn account_id(self) -> Option<AccountId> {
        match self {
            Self::Account(id) => Some(id),
            _ => None,
        }
    }

    /// The key, if it is one.
    #[must_use]
    pub const fn key_id(self) -> Option<ApiKeyId> {
        match self {
            Self::ApiKey(id) => Some(id),
            _ => None,
        }
    }

    /// The actor as lists are filtered by it: `operator`, `account:ID`.
    #[must_use]
    pub fn to_text(self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::Account(id) => format!("account:{id}"),
            Self::ApiKey(id) => format!("api_key:{id}"),
            Self::Operator => "operator".to_owned(),
            Self::System => "system".to_owned(),
        }
    }
}

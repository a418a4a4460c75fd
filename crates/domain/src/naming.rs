//! The names of an organization, and the keys that reserve them.

use crate::name::{Identifier, OrganizationName};
use serde::{Deserialize, Serialize};

/// A key that at most one organization may hold at a time; the database decides who.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReservedKey(String);

impl ReservedKey {
    /// Reserves an identifier, and so all names that lead to it.
    #[must_use]
    pub fn name(identifier: &Identifier) -> Self {
        Self(format!("name:{}", identifier.as_str()))
    }

    /// Reserves the visible name of a container.
    #[must_use]
    pub fn namespace(namespace: &str) -> Self {
        Self(format!("namespace:{namespace}"))
    }

    /// The visible name of a container, if that is what it reserves.
    #[must_use]
    pub fn to_namespace(&self) -> Option<String> {
        self.0.strip_prefix("namespace:").map(str::to_owned)
    }

    /// The key as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The names of an organization: its name, its identifier, and the visible name of its container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naming {
    /// As people write it.
    pub name: OrganizationName,
    /// The slug that makes it unique.
    pub identifier: Identifier,
    /// `tenant_collection` on the wire.
    pub namespace: String,
}

impl Naming {
    /// The names of an organization called `name`, if container names begin with `prefix`.
    #[must_use]
    pub fn new(name: OrganizationName, prefix: &str) -> Self {
        let identifier = name.identifier();
        let namespace = identifier.tenant_collection(prefix);
        Self { name, identifier, namespace }
    }

    /// The keys that reserve these names.
    #[must_use]
    pub fn reserved(&self) -> Vec<ReservedKey> {
        vec![ReservedKey::name(&self.identifier), ReservedKey::namespace(&self.namespace)]
    }
}

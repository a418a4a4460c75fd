//! What entries of the caches take in memory, in bytes.

use quick_cache::Weighter;
use std::mem::size_of;
use std::sync::Arc;
use tenantry_domain::account::{Account, Membership};
use tenantry_domain::email::EmailKey;
use tenantry_domain::ids::{AccountId, OrganizationId, SessionId};
use tenantry_domain::name::Identifier;
use tenantry_domain::operation::{Arguments, Operation};
use tenantry_domain::organization::{Naming, Organization, ReservedKey};
use tenantry_domain::session::Session;

/// What each entry costs beside key and record: its place in the cache's tables and the allocator's rounding.
const ENTRY_BYTES: usize = 160;

/// Something with a size in memory, with all that it owns.
pub(super) trait Weigh {
    fn bytes(&self) -> usize;
}

/// Weighs entries by their size.
#[derive(Clone)]
pub(super) struct ByBytes;

impl<K: Weigh, V: Weigh> Weighter<K, V> for ByBytes {
    fn weight(&self, key: &K, value: &V) -> u64 {
        (ENTRY_BYTES + key.bytes() + value.bytes()) as u64
    }
}

macro_rules! fixed_size {
    ($($name:ty),*) => {
        $(impl Weigh for $name {
            fn bytes(&self) -> usize {
                size_of::<Self>()
            }
        })*
    };
}
fixed_size!(OrganizationId, AccountId, SessionId, Session);

impl<T: Weigh> Weigh for Arc<T> {
    fn bytes(&self) -> usize {
        // Its two counters stand before the value.
        size_of::<Self>() + 2 * size_of::<usize>() + T::bytes(self)
    }
}

impl Weigh for Identifier {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.as_str().len()
    }
}

impl Weigh for EmailKey {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.as_str().len()
    }
}

impl Weigh for Organization {
    fn bytes(&self) -> usize {
        let reserved = self.reserved.iter().map(|key| size_of::<ReservedKey>() + key.as_str().len());
        let operation = self.operation.as_deref().map_or(0, operation_bytes);
        size_of::<Self>() + text_bytes(&self.naming) + reserved.sum::<usize>() + operation
    }
}

impl Weigh for Account {
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.email.as_str().len()
            + self.email_key.as_ref().map_or(0, |key| key.as_str().len())
            + self.password_hash.0.len()
            + self.memberships.len() * size_of::<Membership>()
    }
}

/// The texts of a naming, without the struct itself.
fn text_bytes(naming: &Naming) -> usize {
    naming.name.as_str().len() + naming.identifier.as_str().len() + naming.namespace.len()
}

fn operation_bytes(operation: &Operation) -> usize {
    let arguments = match &operation.arguments {
        Arguments::Create { owner } => owner.bytes(),
        Arguments::Rename { to, credentials, .. } => {
            let hash = credentials.as_ref().and_then(|(_, change)| change.password_hash.as_ref());
            let email = credentials.as_ref().and_then(|(_, change)| change.email.as_ref());
            text_bytes(to)
                + hash.map_or(0, |hash| hash.0.len())
                + email.map_or(0, |email| email.as_str().len())
        }
        Arguments::Restore { to, owner_email } => {
            text_bytes(to) + owner_email.as_ref().map_or(0, |email| email.as_str().len())
        }
        _ => 0,
    };
    size_of::<Operation>() + operation.owner.len() + arguments
}

//! Containers with visible names, which may belong to others later: on MongoDB, in the placement `collection`.

use crate::error::Result;
use crate::organization::{Organization, Placement};
use async_trait::async_trait;

/// The methods of an engine that gives containers visible names. An engine that names them by the organization's id does
/// not need it ([`Containers::named`]).
///
/// [`Containers::named`]: super::Containers::named
#[async_trait]
pub trait NamedContainers: Send + Sync {
    /// Whether the visible name is occupied by something that is not ours, which must never be adopted, removed or
    /// merged with.
    async fn is_foreign(&self, placement: Placement, namespace: &str) -> Result<bool>;

    /// Renames the container from the visible name in `organization` to `namespace`, if its placement has visible names.
    /// A container that has the new name already is not an error. `store_unavailable` if it has neither name.
    async fn rename_container(&self, organization: &Organization, namespace: &str) -> Result<()>;

    /// Renames the container back to the visible name in `organization`, which no operation is changing, if a late effect
    /// has renamed it. A container that has that name is not an error.
    async fn settle_container(&self, organization: &Organization) -> Result<()>;
}

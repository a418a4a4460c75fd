//! Containers under visible names that others may hold at another time: on MongoDB, in the placement `collection`.

use crate::error::Result;
use crate::organization::{Organization, Placement};
use async_trait::async_trait;

/// What an engine can do that gives containers visible names. One that names them by the organization's id has no need of
/// it ([`Containers::named`]).
///
/// [`Containers::named`]: super::Containers::named
#[async_trait]
pub trait NamedContainers: Send + Sync {
    /// Whether something is where a container of that visible name would go that is none of ours: never adopted,
    /// removed or merged with.
    async fn is_foreign(&self, placement: Placement, namespace: &str) -> Result<bool>;

    /// Brings the container from the visible name in `organization` under another one, where the placement has
    /// one; one that is there already is not an error. `store_unavailable` if it is under neither.
    async fn move_container(&self, organization: &Organization, namespace: &str) -> Result<()>;

    /// Brings the container back to the visible name in `organization`, which no operation is changing, if one
    /// that came too late has taken it elsewhere. One that is there is not an error.
    async fn settle_container(&self, organization: &Organization) -> Result<()>;
}

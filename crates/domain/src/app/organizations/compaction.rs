//! Giving space on disk back to the file system.

use super::{Compaction, Organizations};
use crate::app::auth::AdministerAccess;
use crate::error::{Error, ErrorCode, Result};
use crate::organization::State;
use tracing::Instrument;

impl Organizations {
    /// Gives space on disk that an organization does not use any more back to the file system.
    ///
    /// # Errors
    /// `organization_not_active`, `compaction_unsupported`, `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization.id))]
    pub async fn compact_organization(&self, access: &AdministerAccess) -> Result<Compaction> {
        let (containers, organization) = (self.containers.clone(), access.organization.clone());
        if organization.state != State::Active {
            return Err(ErrorCode::OrganizationNotActive.into());
        }
        // In a task of its own: it may take minutes, and goes on if the client hangs up.
        let compact = async move {
            let before = containers.disk_bytes(&organization).await?;
            containers.compact_container(&organization).await?;
            let after = containers.disk_bytes(&organization).await?;
            Ok(Compaction { before: before.unwrap_or_default(), after: after.unwrap_or_default() })
        };
        tokio::spawn(compact.in_current_span()).await.map_err(Error::internal)?
    }
}

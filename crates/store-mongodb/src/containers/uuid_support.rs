//! Whether the server knows effects that carry an identity (`collectionUUID`, MongoDB 6.0 and newer). Without them a
//! collection cannot follow a rename safely.

use super::namespace::uuid;
use crate::client::Server;
use crate::engine_error::{EngineError, EngineResult};
use crate::error::OpenError;
use crate::names::INSTALLATION;
use crate::schema::StartupError;
use mongodb::bson::doc;
use tenantry_domain::error::{Error, ErrorCode};
use tenantry_domain::organization::{ContainerId, Placement};

/// Refuses a server that does not know such effects, where new organizations get collections that are renamed.
pub(crate) async fn require_uuid_support(server: &Server, placement: Placement) -> Result<(), StartupError> {
    if supports_uuids(server).await? {
        return Ok(());
    }
    if placement == Placement::Collection {
        return Err(StartupError::Lasting(OpenError::NoRenameByUuid));
    }
    tracing::warn!("this MongoDB is older than 6.0: organizations in collections of their own cannot move");
    Ok(())
}

/// Whether the server knows them: asked for a collection that is nowhere, it says so.
pub(crate) async fn supports_uuids(server: &Server) -> EngineResult<bool> {
    let probe = doc! { "find": INSTALLATION, "limit": 1, "collectionUUID": uuid(ContainerId([0; 16])) };
    match server.within(server.database().run_command(probe)).await {
        Err(EngineError::Elsewhere { .. }) => Ok(true),
        Err(failure @ (EngineError::Refused(_) | EngineError::Answered { .. })) => {
            let error = Error::from(failure);
            if error.code() == ErrorCode::Internal { Ok(false) } else { Err(error.into()) }
        }
        Err(failure) => Err(failure),
        Ok(_) => Ok(false),
    }
}

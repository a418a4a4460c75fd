//! Whether the server supports commands that carry a UUID (`collectionUUID`, MongoDB 6.0 and newer). Without them a
//! collection cannot be renamed safely.

use super::namespace::uuid;
use crate::client::Server;
use crate::engine_error::{EngineError, EngineResult};
use crate::error::OpenError;
use crate::names::INSTALLATION;
use crate::schema::StartupError;
use mongodb::bson::doc;
use tenantry_domain::error::{Error, ErrorCode};
use tenantry_domain::organization::{ContainerId, Placement};

/// Refuses a server without that support if new organizations get collections that are renamed.
pub(crate) async fn require_uuid_support(server: &Server, placement: Placement) -> Result<(), StartupError> {
    if supports_uuids(server).await? {
        return Ok(());
    }
    if placement == Placement::Collection {
        return Err(StartupError::Lasting(OpenError::NoRenameByUuid));
    }
    tracing::warn!(
        "this MongoDB is older than 6.0: organizations in dedicated collections cannot be renamed"
    );
    Ok(())
}

/// Asks for a collection that does not exist: a server with support says so.
pub(crate) async fn supports_uuids(server: &Server) -> EngineResult<bool> {
    let probe = doc! { "find": INSTALLATION, "limit": 1, "collectionUUID": uuid(ContainerId([0; 16])) };
    match server.within(server.database().run_command(probe)).await {
        Err(EngineError::Elsewhere { .. }) => Ok(true),
        Err(failure @ (EngineError::Refused(_) | EngineError::ServerError { .. })) => {
            let error = Error::from(failure);
            if error.code() == ErrorCode::Internal { Ok(false) } else { Err(error.into()) }
        }
        Err(failure) => Err(failure),
        Ok(_) => Ok(false),
    }
}

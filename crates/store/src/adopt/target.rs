//! Checks, without changing anything, that source and target are what the options say.

use super::report::AdoptError;
use super::rules::AdoptOptions;
use crate::adoption_state::ADOPTION_MARK;
use crate::error::OpenError;
use crate::transfer::Side;
use tenantry_domain::Error;
use tenantry_store_mongodb::SourceDatabase;
use tenantry_store_sqlite::{ControlState, inspect};

/// Refuses a copy into the source itself, and an adoption in place into another database.
pub(super) async fn check(source: &SourceDatabase, options: &AdoptOptions) -> Result<(), AdoptError> {
    let is_same = match &options.target {
        Side::Embedded(_) => false,
        Side::MongoDb(target) => {
            let target = SourceDatabase::open(target).await.map_err(OpenError::from)?;
            is_same_database(source, &target).await?
        }
    };
    let database = source.name().to_owned();
    match (options.in_place, is_same) {
        (true, false) => Err(AdoptError::OtherDatabase { database }),
        (false, true) => Err(AdoptError::SameDatabase { database }),
        _ => Ok(()),
    }
}

/// Two databases are the same if they have a collection of the same UUID.
async fn is_same_database(source: &SourceDatabase, target: &SourceDatabase) -> Result<bool, AdoptError> {
    if source.name() != target.name() {
        return Ok(false);
    }
    let first = source.collections(source.name()).await?.into_iter().find(|each| each.id.is_some());
    let Some(first) = first else { return Ok(false) };
    Ok(target.find_uuid(&first.name).await? == first.id)
}

/// Refuses a target that is not new, so that a rehearsal says it. One with an adoption that was begun counts as new.
pub(super) async fn require_new(options: &AdoptOptions) -> Result<(), AdoptError> {
    let has_organizations = match &options.target {
        _ if options.in_place => false,
        Side::MongoDb(target) => {
            let target = SourceDatabase::open(target).await.map_err(OpenError::from)?;
            target.is_ours().await?
                && target.get_value(ADOPTION_MARK).await?.is_none()
                && !target.records("organizations", Some(1)).await?.is_empty()
        }
        Side::Embedded(target) => {
            let data_dir = target.data_dir.clone();
            let inspected = tokio::task::spawn_blocking(move || inspect(&data_dir)).await;
            match inspected.map_err(Error::internal)?.control {
                ControlState::Readable(control) => control.contents.is_some_and(|contents| {
                    !contents.organizations.is_empty() && !contents.installation.contains_key(ADOPTION_MARK)
                }),
                // If anything else is wrong, opening it says so.
                _ => false,
            }
        }
    };
    if has_organizations {
        return Err(AdoptError::Occupied { what: "organizations".into() });
    }
    Ok(())
}

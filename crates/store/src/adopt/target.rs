//! Checks, without changing anything, that source and target are what the options say.

use super::report::AdoptError;
use super::rules::AdoptOptions;
use crate::error::OpenError;
use crate::transfer::Side;
use tenantry_store_mongodb::SourceDatabase;

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

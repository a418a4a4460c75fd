//! What an organization's quota limits, and the error for one collection too many.

use tenantry_domain::limits::COLLECTIONS_MAX;
use tenantry_domain::organization::Organization;
use tenantry_domain::{Error, ErrorCode};

/// Whether documents, bytes or index entries have to be counted.
pub(crate) fn is_limited(organization: &Organization) -> bool {
    organization.quota.limits_documents()
}

/// How many collections an organization may have.
pub(crate) fn most_collections(organization: &Organization) -> u64 {
    organization
        .quota
        .collections
        .map_or(u64::from(COLLECTIONS_MAX), |own| own.get().min(u64::from(COLLECTIONS_MAX)))
}

/// The error for one more.
pub(crate) fn collection_limit_error(organization: &Organization) -> Error {
    let most = most_collections(organization);
    let is_of_quota = most < u64::from(COLLECTIONS_MAX);
    let way_out = if is_of_quota { ErrorCode::QuotaExceeded.advice() } else { "Delete one." };
    let detail = format!("The organization may have at most {most} collections. {way_out}");
    Error::from(ErrorCode::QuotaExceeded).detail(detail)
}

//! The names that an adoption in place gives.

/// The name that the organizations of the other program get.
pub(super) const ASIDE_REGISTRY: &str = "adopted_organizations";
/// The name that its accounts get.
pub(super) const ASIDE_ACCOUNTS: &str = "adopted_accounts";
/// The prefix of the name of a collection between its two names.
pub(super) const BETWEEN: &str = "adopting_";
/// The prefix of unfinished containers.
pub(super) const UNFINISHED: &str = "building_";

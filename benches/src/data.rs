//! The data that is measured with: organizations and documents, made in little time.

pub mod documents;
pub mod organizations;

/// Visits every number before it comes to one again, each far from the one before: coprime to the numbers of
/// organizations and documents.
pub const STRIDE: u32 = 61_803;

//! The data for the measures: organizations and documents, created quickly.

pub mod documents;
pub mod members;
pub mod organizations;

/// Steps through all numbers before any repeats, each far from the previous one: coprime to the numbers of
/// organizations and documents.
pub const STRIDE: u32 = 61_803;

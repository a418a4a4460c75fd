//! The baselines of the service: the same work with less around it.
//!
//! On the service's own runtime, accept loop and allocator, and built by the same profile.

pub mod bare;
pub mod documents;
pub mod hashes;
pub mod lookups;
pub mod organizations;

//! Documents and queries: JSON and BSON, Extended JSON, filters, sort orders, projections, merge patches, updates,
//! index keys and query plans.
//!
//! A library of its own: it does no I/O and knows neither organizations nor storage. Both engines use its
//! queries and index keys, so that they return the same results. MongoDB defines what everything means.

pub mod aggregate;
mod arithmetic;
pub mod decimal;
pub mod document;
pub mod error;
pub mod filter;
pub mod fuel;
pub mod index;
pub mod limits;
pub mod projection;
pub mod query;
pub mod schema;
pub mod sort;
pub mod update;

#[cfg(test)]
mod fuzz;

pub use error::{Error, FieldError, Result};

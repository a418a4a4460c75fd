//! Documents and what is asked about them: JSON and BSON, Extended JSON, filters, sort orders, projections, merge patches,
//! index keys and query plans.
//!
//! A library of its own: it does no I/O and knows neither organizations nor how documents are kept. Both engines read
//! their queries and index keys from here, so that they answer alike. MongoDB is the judge of what each of them means.

pub mod document;
pub mod error;
pub mod filter;
pub mod fuel;
pub mod index;
pub mod limits;
pub mod projection;
pub mod query;
pub mod sort;

pub use error::{Error, FieldError, Result};

//! What the domain says of documents, held against a real MongoDB: which match a filter, how they sort, what a
//! projection shows, which entries they make in an index.
//!
//! Documents and questions are random, and made to collide: few names, equal numbers of different types, arrays
//! in arrays. MongoDB is the judge. A failed run is repeated with the seed it has printed: `TENANTRY_TEST_SEED=…`.

#[cfg(all(test, feature = "mongodb"))]
mod chance;
#[cfg(all(test, feature = "mongodb"))]
mod filters;
#[cfg(all(test, feature = "mongodb"))]
mod generate;
#[cfg(all(test, feature = "mongodb"))]
mod indexes;
#[cfg(all(test, feature = "mongodb"))]
mod judge;
#[cfg(all(test, feature = "mongodb"))]
mod limits;
#[cfg(all(test, feature = "mongodb"))]
mod patterns;
#[cfg(all(test, feature = "mongodb"))]
mod projections;
#[cfg(all(test, feature = "mongodb"))]
mod sorts;

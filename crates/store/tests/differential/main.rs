//! What the domain says of documents, held against a real MongoDB: which match a filter, how they sort, what a
//! projection shows, which entries they make in an index.
//!
//! Documents and questions are random, and made to collide: few names, equal numbers of different types, arrays
//! in arrays. MongoDB is the judge. A failed run is repeated with the seed it has printed: `TENANTRY_TEST_SEED=…`.

#[cfg(test)]
mod chance;
#[cfg(test)]
#[cfg(feature = "mongodb")]
mod filters;
#[cfg(test)]
#[cfg(feature = "mongodb")]
mod generate;
#[cfg(test)]
#[cfg(feature = "mongodb")]
mod indexes;
#[cfg(test)]
#[cfg(feature = "mongodb")]
mod judge;
#[cfg(test)]
#[cfg(feature = "mongodb")]
mod patterns;
#[cfg(test)]
#[cfg(feature = "mongodb")]
mod projections;
#[cfg(test)]
#[cfg(feature = "mongodb")]
mod sorts;

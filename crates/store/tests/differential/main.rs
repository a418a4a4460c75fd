//! What the domain says of documents, held against a real MongoDB: which match a filter, how they sort, what a
//! projection shows, which entries they make in an index, what a pipeline computes. And whole engines, held against it in the same way.
//!
//! Documents and questions are random, and made to collide: few names, equal numbers of different types, arrays
//! in arrays. MongoDB is the judge. A failed run is repeated with the seed it has printed: `TENANTRY_TEST_SEED=…`.

#[cfg(feature = "mongodb")]
#[cfg(test)]
mod aggregates;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod chance;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod checked;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod engines;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod filters;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod generate;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod indexes;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod judge;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod kinds;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod limits;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod partial_indexes;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod patterns;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod pipelines;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod projections;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod sorts;
#[cfg(feature = "mongodb")]
#[cfg(test)]
mod updates;

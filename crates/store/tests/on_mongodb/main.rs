//! The layers in front of an engine, on a real MongoDB that others use as well: the cache, and writes that go
//! on when their caller has gone.

#![expect(clippy::unwrap_used, reason = "a missing value fails the test, in its helpers too")]

mod claims;
mod coherence;
#[path = "../../../store-mongodb/src/tests/fixture.rs"]
#[allow(dead_code, reason = "the engine's own tests use the rest")]
mod fixture;
mod merged_inserts;
#[path = "../../../store-mongodb/src/tests/samples.rs"]
#[allow(dead_code, reason = "the engine's own tests use the rest")]
mod samples;

use fixture::Fixture;
use tenantry_store_mongodb::{MongoDb, MongoOptions};

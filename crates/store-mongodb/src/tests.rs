//! What this engine does beside the contracts that every engine is held to: how it searches, what two instances
//! do to each other, what a server that cannot be reached means. Against a real server.

mod data;
mod drops;
mod faults;
mod fixture;
mod moves;
pub(crate) mod samples;
mod schema;
mod several;

use super::{MongoDb, MongoOptions};
pub(crate) use fixture::Fixture;

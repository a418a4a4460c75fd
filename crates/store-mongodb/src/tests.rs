//! What this engine does beyond the contracts that every engine must keep: which indexes its queries use, how two
//! instances affect each other, how it handles an unreachable server. Against a real server.

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

//! JSON Schema 2020-12: a schema is parsed once, and documents are checked by it.
//!
//! A schema sees a document as the API answers it: strings, booleans, null, numbers, arrays and objects as they are, and
//! every other type as its Extended JSON, so that an ObjectId is `{"$oid": ".."}` ([`instance`]). Parsing is the check by
//! the meta-schema: every keyword of the dialect is read by its type, and a wrong one is refused with its pointer.
//!
//! # Pitfalls
//! Schemas come from callers. `anyOf` within `$ref` takes time that grows exponentially with a document's depth, so
//! nothing here is bounded by its size: everything spends [`Fuel`](crate::fuel::Fuel), and levels are counted.

mod arrays;
mod canonical;
mod compiled;
mod definition;
mod evaluate;
mod evaluated;
mod instance;
mod keywords;
mod multiple;
mod number;
mod objects;
mod parse;
mod reader;
mod references;
mod text;
mod values;
mod violations;

#[cfg(test)]
mod tests;

pub use compiled::{EvaluationError, Schema};
pub use definition::{SchemaAction, SchemaDefinition, SchemaLevel};
pub use violations::Violations;

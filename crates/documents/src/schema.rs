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
mod definition;
mod evaluate;
mod evaluated;
mod instance;
mod keywords;
mod multiple;
mod objects;
mod parse;
mod references;
mod values;
mod violations;

#[cfg(test)]
mod tests;

pub use definition::{SchemaAction, SchemaDefinition, SchemaLevel};
pub use violations::Violations;

use crate::error::{Error, Result};
use crate::fuel::{Fuel, Interruption};
use crate::limits::{DOCUMENT_MAX_STEPS, SCHEMA_MAX_EVALUATION_LEVELS};
use bson::RawDocument;
use keywords::Node;

/// States of patterns that are compiled in some ten microseconds.
const SHORT_STATES: usize = 200;

/// A schema that documents can be checked by.
#[derive(Debug)]
pub struct Schema {
    /// Every subschema; the first is the schema itself.
    nodes: Vec<Node>,
    /// How many states all patterns have when compiled.
    states: usize,
    patterns: usize,
    text: String,
}

impl Schema {
    /// Reads a schema; `at` is the pointer of the schema within the request.
    ///
    /// # Errors
    /// `invalid_input` with everything that is not allowed.
    pub fn parse(json: &str, at: &str) -> Result<Self> {
        parse::parse(json, at)
    }

    /// The schema as JSON without white space, its members in their order.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// About how many bytes of memory it takes, once all of its patterns have been searched for.
    #[must_use]
    pub const fn memory(&self) -> usize {
        1024 + 8 * self.text.len() + 512 * self.nodes.len() + (40 << 10) * self.patterns + 200 * self.states
    }

    /// Whether the first check of a document compiles its patterns in no time to speak of.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.states <= SHORT_STATES
    }

    /// Everything that is wrong with a document.
    ///
    /// # Errors
    /// The check has to stop before its end.
    pub fn check(&self, document: &RawDocument, fuel: &Fuel<'_>) -> Result<Violations, Stop> {
        evaluate::check(self, document, fuel)
    }
}

/// Why a check stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// There is not enough fuel.
    Interrupted(Interruption),
    /// Subschemas lead into one another too often.
    TooDeep,
}

impl From<Interruption> for Stop {
    fn from(stopped: Interruption) -> Self {
        Self::Interrupted(stopped)
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Interrupted(Interruption::DocumentTooDear) => Self::TooCostly(format!(
                "The collection's schema takes more than {DOCUMENT_MAX_STEPS} steps for this document: use fewer branches \
                 of `anyOf`, `oneOf` and `$ref` in it, and simpler patterns."
            )),
            Stop::Interrupted(stopped) => stopped.into(),
            Stop::TooDeep => Self::TooCostly(format!(
                "The collection's schema leads through more than {SCHEMA_MAX_EVALUATION_LEVELS} subschemas within one \
                 another for this document: nest the document, or the references of the schema, less deeply."
            )),
        }
    }
}

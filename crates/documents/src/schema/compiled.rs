//! A schema that documents can be checked by, and why a check may stop.

use super::keywords::Node;
use crate::error::Error;
use crate::fuel::Interruption;
use crate::limits::{DOCUMENT_MAX_STEPS, SCHEMA_MAX_EVALUATION_LEVELS};

/// States of patterns that are compiled in some ten microseconds.
const SHORT_STATES: usize = 200;

/// A schema that documents can be checked by.
#[derive(Debug)]
pub struct Schema {
    /// Every subschema; the first is the schema itself.
    pub(super) nodes: Vec<Node>,
    /// How many states all patterns have when compiled.
    pub(super) states: usize,
    pub(super) patterns: usize,
    pub(super) text: String,
}

impl Schema {
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
}

/// Why a check stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvaluationError {
    /// There is not enough fuel.
    Interrupted(Interruption),
    /// Subschemas lead into one another too often.
    TooDeep,
}

impl From<Interruption> for EvaluationError {
    fn from(stopped: Interruption) -> Self {
        Self::Interrupted(stopped)
    }
}

impl From<EvaluationError> for Error {
    fn from(stop: EvaluationError) -> Self {
        match stop {
            EvaluationError::Interrupted(Interruption::DocumentTooDear) => Self::TooCostly(format!(
                "The collection's schema takes more than {DOCUMENT_MAX_STEPS} steps for this document: use fewer branches \
                 of `anyOf`, `oneOf` and `$ref` in it, and simpler patterns."
            )),
            EvaluationError::Interrupted(stopped) => stopped.into(),
            EvaluationError::TooDeep => Self::TooCostly(format!(
                "The collection's schema leads through more than {SCHEMA_MAX_EVALUATION_LEVELS} subschemas within one \
                 another for this document: nest the document, or the references of the schema, less deeply."
            )),
        }
    }
}

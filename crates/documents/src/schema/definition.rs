//! The schema of a collection: a schema, which writes it is applied to, and what a violation means.

use super::compiled::Schema;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which writes are checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaLevel {
    /// Every write.
    #[default]
    Strict,
    /// Every write, except changes of documents that violate the schema already.
    Moderate,
}

/// What a violation means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaAction {
    /// The write is refused.
    #[default]
    Error,
    /// The write is carried out, counted and logged.
    Warn,
}

impl SchemaLevel {
    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Moderate => "moderate",
        }
    }

    /// Takes `text` as the name of a level.
    ///
    /// # Errors
    /// The sentence that lists them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let level = [Self::Strict, Self::Moderate].into_iter().find(|level| level.name() == text);
        level.ok_or_else(|| "Must be `strict` or `moderate`.".to_owned())
    }
}

impl SchemaAction {
    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
        }
    }

    /// Takes `text` as the name of an action.
    ///
    /// # Errors
    /// The sentence that lists them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let action = [Self::Error, Self::Warn].into_iter().find(|action| action.name() == text);
        action.ok_or_else(|| "Must be `error` or `warn`.".to_owned())
    }
}

/// The schema of a collection, as engines keep it: not parsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaDefinition {
    /// The schema as JSON without white space, as [`Schema::text`] writes it.
    pub schema: Arc<str>,
    /// Which writes are checked.
    pub level: SchemaLevel,
    /// What a violation means.
    pub action: SchemaAction,
}

impl SchemaDefinition {
    /// As one line of JSON.
    ///
    /// # Errors
    /// `internal`, which cannot be.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }

    /// From what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// `internal` if the stored text is something else.
    pub fn of_json(json: &str) -> Result<Self> {
        serde_json::from_str(json)
            .map_err(|error| Error::internal(format!("a stored schema is unreadable: {error}")))
    }

    /// The schema itself.
    ///
    /// # Errors
    /// As [`Schema::parse`].
    pub fn parse(&self) -> Result<Schema> {
        Schema::parse(&self.schema, "/schema")
    }
}

//! The names of collections of documents.
//!
//! The name becomes part of a MongoDB namespace and of URLs, so it is plain. Comparison is case-sensitive, as
//! in MongoDB.

use crate::limits::COLLECTION_NAME_MAX_CHARS;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names that engines reserve, in any case.
const RESERVED: [&str; 5] = ["system", "admin", "local", "config", "metadata"];
/// The prefix of the names that the service reserves, in any case.
const RESERVED_START: &str = "tenantry";

/// The name of a collection: 1 to 64 of `a-z A-Z 0-9 _ -`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CollectionName(Box<str>);

impl CollectionName {
    /// The name of the collection that every organization has from the start.
    pub const DEFAULT: &str = "documents";

    /// Takes `text` as a name.
    ///
    /// # Errors
    /// The sentence that says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !is_plain || !begins_well || text.len() > COLLECTION_NAME_MAX_CHARS {
            return Err(format!(
                "Must be 1 to {COLLECTION_NAME_MAX_CHARS} letters (a-z, A-Z), digits, `_` and `-`, the first a letter or digit."
            ));
        }
        let folded = text.to_ascii_lowercase();
        if RESERVED.contains(&folded.as_str()) || folded.starts_with(RESERVED_START) {
            return Err("Is reserved.".into());
        }
        Ok(Self(text.into()))
    }

    /// Whether it is the collection that every organization has.
    #[must_use]
    pub fn is_default(&self) -> bool {
        &*self.0 == Self::DEFAULT
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The collection that every organization has.
impl Default for CollectionName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl TryFrom<String> for CollectionName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collection_name_accepts_plain_names() {
        for text in ["a", "0", "Orders", "order-lines_2", "systems", "my-system", &"x".repeat(64)] {
            assert_eq!(CollectionName::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn collection_name_rejects_other_names() {
        for text in [
            "",
            "_a",
            "-a",
            "a.b",
            "system.indexes",
            "system",
            "System",
            "tenantry",
            "Tenantry_x",
            "a b",
            "a$b",
            "a/b",
            "..",
            "é",
            "a\0",
            "a\n",
            "metadata",
            &"x".repeat(65),
        ] {
            assert!(CollectionName::parse(text).is_err(), "{text}");
            assert!(serde_json::from_value::<CollectionName>(text.into()).is_err(), "{text}");
        }
    }
}

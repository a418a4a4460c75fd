//! Indexes of a collection: their names and definitions.
//!
//! On every engine, an index has the entries that MongoDB would make ([`crate::document::index_entries`]).
//!
//! # Pitfalls
//! A missing field makes an entry too (`null`), so a unique index allows only one document without the field, unless it
//! is sparse or partial.

mod coverage;
mod options;

pub use coverage::{Coverage, PartialFilter};
pub use options::{IndexOptions, StoredOptions};

use crate::document::order::Direction;
use crate::document::{ID_FIELD, Path};
use crate::error::{Error, FieldError, Result};
use crate::limits::{INDEX_MAX_KEYS, INDEX_NAME_MAX_BYTES};
use crate::sort::SortKey;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of an index, unique within its collection: 1 to 120 bytes of letters, digits and `_ - . :`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct IndexName(Box<str>);

impl IndexName {
    /// Takes `text` as a name.
    ///
    /// # Errors
    /// The sentence that says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
            && !text.is_empty();
        if !is_plain || text.len() > INDEX_NAME_MAX_BYTES {
            return Err(format!(
                "Must be 1 to {INDEX_NAME_MAX_BYTES} bytes of letters, digits and `_ - . :`."
            ));
        }
        // MongoDB's own.
        if text == "_id_" {
            return Err("Is reserved.".into());
        }
        Ok(Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IndexName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The definition of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: IndexName,
    /// Its keys, at least one, no path twice.
    pub keys: Vec<SortKey>,
    /// Whether no two documents may have a common entry.
    pub unique: bool,
    /// Which documents it has.
    pub coverage: Coverage,
    /// How many seconds after the date at its path a document is removed, if ever.
    pub expire_after_seconds: Option<u32>,
}

impl Index {
    /// An index of all documents on `keys`, written as a sort order is (`a,-b.c`). Without a name it gets MongoDB's
    /// default: `a_1_b.c_-1`.
    ///
    /// # Errors
    /// `invalid_input` at `/keys` or `/name`.
    pub fn parse(name: Option<IndexName>, keys: &str, unique: bool) -> Result<Self> {
        Self::parse_with(name, keys, IndexOptions::of_all(unique))
    }

    /// The same with any options.
    ///
    /// # Errors
    /// `invalid_input` at `/keys`, `/name`, `/sparse` or `/expire_after_seconds`.
    pub fn parse_with(name: Option<IndexName>, keys: &str, options: IndexOptions) -> Result<Self> {
        let keys = parse_keys(keys).map_err(|detail| Error::invalid_field("/keys", detail))?;
        let name = match name {
            Some(name) => name,
            None => IndexName::parse(&default_name(&keys)).map_err(|_| {
                let detail = "Must be given: the default name for these keys is not allowed.".to_owned();
                Error::Invalid(vec![FieldError { pointer: "/name".into(), detail }])
            })?,
        };
        let (unique, expire_after_seconds) = (options.unique, options.expire_after_seconds);
        let paths: Vec<&Path> = keys.iter().map(|key| &key.path).collect();
        let coverage = options.coverage(&paths)?;
        Ok(Self { name, keys, unique, coverage, expire_after_seconds })
    }

    /// Whether both cannot be in one collection: they have the same name, or the same keys of the same documents.
    #[must_use]
    pub fn is_in_the_way_of(&self, other: &Self) -> bool {
        self.name == other.name || (self.keys == other.keys && self.coverage.is_same_as(&other.coverage))
    }

    /// The options that are kept beside its name, keys and uniqueness.
    #[must_use]
    pub fn stored_options(&self) -> StoredOptions {
        StoredOptions::new(&self.coverage, self.expire_after_seconds)
    }

    /// Its keys as they are written: `a,-b.c`.
    #[must_use]
    pub fn keys_text(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(SortKey::to_string).collect();
        keys.join(",")
    }

    /// The paths of its keys.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        self.keys.iter().map(|key| &key.path).collect()
    }
}

fn parse_keys(text: &str) -> Result<Vec<SortKey>, String> {
    let mut keys: Vec<SortKey> = Vec::new();
    for part in text.split(',') {
        let key = SortKey::parse(part)?;
        if keys.iter().any(|other| other.path == key.path) {
            return Err(format!("The path `{}` is named twice: name it once.", key.path));
        }
        if key.path.has_position() {
            return Err(
                "A path with a number in it cannot be indexed: it may also be a position in an array.".into(),
            );
        }
        keys.push(key);
    }
    if keys.len() > INDEX_MAX_KEYS {
        return Err(format!("Must have at most {INDEX_MAX_KEYS} keys."));
    }
    if let [only] = keys.as_slice()
        && only.path.as_str() == ID_FIELD
    {
        return Err("The `_id` is always indexed.".into());
    }
    Ok(keys)
}

fn default_name(keys: &[SortKey]) -> String {
    let part = |key: &SortKey| {
        format!("{}_{}", key.path, if key.direction == Direction::Ascending { "1" } else { "-1" })
    };
    keys.iter().map(part).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_name_derives_from_keys_unless_given() {
        let index = Index::parse(None, "a,-b.c", true).unwrap();
        assert_eq!((index.name.as_str(), index.keys_text().as_str()), ("a_1_b.c_-1", "a,-b.c"));
        let name = IndexName::parse("mine").unwrap();
        assert_eq!(Index::parse(Some(name.clone()), "a", false).unwrap().name, name);
    }

    #[test]
    fn index_parse_rejects_unusable_keys_and_names() {
        for keys in
            ["", "a,,b", "a,a", "a,-a", "_id", "-_id", "a.0", "a.0.b", "$a", "_tenantry", "a b,_tenantry.x"]
        {
            assert!(Index::parse(None, keys, false).is_err(), "{keys}");
        }
        let many = (0..=INDEX_MAX_KEYS).map(|n| format!("f{n}")).collect::<Vec<_>>().join(",");
        assert!(Index::parse(None, &many, false).is_err());
        for name in ["", "*", "_id_", "a b", "a/b", "a\0", "a~", "$x", &"x".repeat(INDEX_NAME_MAX_BYTES + 1)]
        {
            assert!(IndexName::parse(name).is_err(), "{name}");
        }
    }
    #[test]
    fn index_options_round_trip_through_their_stored_form() {
        let partial = PartialFilter::parse(r#"{"b": {"$gt": 1.0}, "c": {"$in": [1, "x"]}}"#, "").unwrap();
        for (options, stored) in [
            (IndexOptions::of_all(true), "{}"),
            (IndexOptions { sparse: true, ..IndexOptions::default() }, r#"{"sparse":true}"#),
            (
                IndexOptions { expire_after_seconds: Some(0), ..IndexOptions::of_all(true) },
                r#"{"expire_after_seconds":0}"#,
            ),
            (
                IndexOptions { partial_filter: Some(partial), ..IndexOptions::default() },
                concat!(
                    r#"{"partial_filter":{"b":{"$gt":{"$numberDouble":"1.0"}},"#,
                    r#""c":{"$in":[{"$numberInt":"1"},"x"]}}}"#
                ),
            ),
        ] {
            let index = Index::parse_with(None, "a", options.clone()).unwrap();
            let text = serde_json::to_string(&index.stored_options()).unwrap();
            assert_eq!(text, stored);
            let read: StoredOptions = serde_json::from_str(&text).unwrap();
            assert_eq!(read.is_plain(), stored == "{}");
            assert_eq!(read.read(options.unique).unwrap(), options);
        }
    }

    #[test]
    fn index_options_that_exclude_each_other_are_refused() {
        let pointers = |keys, options| {
            let error = Index::parse_with(None, keys, options).unwrap_err();
            error.fields().iter().map(|field| field.pointer.clone()).collect::<Vec<_>>()
        };
        let partial_filter = PartialFilter::parse(r#"{"b": 1}"#, "").ok();
        let both = IndexOptions { sparse: true, partial_filter, ..IndexOptions::default() };
        assert_eq!(pointers("a", both), ["/sparse"]);
        let expiring =
            |seconds| IndexOptions { expire_after_seconds: Some(seconds), ..IndexOptions::default() };
        assert_eq!(pointers("a,b", expiring(1)), ["/expire_after_seconds"]);
        assert_eq!(pointers("a", expiring(1 << 31)), ["/expire_after_seconds"]);
    }

    #[test]
    fn index_is_in_the_way_by_name_or_by_keys_of_same_documents() {
        let index = |name: &str, filter: Option<&str>| {
            let partial_filter = filter.map(|json| PartialFilter::parse(json, "").unwrap());
            let options = IndexOptions { partial_filter, ..IndexOptions::default() };
            Index::parse_with(IndexName::parse(name).ok(), "a", options).unwrap()
        };
        let (all, open) = (index("x", None), index("y", Some(r#"{"s": "open"}"#)));
        assert!(!all.is_in_the_way_of(&open));
        assert!(all.is_in_the_way_of(&index("z", None)));
        assert!(open.is_in_the_way_of(&index("y", Some(r#"{"s": "paid"}"#))));
        for same in [r#"{"s":{"$eq":"open"}}"#, r#"{"$or":[{"s":"open"}]}"#, r#"{"s":{"$in":["open"]}}"#] {
            assert!(open.is_in_the_way_of(&index("z", Some(same))), "{same}");
        }
        assert!(!open.is_in_the_way_of(&index("z", Some(r#"{"s": "open", "n": 1}"#))));
        let sparse = IndexOptions { sparse: true, ..IndexOptions::default() };
        let sparse = Index::parse_with(None, "a", sparse).unwrap();
        assert!(sparse.is_in_the_way_of(&index("z", Some(r#"{"a": {"$exists": true}}"#))));
        assert!(!open.is_in_the_way_of(&index("z", Some(r#"{"s": "paid"}"#))));
    }
}

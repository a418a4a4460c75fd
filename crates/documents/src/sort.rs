//! Sort orders of documents, as MongoDB sorts.
//!
//! A document sorts by its lowest entry ([`crate::document::index_entries`]), or by its highest if the
//! direction is descending; a missing field is `null`. The `_id` always ends the order, so that no two
//! documents are equal in it.
//!
//! # Pitfalls
//! With several keys, one whole entry decides, not the lowest value of each key.

use crate::document::key;
use crate::document::order::{Direction, compare};
use crate::document::{EntriesError, ID_FIELD, Path, index_entries};
use crate::fuel::Fuel;
use crate::limits::SORT_MAX_KEYS;
use bson::raw::{RawArrayBuf, RawBson};
use bson::{Bson, Document, RawBsonRef, RawDocument};
use std::cmp::Ordering;
use std::fmt;

/// One key of a sort order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// The path.
    pub path: Path,
    /// Up or down.
    pub direction: Direction,
}

impl SortKey {
    /// Reads a path, with `-` before it for descending order.
    ///
    /// # Errors
    /// The sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, direction) = match text.strip_prefix('-') {
            Some(path) => (path, Direction::Descending),
            None => (text, Direction::Ascending),
        };
        Ok(Self { path: Path::parse(path)?, direction })
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.direction == Direction::Ascending { "" } else { "-" };
        write!(f, "{sign}{}", self.path)
    }
}

/// A sort order; its last key is the `_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort(Vec<SortKey>);

impl Default for Sort {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Sort {
    /// Reads `a,-b.c`: paths joined by commas, with `-` before descending ones.
    ///
    /// # Errors
    /// The sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<SortKey> = Vec::new();
        for part in text.split(',') {
            let key = SortKey::parse(part)?;
            if keys.iter().any(|other| other.path == key.path) {
                return Err(format!("The path `{}` is named twice: name it once.", key.path));
            }
            keys.push(key);
            if keys.len() > SORT_MAX_KEYS {
                return Err(format!("Must have at most {SORT_MAX_KEYS} keys."));
            }
        }
        Ok(Self::new(keys))
    }

    /// The order by these keys, and then by the `_id`.
    #[must_use]
    pub fn by_keys(keys: Vec<SortKey>) -> Self {
        Self::new(keys)
    }

    /// Drops the keys behind the `_id`: they decide nothing.
    fn new(mut keys: Vec<SortKey>) -> Self {
        match keys.iter().position(|key| key.path.as_str() == ID_FIELD) {
            Some(id) => keys.truncate(id + 1),
            None => keys.push(SortKey {
                path: Path::parse(ID_FIELD).expect("it is a path"),
                direction: Direction::Ascending,
            }),
        }
        Self(keys)
    }

    /// The keys, the `_id` last.
    #[must_use]
    pub fn keys(&self) -> &[SortKey] {
        &self.0
    }

    /// For MongoDB, with `prefix` before each path.
    #[must_use]
    pub fn to_mongodb(&self, prefix: &str) -> Document {
        let key = |key: &SortKey| {
            let direction = if key.direction == Direction::Ascending { 1 } else { -1 };
            (format!("{prefix}{}", key.path), Bson::Int32(direction))
        };
        self.0.iter().map(key).collect()
    }

    /// Bytes whose order is the order of the documents.
    ///
    /// # Errors
    /// Why `document` has no place in this order. If it is unsuitable, MongoDB fails too.
    pub fn key(&self, document: &RawDocument, fuel: &Fuel<'_>) -> Result<Vec<u8>, EntriesError> {
        Ok(self.encode(self.first_entry(document, fuel)?.into_iter()))
    }

    /// The position of `document` in this order.
    ///
    /// # Errors
    /// As [`Self::key`].
    pub fn position(&self, document: &RawDocument, fuel: &Fuel<'_>) -> Result<Position, EntriesError> {
        Ok(Position(self.first_entry(document, fuel)?.into_iter().map(RawBson::from).collect()))
    }

    /// The key of every document at `position`.
    #[must_use]
    pub fn key_at(&self, position: &Position) -> Vec<u8> {
        self.encode(position.0.iter().map(RawBson::as_raw_bson_ref))
    }

    fn encode<'a>(&self, values: impl Iterator<Item = RawBsonRef<'a>>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 16);
        for (value, sort) in values.zip(&self.0) {
            key::append(value, sort.direction, &mut bytes);
        }
        bytes
    }

    /// The order by these keys alone, for documents between the stages of a pipeline.
    pub(crate) const fn by_keys_alone(keys: Vec<SortKey>) -> Self {
        Self(keys)
    }

    /// The entry that decides the position of `document`.
    fn first_entry<'a>(
        &self,
        document: &'a RawDocument,
        fuel: &Fuel<'_>,
    ) -> Result<Vec<RawBsonRef<'a>>, EntriesError> {
        let paths: Vec<_> = self.0.iter().map(|key| &key.path).collect();
        let entries = index_entries(document, &paths, fuel)?;
        Ok(entries.into_iter().min_by(|a, b| self.compare(a, b)).unwrap_or_default())
    }

    fn compare(&self, a: &[RawBsonRef<'_>], b: &[RawBsonRef<'_>]) -> Ordering {
        let orders =
            self.0.iter().zip(a.iter().zip(b)).map(|(key, (a, b))| key.direction.apply(compare(*a, *b)));
        orders.fold(Ordering::Equal, Ordering::then)
    }
}

/// A position in a sort order: a value for each of its keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Position(Vec<RawBson>);

impl Position {
    /// The values, as many as the order has keys.
    #[must_use]
    pub fn values(&self) -> &[RawBson] {
        &self.0
    }

    /// Bytes that [`Self::from_bytes`] reads.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().cloned().collect::<RawArrayBuf>().as_bytes().to_vec()
    }

    /// Reads what [`Self::to_bytes`] made for `sort`; `None` if the bytes are anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], sort: &Sort) -> Option<Self> {
        let array = RawDocument::from_bytes(bytes).ok()?;
        let values: Vec<RawBson> =
            array.iter().map(|each| each.map(|(_, value)| value.into())).collect::<Result<_, _>>().ok()?;
        (values.len() == sort.0.len()).then_some(Self(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{RawDocumentBuf, doc, rawdoc};

    fn order(sort: &str, documents: &[RawDocumentBuf]) -> Vec<i32> {
        let sort = Sort::parse(sort).unwrap();
        let mut documents: Vec<_> = documents.iter().collect();
        documents.sort_by_key(|document| sort.key(document, &Fuel::unlimited()).unwrap());
        documents.iter().map(|document| document.get_i32("_id").unwrap()).collect()
    }

    #[test]
    fn sort_takes_lowest_array_value_up_and_highest_down() {
        let documents = [
            rawdoc! { "_id": 1, "a": [1, 9] },
            rawdoc! { "_id": 2, "a": 5 },
            rawdoc! { "_id": 3 },
            rawdoc! { "_id": 4, "a": [] },
            rawdoc! { "_id": 5, "a": "x" },
            rawdoc! { "_id": 6, "a": null },
        ];
        assert_eq!(order("a", &documents), [4, 3, 6, 1, 2, 5]);
        assert_eq!(order("-a", &documents), [5, 1, 2, 3, 6, 4]);
        assert_eq!(order("-a,-_id", &documents), [5, 1, 2, 6, 3, 4]);
    }

    #[test]
    fn sort_compares_one_array_entry_for_all_keys() {
        let documents = [
            rawdoc! { "_id": 1, "a": [{ "x": 1, "y": 9 }, { "x": 2, "y": 0 }] },
            rawdoc! { "_id": 2, "a": [{ "x": 1, "y": 5 }] },
        ];
        assert_eq!(order("a.x,a.y", &documents), [2, 1]);
        let parallel = rawdoc! { "_id": 1, "a": [1], "b": [2] };
        assert!(Sort::parse("a,b").unwrap().key(&parallel, &Fuel::unlimited()).is_err());
    }

    #[test]
    fn sort_order_ends_with_id() {
        for (text, expected) in [
            ("a", doc! { "doc.a": 1, "doc._id": 1 }),
            ("-a,b.c", doc! { "doc.a": -1, "doc.b.c": 1, "doc._id": 1 }),
            ("-_id", doc! { "doc._id": -1 }),
            ("a,_id,b", doc! { "doc.a": 1, "doc._id": 1 }),
        ] {
            assert_eq!(Sort::parse(text).unwrap().to_mongodb("doc."), expected);
        }
        assert_eq!(Sort::default().to_mongodb(""), doc! { "_id": 1 });
    }

    #[test]
    fn sort_position_round_trips() {
        let sort = Sort::parse("a,-b").unwrap();
        let document = rawdoc! { "_id": 7, "a": [5, "x"], "b": null };
        let position = sort.position(&document, &Fuel::unlimited()).unwrap();
        assert_eq!(sort.key_at(&position), sort.key(&document, &Fuel::unlimited()).unwrap());
        assert_eq!(Position::from_bytes(&position.to_bytes(), &sort), Some(position.clone()));
        assert_eq!(Position::from_bytes(&position.to_bytes(), &Sort::default()), None);
        assert_eq!(Position::from_bytes(b"nonsense", &sort), None);
    }

    #[test]
    fn sort_parse_rejects_invalid_orders() {
        for text in
            ["", "a,,b", "a,a", "a,-a", "a,b,c,d", "-", "$a", "a.$b", "a..b", "_tenantry", "-_tenantry.x"]
        {
            assert!(Sort::parse(text).is_err(), "{text}");
        }
    }
}

//! How an index is defined on the server, how a requested index compares with existing ones, and why one cannot be
//! created.
//!
//! A non-unique index ends in `_id`, as does every sort order that a query can ask for: without it MongoDB would have
//! to sort documents that the index already has in order. Its name then ends in [`ID_SUFFIX`], which distinguishes it
//! from an index whose keys a caller has ended in `_id`. Programs of the organization also create indexes of other
//! kinds: sparse, partial, text, TTL. These are not shown, and no query relies on them.

use crate::engine_error::{EngineError, EngineResult, NOT_INDEXABLE};
use mongodb::bson::{Bson, Document, doc};
use tenantry_documents::document::order::Direction;
use tenantry_documents::document::{ID_FIELD, Path};
use tenantry_documents::index::{Index, IndexName};
use tenantry_documents::sort::SortKey;
use tenantry_domain::limits::INDEXES_MAX;
use tenantry_domain::store::InsertOutcome;
use tenantry_domain::{Error, ErrorCode};

/// The end of the name of an index to whose keys `_id` was added. No name that a caller can choose has it.
const ID_SUFFIX: &str = "~";

/// "IndexOptionsConflict" and "IndexKeySpecsConflict".
pub(crate) const INDEX_CONFLICT_CODES: [i32; 2] = [85, 86];
/// "CannotCreateIndex": for example, the collection already has as many indexes as MongoDB allows.
const CANNOT_CREATE_INDEX: i32 = 67;

/// The fields of a plain index's definition.
const PLAIN_FIELDS: [&str; 5] = ["v", "key", "name", "unique", "ns"];

/// Compares a requested index with the existing ones: it exists, it conflicts with one, or `None`.
pub(crate) fn compare(there: &[Index], index: &Index) -> EngineResult<Option<InsertOutcome>> {
    if there.contains(index) {
        return Ok(Some(InsertOutcome::Exists));
    }
    if there.iter().any(|other| other.name == index.name || other.keys == index.keys) {
        return Err(Error::from(ErrorCode::IndexExists).into());
    }
    if there.len() >= INDEXES_MAX as usize {
        return Err(Error::from(ErrorCode::TooManyIndexes).into());
    }
    Ok(None)
}

/// Why an index could not be created, as an error for the caller.
pub(crate) fn explain_denial(failure: EngineError, index: &Index) -> EngineError {
    let error = match failure {
        EngineError::Duplicate { .. } => {
            let detail =
                format!("Two documents have the same value, so the index `{}` cannot be unique.", index.name);
            Error::from(ErrorCode::UniqueViolation).detail(detail)
        }
        EngineError::ServerError { code, .. } if NOT_INDEXABLE.contains(&code) => {
            Error::invalid_field("/keys", "Two of the paths go through different arrays of one document.")
        }
        EngineError::ServerError { code, .. } if INDEX_CONFLICT_CODES.contains(&code) => {
            ErrorCode::IndexExists.into()
        }
        EngineError::ServerError { code: CANNOT_CREATE_INDEX, message } if message.contains("too many") => {
            ErrorCode::TooManyIndexes.into()
        }
        other => return other,
    };
    error.into()
}

/// The keys as MongoDB takes them, with `prefix` before each path.
pub(crate) fn keys(prefix: &str, index: &Index) -> Document {
    let direction = |key: &SortKey| if key.direction == Direction::Ascending { 1 } else { -1 };
    let keys = index.keys.iter().map(|key| (format!("{prefix}{}", key.path), Bson::Int32(direction(key))));
    let id = ends_in_added_id(index).then(|| (format!("{prefix}{ID_FIELD}"), Bson::Int32(1)));
    keys.chain(id).collect()
}

/// Whether `_id` is added to the keys of an index. It would make a unique index useless.
fn ends_in_added_id(index: &Index) -> bool {
    !index.unique && !index.keys.iter().any(|key| key.path.as_str() == ID_FIELD)
}

/// The name of an index on the server, in a collection of the organization's own.
pub(crate) fn physical_name(index: &Index) -> String {
    let end = if ends_in_added_id(index) { ID_SUFFIX } else { "" };
    format!("{}{end}", index.name)
}

pub(crate) fn specification(name: &str, keys: Document, unique: bool) -> Document {
    let mut specification = doc! { "name": name, "key": keys };
    if unique {
        specification.insert("unique", true);
    }
    specification
}

/// The index of a definition, if it is a plain one.
pub(crate) fn read(specification: &Document) -> Option<Index> {
    if specification.keys().any(|field| !PLAIN_FIELDS.contains(&field.as_str())) {
        return None;
    }
    let key = |(path, direction): (&String, &Bson)| {
        let direction = match direction {
            Bson::Int32(1) | Bson::Int64(1) => Direction::Ascending,
            Bson::Int32(-1) | Bson::Int64(-1) => Direction::Descending,
            Bson::Double(number) if number.total_cmp(&1.0).is_eq() => Direction::Ascending,
            Bson::Double(number) if number.total_cmp(&-1.0).is_eq() => Direction::Descending,
            _ => return None,
        };
        let path = Path::parse(path).ok()?;
        (!path.has_position()).then_some(SortKey { path, direction })
    };
    let mut keys = specification.get_document("key").ok()?.iter().map(key).collect::<Option<Vec<_>>>()?;
    let mut name = specification.get_str("name").ok()?;
    if let Some(own) = name.strip_suffix(ID_SUFFIX) {
        name = own;
        keys.pop();
    }
    let unique = specification.get_bool("unique").unwrap_or(false);
    Some(Index { name: IndexName::parse(name).ok()?, keys, unique })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mongodb_index_round_trips_through_its_specification() {
        for (keys_text, unique, made) in [
            ("a", false, doc! { "name": "a_1~", "key": { "a": 1, "_id": 1 } }),
            ("-a,_id", false, doc! { "name": "a_-1__id_1", "key": { "a": -1, "_id": 1 } }),
            ("-a,b.c", true, doc! { "name": "a_-1_b.c_1", "key": { "a": -1, "b.c": 1 }, "unique": true }),
        ] {
            let index = Index::parse(None, keys_text, unique).unwrap();
            assert_eq!(specification(&physical_name(&index), keys("", &index), unique), made);
            assert_eq!(read(&made), Some(index));
        }
        let by_a_shell = doc! { "v": 2, "key": { "a": 1.0, "b": -1_i64 }, "name": "x" };
        assert_eq!(read(&by_a_shell).unwrap().keys_text(), "a,-b");
    }

    #[test]
    fn mongodb_index_of_other_kinds_is_not_listed() {
        for other in [
            doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
            doc! { "v": 2, "key": { "a": "text" }, "name": "a" },
            doc! { "v": 2, "key": { "a": "hashed" }, "name": "a" },
            doc! { "v": 2, "key": { "$**": 1 }, "name": "a" },
            doc! { "v": 2, "key": { "a.0": 1 }, "name": "a" },
            doc! { "v": 2, "key": { "_tenantry.rev": 1 }, "name": "a" },
            doc! { "v": 2, "key": { "a": 1 }, "name": "a", "sparse": true },
            doc! { "v": 2, "key": { "a": 1 }, "name": "a", "expireAfterSeconds": 1 },
            doc! { "v": 2, "key": { "a": 1 }, "name": "a", "partialFilterExpression": { "a": 1 } },
            doc! { "v": 2, "key": { "a": 1 }, "name": "a", "collation": { "locale": "en" } },
            doc! { "v": 2, "key": { "a": 1 }, "name": "with space" },
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
    }

    #[test]
    fn mongodb_index_insert_compares_with_existing_indexes() {
        let index = |name, keys, unique| Index::parse(IndexName::parse(name).ok(), keys, unique).unwrap();
        let there = [index("one", "a", false)];
        assert_eq!(compare(&there, &index("one", "a", false)).unwrap(), Some(InsertOutcome::Exists));
        assert_eq!(compare(&there, &index("two", "-a", false)).unwrap(), None);
        for other in [index("one", "a", true), index("one", "b", false), index("two", "a", true)] {
            let error = Error::from(compare(&there, &other).unwrap_err());
            assert_eq!(error.code(), ErrorCode::IndexExists);
        }
    }
}

//! How an index is defined on the server, how a requested index compares with existing ones, and why one cannot be
//! created.
//!
//! A non-unique index ends in `_id`, as does every sort order that a query can ask for: without it MongoDB would have
//! to sort documents that the index already has in order. Its name then ends in [`ID_SUFFIX`], which distinguishes it
//! from an index whose keys a caller has ended in `_id`.
//!
//! The name also says what the server does not: that an index is one of the service's own sparse or partial ones
//! ([`SPARSE`], [`PARTIAL`]), and when its documents expire ([`EXPIRES`]). A sparse index is a partial one on the server,
//! as it has to be in a collection that organizations share. Programs of the organization also create indexes of other
//! kinds: sparse, partial, text, TTL. These are not shown, and no query relies on them.

use crate::engine_error::{EngineError, EngineResult, NOT_INDEXABLE};
use mongodb::bson::{Bson, Document, doc};
use tenantry_documents::document::order::Direction;
use tenantry_documents::document::{ID_FIELD, Path};
use tenantry_documents::index::{Coverage, Index, IndexName, PartialFilter};
use tenantry_documents::sort::SortKey;
use tenantry_domain::limits::INDEXES_MAX;
use tenantry_domain::store::InsertOutcome;
use tenantry_domain::{Error, ErrorCode};

/// Begins each mark after the name of an index. No name that a caller can choose has it.
const MARK: char = '~';
/// The marks, in their order; the last one, which is empty, says that `_id` was added to the keys.
const SPARSE: &str = "sparse";
const PARTIAL: &str = "partial";
const EXPIRES: &str = "expires:";
/// The field of a definition with the filter of a partial index.
const PARTIAL_FILTER: &str = "partialFilterExpression";

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
    if there.iter().any(|other| other.is_in_the_way_of(index)) {
        return Err(Error::from(ErrorCode::IndexExists).into());
    }
    if there.len() >= INDEXES_MAX as usize {
        let most = INDEXES_MAX as usize;
        return Err(Error::limit_reached(ErrorCode::TooManyIndexes, "The collection", most, "indexes").into());
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
        EngineError::ServerError { code: CANNOT_CREATE_INDEX, .. } if index.coverage.filter().is_some() => {
            let detail = "This MongoDB does not support the filter: `$in`, `$or` and conditions in them need version 6.0.";
            let pointer =
                if matches!(index.coverage, Coverage::Sparse(_)) { "/sparse" } else { "/partial_filter" };
            Error::invalid_field(pointer, detail)
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
    let kind = match &index.coverage {
        Coverage::All => None,
        Coverage::Sparse(_) => Some(SPARSE.to_owned()),
        Coverage::Partial(_) => Some(PARTIAL.to_owned()),
    };
    let expires = index.expire_after_seconds.map(|seconds| format!("{EXPIRES}{seconds}"));
    let id = ends_in_added_id(index).then(String::new);
    let mut name = index.name.to_string();
    for mark in [kind, expires, id].into_iter().flatten() {
        name.push(MARK);
        name.push_str(&mark);
    }
    name
}

/// The caller's name for an index that has that name on the server.
pub(crate) fn caller_name(physical: &str) -> &str {
    physical.split(MARK).next().unwrap_or(physical)
}

/// The marks of a name.
#[derive(Default)]
struct Marks {
    is_sparse: bool,
    is_partial: bool,
    expire_after_seconds: Option<u32>,
    has_added_id: bool,
}

impl Marks {
    /// The name of an index, and its marks; `None` if the service gives no such name.
    fn split(physical: &str) -> Option<(IndexName, Self)> {
        let mut parts = physical.split(MARK);
        let (name, mut marks) = (IndexName::parse(parts.next()?).ok()?, Self::default());
        for mark in parts {
            match mark {
                SPARSE => marks.is_sparse = true,
                PARTIAL => marks.is_partial = true,
                "" => marks.has_added_id = true,
                _ => marks.expire_after_seconds = Some(mark.strip_prefix(EXPIRES)?.parse().ok()?),
            }
        }
        Some((name, marks))
    }
}

/// The definition of an index in a collection of the organization's own.
pub(crate) fn specification(index: &Index) -> Document {
    let filter = index.coverage.filter().map(|filter| filter.to_mongodb(""));
    definition(&physical_name(index), keys("", index), index.unique, filter)
}

/// The definition of an index with that name and these keys, of the documents that match `filter`.
pub(crate) fn definition(name: &str, keys: Document, unique: bool, filter: Option<Document>) -> Document {
    let mut definition = doc! { "name": name, "key": keys };
    if unique {
        definition.insert("unique", true);
    }
    if let Some(filter) = filter {
        definition.insert(PARTIAL_FILTER, filter);
    }
    definition
}

/// The index of a definition, if it is a plain one or has the marks of the service.
pub(crate) fn read(specification: &Document) -> Option<Index> {
    let (name, marks) = Marks::split(specification.get_str("name").ok()?)?;
    let filter = specification.get_document(PARTIAL_FILTER).ok();
    let is_known = |field: &str| PLAIN_FIELDS.contains(&field) || field == PARTIAL_FILTER;
    if !specification.keys().all(|field| is_known(field))
        || filter.is_some() != (marks.is_sparse || marks.is_partial)
    {
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
    if marks.has_added_id {
        keys.pop();
    }
    let paths: Vec<&Path> = keys.iter().map(|key| &key.path).collect();
    let coverage = match filter {
        None => Coverage::All,
        Some(_) if marks.is_sparse => Coverage::sparse(&paths),
        Some(filter) => Coverage::Partial(PartialFilter::from_mongodb(filter)?),
    };
    let unique = specification.get_bool("unique").unwrap_or(false);
    Some(Index { name, keys, unique, coverage, expire_after_seconds: marks.expire_after_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_documents::index::IndexOptions;

    #[test]
    fn mongodb_index_round_trips_through_its_specification() {
        for (keys_text, unique, made) in [
            ("a", false, doc! { "name": "a_1~", "key": { "a": 1, "_id": 1 } }),
            ("-a,_id", false, doc! { "name": "a_-1__id_1", "key": { "a": -1, "_id": 1 } }),
            ("-a,b.c", true, doc! { "name": "a_-1_b.c_1", "key": { "a": -1, "b.c": 1 }, "unique": true }),
        ] {
            let index = Index::parse(None, keys_text, unique).unwrap();
            assert_eq!(specification(&index), made);
            assert_eq!(read(&made), Some(index));
        }
        let options = |json: Option<&str>, unique, expire_after_seconds| IndexOptions {
            unique,
            sparse: json.is_none(),
            partial_filter: json.map(|json| PartialFilter::parse(json, "").unwrap()),
            expire_after_seconds,
        };
        for (keys_text, options, made) in [
            (
                "a,b",
                options(None, true, None),
                doc! { "name": "a_1_b_1~sparse", "key": { "a": 1, "b": 1 }, "unique": true,
                "partialFilterExpression":
                    { "$or": [{ "a": { "$exists": true } }, { "b": { "$exists": true } }] } },
            ),
            (
                "a",
                options(Some(r#"{"s": "x"}"#), false, Some(60)),
                doc! { "name": "a_1~partial~expires:60~", "key": { "a": 1, "_id": 1 },
                "partialFilterExpression": { "s": "x" } },
            ),
        ] {
            let index = Index::parse_with(None, keys_text, options).unwrap();
            assert_eq!(specification(&index), made);
            assert_eq!(caller_name(&physical_name(&index)), index.name.as_str());
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
            doc! { "v": 2, "key": { "a": 1 }, "name": "a~sparse" },
            doc! { "v": 2, "key": { "a": 1 }, "name": "a~other" },
            doc! { "v": 2, "key": { "a": 1 }, "name": "a~partial", "partialFilterExpression": { "a": { "$type": "int" } } },
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

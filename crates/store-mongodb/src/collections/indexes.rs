//! Indexes that are indexes of the server's, and what can become of making one.
//!
//! One that is not unique ends in the `_id`, as every order does that is asked for: without it MongoDB would have to sort
//! what the index has in order. Its name then ends in [`WITH_ID`], so that it is told from one that a caller wants so.
//! Programs of the organization's own make indexes of other kinds, too: sparse, partial, text, of documents that expire.
//! These are not shown, nor those that are still being made, and no query relies on them. What a newcomer gets wrong:
//! `listIndexes` knows no UUID, so the collection is looked at before and after.

use super::command::{Amount, Command};
use super::handle::CollectionHandle;
use crate::MongoDb;
use crate::engine_error::{EngineError, EngineResult, NOT_INDEXABLE};
use crate::quota::Outcome;
use bson::RawDocument;
use mongodb::bson::{Bson, Document, doc};
use std::time::{Duration, Instant};
use tenantry_documents::document::EntryBudget;
use tenantry_documents::document::order::Direction;
use tenantry_documents::document::{ID_FIELD, Path};
use tenantry_documents::index::{Index, IndexName};
use tenantry_documents::sort::SortKey;
use tenantry_domain::limits::INDEXES_MAX;
use tenantry_domain::organization::{Organization, Placement};
use tenantry_domain::store::InsertOutcome;
use tenantry_domain::{Error, ErrorCode};

/// How the name of an index ends to whose keys the `_id` was added. No caller's name has it.
const WITH_ID: &str = "~";

/// How long an index may take to be made.
pub(super) const BUILDING: Duration = Duration::from_secs(3600);

/// Between two looks at an index that another one is making.
const PAUSE: Duration = Duration::from_millis(100);

/// "IndexOptionsConflict" and "IndexKeySpecsConflict".
pub(super) const CONFLICTS: [i32; 2] = [85, 86];
/// "CannotCreateIndex": among other things, there are as many as a collection can have.
const CANNOT_CREATE: i32 = 67;
/// "IndexNotFound".
pub(super) const INDEX_NOT_FOUND: i32 = 27;

/// Fields of an index's definition that a plain one has.
const PLAIN: [&str; 5] = ["v", "key", "name", "unique", "ns"];

/// How often indexes are listed while the collection moves.
const ROUNDS: u32 = 8;

impl MongoDb {
    /// The indexes of a collection, in the order of their names.
    pub(crate) async fn indexes_at(&self, at: &mut CollectionHandle<'_>) -> EngineResult<Vec<Index>> {
        let mut indexes: Vec<Index> = match &at.share {
            Some(share) => share.serving().cloned().collect(),
            None => self.specifications(at).await?.iter().filter_map(read).collect(),
        };
        indexes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(indexes)
    }

    /// The definitions of all indexes that are made.
    async fn specifications(&self, at: &mut CollectionHandle<'_>) -> EngineResult<Vec<Document>> {
        for _ in 0..ROUNDS {
            // The collection that all share never moves.
            if at.share.is_none() {
                self.look_at(at).await?;
            }
            let namespace = at.namespace.clone();
            let list = at.database.run_cursor_command(doc! { "listIndexes": &namespace });
            let listed = self.connection.call(async {
                let mut cursor = list.await?;
                let mut all = Vec::new();
                while cursor.advance().await? {
                    all.push(cursor.deserialize_current()?);
                }
                Ok(all)
            });
            let listed = listed.await;
            // Afterwards: what is done by then serves, and what was not even begun is not in the list.
            let building = self.building_at(at).await?;
            if at.namespace == namespace {
                let is_made = |index: &Document| {
                    index.get_str("name").is_ok_and(|name| !building.iter().any(|each| each == name))
                };
                return listed.map(|all| all.into_iter().filter(is_made).collect());
            }
        }
        Err(EngineError::Interrupted)
    }

    /// Finds out where the collection is now.
    async fn look_at(&self, at: &mut CollectionHandle<'_>) -> EngineResult<()> {
        let look = Command::new("find", &doc! { "limit": 1, "projection": { "_id": 1 } })?;
        self.read_at(at, &look, Amount::ALL, self.connection.server().deadline(), |_| Ok(()))
            .await
            .map(|_| ())
    }

    /// The names of the indexes that are still being made, which the server lists like all others.
    async fn building_at(&self, at: &mut CollectionHandle<'_>) -> EngineResult<Vec<String>> {
        let stages = [
            doc! { "$collStats": { "storageStats": {} } },
            doc! { "$project": { "names": "$storageStats.indexBuilds" } },
        ];
        let stats = Command::new("aggregate", &doc! { "pipeline": &stages[..], "cursor": {} })?;
        let names = |shard: &RawDocument| {
            let names = shard.get_array("names").ok().into_iter().flatten().filter_map(Result::ok);
            Ok(names.filter_map(|name| name.as_str().map(str::to_owned)).collect::<Vec<_>>())
        };
        let (shards, _) =
            self.read_at(at, &stats, Amount::ALL, self.connection.server().deadline(), names).await?;
        Ok(shards.concat())
    }

    /// Whether the server is making an index of an organization, no matter who asked for it. One in a share is not the
    /// organization's before it serves.
    pub(crate) async fn is_making_index(&self, organization: &Organization) -> EngineResult<bool> {
        if organization.placement == Placement::Shared {
            return Ok(false);
        }
        for name in self.collection_names_of(organization).await? {
            let building = match self.resolve_collection(organization, &name).await {
                Ok(mut at) => self.building_at(&mut at).await,
                Err(failure) => Err(failure),
            };
            match building {
                Ok(names) if names.is_empty() => {}
                Ok(_) => return Ok(true),
                Err(failure) if super::is_missing(&failure) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(false)
    }

    pub(super) async fn insert_plain_index(
        &self,
        at: &mut CollectionHandle<'_>,
        index: &Index,
        budget: EntryBudget,
    ) -> EngineResult<InsertOutcome> {
        let serving = self.indexes_at(at).await?;
        if let Some(settled) = compare(&serving, index)? {
            return Ok(settled);
        }
        self.room_for_index().await?;
        let claim = self.begin_index(at, &serving, index, budget).await?;
        let made = self.make_claimed_index(at, index).await;
        let made = made.map_err(|failure| Error::from(explain_denial(failure, index)));
        self.end_index(at.organization, claim, Outcome::of(&made)).await;
        Ok(made?)
    }

    async fn make_claimed_index(
        &self,
        at: &mut CollectionHandle<'_>,
        index: &Index,
    ) -> EngineResult<InsertOutcome> {
        if index.unique {
            self.set_first_apart(at, index).await?;
        }
        let specification = specification(&physical_name(index), keys("", index), index.unique);
        self.make_index_at(at, &specification).await
    }

    /// Makes an index of the server's. Where another one is making the same, it is waited for: the server answers that
    /// it is there, and not what becomes of it.
    pub(super) async fn make_index_at(
        &self,
        at: &mut CollectionHandle<'_>,
        specification: &Document,
    ) -> EngineResult<InsertOutcome> {
        let create = self.connection.server().durably(doc! { "indexes": [specification] });
        let create = Command::new("createIndexes", &create)?;
        let began = Instant::now();
        while began.elapsed() < BUILDING {
            let answer = self.long_command_at(at, &create, BUILDING).await?;
            if answer.get("numIndexesBefore") != answer.get("numIndexesAfter") {
                return Ok(InsertOutcome::New);
            }
            let made = self.specifications(at).await?;
            if made.iter().any(|each| each.get("name") == specification.get("name")) {
                return Ok(InsertOutcome::Exists);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::unavailable("another one does not come to an end with the same index").into())
    }

    pub(super) async fn delete_plain_index(
        &self,
        at: &mut CollectionHandle<'_>,
        name: &IndexName,
    ) -> EngineResult<bool> {
        let all = self.specifications(at).await?;
        let found = all.iter().find(|each| read(each).is_some_and(|index| index.name == *name));
        let Some(found) = found.and_then(|found| found.get_str("name").ok()) else { return Ok(false) };
        let drop = self.connection.server().durably(doc! { "index": found });
        match self.command_at(at, &Command::new("dropIndexes", &drop)?).await {
            Ok(_) => Ok(true),
            Err(EngineError::Answered { code: INDEX_NOT_FOUND, .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

/// What follows from the indexes that are there: the same one, a refusal, or nothing.
pub(super) fn compare(there: &[Index], index: &Index) -> EngineResult<Option<InsertOutcome>> {
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

/// Why an index could not be made, for the caller.
pub(super) fn explain_denial(failure: EngineError, index: &Index) -> EngineError {
    let error = match failure {
        EngineError::Duplicate { .. } => {
            let detail =
                format!("Two documents have the same value: the index `{}` cannot be unique.", index.name);
            Error::from(ErrorCode::UniqueViolation).detail(detail)
        }
        EngineError::Answered { code, .. } if NOT_INDEXABLE.contains(&code) => Error::invalid_field(
            "/keys",
            "There is a document in which two of the paths go through different arrays.",
        ),
        EngineError::Answered { code, .. } if CONFLICTS.contains(&code) => ErrorCode::IndexExists.into(),
        EngineError::Answered { code: CANNOT_CREATE, message } if message.contains("too many") => {
            ErrorCode::TooManyIndexes.into()
        }
        other => return other,
    };
    error.into()
}

/// The keys as MongoDB takes them, with `prefix` before each path.
pub(super) fn keys(prefix: &str, index: &Index) -> Document {
    let direction = |key: &SortKey| if key.direction == Direction::Ascending { 1 } else { -1 };
    let keys = index.keys.iter().map(|key| (format!("{prefix}{}", key.path), Bson::Int32(direction(key))));
    let id = ends_in_added_id(index).then(|| (format!("{prefix}{ID_FIELD}"), Bson::Int32(1)));
    keys.chain(id).collect()
}

/// Whether the `_id` is added to the keys of an index. A unique one would then be none.
pub(super) fn ends_in_added_id(index: &Index) -> bool {
    !index.unique && !index.keys.iter().any(|key| key.path.as_str() == ID_FIELD)
}

fn physical_name(index: &Index) -> String {
    let end = if ends_in_added_id(index) { WITH_ID } else { "" };
    format!("{}{end}", index.name)
}

pub(super) fn specification(name: &str, keys: Document, unique: bool) -> Document {
    let mut specification = doc! { "name": name, "key": keys };
    if unique {
        specification.insert("unique", true);
    }
    specification
}

/// The index of a definition, if it is a plain one.
fn read(specification: &Document) -> Option<Index> {
    if specification.keys().any(|field| !PLAIN.contains(&field.as_str())) {
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
    if let Some(own) = name.strip_suffix(WITH_ID) {
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

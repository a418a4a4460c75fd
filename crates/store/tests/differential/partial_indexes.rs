//! Partial and sparse indexes: an answer is the same before and after each is made, and as MongoDB's own.
//!
//! The filters of the indexes come from what the queries ask, so that many queries may use one.

use crate::chance::{Chance, new_seeds, report};
use crate::engines::{KEYS, Subject, subjects};
use crate::generate;
use crate::judge::{Judge, ids, json, raw};
use mongodb::bson::{Bson, Document, doc};
use std::hash::{BuildHasher, RandomState};
use tenantry_documents::filter::Filter;
use tenantry_documents::index::{Index, IndexName, IndexOptions, PartialFilter};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::store::InsertOutcome;

/// For each seed.
const ROUNDS: usize = 4;
const DOCUMENTS: i32 = 60;
const FILTERS: usize = 30;
/// The indexes of a round: an organization that shares its collections with others has no more in all.
const INDEXES: usize = 4;

struct Question {
    asked: Document,
    filter: Filter,
    sort: &'static str,
    expected: Vec<i32>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partial_index_never_changes_query_results() {
    let judge = Judge::new().await;
    let database = format!("engines_{:016x}", RandomState::new().hash_one(0));
    let subjects = subjects(&database).await;
    let (mut usable, mut cases) = (0, 0);
    let seeds = new_seeds();
    for (number, seed) in seeds.iter().enumerate() {
        let mut chance = seed.begin();
        for round in 0..ROUNDS {
            let name = CollectionName::parse(&format!("c{number}x{round}")).unwrap();
            usable += compare_indexes(&judge, &subjects, &name, &mut chance).await;
            cases += FILTERS * (1 + INDEXES) * subjects.len();
        }
    }
    assert!(usable > seeds.len() * ROUNDS * FILTERS / 8, "only {usable} queries could use an index");
    report("partial indexes", cases);
    for subject in subjects {
        subject.opened.close().await;
    }
    judge.end_with(&database).await;
}

/// Asks the same before and after each of some indexes is made; how many queries may use one.
async fn compare_indexes(
    judge: &Judge,
    subjects: &[Subject],
    name: &CollectionName,
    chance: &mut Chance,
) -> usize {
    let documents = generate::documents(chance, DOCUMENTS);
    let theirs = judge.fill("partial", &documents).await;
    let filters: Vec<Document> = (0..INDEXES).map(|_| generate::partial_filter(chance, 1)).collect();
    let mut questions = Vec::new();
    for _ in 0..FILTERS {
        let asked = question(chance, &filters);
        let filter = parse(&asked);
        let expected = ids(&theirs, asked.clone(), doc! { "_id": 1 }).await;
        let expected = expected.unwrap_or_else(|error| panic!("{}: {error}", json(&asked)));
        assert_eq!(matching(&filter, &documents), expected, "{}", json(&asked));
        questions.push(Question { asked, filter, sort: chance.one_of(&["_id", "a", "-b", "a.b"]), expected });
    }
    for subject in subjects {
        subject.make(name, &documents).await;
    }
    ask_all(subjects, name, &questions, "no index").await;
    let mut usable = 0;
    for (number, filter) in filters.iter().enumerate() {
        let index = index(chance, number, filter);
        for subject in subjects {
            // Two paths of it may go through different arrays.
            let collections = &subject.store().collections;
            let _ = collections.insert_index(&subject.organization, name, &index).await;
        }
        let covered = index.coverage.filter().unwrap().filter();
        usable += questions.iter().filter(|question| question.filter.implies(covered)).count();
        ask_all(subjects, name, &questions, &format!("{index:?}")).await;
    }
    for subject in subjects {
        let collections = &subject.store().collections;
        assert!(collections.delete_collection(&subject.organization, name).await.unwrap());
    }
    usable
}

async fn ask_all(subjects: &[Subject], name: &CollectionName, questions: &[Question], index: &str) {
    for subject in subjects {
        for Question { asked, filter, sort, expected } in questions {
            let what = format!("{} with {index}: {} by {sort}", subject.name, json(asked));
            match subject.try_find(name, filter, sort, 200).await {
                Ok(mut found) => {
                    if *sort != "_id" {
                        found.sort_unstable();
                    }
                    assert_eq!(&found, expected, "{what}");
                }
                // Some cannot be sorted.
                Err(error) => assert_ne!(*sort, "_id", "{what}: {error}"),
            }
            assert_eq!(subject.count(name, filter).await, expected.len() as u64, "{what}");
        }
    }
}

/// A filter that implies that of an index, or nearly.
fn question(chance: &mut Chance, filters: &[Document]) -> Document {
    let filter = &filters[chance.below(filters.len())];
    let path = filter.keys().next().filter(|path| !path.starts_with('$'));
    match (chance.below(6), path) {
        (0, _) => filter.clone(),
        (1, _) => doc! { "$and": [filter.clone(), generate::filter(chance, 1)] },
        (2, _) => doc! { "$or": [filter.clone(), generate::filter(chance, 1)] },
        (3, Some(path)) => doc! { path: generate::field(chance, 1) },
        (4, Some(path)) => doc! { path: generate::field(chance, 1), "$and": [filter.clone()] },
        _ => generate::filter(chance, 2),
    }
}

fn index(chance: &mut Chance, number: usize, filter: &Document) -> Index {
    let mut options = IndexOptions::default();
    if chance.once_in(3) {
        options.sparse = true;
    } else {
        options.partial_filter = Some(PartialFilter::parse(&json(filter), "").unwrap());
    }
    let name = IndexName::parse(&format!("i{number}")).unwrap();
    Index::parse_with(Some(name), chance.one_of(&KEYS), options).unwrap()
}

fn parse(asked: &Document) -> Filter {
    Filter::parse(&json(asked), "").unwrap_or_else(|error| panic!("{}: {error}", json(asked)))
}

fn matching(filter: &Filter, documents: &[Document]) -> Vec<i32> {
    let ids = (0..).zip(raw(documents)).filter(|(_, document)| filter.matches(document));
    ids.map(|(id, _)| id).collect()
}

/// For MongoDB, a value that is not null is at a path that exists. A path through an array of scalars leads to neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn index_of_existing_paths_hides_nothing_that_is_not_null() {
    let judge = Judge::new().await;
    let database = format!("engines_{:016x}", RandomState::new().hash_one(0));
    let subjects = subjects(&database).await;
    let documents = [
        doc! { "_id": 0, "a": [2], "c": 1 },
        doc! { "_id": 1, "a": [[], [[]]], "c": 1 },
        doc! { "_id": 2, "a": [{ "b": 1 }], "c": 1 },
        doc! { "_id": 3, "a": { "b": Bson::Null }, "c": 1 },
        doc! { "_id": 4, "a": [{ "b": 1 }, {}], "c": 1 },
        doc! { "_id": 5, "c": 1 },
    ];
    let theirs = judge.fill("not_null", &documents).await;
    let partial = doc! { "$or": [{ "a.b": { "$exists": true } }, { "a.d": { "$exists": true } }] };
    let questions: Vec<Document> = vec![
        doc! { "a.b": { "$ne": Bson::Null } },
        doc! { "a.b": { "$nin": [Bson::Null, 7] } },
        doc! { "a.b": { "$not": { "$eq": Bson::Null } } },
        doc! { "a.b": { "$not": { "$in": [Bson::Null, 7] } } },
        doc! { "a.b": { "$not": { "$all": [Bson::Null] } } },
        doc! { "a.b": { "$not": { "$not": { "$ne": Bson::Null } } } },
        doc! { "a.b": { "$ne": Bson::Null, "$gt": 0 } },
        doc! { "$nor": [{ "a.b": Bson::Null }] },
        doc! { "$nor": [{ "$and": [{ "$or": [{ "a.b": { "$in": [Bson::Null, 7] } }] }] }] },
        doc! { "$and": [{ "c": 1 }, { "a.b": { "$ne": Bson::Null } }] },
        doc! { "$or": [{ "a.b": { "$ne": Bson::Null } }, { "a.d": { "$ne": Bson::Null } }] },
        doc! { "a": { "$elemMatch": { "b": { "$ne": Bson::Null } } } },
    ];
    for (number, keys) in ["a.b", "c"].into_iter().enumerate() {
        let name = CollectionName::parse(&format!("n{number}")).unwrap();
        let options = IndexOptions {
            partial_filter: Some(PartialFilter::parse(&json(&partial), "").unwrap()),
            ..IndexOptions::default()
        };
        let index = Index::parse_with(None, keys, options).unwrap();
        for subject in &subjects {
            subject.make(&name, &documents).await;
            let made = subject.store().collections.insert_index(&subject.organization, &name, &index).await;
            assert_eq!(made.unwrap(), InsertOutcome::New, "{}", subject.name);
            for asked in &questions {
                let expected = ids(&theirs, asked.clone(), doc! { "_id": 1 }).await.unwrap();
                let filter = parse(asked);
                let what = format!("{}: {}", subject.name, json(asked));
                let found = subject.try_find(&name, &filter, "_id", 200).await.unwrap();
                assert_eq!(found, expected, "{what}");
                assert_eq!(subject.count(&name, &filter).await, expected.len() as u64, "{what}");
            }
        }
    }
    for subject in subjects {
        subject.opened.close().await;
    }
    judge.end_with(&database).await;
}

/// The one rule in which a sparse index differs from MongoDB's: where an array has items with the field and others without
/// it, MongoDB leaves out the entry of those without. In a collection that organizations share it could not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unique_sparse_index_has_entry_of_items_without_field() {
    let judge = Judge::new().await;
    let database = format!("engines_{:016x}", RandomState::new().hash_one(0));
    let subjects = subjects(&database).await;
    let name = CollectionName::parse("items").unwrap();
    let documents = [
        doc! { "_id": 0, "a": [{ "b": 1 }, {}] },
        doc! { "_id": 1, "a": [{}, {}] },
        doc! { "_id": 2, "a": [] },
        doc! { "_id": 3 },
        doc! { "_id": 4, "a": 1 },
    ];
    for subject in &subjects {
        subject.make(&name, &documents).await;
        let options = IndexOptions { sparse: true, ..IndexOptions::of_all(true) };
        let index = Index::parse_with(None, "a.b", options).unwrap();
        let made = subject.store().collections.insert_index(&subject.organization, &name, &index).await;
        assert_eq!(made.unwrap(), InsertOutcome::New, "{}", subject.name);
        let more = [doc! { "_id": 5, "a": [{ "b": 2 }, {}] }, doc! { "_id": 6, "a": [{ "b": 2 }] }];
        let outcomes = subject.insert(&name, &more).await;
        assert_eq!(outcomes, ["unique_violation", ""], "{}", subject.name);
    }
    for subject in subjects {
        subject.opened.close().await;
    }
    judge.end_with(&database).await;
}

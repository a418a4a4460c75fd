//! Partial and sparse indexes: an answer is the same before and after each is made, and as MongoDB's own.
//!
//! The filters of the indexes come from what the queries ask, so that many queries may use one.

use crate::chance::Chance;
use crate::engines::{KEYS, Subject, subjects};
use crate::generate;
use crate::judge::{Judge, ids, json, raw};
use mongodb::bson::{Document, doc};
use std::hash::{BuildHasher, RandomState};
use tenantry_documents::filter::Filter;
use tenantry_documents::index::{Index, IndexName, IndexOptions, PartialFilter};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::store::InsertOutcome;

const ROUNDS: usize = 4;
/// In the long form.
const LONG_ROUNDS: usize = 60;
const DOCUMENTS: i32 = 60;
const FILTERS: usize = 30;
/// The indexes of a round: an organization that shares its collections with others has no more in all.
const INDEXES: usize = 4;

fn rounds() -> usize {
    #[expect(clippy::disallowed_methods, reason = "no setting: it makes a test longer")]
    let is_long = std::env::var("TENANTRY_TEST_DIFFERENTIAL").is_ok_and(|form| form == "all");
    if is_long { LONG_ROUNDS } else { ROUNDS }
}

struct Question {
    asked: Document,
    filter: Filter,
    sort: &'static str,
    expected: Vec<i32>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partial_index_never_changes_query_results() {
    let mut chance = Chance::of_this_run();
    let judge = Judge::new().await;
    let database = format!("engines_{:016x}", RandomState::new().hash_one(0));
    let subjects = subjects(&database).await;
    let mut usable = 0;
    for round in 0..rounds() {
        let name = CollectionName::parse(&format!("c{round}")).unwrap();
        let documents = generate::documents(&mut chance, DOCUMENTS);
        let theirs = judge.fill("partial", &documents).await;
        let filters: Vec<Document> = (0..INDEXES).map(|_| generate::partial_filter(&mut chance, 1)).collect();
        let mut questions = Vec::new();
        for _ in 0..FILTERS {
            let asked = question(&mut chance, &filters);
            let filter = parse(&asked);
            let expected = ids(&theirs, asked.clone(), doc! { "_id": 1 }).await;
            let expected = expected.unwrap_or_else(|error| panic!("{}: {error}", json(&asked)));
            assert_eq!(matching(&filter, &documents), expected, "{}", json(&asked));
            questions.push(Question {
                asked,
                filter,
                sort: chance.one_of(&["_id", "a", "-b", "a.b"]),
                expected,
            });
        }
        for subject in &subjects {
            subject.make(&name, &documents).await;
        }
        ask_all(&subjects, &name, &questions, "no index").await;
        for (number, filter) in filters.iter().enumerate() {
            let index = index(&mut chance, number, filter);
            for subject in &subjects {
                // Two paths of it may go through different arrays.
                let collections = &subject.store().collections;
                let _ = collections.insert_index(&subject.organization, &name, &index).await;
            }
            let covered = index.coverage.filter().unwrap().filter();
            usable += questions.iter().filter(|question| question.filter.implies(covered)).count();
            ask_all(&subjects, &name, &questions, &format!("{index:?}")).await;
        }
        for subject in &subjects {
            let collections = &subject.store().collections;
            assert!(collections.delete_collection(&subject.organization, &name).await.unwrap());
        }
    }
    assert!(usable > rounds() * FILTERS / 8, "only {usable} queries could use an index");
    for subject in subjects {
        subject.opened.close().await;
    }
    judge.end_with(&database).await;
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

//! Which documents match, and where an index has them.

use crate::chance::Chance;
use crate::generate;
use crate::judge::{Judge, ids, json, nested, raw};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use tenantry_documents::document::order::Direction;
use tenantry_documents::document::{Path, index_entries, key};
use tenantry_documents::filter::{Entries, Filter};
use tenantry_documents::fuel::Fuel;

const ROUNDS: usize = 40;
const DOCUMENTS: i32 = 60;
const FILTERS: usize = 75;
/// Paths of indexes; none has a position in it.
const INDEXED: [&str; 5] = ["a", "b", "a.b", "b.a", "a.b.a"];

#[tokio::test]
async fn filter_matches_what_mongodb_finds() {
    let mut chance = Chance::of_this_run();
    let judge = Judge::new().await;
    for _ in 0..ROUNDS {
        let documents = generate::documents(&mut chance, DOCUMENTS);
        let plain = judge.fill("plain", &documents).await;
        let shared = judge.fill("shared", &nested(&documents)).await;
        for number in 0..FILTERS {
            let asked = generate::filter(&mut chance, 3);
            let filter = parse(&asked);
            let ours = matching(&filter, &documents);
            let by_id = || doc! { "_id": 1 };
            let theirs = ids(&plain, asked.clone(), by_id()).await;
            assert_same(&asked, &documents, &ours, theirs);
            let rendered = if number % 2 == 0 {
                ids(&plain, filter.to_mongodb(""), by_id()).await
            } else {
                ids(&shared, filter.to_mongodb("doc."), by_id()).await
            };
            let what = || format!("as rendered: {} for {}", filter.to_mongodb(""), json(&asked));
            if filter.is_decided_by_mongodb() {
                assert_eq!(rendered, Ok(ours), "{}", what());
            } else {
                // It may find more, never less.
                let rendered = rendered.unwrap_or_else(|error| panic!("{}: {error}", what()));
                assert!(ours.iter().all(|id| rendered.contains(id)), "{}", what());
            }
        }
    }
    judge.end().await;
}

fn parse(asked: &Document) -> Filter {
    let json = json(asked);
    Filter::parse(&json, "").unwrap_or_else(|error| panic!("{json}: {error} {:?}", error.fields()))
}

fn matching(filter: &Filter, documents: &[Document]) -> Vec<i32> {
    let ids = (0..).zip(raw(documents)).filter(|(_, document)| filter.matches(document));
    ids.map(|(id, _)| id).collect()
}

fn assert_same(asked: &Document, documents: &[Document], ours: &[i32], theirs: Result<Vec<i32>, String>) {
    let theirs = theirs.unwrap_or_else(|error| panic!("{}: {error}", json(asked)));
    for (id, document) in (0..).zip(documents) {
        assert_eq!(ours.contains(&id), theirs.contains(&id), "{} on {}", json(asked), json(document));
    }
}

#[test]
fn filter_bounds_include_every_match() {
    let mut chance = Chance::of_this_run();
    let (mut bounded, mut unbounded) = (0, 0);
    for _ in 0..ROUNDS {
        let documents = raw(&generate::documents(&mut chance, DOCUMENTS));
        for _ in 0..FILTERS * 5 {
            let asked = generate::filter(&mut chance, 3);
            let filter = parse(&asked);
            let path = Path::parse(chance.one_of(&INDEXED)).unwrap();
            for (entries, direction) in
                [(Entries::Many, Direction::Ascending), (Entries::One, Direction::Descending)]
            {
                let Some(intervals) = filter.bounds(&path, entries) else {
                    unbounded += 1;
                    continue;
                };
                bounded += 1;
                for document in documents.iter().filter(|document| filter.matches(document)) {
                    if entries == Entries::One
                        && has_array(&Bson::try_from(bson::RawBson::from(document.clone())).unwrap())
                    {
                        continue;
                    }
                    let keys = keys(document, &path, direction);
                    let is_within = |key: &Vec<u8>| {
                        intervals.iter().any(|interval| match direction {
                            Direction::Ascending => interval.contains(key),
                            Direction::Descending => interval.descending().contains(key),
                        })
                    };
                    assert!(
                        keys.iter().any(is_within),
                        "{} {path} {entries:?} on {document:?}: {intervals:?}",
                        json(&asked)
                    );
                }
            }
        }
    }
    assert!(bounded > 1000 && unbounded > 1000, "{bounded} {unbounded}");
}

fn keys(document: &RawDocumentBuf, path: &Path, direction: Direction) -> Vec<Vec<u8>> {
    let entries = index_entries(document, &[path], &Fuel::unlimited()).unwrap();
    entries.iter().map(|entry| key::encode(&[(entry[0], direction)])).collect()
}

fn has_array(value: &Bson) -> bool {
    match value {
        Bson::Array(_) => true,
        Bson::Document(document) => document.values().any(has_array),
        _ => false,
    }
}

//! Which entries documents make in an index.

use crate::chance::Chance;
use crate::generate;
use crate::judge::{Judge, find, id, json, raw};
use mongodb::IndexModel;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::FindOptions;
use std::cmp::Ordering;
use tenantry_documents::document::order::{Direction, compare};
use tenantry_documents::document::{EntriesError, Path, index_entries, key};
use tenantry_documents::fuel::Fuel;

const ROUNDS: usize = 80;
const DOCUMENTS: i32 = 25;

/// For each document the server shows the entry that it met first: the lowest in the order of the index.
#[tokio::test]
async fn index_entries_equal_those_of_mongodb() {
    let mut chance = Chance::of_this_run();
    let judge = Judge::new().await;
    let mut refused = 0;
    for _ in 0..ROUNDS {
        let documents = generate::documents(&mut chance, DOCUMENTS);
        let index = random(&mut chance);
        let collection = judge.fill("indexed", &documents).await;
        let keys: Document =
            index.iter().map(|(path, up)| (path.to_string(), Bson::from(if *up { 1 } else { -1 }))).collect();
        let created = collection.create_index(IndexModel::builder().keys(keys.clone()).build()).await;
        let ours: Result<Vec<_>, EntriesError> =
            raw(&documents).iter().map(|document| first(document, &index)).collect();
        let mut ours = match (ours, created) {
            (Ok(ours), Ok(_)) => ours,
            (Err(_), Err(_)) => {
                refused += 1;
                continue;
            }
            (ours, created) => panic!("{keys}: {ours:?} {created:?}"),
        };
        let shown = doc! { "entry": { "$meta": "indexKey" } };
        let options = FindOptions::builder()
            .hint(mongodb::options::Hint::Keys(keys.clone()))
            .sort(keys.clone())
            .projection(shown);
        let theirs = find(&collection, doc! {}, options.build()).await.unwrap();
        assert_eq!(theirs.len(), documents.len());
        for document in &theirs {
            let entry: Vec<Bson> = document.get_document("entry").unwrap().values().cloned().collect();
            let number = usize::try_from(id(document)).unwrap();
            let own = &ours[number].1;
            assert!(are_equal(own, &entry), "{keys}: {own:?} {entry:?} of {}", json(&documents[number]));
        }
        // The order of the keys is that of the index.
        let order: Vec<_> =
            theirs.iter().map(|document| ours[usize::try_from(id(document)).unwrap()].0.clone()).collect();
        ours.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(order, ours.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), "{keys}");
    }
    assert!(refused > 0 && refused < ROUNDS * 2 / 3, "{refused} of {ROUNDS} were refused");
    judge.end().await;
}

fn random(chance: &mut Chance) -> Vec<(Path, bool)> {
    let mut index: Vec<(Path, bool)> = Vec::new();
    for _ in 0..1 + chance.below(2) {
        let path = Path::parse(&generate::path(chance)).unwrap();
        if index.iter().all(|(other, _)| *other != path) {
            index.push((path, chance.once_in(2)));
        }
    }
    index
}

/// The key and the values of a document's first entry.
fn first(document: &RawDocumentBuf, index: &[(Path, bool)]) -> Result<(Vec<u8>, Vec<Bson>), EntriesError> {
    let paths: Vec<_> = index.iter().map(|(path, _)| path).collect();
    let entries = index_entries(document, &paths, &Fuel::unlimited())?;
    let keyed = entries.iter().map(|entry| {
        let direction = |up: bool| if up { Direction::Ascending } else { Direction::Descending };
        let parts: Vec<_> =
            entry.iter().zip(index).map(|(value, (_, up))| (*value, direction(*up))).collect();
        let values = entry.iter().map(|value| Bson::try_from(*value).unwrap()).collect();
        (key::encode(&parts), values)
    });
    Ok(keyed.min_by(|a: &(Vec<u8>, Vec<Bson>), b| a.0.cmp(&b.0)).unwrap())
}

fn are_equal(a: &[Bson], b: &[Bson]) -> bool {
    let raw = |value: &Bson| bson::RawBson::try_from(value.clone()).unwrap();
    let equal = |(a, b)| compare(raw(a).as_raw_bson_ref(), raw(b).as_raw_bson_ref()) == Ordering::Equal;
    a.len() == b.len() && a.iter().zip(b).all(equal)
}

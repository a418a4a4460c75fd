//! In which order documents are.

use crate::chance::Chance;
use crate::generate;
use crate::judge::{Judge, ids, json, nested, raw};
use mongodb::bson::{Document, doc};
use tenantry_documents::document::EntriesError;
use tenantry_documents::fuel::Fuel;
use tenantry_documents::sort::Sort;

const ROUNDS: usize = 30;
const DOCUMENTS: i32 = 40;
const SORTS: usize = 30;

#[tokio::test]
async fn sort_orders_as_mongodb_sorts() {
    let mut chance = Chance::of_this_run();
    let judge = Judge::new().await;
    let mut refused = 0;
    for _ in 0..ROUNDS {
        let documents = generate::documents(&mut chance, DOCUMENTS);
        let plain = judge.fill("plain", &documents).await;
        let shared = judge.fill("shared", &nested(&documents)).await;
        for number in 0..SORTS {
            let (text, sort) = random(&mut chance);
            let (collection, prefix) = if number % 2 == 0 { (&plain, "") } else { (&shared, "doc.") };
            let theirs = ids(collection, doc! {}, sort.to_mongodb(prefix)).await;
            match (order(&sort, &documents), theirs) {
                (Ok(ours), Ok(theirs)) => assert_order(&text, &documents, &ours, &theirs),
                (Err(_), Err(_)) => refused += 1,
                (ours, theirs) => panic!("{text}: {ours:?} {theirs:?} on {documents:?}"),
            }
        }
    }
    assert!((1..ROUNDS * SORTS / 2).contains(&refused), "{refused} of {} were refused", ROUNDS * SORTS);
    judge.end().await;
}

fn random(chance: &mut Chance) -> (String, Sort) {
    loop {
        let keys = 1 + chance.below(3);
        let key = |_| format!("{}{}", chance.one_of(&["", "-"]), generate::path(chance));
        let text = (0..keys).map(key).collect::<Vec<_>>().join(",");
        // A path may be in it twice.
        if let Ok(sort) = Sort::parse(&text) {
            return (text, sort);
        }
    }
}

fn order(sort: &Sort, documents: &[Document]) -> Result<Vec<i32>, EntriesError> {
    let fuel = Fuel::unlimited();
    let keys = (0..).zip(raw(documents)).map(|(id, document)| Ok((sort.key(&document, &fuel)?, id)));
    let mut keys = keys.collect::<Result<Vec<(Vec<u8>, i32)>, EntriesError>>()?;
    keys.sort();
    Ok(keys.into_iter().map(|(_, id)| id).collect())
}

fn assert_order(text: &str, documents: &[Document], ours: &[i32], theirs: &[i32]) {
    let Some(first) = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs) else { return };
    let shown = |id: i32| json(&documents[usize::try_from(id).unwrap()]);
    panic!("{text}: we have {} where they have {}", shown(ours[first]), shown(theirs[first]));
}

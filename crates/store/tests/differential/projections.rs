//! What is shown of documents.

use crate::chance::Chance;
use crate::generate;
use crate::judge::{Judge, find, json, nested, raw};
use mongodb::bson::{Document, doc};
use mongodb::options::FindOptions;
use tenantry_documents::projection::Projection;

const ROUNDS: usize = 25;
const DOCUMENTS: i32 = 40;
const PROJECTIONS: usize = 30;

#[tokio::test]
async fn projection_shows_what_mongodb_shows() {
    let mut chance = Chance::of_this_run();
    let judge = Judge::new().await;
    for _ in 0..ROUNDS {
        let documents = generate::documents(&mut chance, DOCUMENTS);
        let plain = judge.fill("plain", &documents).await;
        let shared = judge.fill("shared", &nested(&documents)).await;
        for number in 0..PROJECTIONS {
            let (text, projection) = random(&mut chance);
            let ours: Vec<String> =
                raw(&documents).iter().map(|document| shown(&projection, document)).collect();
            let theirs = if number % 2 == 0 {
                all(&plain, projection.to_mongodb("")).await
            } else {
                let all = all(&shared, projection.to_mongodb("doc.")).await;
                all.iter().map(|document| document.get_document("doc").cloned().unwrap_or_default()).collect()
            };
            for (index, theirs) in theirs.iter().enumerate() {
                assert_eq!(ours[index], json(theirs), "{text} of {}", json(&documents[index]));
            }
        }
    }
    judge.end().await;
}

fn shown(projection: &Projection, document: &bson::RawDocument) -> String {
    json(&Document::try_from(&*projection.apply(document)).unwrap())
}

async fn all(collection: &mongodb::Collection<Document>, projection: Document) -> Vec<Document> {
    let options = FindOptions::builder().sort(doc! { "_id": 1 }).projection(projection).build();
    find(collection, doc! {}, options).await.unwrap()
}

fn random(chance: &mut Chance) -> (String, Projection) {
    loop {
        let paths = 1 + chance.below(3);
        let mark = chance.one_of(&["", "-"]);
        let mut parts: Vec<_> = (0..paths).map(|_| format!("{mark}{}", generate::path(chance))).collect();
        match chance.below(6) {
            0 | 1 => parts.push("-_id".to_owned()),
            2 => parts.push(format!("{mark}_id")),
            3 => parts.push(format!("{mark}_id.a")),
            _ => {}
        }
        let text = parts.join(",");
        // A path may be a part of another.
        if let Ok(projection) = Projection::parse(&text) {
            return (text, projection);
        }
    }
}

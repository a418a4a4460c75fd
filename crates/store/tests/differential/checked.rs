//! Questions that MongoDB is not asked as they are: whole engines answer them all the same, with and without indexes.

use crate::chance::Chance;
use crate::engines::{KEYS, LONG, Subject, stored, subjects};
use crate::generate;
use crate::judge::{Judge, json, raw};
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Collection};
use std::hash::{BuildHasher, RandomState};
use tenantry_documents::filter::Filter;
use tenantry_documents::index::Index;
use tenantry_documents::query::DocumentQuery;
use tenantry_documents::sort::Sort;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::store::InsertOutcome;

const ROUNDS: usize = 6;
const DOCUMENTS: i32 = 60;
const FILTERS: usize = 40;
/// What the server's profiler writes down. Usually it is 1 MB, and then it forgets the oldest.
const PROFILE_BYTES: i64 = 64 << 20;

fn database() -> String {
    format!("engines_{:016x}", RandomState::new().hash_one(0))
}

fn parse(asked: &Document) -> Filter {
    Filter::parse(&json(asked), "").unwrap_or_else(|error| panic!("{}: {error}", json(asked)))
}

impl Subject {
    pub async fn make(&self, name: &CollectionName, documents: &[Document]) {
        let made = self.store().collections.insert_collection(&self.organization, name).await;
        assert_eq!(made.unwrap(), InsertOutcome::New);
        let all = documents.iter().map(|document| stored(document, 1)).collect();
        let inserted = self.store().documents.insert_documents(&self.organization, name, all).await.unwrap();
        assert!(inserted.iter().all(Result::is_ok));
    }

    async fn find(&self, name: &CollectionName, filter: &Filter, sort: &str, limit: u32) -> Vec<i32> {
        let found = self.try_find(name, filter, sort, limit).await;
        found.unwrap_or_else(|error| panic!("{}: {filter:?} {error}", self.name))
    }

    pub async fn try_find(
        &self,
        name: &CollectionName,
        filter: &Filter,
        sort: &str,
        limit: u32,
    ) -> tenantry_domain::Result<Vec<i32>> {
        let query = DocumentQuery {
            filter: filter.clone(),
            sort: Sort::parse(sort).unwrap(),
            after: None,
            limit,
            max_bytes: 1 << 20,
            time: LONG,
        };
        self.pages(name, &query).await
    }

    /// The outcomes as codes, `""` for those that went well.
    pub async fn insert(&self, name: &CollectionName, documents: &[Document]) -> Vec<&'static str> {
        let all = documents.iter().map(|document| stored(document, 1)).collect();
        let inserted = self.store().documents.insert_documents(&self.organization, name, all).await.unwrap();
        inserted
            .iter()
            .map(|outcome| outcome.as_ref().err().map_or("", |error| error.code().code()))
            .collect()
    }

    pub async fn count(&self, name: &CollectionName, filter: &Filter) -> u64 {
        let counted = self.store().documents.count_matching(&self.organization, name, filter, LONG).await;
        counted.unwrap().documents
    }

    async fn delete(&self, name: &CollectionName, filter: &Filter) -> u64 {
        let deleted = self.store().documents.delete_matching(&self.organization, name, filter, LONG).await;
        let deleted = deleted.unwrap();
        assert!(!deleted.more);
        deleted.documents
    }
}

/// Values and operands that an index could hide from one another: arrays in arrays, and what is in them.
fn nested(chance: &mut Chance, levels: usize) -> Bson {
    match chance.below(if levels > 0 { 6 } else { 2 }) {
        0 => i32::try_from(chance.below(3)).unwrap().into(),
        1 => match chance.below(3) {
            0 => Bson::Null,
            1 => "a".into(),
            _ => true.into(),
        },
        2 => doc! { chance.one_of(&["a", "b"]): nested(chance, levels - 1) }.into(),
        _ => (0..chance.below(3)).map(|_| nested(chance, levels - 1)).collect(),
    }
}

fn question(chance: &mut Chance) -> Document {
    let path = chance.one_of(&["a", "b", "a.b", "a.a", "b.a", "a.0"]);
    let operator = chance.one_of(&["$gt", "$gte", "$lt", "$lte", "$eq", "$ne", "$in", "$nin", "$all"]);
    let operand = match operator {
        // Of these two MongoDB makes something of its own.
        "$in" | "$nin" if chance.below(5) == 0 => vec![Bson::Null, Bson::Array(Vec::new())].into(),
        "$in" | "$nin" | "$all" => (0..1 + chance.below(2)).map(|_| nested(chance, 3)).collect(),
        _ => nested(chance, 3),
    };
    let condition = doc! { operator: operand };
    match chance.below(7) {
        0 => doc! { path: { "$not": condition } },
        1 => doc! { path: { "$elemMatch": condition } },
        2 => doc! { "$nor": [{ path: condition }] },
        3 => doc! { path: condition, "b": { "$exists": true } },
        4 => generate::filter(chance, 2),
        _ => doc! { path: condition },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn index_creation_never_changes_query_results() {
    let mut chance = Chance::of_this_run();
    let (judge, database) = (Judge::new().await, database());
    let subjects = subjects(&database).await;
    for round in 0..ROUNDS {
        let name = CollectionName::parse(&format!("c{round}")).unwrap();
        let documents: Vec<Document> = (0..DOCUMENTS)
            .map(|id| doc! { "_id": id, "a": nested(&mut chance, 4), "b": nested(&mut chance, 3) })
            .collect();
        let questions: Vec<Document> = (0..FILTERS).map(|_| question(&mut chance)).collect();
        let expected: Vec<Vec<i32>> =
            questions.iter().map(|asked| matching(&parse(asked), &documents)).collect();
        for subject in &subjects {
            subject.make(&name, &documents).await;
        }
        for index in ["", chance.one_of(&KEYS), chance.one_of(&KEYS)] {
            for subject in &subjects {
                if !index.is_empty() {
                    let index = Index::parse(None, index, false).unwrap();
                    // Two paths of it may go through different arrays.
                    let collections = &subject.store().collections;
                    let _ = collections.insert_index(&subject.organization, &name, &index).await;
                }
                for (asked, expected) in questions.iter().zip(&expected) {
                    let filter = parse(asked);
                    let what = format!("{} with {index:?}: {}", subject.name, json(asked));
                    assert_eq!(&subject.find(&name, &filter, "_id", 200).await, expected, "{what}");
                    assert_eq!(subject.count(&name, &filter).await, expected.len() as u64, "{what}");
                }
            }
        }
    }
    end(subjects, judge, &database).await;
}

fn matching(filter: &Filter, documents: &[Document]) -> Vec<i32> {
    let ids = (0..).zip(raw(documents)).filter(|(_, document)| filter.matches(document));
    ids.map(|(id, _)| id).collect()
}

async fn end(subjects: Vec<Subject>, judge: Judge, database: &str) {
    for subject in subjects {
        subject.opened.close().await;
    }
    judge.end_with(database).await;
}

/// Of these, PCRE might give up in a long text. Here all texts are short.
const UNBOUNDED: [&str; 5] = ["k.*7", "^k.*1.*$", r"^\w+$", "(?:k|1)+-", "7.*k|9"];

fn texts() -> Vec<Document> {
    let text = |id: i32| match id % 4 {
        0 => doc! { "_id": id, "t": format!("k{id}"), "n": id % 7 },
        1 => doc! { "_id": id, "t": [format!("x {id}"), format!("{id}-k")], "n": id % 7 },
        2 => doc! { "_id": id, "t": { "u": format!("k-{id}") }, "n": id % 7 },
        _ => doc! { "_id": id, "n": id % 7 },
    };
    (0..600).map(text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pattern_with_unbounded_search_is_never_sent_to_mongodb() {
    let (judge, database) = (Judge::new().await, database());
    let subjects = subjects(&database).await;
    let client = Client::with_uri_str(tenantry_test_mongod::shared_uri()).await.unwrap();
    let masters = ["collection", "shared"].map(|placement| format!("{database}_{placement}"));
    for master in &masters {
        let profile = doc! { "create": "system.profile", "capped": true, "size": PROFILE_BYTES };
        client.database(master).run_command(profile).await.unwrap();
        client.database(master).run_command(doc! { "profile": 2 }).await.unwrap();
    }
    let documents = texts();
    for (round, pattern) in UNBOUNDED.iter().enumerate() {
        let regex = doc! { "$regex": pattern };
        for (number, asked) in [
            doc! { "t": &regex },
            doc! { "$or": [{ "t.u": &regex }, { "n": 3 }] },
            doc! { "t": { "$elemMatch": &regex }, "n": { "$lt": 5 } },
            doc! { "t": { "$not": &regex } },
            doc! { "$nor": [{ "t": &regex }, { "n": 1 }] },
        ]
        .iter()
        .enumerate()
        {
            let name = CollectionName::parse(&format!("p{round}x{number}")).unwrap();
            let filter = parse(asked);
            assert!(!filter.is_decided_by_mongodb());
            let expected = matching(&filter, &documents);
            let mut by_number = expected.clone();
            by_number.sort_by_key(|id| (-(id % 7), *id));
            for subject in &subjects {
                let what = format!("{}: {}", subject.name, json(asked));
                subject.make(&name, &documents).await;
                for limit in [7, 200] {
                    assert_eq!(subject.find(&name, &filter, "_id", limit).await, expected, "{what}");
                    assert_eq!(subject.find(&name, &filter, "-n", limit).await, by_number, "{what}");
                }
                assert_eq!(subject.count(&name, &filter).await, expected.len() as u64, "{what}");
                assert_eq!(subject.delete(&name, &filter).await, expected.len() as u64, "{what}");
                assert_eq!(subject.count(&name, &filter).await, 0, "{what}");
                let left = subject.count(&name, &Filter::default()).await;
                assert_eq!(left, (documents.len() - expected.len()) as u64, "{what}");
                let collections = &subject.store().collections;
                assert!(collections.delete_collection(&subject.organization, &name).await.unwrap());
            }
        }
    }
    for master in &masters {
        client.database(master).run_command(doc! { "profile": 0 }).await.unwrap();
        assert_no_pattern(&client.database(master).collection("system.profile")).await;
    }
    end(subjects, judge, &database).await;
}

/// Each delete of one document carries the whole filter: one command cannot hold all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delete_by_long_unbounded_filter_deletes_all() {
    let (judge, database) = (Judge::new().await, database());
    let subjects = subjects(&database).await;
    let name = CollectionName::parse("long").unwrap();
    let others: Vec<String> = (0..900).map(|number| format!("{number:040}")).collect();
    let asked = doc! { "t": { "$regex": UNBOUNDED[0] }, "u": { "$nin": others } };
    let documents: Vec<Document> = (0..600).map(|id| doc! { "_id": id, "t": format!("k{id} 7") }).collect();
    for subject in &subjects {
        subject.make(&name, &documents).await;
        assert_eq!(subject.delete(&name, &parse(&asked)).await, 600, "{}", subject.name);
        assert_eq!(subject.count(&name, &Filter::default()).await, 0, "{}", subject.name);
    }
    end(subjects, judge, &database).await;
}

/// None of the unbounded patterns is among the `$regex` that the server was asked for.
async fn assert_no_pattern(profile: &Collection<Document>) {
    let mut cursor = profile.find(doc! { "op": { "$ne": "insert" } }).await.unwrap();
    let (mut asked, mut parts) = (0, 0);
    while cursor.advance().await.unwrap() {
        let command = Bson::from(cursor.deserialize_current().unwrap()).to_string();
        asked += 1;
        parts += usize::from(command.contains("\"$regex\""));
        for pattern in UNBOUNDED {
            let sent = format!("\"$regex\": {}", Bson::from(pattern));
            assert!(!command.contains(&sent), "{command}");
        }
    }
    assert!(asked > 20 && parts > 5, "{asked} {parts}");
}

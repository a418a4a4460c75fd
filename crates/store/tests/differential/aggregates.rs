//! Aggregates and distinct values: what the service computes, and what MongoDB does.
//!
//! A case is a random pipeline on random documents. Its results are compared with their types; where MongoDB promises no
//! order, without one. What MongoDB refuses is refused here, and nothing else.

use crate::chance::{Chance, is_long, report, seeds};
use crate::engines::{LONG, Subject, subjects};
use crate::judge::{Judge, canonical_json, raw};
use crate::pipelines::{Question, documents, question};
use mongodb::Collection;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tenantry_documents::aggregate::{Aggregation, AggregationRun, Distinct, Pipeline};
use tenantry_documents::document::Path;
use tenantry_documents::filter::Filter;
use tenantry_documents::fuel::Fuel;
use tenantry_documents::index::Index;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::ErrorCode;

const DOCUMENTS: i32 = 30;
/// Cases of the ordinary run on each collection of documents, and how many such collections.
const CASES: usize = 40;
const ROUNDS: usize = 25;

/// Collections for each seed of the long form.
const LONG_ROUNDS: usize = 60;

/// Disagreements after which a run ends.
const MAX_DISAGREEMENTS: usize = 12;

#[tokio::test]
async fn pipeline_computes_what_mongodb_computes() {
    let rounds = if is_long() { LONG_ROUNDS } else { ROUNDS };
    let judge = Judge::new().await;
    judge.use_classic_engine().await;
    let mut cases = 0;
    for seed in seeds() {
        cases += compare_pipelines(&judge, &mut seed.begin(), rounds).await;
    }
    report("pipelines", cases);
    judge.end().await;
}

/// How many pipelines were compared.
async fn compare_pipelines(judge: &Judge, chance: &mut Chance, rounds: usize) -> usize {
    let (mut computed, mut refused, mut disagreements) = (0, 0, Vec::new());
    for _ in 0..rounds {
        let documents = documents(chance, DOCUMENTS);
        let collection = judge.fill("aggregates", &documents).await;
        for _ in 0..CASES {
            let question = question(chance);
            let ours = compute(&question, &documents);
            if compare(judge, &collection, &question, &documents, &ours).await.is_err() {
                disagreements.push(explain(judge, &question, documents.clone()).await);
            } else if ours.is_ok() {
                computed += 1;
            } else {
                refused += 1;
            }
            assert!(disagreements.len() < MAX_DISAGREEMENTS, "{}", disagreements.join("\n\n"));
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n\n"));
    println!("{computed} computed, {refused} refused");
    assert!(computed > 2 * refused && refused > 5, "{computed} {refused}");
    computed + refused
}

/// Results as comparable texts, or why there are none.
type Computed = Result<Vec<String>, String>;

fn is_same(ours: &Computed, theirs: &Computed) -> bool {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (Err(_), Err(_)) => true,
        _ => false,
    }
}

/// Whether the server computes the same; if not, what it computes.
async fn compare(
    judge: &Judge,
    collection: &Collection<Document>,
    question: &Question,
    documents: &[Document],
    ours: &Computed,
) -> Result<(), Computed> {
    if is_same(ours, &ask(collection, question).await)
        || is_same(ours, &ask_in_order(collection, question).await)
    {
        return Ok(());
    }
    let theirs = ask_stored(judge, question, documents).await;
    if is_same(ours, &theirs) { Ok(()) } else { Err(theirs) }
}

/// The question with as few documents as needed for the two to disagree.
async fn explain(judge: &Judge, question: &Question, mut documents: Vec<Document>) -> String {
    let mut place = 0;
    while place < documents.len() {
        let mut fewer = documents.clone();
        fewer.remove(place);
        if !fewer.is_empty()
            && !is_same(&compute(question, &fewer), &ask_stored(judge, question, &fewer).await)
        {
            documents = fewer;
        } else {
            place += 1;
        }
    }
    let (ours, theirs) = (compute(question, &documents), ask_stored(judge, question, &documents).await);
    format!("{}\n  ours   {ours:?}\n  theirs {theirs:.500?}\n  of {}", question.json(), dump(&documents))
}

/// Documents in each collection of the engines' test, and questions on each.
const ENGINE_ROUNDS: usize = 4;
const ENGINE_CASES: usize = 40;
/// Indexes that some of the questions can use, and of which some have all that a question needs.
const INDEXES: [&str; 8] = ["n", "k,n", "-m", "d.x", "d.k,d.x", "l", "a.b", "s,-k"];

/// The engines select the documents; what they compute is what MongoDB computes, in each placement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engines_compute_what_mongodb_computes() {
    let judge = Judge::new().await;
    judge.use_classic_engine().await;
    let database = format!("engines_{:016x}", RandomState::new().hash_one(0));
    let subjects = subjects(&database).await;
    let mut cases = 0;
    for (number, seed) in seeds().iter().enumerate() {
        let mut chance = seed.begin();
        for round in 0..ENGINE_ROUNDS {
            let name = CollectionName::parse(&format!("a{number}x{round}")).unwrap();
            cases += compare_engines(&judge, &subjects, &name, &mut chance).await;
        }
    }
    println!("engines: {cases} cases");
    for subject in subjects {
        subject.opened.close().await;
    }
    judge.end_with(&database).await;
}

/// How many questions were asked.
async fn compare_engines(
    judge: &Judge,
    subjects: &[Subject],
    name: &CollectionName,
    chance: &mut Chance,
) -> usize {
    let documents = documents(chance, DOCUMENTS);
    let collection = judge.fill("aggregates", &documents).await;
    let indexes: Vec<Index> = (0..chance.below(4))
        .map(|_| chance.one_of(&INDEXES))
        .map(|keys| Index::parse(None, keys, false).unwrap())
        .collect();
    for subject in subjects {
        subject.make(name, &documents).await;
        for index in &indexes {
            // Two paths of it may go through different arrays, and it may be there already.
            let collections = &subject.store().collections;
            let _ = collections.insert_index(&subject.organization, name, index).await;
        }
    }
    for _ in 0..ENGINE_CASES {
        let question = question(chance);
        for subject in subjects {
            let ours = subject.compute(name, &question).await;
            let compared = compare(judge, &collection, &question, &documents, &ours).await;
            let what = || {
                let indexes: Vec<&str> = indexes.iter().map(|index| index.name.as_str()).collect();
                format!("{}: {} with {indexes:?}\n{}", subject.name, question.json(), dump(&documents))
            };
            compared.unwrap_or_else(|theirs| panic!("{ours:?}, not {theirs:?}: {}", what()));
        }
    }
    for subject in subjects {
        let collections = &subject.store().collections;
        assert!(collections.delete_collection(&subject.organization, name).await.unwrap());
    }
    ENGINE_CASES * subjects.len()
}

impl Subject {
    async fn compute(&self, name: &CollectionName, question: &Question) -> Computed {
        let pipeline = Pipeline::parse(&question.json(), "/pipeline").map_err(|error| error.to_string())?;
        let aggregation = Arc::new(Aggregation::Pipeline(pipeline));
        let documents = &self.store().documents;
        let result = documents.aggregate_documents(&self.organization, name, &aggregation, LONG).await;
        let result = result.map_err(|error| {
            assert_eq!(error.code(), ErrorCode::InvalidInput, "{}: {error}", self.name);
            error.to_string()
        })?;
        Ok(question.comparable(result.items.into_iter().map(document_of).collect()))
    }
}

fn document_of(item: bson::RawBson) -> Document {
    match item {
        bson::RawBson::Document(document) => Document::try_from(&*document).unwrap(),
        other => panic!("{other:?} is no document"),
    }
}

fn dump(documents: &[Document]) -> String {
    documents.iter().map(canonical_json).collect::<Vec<_>>().join("\n")
}

/// What the server computes, as comparable texts, or why it refuses.
async fn ask(collection: &Collection<Document>, question: &Question) -> Computed {
    ask_stages(collection, question, question.stages.clone()).await
}

/// The same, stage by stage. Otherwise the server moves a `$match` before other stages, which then refuse fewer documents,
/// and it merges conditions to some that it refuses.
async fn ask_in_order(collection: &Collection<Document>, question: &Question) -> Computed {
    let apart = |stage: &Document| [stage.clone(), doc! { "$_internalInhibitOptimization": {} }];
    ask_stages(collection, question, question.stages.iter().flat_map(apart).collect()).await
}

/// The same, and what each stage makes is stored before the next one. Otherwise the server remembers the place of a field
/// that a stage has removed, and an item of a list that a `$project` has left out, and a later stage may fill them again.
async fn ask_stored(judge: &Judge, question: &Question, documents: &[Document]) -> Computed {
    let mut made = documents.to_vec();
    for stage in &question.stages {
        let numbered =
            (0_i32..).zip(&made).map(|(number, document)| doc! { "_id": number, "made": document });
        // A collection that is there, also without documents.
        let stored: Vec<Document> = numbered.chain([doc! { "_id": -1 }]).collect();
        let collection = judge.fill("stored", &stored).await;
        let numbers = doc! { "$match": { "_id": { "$gte": 0 } } };
        let unwrapped = doc! { "$replaceRoot": { "newRoot": "$made" } };
        let stages = vec![numbers, doc! { "$sort": { "_id": 1 } }, unwrapped, stage.clone()];
        made = find_made(&collection, stages).await?;
    }
    Ok(question.comparable(made))
}

async fn ask_stages(
    collection: &Collection<Document>,
    question: &Question,
    stages: Vec<Document>,
) -> Computed {
    Ok(question.comparable(find_made(collection, stages).await?))
}

async fn find_made(
    collection: &Collection<Document>,
    stages: Vec<Document>,
) -> Result<Vec<Document>, String> {
    let cursor = collection.aggregate(stages).with_type::<RawDocumentBuf>().await;
    let mut cursor = cursor.map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    while cursor.advance().await.map_err(|error| error.to_string())? {
        found.push(Document::try_from(cursor.current()).unwrap());
    }
    Ok(found)
}

fn compute(question: &Question, documents: &[Document]) -> Computed {
    let pipeline = Pipeline::parse(&question.json(), "/pipeline").map_err(|error| error.to_string())?;
    let aggregation = Arc::new(Aggregation::Pipeline(pipeline));
    let items = run(&aggregation, documents)?;
    Ok(question.comparable(items.into_iter().map(document_of).collect()))
}

/// What an engine would do with the documents.
fn run(aggregation: &Arc<Aggregation>, documents: &[Document]) -> Result<Vec<bson::RawBson>, String> {
    let (source, fuel) = (aggregation.source(), Fuel::unlimited());
    let mut chosen: Vec<RawDocumentBuf> =
        raw(documents).into_iter().filter(|document| source.filter.matches(document)).collect();
    if let Some(sort) = &source.sort {
        let mut keyed = Vec::new();
        for document in chosen {
            keyed.push((sort.key(&document, &fuel).map_err(|error| format!("{error:?}"))?, document));
        }
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        chosen = keyed.into_iter().map(|(_, document)| document).collect();
    }
    let most = source.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
    let mut run = AggregationRun::new(aggregation.clone());
    for document in chosen.into_iter().take(most) {
        let document = match &source.heads {
            Some(heads) => {
                let fields = document.iter().map(Result::unwrap);
                let mut part = RawDocumentBuf::new();
                for (name, value) in fields.filter(|(name, _)| heads.contains(name.as_str())) {
                    part.append(name, value);
                }
                part
            }
            None => document,
        };
        if run.add(&document, &fuel).map_err(|error| error.to_string())?.is_break() {
            break;
        }
    }
    run.finish(&fuel).map_err(|error| error.to_string())
}

/// Collections and fields of each, ordinarily and for each seed of the long form.
const DISTINCT_FIELDS: (usize, usize) = (25, 10);
const LONG_DISTINCT_FIELDS: (usize, usize) = (40, 50);

#[tokio::test]
async fn distinct_finds_what_mongodb_finds() {
    let (rounds, fields) = if is_long() { LONG_DISTINCT_FIELDS } else { DISTINCT_FIELDS };
    let judge = Judge::new().await;
    let mut cases = 0;
    for seed in seeds() {
        let mut chance = seed.begin();
        for _ in 0..rounds {
            let documents = crate::generate::documents(&mut chance, DOCUMENTS);
            let collection = judge.fill("distinct", &documents).await;
            for _ in 0..fields {
                compare_distinct(&mut chance, &collection, &documents).await;
                cases += 1;
            }
        }
    }
    report("distinct values", cases);
    judge.end().await;
}

async fn compare_distinct(chance: &mut Chance, collection: &Collection<Document>, documents: &[Document]) {
    let path = crate::generate::path(chance);
    let filter = crate::generate::filter(chance, 2);
    let theirs = collection.distinct(&path, filter.clone()).await.unwrap();
    let filter = Filter::parse(&crate::judge::json(&filter), "").unwrap();
    let distinct = Distinct::new(Path::parse(&path).unwrap(), filter, "/field");
    let ours = run(&Arc::new(Aggregation::Distinct(distinct)), documents).unwrap();
    let mut ours: Vec<String> = ours.into_iter().map(|value| text(&Bson::try_from(value).unwrap())).collect();
    let mut theirs: Vec<String> = theirs.iter().map(text).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs, "{path}\n{}", dump(documents));
}

fn text(value: &Bson) -> String {
    canonical_json(&doc! { "v": value })
}

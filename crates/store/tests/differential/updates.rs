//! What an update makes of a document, and what an upsert inserts: MongoDB changes the same documents, and refuses the same
//! updates.

use crate::chance::{Chance, is_long, report, seeds};
use crate::generate;
use crate::judge::{Judge, json};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::{Collection, Database};
use tenantry_documents::Error;
use tenantry_documents::document::{DocumentId, write_canonical_json};
use tenantry_documents::filter::{Filter, MatchedPosition};
use tenantry_documents::fuel::Fuel;
use tenantry_documents::update::{Update, UpdateContext, UpdatePointers, UpsertFields};

const ROUNDS: usize = 40;
const DOCUMENTS: i32 = 60;
const UPSERTS: usize = 400;
/// For each seed of the long form.
const LONG_UPSERTS: usize = 2400;
const POINTERS: UpdatePointers<'_> = UpdatePointers { update: "/update", array_filters: "/arrayFilters" };
/// Far more than any document here.
const MAX_BYTES: usize = 16 << 20;

/// An update with what belongs to it.
struct Case {
    filter: Document,
    update: Document,
    array_filters: Option<Vec<Document>>,
}

impl Case {
    fn parse(&self) -> Result<Update, Error> {
        let filters = self.array_filters.as_ref().map(|filters| {
            let filters: Vec<String> = filters.iter().map(json).collect();
            format!("[{}]", filters.join(","))
        });
        Update::parse(&update_json(&self.update), filters.as_deref(), POINTERS)
    }

    fn describe(&self, document: &Document) -> String {
        let filters = self.array_filters.iter().flatten().map(json).collect::<Vec<_>>();
        format!("{} {} {filters:?} on {}", json(&self.filter), update_json(&self.update), json(document))
    }
}

/// Canonical, so that every number keeps its type; conditions as people write them.
fn update_json(update: &Document) -> String {
    let operator = |(name, operands): (&String, &Bson)| {
        let text = match operands {
            Bson::Document(operands) if name == "$pull" => json(operands),
            Bson::Document(operands) => canonical(operands),
            other => json(&doc! { "": other })[4..].trim_end_matches('}').to_owned(),
        };
        format!("\"{name}\":{text}")
    };
    format!("{{{}}}", update.iter().map(operator).collect::<Vec<_>>().join(","))
}

fn canonical(document: &Document) -> String {
    let mut json = Vec::new();
    write_canonical_json(&raw(document), &mut json);
    String::from_utf8(json).unwrap()
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn context<'a>(fuel: &'a Fuel<'a>, position: MatchedPosition) -> UpdateContext<'a> {
    UpdateContext { now: 1_800_000_000_000, position, max_bytes: MAX_BYTES, fuel }
}

/// What we make of the document; `None` if the filter does not say clearly which position it matches.
fn ours(case: &Case, document: &Document) -> Option<Result<String, String>> {
    let fuel = Fuel::unlimited();
    let update = match case.parse() {
        Ok(update) => update,
        Err(error) => return Some(Err(error.to_string())),
    };
    let filter = Filter::parse(&json(&case.filter), "").unwrap();
    let position = filter.matched_position(&raw(document), &fuel).unwrap();
    if update.needs_position() && position == MatchedPosition::Several {
        return None;
    }
    let changed = update.apply(&raw(document), context(&fuel, position));
    Some(changed.map_err(|error| error.to_string()).map(|changed| {
        let after = changed.unwrap_or_else(|| raw(document));
        canonical(&Document::try_from(&*after).unwrap())
    }))
}

async fn theirs(database: &Database, case: &Case, id: i32) -> Result<String, String> {
    let mut query = doc! { "_id": id };
    query.extend(case.filter.clone());
    let mut command =
        doc! { "findAndModify": "documents", "query": query, "update": case.update.clone(), "new": true };
    if let Some(filters) = &case.array_filters {
        command.insert("arrayFilters", filters.clone());
    }
    let answer = database.run_command(command).await.map_err(|error| error.to_string())?;
    answer.get_document("value").map(canonical).map_err(|error| format!("no document: {error}"))
}

#[tokio::test]
async fn update_makes_what_mongodb_makes() {
    let mut cases = 0;
    for seed in seeds() {
        let mut chance = seed.begin();
        let judge = Judge::new().await;
        let (mut made, mut refused, mut unclear) = (0, 0, 0);
        for _ in 0..ROUNDS {
            let documents = generate::documents(&mut chance, DOCUMENTS);
            let collection: Collection<Document> = judge.fill("documents", &documents).await;
            let database = collection.client().database(&collection.namespace().db);
            for (id, document) in (0..).zip(&documents) {
                let case = case(&mut chance, document);
                let Some(ours) = ours(&case, document) else {
                    unclear += 1;
                    continue;
                };
                let theirs = theirs(&database, &case, id).await;
                match (&ours, &theirs) {
                    (Ok(ours), Ok(theirs)) => {
                        made += 1;
                        assert_eq!(ours, theirs, "{}", case.describe(document));
                    }
                    (Err(_), Err(_)) => refused += 1,
                    // Of these the service takes fewer.
                    (Err(error), Ok(_)) if error.contains("condition on an empty list") => unclear += 1,
                    _ => panic!("{}\nours: {ours:?}\ntheirs: {theirs:?}", case.describe(document)),
                }
            }
        }
        println!("{made} made, {refused} refused, {unclear} unclear");
        assert!(made > 500 && refused > 200, "{made} {refused}");
        cases += made + refused;
        judge.end().await;
    }
    report("updates", cases);
}

#[tokio::test]
async fn upsert_inserts_what_mongodb_inserts() {
    let judge = Judge::new().await;
    let collection = judge.fill("documents", &[doc! {}]).await;
    let count = if is_long() { LONG_UPSERTS } else { UPSERTS };
    let mut cases = 0;
    for seed in seeds() {
        let mut chance = seed.begin();
        let (mut made, mut refused) = (0, 0);
        for _ in 0..count {
            match compare_upsert(&mut chance, &collection).await {
                Some(true) => made += 1,
                Some(false) => refused += 1,
                None => {}
            }
        }
        println!("{made} made, {refused} refused");
        assert!(made > 50 && refused > 50, "{made} {refused}");
        cases += made + refused;
    }
    report("upserts", cases);
    judge.end().await;
}

/// Whether both made a document; `None` of a case in which the service takes fewer.
async fn compare_upsert(chance: &mut Chance, collection: &Collection<Document>) -> Option<bool> {
    collection.delete_many(doc! {}).await.unwrap();
    let mut filter = plain(&generate::filter(chance, 2));
    if chance.once_in(4) {
        filter.insert("_id", 7);
    }
    let mut update = update(chance);
    if chance.once_in(2) {
        update.insert("$setOnInsert", doc! { path(chance): 1, "_id": 7 });
    }
    if Filter::parse(&json(&filter), "").unwrap().has_empty_list() {
        return None;
    }
    let case = Case { filter, update, array_filters: None };
    let ours = inserted(&case);
    let command = doc! { "findAndModify": collection.name(), "query": case.filter.clone(), "update": case.update.clone(),
    "new": true, "upsert": true };
    let database = collection.client().database(&collection.namespace().db);
    let theirs = database.run_command(command).await.map_err(|error| error.to_string());
    let theirs = theirs.map(|answer| with_one_id(answer.get_document("value").unwrap()));
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours, theirs, "{}", case.describe(&doc! {}));
            Some(true)
        }
        (Err(_), Err(_)) => Some(false),
        // Of these the service takes fewer.
        (Err(error), Ok(_)) if error.contains("An `_id` must not be") => None,
        _ => panic!("{}\nours: {ours:?}\ntheirs: {theirs:?}", case.describe(&doc! {})),
    }
}

/// The same values as JSON tells them apart: an Int64 that fits an Int32 is one.
fn plain(document: &Document) -> Document {
    document.iter().map(|(name, value)| (name.clone(), plain_value(value))).collect()
}

fn plain_value(value: &Bson) -> Bson {
    match value {
        Bson::Int64(value) => i32::try_from(*value).map_or(Bson::Int64(*value), Bson::Int32),
        Bson::Document(document) => plain(document).into(),
        Bson::Array(items) => items.iter().map(plain_value).collect(),
        other => other.clone(),
    }
}

fn inserted(case: &Case) -> Result<String, String> {
    let (fuel, filter) = (Fuel::unlimited(), Filter::parse(&json(&case.filter), "").unwrap());
    let made = case.parse().and_then(|update| {
        let fields = UpsertFields::of_filter(&filter, "/filter")?;
        let id = || DocumentId::of_object_id([0; 12]);
        update.insert(fields, id, context(&fuel, MatchedPosition::Unknown))
    });
    let made = made.map_err(|error| error.to_string())?;
    Ok(with_one_id(&Document::try_from(&*made).unwrap()))
}

/// The document, where an `_id` that was made up counts as the same.
fn with_one_id(document: &Document) -> String {
    let mut document = document.clone();
    if document.get_object_id("_id").is_ok() {
        document.insert("_id", "new");
    }
    canonical(&document)
}

/// An update, and a filter that matches the document.
fn case(chance: &mut Chance, document: &Document) -> Case {
    let update = update(chance);
    let text = update_json(&update);
    let is_positional = text.contains(".$\"") || text.contains(".$.");
    let mut filter = doc! {};
    for _ in 0..8 {
        let candidate = generate::filter(chance, 1);
        if is_positional && Filter::parse(&json(&candidate), "").unwrap().matches(&raw(document)) {
            filter = candidate;
            break;
        }
    }
    let mut array_filters = Vec::new();
    for name in ["x", "y"] {
        if text.contains(&format!("$[{name}]")) != chance.once_in(20) {
            array_filters.push(array_filter(chance, name));
        }
    }
    let array_filters = (!array_filters.is_empty() || chance.once_in(10)).then_some(array_filters);
    Case { filter, update, array_filters }
}

/// A filter whose paths begin with that name.
fn array_filter(chance: &mut Chance, name: &str) -> Document {
    let filter = generate::filter(chance, 1);
    renamed(&filter, name)
}

fn renamed(filter: &Document, name: &str) -> Document {
    let clause = |(path, value): (&String, &Bson)| match value {
        Bson::Array(filters) if path.starts_with('$') => {
            let filters = filters.iter().filter_map(Bson::as_document);
            (path.clone(), filters.map(|filter| renamed(filter, name)).collect::<Vec<_>>().into())
        }
        value => {
            let rest = path.split_once('.').map_or(String::new(), |(_, rest)| format!(".{rest}"));
            (format!("{name}{rest}"), value.clone())
        }
    };
    filter.iter().map(clause).collect()
}

fn path(chance: &mut Chance) -> String {
    if chance.once_in(60) {
        return "_id".to_owned();
    }
    let mut parts = vec![chance.one_of(&["a", "b", "c", "10", "9"])];
    for _ in 0..chance.below(7) / 2 {
        parts.push(match chance.below(40) {
            0..=2 => "$[]",
            3..=4 => "$[x]",
            5 => "$[y]",
            6..=7 => "$",
            8..=9 => "3",
            10..=25 => chance.one_of(&["0", "1"]),
            _ => chance.one_of(&["a", "b"]),
        });
    }
    parts.join(".")
}

fn update(chance: &mut Chance) -> Document {
    let mut update = Document::new();
    for _ in 0..1 + chance.below(5) / 2 {
        let name = chance.one_of(&[
            "$set",
            "$set",
            "$unset",
            "$inc",
            "$mul",
            "$min",
            "$max",
            "$rename",
            "$setOnInsert",
            "$push",
            "$push",
            "$addToSet",
            "$pull",
            "$pullAll",
            "$pop",
            "$bit",
        ]);
        let mut operands = Document::new();
        for _ in 0..1 + chance.below(4) / 3 {
            operands.insert(path(chance), operand(chance, name));
        }
        update.insert(name, operands);
    }
    update
}

fn operand(chance: &mut Chance, operator: &str) -> Bson {
    let any = generate::value(chance, 2);
    if chance.once_in(25) {
        return if operator == "$pull" { 1.into() } else { any };
    }
    match operator {
        "$inc" | "$mul" => number(chance),
        "$rename" => path(chance).into(),
        "$push" => push(chance, any),
        "$addToSet" if chance.once_in(2) => doc! { "$each": list(chance) }.into(),
        "$pull" => pull(chance),
        "$pullAll" => list(chance),
        "$pop" => match chance.below(3) {
            0 => 1.into(),
            1 => (-1_i64).into(),
            _ => 1.0.into(),
        },
        "$bit" => {
            let operand: Bson = if chance.once_in(3) { 0x0f_0000_0001_i64.into() } else { 6_i32.into() };
            doc! { chance.one_of(&["and", "or", "xor"]): operand, chance.one_of(&["and", "xor"]): 3 }.into()
        }
        _ => any,
    }
}

fn list(chance: &mut Chance) -> Bson {
    (0..chance.below(4)).map(|_| generate::value(chance, 1)).collect()
}

/// Numbers at whose edges types widen and results overflow.
fn number(chance: &mut Chance) -> Bson {
    match chance.below(10) {
        0 => i32::MAX.into(),
        1 => i64::MAX.into(),
        2 => 0.1.into(),
        3 => Bson::Decimal128("0.30".parse().unwrap()),
        4 => Bson::Decimal128("9.999999999999999999999999999999999E+6144".parse().unwrap()),
        5 => Bson::Decimal128("-7E-6176".parse().unwrap()),
        _ => generate::number(chance),
    }
}

fn push(chance: &mut Chance, any: Bson) -> Bson {
    if chance.once_in(3) {
        return any;
    }
    let mut push = doc! { "$each": list(chance) };
    if chance.once_in(2) {
        push.insert("$position", i32::try_from(chance.below(7)).unwrap() - 3);
    }
    if chance.once_in(2) {
        push.insert("$slice", i32::try_from(chance.below(9)).unwrap() - 4);
    }
    match chance.below(4) {
        0 => {
            push.insert("$sort", chance.one_of(&[1, -1]));
        }
        1 => {
            let sort = doc! { chance.one_of(&["a", "b", "a.b", "a.0"]): chance.one_of(&[1, -1]), "b.a": 1 };
            push.insert("$sort", sort);
        }
        _ => {}
    }
    push.into()
}

fn pull(chance: &mut Chance) -> Bson {
    match chance.below(3) {
        0 => loop {
            // A regular expression would be a pattern, and an object conditions.
            let value = generate::value(chance, 1);
            if !matches!(value, Bson::RegularExpression(_) | Bson::Document(_)) {
                return value;
            }
        },
        1 => generate::filter(chance, 1).into(),
        _ => loop {
            let filter = generate::filter(chance, 0);
            let operators = filter.values().find_map(Bson::as_document).cloned();
            let first =
                |operators: &Document| operators.keys().next().is_some_and(|name| name.starts_with('$'));
            if let Some(operators) = operators.filter(first) {
                return operators.into();
            }
        },
    }
}

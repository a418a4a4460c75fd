//! The most expensive requests of each kind, near the bounds of what is accepted.

use crate::client::{Connection, Request};
use crate::tenant::Tenant;
use anyhow::Result;
use serde_json::{Value, json};

/// Documents of each organization, and values of an array in one.
const DOCUMENTS: u32 = 20;
const VALUES: usize = 40_000;
/// Conditions: with the branches around them as many as a filter may have.
const CONDITIONS: usize = 85;
/// Values of a list in an update: each is compared with each value of the array.
const LISTED: usize = 500;
/// Operands of an expression of a pipeline, which may have 512 with all that is around them; fewer where each costs as
/// much as decimals do.
const OPERANDS: usize = 400;
const DECIMAL_OPERANDS: usize = 50;
/// Documents whose values fit in groups of their own within the memory that an aggregate may hold.
const GROUPED: u32 = 4;
/// Documents that a batch may read and write with these sizes.
const BATCHED: u32 = 8;
/// Conditions of all updates of a batch: 4,096 with the branches around them.
const BATCH_CONDITIONS: usize = 60;
/// Subschemas for every item of the array: with more, a document costs more than it may.
const SUBSCHEMAS: usize = 400;

/// A kind of request.
pub struct Kind {
    pub what: &'static str,
    /// The names of its findings, for each engine: of another organization, and of `/livez`.
    pub names: [[&'static str; 2]; 2],
    /// Whether MongoDB needs more than a single server for it.
    pub needs_replica_set: bool,
    requests: fn(&Tenant) -> Vec<Request>,
    /// What is sent once, after the documents.
    setup: Option<fn(&Tenant) -> Request>,
}

/// All of them.
pub const KINDS: [Kind; 5] = [
    Kind {
        what: "filters",
        names: [
            ["documents_embedded_beside_dear_filters", "livez_embedded_beside_dear_filters"],
            ["documents_mongodb_beside_dear_filters", "livez_mongodb_beside_dear_filters"],
        ],
        needs_replica_set: false,
        requests: filters,
        setup: None,
    },
    Kind {
        what: "updates",
        names: [
            ["documents_embedded_beside_dear_updates", "livez_embedded_beside_dear_updates"],
            ["documents_mongodb_beside_dear_updates", "livez_mongodb_beside_dear_updates"],
        ],
        needs_replica_set: false,
        requests: updates,
        setup: None,
    },
    Kind {
        what: "aggregates",
        names: [
            ["documents_embedded_beside_dear_aggregates", "livez_embedded_beside_dear_aggregates"],
            ["documents_mongodb_beside_dear_aggregates", "livez_mongodb_beside_dear_aggregates"],
        ],
        needs_replica_set: false,
        requests: aggregates,
        setup: None,
    },
    Kind {
        what: "batches",
        names: [
            ["documents_embedded_beside_dear_batches", "livez_embedded_beside_dear_batches"],
            ["documents_mongodb_beside_dear_batches", "livez_mongodb_beside_dear_batches"],
        ],
        needs_replica_set: true,
        requests: batches,
        setup: None,
    },
    Kind {
        what: "schemas",
        names: [
            ["documents_embedded_beside_dear_schemas", "livez_embedded_beside_dear_schemas"],
            ["documents_mongodb_beside_dear_schemas", "livez_mongodb_beside_dear_schemas"],
        ],
        needs_replica_set: false,
        requests: schemas,
        setup: Some(|tenant| tenant.of_collection("PUT", "/schema", &json!({ "schema": schema() }))),
    },
];

impl Kind {
    /// Makes the documents of an organization; its requests.
    pub fn prepare(&self, tenant: &Tenant, connection: &mut Connection) -> Result<Vec<Request>> {
        tenant.insert_all(connection, &lines(), DOCUMENTS)?;
        if let Some(setup) = self.setup {
            connection.call(&setup(tenant))?;
        }
        Ok((self.requests)(tenant))
    }
}

fn id(number: u32) -> String {
    format!("dear-{number}")
}

/// Documents with a long array and a long text each.
fn lines() -> String {
    let mut seed = 1_u32;
    let mut letter = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if seed >> 31 == 0 { 'a' } else { 'b' }
    };
    let document = |number| {
        let text: String = (0..VALUES).map(|_| letter()).collect();
        format!("{}\n", json!({ "_id": id(number), "values": vec![1; VALUES], "text": text }))
    };
    (0..DOCUMENTS).map(document).collect()
}

/// `count` conditions that no value meets, each an object made by `condition`.
fn unmet(count: usize, condition: impl Fn(Value) -> Value) -> Value {
    let conditions: Vec<Value> =
        (0..count).map(|number| condition(json!({ "$gt": 1_000_000 + number }))).collect();
    json!({ "$or": conditions })
}

/// Near the bounds of the number of conditions, and of the states of a pattern.
fn filters(tenant: &Tenant) -> Vec<Request> {
    let conditions = unmet(CONDITIONS, |condition| json!({ "values": condition }));
    let filters = [conditions, json!({ "text": { "$regex": "a[ab]{900}c" } })];
    filters.iter().map(|filter| tenant.query(filter)).collect()
}

/// An update that asks as many conditions of each value of the array, and changes nothing.
fn conditional_update(conditions: usize) -> Value {
    json!({
        "update": { "$set": { "values.$[dear]": 2 } },
        "arrayFilters": [unmet(conditions, |condition| json!({ "dear": condition }))],
    })
}

/// Of all documents: conditions on each value, comparisons of each with a list, and an array that is sorted and written.
fn updates(tenant: &Tenant) -> Vec<Request> {
    let listed: Vec<usize> = (0..LISTED).map(|number| 1_000_000 + number).collect();
    let mut updates = [
        conditional_update(CONDITIONS),
        json!({ "update": { "$pullAll": { "values": listed } } }),
        json!({ "update": { "$push": { "values": { "$each": [2], "$sort": -1, "$slice": VALUES } } } }),
    ];
    for update in &mut updates {
        update["filter"] = json!({});
        update["multi"] = json!(true);
    }
    updates.iter().map(|update| tenant.of_collection("POST", "/update", update)).collect()
}

/// Every value of every array in sums of many operands, of integers and of decimals; and in groups of their own.
fn aggregates(tenant: &Tenant) -> Vec<Request> {
    let sum =
        |operands: Vec<Value>| json!({ "$group": { "_id": null, "sum": { "$sum": { "$add": operands } } } });
    let with_value = |operand: Value, count: usize| {
        let mut operands = vec![json!("$values")];
        operands.resize(count, operand);
        operands
    };
    let groups = [
        sum(with_value(json!(1), OPERANDS)),
        sum(with_value(json!({ "$numberDecimal": "1.000000000000000000000000001" }), DECIMAL_OPERANDS)),
        json!({ "$group": { "_id": { "$add": ["$values", "$position"] }, "all": { "$push": "$position" } } }),
    ];
    let unwind = json!({ "$unwind": { "path": "$values", "includeArrayIndex": "position" } });
    let limits = [DOCUMENTS, DOCUMENTS, GROUPED].map(|limit| json!({ "$limit": limit }));
    let pipeline = |(limit, group)| json!({ "pipeline": [limit, unwind, group, { "$count": "groups" }] });
    let pipelines = limits.into_iter().zip(groups).map(pipeline);
    pipelines.map(|body| tenant.of_collection("POST", "/aggregate", &body)).collect()
}

/// As many conditions on each value as all updates may have together; and as many documents as may be written.
fn batches(tenant: &Tenant) -> Vec<Request> {
    let operation = |number, mut update: Value| {
        update["op"] = json!("update");
        update["collection"] = json!("documents");
        update["id"] = json!(id(number));
        update
    };
    let conditional: Vec<Value> =
        (0..BATCHED).map(|number| operation(number, conditional_update(BATCH_CONDITIONS))).collect();
    let written: Vec<Value> = (0..BATCHED)
        .map(|number| operation(number, json!({ "update": { "$inc": { "count": 1 } } })))
        .collect();
    [conditional, written]
        .iter()
        .map(|operations| tenant.batch(&json!({ "operations": operations })))
        .collect()
}

/// A schema that asks many things of each value of the array.
fn schema() -> Value {
    let bounds: Vec<Value> = (0..SUBSCHEMAS).map(|number| json!({ "maximum": 1_000_000 + number })).collect();
    json!({ "properties": { "values": { "items": { "allOf": bounds } } } })
}

/// The check of all documents, and changes of single ones, which are checked whole.
fn schemas(tenant: &Tenant) -> Vec<Request> {
    let change = |number| {
        let path = format!("/documents/{}/update", id(number));
        tenant.of_collection("POST", &path, &json!({ "update": { "$inc": { "count": 1 } } }))
    };
    let check = tenant.of_collection("POST", "/schema/check", &json!({}));
    [check].into_iter().chain((0..DOCUMENTS).map(change)).collect()
}

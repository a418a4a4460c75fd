//! Plans as a table, and that none of them loses a document or returns it out of order.

use super::*;
use crate::document::index_entries;
use crate::fuel::Fuel;
use bson::{RawDocument, RawDocumentBuf, rawdoc};

fn index(keys: &str) -> Vec<SortKey> {
    keys.split(',').map(|key| SortKey::parse(key).unwrap()).collect()
}

/// Indexes as they are written; `[]` behind one says that it has met an array, `~` that a key is cut.
fn plan_of(indexes: &[&str], filter: &str, sort: Option<&str>) -> Plan {
    let parsed: Vec<_> = indexes.iter().map(|text| index(text.trim_end_matches(['[', ']', '~']))).collect();
    let candidates: Vec<_> = parsed
        .iter()
        .zip(indexes)
        .map(|(keys, text)| Candidate {
            keys,
            coverage: &Coverage::All,
            is_multikey: text.ends_with("[]"),
            format: KeyFormat::Cut,
            has_cut: text.ends_with('~'),
        })
        .collect();
    let sort = sort.map(|text| if text.is_empty() { Sort::default() } else { Sort::parse(text).unwrap() });
    plan(&candidates, &Filter::parse(filter, "").unwrap(), sort.as_ref())
}

/// The plan in a few words: the index, the number of intervals, the order, and whether everything is examined.
fn shown(indexes: &[&str], filter: &str, sort: Option<&str>) -> String {
    let plan = plan_of(indexes, filter, sort);
    let access = match plan.access {
        AccessPath::Ids => "_id",
        AccessPath::Index(place) => indexes[place],
    };
    let order = match plan.order.as_ref().map(|order| order.walk) {
        None => "",
        Some(ScanKind::Up) => " up",
        Some(ScanKind::Down) => " down",
        Some(ScanKind::DownByKey) => " down by key",
    };
    let scan = if plan.is_scan { " scan" } else { "" };
    format!("{access} {}{order}{scan}", plan.intervals.len())
}

#[test]
fn query_plan_uses_the_suitable_index() {
    let table: &[(&[&str], &str, Option<&str>, &str)] = &[
        // By the `_id`.
        (&[], "{}", Some(""), "_id 1 up"),
        (&[], "{}", Some("-_id"), "_id 1 down"),
        (&[], "{}", None, "_id 1 scan"),
        (&["a"], r#"{"_id":5,"a":1}"#, Some(""), "_id 1 up"),
        (&["a"], r#"{"_id":{"$in":[1,5,9]},"a":1}"#, Some("a"), "_id 3"),
        (&[], r#"{"_id":{"$gt":5}}"#, Some(""), "_id 1 up"),
        (&["a"], r#"{"_id":{"$gt":5},"a":{"$gt":1,"$lt":3}}"#, None, "a 1"),
        (&["a"], r#"{"a":{"$gt":1,"$lt":0}}"#, Some(""), "a 0"),
        // No index.
        (&[], r#"{"a":1}"#, Some(""), "_id 1 up scan"),
        (&["b"], r#"{"a":1}"#, Some(""), "_id 1 up scan"),
        (&[], "{}", Some("a"), "_id 1 scan"),
        (&["a"], r#"{"a":{"$ne":1}}"#, Some(""), "_id 1 up scan"),
        // Equality, which leaves the `_id` as the order.
        (&["a"], r#"{"a":1}"#, Some(""), "a 1 up"),
        (&["-a"], r#"{"a":1}"#, Some("-_id"), "-a 1 down"),
        (&["a"], r#"{"a":null}"#, Some(""), "a 2"),
        (&["a"], r#"{"a":{"$in":[1,2]}}"#, Some(""), "a 2"),
        (&["a"], r#"{"a":{"$in":[1,2]}}"#, Some("a"), "a 2 up"),
        (&["a", "a,b"], r#"{"a":1,"b":2}"#, Some(""), "a,b 1 up"),
        (&["a,b", "a"], r#"{"a":1}"#, Some(""), "a 1 up"),
        (&["a,b"], r#"{"a":{"$in":[1,2]},"b":{"$in":[3,4,5]}}"#, Some(""), "a,b 6"),
        (&["a,b,c"], r#"{"a":1,"c":2}"#, None, "a,b,c 1"),
        // Equality, then order, then ranges.
        (&["a,b"], r#"{"a":1}"#, Some("b"), "a,b 1 up"),
        (&["a,b"], r#"{"a":1}"#, Some("-b"), "a,b 1 down by key"),
        (&["a,b"], r#"{"a":1}"#, Some("-b,-_id"), "a,b 1 down"),
        (&["a,b"], r#"{"a":1}"#, Some("a,b"), "a,b 1 up"),
        (&["a,b"], r#"{"a":1}"#, Some("b,a"), "a,b 1 up"),
        (&["a,b"], r#"{"a":1,"b":{"$gt":3}}"#, Some("b"), "a,b 1 up"),
        (&["a,c", "a,b"], r#"{"a":1,"c":{"$gt":3,"$lt":4}}"#, Some("b"), "a,b 1 up"),
        (&["a,b,c"], r#"{"a":1}"#, Some("b"), "a,b,c 1"),
        // Order alone.
        (&["a"], "{}", Some("a"), "a 1 up"),
        (&["a"], "{}", Some("-a"), "a 1 down by key"),
        (&["a"], "{}", Some("-a,-_id"), "a 1 down"),
        (&["a"], "{}", Some("a,-_id"), "_id 1 scan"),
        (&["a,-_id"], "{}", Some("a,-_id"), "a,-_id 1 up"),
        (&["a,-_id"], "{}", Some("-a"), "a,-_id 1 down"),
        (&["a,-b"], "{}", Some("-a,b"), "a,-b 1 down by key"),
        (&["a,b"], "{}", Some("a,-b"), "_id 1 scan"),
        (&["a"], r#"{"b":1}"#, Some("a"), "a 1 up scan"),
        // Ranges.
        (&["a"], r#"{"a":{"$gt":5}}"#, Some(""), "a 1"),
        (&["a", "b"], r#"{"a":{"$gt":5}}"#, Some("b"), "b 1 up scan"),
        (&["a", "b"], r#"{"a":{"$gt":5,"$lt":9}}"#, Some("b"), "a 1"),
        (&["a", "b"], r#"{"a":{"$gt":5},"b":{"$gt":5,"$lt":9}}"#, None, "b 1"),
        (&["a"], r#"{"a":{"$regex":"^ab"}}"#, Some("a"), "a 2 up"),
        (&["a"], r#"{"a":{"$regex":"ab"}}"#, Some(""), "a 2"),
        (&["a", "b"], r#"{"$or":[{"a":1},{"a":{"$gt":7}}]}"#, None, "a 2"),
        (&["a", "b"], r#"{"$or":[{"a":1},{"b":1}]}"#, None, "_id 1 scan"),
        // How texts begin is no value: what follows in the index is not narrowed.
        (&["a,b"], r#"{"a":{"$regex":"^ab"},"b":1}"#, Some("b"), "a,b 2"),
        // Arrays.
        (&["a[]"], r#"{"a":1}"#, Some(""), "a[] 1 up"),
        (&["a[]"], r#"{"a":1}"#, Some("a"), "a[] 1"),
        (&["a[]"], "{}", Some("a"), "_id 1 scan"),
        (&["a[]"], r#"{"a":{"$gt":1,"$lt":3}}"#, None, "a[] 1"),
        (&["a,b[]"], r#"{"a":1,"b":1}"#, Some(""), "a,b[] 1"),
        // Cut keys.
        (&["a~"], "{}", Some("a"), "_id 1 scan"),
        (&["a~"], r#"{"a":1}"#, Some(""), "a~ 1 up"),
        (&["a,b~"], r#"{"a":1}"#, Some("b"), "a,b~ 1"),
        (&["a~"], r#"{"a":{"$gt":1,"$lt":3}}"#, Some("a"), "a~ 1"),
    ];
    for (indexes, filter, sort, expected) in table {
        assert_eq!(shown(indexes, filter, *sort), *expected, "{indexes:?} {filter} {sort:?}");
    }
}

#[test]
fn query_plan_finds_long_values_by_cut_keys() {
    let long = |last: &str| format!("{}{last}", "x".repeat(2000));
    let bounds = |filter: String| plan_of(&["a"], &filter, None).intervals;
    let stored = |text: &str| {
        let mut key = key::encode(&[(bson::RawBsonRef::String(text), Direction::Ascending)]);
        assert!(cut(&mut key, 0));
        key
    };
    let (a, b) = (long("a"), long("b"));
    let one = bounds(format!(r#"{{"a":"{a}"}}"#));
    assert_eq!(one, [Interval { low: stored(&a), high: stored(&a) }]);
    let two = bounds(format!(r#"{{"a":{{"$in":["{a}","{b}"]}}}}"#));
    assert!(two.is_sorted_by_key(|interval| &interval.low) && two.len() == 2);
    for filter in [
        format!(r#"{{"a":{{"$gt":"{a}"}}}}"#),
        format!(r#"{{"a":{{"$gte":"{a}","$lte":"{b}"}}}}"#),
        format!(r#"{{"$or":[{{"a":{{"$lt":"{b}"}}}},{{"a":"{b}"}}]}}"#),
    ] {
        let intervals = bounds(filter.clone());
        assert!(Interval::any_contains(&intervals, &stored(&b)), "{filter}");
        assert!(intervals.is_sorted_by(|one, next| one.end() <= next.low), "{filter}");
    }
}

#[test]
fn query_plan_does_not_combine_many_values_of_several_keys() {
    let list: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let list = list.join(",");
    let filter = format!(r#"{{"a":{{"$in":[{list}]}},"b":{{"$in":[{list}]}}}}"#);
    assert_eq!(plan_of(&["a,b"], &filter, None).intervals.len(), 100);
}

/// Documents with few values each, so that they collide.
fn documents() -> Vec<RawDocumentBuf> {
    let values =
        [rawdoc! {}, rawdoc! { "v": null }, rawdoc! { "v": 1 }, rawdoc! { "v": 2 }, rawdoc! { "v": "x" }];
    let value = |n: usize| values[n % 5].get("v").unwrap();
    let document = |n: usize| {
        let mut document = rawdoc! { "_id": i32::try_from(n * 7 % 125).unwrap() };
        for (name, value) in [
            (bson::raw::cstr!("a"), value(n)),
            (bson::raw::cstr!("b"), value(n / 5)),
            (bson::raw::cstr!("c"), value(n / 25)),
        ] {
            if let Some(value) = value {
                document.append(name, value);
            }
        }
        document
    };
    (0..125).step_by(3).map(document).collect()
}

/// The ids of the documents that a plan leads to, as an engine goes through its entries.
fn followed(
    plan: &Plan,
    keys: &[SortKey],
    documents: &[RawDocumentBuf],
    after: Option<&PlanEntry>,
) -> Vec<i32> {
    let key_of = |document: &RawDocument| match plan.access {
        AccessPath::Ids => key::encode(&[(document.get("_id").unwrap().unwrap(), Direction::Ascending)]),
        AccessPath::Index(_) => {
            let paths: Vec<_> = keys.iter().map(|key| &key.path).collect();
            let entries = index_entries(document, &paths, &Fuel::unlimited()).unwrap();
            let parts: Vec<_> = entries[0].iter().zip(keys).map(|(v, key)| (*v, key.direction)).collect();
            key::encode(&parts)
        }
    };
    let id_of = |document: &RawDocument| {
        key::encode(&[(document.get("_id").unwrap().unwrap(), Direction::Ascending)])
    };
    let mut entries: Vec<(Vec<u8>, Vec<u8>, i32)> = documents
        .iter()
        .map(|document| (key_of(document), id_of(document), document.get_i32("_id").unwrap()))
        .filter(|(key, ..)| plan.intervals.iter().any(|interval| interval.contains(key)))
        .collect();
    let walk = plan.order.as_ref().map_or(ScanKind::Up, |order| order.walk);
    entries.sort_by(|(key, id, _), (other_key, other_id, _)| match walk {
        ScanKind::Up => (key, id).cmp(&(other_key, other_id)),
        ScanKind::Down => (other_key, other_id).cmp(&(key, id)),
        ScanKind::DownByKey => (other_key, id).cmp(&(key, other_id)),
    });
    let from = after.map_or(0, |place| {
        let is_there = |(key, id, _): &(Vec<u8>, Vec<u8>, i32)| {
            *id == place.id && (plan.access == AccessPath::Ids || *key == place.key)
        };
        entries.iter().position(is_there).expect("the place is an entry") + 1
    });
    entries[from..].iter().map(|(.., id)| *id).collect()
}

/// All plans of a query return the same documents in the same order.
#[test]
fn query_plan_never_changes_documents_or_their_order() {
    let documents = documents();
    let indexes = ["a", "-a", "a,b", "a,-b", "b,a,c", "-c,b", "a,-_id", "c,_id"];
    let filters = [
        "{}",
        r#"{"a":1}"#,
        r#"{"a":null}"#,
        r#"{"a":{"$in":[1,"x"]}}"#,
        r#"{"a":{"$gte":1}}"#,
        r#"{"a":1,"b":{"$gt":1}}"#,
        r#"{"a":{"$in":[1,2]},"b":{"$in":[2,"x"]}}"#,
        r#"{"c":"x","b":{"$lte":1}}"#,
        r#"{"a":{"$regex":"^x"},"b":1}"#,
        r#"{"_id":{"$gt":20,"$lt":90}}"#,
        r#"{"$or":[{"a":1,"b":1},{"a":2}]}"#,
    ];
    let sorts = ["", "-_id", "a", "-a", "a,-_id", "-a,-_id", "b", "a,b", "-a,b", "a,-b", "b,a", "-b,-c", "c"];
    let mut ordered = 0;
    for index in indexes {
        for filter in filters {
            for sort in sorts {
                ordered += usize::from(check(index, filter, sort, &documents));
            }
        }
    }
    assert!(ordered > 200, "{ordered}");
}

/// Compares the documents that the plan reaches with the expected ones. Returns whether the plan gave the order.
fn check(index_text: &str, filter: &str, sort: &str, documents: &[RawDocumentBuf]) -> bool {
    let what = format!("{index_text} {filter} {sort}");
    let (plan, keys) = (plan_of(&[index_text], filter, Some(sort)), index(index_text));
    let filter = Filter::parse(filter, "").unwrap();
    let order = if sort.is_empty() { Sort::default() } else { Sort::parse(sort).unwrap() };
    let mut wanted: Vec<_> = documents.iter().filter(|document| filter.matches(document)).collect();
    wanted.sort_by_key(|document| order.key(document, &Fuel::unlimited()).unwrap());
    let mut expected: Vec<i32> = wanted.iter().map(|document| document.get_i32("_id").unwrap()).collect();
    let follow = |after: Option<&PlanEntry>| {
        let mut found = followed(&plan, &keys, documents, after);
        found.retain(|id| expected.contains(id));
        found
    };
    let mut found = follow(None);
    let Some(way) = &plan.order else {
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{what}");
        return false;
    };
    assert_eq!(found, expected, "{what}");
    // And from every position on.
    for (place, document) in wanted.iter().enumerate().step_by(5) {
        let after = way.place(&order.position(document, &Fuel::unlimited()).unwrap());
        assert_eq!(follow(Some(&after)), expected[place + 1..], "{what} after {place}");
    }
    true
}

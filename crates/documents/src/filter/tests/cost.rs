//! Tests of the cost of a filter: its price while it is parsed, and the fuel it takes while it is evaluated.

use super::{document, filter};
use crate::error::Error;
use crate::filter::Filter;
use crate::fuel::{Fuel, Interruption};
use crate::limits::DOCUMENT_MAX_STEPS;
use bson::RawDocumentBuf;

/// Arrays of documents in one another whose fields are called as positions are.
fn numbered(levels: usize) -> RawDocumentBuf {
    let inner = (0..levels).fold("1".to_owned(), |inner, _| format!(r#"[{{"0":{inner}}}]"#));
    document(&format!(r#"{{"a":{inner}}}"#))
}

#[test]
fn filter_path_cost_grows_with_positions_and_obeys_fuel() {
    let cost = |positions: usize| {
        let filter = filter(&format!(r#"{{"a{}":2}}"#, ".0".repeat(positions)));
        let fuel = Fuel::unlimited();
        assert_eq!(filter.evaluate(&numbered(40), &fuel), Ok(false));
        fuel.spent()
    };
    // Each of them is followed as a name and as a position.
    assert!(cost(8) > 4 * cost(4), "{} {}", cost(8), cost(4));
    let dear = filter(&format!(r#"{{"a{}":2}}"#, ".0".repeat(8)));
    let stopped = dear.evaluate(&numbered(40), &Fuel::unlimited().up_to(cost(4)));
    assert_eq!(stopped, Err(Interruption::BudgetSpent));
}

#[test]
fn filter_evaluation_pays_for_steps_comparisons_and_searches() {
    let cost = |json: &str, of: &RawDocumentBuf| {
        let fuel = Fuel::unlimited();
        filter(json).evaluate(of, &fuel).unwrap();
        fuel.spent()
    };
    let few = document(&format!(r#"{{"v":[{}0],"t":"{}"}}"#, "1,".repeat(10), "x".repeat(10)));
    let many = document(&format!(r#"{{"v":[{}0],"t":"{}"}}"#, "1,".repeat(1000), "x".repeat(1000)));
    for json in [
        r#"{"v":{"$gt":5}}"#,
        r#"{"v":{"$in":[7,8,9]}}"#,
        r#"{"v":{"$all":[1,7]}}"#,
        r#"{"v":{"$elemMatch":{"$gt":5}}}"#,
        r#"{"v":{"$size":7}}"#,
        r#"{"t":{"$regex":"y"}}"#,
    ] {
        let (less, more) = (cost(json, &few), cost(json, &many));
        assert!(more - less >= 990, "{json}: {less} {more}");
    }
    let long = format!(r#"{{"t":"{}"}}"#, "x".repeat(1000));
    assert!(cost(&long, &many) >= cost(r#"{"t":"x"}"#, &many) + 400);
}

#[test]
fn filter_price_counts_its_parts() {
    let price = filter(r#"{"a.b":{"$in":[1,2,3]},"$or":[{"c":{"$regex":"^x{3}"}},{"d":1}]}"#).price();
    assert_eq!((price.path_parts, price.list_items), (4, 3));
    assert!((5..30).contains(&price.states) && price.nodes >= 5 && price.is_short(), "{price:?}");
    let many = format!(r#"{{"a":{{"$in":[{}0]}}}}"#, "0,".repeat(200));
    assert!(!filter(&many).price().is_short());
    assert!(!filter(r#"{"a":{"$regex":"x{300}"}}"#).price().is_short());
}

#[test]
fn filter_parse_stops_at_first_excess_of_price() {
    // Each has some 1,900 states, so the eleventh is too much.
    let dear: Vec<_> = (0..12).map(|number| format!(r#""f{number}":{{"$regex":"^a{{1,950}}$"}},"#)).collect();
    let json = format!(r#"{{{}"z":{{"$where":1}}}}"#, dear.concat());
    let error = Filter::parse(&json, "?filter").unwrap_err();
    let pointers: Vec<_> = error.fields().iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(pointers, ["?filter/f10/$regex"]);
}

#[test]
fn filter_reports_document_that_costs_too_many_steps() {
    let text = document(&format!(r#"{{"t":"{}"}}"#, "x".repeat(1000)));
    let pattern = filter(r#"{"t":{"$regex":"y"}}"#);
    let fuel = Fuel::for_document();
    fuel.begin_document(DOCUMENT_MAX_STEPS - 500).unwrap();
    let stopped = pattern.evaluate(&text, &fuel).unwrap_err();
    assert_eq!(stopped, Interruption::DocumentTooDear);
    let error = Error::from(stopped);
    assert!(matches!(error, Error::TooCostly(_)));
    assert!(error.to_string().contains(&format!("{DOCUMENT_MAX_STEPS} steps")), "{error}");
    // The next document has its own budget.
    fuel.begin_document(0).unwrap();
    assert_eq!(pattern.evaluate(&text, &fuel), Ok(false));
}

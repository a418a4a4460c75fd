//! Random values, documents, paths and filters.

use crate::chance::Chance;
use crate::judge::json;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::CString;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, Regex, Timestamp, doc};
use tenantry_documents::index::PartialFilter;

const NAMES: [&str; 4] = ["a", "b", "0", "1"];
const TEXTS: [&str; 7] = ["", "a", "b", "ab", "A", "a\0", "é"];
const DOUBLES: [f64; 11] = [
    -0.0,
    0.5,
    0.1,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    9_007_199_254_740_993.0,
    1e300,
    f64::MAX,
    5e-324,
    1.234_567_890_123_456_8e37,
];
/// Some are one of the doubles, others a little less or more.
const DECIMALS: [&str; 14] = [
    "NaN",
    "Infinity",
    "-Infinity",
    "-0E+3",
    "0.1",
    "0.5",
    "9007199254740993",
    "0.1000000000000000055511151231257827",
    "0.1000000000000000055511151231257828",
    "4.940656458412465441765687928682214E-324",
    "1234567890123456752549132460679705E+4",
    "1E-6000",
    "-1E+6000",
    "1E+6000",
];
/// How deep values go.
const LEVELS: usize = 3;

/// Documents with the ids 0, 1, 2 and so on.
pub fn documents(chance: &mut Chance, count: i32) -> Vec<Document> {
    let document = |id| {
        let mut document = doc! { "_id": id };
        document.extend(fields(chance, LEVELS, 3));
        document
    };
    (0..count).map(document).collect()
}

fn fields(chance: &mut Chance, levels: usize, most: usize) -> Document {
    let count = chance.below(most + 1);
    (0..count).map(|_| ((chance.one_of(&NAMES)).to_owned(), value(chance, levels))).collect()
}

/// Any value, nested at most so deep.
pub fn value(chance: &mut Chance, levels: usize) -> Bson {
    match chance.below(12) {
        0..=2 if levels > 0 => {
            let count = chance.below(4);
            (0..count).map(|_| value(chance, levels - 1)).collect()
        }
        3..=5 if levels > 0 => fields(chance, levels - 1, 2).into(),
        6 => Bson::Null,
        7 => rare(chance),
        8 => (chance.one_of(&TEXTS)).into(),
        _ => number(chance),
    }
}

/// A number of any type.
pub fn number(chance: &mut Chance) -> Bson {
    let small = i32::try_from(chance.below(5)).unwrap() - 1;
    let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
    match chance.below(10) {
        0..=2 => small.into(),
        3 => i64::from(small).into(),
        4 => f64::from(small).into(),
        5 => decimal(&format!("{small}.0")),
        6 => chance.one_of(&DOUBLES).into(),
        7 => chance.one_of(&[i64::MAX, i64::MIN, (1 << 53) + 1, 1 << 53]).into(),
        8 => decimal(chance.one_of(&DECIMALS)),
        _ => 1.into(),
    }
}

fn rare(chance: &mut Chance) -> Bson {
    let bit = chance.below(2);
    let byte = u8::try_from(bit).unwrap();
    match chance.below(12) {
        0 => Bson::Undefined,
        1 => (bit == 0).into(),
        2 => (bit == 1).into(),
        3 => DateTime::from_millis(i64::from(byte) - 1).into(),
        4 => ObjectId::from_bytes([byte; 12]).into(),
        5 => Bson::Timestamp(Timestamp { time: 1, increment: byte.into() }),
        6 => Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![byte] }),
        7 => Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: vec![byte; 1 + bit] }),
        8 => regex(chance).into(),
        9 => {
            if bit == 0 {
                Bson::MinKey
            } else {
                Bson::MaxKey
            }
        }
        10 => Bson::Symbol((chance.one_of(&TEXTS)).into()),
        _ => Bson::JavaScriptCode((chance.one_of(&TEXTS)).into()),
    }
}

fn regex(chance: &mut Chance) -> Regex {
    let pattern = CString::try_from(chance.one_of(&["a", "^a"])).unwrap();
    let options = CString::try_from(chance.one_of(&["", "i"])).unwrap();
    Regex { pattern, options }
}

/// A path of up to three parts.
pub fn path(chance: &mut Chance) -> String {
    let parts = 1 + chance.below(6) / 2;
    let part = |index| chance.one_of(if index == 0 { &NAMES[..2] } else { &NAMES });
    (0..parts).map(part).collect::<Vec<_>>().join(".")
}

/// A filter that is allowed.
pub fn filter(chance: &mut Chance, levels: usize) -> Document {
    let clauses = 1 + chance.below(4) / 3;
    let clause = |_| {
        if levels > 0 && chance.once_in(5) {
            let operator = chance.one_of(&["$and", "$or", "$nor"]);
            let count = 1 + chance.below(2);
            return (operator.to_owned(), (0..count).map(|_| filter(chance, levels - 1)).collect());
        }
        (path(chance), field(chance, levels))
    };
    (0..clauses).map(clause).collect()
}

/// A filter that a partial index may have.
pub fn partial_filter(chance: &mut Chance, levels: usize) -> Document {
    loop {
        let filter = partial_conditions(chance, levels);
        match PartialFilter::parse(&json(&filter), "") {
            Ok(_) => return filter,
            // Now and then it has too many conditions.
            Err(error) => assert!(error.to_string().contains("at most"), "{error}: {filter}"),
        }
    }
}

fn partial_conditions(chance: &mut Chance, levels: usize) -> Document {
    let clauses = 1 + chance.below(4) / 3;
    let clause = |_| {
        if levels > 0 && chance.once_in(5) {
            let operator = chance.one_of(&["$and", "$or"]);
            let count = 1 + chance.below(2);
            return (
                operator.to_owned(),
                (0..count).map(|_| partial_conditions(chance, levels - 1)).collect(),
            );
        }
        let condition = match chance.below(6) {
            0 | 1 => doc! { "$exists": true }.into(),
            2 => doc! { "$eq": operand(chance) }.into(),
            3 => doc! { "$in": (0..1 + chance.below(3)).map(|_| operand(chance)).collect::<Bson>() }.into(),
            _ => doc! { chance.one_of(&["$gt", "$gte", "$lt", "$lte"]): bound(chance) }.into(),
        };
        (path(chance), condition)
    };
    (0..clauses).map(clause).collect()
}

/// A value that a range may begin with in the filter of an index.
fn bound(chance: &mut Chance) -> Bson {
    loop {
        let value = operand(chance);
        let is_nan = match &value {
            Bson::Double(number) => number.is_nan(),
            Bson::Decimal128(number) => number.to_string() == "NaN",
            Bson::Array(_) | Bson::Document(_) | Bson::Null | Bson::MinKey | Bson::MaxKey => true,
            Bson::JavaScriptCode(_) => true,
            _ => false,
        };
        if !is_nan {
            return value;
        }
    }
}

pub fn field(chance: &mut Chance, levels: usize) -> Bson {
    if chance.once_in(4) { operand(chance) } else { operators(chance, levels).into() }
}

fn operators(chance: &mut Chance, levels: usize) -> Document {
    let mut operators = Document::new();
    for _ in 0..1 + chance.below(4) / 3 {
        operator(chance, levels, &mut operators);
    }
    operators
}

fn operator(chance: &mut Chance, levels: usize, operators: &mut Document) {
    let deeper = levels > 0;
    let (name, value) = match chance.below(17) {
        0 => ("$eq", equal(chance)),
        1 => ("$ne", operand(chance)),
        2..=5 => (chance.one_of(&["$gt", "$gte", "$lt", "$lte"]), operand(chance)),
        6 => ("$in", list(chance)),
        7 => ("$nin", list(chance)),
        8 => ("$exists", chance.once_in(2).into()),
        9 => ("$size", i32::try_from(chance.below(3)).unwrap().into()),
        10 => ("$all", list(chance)),
        11 if deeper => {
            let count = 1 + chance.below(2);
            let each = |_| doc! { "$elemMatch": element_match(chance, levels - 1) };
            ("$all", (0..count).map(each).collect())
        }
        12 | 13 if deeper => ("$elemMatch", element_match(chance, levels - 1).into()),
        14 | 15 if deeper => ("$not", self::operators(chance, levels - 1).into()),
        _ => {
            operators.insert("$options", chance.one_of(&["", "i"]));
            ("$regex", chance.one_of(&["a", "^a", "a$", "", "b|\\."]).into())
        }
    };
    operators.insert(name, value);
}

fn element_match(chance: &mut Chance, levels: usize) -> Document {
    match chance.below(8) {
        0 => Document::new(),
        1..=3 => operators(chance, levels),
        _ => filter(chance, levels),
    }
}

fn list(chance: &mut Chance) -> Bson {
    let count = chance.below(4);
    (0..count).map(|_| operand(chance)).collect()
}

/// A value that is allowed everywhere in a filter.
fn operand(chance: &mut Chance) -> Bson {
    loop {
        let value = equal(chance);
        if !matches!(value, Bson::RegularExpression(_)) {
            return value;
        }
    }
}

/// A value that is allowed with `$eq`.
fn equal(chance: &mut Chance) -> Bson {
    loop {
        let value = value(chance, 2);
        if value != Bson::Undefined {
            return value;
        }
    }
}

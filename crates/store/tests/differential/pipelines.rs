//! Random documents and pipelines, and their results as texts that can be compared.

use crate::chance::Chance;
use crate::generate;
use crate::judge::canonical_json as json;
use mongodb::bson::{Bson, DateTime, Document, doc};

/// Fields that hold numbers, usually.
const NUMBERS: [&str; 5] = ["n", "m", "d.x", "n", "m"];
/// Fields that hold few values.
const KEYS: [&str; 6] = ["k", "k", "s", "d.k", "a", "b"];
const PATHS: [&str; 12] = ["n", "m", "k", "s", "t", "l", "d", "d.x", "e.x", "a", "b", "a.b"];
const ZONES: [&str; 11] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "+05:30",
    "-0330",
    "+13",
];
const UNITS: [&str; 9] =
    ["year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond"];
const DAYS: [&str; 4] = ["monday", "Sunday", "wed", "saturday"];

/// A pipeline, and how its results compare.
pub struct Question {
    pub stages: Vec<Document>,
    /// Whether MongoDB promises their order.
    is_ordered: bool,
}

impl Question {
    /// As a caller sends it.
    pub fn json(&self) -> String {
        format!("[{}]", self.stages.iter().map(json).collect::<Vec<_>>().join(","))
    }

    /// The results as texts.
    pub fn comparable(&self, mut found: Vec<Document>) -> Vec<String> {
        found.iter_mut().for_each(sort_sets);
        let mut texts: Vec<String> = found.iter().map(json).collect();
        if !self.is_ordered {
            texts.sort();
        }
        texts
    }
}

/// The values of a set come in no order.
fn sort_sets(document: &mut Document) {
    for (name, value) in document.iter_mut() {
        match value {
            Bson::Array(values) if name.starts_with("set") => {
                values.sort_by_key(|value| json(&doc! { "v": value.clone() }));
            }
            Bson::Document(inner) => sort_sets(inner),
            _ => {}
        }
    }
}

/// Documents with numbers, keys, dates and lists, now and then with anything else.
pub fn documents(chance: &mut Chance, count: i32) -> Vec<Document> {
    (0..count).map(|id| document(chance, id)).collect()
}

fn document(chance: &mut Chance, id: i32) -> Document {
    let mut document = doc! { "_id": id };
    for name in ["n", "m"] {
        if !chance.once_in(8) {
            document.insert(name, number(chance));
        }
    }
    document.insert("k", chance.one_of(&[1, 2, 3]));
    if chance.once_in(3) {
        document.insert("k", f64::from(chance.one_of(&[1, 2, 3])));
    }
    if chance.once_in(2) {
        document.insert("s", chance.one_of(&["", "x", "y", "$n"]));
    }
    if !chance.once_in(6) {
        document.insert("t", moment(chance));
    }
    let length = chance.below(4);
    if chance.once_in(5) {
        document.insert("l", generate::value(chance, 2));
    } else if !chance.once_in(5) {
        document.insert("l", (0..length).map(|_| number(chance)).collect::<Vec<_>>());
    }
    document.insert("d", doc! { "x": number(chance), "k": chance.one_of(&["p", "q"]) });
    let items = (0..chance.below(3)).map(|_| doc! { "x": number(chance), "y": generate::value(chance, 1) });
    document.insert("e", items.collect::<Vec<_>>());
    for name in ["a", "b"] {
        if chance.once_in(3) {
            document.insert(name, generate::value(chance, 2));
        }
    }
    document
}

fn number(chance: &mut Chance) -> Bson {
    let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
    let small = i32::try_from(chance.below(20)).unwrap() - 8;
    match chance.below(24) {
        0..=9 => small.into(),
        10 | 11 => i64::from(small).into(),
        12..=15 => (f64::from(small) / 8.0).into(),
        16 => (f64::from(small) / 10.0).into(),
        17 => chance.one_of(&[i64::MAX, i64::MIN, i64::MAX / 3, (1 << 53) + 1]).into(),
        18 => chance.one_of(&[i32::MAX, i32::MIN]).into(),
        19 => chance.one_of(&[1e300, -1e300, 1e-300, f64::MAX, 5e-324, 0.1, -0.0, 123_456.789]).into(),
        20 => chance.one_of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).into(),
        21 => decimal(chance.one_of(&["0.10", "1", "-2.50", "1E+3", "0", "-0", "12345678901234567890.123"])),
        22 if chance.once_in(4) => {
            decimal(chance.one_of(&["NaN", "Infinity", "9.999999999999999999999999999999999E+6144"]))
        }
        22 => Bson::Null,
        _ => 1.into(),
    }
}

fn moment(chance: &mut Chance) -> Bson {
    if chance.once_in(20) {
        return Bson::Null;
    }
    let day = i64::try_from(chance.below(24_000)).unwrap() - 1_000;
    let within = i64::try_from(chance.below(86_400_000)).unwrap();
    DateTime::from_millis(day * 86_400_000 + within).into()
}

/// A pipeline that is allowed, except for operands of wrong types.
pub fn question(chance: &mut Chance) -> Question {
    let mut builder = Builder {
        stages: Vec::new(),
        is_ordered: true,
        paths: PATHS.iter().map(|&path| path.to_owned()).collect(),
        numbers: NUMBERS.iter().map(|&path| path.to_owned()).collect(),
        keys: KEYS.iter().map(|&path| path.to_owned()).collect(),
        has_unique_id: true,
        names: 0,
    };
    for _ in 0..1 + chance.below(4) {
        builder.stage(chance);
    }
    Question { stages: builder.stages, is_ordered: builder.is_ordered }
}

struct Builder {
    stages: Vec<Document>,
    /// Whether the order of the documents at this stage is certain.
    is_ordered: bool,
    paths: Vec<String>,
    numbers: Vec<String>,
    keys: Vec<String>,
    /// Whether an order by `_id` is certain: no two documents have one, and it is no list.
    has_unique_id: bool,
    names: usize,
}

impl Builder {
    fn stage(&mut self, chance: &mut Chance) {
        match chance.below(14) {
            0 | 1 => {
                let filter = if chance.once_in(2) {
                    generate::filter(chance, 1)
                } else {
                    doc! { of(chance, &self.paths): { chance.one_of(&["$gt", "$lte", "$ne"]): number(chance) } }
                };
                self.stages.push(doc! { "$match": filter });
            }
            2 | 3 => self.unwind(chance),
            4..=7 => self.group(chance),
            8 | 9 => self.sort(chance),
            10 if self.is_ordered => {
                self.stages.push(doc! { "$limit": i64::try_from(1 + chance.below(20)).unwrap() });
            }
            10 if self.has_unique_id => self.sort(chance),
            11 if self.is_ordered => {
                self.stages.push(doc! { "$skip": i32::try_from(chance.below(10)).unwrap() });
            }
            12 => self.project(chance),
            13 if chance.once_in(3) => {
                self.stages.push(doc! { "$count": "count" });
                self.reset(&["count"]);
                self.is_ordered = true;
                self.has_unique_id = false;
            }
            _ => self.add_fields(chance),
        }
    }

    fn reset(&mut self, paths: &[&str]) {
        self.paths = paths.iter().map(|&path| path.to_owned()).collect();
        // It may be a date.
        self.numbers = paths.iter().filter(|&&path| path != "_id").map(|&path| path.to_owned()).collect();
        self.numbers.push("nothing".to_owned());
        self.keys.clone_from(&self.paths);
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("f{}", self.names)
    }

    fn unwind(&mut self, chance: &mut Chance) {
        let path = format!("${}", if chance.once_in(2) { "l".to_owned() } else { of(chance, &self.paths) });
        self.has_unique_id = false;
        if chance.once_in(3) {
            self.stages.push(doc! { "$unwind": path });
            return;
        }
        let mut unwind = doc! { "path": path };
        if chance.once_in(2) {
            unwind.insert("preserveNullAndEmptyArrays", chance.once_in(2));
        }
        if chance.once_in(2) {
            unwind.insert("includeArrayIndex", chance.one_of(&["index", "zz"]));
        }
        self.stages.push(doc! { "$unwind": unwind });
    }

    fn sort(&mut self, chance: &mut Chance) {
        let mut keys = Document::new();
        if chance.once_in(2) {
            keys.insert(of(chance, &self.paths), chance.one_of(&[1, -1]));
        }
        if self.has_unique_id {
            keys.insert("_id", chance.one_of(&[1, -1]));
            self.is_ordered = true;
        } else if keys.is_empty() {
            return;
        } else {
            self.is_ordered = false;
        }
        self.stages.push(doc! { "$sort": keys });
    }

    fn group(&mut self, chance: &mut Chance) {
        if !self.is_ordered && self.has_unique_id {
            self.stages.push(doc! { "$sort": { "_id": 1 } });
            self.is_ordered = true;
        }
        if !self.is_ordered {
            // Of equal keys of several types a group has the first one, and sums are rounded in their order.
            return self.add_fields(chance);
        }
        let kind = chance.below(6);
        let key = match kind {
            0 => Bson::Null,
            1 => doc! { "x": format!("${}", of(chance, &self.keys)), "y": format!("${}", of(chance, &self.keys)) }.into(),
            2 => self.expression(chance, 1),
            3 => self.date_trunc(chance),
            _ => format!("${}", of(chance, &self.keys)).into(),
        };
        // An order by a key that is a list is by one item of the list, so that two groups may come in either order.
        let is_never_a_list = matches!(kind, 0 | 1 | 3) || matches!(key.as_str(), Some("$k" | "$d.k"));
        let mut group = doc! { "_id": key };
        let mut paths = vec!["_id".to_owned()];
        for _ in 0..1 + chance.below(3) {
            let value = |builder: &Self, chance: &mut Chance| match chance.below(5) {
                0 => builder.expression(chance, 1),
                1 => format!("${}", of(chance, &builder.paths)).into(),
                _ => Bson::from(format!("${}", of(chance, &builder.numbers))),
            };
            let name = self.name();
            match chance.below(9) {
                0 => group.insert(&name, doc! { "$count": {} }),
                1 => group.insert(&name, doc! { "$sum": 1 }),
                2 | 3 => group.insert(&name, doc! { "$sum": value(self, chance) }),
                4 => group.insert(&name, doc! { "$avg": value(self, chance) }),
                5 => {
                    let accumulator = chance.one_of(&["$min", "$max"]);
                    group.insert(&name, doc! { accumulator: value(self, chance) })
                }
                6 => {
                    let accumulator = chance.one_of(&["$first", "$last"]);
                    group.insert(&name, doc! { accumulator: value(self, chance) })
                }
                7 => group.insert(&name, doc! { "$push": value(self, chance) }),
                8 => {
                    group.insert(format!("set{name}"), doc! { "$addToSet": value(self, chance) });
                    continue;
                }
                _ => group.insert(&name, doc! { "$sum": value(self, chance) }),
            };
            paths.push(name);
        }
        self.stages.push(doc! { "$group": group });
        self.reset(&paths.iter().map(String::as_str).collect::<Vec<_>>());
        self.is_ordered = false;
        self.has_unique_id = is_never_a_list;
    }

    fn project(&mut self, chance: &mut Chance) {
        let mut fields = Document::new();
        if chance.once_in(3) {
            for _ in 0..1 + chance.below(2) {
                fields.insert(of(chance, &self.paths), false);
            }
        } else {
            for _ in 0..1 + chance.below(2) {
                fields.insert(of(chance, &self.paths), chance.one_of(&[1, 2]));
            }
            if chance.once_in(2) {
                let name = chance.one_of(&["f", "d.f", "e.x", "a.c", "l.z"]);
                fields.insert(name, self.computed(chance));
            }
        }
        let names: Vec<String> = fields.keys().cloned().collect();
        let collides = |a: &String, b: &String| a == b || b.starts_with(&format!("{a}."));
        let is_bad = names
            .iter()
            .enumerate()
            .any(|(place, a)| names.iter().enumerate().any(|(other, b)| place != other && collides(a, b)));
        if !is_bad {
            self.has_unique_id &= !fields.get_bool("_id").is_ok_and(|shown| !shown);
            self.stages.push(doc! { "$project": fields });
        }
    }

    fn add_fields(&mut self, chance: &mut Chance) {
        let name = chance.one_of(&["n", "f", "d.x", "d.f", "e.x", "a.b.c", "l.z", "s"]);
        let value = if chance.once_in(4) {
            doc! { "i": self.computed(chance), "j": self.computed(chance) }.into()
        } else {
            self.computed(chance)
        };
        self.stages.push(doc! { "$addFields": { name: value } });
    }

    /// An expression that is no plain number, which a projection would take for a flag.
    fn computed(&self, chance: &mut Chance) -> Bson {
        match chance.below(8) {
            0 => "$$ROOT".into(),
            1 => "$$REMOVE".into(),
            2 => doc! { "$literal": generate::value(chance, 1) }.into(),
            3 => vec![self.expression(chance, 1), self.expression(chance, 1)].into(),
            4 => self.date_trunc(chance),
            _ => self.expression(chance, 2),
        }
    }

    fn date_trunc(&self, chance: &mut Chance) -> Bson {
        let date = if chance.once_in(30) { of(chance, &self.paths) } else { "t".to_owned() };
        let mut arguments = doc! { "date": format!("${date}"), "unit": chance.one_of(&UNITS) };
        if chance.once_in(2) {
            arguments.insert("binSize", chance.one_of(&[1, 2, 3, 5, 7, 12, 100]));
        }
        if !chance.once_in(4) {
            arguments.insert("timezone", chance.one_of(&ZONES));
        }
        if chance.once_in(2) {
            arguments.insert("startOfWeek", chance.one_of(&DAYS));
        }
        doc! { "$dateTrunc": arguments }.into()
    }

    /// A number, usually.
    fn operand(&self, chance: &mut Chance, levels: usize) -> Bson {
        match chance.below(8) {
            0 if levels > 0 => self.expression(chance, levels - 1),
            1 => doc! { "$literal": number(chance) }.into(),
            2 if chance.once_in(12) => format!("${}", of(chance, &self.paths)).into(),
            _ => format!("${}", of(chance, &self.numbers)).into(),
        }
    }

    fn expression(&self, chance: &mut Chance, levels: usize) -> Bson {
        let (a, b) = (self.operand(chance, levels), self.operand(chance, levels));
        let any = |chance: &mut Chance| Bson::from(format!("${}", of(chance, &self.paths)));
        match chance.below(13) {
            0 | 1 => doc! { "$add": [a, b] }.into(),
            2 => doc! { "$subtract": [a, b] }.into(),
            3 => doc! { "$multiply": [a, b] }.into(),
            4 if chance.once_in(3) => doc! { "$divide": [a, b] }.into(),
            5 if chance.once_in(3) => doc! { "$mod": [a, b] }.into(),
            6 => doc! { "$abs": [a] }.into(),
            7 => {
                let operator = chance.one_of(&["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]);
                doc! { operator: [any(chance), any(chance)] }.into()
            }
            8 => {
                let operator = chance.one_of(&["$and", "$or"]);
                doc! { operator: [any(chance), any(chance)] }.into()
            }
            9 => doc! { "$not": [any(chance)] }.into(),
            10 => doc! { "$cond": [{ "$gt": [any(chance), 1] }, a, b] }.into(),
            11 => doc! { "$ifNull": [any(chance), a, b] }.into(),
            _ => doc! { "$divide": [a, { "$literal": chance.one_of(&[2, 3, 7, -4]) }] }.into(),
        }
    }
}

fn of(chance: &mut Chance, paths: &[String]) -> String {
    paths[chance.below(paths.len())].clone()
}

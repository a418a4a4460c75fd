//! What regular expressions match: random patterns out of pieces that are read differently here and there, and out of
//! the grammars of both sides.

use crate::chance::Chance;
use crate::judge::{Judge, ids};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use tenantry_documents::filter::Filter;

const PATTERNS: usize = 8000;
/// Pieces that both sides know.
const KNOWN: [&str; 46] = [
    "a", "b", "k", "s", "K", "x", "_", "1", " ", "\n", "#", ".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S",
    r"\b", "^", "$", r"\A", r"\z", "(", "(?:", ")", "|", "*", "+", "?", "*?", "{2}", "{1,}", "{0,1}",
    "[a-k]", "[^k]", "[^a]", "[k-s]", r"[\w-]", r"[^\d]", r"[\W_]", "-", r"\.", r"\/", r"\x4b", r"\n",
];
/// Pieces that are read differently, or by one of the two alone, and letters beyond ASCII.
const ODD: [&str; 34] = [
    "é",
    "É",
    "[é]",
    r"\x{e9}",
    r"\B",
    r"\Z",
    "(?i)",
    "(?=",
    "(?<n>",
    "++",
    "{,2}",
    "{",
    "}",
    "[",
    "]",
    "[^",
    "[[:alpha:]]",
    "[a&&b]",
    "[a b]",
    "[#]",
    "&&",
    "~~",
    "--",
    r"\-",
    r"\ ",
    r"\#",
    r"\u0041",
    r"\v",
    r"\p{L}",
    r"\1",
    r"\<",
    r"\Q",
    r"\a",
    "\u{a0}",
];
const TEXTS: [&str; 44] = [
    "",
    "a",
    "b",
    "k",
    "K",
    "\u{212a}",
    "s",
    "S",
    "\u{17f}",
    "é",
    "É",
    "e\u{301}",
    "1",
    "\u{661}",
    "_",
    " ",
    "\u{a0}",
    "\u{b}",
    "\u{85}",
    "\n",
    "a\n",
    "\na",
    "a\nb",
    "a\n\n",
    "a\r\n",
    "ab",
    "aab",
    "a b",
    "a#b",
    "ka",
    "éa",
    "x-1",
    "{2}",
    "a\0b",
    "[",
    "]",
    "^",
    "-",
    ".",
    "/",
    ":a]",
    "a]",
    "aaa{1, 2}",
    "a:",
];

#[tokio::test]
async fn pattern_matches_what_mongodb_finds() {
    let mut chance = Chance::of_this_run();
    let judge = Judge::new().await;
    let documents: Vec<_> =
        (0..).zip(TEXTS).map(|(id, text): (i32, _)| doc! { "_id": id, "t": text }).collect();
    let collection = judge.fill("texts", &documents).await;
    let (mut accepted, mut unbounded) = (0, 0);
    for _ in 0..PATTERNS {
        let asked = random(&mut chance);
        let Ok(filter) = Filter::parse(&crate::judge::json(&asked), "") else { continue };
        accepted += 1;
        let theirs = ids(&collection, asked.clone(), doc! { "_id": 1 }).await;
        let theirs = theirs.unwrap_or_else(|error| panic!("{asked}: {error}"));
        let rendered = ids(&collection, filter.to_mongodb(""), doc! { "_id": 1 }).await.unwrap();
        for (id, text) in (0..).zip(TEXTS) {
            let document = RawDocumentBuf::try_from(&doc! { "t": text }).unwrap();
            let matches = filter.matches(&document);
            assert_eq!(matches, theirs.contains(&id), "{asked} on {text:?}");
            // What is not decided there may find more, never less.
            let is_found = rendered.contains(&id);
            assert!(
                is_found == matches || (is_found && !filter.is_decided_by_mongodb()),
                "{asked} on {text:?}"
            );
        }
        unbounded += usize::from(!filter.is_decided_by_mongodb());
    }
    assert!(accepted > PATTERNS / 10, "{accepted} of {PATTERNS}");
    assert!(unbounded > accepted / 50 && unbounded < accepted, "{unbounded} of {accepted}");
    judge.end().await;
}

/// A bounded search stays bounded in a long text, so the server finds what is at its end.
#[tokio::test]
async fn pattern_with_bounded_search_finds_end_of_long_text() {
    const LENGTH: usize = 300_000;
    let judge = Judge::new().await;
    let texts = [format!("{}b7-k", "a".repeat(LENGTH)), format!("{}k", "ab".repeat(LENGTH / 2))];
    let documents: Vec<_> =
        (0..).zip(&texts).map(|(id, text): (i32, _)| doc! { "_id": id, "t": text }).collect();
    let collection = judge.fill("long", &documents).await;
    for pattern in [
        "b7",
        "^a",
        "k$",
        "b?k",
        "a{0,3}b\\d",
        "(?:a|b){2}7",
        "[ab]{1,9}7",
        "(aab|ab)k",
        "b.*",
        r"\bk",
        "^(a|b)*?",
        "a{40}b7-",
    ] {
        let filter = Filter::parse(&crate::judge::json(&doc! { "t": { "$regex": pattern } }), "").unwrap();
        if !filter.is_decided_by_mongodb() {
            continue;
        }
        let not =
            Filter::parse(&crate::judge::json(&doc! { "t": { "$not": { "$regex": pattern } } }), "").unwrap();
        for asked in [filter, not] {
            let theirs = ids(&collection, asked.to_mongodb(""), doc! { "_id": 1 }).await.unwrap();
            let ours: Vec<i32> = (0..)
                .zip(crate::judge::raw(&documents))
                .filter(|(_, document)| asked.matches(document))
                .map(|(id, _)| id)
                .collect();
            assert_eq!(theirs, ours, "{pattern}");
        }
    }
    judge.end().await;
}

fn random(chance: &mut Chance) -> Document {
    let pattern = if chance.once_in(2) {
        let pieces = 1 + chance.below(6);
        let piece = |_| if chance.once_in(8) { chance.one_of(&ODD) } else { chance.one_of(&KNOWN) };
        (0..pieces).map(piece).collect()
    } else {
        branches(chance, 2)
    };
    let options: String = "imsx".chars().filter(|_| chance.once_in(4)).collect();
    doc! { "t": { "$regex": Bson::from(pattern), "$options": options } }
}

/// A pattern by the grammar, with groups nested at most so deep.
fn branches(chance: &mut Chance, levels: usize) -> String {
    let branch = |chance: &mut Chance| {
        let parts = 1 + chance.below(3);
        (0..parts).map(|_| part(chance, levels)).collect::<String>()
    };
    let count = 1 + chance.below(5) / 3;
    (0..count).map(|_| branch(chance)).collect::<Vec<_>>().join("|")
}

fn part(chance: &mut Chance, levels: usize) -> String {
    let atom = match chance.below(8) {
        0..=1 if levels > 0 => {
            format!("{}{})", chance.one_of(&["(", "(?:"]), branches(chance, levels - 1))
        }
        2..=3 => brackets(chance),
        4 => chance.one_of(&["^", "$", r"\b", r"\A", r"\z", "."]).to_owned(),
        _ => {
            chance.one_of(&["a", "b", "k", "1", "-", r"\.", r"\d", r"\w", r"\s", "]", "}", "x{1"]).to_owned()
        }
    };
    let repetition = match chance.below(12) {
        0 => "?",
        1 => "*",
        2 => "+",
        3 => "{2}",
        4 => "{0,2}",
        5 => "{1,}",
        6 => chance.one_of(&["{1, 2}", "{ 1}", "{,2}", "{2 }", "*+", "{0}", "{3,1}", "{0,0}"]),
        _ => "",
    };
    let lazy = if !repetition.is_empty() && chance.once_in(6) { "?" } else { "" };
    format!("{atom}{repetition}{lazy}")
}

/// Brackets, or what looks like some.
fn brackets(chance: &mut Chance) -> String {
    const ITEMS: [&str; 28] = [
        "a",
        "k",
        "-",
        "--",
        "]",
        "[",
        "^",
        ".",
        ":",
        "=",
        "/",
        r"\]",
        r"\[",
        r"\-",
        r"\^",
        r"\d",
        r"\w",
        r"\S",
        "a-k",
        "1-9",
        ",-/",
        "[:digit:]",
        "[:^alpha:]",
        "[.a.]",
        "+-[:digit:]",
        r"\d-k",
        "a-\\d",
        "&",
    ];
    let begin = chance.one_of(&["[", "[", "[^", "[:", "[.", "[="]);
    let items: String = (0..1 + chance.below(3)).map(|_| chance.one_of(&ITEMS)).collect();
    let end = chance.one_of(&["]", "]", "]", ":]", ".]", "=]"]);
    format!("{begin}{items}{end}")
}

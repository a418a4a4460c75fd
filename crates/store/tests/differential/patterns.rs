//! What regular expressions match: random patterns out of pieces that are read differently here and there.

use crate::chance::Chance;
use crate::judge::{Judge, ids};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use tenantry_domain::filter::Filter;

const PATTERNS: usize = 6000;
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
const TEXTS: [&str; 34] = [
    "", "a", "b", "k", "K", "\u{212a}", "s", "S", "\u{17f}", "é", "É", "e\u{301}", "1", "\u{661}", "_", " ",
    "\u{a0}", "\u{b}", "\u{85}", "\n", "a\n", "\na", "a\nb", "a\n\n", "a\r\n", "ab", "aab", "a b", "a#b",
    "ka", "éa", "x-1", "{2}", "a\0b",
];

#[tokio::test]
async fn a_pattern_matches_the_texts_that_mongodb_finds() {
    let mut chance = Chance::of_this_run();
    let judge = Judge::new().await;
    let documents: Vec<_> =
        (0..).zip(TEXTS).map(|(id, text): (i32, _)| doc! { "_id": id, "t": text }).collect();
    let collection = judge.fill("texts", &documents).await;
    let mut accepted = 0;
    for _ in 0..PATTERNS {
        let asked = random(&mut chance);
        let Ok(filter) = Filter::parse(&crate::judge::json(&asked), "") else { continue };
        accepted += 1;
        let theirs = ids(&collection, asked.clone(), doc! { "_id": 1 }).await;
        let theirs = theirs.unwrap_or_else(|error| panic!("{asked}: {error}"));
        for (id, text) in (0..).zip(TEXTS) {
            let document = RawDocumentBuf::try_from(&doc! { "t": text }).unwrap();
            assert_eq!(filter.matches(&document), theirs.contains(&id), "{asked} on {text:?}");
        }
    }
    assert!(accepted > PATTERNS / 10, "{accepted} of {PATTERNS}");
    judge.end().await;
}

fn random(chance: &mut Chance) -> Document {
    let pieces = 1 + chance.below(6);
    let piece = |_| if chance.once_in(8) { chance.one_of(&ODD) } else { chance.one_of(&KNOWN) };
    let pattern: String = (0..pieces).map(piece).collect();
    let options: String = "imsx".chars().filter(|_| chance.once_in(4)).collect();
    doc! { "t": { "$regex": Bson::from(pattern), "$options": options } }
}

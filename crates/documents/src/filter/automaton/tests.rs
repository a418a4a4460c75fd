//! Tests of automata: that they match like the `regex` crate, and how much fuel they take.

use super::*;
use proptest::prelude::*;
use regex_syntax::ParserBuilder;

fn automaton(pattern: &str) -> Automaton {
    Automaton::parse(pattern, &ParserBuilder::new()).unwrap()
}

/// Whether the pattern matches, and the fuel that took.
fn search(automaton: &Automaton, text: &str) -> (bool, u64) {
    let fuel = Fuel::unlimited();
    let found = automaton.is_match(text, &fuel).unwrap();
    (found, fuel.spent())
}

#[test]
fn automaton_counts_states_without_expanding_repetitions() {
    for (pattern, most) in
        [("abc", 20), ("a{1000}", 1100), ("(?:(?:a{1000}){1000}){1000}", usize::MAX), (r"\A.{0,100}\z", 1200)]
    {
        let states = automaton(pattern).states();
        assert!(states <= most, "{pattern}: {states}");
    }
    assert!(automaton("(?:(?:a{1000}){1000}){1000}").states() > 1_000_000_000);
}

#[test]
fn automaton_search_costs_one_step_per_byte_once_compiled() {
    let automaton = automaton(r"needle\z");
    let text = "hay".repeat(100_000);
    let (found, first) = search(&automaton, &text);
    let (_, second) = search(&automaton, &text);
    assert!(!found);
    assert_eq!(second, text.len() as u64, "nothing is compiled and nothing continued");
    assert!((second..second + 50_000).contains(&first), "{first}");
}

#[test]
fn automaton_search_stops_within_text_when_fuel_is_out() {
    // Which of the last bytes were an `a` is another state each time.
    let automaton = automaton("[ab]*a[ab]{40}c");
    let mut seed = 1_u32;
    let text: String = (0..100_000)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if seed >> 31 == 0 { 'a' } else { 'b' }
        })
        .collect();
    let fuel = Fuel::unlimited().up_to(10_000_000);
    assert_eq!(automaton.is_match(&text, &fuel), Err(Interruption::BudgetSpent));
    let step = CONTINUED + CONTINUED_STATE * automaton.states() as u64;
    assert!(fuel.spent() <= 10_000_000 + step + CHUNK as u64, "{}", fuel.spent());
    // The same one is good for another text.
    assert!(automaton.is_match(&format!("a{}c", "b".repeat(40)), &Fuel::unlimited()).unwrap());
}

/// Random patterns of the kinds that filters are translated to.
fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[abc]",
        Just(".".to_owned()),
        Just("é".to_owned()),
        Just("[^a]".to_owned()),
        Just("[a-c]".to_owned()),
        Just("(?-i:[[:word:]])".to_owned()),
        Just(r"(?-u:\b)".to_owned()),
        Just(r"\A".to_owned()),
        Just(r"\z".to_owned()),
        Just(r"\n?\z".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop_oneof![Just("*"), Just("+"), Just("?"), Just("{2}"), Just("{0,3}"), Just("{2,}")]
            )
                .prop_map(|(inner, repetition)| format!("(?:{inner}){repetition}")),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner, 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
        ]
    })
}

proptest! {
    #[test]
    fn automaton_finds_what_regex_finds(
        pattern in pattern(),
        texts in prop::collection::vec("[abcéÀ_ \n]{0,12}", 1..6),
        flags in any::<[bool; 3]>(),
    ) {
        let [i, m, s] = flags;
        let mut syntax = ParserBuilder::new();
        syntax.case_insensitive(i).multi_line(m).dot_matches_new_line(s);
        let ours = Automaton::parse(&pattern, &syntax).unwrap();
        let theirs = regex::RegexBuilder::new(&pattern)
            .case_insensitive(i)
            .multi_line(m)
            .dot_matches_new_line(s)
            .build()
            .unwrap();
        for text in &texts {
            prop_assert_eq!(search(&ours, text).0, theirs.is_match(text), "{} {:?}", pattern, text);
        }
    }

    #[test]
    fn automaton_has_at_most_the_counted_states(pattern in pattern(), i: bool) {
        let mut syntax = ParserBuilder::new();
        syntax.case_insensitive(i);
        let automaton = Automaton::parse(&pattern, &syntax).unwrap();
        let compiled = Compiled::new(&automaton.hir, automaton.states).unwrap();
        let states = compiled.dfa.get_nfa().states().len();
        prop_assert!(states <= automaton.states(), "{}: {} of {}", pattern, states, automaton.states());
    }
}

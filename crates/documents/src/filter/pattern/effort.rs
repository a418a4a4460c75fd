//! The work that PCRE may have for a pattern: its compiled size, and how much a search may backtrack.
//!
//! Every MongoDB since 6.0 runs PCRE, first 8.42, then PCRE2, without compiling to machine code, and with the
//! limits below. If a search reaches one, PCRE ends it with an error that the server treats as "does not
//! match", so a filter with `$not` would find documents that it must not. The sums here are upper bounds over
//! all texts, of any length.
//!
//! # Pitfalls
//! - A repetition without bound backtracks as often as the text is long, so no number bounds it, unless the
//!   pattern ends with it: then the first try succeeds.
//! - A group in such a repetition is entered again for each round, so it reaches the limit of depth even there.

use regex_syntax::ast::{Ast, ClassBracketed, Repetition, RepetitionKind, RepetitionRange};

/// Code units of a compiled pattern. PCRE refuses more than 65,535; each sum here is at least what it needs.
const COMPILED_MAX_BYTES: u64 = 60_000;
/// Groups within one another. PCRE refuses more than 250.
const NESTED_MAX_GROUPS: u64 = 200;
/// Places to go back to that are kept at once. PCRE gives up at 4,000.
const MAX_DEPTH: u64 = 1_000;
/// Places to go back to from the only start that a pattern with `^` has. PCRE gives up at 200,000.
const ANCHORED_MAX_POSITIONS: u64 = 20_000;
/// The same limit for each start, if there are as many starts as the text has characters. No deadline
/// interrupts the server within one text, so this also bounds how long it may be busy with it.
const MAX_POSITIONS: u64 = 500;

/// More than any limit.
const UNBOUNDED: u64 = u64::MAX;

/// An upper bound of the work for a part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// In how many ways it may match from one place.
    ways: u64,
    /// Places to go back to, over all of these ways.
    positions: u64,
    /// Places to go back to that are kept at once.
    depth: u64,
    /// Bytes when compiled.
    bytes: u64,
    /// Groups within one another.
    nested: u64,
}

impl Effort {
    /// The effort of an empty pattern.
    pub const NONE: Self = Self { ways: 1, positions: 0, depth: 0, bytes: 0, nested: 0 };

    /// The effort of a whole pattern.
    pub fn of_pattern(source: &str, ast: &Ast) -> Self {
        Self::of(source, ast, true)
    }

    /// The effort of a part of a pattern that others follow.
    pub fn of_part(source: &str, ast: &Ast) -> Self {
        Self::of(source, ast, false)
    }

    /// Whether PCRE compiles it.
    pub const fn is_compiled(&self) -> bool {
        self.bytes <= COMPILED_MAX_BYTES && self.nested <= NESTED_MAX_GROUPS
    }

    /// Whether PCRE can search any text for it without giving up. `is_anchored`: it begins with `^`.
    pub const fn is_bounded(&self, is_anchored: bool) -> bool {
        let most = if is_anchored { ANCHORED_MAX_POSITIONS } else { MAX_POSITIONS };
        self.positions <= most && self.ways <= most && self.depth <= MAX_DEPTH
    }

    /// This, followed by `next`.
    pub const fn then(self, next: Self) -> Self {
        Self {
            ways: self.ways.saturating_mul(next.ways),
            positions: self.positions.saturating_add(self.ways.saturating_mul(next.positions)),
            depth: self.depth.saturating_add(next.depth),
            bytes: self.bytes.saturating_add(next.bytes),
            nested: larger(self.nested, next.nested),
        }
    }

    /// This, or `other`.
    const fn or(self, other: Self) -> Self {
        Self {
            ways: self.ways.saturating_add(other.ways),
            positions: self.positions.saturating_add(other.positions).saturating_add(1),
            depth: larger(self.depth, other.depth).saturating_add(1),
            bytes: self.bytes.saturating_add(other.bytes).saturating_add(3),
            nested: larger(self.nested, other.nested),
        }
    }

    fn of(source: &str, ast: &Ast, is_last: bool) -> Self {
        match ast {
            Ast::Concat(concat) => {
                let last = concat.asts.len().saturating_sub(1);
                let parts = concat.asts.iter().enumerate();
                let efforts = parts.map(|(index, part)| Self::of(source, part, is_last && index == last));
                efforts.fold(Self::NONE, Self::then)
            }
            Ast::Alternation(alternation) => {
                let branches = alternation.asts.iter().map(|branch| Self::of(source, branch, is_last));
                branches.reduce(Self::or).unwrap_or(Self::NONE)
            }
            Ast::Group(group) => Self::of(source, &group.ast, is_last).grouped(),
            Ast::Repetition(repetition) => Self::of_repetition(source, repetition, is_last),
            Ast::ClassBracketed(class) => Self { bytes: class_bytes(source, class), ..Self::NONE },
            _ => Self { bytes: 6, ..Self::NONE },
        }
    }

    const fn grouped(self) -> Self {
        Self {
            positions: self.positions.saturating_add(2),
            depth: self.depth.saturating_add(2),
            bytes: self.bytes.saturating_add(12),
            nested: self.nested.saturating_add(1),
            ..self
        }
    }

    fn of_repetition(source: &str, repetition: &Repetition, is_last: bool) -> Self {
        let one = Self::of(source, &repetition.ast, false);
        let (least, most) = rounds(&repetition.op.kind);
        let is_single = !matches!(&*repetition.ast, Ast::Group(_));
        match most {
            Some(most) if is_single => Self {
                ways: most.saturating_sub(least).saturating_add(1),
                positions: most.saturating_sub(least).saturating_add(1),
                depth: 1,
                bytes: 2 * (one.bytes + 5),
                nested: 0,
            },
            Some(most) => one.repeated(least, most),
            // The first try succeeds, because nothing follows that could fail.
            None if is_single && is_last => {
                Self { positions: 1, depth: 1, bytes: 2 * (one.bytes + 5), ..one }
            }
            None => Self {
                ways: UNBOUNDED,
                positions: UNBOUNDED,
                depth: UNBOUNDED,
                bytes: one.bytes.saturating_add(12).saturating_mul(least.max(1) + 1),
                nested: one.nested,
            },
        }
    }

    /// A group, from `least` to `most` times.
    fn repeated(self, least: u64, most: u64) -> Self {
        let (mut ways, mut positions, mut so_far) = (0_u64, 0_u64, 1_u64);
        for round in 0..=most {
            if round >= least {
                ways = ways.saturating_add(so_far);
            }
            positions = positions.saturating_add(so_far.saturating_mul(self.positions.saturating_add(2)));
            so_far = so_far.saturating_mul(self.ways);
            if positions > ANCHORED_MAX_POSITIONS {
                (ways, positions) = (UNBOUNDED, UNBOUNDED);
                break;
            }
        }
        Self {
            ways,
            positions,
            depth: self.depth.saturating_add(2).saturating_mul(most),
            bytes: self.bytes.saturating_add(12).saturating_mul(most.max(1)),
            nested: self.nested,
        }
    }
}

/// The least and the most rounds; `None` if there is no bound.
fn rounds(kind: &RepetitionKind) -> (u64, Option<u64>) {
    match kind {
        RepetitionKind::ZeroOrOne => (0, Some(1)),
        RepetitionKind::ZeroOrMore => (0, None),
        RepetitionKind::OneOrMore => (1, None),
        RepetitionKind::Range(RepetitionRange::Exactly(count)) => ((*count).into(), Some((*count).into())),
        RepetitionKind::Range(RepetitionRange::AtLeast(least)) => ((*least).into(), None),
        RepetitionKind::Range(RepetitionRange::Bounded(least, most)) => {
            ((*least).into(), Some((*most).into()))
        }
    }
}

/// A bit for each of 256 characters; of others a list.
fn class_bytes(source: &str, class: &ClassBracketed) -> u64 {
    let text = &source[class.span.start.offset..class.span.end.offset];
    let is_ascii = text.is_ascii() && !text.contains("\\x");
    if is_ascii { 40 } else { 48 + 12 * text.len() as u64 }
}

const fn larger(a: u64, b: u64) -> u64 {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::ast::parse::Parser;

    fn effort(pattern: &str) -> Effort {
        Effort::of_pattern(pattern, &Parser::new().parse(pattern).unwrap())
    }

    #[test]
    fn pattern_with_bounded_search_has_bounded_effort() {
        for pattern in [
            "",
            "abc",
            "^abc",
            "[a-c]x|y",
            "colou?r",
            r"\d{4}-\d{2}-\d{2}",
            r"(?:\d{1,3}\.){3}\d{1,3}",
            "(jpe?g|png|gif)$",
            "a.*",
            "a(b.*|c)",
        ] {
            let is_anchored = pattern.starts_with('^');
            assert!(effort(pattern).is_bounded(is_anchored), "{pattern} {:?}", effort(pattern));
        }
        assert!(effort("^(?:a|b){0,6}c").is_bounded(true));
    }

    #[test]
    fn pattern_with_growing_search_has_unbounded_effort() {
        for pattern in
            ["a.*b", ".*a", "^a*$", "(?:ab)*", "(?:ab){2,}", "a(b+)c", "(?:a|b){0,40}c", "(?:a?){30}"]
        {
            assert!(!effort(pattern).is_bounded(true), "{pattern} {:?}", effort(pattern));
        }
        // From one start it ends soon enough; from each of a million it does not.
        let pattern = "^[a-z]{1,40}[0-9a-z]{1,40}x";
        assert!(effort(pattern).is_bounded(true) && !effort(pattern).is_bounded(false));
    }

    #[test]
    fn pattern_too_large_for_pcre_is_not_compiled() {
        assert!(effort("(?:abc){100}").is_compiled());
        assert!(effort("[a-c]{1000}").is_compiled());
        assert!(!effort("(?:[a-c]x){2000}").is_compiled());
        assert!(!effort("(?:(?:abcd){100}){100}").is_compiled());
        let nested = |levels| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
        assert!(effort(&nested(200)).is_compiled() && !effort(&nested(201)).is_compiled());
    }
}

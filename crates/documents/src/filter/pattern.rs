//! Regular expressions that mean the same here and in MongoDB.
//!
//! MongoDB runs PCRE on UTF-8; we run the `regex` crate, in time linear in the text. A pattern is parsed;
//! every part that both engines read alike is written out again, and all else is refused. The differences:
//!
//! - `\d`, `\w`, `\s`, `\b` know ASCII alone in PCRE: they are written as ASCII classes. `\B` cannot be.
//! - `$` also matches before a line feed that ends the text: allowed at the end of a pattern, where that can be
//!   written as `\n?\z`. With the option `m` both agree on `$`, but not on `^` after a line feed that ends the
//!   text: allowed at the beginning of a pattern that cannot match nothing.
//! - with the option `i` a pattern must be ASCII: the two fold other letters by different tables.
//! - with the option `x` the two ignore different white space: none in brackets, none before a repetition, none
//!   inside a token, none but ASCII; and MongoDB loses its place in a comment.
//! - `[a&&b]`, `[a[b]]`, `[[:alpha:]]`, `\p{..}`, `\v`, `\u0041`, `\<`, `\b{start}`, `{,3}`, names of groups and
//!   inline options are read differently, or by one of the two alone. A repetition of a repetition, `a*+`, is
//!   "possessive" in PCRE. Look-around, back references and the like are PCRE's alone.
//! - a POSIX class outside of brackets, `[:alpha:]`, a range that ends in one, and what is too large when compiled
//!   ([`Effort`]) are errors of PCRE. In `[--/]` and `[]-a]` it sees a range, and in `{1, 2}`, depending on its version,
//!   a repetition or text.
//! - PCRE gives up after a number of steps, and then it does not match. What may make it do so is not sent to
//!   MongoDB ([`Pattern::is_bounded`]); a repetition without bound inside another is refused.

mod effort;

use self::effort::Effort;
use super::automaton::Automaton;
use crate::fuel::{Fuel, Interruption};
use crate::limits::REGEX_MAX_BYTES;
use bson::RawBsonRef;
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    AssertionKind, Ast, ClassBracketed, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem, Group, GroupKind,
    HexLiteralKind, Literal, LiteralKind, Repetition, RepetitionKind, RepetitionRange, Span,
    SpecialLiteralKind,
};

const TOO_LARGE: &str = "The pattern is too large when it is compiled; use fewer or smaller repetitions.";

/// A parsed operand of `$regex`.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    options: String,
    automaton: Automaton,
    start: Option<String>,
    is_bounded: bool,
    required: Option<String>,
}

impl Pattern {
    /// Takes `text` with `options` as a pattern.
    ///
    /// # Errors
    /// The sentence that says what is not allowed.
    pub fn parse(text: &str, options: &str) -> Result<Self, String> {
        Self::parse_with(text, options, PatternOptions::parse(options)?)
    }

    /// Takes `text` as a pattern of JSON Schema, without options: `$` is the end of the text alone.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_exact(text: &str) -> Result<Self, String> {
        Self::parse_with(text, "", PatternOptions { ends_exactly: true, ..PatternOptions::default() })
    }

    fn parse_with(text: &str, options: &str, options_set: PatternOptions) -> Result<Self, String> {
        if text.len() > REGEX_MAX_BYTES {
            return Err(format!("The pattern may have at most {REGEX_MAX_BYTES} bytes."));
        }
        if text.contains('\0') {
            return Err("The pattern must not contain NUL.".into());
        }
        if options_set.x && text.chars().any(|c| !c.is_ascii() && is_ignored(c)) {
            return refuse("white space outside ASCII together with the option `x`");
        }
        let mut parser = ParserBuilder::new().ignore_whitespace(options_set.x).build();
        let parsed = parser.parse_with_comments(text);
        let parsed = parsed.map_err(|error| format!("The pattern is not allowed: {}.", error.kind()))?;
        if !parsed.comments.is_empty() {
            return refuse("comments");
        }
        let ast = parsed.ast;
        let mut translator =
            Translator { source: text, options: options_set, out: String::new(), line_start: false };
        translator
            .node(&ast, PatternPosition { head: true, tail: true, repeated: false, unbounded: false })?;
        let effort = Effort::of_pattern(text, &ast);
        if !effort.is_compiled() {
            return Err(TOO_LARGE.to_owned());
        }
        let automaton = automaton(&translator.out, options_set)?;
        if translator.line_start && can_match_nothing(&translator.out) {
            return Err("With the option `m`, `^` must be followed by something.".into());
        }
        let start = literal_start(&ast, options_set);
        let is_bounded = effort.is_bounded(is_anchored(&ast, options_set));
        let required = if is_bounded { None } else { required_part(text, &ast, options_set) };
        Ok(Self {
            text: text.to_owned(),
            options: options.to_owned(),
            automaton,
            start,
            is_bounded,
            required,
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The options, as they were written.
    pub fn options(&self) -> &str {
        &self.options
    }

    /// As a value that a document may hold.
    pub fn as_value(&self) -> Option<bson::Regex> {
        let (pattern, options) = (self.text.as_str(), self.options.as_str());
        Some(bson::Regex { pattern: pattern.try_into().ok()?, options: options.try_into().ok()? })
    }

    /// The beginning of every text that matches, if it is known.
    pub fn start(&self) -> Option<&str> {
        self.start.as_deref()
    }

    /// How many states it has when compiled, at most: its price.
    pub const fn states(&self) -> usize {
        self.automaton.states()
    }

    /// Whether MongoDB decides it for every text. If not, its search may give up and report that a matching
    /// text does not match.
    pub const fn is_bounded(&self) -> bool {
        self.is_bounded
    }

    /// For a pattern that is not bounded: a part that every matching text contains, as a pattern with the
    /// same options that MongoDB decides; `None` if there is no such part.
    pub fn required(&self) -> Option<&str> {
        self.required.as_deref()
    }

    /// Whether it matches anywhere in `text`.
    ///
    /// # Errors
    /// That there is not enough fuel to find out.
    pub fn is_match(&self, text: &str, fuel: &Fuel<'_>) -> Result<bool, Interruption> {
        self.automaton.is_match(text, fuel)
    }

    /// Whether `value` is a string that matches, or this very pattern.
    ///
    /// # Errors
    /// That there is not enough fuel to find out.
    pub fn matches(&self, value: RawBsonRef<'_>, fuel: &Fuel<'_>) -> Result<bool, Interruption> {
        match value {
            RawBsonRef::String(text) | RawBsonRef::Symbol(text) => self.automaton.is_match(text, fuel),
            RawBsonRef::RegularExpression(regex) => {
                Ok(regex.pattern.as_str() == self.text && regex.options.as_str() == self.options)
            }
            _ => Ok(false),
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct PatternOptions {
    i: bool,
    m: bool,
    s: bool,
    x: bool,
    /// Not an option of MongoDB's: `$` does not match before a line feed that ends the text.
    ends_exactly: bool,
}

impl PatternOptions {
    fn parse(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for letter in text.chars() {
            let option = match letter {
                'i' => &mut options.i,
                'm' => &mut options.m,
                's' => &mut options.s,
                'x' => &mut options.x,
                _ => return Err("Its `$options` may be `i`, `m`, `s` and `x`.".into()),
            };
            if std::mem::replace(option, true) {
                return Err(format!("Its `$options` have `{letter}` twice: give it once."));
            }
        }
        Ok(options)
    }
}

/// Whether one of the two might ignore `c` with the option `x`.
fn is_ignored(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200e}' | '\u{200f}')
}

/// Compiled by its first search, if there is one.
fn automaton(translated: &str, options: PatternOptions) -> Result<Automaton, String> {
    let mut syntax = regex_syntax::ParserBuilder::new();
    syntax.case_insensitive(options.i).multi_line(options.m).dot_matches_new_line(options.s);
    Automaton::parse(translated, &syntax)
}

fn can_match_nothing(translated: &str) -> bool {
    regex_syntax::parse(translated).is_ok_and(|hir| hir.properties().minimum_len() == Some(0))
}

/// The literals that follow a `^` at the beginning.
fn literal_start(ast: &Ast, options: PatternOptions) -> Option<String> {
    let Ast::Concat(concat) = ast else { return None };
    let (first, rest) = concat.asts.split_first()?;
    let is_anchored =
        matches!(first, Ast::Assertion(it) if it.kind == AssertionKind::StartLine) && !options.m;
    let literal = |ast: &Ast| if let Ast::Literal(literal) = ast { Some(literal.c) } else { None };
    (is_anchored && !options.i).then(|| rest.iter().map_while(literal).collect())
}

/// Whether it can match only at the beginning of a text.
fn is_anchored(ast: &Ast, options: PatternOptions) -> bool {
    match ast {
        Ast::Concat(concat) => concat.asts.first().is_some_and(|first| is_anchored(first, options)),
        Ast::Assertion(assertion) => match assertion.kind {
            AssertionKind::StartLine => !options.m,
            AssertionKind::StartText => true,
            _ => false,
        },
        _ => false,
    }
}

/// The most selective bounded part: the beginning, if it is known, else the one with most letters.
fn required_part(source: &str, ast: &Ast, options: PatternOptions) -> Option<String> {
    let Ast::Concat(concat) = ast else { return None };
    let mut runs: Vec<&[Ast]> = Vec::new();
    let (mut first, mut effort) = (0, Effort::NONE);
    for (index, part) in concat.asts.iter().enumerate() {
        let own = Effort::of_part(source, part);
        let is_anchored = first == 0 && is_anchored(ast, options);
        if effort.then(own).is_bounded(is_anchored) {
            effort = effort.then(own);
            continue;
        }
        runs.push(&concat.asts[first..index]);
        // What is not bounded even alone is in no run.
        (first, effort) = if own.is_bounded(false) { (index, own) } else { (index + 1, Effort::NONE) };
    }
    runs.push(&concat.asts[first..]);
    let letters = |run: &[Ast]| run.iter().filter(|part| matches!(part, Ast::Literal(_))).count();
    let known_start = runs.first().filter(|run| is_anchored(ast, options) && letters(run) > 0);
    let run = known_start.or_else(|| runs.iter().max_by_key(|run| letters(run)))?;
    let (first, last) = (run.first()?, run.last()?);
    (letters(run) > 0).then(|| source[first.span().start.offset..last.span().end.offset].to_owned())
}

/// The position of a part in its pattern.
#[derive(Clone, Copy)]
struct PatternPosition {
    /// Nothing precedes it.
    head: bool,
    /// Nothing follows it.
    tail: bool,
    /// It is repeated.
    repeated: bool,
    /// It is repeated without bound.
    unbounded: bool,
}

/// Writes the pattern that the `regex` crate gets.
struct Translator<'a> {
    source: &'a str,
    options: PatternOptions,
    out: String,
    /// Whether a `^` may match behind a line feed.
    line_start: bool,
}

impl Translator<'_> {
    fn node(&mut self, ast: &Ast, place: PatternPosition) -> Result<(), String> {
        match ast {
            Ast::Empty(_) => {}
            Ast::Literal(literal) => self.literal(literal)?,
            Ast::Dot(_) => self.out.push('.'),
            Ast::Assertion(assertion) => self.assertion(&assertion.kind, place)?,
            Ast::ClassPerl(class) => self.perl(class),
            Ast::ClassBracketed(class) => self.bracketed(class)?,
            Ast::Repetition(repetition) => self.repetition(repetition, place)?,
            Ast::Group(group) => self.group(group, place)?,
            Ast::Alternation(alternation) => {
                for (index, each) in alternation.asts.iter().enumerate() {
                    self.out.push_str(if index > 0 { "|" } else { "" });
                    self.node(each, place)?;
                }
            }
            Ast::Concat(concat) => {
                let last = concat.asts.len().saturating_sub(1);
                for (index, each) in concat.asts.iter().enumerate() {
                    let (head, tail) = (place.head && index == 0, place.tail && index == last);
                    self.node(each, PatternPosition { head, tail, ..place })?;
                }
            }
            Ast::Flags(_) => return refuse("options within it; use `$options`"),
            Ast::ClassUnicode(_) => return refuse("`\\p`"),
        }
        Ok(())
    }

    fn literal(&mut self, literal: &Literal) -> Result<(), String> {
        match literal.kind {
            LiteralKind::Verbatim | LiteralKind::Meta | LiteralKind::Superfluous => {}
            LiteralKind::HexFixed(HexLiteralKind::X) | LiteralKind::HexBrace(HexLiteralKind::X) => {
                self.refuse_white_space(&literal.span)?;
            }
            LiteralKind::Special(SpecialLiteralKind::VerticalTab) => return refuse("`\\v`"),
            LiteralKind::Special(_) => {}
            _ => return refuse("`\\u`, `\\U` or octal digits; use `\\x{..}`"),
        }
        if self.options.i && !literal.c.is_ascii() {
            return refuse("a character outside ASCII together with the option `i`");
        }
        self.out.push_str(&regex_syntax::escape(literal.c.encode_utf8(&mut [0; 4])));
        Ok(())
    }

    fn assertion(&mut self, kind: &AssertionKind, place: PatternPosition) -> Result<(), String> {
        match kind {
            AssertionKind::StartLine if self.options.m => {
                if !place.head || place.repeated {
                    return refuse("a `^` that is not at its beginning together with the option `m`");
                }
                self.line_start = true;
                self.out.push('^');
            }
            AssertionKind::StartLine | AssertionKind::StartText => self.out.push_str(r"\A"),
            AssertionKind::EndLine if self.options.m => self.out.push('$'),
            AssertionKind::EndLine if self.options.ends_exactly => self.out.push_str(r"\z"),
            AssertionKind::EndLine if place.tail && !place.repeated => self.out.push_str(r"\n?\z"),
            AssertionKind::EndLine => return refuse("a `$` that is not at its end"),
            AssertionKind::EndText => self.out.push_str(r"\z"),
            AssertionKind::WordBoundary => self.out.push_str(r"(?-u:\b)"),
            _ => return refuse("`\\B` or another word boundary than `\\b`"),
        }
        Ok(())
    }

    /// As letters do not fold here, they must not do so because of the option `i`.
    fn perl(&mut self, class: &ClassPerl) {
        self.out.push_str("(?-i:[");
        self.out.push_str(ascii(class));
        self.out.push_str("])");
    }

    fn bracketed(&mut self, class: &ClassBracketed) -> Result<(), String> {
        self.refuse_white_space(&class.span)?;
        let text = self.text(&class.span);
        let is_posix = |mark: &str| text[1..].starts_with(mark) && text[2..].ends_with(&format!("{mark}]"));
        if [":", ".", "="].into_iter().any(is_posix) {
            return refuse("a POSIX class such as `[:alpha:]`");
        }
        let first = text[1..].trim_start_matches('^');
        if first.starts_with("--") || first.starts_with("]-") {
            return refuse("a `-` behind a `-` or a `]` that begins brackets; put `\\` before each");
        }
        if self.options.x && self.text(&class.span).contains('#') {
            return refuse("a `#` in brackets together with the option `x`");
        }
        self.out.push_str(if class.negated { "[^" } else { "[" });
        match &class.kind {
            ClassSet::Item(ClassSetItem::Union(union)) => {
                union.items.iter().try_for_each(|item| self.item(item))?;
            }
            ClassSet::Item(item) => self.item(item)?,
            ClassSet::BinaryOp(_) => return refuse("`&&`, `--` or `~~` in brackets"),
        }
        self.out.push(']');
        Ok(())
    }

    fn item(&mut self, item: &ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Literal(literal) => self.literal(literal),
            ClassSetItem::Range(range) => {
                let is_bracket = |end: &Literal| end.c == '[' && end.kind == LiteralKind::Verbatim;
                if is_bracket(&range.start) || is_bracket(&range.end) {
                    return refuse("a range that begins or ends in `[`; put `\\` before it");
                }
                self.literal(&range.start)?;
                self.out.push('-');
                self.literal(&range.end)
            }
            ClassSetItem::Perl(class) if self.options.i && class.kind == ClassPerlKind::Word => {
                refuse("`\\w` in brackets together with the option `i`")
            }
            ClassSetItem::Perl(class) => {
                self.out.push_str(ascii(class));
                Ok(())
            }
            _ => refuse("brackets in brackets, or `\\p`"),
        }
    }

    fn group(&mut self, group: &Group, place: PatternPosition) -> Result<(), String> {
        let text = self.text(&group.span);
        let is_plain = match &group.kind {
            GroupKind::CaptureIndex(_) => !text[1..].trim_start().starts_with('?'),
            GroupKind::NonCapturing(flags) => flags.items.is_empty() && text.starts_with("(?:"),
            GroupKind::CaptureName { .. } => false,
        };
        if !is_plain {
            return refuse("a group other than `(..)` and `(?:..)`");
        }
        self.out.push_str("(?:");
        self.node(&group.ast, place)?;
        self.out.push(')');
        Ok(())
    }

    fn repetition(&mut self, repetition: &Repetition, place: PatternPosition) -> Result<(), String> {
        match &*repetition.ast {
            Ast::Repetition(_) => return refuse("a repetition of a repetition"),
            Ast::Assertion(_) | Ast::Empty(_) => return refuse("a repetition of nothing"),
            _ => {}
        }
        let span = &repetition.op.span;
        if self.text(span).contains(char::is_whitespace) {
            return refuse("white space inside of a repetition");
        }
        if self.options.x && self.source[..span.start.offset].ends_with(|c: char| c.is_whitespace()) {
            return refuse("white space before a repetition");
        }
        if self.text(span).starts_with("{,") {
            return refuse("a repetition without a lower bound");
        }
        let is_unbounded = is_unbounded(&repetition.op.kind);
        if is_unbounded && place.unbounded {
            return refuse("a repetition without bound in another");
        }
        let inner = PatternPosition { repeated: true, unbounded: place.unbounded || is_unbounded, ..place };
        self.node(&repetition.ast, inner)?;
        self.out.push_str(&self.source[span.start.offset..span.end.offset]);
        Ok(())
    }

    fn refuse_white_space(&self, span: &Span) -> Result<(), String> {
        let has_white_space = self.options.x && self.text(span).contains(char::is_whitespace);
        if has_white_space {
            refuse("white space inside of a token together with the option `x`")
        } else {
            Ok(())
        }
    }

    fn text(&self, span: &Span) -> &str {
        &self.source[span.start.offset..span.end.offset]
    }
}

const fn is_unbounded(kind: &RepetitionKind) -> bool {
    match kind {
        RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => true,
        RepetitionKind::Range(range) => matches!(range, RepetitionRange::AtLeast(_)),
        RepetitionKind::ZeroOrOne => false,
    }
}

/// An ASCII class as PCRE defines it, for use inside brackets.
const fn ascii(class: &ClassPerl) -> &'static str {
    match (&class.kind, class.negated) {
        (ClassPerlKind::Digit, false) => "[:digit:]",
        (ClassPerlKind::Digit, true) => "[:^digit:]",
        (ClassPerlKind::Space, false) => "[:space:]",
        (ClassPerlKind::Space, true) => "[:^space:]",
        (ClassPerlKind::Word, false) => "[:word:]",
        (ClassPerlKind::Word, true) => "[:^word:]",
    }
}

fn refuse<T>(what: &str) -> Result<T, String> {
    Err(format!("The pattern must not have {what}."))
}

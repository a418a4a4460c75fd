//! Inputs for fuzz targets: valid texts, changed a little. Random bytes alone would hardly get past the first character of a
//! parser.
//!
//! A target is a test called `fuzz_…`, in the crate of what it calls:
//!
//! ```
//! use tenantry_test_fuzz::{MAX_BYTES, fuzz};
//! fuzz(&["{}", "[1, 2]"], |input| assert!(input.len() <= MAX_BYTES));
//! ```
//!
//! It tries some hundred inputs in every test run, and others each time; `cargo xtask fuzz` gives each target its time. A
//! failure prints the smallest input that was found.

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The variable of the environment that says for how many seconds each target runs.
pub const SECONDS: &str = "TENANTRY_FUZZ_SECONDS";
/// Inputs of a target in an ordinary test run, and between two looks at the clock.
const CASES: u32 = 512;
/// The most bytes that say how an input is changed: four for each change.
const CHANGES_MAX_BYTES: usize = 96;

/// The most bytes of an input.
pub const MAX_BYTES: usize = 16 << 10;

/// What a change may insert: what parsers treat in a way of their own.
const TOKENS: [&str; 32] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "$",
    ".",
    "~",
    "-",
    "0",
    "9999999999999999999",
    "1e999",
    "null",
    "true",
    "\u{0}",
    "\u{FEFF}",
    "é",
    "𝄞",
    "\u{202E}",
    "\\u0000",
    "\\ud800",
    "\n",
    "\r\n",
    " ",
    "/",
    "%",
    "'",
    "=",
    "#",
];

/// Runs a target, which panics if something is wrong, on inputs that are made of `seeds`.
///
/// # Panics
/// With the input, if the target does.
#[expect(clippy::disallowed_methods, reason = "this is no setting of the service")]
pub fn fuzz<S: AsRef<[u8]>>(seeds: &[S], target: impl Fn(&[u8])) {
    let seconds = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(0));
    let began = Instant::now();
    loop {
        // New cases each time; the input itself repeats a failure.
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let run = TestRunner::new(config).run(&vec(any::<u8>(), 0..CHANGES_MAX_BYTES), |changes| {
            let input = changed(seeds, &changes);
            catch_unwind(AssertUnwindSafe(|| target(&input))).map_err(|_| TestCaseError::fail("it panicked"))
        });
        if let Err(TestError::Fail(_, changes)) = run {
            let input = changed(seeds, &changes);
            panic!("the target fails on {:?}, bytes {input:?}", String::from_utf8_lossy(&input));
        }
        if began.elapsed() >= time {
            return;
        }
    }
}

/// One of `seeds`, changed as `changes` says: its first byte chooses the seed, and each four more are a change.
#[must_use]
pub fn changed<S: AsRef<[u8]>>(seeds: &[S], changes: &[u8]) -> Vec<u8> {
    let seed = |number: u8| {
        let seed = seeds.get(usize::from(number) % seeds.len().max(1));
        seed.map_or(&[][..], |seed| seed.as_ref())
    };
    let Some((first, changes)) = changes.split_first() else { return seed(0).to_vec() };
    let mut input = seed(*first).to_vec();
    for change in changes.chunks_exact(4) {
        let &[kind, high, low, argument] = change else { continue };
        let at = usize::from(u16::from_be_bytes([high, low])) % (input.len() + 1);
        let span = at..(at + usize::from(argument % 16) + 1).min(input.len());
        match kind % 7 {
            0 => drop(input.drain(span)),
            1 => input.insert(at, argument),
            2 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte = argument),
            3 => {
                let repeated = input[span].repeat(1 + usize::from(argument / 16));
                drop(input.splice(at..at, repeated));
            }
            4 => {
                let other = seed(argument);
                drop(input.splice(at.., other.iter().skip(at.min(other.len())).copied()));
            }
            _ => {
                let token = TOKENS[usize::from(argument) % TOKENS.len()];
                drop(input.splice(at..at, token.bytes()));
            }
        }
        input.truncate(MAX_BYTES);
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_without_changes_is_seed() {
        assert_eq!(changed(&["a", "b"], &[]), b"a");
        assert_eq!(changed(&["a", "b"], &[1]), b"b");
        assert_eq!(changed(&["a", "b"], &[3, 9]), b"b");
        assert!(changed::<&str>(&[], &[1, 2, 3, 4, 5]).len() <= 20);
    }

    #[test]
    fn change_does_what_its_kind_says() {
        let once = |change: [u8; 4]| changed(&["abcdef", "ABCDEF"], &[&[0][..], &change].concat());
        assert_eq!(once([0, 0, 1, 1]), b"adef");
        assert_eq!(once([1, 0, 2, b'x']), b"abxcdef");
        assert_eq!(once([2, 0, 2, b'x']), b"abxdef");
        assert_eq!(once([3, 0, 1, 16]), b"abbbcdef");
        assert_eq!(once([4, 0, 2, 1]), b"abCDEF");
        assert_eq!(once([5, 0, 0, 2]), b"{abcdef");
    }

    #[test]
    fn input_stays_within_bound() {
        let grow = [3, 0, 0, 255].repeat(200);
        assert_eq!(changed(&["0123456789abcdef"], &[&[0][..], &grow].concat()).len(), MAX_BYTES);
    }
}

//! Numbers that look random and come again with the same seed.

use std::hash::{BuildHasher, RandomState};

/// What ordinary runs of updates and aggregates ask.
const ORDINARY_SEED: u64 = 1;
/// Seeds of the long form, and how many cases a test has in it at least, with all of them.
const LONG_SEEDS: usize = 10;
const LONG_CASES: usize = 20_000;

/// Whether this is the long form.
#[expect(clippy::disallowed_methods, reason = "no setting: it makes a test longer")]
pub fn is_long() -> bool {
    std::env::var("TENANTRY_TEST_DIFFERENTIAL").is_ok_and(|form| form == "all")
}

/// The seed that was given, to repeat a run.
#[expect(clippy::disallowed_methods, reason = "no setting: it repeats a test")]
fn given_seed() -> Option<u64> {
    std::env::var("TENANTRY_TEST_SEED").ok().map(|text| text.parse().unwrap())
}

/// Where the numbers of a run begin.
pub struct Seed(u64);

impl Seed {
    /// The numbers; the seed is printed.
    pub fn begin(&self) -> Chance {
        println!("TENANTRY_TEST_SEED={}", self.0);
        Chance(self.0)
    }
}

/// The seeds of a test that has a long form: several in that; one in an ordinary run, which without `TENANTRY_TEST_SEED`
/// asks what it asked before. MongoDB's rules may have rare cases left that are not met yet, and a change must not fail by
/// chance.
pub fn seeds() -> Vec<Seed> {
    if is_long() { new_seeds() } else { vec![Seed(given_seed().unwrap_or(ORDINARY_SEED))] }
}

/// The same, but an ordinary run asks something new each time.
pub fn new_seeds() -> Vec<Seed> {
    let first = given_seed().unwrap_or_else(|| RandomState::new().hash_one(0));
    if !is_long() {
        return vec![Seed(first)];
    }
    let mut others = Chance(first);
    std::iter::once(first).chain((1..LONG_SEEDS).map(|_| others.next())).map(Seed).collect()
}

/// Prints how many cases a test had; in the long form they must be enough.
pub fn report(what: &str, cases: usize) {
    println!("{what}: {cases} cases over {} seeds", seeds().len());
    assert!(!is_long() || cases >= LONG_CASES, "{what}: only {cases} cases");
}

/// SplitMix64.
pub struct Chance(u64);

impl Chance {
    /// Seeded by `TENANTRY_TEST_SEED` or, without it, by nobody knows what; either is printed.
    pub fn of_this_run() -> Self {
        Seed(given_seed().unwrap_or_else(|| RandomState::new().hash_one(0))).begin()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `end` - 1.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of `all`.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

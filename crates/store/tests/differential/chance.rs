//! Numbers that look random and come again with the same seed.

use std::hash::{BuildHasher, RandomState};

/// What ordinary runs of updates and aggregates ask.
pub const ORDINARY_SEED: u64 = 1;

/// SplitMix64.
pub struct Chance(u64);

impl Chance {
    /// Seeded by `TENANTRY_TEST_SEED` or, without it, by nobody knows what; either is printed.
    pub fn of_this_run() -> Self {
        #[expect(clippy::disallowed_methods, reason = "no setting: it repeats a test")]
        let given = std::env::var("TENANTRY_TEST_SEED").ok();
        let seed = given.map_or_else(|| RandomState::new().hash_one(0), |text| text.parse().unwrap());
        println!("TENANTRY_TEST_SEED={seed}");
        Self(seed)
    }

    /// Seeded as [`Self::of_this_run`] in the long form. An ordinary run without `TENANTRY_TEST_SEED` asks what it asked
    /// before: MongoDB's rules have rare cases left that are not met yet, and a change must not fail by chance.
    pub fn of_form(is_long: bool, seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "no setting: it repeats a test")]
        let is_given = std::env::var_os("TENANTRY_TEST_SEED").is_some();
        if is_long || is_given {
            return Self::of_this_run();
        }
        println!("TENANTRY_TEST_SEED={seed}");
        Self(seed)
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

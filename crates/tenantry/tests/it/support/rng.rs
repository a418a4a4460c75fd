//! A random number generator whose runs can be repeated.

#![expect(clippy::print_stdout, reason = "a run says how it is repeated")]

use std::hash::{BuildHasher, RandomState};

/// Numbers that look random and come again with the same seed (SplitMix64).
#[derive(Clone)]
pub struct TestRng(u64);

impl TestRng {
    /// Seeded by `TENANTRY_TEST_SEED` or else at random; the seed is printed.
    pub fn of_this_run() -> Self {
        Self(Self::seed_of_this_run())
    }

    /// The seed of this run.
    pub fn seed_of_this_run() -> u64 {
        #[expect(clippy::disallowed_methods, reason = "no setting: it repeats a test")]
        let given = std::env::var("TENANTRY_TEST_SEED").ok();
        let seed = given.map_or_else(|| RandomState::new().hash_one(0), |text| text.parse().unwrap());
        println!("TENANTRY_TEST_SEED={seed}");
        seed
    }

    /// The numbers of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Shuffles `items`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One from 0 up to `end`, without that.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// One from `start` up to `end`, without that.
    pub fn between(&mut self, start: u64, end: u64) -> u64 {
        start + self.below(end - start)
    }
}

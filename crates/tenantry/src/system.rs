//! The machine's clock and randomness: the only code that uses either directly.

use jiff::Timestamp;
use tenantry_domain::clock::{Clock, to_millisecond};
use tenantry_domain::ids::Entropy;

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the real clock")]
    fn now(&self) -> Timestamp {
        to_millisecond(Timestamp::now())
    }
}

/// The operating system's randomness, straight from it. A generator in user space would be quicker for many
/// small pieces, and would first gather its seed from the jitter of the clock, for longer than the rest of a start.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::expect_used,
        reason = "without randomness no key and no token is safe: better no answer"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }
}

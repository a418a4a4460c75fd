//! The clock and the randomness of the use cases. Both are passed in, so that tests can set them.

use crate::clock::Clock;
use crate::ids::{Entropy, random};
use jiff::Timestamp;
use std::sync::Arc;

/// The clock and the randomness of the use cases.
#[derive(Clone)]
pub(super) struct ClockAndEntropy {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl ClockAndEntropy {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// For the constructors of ids.
    pub(super) fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// `N` unguessable bytes.
    pub(super) fn random<const N: usize>(&self) -> [u8; N] {
        random(&*self.entropy)
    }
}

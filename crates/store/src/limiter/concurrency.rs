//! The limits that an operator sets.

/// How many calls for its own data an organization may have under way while others are active too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencyLimits {
    /// Calls that read.
    pub reads: usize,
    /// Calls that write.
    pub writes: usize,
}

impl Default for ConcurrencyLimits {
    /// Enough for a client that sends one request after the other over a few connections.
    fn default() -> Self {
        Self { reads: 8, writes: 8 }
    }
}

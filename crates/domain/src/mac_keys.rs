//! The keys that authenticate what clients keep besides access tokens: refresh tokens, cursors of documents, and requests
//! that are sent again. They are derived from the secret that signs tokens.

use std::fmt;

/// The key in use and, while the secret is being rotated, the one before: both are accepted.
#[derive(Clone, Copy)]
pub struct MacKeys {
    current: [u8; 32],
    previous: Option<[u8; 32]>,
}

impl MacKeys {
    /// What is made from now on is of `current`; what is of `previous` is accepted too.
    #[must_use]
    pub const fn new(current: [u8; 32], previous: Option<[u8; 32]>) -> Self {
        Self { current, previous }
    }

    /// The key of what is made now.
    #[must_use]
    pub const fn current(&self) -> &[u8; 32] {
        &self.current
    }

    /// The other key that is accepted.
    #[must_use]
    pub const fn previous(&self) -> Option<&[u8; 32]> {
        self.previous.as_ref()
    }

    /// The keys that are accepted, the current one first.
    pub fn accepted(&self) -> impl Iterator<Item = &[u8; 32]> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl fmt::Debug for MacKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKeys(..)")
    }
}

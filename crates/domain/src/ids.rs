//! Identifiers of records: 12 bytes, printed as 24 hex digits, as a MongoDB ObjectId.
//!
//! They sort by age: the second of their creation (as in an ObjectId), the millisecond, a counter of this
//! process, and then random bytes that tell processes apart. They are names, not secrets.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that [`DrawnEntropy`] draws at once.
const DRAWN_BYTES: usize = 4 << 10;

/// Orders ids that are created in the same millisecond (until it wraps).
static ID_COUNTER: AtomicU16 = AtomicU16::new(0);

/// A source of randomness.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with unguessable bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// `N` unguessable bytes.
#[must_use]
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// Randomness for ids of which many are made, drawn for some hundred at once: a system call for each would cost more than
/// all else about it.
///
/// # Pitfalls
/// Not for secrets: the bytes are in memory before they are needed.
pub struct DrawnEntropy {
    source: Arc<dyn Entropy>,
    drawn: Mutex<Vec<u8>>,
}

impl DrawnEntropy {
    /// From `source`.
    #[must_use]
    pub const fn new(source: Arc<dyn Entropy>) -> Self {
        Self { source, drawn: Mutex::new(Vec::new()) }
    }
}

impl Entropy for DrawnEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.len() < bytes.len() {
            drawn.resize(bytes.len().max(DRAWN_BYTES), 0);
            self.source.fill(&mut drawn);
        }
        let rest = drawn.len() - bytes.len();
        bytes.copy_from_slice(&drawn[rest..]);
        drawn.truncate(rest);
    }
}

/// A text that is not 24 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 24 hex digits")]
pub struct NotAnId;

/// The 24 digits of an id.
pub struct Digits([u8; 24]);

impl Digits {
    fn of(bytes: [u8; 12]) -> Self {
        let mut digits = [0; 24];
        hex::encode_to_slice(bytes, &mut digits).expect("twelve bytes are 24 digits");
        Self(digits)
    }

    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 12]);

        impl $name {
            /// A new id, created at `now`.
            #[must_use]
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                let mut bytes = random::<12>(entropy);
                // Seconds since 1970 fit in 32 bits until 2106, as in an ObjectId.
                let seconds = u32::try_from(now.as_second()).unwrap_or(0);
                let milliseconds = u16::try_from(now.subsec_millisecond()).unwrap_or(0);
                bytes[..4].copy_from_slice(&seconds.to_be_bytes());
                bytes[4..6].copy_from_slice(&milliseconds.to_be_bytes());
                bytes[6..8].copy_from_slice(&ID_COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
                Self(bytes)
            }

            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 12]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 12] {
                &self.0
            }

            /// When it was made, in milliseconds since 1970.
            #[must_use]
            pub fn milliseconds(&self) -> u64 {
                let [a, b, c, d, e, f, ..] = self.0;
                u64::from(u32::from_be_bytes([a, b, c, d])) * 1000 + u64::from(u16::from_be_bytes([e, f]))
            }

            /// Its digits, as text on the stack.
            #[must_use]
            pub fn digits(&self) -> Digits {
                Digits::of(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.digits().as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let mut bytes = [0; 12];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAnId)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.digits().as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Identifies an organization permanently, across renames.
    OrganizationId
);
id!(
    /// Identifies an account permanently, even if its e-mail address changes.
    AccountId
);
id!(
    /// Identifies one sign-in and all tokens issued for it.
    SessionId
);
id!(
    /// Identifies one recorded multi-step change.
    OperationId
);

id!(
    /// Identifies an API key permanently, across its rotations.
    ApiKeyId
);
id!(
    /// Identifies an invitation.
    InvitationId
);
id!(
    /// Identifies a mail.
    MailId
);
id!(
    /// Identifies the link between an account and an identity provider.
    IdentityId
);
id!(
    /// Identifies an event of the audit trail.
    AuditEventId
);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    struct FixedEntropy;
    impl Entropy for FixedEntropy {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn drawn_entropy_gives_no_byte_twice() {
        /// Fills with the numbers of the bytes it has given.
        #[derive(Default)]
        struct Counter(Mutex<u32>);
        impl Entropy for Counter {
            fn fill(&self, bytes: &mut [u8]) {
                let mut next = self.0.lock().unwrap();
                for chunk in bytes.chunks_exact_mut(4) {
                    chunk.copy_from_slice(&next.to_be_bytes());
                    *next += 1;
                }
            }
        }
        let entropy = DrawnEntropy::new(Arc::new(Counter::default()));
        let drawn: HashSet<[u8; 4]> = (0..2 * DRAWN_BYTES).map(|_| random(&entropy)).collect();
        assert_eq!(drawn.len(), 2 * DRAWN_BYTES);
        assert_eq!(random::<{ 2 * DRAWN_BYTES }>(&entropy)[..4], (2 * DRAWN_BYTES as u32).to_be_bytes());
    }

    #[test]
    fn ids_sort_by_creation_time() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let made: Vec<OperationId> = (0..100).map(|_| OperationId::new(now, &FixedEntropy)).collect();
        // The counter may wrap once within a hundred.
        assert!(made.windows(2).filter(|pair| pair[0] > pair[1]).count() <= 1);
    }

    #[test]
    fn id_prints_24_hex_digits_starting_with_its_second() {
        let id = OrganizationId::new(
            Timestamp::from_millisecond(0x6790_0000 * 1000 + 0x0102).unwrap(),
            &FixedEntropy,
        );
        let text = id.to_string();
        assert!(text.starts_with("679000000102") && text.ends_with("07070707"), "{text}");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn id_parse_rejects_all_but_24_hex_digits() {
        for text in
            ["", "67", "679000000707070707070707aa", "zz9000000707070707070707", "67900000070707070707070é"]
        {
            assert_eq!(text.parse::<AccountId>(), Err(NotAnId), "{text}");
        }
    }
}

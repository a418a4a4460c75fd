//! The id of a request: the caller's if it is valid, else a new one. Every response and every log line has it.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::{Arc, Mutex, PoisonError};
use tenantry_domain::ids::{Entropy, random};

/// The header with the id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id of a caller, in bytes.
const MAX_BYTES: usize = 128;
/// The digits of a new id.
const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// Bytes of a new id.
const BYTES: usize = 16;
/// Ids that are drawn at once: drawing them singly would cost as much as finding an organization.
const IDS_PER_DRAW: usize = 256;

/// A source of new ids.
pub struct RequestIds {
    entropy: Arc<dyn Entropy>,
    drawn: Mutex<Vec<[u8; BYTES]>>,
}

impl RequestIds {
    /// Draws ids from `entropy`.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, drawn: Mutex::default() }
    }

    fn next(&self) -> [u8; BYTES] {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.pop().unwrap_or_else(|| {
            let bytes = random::<{ BYTES * IDS_PER_DRAW }>(&*self.entropy);
            drawn.extend_from_slice(bytes.as_chunks().0);
            random(&*self.entropy)
        })
    }
}

/// The id of a request.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's id, if it is short and plain enough for a log, else a new one.
    pub fn of(headers: &HeaderMap, ids: &RequestIds) -> Self {
        match headers.get(&X_REQUEST_ID) {
            Some(value) if is_sane(value.as_bytes()) => Self(value.clone()),
            _ => Self::new(ids.next()),
        }
    }

    fn new(bytes: [u8; BYTES]) -> Self {
        let mut digits = [0; 2 * BYTES];
        for (i, byte) in bytes.into_iter().enumerate() {
            digits[2 * i] = DIGITS[usize::from(byte >> 4)];
            digits[2 * i + 1] = DIGITS[usize::from(byte & 15)];
        }
        Self(HeaderValue::from_bytes(&digits).unwrap_or_else(|_| HeaderValue::from_static("-")))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("-")
    }

    /// Its value as a header.
    #[must_use]
    pub fn into_header(self) -> HeaderValue {
        self.0
    }
}

fn is_sane(bytes: &[u8]) -> bool {
    (1..=MAX_BYTES).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:+/=".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Bytes in which no eight in a row are repeated.
    #[derive(Default)]
    struct Counter(AtomicU64);

    impl Entropy for Counter {
        fn fill(&self, bytes: &mut [u8]) {
            for chunk in bytes.chunks_mut(8) {
                let next = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
                chunk.copy_from_slice(&next[8 - chunk.len()..]);
            }
        }
    }

    #[test]
    fn request_ids_are_unique() {
        let ids = RequestIds::new(Arc::new(Counter::default()));
        let made = (0..3 * IDS_PER_DRAW).map(|_| RequestId::of(&HeaderMap::new(), &ids).as_str().to_owned());
        let made: HashSet<String> = made.collect();
        assert_eq!(made.len(), 3 * IDS_PER_DRAW);
        assert!(made.iter().all(|id| id.len() == 2 * BYTES && is_sane(id.as_bytes())));
    }

    #[test]
    fn request_id_that_could_forge_log_line_is_rejected() {
        assert!(is_sane(b"01J-abc_DEF.7"));
        for id in [&b""[..], b"a b", b"a\"b", b"a\nb", &[b'a'; 129], "é".as_bytes()] {
            assert!(!is_sane(id));
        }
    }
}

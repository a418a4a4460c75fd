//! The id of a request: the caller's if it is sane, else a new one; in every answer and every log line.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tenantry_domain::ids::{Entropy, random};

/// Where it stands.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of a caller's own id at most.
const MAX_BYTES: usize = 128;

/// The id of a request.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's, if it is short and plain enough to go into a log, else a new one.
    pub fn of(headers: &HeaderMap, entropy: &dyn Entropy) -> Self {
        match headers.get(&X_REQUEST_ID) {
            Some(value) if is_sane(value.as_bytes()) => Self(value.clone()),
            _ => Self::new(entropy),
        }
    }

    fn new(entropy: &dyn Entropy) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (i, byte) in random::<16>(entropy).into_iter().enumerate() {
            text[2 * i] = DIGITS[usize::from(byte >> 4)];
            text[2 * i + 1] = DIGITS[usize::from(byte & 15)];
        }
        Self(HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("-")))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("-")
    }

    /// Its form as a header.
    #[must_use]
    pub const fn header(&self) -> &HeaderValue {
        &self.0
    }
}

fn is_sane(bytes: &[u8]) -> bool {
    (1..=MAX_BYTES).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:+/=".contains(b))
}

#[cfg(test)]
mod tests {
    use super::is_sane;

    #[test]
    fn an_id_that_could_forge_a_log_line_is_not_taken() {
        assert!(is_sane(b"01J-abc_DEF.7"));
        for id in [&b""[..], b"a b", b"a\"b", b"a\nb", &[b'a'; 129], "é".as_bytes()] {
            assert!(!is_sane(id));
        }
    }
}

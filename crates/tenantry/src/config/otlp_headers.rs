//! The headers of exports, as OpenTelemetry writes them: `name=value,name=value`, with values percent-encoded.

use axum::http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// Reads them; `None` if the text is malformed.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(entry).collect()
}

fn entry(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once('=')?;
    let value: Vec<u8> = percent_decode_str(value.trim()).collect();
    Some((name.trim().parse().ok()?, HeaderValue::from_bytes(&value).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn otlp_headers_are_read_as_opentelemetry_writes_them() {
        let headers = parse("api-key=a%20b, Authorization=Basic x==,").unwrap();
        let texts: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(texts, [("api-key", "a b"), ("authorization", "Basic x==")]);
        for malformed in ["api-key", "=x", "a b=c", "a=%0a"] {
            assert!(parse(malformed).is_none(), "{malformed}");
        }
    }
}

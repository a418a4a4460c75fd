//! The credential of an OAuth 2.0 client in the scheme `Basic` (RFC 6749, 2.3.1; RFC 7617).

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// A client and its secret.
pub struct BasicClient {
    pub id: String,
    pub secret: Zeroizing<String>,
}

/// The client in the headers, if they use this scheme; nothing inside for one that cannot be read.
pub fn client_of(headers: &HeaderMap) -> Option<Option<BasicClient>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| parse(encoded.trim()))
}

fn parse(encoded: &str) -> Option<BasicClient> {
    let pair = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    // Both parts are form-encoded first; what a key consists of is the same in that form and without it.
    let decoded = |part: &str| percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    Some(BasicClient { id: decoded(id)?, secret: Zeroizing::new(decoded(secret)?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn given(value: &str) -> Option<Option<(String, String)>> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        client_of(&headers).map(|client| client.map(|client| (client.id, client.secret.to_string())))
    }

    #[test]
    fn basic_credential_is_read_or_refused() {
        let pair = |id: &str, secret: &str| Some(Some((id.to_owned(), secret.to_owned())));
        let encode = |text: &str| format!("basic {}", STANDARD.encode(text));
        assert_eq!(given(&encode("a1:tnt_key")), pair("a1", "tnt_key"));
        assert_eq!(given(&encode("a1:tnt%5Fkey:x")), pair("a1", "tnt_key:x"));
        assert_eq!(given(&encode(":")), pair("", ""));
        for wrong in [encode("no colon"), "Basic ***".to_owned(), encode("a:%ff")] {
            assert_eq!(given(&wrong), Some(None), "{wrong}");
        }
        for other in ["Bearer x", "Basic", "BasicX eA=="] {
            assert_eq!(given(other), None, "{other}");
        }
    }
}

//! What the header of a token may say, and how little of it the library checks for us.

use jsonwebtoken::{Algorithm, Header, Validation};
use serde_json::Value;

/// The media type of an access token, without `application/`.
pub(super) const TYPE: &str = "at+jwt";

/// Makes the library check only algorithm and signature. It would read the system clock, and accept fractions
/// and strings as times and lists as `iss` and `aud`: all these are checked here.
pub(super) fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

/// Whether the header is that of an access token (RFC 9068, 4), with no extension that has to be understood
/// (RFC 7515, 4.1.11) and no key or address of one: ours never have such.
pub(super) fn is_access_token(header: &Header) -> bool {
    let named = header.typ.as_deref().unwrap_or_default();
    let named = named.strip_prefix("application/").unwrap_or(named);
    let brings_key =
        header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some();
    let is_encoded = matches!(header.extras.get::<Value>("b64"), Ok(None));
    named.eq_ignore_ascii_case(TYPE) && header.crit.is_none() && !brings_key && is_encoded
}
